//! The folders of a training set: unpaired photos and anime, and a holdout with both drawings of the same
//! persons.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{Map, Value};
use thiserror::Error;

use super::{MAX_SIZE, MIN_SIZE, Person, Style, draw};

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

impl Default for Options {
    fn default() -> Self {
        Self { count: 1000, size: 64, seed: 0, holdout: None }
    }
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
/// under its name.
///
/// # Errors
///
/// An option out of range, a folder that is not empty, or a failure to write, after which the folder is as it
/// was.
pub fn write_dataset(folder: &Path, options: &Options) -> Result<Summary, DemoError> {
    let holdout = options.holdout.unwrap_or(DEFAULT_HOLDOUT.min(options.count));
    check_range("count", options.count, 1, MAX_COUNT)?;
    check_range("holdout", holdout, 0, MAX_COUNT)?;
    check_range("size", options.size as usize, MIN_SIZE as usize, MAX_SIZE as usize)?;
    refuse_occupied(folder)?;
    // A folder that exists may be a mount point or the current folder: it stays, and is filled from within.
    let exists = folder.is_dir();
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let base = if exists { folder } else { parent };
    fs::create_dir_all(base).map_err(DemoError::write(base))?;
    let draft =
        tempfile::Builder::new().prefix(".portraits-").tempdir_in(base).map_err(DemoError::write(base))?;

    let set = draft.path().join("set");
    let write = |name: &str, group, style, count| write_images(&set.join(name), group, style, count, options);
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

fn refuse_occupied(folder: &Path) -> Result<(), DemoError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(DemoError::NotEmpty(folder.to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) if folder.is_file() => Err(DemoError::NotAFolder(folder.to_owned())),
        Err(error) => Err(DemoError::write(folder)(error)),
    }
}

fn write_images(
    folder: &Path,
    group: Group,
    style: Style,
    count: usize,
    options: &Options,
) -> Result<(), DemoError> {
    fs::create_dir_all(folder).map_err(DemoError::write(folder))?;
    let lines: Vec<Value> = (0..count)
        .into_par_iter()
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
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;

    const SMALL: Options = Options { count: 4, size: 16, seed: 7, holdout: Some(2) };

    /// The bytes of all files under a folder by their path in it.
    fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    fn metadata(folder: &Path) -> Vec<Value> {
        let text = fs::read_to_string(folder.join("metadata.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn equal_seeds_give_equal_bytes_on_any_number_of_threads() {
        let parent = tempfile::tempdir().unwrap();
        let write = |name: &str, threads, options: &Options| {
            let folder = parent.path().join(name);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| write_dataset(&folder, options)).unwrap();
            contents(&folder)
        };
        let alone = write("a", 1, &SMALL);
        assert_eq!(alone.len(), 2 * (4 + 1) + 2 * (2 + 1));
        assert_eq!(alone, write("b", 3, &SMALL));
        assert_ne!(alone, write("c", 1, &Options { seed: 8, ..SMALL }));
    }

    #[test]
    fn an_image_does_not_depend_on_how_many_there_are() {
        let parent = tempfile::tempdir().unwrap();
        let (few, many) = (parent.path().join("few"), parent.path().join("many"));
        write_dataset(&few, &SMALL).unwrap();
        write_dataset(&many, &Options { count: 9, holdout: Some(5), ..SMALL }).unwrap();
        let many = contents(&many);
        for (path, bytes) in contents(&few).iter().filter(|(path, _)| path.extension().unwrap() == "png") {
            assert_eq!(Some(bytes), many.get(path), "{}", path.display());
        }
    }

    #[test]
    fn the_holdout_is_paired_and_everything_else_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("new/set");
        let options = Options { count: 40, size: 16, seed: 3, holdout: None };
        let summary = write_dataset(&folder, &options).unwrap();
        assert_eq!(summary, Summary { folder: folder.clone(), count: 40, holdout: 32, size: 16 });
        let lines = |name: &str| metadata(&folder.join(name));
        assert_eq!(lines("holdout/photos"), lines("holdout/anime"));
        let anonymous = |name: &str| {
            let mut lines = lines(name);
            for line in &mut lines {
                line["file_name"] = Value::Null;
            }
            lines.iter().map(Value::to_string).collect::<HashSet<_>>()
        };
        let (photos, anime, holdout) = (anonymous("photos"), anonymous("anime"), anonymous("holdout/photos"));
        assert_eq!((photos.len(), anime.len(), holdout.len()), (40, 40, 32));
        assert!(photos.is_disjoint(&anime) && photos.is_disjoint(&holdout) && anime.is_disjoint(&holdout));
    }

    #[test]
    fn metadata_describes_the_person_that_the_image_shows() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("set");
        write_dataset(&folder, &SMALL).unwrap();
        for (number, line) in metadata(&folder.join("anime")).iter().enumerate() {
            let person = Group::Anime.person(SMALL.seed, number);
            let name = line["file_name"].as_str().unwrap();
            let file = image::open(folder.join("anime").join(name)).unwrap().into_rgb8();
            assert_eq!(file, draw(&person, Style::Anime, SMALL.size));
            let (eyes, hair) = (line["eye_color"].as_str().unwrap(), line["hair_color"].as_str().unwrap());
            assert_eq!((eyes, hair), (person.eye_color.name(), person.hair_color.name()));
            assert_eq!(line["text"], format!("{eyes} eyes, {hair} hair"));
        }
    }

    #[test]
    fn an_occupied_folder_is_refused_and_left_as_it_was() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("mine.txt"), "keep").unwrap();
        let error = write_dataset(parent.path(), &SMALL).unwrap_err();
        let name = parent.path().display().to_string();
        assert_eq!(
            error.to_string(),
            format!(
                "`{name}` is not empty, expected a new or empty folder; name another folder or remove this one"
            )
        );
        let file = parent.path().join("mine.txt");
        assert!(matches!(write_dataset(&file, &SMALL), Err(DemoError::NotAFolder(path)) if path == file));
        assert_eq!(contents(parent.path()), BTreeMap::from([("mine.txt".into(), b"keep".to_vec())]));
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_empty_folder_is_filled_and_nothing_else_is_left() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("empty");
        fs::create_dir(&folder).unwrap();
        write_dataset(&folder, &SMALL).unwrap();
        let names = |folder: &Path| {
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect::<HashSet<_>>()
        };
        assert_eq!(names(&folder), ["anime", "holdout", "photos"].map(Into::into).into());
        assert_eq!(names(parent.path()), ["empty".into()].into());
    }

    #[test]
    fn numbers_out_of_range_are_refused_before_anything_is_made() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("set");
        for (options, message) in [
            (
                Options { count: 0, ..SMALL },
                "`count` is 0, expected 1 to 1000000; give a number in that range",
            ),
            (Options { size: 15, ..SMALL }, "`size` is 15, expected 16 to 4096; give a number in that range"),
            (
                Options { size: 5000, ..SMALL },
                "`size` is 5000, expected 16 to 4096; give a number in that range",
            ),
        ] {
            assert_eq!(write_dataset(&folder, &options).unwrap_err().to_string(), message);
        }
        assert!(!folder.exists());
    }
}
