//! Old names of fields: they still work, with a warning, and `translate recipe upgrade` rewrites them.

use std::cmp::Reverse;
use std::sync::Arc;

use super::parse::parse;
use super::problem::Problems;
use super::resolve::RecipeError;
use super::tree::{Entry, Kind, Node, Place, Source};

/// A field that has got another name in its section.
#[derive(Debug, Clone, Copy)]
pub struct Rename {
    /// Dotted path of the section, `*` for any name; empty at the root.
    pub section: &'static str,
    /// What it was called.
    pub old: &'static str,
    /// What it is called.
    pub new: &'static str,
}

/// All that have been renamed since format 1 began; none so far.
pub const RENAMED: &[Rename] = &[];

/// Gives the fields of a tree their new names. What is to be told of each.
pub fn rename(root: &mut Node, table: &'static [Rename]) -> Vec<String> {
    let told = |(place, Rename { old, new, .. }): (Place, &Rename)| {
        let at = place.short();
        format!("{at}: `{old}` is called `{new}` now\nhint: `translate recipe upgrade FILE` rewrites it")
    };
    renamed(root, table).into_iter().map(told).collect()
}

/// Gives the fields of a tree their new names. The places of the old ones.
fn renamed(root: &mut Node, table: &'static [Rename]) -> Vec<(Place, &'static Rename)> {
    let mut changes = Vec::new();
    for change in table {
        for section in sections(root, change.section) {
            let Kind::Map(map) = &mut section.kind else { continue };
            // Where both are there, the old one is left, and refused as unknown.
            if map.contains_key(change.new) {
                continue;
            }
            let Some((index, _, entry)) = map.shift_remove_full(change.old) else { continue };
            changes.push((entry.key.clone(), change));
            map.shift_insert(index, change.new.into(), entry);
        }
    }
    changes
}

/// The sections at a path.
fn sections<'a>(root: &'a mut Node, path: &str) -> Vec<&'a mut Node> {
    let mut found = vec![root];
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let below = |node: &'a mut Node| {
            let Kind::Map(map) = &mut node.kind else { return Vec::new() };
            let fits = map.iter_mut().filter(|(name, _)| part == "*" || *name == part);
            fits.map(|(_, Entry { node, .. })| node).collect()
        };
        found = found.into_iter().flat_map(below).collect();
    }
    found
}

/// A text with new names.
#[derive(Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The text; all but the names is as it was.
    pub text: String,
    /// What was changed, as in `r.yaml:3: a -> b`.
    pub changes: Vec<String>,
}

/// Rewrites the old names in a recipe's text.
///
/// # Errors
/// It is not YAML.
pub fn upgrade(name: &str, text: &str) -> Result<Upgraded, RecipeError> {
    upgrade_by(name, text, RENAMED)
}

fn upgrade_by(name: &str, text: &str, table: &'static [Rename]) -> Result<Upgraded, RecipeError> {
    let source = Arc::new(Source { name: name.into(), text: text.into(), has_lines: true });
    let mut problems = Vec::new();
    let (Some(mut root), true) = (parse(&source, &mut problems), problems.is_empty()) else {
        return Err(RecipeError::Faulty(Problems::sorted(problems, &[name.to_string()])));
    };
    let mut edits = renamed(&mut root, table);
    // From the end, so that the places before stay where they are.
    edits.sort_by_key(|(place, _)| Reverse(place.bytes.start));
    let mut new = text.to_string();
    for (place, change) in &edits {
        new.replace_range(place.bytes.clone(), change.new);
    }
    let told =
        |(place, Rename { old, new, .. }): &(Place, &Rename)| format!("{}: {old} -> {new}", place.short());
    Ok(Upgraded { text: new, changes: edits.iter().rev().map(told).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Rename] = &[
        Rename { section: "", old: "optimizer", new: "optim" },
        Rename { section: "optim", old: "rate", new: "lr" },
        Rename { section: "generators.*.net", old: "filters", new: "width" },
    ];

    const OLD: &str = "# mine\noptimizer: { rate: 1, betas: [0, 1] } # kept\ngenerators:\n  a: { net: { filters: 3 } }\n  'b':\n    \
                       net: { \"filters\": 4, x: filters }\n";

    #[test]
    fn old_names_are_read_and_told_of() {
        let source = Arc::new(Source { name: "r.yaml".into(), text: OLD.into(), has_lines: true });
        let mut root = parse(&source, &mut Vec::new()).unwrap();
        let told = rename(&mut root, TABLE);
        let firsts: Vec<&str> = told.iter().filter_map(|text| text.lines().next()).collect();
        assert_eq!(
            firsts,
            [
                "r.yaml:2: `optimizer` is called `optim` now",
                "r.yaml:2: `rate` is called `lr` now",
                "r.yaml:4: `filters` is called `width` now",
                "r.yaml:6: `filters` is called `width` now"
            ]
        );
        let expected: serde_yaml::Value = serde_yaml::from_str(
            "{ optim: { lr: 1, betas: [0, 1] }, generators: { a: { net: { width: 3 } }, b: { net: { width: 4, x: filters } } } }",
        )
        .unwrap();
        assert_eq!(root.to_value(), expected);
        assert!(rename(&mut root, TABLE).is_empty());
    }

    #[test]
    fn an_upgrade_changes_the_names_and_nothing_else() {
        let upgraded = upgrade_by("r.yaml", OLD, TABLE).unwrap();
        let expected = "# mine\noptim: { lr: 1, betas: [0, 1] } # kept\ngenerators:\n  a: { net: { width: 3 } }\n  'b':\n    \
                        net: { width: 4, x: filters }\n";
        assert_eq!(upgraded.text, expected);
        assert_eq!(
            upgraded.changes,
            [
                "r.yaml:2: optimizer -> optim",
                "r.yaml:2: rate -> lr",
                "r.yaml:4: filters -> width",
                "r.yaml:6: filters -> width"
            ]
        );
        let again = upgrade_by("r.yaml", expected, TABLE).unwrap();
        assert_eq!((again.text.as_str(), again.changes.len()), (expected, 0));
        // With both names there, nothing is lost.
        let both = "optim: 1\noptimizer: 2\n";
        assert_eq!(upgrade_by("r.yaml", both, TABLE).unwrap().text, both);
    }
}
