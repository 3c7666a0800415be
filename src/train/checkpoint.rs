//! Checkpoints: the full training state in one file each, complete or absent, the last few kept.

use std::ffi::OsStr;
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
    let all = list(folder)?;
    for (_, old) in &all[..all.len().saturating_sub(keep)] {
        std::fs::remove_file(old).map_err(|source| StoreError::Io {
            action: "remove",
            path: old.clone(),
            source,
        })?;
    }
    Ok(())
}

/// The checkpoints in `folder` with their image counts, oldest first; none where there is no such folder.
///
/// # Errors
/// The folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let failed = |source| StoreError::Io { action: "look into", path: folder.into(), source };
    let mut all = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(all),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let is_ours = path.extension().is_some_and(|extension| extension == EXTENSION);
        let images = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.parse().ok());
        all.extend(images.filter(|_| is_ours).map(|images| (images, path)));
    }
    all.sort();
    Ok(all)
}

/// The newest checkpoint's image count and contents, if there is one.
///
/// # Errors
/// It cannot be read.
pub fn newest(folder: &Path) -> Result<Option<(u64, Stored)>, StoreError> {
    list(folder)?.pop().map(|(images, path)| Ok((images, read(&path)?))).transpose()
}
