//! A recipe with mistakes, mended so that the rest of it can be checked too.

use serde_yaml::{Mapping, Value};

use super::schema::FORMAT;
use super::tree::Node;

/// The values of a tree, or of what lies at `path` in one. Fields that are `wrong` have their defaults, or a stand-in where
/// there is none.
pub(super) fn mended(node: &Node, path: &str, wrong: &[String]) -> Value {
    let Some(map) = node.as_map() else { return node.to_value() };
    let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    let is_wrong = |name: &str| wrong.contains(&below(name));
    if is_wrong("kind") {
        return stand_in(path).unwrap_or_default();
    }
    let right = map.iter().filter(|(name, _)| !is_wrong(name));
    let right = right.map(|(name, entry)| (name.clone(), mended(&entry.node, &below(name), wrong)));
    let inside = |field: &String| {
        let (section, name) = field.rsplit_once('.').unwrap_or(("", field));
        (section == path).then(|| name.to_string())
    };
    let absent = wrong.iter().filter_map(|field| Some((inside(field)?, stand_in(field)?)));
    right.chain(absent).map(|(name, value)| (Value::from(name), value)).collect::<Mapping>().into()
}

/// A value for a field that has no default. No rule that reads it is told, so it need only be one that can be read.
fn stand_in(path: &str) -> Option<Value> {
    let parts: Vec<&str> = path.split('.').collect();
    let yaml = match parts[..] {
        ["format"] => return Some(FORMAT.into()),
        ["data"] => "{ size: 256, load_size: 256 }",
        ["data", "size" | "load_size"] => "256",
        ["train"] => "{ images: 1 }",
        ["train", "images"] => "1",
        ["loss"] => "{}",
        ["loss", "adversarial"] => "{ kind: lsgan }",
        ["generators"] => "{ x_to_y: { from: x, to: y, net: { kind: resnet } } }",
        ["generators", _, "from"] => "x",
        ["generators", _, "to"] => "y",
        ["generators", _, "net"] => "{ kind: resnet }",
        ["discriminators"] => "{ y: { net: { kind: patch } } }",
        ["discriminators", _, "net"] => "{ kind: patch }",
        ["conditions", "x" | "y"] => "{ kind: label }",
        ["conditions", _, "encoder"] => "{ kind: gru }",
        _ => return None,
    };
    serde_yaml::from_str(yaml).ok()
}
