//! From a name, a file or a link, and `--set` values, to a complete, checked recipe that knows where each value came from.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use super::held::FILE_NAME;
use super::judge::judge;
use super::link::LinkError;
use super::parents::{Layers, Origin};
use super::parse::{DEEPEST, parse};
use super::problem::{Problem, Problems};
use super::rename::rename;
use super::schema::{Recipe, SINCE};
use super::tree::{Entry, Kind, Node, Place, Source, lay};
use crate::torch::store::{IsCheckpoint, StoreError};

/// Why a recipe cannot be used. Each message names the recipe, the field and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// Neither a shipped recipe nor a file.
    #[error(
        "no recipe `{name}`: it is neither a file nor one of {known}{closest}\nhint: `translate recipe list` says what \
         each is for"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// The shipped names.
        known: String,
        /// `; did you mean …?`, or empty.
        closest: String,
    },
    /// A file that is not there.
    #[error("no recipe file `{path}`\nhint: {hint}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// What may be meant, or how to make it.
        hint: String,
    },
    /// A file that cannot be read.
    #[error("cannot read recipe `{path}`: {source}\nhint: name {instead}, or one of `translate recipe list`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
        /// What could be named.
        instead: String,
    },
    /// A folder that no run made.
    #[error("`{path}` is no run folder: it has no `{FILE_NAME}`\nhint: name a run, a model file or a recipe")]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A model file that cannot be read.
    #[error("{0}{hint}", hint = model_hint(.0))]
    Model(#[from] StoreError),
    /// A file of tensors alone.
    #[error(
        "`{path}` holds no recipe: {reason}\nhint: name the model or the run that it was made of, or one of `translate \
         recipe list`"
    )]
    NotHeld {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A checkpoint of `PyTorch`.
    #[error(transparent)]
    Checkpoint(#[from] IsCheckpoint),
    /// A parent that lies where the new recipe cannot extend it.
    #[error(
        "`{from}` does not lie in `{folder}`, the folder of the new recipe, or below\nhint: copy it there, or write the new \
         recipe beside it, so that both can be sent together"
    )]
    Outside {
        /// The parent.
        from: String,
        /// The folder of the new recipe.
        folder: PathBuf,
    },
    /// A link that leads to no recipe.
    #[error("recipe `{link}`: {source}")]
    Link {
        /// The link.
        link: String,
        /// Why.
        source: LinkError,
    },
    /// Mistakes in a recipe or in a `--set`.
    #[error("{0}")]
    Faulty(Problems),
    /// A recipe that cannot be written as YAML.
    #[error("recipe `{name}` cannot be written as YAML: {source}")]
    Yaml {
        /// The recipe.
        name: String,
        /// What the writer says.
        source: serde_yaml::Error,
    },
}

/// What to do about a model file; of one that cannot be read its error says that.
const fn model_hint(error: &StoreError) -> &'static str {
    match error {
        StoreError::Io { .. } => "",
        _ => "\nhint: name a model file, a run or a recipe; if it is a model, copy it again",
    }
}

/// A complete recipe, and what it was made of.
#[derive(Debug)]
pub struct Resolved {
    /// The recipe.
    pub recipe: Recipe,
    /// Its values as written, with their places.
    pub tree: Node,
    /// Names of the recipe and of those that it extends, itself last.
    pub parents: Vec<String>,
    /// What is to be told: old names, links without a hash.
    pub warnings: Vec<String>,
}

/// Reads the recipe called `name`, as [`Origin::named`] finds it, and lays `sets` (each `a.b=value`, the value in YAML) over it, in order.
///
/// # Errors
/// Anything that keeps the result from being a complete, valid recipe.
pub fn resolve(name: &str, sets: &[String]) -> Result<Recipe, RecipeError> {
    Ok(resolve_fully(name, sets)?.recipe)
}

/// As [`resolve`], with where each value came from.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_fully(name: &str, sets: &[String]) -> Result<Resolved, RecipeError> {
    complete(Layers::read(Origin::named(name)?), sets)
}

/// As [`resolve`], for YAML text at hand; `name` is for messages.
///
/// # Errors
/// Anything that keeps the result from being a complete, valid recipe.
pub fn from_yaml(name: &str, yaml: &str, sets: &[String]) -> Result<Recipe, RecipeError> {
    Ok(from_yaml_fully(name, yaml, sets)?.recipe)
}

/// As [`from_yaml`], with where each value came from.
///
/// # Errors
/// As [`from_yaml`].
pub fn from_yaml_fully(name: &str, yaml: &str, sets: &[String]) -> Result<Resolved, RecipeError> {
    complete(Layers::read(Origin::text(name, yaml)), sets)
}

/// The recipe as YAML: complete and runnable, with the version of the program that it needs.
///
/// # Errors
/// None in practice: a recipe holds only what YAML can.
pub fn to_yaml(recipe: &Recipe) -> Result<String, serde_yaml::Error> {
    Ok(format!("needs: {SINCE}\n{}", serde_yaml::to_string(recipe)?))
}

/// Lays `sets` over a recipe and checks all of it.
pub(super) fn complete(layers: Layers, sets: &[String]) -> Result<Resolved, RecipeError> {
    let Layers { mut tree, names, mut warnings, mut problems, lacks_parent, renames } = layers;
    for set in sets {
        if let Some(mut over) = set_tree(set, &mut problems) {
            warnings.extend(rename(&mut over, renames));
            tree = tree.map(|tree| lay(tree, over));
        }
    }
    let recipe = tree.as_ref().and_then(|tree| judge(tree, &names, lacks_parent, &mut problems));
    match (recipe, tree) {
        (Some(recipe), Some(tree)) if problems.is_empty() => {
            Ok(Resolved { recipe, tree, parents: names, warnings })
        }
        _ => Err(RecipeError::Faulty(Problems::sorted(problems, &names))),
    }
}

/// What a `--set` is shown with.
const SET: &str = "--set ";

/// The tree that holds nothing but the field of a `--set`. Where there is none, `problems` holds why.
fn set_tree(set: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let of = |text: String| Arc::new(Source { name: "--set".into(), text, has_lines: false });
    let source = of(format!("{SET}{set}"));
    let place = |bytes: Range<usize>| Place { source: Arc::clone(&source), bytes };
    let (path, value) = set.split_once('=').unwrap_or((set, ""));
    let end = SET.len() + path.len();
    let mut refuse = |message: &str, hint: &str| {
        problems.push(Problem::at(place(SET.len()..end), message).hint(hint));
        None
    };
    let example = "as in `--set train.batch=4`";
    if path.len() == set.len() {
        return refuse("there is no `=`; expected `FIELD=VALUE`", example);
    }
    if path.split('.').any(str::is_empty) {
        return refuse("a part of the field's path is empty; expected `FIELD=VALUE`", example);
    }
    if path.split('.').count() > DEEPEST {
        return refuse("the field's path has too many parts; a recipe needs five or six", example);
    }
    if path == "extends" {
        return refuse("`extends` is written in a file alone", "`-r` names the recipe to begin with");
    }
    if path == "needs" {
        return refuse("`needs` is written in a file alone", "leave it out: it changes nothing");
    }
    let mut wrong = Vec::new();
    let read = parse(&of(value.into()), &mut wrong);
    problems.extend(wrong.into_iter().map(|problem| problem.moved(&source, end + 1)));
    let mut node = read?.moved(&source, end + 1);
    let mut end = end;
    for key in path.rsplit('.') {
        let start = end - key.len();
        let map = IndexMap::from([(key.to_string(), Entry { key: place(start..end), node })]);
        node = Node { place: place(start..source.text.len()), kind: Kind::Map(map) };
        end = start - 1;
    }
    Some(node)
}

#[cfg(test)]
mod tests;
