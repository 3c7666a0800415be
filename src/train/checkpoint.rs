//! Checkpoints: the full training state in one file each, complete or absent, the last few kept.

use std::path::{Path, PathBuf};

use super::state::State;
use crate::torch::store::{Metadata, StoreError, Stored, read, write};

const EXTENSION: &str = "safetensors";

/// Saves `state` as `folder/<images>.safetensors` and removes all but the newest `keep`.
///
/// # Errors
/// The file system's.
pub fn save(
    folder: &Path,
    state: &State,
    images: u64,
    keep: usize,
    metadata: Metadata,
) -> Result<(), StoreError> {
    write(&folder.join(format!("{images:09}.{EXTENSION}")), &state.tensors(), metadata)?;
    let all = list(folder);
    for (_, old) in &all[..all.len().saturating_sub(keep)] {
        std::fs::remove_file(old).map_err(|source| StoreError::Io {
            action: "remove",
            path: old.clone(),
            source,
        })?;
    }
    Ok(())
}

/// The checkpoints in `folder` with their image counts, oldest first.
pub fn list(folder: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let numbered = |path: PathBuf| {
        let is_ours = path.extension().is_some_and(|extension| extension == EXTENSION);
        let images = path.file_stem()?.to_str()?.parse().ok()?;
        is_ours.then_some((images, path))
    };
    let mut all: Vec<_> = entries.filter_map(numbered).collect();
    all.sort();
    all
}

/// The newest checkpoint's image count and contents, if there is one.
///
/// # Errors
/// It cannot be read.
pub fn newest(folder: &Path) -> Result<Option<(u64, Stored)>, StoreError> {
    list(folder).pop().map(|(images, path)| Ok((images, read(&path)?))).transpose()
}
