//! From a name, a file or a link, and `--set` values, to a complete, checked recipe that knows where each value came from.

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_yaml::{Mapping, Value};

use super::check::check;
use super::json_schema;
use super::link::LinkError;
use super::parents::{Layers, Origin};
use super::parse::parse;
use super::problem::{Problem, Problems};
use super::schema::{FORMAT, Recipe};
use super::tree::{Entry, Kind, Node, Place, Source, lay};

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
    /// A file that cannot be read.
    #[error(
        "cannot read recipe `{path}`: {source}\nhint: name a text file (UTF-8) that you can read, or one of `translate \
         recipe list`"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
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
    /// A `--set` that is not `field=value`.
    #[error("`--set {given}`: {reason}; expected `field.path=value`, for instance `train.batch=4`")]
    Set {
        /// The argument.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A recipe that cannot be written as YAML.
    #[error("recipe `{name}` cannot be written as YAML: {source}")]
    Yaml {
        /// The recipe.
        name: String,
        /// What the writer says.
        source: serde_yaml::Error,
    },
}

impl From<Problem> for RecipeError {
    fn from(problem: Problem) -> Self {
        Self::Faulty(Problems(vec![problem]))
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

/// Reads the recipe called `name` and lays `sets` (each `a.b=value`, the value in YAML) over it, in order.
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
    complete(Layers::read(Origin::named(name)?)?, sets)
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
    complete(Layers::read(Origin::text(name, yaml))?, sets)
}

/// The recipe as YAML: complete and runnable.
///
/// # Errors
/// None in practice: a recipe holds only what YAML can.
pub fn to_yaml(recipe: &Recipe) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(recipe)
}

pub(super) fn complete(
    Layers { tree, names, warnings }: Layers,
    sets: &[String],
) -> Result<Resolved, RecipeError> {
    let mut tree = tree;
    for set in sets {
        tree = lay(tree, set_tree(set)?);
    }
    let schema = json_schema::complete();
    let mut problems = check(&tree, &schema);
    let recipe = read(&tree, &mut problems);
    match recipe {
        Some(recipe) if problems.is_empty() => Ok(Resolved { recipe, tree, parents: names, warnings }),
        _ => Err(RecipeError::Faulty(Problems::sorted(problems))),
    }
}

/// The recipe of what is right in a tree; what breaks the rules is added to `problems`. None where too little is right.
fn read(tree: &Node, problems: &mut Vec<Problem>) -> Option<Recipe> {
    let wrong: Vec<String> = problems.iter().map(|problem| problem.field.clone()).collect();
    let right = mended(tree, "", &wrong);
    let recipe: Recipe = match serde_yaml::from_value(right) {
        Ok(recipe) => recipe,
        Err(_) if !problems.is_empty() => return None,
        Err(error) => {
            problems.push(Problem::at(tree.place.clone(), error.to_string()));
            return None;
        }
    };
    let related = |field: &str, wrong: &String| {
        let inside = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('.'));
        inside(field, wrong) || inside(wrong, field)
    };
    for invalid in recipe.validate() {
        if wrong.iter().any(|wrong| related(&invalid.field, wrong)) {
            continue;
        }
        let place = tree.nearest(&invalid.field).map_or(&tree.place, |(entry, is_itself)| {
            if is_itself && !entry.node.is_section() { &entry.node.place } else { &entry.key }
        });
        // Whoever asks for larger images means this too.
        let small = invalid.field == "data.load_size" && recipe.data.load_size < recipe.data.size;
        let hint = small.then(|| format!("`--set data.load_size={}`", recipe.data.size));
        let problem = Problem { hint, ..Problem::at(place.clone(), invalid.to_string()) };
        problems.push(Problem { field: invalid.field, ..problem });
    }
    Some(recipe)
}

/// The values of a tree. Fields that are `wrong` have their defaults, or a stand-in where there is none, so that the others
/// can be checked too.
fn mended(node: &Node, path: &str, wrong: &[String]) -> Value {
    let Some(map) = node.as_map() else { return node.to_value() };
    let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    let is_wrong = |name: &str| wrong.contains(&below(name));
    if is_wrong("kind") {
        let kind = stand_in(&below("kind")).unwrap_or_default();
        return Mapping::from_iter([("kind".into(), kind)]).into();
    }
    let right = map.iter().filter(|(name, _)| !is_wrong(name));
    let right = right.map(|(name, entry)| (name.clone(), mended(&entry.node, &below(name), wrong)));
    let absent = REQUIRED.iter().filter(|(name, _)| is_wrong(name));
    let absent = absent.filter_map(|(name, _)| Some((name.to_string(), stand_in(&below(name))?)));
    right.chain(absent).map(|(name, value)| (Value::from(name), value)).collect::<Mapping>().into()
}

/// Fields without a default, but for a `kind`, and a value that breaks no rule by itself.
const REQUIRED: [(&str, u64); 4] =
    [("format", FORMAT as u64), ("size", 256), ("load_size", 256), ("images", 1)];

/// A value for the field at `path`.
fn stand_in(path: &str) -> Option<Value> {
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    let kind = match section.split('.').next() {
        Some("generators") => "resnet",
        Some("discriminators") => "patch",
        Some("conditions") if section.ends_with("encoder") => "gru",
        Some("conditions") => "label",
        _ => "lsgan",
    };
    let number = REQUIRED.iter().find(|(field, _)| *field == name).map(|(_, number)| Value::from(*number));
    if name == "kind" { Some(kind.into()) } else { number }
}

/// The tree that holds nothing but the field of a `--set`.
fn set_tree(set: &str) -> Result<Node, RecipeError> {
    let bad = |reason: &str| RecipeError::Set { given: set.into(), reason: reason.into() };
    let (path, value) = set.split_once('=').ok_or_else(|| bad("there is no `=`"))?;
    if path.split('.').any(str::is_empty) {
        return Err(bad("a part of the field's path is empty"));
    }
    let source = Arc::new(Source { name: "--set".into(), text: set.into(), has_lines: false });
    let alone = Arc::new(Source { name: "--set".into(), text: value.into(), has_lines: false });
    let at = path.len() + 1;
    let mut node = parse(&alone).map_err(|problem| problem.moved(&source, at))?.moved(&source, at);
    let mut end = path.len();
    for key in path.rsplit('.') {
        let bytes = end - key.len()..end;
        end = bytes.start.saturating_sub(1);
        let place = Place { source: Arc::clone(&source), bytes };
        let whole = Place { source: Arc::clone(&source), bytes: place.bytes.start..set.len() };
        let map = IndexMap::from([(key.to_string(), Entry { key: place, node })]);
        node = Node { place: whole, kind: Kind::Map(map) };
    }
    Ok(node)
}

#[cfg(test)]
mod tests;
