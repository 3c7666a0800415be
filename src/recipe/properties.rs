//! What holds for every recipe, tried on generated ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_yaml::{Mapping, Value};

use super::parse::parse;
use super::problem::Problem;
use super::tree::{Kind, Node, Place, Source, lay};
use super::{PRESETS, Recipe, diff, from_yaml, origins, resolve, to_yaml};
use crate::recipe::resolve_fully;

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(count) }
}

fn read(text: &str) -> (Option<Node>, Vec<Problem>) {
    let mut problems = Vec::new();
    let source = Arc::new(Source { name: "r.yaml".into(), text: text.into(), has_lines: true });
    (parse(&source, &mut problems), problems)
}

fn written(value: &Value) -> Node {
    read(&serde_yaml::to_string(value).unwrap()).0.unwrap()
}

/// A section in which a name says of what kind a value is: `s…` are sections, `v…` are single values, `l…` are lists.
fn section(depth: u32) -> BoxedStrategy<Value> {
    let single = ("v[ab]", any::<i8>().prop_map(Value::from)).boxed();
    let list = ("l[ab]", prop::collection::vec(any::<i8>(), 0..3).prop_map(Value::from)).boxed();
    let kind = ("kind", Just(Value::from("same"))).boxed();
    let field = if depth == 0 {
        prop_oneof![single, list, kind].boxed()
    } else {
        prop_oneof![single, list, kind, ("s[abc]", section(depth - 1))].boxed()
    };
    let fields = prop::collection::vec(field, 0..5);
    fields
        .prop_map(|fields| {
            Value::Mapping(fields.into_iter().map(|(k, v)| (Value::from(k), v)).collect::<Mapping>())
        })
        .boxed()
}

/// Any document of what recipes are written with.
fn document() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        "[a-z0-9ü🎨\n:#,.'\"{}_+-]{0,12}".prop_map(Value::from),
    ];
    scalar.prop_recursive(5, 40, 5, |inner| {
        let fields = prop::collection::vec(("[a-z_]{1,4}|[ -~]{1,6}", inner.clone()), 0..5);
        let map =
            |fields: Vec<(String, Value)>| fields.into_iter().map(|(k, v)| (Value::from(k), v)).collect();
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::Sequence),
            fields.prop_map(move |fields| Value::Mapping(map(fields))),
        ]
    })
}

/// Something like a number, or else a word.
const NUMBERS: &str = "[-+]?[0-9._]{0,4}([eExo]?[-+]?[0-9a-fA-F_]{0,2})|[~a-zA-Z.]{1,5}";

/// Something like YAML, with what is of more than one byte or breaks lines in unusual ways.
const NEARLY_YAML: &str = "[-a-c0-9:{}\\[\\],&*!|>'\"#%@`? \t\r\nü→🎨\u{0}\u{7}\u{85}\u{2028}\u{feff}]{0,40}";

/// All places in a tree.
fn places(node: &Node) -> Vec<Place> {
    let below: Vec<Place> = match &node.kind {
        Kind::Map(map) => map
            .values()
            .flat_map(|entry| std::iter::once(entry.key.clone()).chain(places(&entry.node)))
            .collect(),
        Kind::List(items) => items.iter().flat_map(places).collect(),
        Kind::Scalar(_) => Vec::new(),
    };
    std::iter::once(node.place.clone()).chain(below).collect()
}

/// The values and the lists of a tree by their paths, each with its place.
fn leaves(path: &str, node: &Node) -> BTreeMap<String, (Value, Place)> {
    let Some(map) = node.as_map() else {
        return BTreeMap::from([(path.into(), (node.to_value(), node.place.clone()))]);
    };
    map.iter().flat_map(|(name, entry)| leaves(&format!("{path}.{name}"), &entry.node)).collect()
}

fn check_places(text: &str) {
    let (node, problems) = read(text);
    assert!(node.is_some() || !problems.is_empty());
    let of_problems = problems.iter().filter_map(|problem| problem.place.clone());
    for place in node.iter().flat_map(places).chain(of_problems) {
        assert!(text.get(place.bytes.clone()).is_some(), "{:?} of {text:?}", place.bytes);
        assert!(!place.short().is_empty());
    }
    for problem in problems {
        assert!(problem.to_string().contains(&problem.message), "{problem}");
    }
}

/// Values that one field or another takes, and some that none does.
const VALUES: [&str; 18] = [
    "0",
    "1",
    "3",
    "64",
    "0.5",
    "1e-3",
    "true",
    "false",
    "hinge",
    "wgan-gp",
    "residual",
    "batch",
    "[0.5, 0.9]",
    "[]",
    "~",
    "",
    "{ kind: wgan }",
    "\"a: b = c\"",
];

/// The dotted path of every value of a recipe, and of every section.
fn paths(recipe: &Recipe) -> Vec<String> {
    fn collect(path: &str, value: &Value, found: &mut Vec<String>) {
        let Value::Mapping(map) = value else { return };
        for (key, value) in map {
            let name = key.as_str().unwrap();
            let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            collect(&path, value, found);
            found.push(path);
        }
    }
    let mut found = vec!["train.unknown".into()];
    collect("", &serde_yaml::to_value(recipe).unwrap(), &mut found);
    found
}

/// A value of a recipe, on one line.
fn value_of(recipe: &Recipe, path: &str) -> Option<String> {
    let value = serde_json::to_value(recipe).unwrap();
    Some(value.pointer(&format!("/{}", path.replace('.', "/")))?.to_string())
}

/// A recipe that extends `parent` and gives the field at `path` another value.
fn laid_over(parent: &str, path: &str, value: &str) -> String {
    let inner = path.rsplit('.').fold(value.to_string(), |inner, name| format!("{{ {name}: {inner} }}"));
    let fields = inner.strip_prefix("{ ").and_then(|rest| rest.strip_suffix(" }")).unwrap();
    format!("extends: {parent}\n{fields}\n")
}

fn check_itself(recipe: &Recipe) {
    let resolved = to_yaml(recipe).unwrap();
    let again = from_yaml("again", &resolved, &[]).unwrap();
    assert_eq!((recipe, &resolved), (&again, &to_yaml(&again).unwrap()));
    assert_eq!(diff(recipe, &again).unwrap(), []);
}

proptest! {
    #![proptest_config(cases(256))]

    /// With every value's place: where it is from does not depend on the order of laying either.
    #[test]
    fn recipes_can_be_laid_over_one_another_in_any_order(a in section(3), b in section(3), c in section(3)) {
        let [a, b, c] = [a, b, c].map(|value| written(&value));
        let left = lay(lay(a.clone(), b.clone()), c.clone());
        let right = lay(a, lay(b, c));
        prop_assert_eq!(format!("{left:?}"), format!("{right:?}"));
    }

    #[test]
    fn what_is_laid_over_wins_and_the_rest_stays(below in section(3), above in section(3)) {
        let [below, above] = [below, above].map(|value| written(&value));
        let mut expected = leaves("", &below);
        expected.extend(leaves("", &above));
        prop_assert_eq!(leaves("", &lay(below, above)), expected);
    }

    #[test]
    fn yaml_is_read_as_another_reader_does(value in document()) {
        let text = serde_yaml::to_string(&value).unwrap();
        let other: Value = serde_yaml::from_str(&text).unwrap();
        let (node, problems) = read(&text);
        prop_assert_eq!(problems, []);
        prop_assert_eq!(node.unwrap().to_value(), other, "{}", text);
    }

    #[test]
    fn numbers_are_read_as_another_reader_does(text in NUMBERS) {
        let ours = read(&text).0.map(|node| node.to_value());
        let is_nan = |value: &Value| value.as_f64().is_some_and(f64::is_nan);
        // YAML's core schema knows `010` and knows no `-0x1` and no `0b1`; the other reader has it the other way.
        let digits = text.trim_start_matches(['-', '+']);
        let is_odd = digits.starts_with('0') && !matches!(digits.as_bytes().get(1), None | Some(b'.' | b'e' | b'E'));
        if let (Some(ours), Ok(other), false) = (ours, serde_yaml::from_str::<Value>(&text), is_odd) {
            prop_assert!(ours == other || (is_nan(&ours) && is_nan(&other)), "{ours:?}, not {other:?}");
        }
    }

    #[test]
    fn places_lie_in_any_text(text in any::<String>()) {
        check_places(&text);
    }

    #[test]
    fn places_lie_in_what_is_nearly_yaml(text in NEARLY_YAML) {
        check_places(&text);
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn set_does_what_a_recipe_that_extends_does(
        preset in select(PRESETS), other in select(PRESETS), at in any::<Index>(), any in select(&VALUES[..]),
        is_any: bool,
    ) {
        let paths = paths(&resolve(preset.name, &[]).unwrap());
        let path = at.get(&paths);
        let others = value_of(&resolve(other.name, &[]).unwrap(), path).filter(|_| !is_any);
        let value = &others.unwrap_or_else(|| any.into());
        let set = resolve(preset.name, &[format!("{path}={value}")]);
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join("mine.yaml");
        std::fs::write(&mine, laid_over(preset.name, path, value)).unwrap();
        let file = resolve_fully(&mine.display().to_string(), &[]);
        prop_assert_eq!(set.is_ok(), file.is_ok(), "{}={}", path, value);
        if let (Ok(set), Ok(file)) = (set, file) {
            prop_assert_eq!(&set, &file.recipe);
            check_itself(&set);
            // What is still there where it was put is from there.
            let origins = origins(&file).unwrap();
            for it in origins.iter().filter(|it| it.field == *path) {
                prop_assert!(it.origin == format!("{}:2", mine.display()) || value == "~", "{it:?}");
            }
        }
    }
}
