//! Where each value of a complete recipe came from.

use serde_yaml::Value;

use super::resolve::Resolved;

/// A single value or a list of a complete recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Valued {
    /// Dotted path of the field.
    pub field: String,
    /// Its value, as YAML on one line.
    pub value: String,
    /// `FILE:LINE`, `--set FIELD=VALUE`, or `default`.
    pub origin: String,
}

/// Every value of a recipe, in the order of the fields.
///
/// # Errors
/// None in practice: a recipe holds only what YAML can.
pub fn origins(resolved: &Resolved) -> Result<Vec<Valued>, serde_yaml::Error> {
    let mut found = Vec::new();
    collect("", &serde_yaml::to_value(&resolved.recipe)?, resolved, &mut found);
    Ok(found)
}

fn collect(path: &str, value: &Value, resolved: &Resolved, found: &mut Vec<Valued>) {
    if let Value::Mapping(map) = value {
        for (key, value) in map {
            let name = key.as_str().unwrap_or("?");
            let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            collect(&path, value, resolved, found);
        }
        return;
    }
    let written = resolved.tree.nearest(path).filter(|(_, is_itself)| *is_itself);
    let origin = written.map_or_else(|| "default".into(), |(entry, _)| entry.node.place.short());
    found.push(Valued { field: path.into(), value: one_line(value), origin });
}

/// A value in YAML's flow style.
pub(super) fn one_line(value: &Value) -> String {
    if let Value::Sequence(items) = value {
        let items: Vec<String> = items.iter().map(one_line).collect();
        return format!("[{}]", items.join(", "));
    }
    let text = serde_yaml::to_string(value).unwrap_or_default();
    let text = text.trim_end();
    // A text of several lines is written as JSON's, which is YAML too.
    if text.contains('\n') { serde_json::to_string(value).unwrap_or_default() } else { text.into() }
}
