//! Values and names of a recipe in words, for people who write recipes.

use serde_yaml::Value;

use super::tree::{Kind, Node};
use crate::words::quoted;

/// The value found, as a recipe has it.
pub(super) fn found(node: &Node) -> String {
    match &node.kind {
        Kind::Map(_) => "a section of fields".into(),
        Kind::List(_) => "a list".into(),
        Kind::Scalar(Value::Null) => "nothing".into(),
        Kind::Scalar(Value::String(text)) => format!("the text `{text}`"),
        Kind::Scalar(Value::Number(_)) => format!("the number `{}`", node.written()),
        Kind::Scalar(Value::Bool(value)) => format!("`{value}`"),
        Kind::Scalar(_) => "something else".into(),
    }
}

/// `a`, `b` or `c`.
pub(super) fn listed(names: &[&str]) -> String {
    match names {
        [] => "nothing".into(),
        [one] => format!("`{one}`"),
        names => format!("one of {}", quoted(names, ", ")),
    }
}

/// The one of `known` that `given` is probably a misspelling of, in whatever case.
pub(super) fn likely<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase();
    let likeness = |name: &&str| strsim::jaro_winkler(&given, &name.to_lowercase());
    let best = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.filter(|best| likeness(best) > 0.75)
}

/// `; did you mean …?` with the one of `known` that `given` is probably a misspelling of, or nothing.
pub fn did_you_mean(given: &str, known: &[&str]) -> String {
    likely(given, known).map_or_else(String::new, |best| format!("; did you mean {}?", quoted([best], "")))
}

/// How to write in YAML what is a number or a truth value to a reader, such as `1_000`.
pub(super) fn intended(node: &Node, wanted: &str) -> Option<String> {
    let Kind::Scalar(value) = &node.kind else { return None };
    let text = match value {
        Value::String(text) => text.to_lowercase(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if wanted == "a section of fields" {
        let (field, value) = text.split_once(':')?;
        return Some(format!("write `{field}: {value}`, with a space"));
    }
    if wanted == "a text" {
        return Some(format!("write `\"{}\"`", node.written()));
    }
    if wanted == "a number"
        && let Some((whole, part)) = text.split_once(',').filter(|(_, part)| is_group(part))
        && !matches!(whole, "0" | "-0")
        && whole.parse::<i64>().is_ok()
    {
        return Some(format!("write `{whole}{part}` or `{whole}.{part}`, whichever is meant"));
    }
    let meant = if wanted == "`true` or `false`" { truth(&text)? } else { number(&text, wanted)? };
    let written = node.written();
    Some(if !value.is_string() {
        format!("write `{meant}`")
    } else if written.starts_with(['"', '\'']) {
        format!("write `{meant}`, without quotes")
    } else if written.contains(',') {
        format!("write `{meant}`: a comma is no part of a number")
    } else {
        format!("write `{meant}`: YAML reads `{written}` as a text")
    })
}

fn is_group(digits: &str) -> bool {
    digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn truth(text: &str) -> Option<String> {
    match text {
        "yes" | "on" | "y" | "1" | "true" => Some("true".into()),
        "no" | "off" | "n" | "0" | "false" => Some("false".into()),
        _ => None,
    }
}

fn number(text: &str, wanted: &str) -> Option<String> {
    let plain = without_separators(text)?;
    let number: f64 = plain.parse().ok()?;
    let whole = number.fract() == 0.0 && number.abs() < 1e15;
    match wanted {
        // A comma before three digits may be a decimal point too.
        "a number" if number.is_finite() && !(text.contains(',') && plain.len() < text.len()) => Some(plain),
        "a whole number" if whole => Some(number.to_string()),
        "a whole number from 0" if whole && number >= 0.0 => Some(number.to_string()),
        _ => None,
    }
}

/// The digits of a number whose groups are kept apart, with a point where it has a decimal comma.
fn without_separators(text: &str) -> Option<String> {
    if let Some((whole, part)) = text.split_once(',')
        && (part.len() != 3 || matches!(whole, "0" | "-0"))
        && !part.contains([',', '.'])
    {
        return Some(format!("{whole}.{part}"));
    }
    let thousands = text.split(',').skip(1).all(|group| group.len() == 3);
    thousands.then(|| text.replace(['_', ',', '\'', ' '], ""))
}
