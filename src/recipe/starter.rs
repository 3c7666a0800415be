//! A recipe to begin with, which extends another.

use std::fs::canonicalize;
use std::path::Path;

use serde_yaml::Value;

use super::link::is_link;
use super::origin::one_line;
use super::parents::{Layers, Origin};
use super::presets::PRESETS;
use super::resolve::{RecipeError, Resolved, complete};
use super::schema::FORMAT;
use crate::atomic::folder_of;

/// The name of the schema that lies beside recipes for editors.
pub const SCHEMA_FILE: &str = "recipe.schema.json";

/// The text of a new recipe at `path` that extends `from`, and what is to be told of that one.
///
/// # Errors
/// There is no such parent, it is not valid, or the new recipe could not extend it.
pub fn starter(from: &str, path: &Path) -> Result<(String, Vec<String>), RecipeError> {
    let parent = one_line(&Value::from(seen_from(path, from)?));
    let about = "one line on what this is for";
    let text = format!(
        "# yaml-language-server: $schema={SCHEMA_FILE}\nformat: {FORMAT}\nextends: {parent}\nabout: {about}\n"
    );
    let Resolved { warnings, .. } = complete(Layers::read(Origin::draft(path, &text)), &[])?;
    Ok((text, warnings))
}

/// What a recipe at `path` has to say to extend `from`: of a file that is there, its way from the new one's folder.
fn seen_from(path: &Path, from: &str) -> Result<String, RecipeError> {
    let file = Path::new(from);
    if PRESETS.iter().any(|preset| preset.name == from) || is_link(from) || !file.is_file() {
        return Ok(from.into());
    }
    let unread = |source| RecipeError::Read { path: file.into(), source, instead: "a file".into() };
    let folder = canonicalize(folder_of(path)).map_err(unread)?;
    let place = canonicalize(folder_of(file)).map_err(unread)?;
    let name = file.file_name().unwrap_or_default();
    let inside =
        place.strip_prefix(&folder).ok().and_then(|below| Some(below.join(name).to_str()?.to_string()));
    inside
        .map(|inside| format!("./{inside}"))
        .ok_or_else(|| RecipeError::Outside { from: from.into(), folder: folder_of(path).into() })
}
