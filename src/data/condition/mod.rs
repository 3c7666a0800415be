//! What is said of the images of a folder: their classes, from the folders that they lie in (`labels`), or their
//! captions (`captions`), and the words that captions are made of (`vocabulary`).
//!
//! Images are not opened here: only their names and text files are read.

mod captions;
mod labels;
mod side;
mod vocabulary;

use std::io;
use std::path::PathBuf;

pub use captions::{Captions, captions};
pub use labels::{Labels, labels};
pub use side::{Conditioned, Conditions, Known, Reading, known};
pub use vocabulary::{MAX_WORDS, TextError, UnknownWord, Vocabulary};

use super::left_out::LeftOut;

/// Why a folder of images has no conditions to train on.
#[derive(Debug, thiserror::Error)]
pub enum ConditionError {
    /// All images lie right in the folder.
    #[error(
        "no class folders in `{}`, its {images} images lie right in it: expected `{}`, so move the images of each \
         class into a folder of that name",
        root.display(),
        root.join("<class>/<image>").display()
    )]
    NoClasses {
        /// The folder.
        root: PathBuf,
        /// How many images it has.
        images: usize,
    },
    /// There is nothing to tell a class from.
    #[error(
        "only one class folder with images in `{}`, `{class}`: expected at least two, so add a folder of another \
         class beside it or train without classes",
        root.display()
    )]
    OneClass {
        /// The folder.
        root: PathBuf,
        /// Its only class.
        class: String,
    },
    /// A class that could not be asked for by its name.
    #[error("class folder `{}` has a name that is not UTF-8: rename it", path.display())]
    ClassName {
        /// The class folder.
        path: PathBuf,
    },
    /// No file that captions are looked for in.
    #[error(
        "no captions in folder `{}`: expected in it a `metadata.jsonl` with lines like \
         `{{\"file_name\": \"a.png\", \"text\": \"a red car\"}}`, a `metadata.csv` with the columns `file_name` and \
         `text`, or beside each image `a.png` a text file `a.txt` with one caption a line; write one of these",
        root.display()
    )]
    NoCaptions {
        /// The folder.
        root: PathBuf,
    },
    /// There are such files, but nothing in them that can be used.
    #[error(
        "none of the {images} images in folder `{}` has a caption; the first of {problems} problems: {first}",
        root.display()
    )]
    NoneCaptioned {
        /// The folder.
        root: PathBuf,
        /// How many images it has.
        images: usize,
        /// How many problems were found.
        problems: usize,
        /// The first of them.
        first: LeftOut,
    },
    /// There is nothing to tell a right caption from a wrong one by.
    #[error(
        "all captions in folder `{}` say the same, `{caption}`: expected at least two that differ, so write what tells \
         its images apart or train without captions",
        root.display()
    )]
    OneCaption {
        /// The folder.
        root: PathBuf,
        /// What they say.
        caption: String,
    },
    /// A metadata file that cannot be read.
    #[error("cannot read captions from `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A metadata file that is not written as expected.
    #[error("`{}`, line {line}: {reason}; expected {expected}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong there.
        reason: String,
        /// What such a line is to be, with an example.
        expected: &'static str,
    },
}

/// A folder that is deleted with its guard, holding `files` (paths and contents), and what the scan finds in it.
#[cfg(test)]
fn folder_of(files: &[(&str, &[u8])]) -> (tempfile::TempDir, super::scan::ImageFolder) {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let folder = super::scan::scan(dir.path()).unwrap();
    (dir, folder)
}
