//! Checks a tree of values against the schema of a recipe: every field that is unknown, missing or of a wrong type, all at
//! once, each with its place and what was probably meant.

use indexmap::IndexMap;
use serde_json::Value;
use serde_yaml::Value as Yaml;

use super::aliases::{EXTENDS, meaning, value_meaning};
use super::problem::{MOST, Problem};
use super::tree::{Entry, Kind, Node, Place};
use super::wording::{found, intended, likely, listed};
use crate::words::quoted;

/// Every misfit between `root` and `schema`. Where the recipe is a part of one, nothing in it is missed.
pub fn check(root: &Node, schema: &Value, is_part: bool) -> Vec<Problem> {
    let mut checker = Checker { schema, is_part, problems: Vec::new() };
    // What the whole of a recipe is said to lack is shown at its beginning.
    let start = root.place.bytes.start;
    let place = Place { bytes: start..start, ..root.place.clone() };
    checker.value("", &place, root, schema);
    checker.problems
}

/// Whether a recipe has no `extends`, but a name that was meant to be it.
pub fn is_parent_misspelt(root: &Node, schema: &Value) -> bool {
    let Some(fields) = schema.get("properties").and_then(Value::as_object) else { return false };
    let known: Vec<&str> = fields.keys().map(String::as_str).chain(["extends", "needs"]).collect();
    let names = root.as_map().into_iter().flatten().filter(|(name, _)| !known.contains(&name.as_str()));
    names.into_iter().any(|(name, entry)| {
        let is_meant =
            meaning(name).map_or_else(|| likely(name, &known) == Some("extends"), |it| it == EXTENDS);
        is_meant && entry.node.as_str().is_some()
    })
}

struct Checker<'a> {
    schema: &'a Value,
    is_part: bool,
    problems: Vec<Problem>,
}

/// `a.b`, or `b` at the root.
fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}.{name}") }
}

impl<'a> Checker<'a> {
    fn report(&mut self, field: String, place: &Place, message: String, hint: Option<String>) {
        self.problems.push(Problem { message, place: Some(place.clone()), hint, field });
    }

    /// The definition that a schema refers to, or itself.
    fn follow(&self, schema: &'a Value) -> &'a Value {
        let reference = schema.get("$ref").or_else(|| schema.get("allOf")?.get(0)?.get("$ref"));
        let pointer = reference.and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
        pointer.and_then(|pointer| self.schema.pointer(pointer)).unwrap_or(schema)
    }

    fn value(&mut self, path: &str, key: &Place, node: &Node, schema: &'a Value) {
        let schema = self.follow(schema);
        if let Some(kinds) = schema.get("oneOf").and_then(Value::as_array) {
            if kinds.iter().all(|kind| kind.get("properties").is_some()) {
                self.tagged(path, key, node, kinds);
            } else {
                self.name(path, node, kinds);
            }
            return;
        }
        match (type_of(schema), &node.kind) {
            (Some("object"), Kind::Map(map)) => self.fields(path, key, map, schema),
            (Some("array"), Kind::List(items)) => self.items(path, node, items, schema),
            (Some("object" | "array"), _) | (_, Kind::Map(_) | Kind::List(_)) => {
                self.misfit(path, node, schema);
            }
            (Some(kind), Kind::Scalar(value)) if !fits(value, kind, schema) => {
                self.misfit(path, node, schema);
            }
            _ => {}
        }
    }

    fn misfit(&mut self, path: &str, node: &Node, schema: &Value) {
        let wanted = wanted(schema);
        let message = format!("`{path}` is {}; expected {wanted}", found(node));
        if is_too_large(node, schema) {
            let message = format!("{message} to {}", most(schema));
            return self.report(path.into(), &node.place, message, None);
        }
        let hint = intended(node, &wanted);
        self.report(path.into(), &node.place, message, hint);
    }

    /// One of some names.
    fn name(&mut self, path: &str, node: &Node, names: &'a [Value]) {
        let known: Vec<&str> = names.iter().filter_map(|name| name.get("const")?.as_str()).collect();
        if node.as_str().is_some_and(|name| known.contains(&name)) {
            return;
        }
        let message = format!("`{path}` is {}; expected {}", found(node), listed(&known));
        self.report(path.into(), &node.place, message, name_advice(node, &known));
    }

    /// A section whose fields depend on its `kind`.
    fn tagged(&mut self, path: &str, key: &Place, node: &Node, kinds: &'a [Value]) {
        let name = |kind: &'a Value| kind.pointer("/properties/kind/const").and_then(Value::as_str);
        let known: Vec<&str> = kinds.iter().filter_map(name).collect();
        let Some(map) = node.as_map() else {
            let message = format!("`{path}` is {}; expected a section of fields with a `kind`", found(node));
            let hint = node.as_str().map(|kind| match (value_meaning(kind, &known), likely(kind, &known)) {
                (Some(written), _) => format!("write `{{ {written} }}`"),
                (None, near) => format!("write `{{ kind: {} }}`", near.unwrap_or(kind)),
            });
            return self.report(path.into(), &node.place, message, hint);
        };
        let Some(kind) = map.get("kind") else {
            if self.is_part {
                return;
            }
            let message = format!("`{path}.kind` is missing; expected {}", listed(&known));
            return self.report(below(path, "kind"), key, message, None);
        };
        let chosen = kinds.iter().find(|one| name(one).is_some() && name(one) == kind.node.as_str());
        let Some(chosen) = chosen else {
            let message = format!("`{path}.kind` is {}; expected {}", found(&kind.node), listed(&known));
            let hint = name_advice(&kind.node, &known);
            return self.report(below(path, "kind"), &kind.node.place, message, hint);
        };
        self.fields(path, key, map, chosen);
    }

    fn fields(&mut self, path: &str, key: &Place, map: &IndexMap<String, Entry>, schema: &'a Value) {
        let known: IndexMap<&str, &Value> = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.as_str(), v))
            .collect();
        let rest = schema.get("additionalProperties").filter(|rest| rest.is_object());
        let names = schema.pointer("/propertyNames/enum").and_then(Value::as_array);
        for (name, entry) in map {
            if self.problems.len() >= MOST {
                return;
            }
            let path = below(path, name);
            if let Some(schema) = known.get(name.as_str()) {
                self.value(&path, &entry.key, &entry.node, schema);
            } else if let Some(rest) = rest {
                let names: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
                if names.is_empty() || names.contains(&name.as_str()) {
                    self.value(&path, &entry.key, &entry.node, rest);
                } else {
                    let message = format!("unknown name `{path}`; expected {}", listed(&names));
                    self.report(path, &entry.key, message, None);
                }
            } else {
                // Those two are taken out before.
                let taken = ["extends", "needs"].into_iter().filter(|_| path == *name);
                let known: Vec<&str> = known.keys().copied().chain(taken).collect();
                let kind = schema.pointer("/properties/kind/const").and_then(Value::as_str);
                self.unknown(&path, kind, entry, &known);
            }
        }
        if !self.is_part {
            self.missing(path, key, map, schema);
        }
    }

    /// What a section has to have and has not.
    fn missing(&mut self, path: &str, key: &Place, map: &IndexMap<String, Entry>, schema: &'a Value) {
        let required = schema.get("required").and_then(Value::as_array);
        let is_root = path.is_empty();
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if map.contains_key(name) {
                continue;
            }
            let field = schema.get("properties").and_then(|fields| fields.get(name));
            let wanted = field.map_or_else(String::new, |schema| wanted(self.follow(schema)));
            let path = below(path, name);
            let hint = is_root.then(|| "`extends: cyclegan` takes from there what is not said".to_string());
            self.report(path.clone(), key, format!("`{path}` is missing; expected {wanted}"), hint);
        }
    }

    /// A field that a section does not have, which may depend on its `kind`.
    fn unknown(&mut self, path: &str, kind: Option<&str>, entry: &Entry, known: &[&str]) {
        let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
        let place = if section.is_empty() { String::new() } else { format!(" in `{section}`") };
        let kind = kind.map_or_else(String::new, |kind| format!(" of the kind `{kind}`"));
        let message = format!("unknown field `{name}`{place}{kind}");
        let hint = advice(name, known, places(self.schema, name));
        let value = entry.node.as_str().filter(|_| meaning(name).is_some()).unwrap_or_default();
        let value = value_meaning(value, &[]).map(|written| format!("; `{value}` is `{written}`"));
        self.report(path.into(), &entry.key, message, Some(hint + &value.unwrap_or_default()));
    }

    fn items(&mut self, path: &str, node: &Node, items: &[Node], schema: &'a Value) {
        let count = |name: &str| schema.get(name).and_then(Value::as_u64);
        let (least, most) = (count("minItems").unwrap_or(0), count("maxItems").unwrap_or(u64::MAX));
        if !(least..=most).contains(&(items.len() as u64)) {
            let message = format!("`{path}` is a list of {}; expected {}", items.len(), wanted(schema));
            let hint = with_points(items).filter(|_| Some(items.len() as u64) == most.checked_mul(2));
            return self.report(path.into(), &node.place, message, hint);
        }
        for item in items.iter().take(MOST) {
            if let Some(schema) = schema.get("items") {
                self.value(path, &node.place, item, schema);
            }
        }
    }
}

/// What to write for a name that is none of those that are `known`.
fn name_advice(node: &Node, known: &[&str]) -> Option<String> {
    let name = node.as_str()?;
    let written = value_meaning(name, known).map(|written| format!("`{name}` is `{written}` here"));
    written.or_else(|| likely(name, known).map(|name| format!("write `{name}`")))
}

/// The list that `[0,5, 0,999]` is meant to be.
fn with_points(items: &[Node]) -> Option<String> {
    let is_whole = |node: &Node| node.written().bytes().all(|byte| byte.is_ascii_digit());
    let number = |pair: &[Node]| {
        let [whole, part] = pair else { return None };
        let comma = whole.place.source.text.get(whole.place.bytes.end..part.place.bytes.start)?;
        let is_one = comma == "," && is_whole(whole) && is_whole(part);
        is_one.then(|| format!("{}.{}", whole.written(), part.written()))
    };
    let numbers: Vec<String> = items.chunks(2).map(number).collect::<Option<_>>()?;
    Some(format!("write `[{}]`: a comma parts values", numbers.join(", ")))
}

/// What to do about a field of a section that has those that are `known`; `elsewhere` is one of the same name.
fn advice(name: &str, known: &[&str], elsewhere: Option<String>) -> String {
    if let Some((field, value)) = name.split_once(':').filter(|(field, _)| known.contains(field)) {
        return format!("write `{field}: {value}`, with a space");
    }
    if let Some(meaning) = meaning(name) {
        return meaning.advice(name, known);
    }
    if let Some(near) = likely(name, known) {
        return format!("did you mean `{near}`?");
    }
    match (elsewhere, known) {
        (Some(place), _) => format!("did you mean `{place}`?"),
        (None, []) => "leave it out: there are no fields here".into(),
        (None, [one]) => format!("there is `{one}` alone"),
        (None, known) => format!("there are {}", quoted(known, ", ")),
    }
}

/// Whether a single value is of a schema's type and range.
fn fits(value: &Yaml, kind: &str, schema: &Value) -> bool {
    match kind {
        "integer" => {
            let unsigned = schema.get("minimum").is_some();
            value.as_u64().is_some_and(|number| number <= most(schema))
                || (!unsigned && value.as_i64().is_some())
        }
        "number" => value.is_number(),
        "boolean" => value.is_bool(),
        "string" => value.is_string(),
        _ => true,
    }
}

/// The type of a schema's values, where they have to be of one; an optional field may be left out, but not be nothing.
fn type_of(schema: &Value) -> Option<&str> {
    let types = schema.get("type")?;
    types.as_str().or_else(|| types.as_array()?.iter().filter_map(Value::as_str).find(|name| *name != "null"))
}

/// The largest whole number that a schema takes.
fn most(schema: &Value) -> u64 {
    let is_narrow = schema.get("format").and_then(Value::as_str) == Some("uint32");
    if is_narrow { u32::MAX.into() } else { i64::MAX as u64 }
}

/// Whether it is a whole number larger than a field takes.
fn is_too_large(node: &Node, schema: &Value) -> bool {
    let Kind::Scalar(value) = &node.kind else { return false };
    let is_count = schema.get("type").and_then(Value::as_str) == Some("integer");
    let is_larger = |number: f64| number.fract() == 0.0 && number > most(schema) as f64;
    is_count && value.as_f64().is_some_and(is_larger)
}

/// What a schema takes, in words.
fn wanted(schema: &Value) -> String {
    let kind = type_of(schema);
    match (kind, schema.get("minItems").and_then(Value::as_u64)) {
        (Some("array"), Some(count)) => format!("a list of {count}, as in `[a, b]`"),
        (Some("array"), None) => "a list, as in `[a, b]`".into(),
        (Some("integer"), _) if schema.get("minimum").is_some() => "a whole number from 0".into(),
        (Some("integer"), _) => "a whole number".into(),
        (Some("number"), _) => "a number".into(),
        (Some("boolean"), _) => "`true` or `false`".into(),
        (Some("string"), _) => "a text".into(),
        (Some("object"), _) => "a section of fields".into(),
        _ => {
            let kinds = schema.get("oneOf").and_then(Value::as_array);
            let names: Vec<&str> =
                kinds.into_iter().flatten().filter_map(|kind| kind.get("const")?.as_str()).collect();
            if names.is_empty() { "a section of fields".into() } else { listed(&names) }
        }
    }
}

/// The dotted path of the one section that has a field of this name, where the sections are fixed.
fn places(schema: &Value, name: &str) -> Option<String> {
    let sections = schema.get("properties").and_then(Value::as_object)?;
    let has = |section: &Value| {
        let reference = section.get("$ref").or_else(|| section.get("allOf")?.get(0)?.get("$ref"))?;
        schema.pointer(reference.as_str()?.strip_prefix('#')?)?.get("properties")?.get(name)
    };
    let mut found = sections.iter().filter(|(_, section)| has(section).is_some());
    let (section, _) = found.next()?;
    found.next().is_none().then(|| format!("{section}.{name}"))
}
