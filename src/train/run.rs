//! The folder that a run leaves behind.
//!
//! ```text
//! recipe.yaml          the resolved recipe: complete, runnable, no paths in it
//! run.json             command lines, versions, device, domain names, data fingerprints
//! metrics.jsonl        one flushed JSON object a tick
//! samples/*.png        the same fixed inputs again and again
//! samples/rows.txt     what is asked for in each of their rows, one a line, where rows are classes or captions
//! checkpoints/*        full training state; the last few are kept
//! model.safetensors    what people share
//! ```

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::checkpoint;
use crate::data::condition::Conditions;
use crate::model::{Domains, FILE_NAME};
use crate::recipe;
use crate::recipe::{Recipe, RecipeError, from_yaml, read_file, to_yaml};
use crate::torch::store::StoreError;
use crate::{atomic, file};

/// The file whose lock tells that a process trains in the folder.
const LOCK: &str = ".lock";
/// Bytes of a `run.json`, at most: millions of words of captions fit in, and as many starts as anybody makes.
const MOST_INFO: u64 = 64 << 20;

/// Why a folder cannot be used for a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something else is there.
    #[error(
        "`{path}` exists and is no run folder (it has no `run.json`)\nhint: name another with `--run DIR`"
    )]
    NotARun {
        /// The folder or file.
        path: PathBuf,
    },
    /// A file where a folder above it would have to be.
    #[error("no run folder can be made at `{path}`: `{file}` is a file\nhint: name another with `--run DIR`")]
    BelowFile {
        /// The folder asked for.
        path: PathBuf,
        /// The file on the way there.
        file: PathBuf,
    },
    /// A run folder with a broken file.
    #[error("`{path}` is damaged: {reason}\nhint: name another folder with `--run DIR`")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Its recipe is no longer valid.
    #[error("{0}")]
    Recipe(#[from] RecipeError),
    /// Its checkpoints cannot be listed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system's.
    #[error("cannot {action} `{path}`: {source}\nhint: name a folder that you can write to with `--run DIR`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Another process trains in it.
    #[error(
        "another process is training in `{path}`\nhint: wait for it, or name another folder with `--run DIR`"
    )]
    Busy {
        /// The folder.
        path: PathBuf,
    },
}

/// One side of the data that a run saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataInfo {
    /// Readable images.
    pub images: u64,
    /// Files that could not be read.
    pub skipped: u64,
    /// Changes when files come, go or change their length.
    pub fingerprint: String,
}

/// What `run.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Program and version that began the run.
    pub program: String,
    /// libtorch's version.
    pub libtorch: String,
    /// The device of the last start, as `--device` takes it.
    pub device: String,
    /// CPU threads of a network at the last start: sums over other numbers of threads round differently.
    pub threads: i64,
    /// Processes that trained together at the last start: sums over other numbers of them round differently.
    #[serde(default = "one")]
    pub ranks: u32,
    /// Decides every random choice.
    pub seed: u64,
    /// The command line of every start.
    pub commands: Vec<Vec<String>>,
    /// Names of the recipes that its own was made from at the last start, each laid over the one before.
    #[serde(default)]
    pub recipes: Vec<String>,
    /// Domain names by space.
    pub domains: Domains,
    /// What the networks of conditioned spaces can be asked for.
    #[serde(default)]
    pub conditions: Conditions,
    /// The data by domain, as at the last start.
    pub data: IndexMap<String, DataInfo>,
}

/// Before `ranks` was written there was one.
const fn one() -> u32 {
    1
}

/// What a run folder holds already.
#[derive(Debug)]
pub struct Existing {
    /// Its recipe.
    pub recipe: Recipe,
    /// Its `run.json`.
    pub info: Info,
    /// Images shown at its newest checkpoint, if it has one.
    pub images: Option<u64>,
}

/// Looks at `root` without changing it: nothing there (or an empty folder), or a run.
///
/// # Errors
/// Something else is there, or a damaged run.
pub fn inspect(root: &Path) -> Result<Option<Existing>, RunError> {
    let io = |source| RunError::Io { action: "look into", path: root.into(), source };
    match std::fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            let path = root.into();
            return Err(match root.ancestors().skip(1).find(|above| above.is_file()) {
                Some(file) => RunError::BelowFile { path, file: file.into() },
                None => RunError::NotARun { path },
            });
        }
        Err(error) => return Err(io(error)),
        Ok(mut entries) => {
            if entries.next().is_none() {
                return Ok(None);
            }
        }
    }
    let info_path = root.join("run.json");
    let damaged = |path: &Path, reason: String| RunError::Damaged { path: path.into(), reason };
    let text = match file::open(&info_path).and_then(|file| file::text(file, MOST_INFO)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let began = is_begun(root).map_err(io)?;
            return if began { Ok(None) } else { Err(RunError::NotARun { path: root.into() }) };
        }
        text => text.map_err(|error| damaged(&info_path, error.to_string()))?,
    };
    let info: Info = serde_json::from_str(&text).map_err(|error| damaged(&info_path, error.to_string()))?;
    let recipe_path = root.join(recipe::FILE_NAME);
    let yaml = read_file(&recipe_path).map_err(|error| damaged(&recipe_path, error.to_string()))?;
    let recipe = from_yaml(&recipe_path.display().to_string(), &yaml, &[])?;
    let images = checkpoint::list(&root.join("checkpoints"))?.last().map(|(images, _)| *images);
    Ok(Some(Existing { recipe, info, images }))
}

/// Whether `root`, which has no `run.json`, is what a start leaves that was killed before it wrote one: our lock and
/// nothing that could be the user's.
fn is_begun(root: &Path) -> std::io::Result<bool> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = match name.to_str() {
            Some(LOCK | recipe::FILE_NAME) => true,
            Some("samples" | "checkpoints") => std::fs::read_dir(entry.path())?.next().is_none(),
            _ => atomic::is_leftover(&name),
        };
        if !ours {
            return Ok(false);
        }
    }
    Ok(root.join(LOCK).is_file())
}

/// A run folder that this process holds.
#[derive(Debug)]
pub struct Run {
    root: PathBuf,
    _lock: File,
}

impl Run {
    /// Makes the folder, or takes over an existing run in it, and writes the recipe and `run.json`.
    ///
    /// # Errors
    /// It cannot be written to, or another process holds it.
    pub fn open(root: &Path, recipe: &Recipe, info: &Info) -> Result<Self, RunError> {
        let io = |action, path: &Path| {
            let path = path.to_path_buf();
            move |source| RunError::Io { action, path, source }
        };
        for folder in [root.to_path_buf(), root.join("samples"), root.join("checkpoints")] {
            std::fs::create_dir_all(&folder).map_err(io("make the folder", &folder))?;
        }
        let lock_path = root.join(LOCK);
        let lock = File::create(&lock_path).map_err(io("write", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RunError::Busy { path: root.into() }),
            Err(TryLockError::Error(error)) => return Err(io("lock", &lock_path)(error)),
        }
        for folder in [root.to_path_buf(), root.join("samples"), root.join("checkpoints")] {
            atomic::remove_leftovers(&folder).map_err(io("tidy", &folder))?;
        }
        let damaged = |error: String| RunError::Damaged { path: root.into(), reason: error };
        let write = |name: &str, bytes: &[u8]| {
            let path = root.join(name);
            atomic::write_durably(&path, bytes).map_err(io("write", &path))
        };
        let yaml = to_yaml(recipe).map_err(|error| damaged(error.to_string()))?;
        write(recipe::FILE_NAME, yaml.as_bytes())?;
        let json = serde_json::to_string_pretty(info).map_err(|error| damaged(error.to_string()))?;
        // Last, since a folder with a run.json counts as a run.
        write("run.json", format!("{json}\n").as_bytes())?;
        Ok(Self { root: root.into(), _lock: lock })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where full training states are.
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// Where sample grids are.
    pub fn samples(&self) -> PathBuf {
        self.root.join("samples")
    }

    /// Says what each row of the sample grids is of.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_rows(&self, rows: &[String]) -> Result<(), RunError> {
        let path = self.samples().join("rows.txt");
        let lines = rows.join("\n") + "\n";
        let written = atomic::write(&path, lines.as_bytes());
        written.map_err(|source| RunError::Io { action: "write", path, source })
    }

    /// Where ticks are.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }

    /// Where the shareable model is.
    pub fn model(&self) -> PathBuf {
        self.root.join(FILE_NAME)
    }
}

/// Whether files can be made in the nearest existing folder at or above `root`, found out by making one.
///
/// # Errors
/// They cannot.
pub fn check_writable(root: &Path) -> Result<(), RunError> {
    let existing = nearest_folder(root);
    atomic::try_writing(existing).map_err(|source| RunError::Io {
        action: "write into",
        path: existing.into(),
        source,
    })
}

/// The nearest existing folder at or above `root`.
pub fn nearest_folder(root: &Path) -> &Path {
    let found = root.ancestors().find(|path| path.is_dir());
    found.unwrap_or(Path::new("."))
}
