//! What is wrong with a recipe: what does not fit the schema, and the rules that the rest breaks.

use std::collections::HashSet;
use std::iter::once;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::check::{check, is_parent_misspelt};
use super::json_schema;
use super::link::is_link;
use super::mend::mended;
use super::parse::parse;
use super::presets::PRESETS;
use super::problem::Problem;
use super::rules::Invalid;
use super::schema::Recipe;
use super::tree::{Node, Place, Source, lay};
use super::wording::likely;
use crate::words::quoted;

/// The recipe of what is right in a tree, which was laid together of the texts called `names`. What is wrong is added to
/// `problems`, save what follows from those before. Where the tree lacks a parent nothing in it is missed.
pub(super) fn judge(
    tree: &Node,
    names: &[String],
    lacks_parent: bool,
    problems: &mut Vec<Problem>,
) -> Option<Recipe> {
    let schema = json_schema::complete();
    let lacks_parent = lacks_parent || is_parent_misspelt(tree, &schema);
    let mut found = check(tree, &schema, lacks_parent);
    let recipe = if lacks_parent {
        judge_part(tree, names, &schema, &mut found);
        None
    } else {
        judge_whole(tree, names, &mut found)
    };
    found.retain(|problem| problems.iter().all(|before| before.place != problem.place));
    problems.append(&mut found);
    recipe
}

fn judge_whole(tree: &Node, names: &[String], problems: &mut Vec<Problem>) -> Option<Recipe> {
    let wrong = fields(problems);
    let recipe: Recipe = match serde_yaml::from_value(mended(tree, "", &wrong)) {
        Ok(recipe) => recipe,
        Err(_) if !problems.is_empty() => return None,
        Err(error) => {
            problems.push(Problem::at(tree.place.clone(), error.to_string()));
            return None;
        }
    };
    let broken = broken(&recipe, |field| !follows(field, &wrong));
    problems.extend(broken.map(|rule| told(rule, tree, names)));
    Some(recipe)
}

/// Of a recipe whose parent is not known, the rules that read nothing but what it says itself.
fn judge_part(tree: &Node, names: &[String], schema: &Value, problems: &mut Vec<Problem>) {
    let Some(whole) = completed(tree) else { return };
    let wrong = fields(problems).into_iter().chain(fields(&check(&whole, schema, false))).collect::<Vec<_>>();
    let Ok(recipe) = serde_yaml::from_value::<Recipe>(mended(&whole, "", &wrong)) else { return };
    let is_said = |field: &str| {
        let found = tree.nearest(field);
        found.is_some_and(|(entry, is_itself)| is_itself && !entry.node.is_section())
    };
    let broken = broken(&recipe, |field| is_said(field) && !follows(field, &wrong));
    problems.extend(broken.map(|rule| told(rule, tree, names)));
}

/// A tree with some parent in the place of its own.
fn completed(tree: &Node) -> Option<Node> {
    let preset = PRESETS.iter().find(|preset| preset.name == "cyclegan")?;
    let source = Source { name: preset.name.into(), text: preset.yaml.into(), has_lines: true };
    Some(lay(parse(&Arc::new(source), &mut Vec::new())?, tree.clone()))
}

fn fields(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| problem.field.clone()).collect()
}

/// The broken rules that read nothing but fields that are known, of each field the first.
fn broken(recipe: &Recipe, is_known: impl Fn(&str) -> bool) -> impl Iterator<Item = Invalid> {
    let mut seen = HashSet::new();
    recipe.validate().into_iter().filter(move |rule| {
        let mut read = once(&rule.field).chain(&rule.given);
        read.all(|field| is_known(field)) && seen.insert(rule.field.clone())
    })
}

/// Whether a field is, holds or lies in one that is wrong, or may be what a wrong name was meant to be.
fn follows(field: &str, wrong: &[String]) -> bool {
    let same = |(a, b): (&str, &str)| a == b || a == "*";
    let meant = |wrong: &String| {
        let ((before, name), (wrong_before, wrong_name)) = (field.rsplit_once('.')?, wrong.rsplit_once('.')?);
        let beside = before.split('.').count() == wrong_before.split('.').count()
            && before.split('.').zip(wrong_before.split('.')).all(same);
        (beside && likely(wrong_name, &[name]).is_some()).then_some(())
    };
    wrong.iter().any(|it| field.split('.').zip(it.split('.')).all(same) || meant(it).is_some())
}

/// A broken rule with its place and what to do.
fn told(rule: Invalid, tree: &Node, names: &[String]) -> Problem {
    let (place, is_itself) = match tree.nearest(&rule.field) {
        Some((entry, true)) if !entry.node.is_section() => (&entry.node.place, true),
        Some((entry, _)) => (&entry.key, false),
        None => (&tree.place, false),
    };
    let heir = names.last().filter(|name| place.source.has_lines && **name != place.source.name);
    let extends = heir.map(|heir| format!(" (`{heir}` extends `{}`)", place.source.name));
    let message = format!("{rule}{}", extends.unwrap_or_default());
    let is_shipped = is_shipped(&place.source) && (is_itself || rule.works.is_some());
    let hint = rule.hint.clone().or_else(|| match (is_shipped, &rule.works) {
        (true, works) => Some(lay_over(&changes(&rule, works.as_deref().unwrap_or("…")), place, heir)),
        (false, Some(works)) => Some(write_instead(&changes(&rule, works), place)),
        (false, None) => None,
    });
    let problem = Problem { hint, ..Problem::at(place.clone(), message) };
    Problem { field: rule.field, ..problem }
}

fn is_shipped(source: &Source) -> bool {
    source.has_lines && PRESETS.iter().any(|preset| preset.name == source.name)
}

/// The fields that a broken rule wants changed, with values that work.
fn changes<'a>(rule: &'a Invalid, works: &'a str) -> Vec<(&'a str, &'a str)> {
    let also = rule.also.iter().map(|(field, works)| (field.as_str(), works.as_str()));
    once((rule.field.as_str(), works)).chain(also).collect()
}

/// What to do about a value that cannot be changed where it is written: `heir` is the recipe that extends that one.
fn lay_over(changes: &[(&str, &str)], place: &Place, heir: Option<&String>) -> String {
    if let Some(file) = heir.filter(|heir| !is_link(heir) && Path::new(heir).is_file()) {
        return format!("write {} in `{file}`", in_sections(changes));
    }
    let (name, another) =
        (&place.source.name, if changes.len() == 1 { "another value" } else { "other values" });
    format!("`{name}` is shipped: lay {another} over it, as in {}", as_sets(changes))
}

/// Values that work, as they are written at a place.
fn write_instead(changes: &[(&str, &str)], place: &Place) -> String {
    match changes {
        _ if !place.source.has_lines => format!("as in {}", as_sets(changes)),
        [(field, works)] => format!("as in `{}: {works}`", field.rsplit('.').next().unwrap_or(field)),
        _ => format!("as in {}", in_sections(changes)),
    }
}

fn as_sets(changes: &[(&str, &str)]) -> String {
    let sets = changes.iter().map(|(field, value)| format!("--set {field}={value}"));
    format!("`{}`", sets.collect::<Vec<_>>().join(" "))
}

/// As recipes are written, what is of one section together.
fn in_sections(changes: &[(&str, &str)]) -> String {
    let mut sections: IndexMap<&str, Vec<String>> = IndexMap::new();
    for (field, value) in changes {
        let (section, name) = field.rsplit_once('.').unwrap_or(("", field));
        sections.entry(section).or_default().push(format!("{name}: {value}"));
    }
    let written = sections.into_iter().map(|(section, fields)| {
        let outer = section.rsplit('.').filter(|name| !name.is_empty());
        outer.fold(fields.join(", "), |inner, name| format!("{name}: {{ {inner} }}"))
    });
    quoted(written, " and ")
}
