//! Files that are read whole. What never ends, or waits for another program, is not begun to be read.

use std::fs::{File, Metadata, metadata};
use std::io::{Error, ErrorKind, Read as _, Result};
use std::path::Path;

/// Opens a file to be read.
///
/// # Errors
/// It is a folder, a pipe or a device, or cannot be read.
pub fn open(path: &Path) -> Result<File> {
    let what = metadata(path)?;
    if what.is_file() { File::open(path) } else { Err(no_file(&what)) }
}

/// All of a file's text.
///
/// # Errors
/// It is longer than `most` bytes, no text, or cannot be read.
pub fn text(file: File, most: u64) -> Result<String> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let reason = format!("it is larger than {} KiB", most >> 10);
        return Err(Error::new(ErrorKind::FileTooLarge, reason));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is no text (UTF-8)"))
}

fn no_file(what: &Metadata) -> Error {
    let what = if what.is_dir() { "it is a folder" } else { "it is a pipe or a device, and no file" };
    Error::new(ErrorKind::InvalidInput, what)
}
