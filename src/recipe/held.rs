//! Recipes that runs and models hold: complete, so that reading one asks nobody for anything else.

use std::path::Path;

use super::file::{MOST, read_file};
use super::parents::Origin;
use super::resolve::RecipeError;
use crate::torch::store;

/// The file of a run folder that holds its recipe.
pub const FILE_NAME: &str = "recipe.yaml";

/// The key of a model file's metadata that holds its recipe.
pub const KEY: &str = "recipe";

/// The recipe that the run folder or the model file `path` holds; none where it is neither.
///
/// # Errors
/// It is a folder or a model file without a readable recipe, or a checkpoint of `PyTorch`.
pub(super) fn held(path: &Path) -> Result<Option<Origin>, RecipeError> {
    if path.is_dir() {
        return of_run(path).map(Some);
    }
    store::refuse_checkpoint(path)?;
    let is_model = path.exists() && is_called_model(path) || store::is_safetensors(path);
    if is_model { of_model(path).map(Some) } else { Ok(None) }
}

/// Whether it holds a recipe, as far as its name and its first bytes tell.
pub(super) fn may_hold(path: &Path) -> bool {
    path.join(FILE_NAME).is_file() || is_called_model(path) || store::is_safetensors(path)
}

fn is_called_model(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors")
}

fn of_run(folder: &Path) -> Result<Origin, RecipeError> {
    let path = folder.join(FILE_NAME);
    if !path.is_file() {
        return Err(RecipeError::NoRun { path: folder.into() });
    }
    let instead = format!("a run whose `{FILE_NAME}` is a text (UTF-8) of at most {} KiB", MOST >> 10);
    let text =
        read_file(&path).map_err(|source| RecipeError::Read { path: path.clone(), source, instead })?;
    Ok(Origin::text(&path.display().to_string(), &text))
}

fn of_model(path: &Path) -> Result<Origin, RecipeError> {
    let none = |reason: String| RecipeError::NotHeld { path: path.into(), reason };
    let text = store::metadata(path)?.remove(KEY);
    let text = text.ok_or_else(|| none("it is a safetensors file, but no model of this program".into()))?;
    if text.len() as u64 > MOST {
        return Err(none(format!("what it calls one is larger than {} KiB", MOST >> 10)));
    }
    Ok(Origin::text(&path.display().to_string(), &text))
}
