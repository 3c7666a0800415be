//! From a name, a file or a link, and `--set` values, to a complete, checked recipe that knows where each value came from.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_yaml::{Mapping, Value};

use super::check::check;
use super::json_schema;
use super::link::LinkError;
use super::parents::{Layers, Origin};
use super::parse::parse;
use super::presets::PRESETS;
use super::problem::{Problem, Problems};
use super::rename::rename;
use super::schema::{FORMAT, Recipe, SINCE};
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
    let recipe = tree.as_ref().and_then(|tree| checked(tree, lacks_parent, &mut problems));
    match (recipe, tree) {
        (Some(recipe), Some(tree)) if problems.is_empty() => {
            Ok(Resolved { recipe, tree, parents: names, warnings })
        }
        _ => Err(RecipeError::Faulty(Problems::sorted(problems, &names))),
    }
}

/// The recipe of what is right in a tree. What is wrong is added to `problems`, save what follows from those before.
fn checked(tree: &Node, lacks_parent: bool, problems: &mut Vec<Problem>) -> Option<Recipe> {
    let mut found = check(tree, &json_schema::complete(), lacks_parent);
    let recipe = if lacks_parent { None } else { read(tree, &mut found) };
    found.retain(|problem| problems.iter().all(|before| before.place != problem.place));
    problems.append(&mut found);
    recipe
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
        let (place, is_itself) = match tree.nearest(&invalid.field) {
            Some((entry, true)) if !entry.node.is_section() => (&entry.node.place, true),
            Some((entry, _)) => (&entry.key, false),
            None => (&tree.place, false),
        };
        let works = invalid.works.as_deref();
        let hint = is_itself.then(|| over_shipped(&invalid.field, works, place)).flatten();
        let hint = hint.or_else(|| works.map(|works| write_instead(&invalid.field, works, place)));
        let problem = Problem { hint, ..Problem::at(place.clone(), invalid.to_string()) };
        problems.push(Problem { field: invalid.field, ..problem });
    }
    Some(recipe)
}

/// What to do about a value that cannot be changed where it is written.
fn over_shipped(field: &str, works: Option<&str>, place: &Place) -> Option<String> {
    let Source { name, has_lines, .. } = place.source.as_ref();
    let is_shipped = *has_lines && PRESETS.iter().any(|preset| preset.name == name);
    let value = works.unwrap_or("…");
    is_shipped
        .then(|| format!("`{name}` is shipped: lay another value over it, as in `--set {field}={value}`"))
}

/// A value that works, as it is written at a place.
fn write_instead(field: &str, works: &str, place: &Place) -> String {
    if place.source.has_lines {
        let name = field.rsplit('.').next().unwrap_or(field);
        format!("as in `{name}: {works}`")
    } else {
        format!("as in `--set {field}={works}`")
    }
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
