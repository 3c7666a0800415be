//! The JSON Schema of recipes, made from their fields: what editors complete and underline by, and what a recipe is checked
//! against.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::schema::Recipe;

/// The schema (draft-07) of a complete recipe.
pub(super) fn complete() -> Value {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<Recipe>().to_value()
}

/// The schema (draft-07) of a recipe's text for editors: what `extends` another need not say everything.
pub fn for_editors() -> Value {
    let mut schema = complete();
    let required = schema.get("required").cloned().unwrap_or_default();
    loosen(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".into(), "A recipe of translate".into());
        root.insert("description".into(), "What `translate train -r FILE` trains.".into());
        let extends =
            "The recipe that this one is laid over: a shipped one, `./FILE.yaml`, or an https link.";
        if let Some(fields) = root.get_mut("properties").and_then(Value::as_object_mut) {
            fields.insert("extends".into(), json!({ "type": "string", "description": extends }));
            let needs = "The first version of the program that reads it, as in `0.1.0`.";
            fields.insert("needs".into(), json!({ "type": ["string", "number"], "description": needs }));
        }
        root.insert("anyOf".into(), json!([{ "required": ["extends"] }, { "required": required }]));
    }
    schema
}

/// Takes `required` out, and with it the choice of exactly one kind; links between Rust's items are for its own docs.
fn loosen(schema: &mut Value) {
    match schema {
        Value::Object(map) => loosen_map(map),
        Value::Array(items) => items.iter_mut().for_each(loosen),
        _ => {}
    }
}

fn loosen_map(map: &mut Map<String, Value>) {
    map.shift_remove("required");
    if let Some(kinds) = map.shift_remove("oneOf") {
        map.insert("anyOf".into(), kinds);
    }
    if let Some(Value::String(text)) = map.get_mut("description") {
        *text = without_links(text);
    }
    map.values_mut().for_each(loosen);
}

/// `[`A`](B)` and `[`A`]` become `A`, and lines are joined.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        let (name, after) = after.split_once("`]").unwrap_or((after, ""));
        plain.push_str(before);
        plain.push('`');
        plain.push_str(name);
        plain.push('`');
        let target = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        rest = target.map_or(after, |(_, after)| after);
    }
    plain.push_str(rest);
    plain.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_between_rust_items_become_their_names() {
        let text = "as [`A`](crate::A) and [`b::C`],\nnot [x]";
        assert_eq!(without_links(text), "as `A` and `b::C`, not [x]");
    }
}
