//! Recipes in files: small texts. What never ends, or waits for another program, is not begun to be read.

use std::ffi::OsStr;
use std::fs::{File, Metadata, metadata};
use std::io::{Error, ErrorKind, Read as _, Result};
use std::path::Path;

/// Bytes of a recipe, at most.
pub const MOST: u64 = 64 << 10;

/// The text of a recipe file.
///
/// # Errors
/// It is no file, too large, no text, or cannot be read.
pub fn read_file(path: &Path) -> Result<String> {
    let what = metadata(path)?;
    if what.is_file() { text(File::open(path)?) } else { Err(no_file(&what)) }
}

/// As [`read_file`], also of what the system keeps open for the program: `/dev/stdin`, and `/dev/fd/63` as shells write
/// `<(…)`. Any other pipe could keep it waiting without a word.
pub fn read_file_or_stream(path: &Path) -> Result<String> {
    if is_stream(path) { text(File::open(path)?) } else { read_file(path) }
}

/// Whether it is no file, but what [`read_file_or_stream`] reads all the same.
pub fn is_stream(path: &Path) -> bool {
    let is_open = path.starts_with("/dev") || path.starts_with("/proc");
    is_open && metadata(path).is_ok_and(|what| !what.is_file() && !what.is_dir())
}

/// Whether it is called as YAML files are.
pub fn is_yaml(path: &Path) -> bool {
    let is = |extension: &OsStr| ["yaml", "yml"].iter().any(|known| extension.eq_ignore_ascii_case(known));
    path.extension().is_some_and(is)
}

fn no_file(what: &Metadata) -> Error {
    let what = if what.is_dir() { "it is a folder" } else { "it is a pipe or a device, and no file" };
    Error::new(ErrorKind::InvalidInput, what)
}

fn text(file: File) -> Result<String> {
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        let reason = format!("it is larger than {} KiB, which no recipe is", MOST >> 10);
        return Err(Error::new(ErrorKind::FileTooLarge, reason));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is no text (UTF-8)"))
}
