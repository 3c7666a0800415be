//! What is said of wrong recipes, word for word: the recipes of `wrong_recipes/cases.txt`, each with its message, in
//! `snapshots/`. After a change of words: `INSTA_UPDATE=always cargo test wrong_recipes`, and read what has changed.

use std::fmt::Write as _;
use std::path::Path;

use translate::recipe::resolve;

const CASES: &str = include_str!("wrong_recipes/cases.txt");

#[test]
fn every_wrong_recipe_is_told_what_is_wrong_with_it() {
    let mut told = String::new();
    let cases: Vec<&str> = CASES.split("== ").skip(1).collect();
    assert!(cases.len() >= 25);
    for case in cases {
        let (title, parts) = case.split_once('\n').unwrap();
        write!(told, "== {title}\n{parts}>>\nerror: {}\n\n", message(title, parts)).unwrap();
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("wrong_recipes", told);
    });
}

/// Writes the files of a case into a folder, and reads `mine.yaml` with its `--set` values.
fn message(title: &str, parts: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut sets = Vec::new();
    for part in parts.split("-- ").skip(1) {
        let (name, text) = part.split_once('\n').unwrap();
        match name.strip_prefix("set ") {
            Some(set) => sets.push(set.to_string()),
            None => std::fs::write(folder.path().join(name), text).unwrap(),
        }
    }
    let mine = folder.path().join("mine.yaml").display().to_string();
    let error = resolve(&mine, &sets).expect_err(title).to_string();
    without(folder.path(), &error)
}

/// A message with paths as they are for who works in `folder`.
fn without(folder: &Path, message: &str) -> String {
    message.replace(&format!("{}/", folder.display()), "")
}
