//! Recipes in files: small texts.

use std::ffi::OsStr;
use std::fs::{File, metadata};
use std::io::Result;
use std::path::Path;

use crate::file::{open, text};

/// Bytes of a recipe, at most.
pub const MOST: u64 = 64 << 10;

/// The text of a recipe file.
///
/// # Errors
/// It is no file, too large, no text, or cannot be read.
pub fn read_file(path: &Path) -> Result<String> {
    text(open(path)?, MOST)
}

/// As [`read_file`], also of what the system keeps open for the program: `/dev/stdin`, and `/dev/fd/63` as shells write
/// `<(…)`. Any other pipe could keep it waiting without a word.
pub fn read_file_or_stream(path: &Path) -> Result<String> {
    if is_stream(path) { text(File::open(path)?, MOST) } else { read_file(path) }
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
