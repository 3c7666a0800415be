//! What differs between two recipes, field by field.

use serde_yaml::Value;

use super::origin::one_line;
use super::schema::Recipe;

/// A field whose value differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Dotted path, such as `train.batch`.
    pub field: String,
    /// Its value in the first recipe as YAML; `absent` where it has none.
    pub before: String,
    /// Its value in the second recipe, likewise.
    pub after: String,
}

/// Every field that differs, in the order of the fields.
///
/// # Errors
/// None in practice: a recipe holds only what YAML can.
pub fn diff(before: &Recipe, after: &Recipe) -> Result<Vec<Difference>, serde_yaml::Error> {
    let mut found = Vec::new();
    let (before, after) = (serde_yaml::to_value(before)?, serde_yaml::to_value(after)?);
    compare("", Some(&before), Some(&after), &mut found);
    Ok(found)
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    if let (Some(Value::Mapping(a)), Some(Value::Mapping(b))) = (before, after) {
        let only_after = b.iter().filter(|(key, _)| !a.contains_key(*key));
        for (key, _) in a.iter().chain(only_after) {
            let name = key.as_str().unwrap_or("?");
            let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            compare(&path, a.get(key), b.get(key), found);
        }
    } else if before != after {
        found.push(Difference { field: path.into(), before: text(before), after: text(after) });
    }
}

fn text(value: Option<&Value>) -> String {
    let Some(value) = value else { return "absent".into() };
    one_line(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::resolve;

    #[test]
    fn names_exactly_the_fields_that_differ() {
        let a = resolve("cyclegan", &[]).unwrap();
        assert_eq!(diff(&a, &a).unwrap(), []);
        let b =
            resolve("cyclegan", &["train.batch=3".into(), "generators.x_to_y.net.blocks=6".into()]).unwrap();
        let found = diff(&a, &b).unwrap();
        let fields: Vec<_> =
            found.iter().map(|d| (d.field.as_str(), d.before.as_str(), d.after.as_str())).collect();
        assert_eq!(fields, [("generators.x_to_y.net.blocks", "9", "6"), ("train.batch", "1", "3")]);
    }
}
