//! What serde says of a value that does not fit, in words for people who write recipes.

use std::fmt::Write as _;

use super::resolve::did_you_mean;

/// A value that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// What was expected and what was found.
    pub reason: String,
    /// What the user probably meant to write.
    pub meant: Option<String>,
}

/// `said` is serde's message.
pub(super) fn mistake(said: &str) -> Mistake {
    let parts = said.split_once(": ").and_then(|(kind, rest)| Some((kind, rest.rsplit_once(", expected ")?)));
    if let Some(("invalid type" | "invalid value", (found, wanted))) = parts {
        let reason = format!("expected {}, found {}", wanted_words(wanted), found_words(found));
        return Mistake { reason, meant: meant(found, wanted) };
    }
    let length = said.strip_prefix("invalid length ").and_then(|rest| rest.split_once(", expected "));
    let reason = match length {
        Some((length, "fewer elements in sequence")) => format!("expected fewer values than {length}"),
        Some((length, wanted)) => format!("expected {}, found {length} of them", wanted_words(wanted)),
        None => unknown(said),
    };
    Mistake { reason, meant: None }
}

/// What a field takes, by the name of its Rust type.
fn wanted_words(wanted: &str) -> &str {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" => "a text",
        "a sequence" => "a list, as in `[a, b]`",
        "an array of length 2" => "a list of 2, as in `[a, b]`",
        "variant identifier" | "a Value::Tagged enum" | "string or map" => "a name",
        wanted if wanted.starts_with("enum ") => "a name",
        wanted if wanted == "a map" || wanted.starts_with("struct ") || wanted.contains(" enum ") => {
            "a section of fields"
        }
        wanted => wanted,
    }
}

/// The value found, as a recipe has it.
fn found_words(found: &str) -> String {
    let value = |prefix: &str| found.strip_prefix(prefix).map(|value| value.trim_matches(['`', '"']));
    if let Some(text) = value("string ") {
        return format!("the text `{text}`");
    }
    if let Some(number) = value("integer ").or_else(|| value("floating point ")) {
        return format!("the number `{number}`");
    }
    match found {
        "unit value" | "null" => "nothing".into(),
        "sequence" => "a list".into(),
        "map" => "a section of fields".into(),
        _ => value("boolean ").map_or_else(|| found.into(), |value| format!("`{value}`")),
    }
}

/// The spelling in YAML of what is a number or a truth value to a reader, such as `1_000`.
fn meant(found: &str, wanted: &str) -> Option<String> {
    let text = found.strip_prefix("string ").or_else(|| found.strip_prefix("floating point "))?;
    let text = text.trim_matches(['`', '"']).to_lowercase();
    if wanted == "a boolean" {
        return match text.as_str() {
            "yes" | "on" | "y" | "1" | "true" => Some("true".into()),
            "no" | "off" | "n" | "0" | "false" => Some("false".into()),
            _ => None,
        };
    }
    let words = wanted_words(wanted);
    let number: f64 = without_separators(&text)?.parse().ok()?;
    let whole = number.fract() == 0.0 && number.abs() < 1e15;
    match words {
        // A comma may be a decimal point.
        "a number" if number.is_finite() && !text.contains(',') => Some(number.to_string()),
        "a whole number" if whole => Some(number.to_string()),
        "a whole number from 0" if whole && number >= 0.0 => Some(number.to_string()),
        _ => None,
    }
}

/// The digits of a number whose groups are kept apart.
fn without_separators(text: &str) -> Option<String> {
    let thousands = text.split(',').skip(1).all(|group| group.len() == 3);
    thousands.then(|| text.replace(['_', ',', '\'', ' '], ""))
}

/// A name that is not known, with the closest that is; or a field that is missing.
fn unknown(said: &str) -> String {
    let mut quoted = said.split('`').skip(1).step_by(2);
    let (true, Some(found)) = (said.starts_with("unknown"), quoted.next()) else {
        let missing = said.strip_prefix("missing field ");
        return missing.map_or_else(|| said.into(), |field| format!("the field {field} is missing"));
    };
    let known: Vec<&str> = quoted.collect();
    let mut text = said.replacen("unknown variant", "unknown name", 1);
    let _ = write!(text, "{}", did_you_mean(found, &known));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_s_words_are_put_into_plain_ones() {
        let cases = [
            (
                "invalid type: string \"many\", expected usize",
                "expected a whole number from 0, found the text `many`",
                None,
            ),
            (
                "invalid type: string \"1_000\", expected u64",
                "expected a whole number from 0, found the text `1_000`",
                Some("1000"),
            ),
            (
                "invalid type: floating point `1000000.0`, expected u64",
                "expected a whole number from 0, found the number `1000000.0`",
                Some("1000000"),
            ),
            (
                "invalid value: integer `-1`, expected u32",
                "expected a whole number from 0, found the number `-1`",
                None,
            ),
            (
                "invalid type: floating point `1.5`, expected i64",
                "expected a whole number, found the number `1.5`",
                None,
            ),
            ("invalid type: string \"0,5\", expected f64", "expected a number, found the text `0,5`", None),
            (
                "invalid type: string \"0,001\", expected f64",
                "expected a number, found the text `0,001`",
                None,
            ),
            (
                "invalid type: string \"yes\", expected a boolean",
                "expected `true` or `false`, found the text `yes`",
                Some("true"),
            ),
            (
                "invalid type: unit value, expected struct Data",
                "expected a section of fields, found nothing",
                None,
            ),
            (
                "invalid type: sequence, expected internally tagged enum GeneratorNet",
                "expected a section of fields, found a list",
                None,
            ),
            (
                "invalid length 1, expected an array of length 2",
                "expected a list of 2, as in `[a, b]`, found 1 of them",
                None,
            ),
            ("invalid length 3, expected fewer elements in sequence", "expected fewer values than 3", None),
            ("missing field `kind`", "the field `kind` is missing", None),
            (
                "unknown variant `lsgann`, expected one of `lsgan`, `wgan`",
                "unknown name `lsgann`, expected one of `lsgan`, `wgan`; did you mean `lsgan`?",
                None,
            ),
        ];
        for (said, reason, meant) in cases {
            let expected = Mistake { reason: reason.into(), meant: meant.map(String::from) };
            assert_eq!(mistake(said), expected, "{said}");
        }
    }
}
