//! A recipe to begin with, which extends another or is a copy of it.

use std::fs::canonicalize;
use std::path::Path;

use serde_yaml::Value;

use super::held::held;
use super::link::is_link;
use super::origin::one_line;
use super::parents::{Layers, Origin};
use super::presets::PRESETS;
use super::resolve::{RecipeError, Resolved, complete, to_yaml};
use super::schema::{FORMAT, Recipe};
use crate::atomic::folder_of;

/// The name of the schema that lies beside recipes for editors.
pub const SCHEMA_FILE: &str = "recipe.schema.json";

/// The line that a recipe describes itself by.
const ABOUT: &str = "one line on what this is for";

/// The text of a new recipe at `path`, and what is to be told of `from`: it extends that one, or holds the same where that is
/// a run's or a model's.
///
/// # Errors
/// There is no such recipe, it is not valid, or the new one could not extend it.
pub fn starter(from: &str, path: &Path) -> Result<(String, Vec<String>), RecipeError> {
    let schema = format!("# yaml-language-server: $schema={SCHEMA_FILE}");
    if let Some(held) = if has_own_name(from) { None } else { held(Path::new(from))? } {
        let Resolved { recipe, warnings, .. } = complete(Layers::read(held), &[])?;
        let text = to_yaml(&Recipe { about: ABOUT.into(), ..recipe });
        let text = text.map_err(|source| RecipeError::Yaml { name: from.into(), source })?;
        return Ok((format!("{schema}\n{text}"), warnings));
    }
    let parent = one_line(&Value::from(seen_from(path, from)?));
    let text = format!("{schema}\nformat: {FORMAT}\nextends: {parent}\nabout: {ABOUT}\n");
    let Resolved { warnings, .. } = complete(Layers::read(Origin::draft(path, &text)), &[])?;
    Ok((text, warnings))
}

/// Whether it is the same from any folder.
fn has_own_name(name: &str) -> bool {
    PRESETS.iter().any(|preset| preset.name == name) || is_link(name)
}

/// What a recipe at `path` has to say to extend `from`: of a file that is there, its way from the new one's folder.
fn seen_from(path: &Path, from: &str) -> Result<String, RecipeError> {
    let file = Path::new(from);
    if has_own_name(from) || !file.is_file() {
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
