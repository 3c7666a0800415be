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
pub const RENAMED: Renames = &[];

/// Names that have changed.
pub type Renames = &'static [Rename];

/// Gives the fields of a tree their new names. What is to be told of each.
pub fn rename(root: &mut Node, table: Renames) -> Vec<String> {
    let told = |(place, Rename { old, new, .. }): (Place, &Rename)| {
        let at = place.short();
        let hint = if place.source.has_lines {
            "`translate recipe upgrade FILE` rewrites it".into()
        } else {
            format!("write `{new}` in its place")
        };
        format!("{at}: `{old}` is called `{new}` now\nhint: {hint}")
    };
    renamed(root, table).into_iter().map(told).collect()
}

/// Gives the fields of a tree their new names. The places of the old ones.
fn renamed(root: &mut Node, table: Renames) -> Vec<(Place, &'static Rename)> {
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

fn upgrade_by(name: &str, text: &str, table: Renames) -> Result<Upgraded, RecipeError> {
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
    use super::super::parents::{Layers, Origin};
    use super::super::resolve::{Resolved, complete};
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

    /// The recipe of a file, by the names of [`TABLE`].
    fn read(path: &std::path::Path, sets: &[&str]) -> Resolved {
        let origin = Origin::named(&path.display().to_string()).unwrap();
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        complete(Layers::read_by(origin, TABLE), &sets).unwrap()
    }

    #[test]
    fn a_recipe_of_old_names_trains_and_is_upgraded_in_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.yaml");
        let old = "# mine\nextends: cyclegan\noptimizer: { rate: 1e-3 } # fast\n";
        std::fs::write(&path, old).unwrap();
        let before = read(&path, &[]);
        assert_eq!((before.recipe.optim.lr, before.warnings.len()), (1e-3, 2));
        let Upgraded { text, changes } = upgrade_by("old.yaml", old, TABLE).unwrap();
        assert_eq!(changes.len(), 2);
        assert_eq!(text, "# mine\nextends: cyclegan\noptim: { lr: 1e-3 } # fast\n");
        std::fs::write(&path, text).unwrap();
        let after = read(&path, &[]);
        assert_eq!((after.recipe, after.warnings), (before.recipe, Vec::new()));
    }

    #[test]
    fn an_old_name_counts_over_a_parent_and_in_a_set() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("child.yaml");
        std::fs::write(folder.path().join("parent.yaml"), "extends: cyclegan\noptim: { lr: 1e-3 }\n")
            .unwrap();
        std::fs::write(&path, "extends: ./parent.yaml\noptim: { rate: 1e-2 }\n").unwrap();
        let child = read(&path, &[]);
        assert_eq!((child.recipe.optim.lr, child.warnings.len()), (1e-2, 1), "{:?}", child.warnings);
        let set = read(&path, &["optimizer.rate=0.1", "generators.x_to_y.net.filters=8"]);
        let generator = serde_json::to_value(&set.recipe.generators["x_to_y"]).unwrap();
        assert_eq!((set.recipe.optim.lr, &generator["net"]["width"]), (0.1, &8.into()));
        assert_eq!(
            set.warnings[1..],
            [
                "--set optimizer.rate=0.1: `optimizer` is called `optim` now\nhint: write `optim` in its place",
                "--set optimizer.rate=0.1: `rate` is called `lr` now\nhint: write `lr` in its place",
                "--set generators.x_to_y.net.filters=8: `filters` is called `width` now\nhint: write `width` in \
                 its place",
            ]
        );
    }
}
