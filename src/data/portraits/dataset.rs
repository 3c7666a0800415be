//! The folders of a training set: unpaired photos and anime, and a holdout with both drawings of the same
//! persons.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde_json::{Map, Value};
use tempfile::TempDir;
use thiserror::Error;

use super::{MAX_SIZE, MIN_SIZE, Person, Style, draw};
use crate::atomic;

/// Persons in the holdout unless asked otherwise; fewer with fewer images than that to train on.
pub const DEFAULT_HOLDOUT: usize = 32;

/// The largest number of images in a folder.
pub const MAX_COUNT: usize = 1_000_000;

/// What to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Images in `photos` and as many in `anime`, 1 to [`MAX_COUNT`].
    pub count: usize,
    /// Pixels a side, [`MIN_SIZE`] to [`MAX_SIZE`].
    pub size: u32,
    /// Seed of all persons.
    pub seed: u64,
    /// Persons in `holdout`, 0 to [`MAX_COUNT`]; `None` for the smaller of [`DEFAULT_HOLDOUT`] and `count`.
    pub holdout: Option<usize>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The folder of the set.
    pub folder: PathBuf,
    /// Images in each of `photos` and `anime`.
    pub count: usize,
    /// Images in each of `holdout/photos` and `holdout/anime`.
    pub holdout: usize,
    /// Pixels a side.
    pub size: u32,
}

/// Why a set could not be written.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The folder has something in it.
    #[error("`{0}` is not empty, expected a new or empty folder; name another folder or remove this one")]
    NotEmpty(PathBuf),
    /// The path is taken by something else than a folder.
    #[error("`{0}` is a file, expected a new or empty folder; name another folder")]
    NotAFolder(PathBuf),
    /// It was told to stop.
    #[error("stopped: nothing was written to `{0}`")]
    Interrupted(PathBuf),
    /// A number that no set can have.
    #[error("`{field}` is {value}, expected {least} to {most}; give a number in that range")]
    OutOfRange {
        /// The option.
        field: &'static str,
        /// Its value.
        value: usize,
        /// The smallest value it can have.
        least: usize,
        /// The largest value it can have.
        most: usize,
    },
    /// A folder or file could not be read or written.
    #[error(
        "cannot write `{path}`: {source}; check the permissions and the space left there, or name another folder"
    )]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// An image could not be encoded or written.
    #[error("cannot write the image `{path}`: {source}; check the space left there, or name another folder")]
    Image {
        /// The image.
        path: PathBuf,
        /// The encoder's reason.
        source: image::ImageError,
    },
}

impl DemoError {
    fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { path: path.to_owned(), source }
    }
}

/// Which persons of a seed a folder shows: every third one, so that no two groups share a person at any
/// count.
#[derive(Clone, Copy)]
enum Group {
    Photos = 0,
    Anime = 1,
    Holdout = 2,
}

impl Group {
    fn person(self, seed: u64, number: usize) -> Person {
        Person::sample(seed, 3 * number as u64 + self as u64)
    }
}

/// Writes a set into `folder`, which is made with its parents and must be empty if it exists.
///
/// - `photos` and `anime` hold `count` images each, of different persons;
/// - `holdout/photos` and `holdout/anime` show the same persons under the same names, none of them in the others;
/// - each of the four has a `metadata.jsonl`, one line an image: `file_name`, `text`, the attributes by name.
///
/// Images are square RGB PNG files. The n-th image depends on `seed` and `size` only. The set is drawn in a
/// hidden folder named `.portraits-…` and moved when it is complete, so that a killed run leaves no half set
/// under its name; the next one in the same place removes what it left.
///
/// # Errors
///
/// An option out of range, a folder that is not empty, or a failure to write, after which the folder is as it
/// was.
pub fn write_dataset(folder: &Path, options: &Options) -> Result<Summary, DemoError> {
    write_dataset_unless(folder, options, &AtomicBool::new(false))
}

/// As [`write_dataset`]; once `stop` is set it ends, and leaves nothing.
///
/// # Errors
///
/// As [`write_dataset`]'s, and [`DemoError::Interrupted`].
pub fn write_dataset_unless(
    folder: &Path,
    options: &Options,
    stop: &AtomicBool,
) -> Result<Summary, DemoError> {
    let holdout = options.holdout.unwrap_or(DEFAULT_HOLDOUT.min(options.count));
    check_range("count", options.count, 1, MAX_COUNT)?;
    check_range("holdout", holdout, 0, MAX_COUNT)?;
    check_range("size", options.size as usize, MIN_SIZE as usize, MAX_SIZE as usize)?;
    refuse_file(folder)?;
    // A folder that exists may be a mount point or the current folder: it stays, and is filled from within.
    let exists = folder.is_dir();
    let base = if exists { folder } else { atomic::folder_of(folder) };
    fs::create_dir_all(base).map_err(DemoError::write(base))?;
    // What cannot be tidied up is in nobody's way, but for an output folder that is then not empty.
    let _ = remove_left_drafts(base);
    if exists {
        refuse_occupied(folder)?;
    }
    let draft = Draft::new(base).map_err(DemoError::write(base))?;

    let set = draft.folder.path().join("set");
    let write = |name: &str, group, style, count| {
        write_images(&set.join(name), group, style, count, options, stop).and_then(|()| {
            let stopped = stop.load(Ordering::Relaxed);
            if stopped { Err(DemoError::Interrupted(folder.into())) } else { Ok(()) }
        })
    };
    write("photos", Group::Photos, Style::Photo, options.count)?;
    write("anime", Group::Anime, Style::Anime, options.count)?;
    write("holdout/photos", Group::Holdout, Style::Photo, holdout)?;
    write("holdout/anime", Group::Holdout, Style::Anime, holdout)?;
    if exists {
        for name in ["holdout", "photos", "anime"] {
            fs::rename(set.join(name), folder.join(name)).map_err(DemoError::write(folder))?;
        }
    } else {
        fs::rename(&set, folder).map_err(DemoError::write(folder))?;
    }
    Ok(Summary { folder: folder.to_owned(), count: options.count, holdout, size: options.size })
}

fn check_range(field: &'static str, value: usize, least: usize, most: usize) -> Result<(), DemoError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(DemoError::OutOfRange { field, value, least, most })
    }
}

fn refuse_file(path: &Path) -> Result<(), DemoError> {
    if path.exists() && !path.is_dir() { Err(DemoError::NotAFolder(path.to_owned())) } else { Ok(()) }
}

fn refuse_occupied(folder: &Path) -> Result<(), DemoError> {
    match fs::read_dir(folder).map_err(DemoError::write(folder))?.next() {
        None => Ok(()),
        Some(_) => Err(DemoError::NotEmpty(folder.to_owned())),
    }
}

/// Begins the name of a folder in which a set is drawn,
const DRAFT: &str = ".portraits-";
/// in which a file of this name is locked for as long as that goes on.
const LOCK: &str = "lock";

/// A set that is being drawn; its folder goes when this does.
struct Draft {
    folder: TempDir,
    _lock: File,
}

impl Draft {
    fn new(base: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(DRAFT).tempdir_in(base)?;
        let lock = File::create(folder.path().join(LOCK))?;
        // Where files cannot be locked, drafts are never taken for left ones either.
        let _ = lock.lock();
        Ok(Self { folder, _lock: lock })
    }
}

/// Removes the drafts in `base` whose program was killed.
fn remove_left_drafts(base: &Path) -> io::Result<()> {
    for entry in fs::read_dir(base)? {
        let entry = entry?;
        let is_draft = entry.file_name().as_encoded_bytes().starts_with(DRAFT.as_bytes());
        let lock = File::open(entry.path().join(LOCK)).ok().filter(|_| is_draft);
        if lock.is_some_and(|lock| lock.try_lock().is_ok()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn write_images(
    folder: &Path,
    group: Group,
    style: Style,
    count: usize,
    options: &Options,
    stop: &AtomicBool,
) -> Result<(), DemoError> {
    fs::create_dir_all(folder).map_err(DemoError::write(folder))?;
    let lines: Vec<Value> = (0..count)
        .into_par_iter()
        .take_any_while(|_| !stop.load(Ordering::Relaxed))
        .map(|number| {
            let person = group.person(options.seed, number);
            let file_name = format!("{number:05}.png");
            let path = folder.join(&file_name);
            let image = draw(&person, style, options.size);
            image.save(&path).map_err(|source| DemoError::Image { path, source })?;
            Ok(describe(&person, file_name))
        })
        .collect::<Result<_, DemoError>>()?;

    let path = folder.join("metadata.jsonl");
    let write_lines = || -> io::Result<()> {
        let mut file = BufWriter::new(File::create(&path)?);
        for line in &lines {
            writeln!(file, "{line}")?;
        }
        file.flush()
    };
    write_lines().map_err(DemoError::write(&path))
}

/// One line of the metadata, as image folders with captions are described: `file_name`, `text`, attributes.
fn describe(person: &Person, file_name: String) -> Value {
    let mut line = Map::new();
    line.insert("file_name".to_owned(), file_name.into());
    line.insert("text".to_owned(), person.caption().into());
    line.extend(person.attributes());
    Value::Object(line)
}

#[cfg(test)]
mod tests;
