//! From YAML text to a tree of values with their places. What a recipe has no need of (anchors, tags, several documents) is
//! refused, so that a text of a few kilobytes cannot grow into gigabytes.

use std::iter::Peekable;
use std::sync::Arc;

use indexmap::IndexMap;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_yaml::Value;

use super::problem::Problem;
use super::tree::{Entry, Kind, Node, Place, Source};

/// Sections inside each other, at most.
const DEEPEST: usize = 32;

/// Reads a text that holds one YAML document.
///
/// # Errors
/// The first place at which it is not YAML, or at which it is YAML that no recipe needs.
pub fn parse(source: &Arc<Source>) -> Result<Node, Box<Problem>> {
    let mut reader = Reader {
        source,
        events: Parser::new_from_str(&source.text).peekable(),
        bytes: source.text.char_indices().map(|(byte, _)| byte).collect(),
    };
    reader.document()
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    events: Peekable<Parser<'a, StrInput<'a>>>,
    /// The position in bytes of each character.
    bytes: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn byte(&self, character: usize) -> usize {
        self.bytes.get(character).copied().unwrap_or(self.source.text.len())
    }

    fn place(&self, span: Span) -> Place {
        let start = self.byte(span.start.index());
        let end = self.byte(span.end.index()).max(start);
        // A section's end is where the next thing begins.
        let text = self.source.text[start..end].trim_end();
        Place { source: Arc::clone(self.source), bytes: start..start + text.len() }
    }

    fn refuse<T>(&self, span: Span, message: &str, hint: &str) -> Result<T, Box<Problem>> {
        Err(Box::new(Problem::at(self.place(span), message).hint(hint)))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Box<Problem>> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Box::new(self.syntax(&error))),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let at = self.byte(error.marker().index());
        let end = self.source.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
        let place = Place { source: Arc::clone(self.source), bytes: at..end };
        let hint =
            "sections are indented by spaces, never by tabs; a text with `: ` or ` #` in it wants quotes";
        Problem::at(place, format!("this is not YAML: {}", error.info())).hint(hint)
    }

    fn document(&mut self) -> Result<Node, Box<Problem>> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if root.is_some() => {
                    return self.refuse(
                        span,
                        "a second document begins here",
                        "a recipe is one document: one file each",
                    );
                }
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        let end = self.source.text.len();
        let empty = Place { source: Arc::clone(self.source), bytes: end..end };
        Ok(root.unwrap_or(Node { place: empty, kind: Kind::Scalar(Value::Null) }))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Box<Problem>> {
        if depth > DEEPEST {
            return self.refuse(span, "sections lie too deep in each other", "a recipe needs five or six");
        }
        let (anchor, tag) = match &event {
            Event::Alias(_) => (1, false),
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (*anchor, tag.is_some()),
            _ => (0, false),
        };
        if anchor > 0 {
            return self.refuse(
                span,
                "anchors and aliases are not read in a recipe",
                "write the value out in each place",
            );
        }
        if tag {
            return self.refuse(span, "tags (`!…`) are not read in a recipe", "leave the tag out");
        }
        match event {
            Event::MappingStart(..) => self.map(span, depth),
            Event::SequenceStart(..) => self.list(span, depth),
            Event::Scalar(text, style, ..) => {
                let is_plain = style == ScalarStyle::Plain;
                let value = if is_plain { plain(&text) } else { Value::from(text.as_ref()) };
                Ok(Node { place: self.place(span), kind: Kind::Scalar(value) })
            }
            _ => self.refuse(span, "a value was expected here", "write one"),
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Result<Node, Box<Problem>> {
        let mut map: IndexMap<String, Entry> = IndexMap::new();
        loop {
            let (event, span) = self.next()?;
            let name = match event {
                Event::MappingEnd => {
                    let place = self.place(Span::new(start.start, span.end));
                    return Ok(Node { place, kind: Kind::Map(map) });
                }
                Event::Scalar(name, _, 0, None) => name.into_owned(),
                _ => {
                    return self.refuse(
                        span,
                        "the name of a field was expected here",
                        "names are plain words",
                    );
                }
            };
            let key = self.place(span);
            if let Some(before) = map.get(&name) {
                let first = before.key.short();
                let message = format!("`{name}` is here for the second time, first at {first}");
                return self.refuse(span, &message, "leave one of them out");
            }
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            map.insert(name, Entry { key, node });
        }
    }

    fn list(&mut self, start: Span, depth: usize) -> Result<Node, Box<Problem>> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let place = self.place(Span::new(start.start, span.end));
                return Ok(Node { place, kind: Kind::List(items) });
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }
}

/// The value of a text without quotes, by the core schema of YAML 1.2 (<https://yaml.org/spec/1.2.2/#1032-tag-resolution>).
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::from(true),
        "false" | "False" | "FALSE" => return Value::from(false),
        _ => {}
    }
    number(text).unwrap_or_else(|| Value::from(text))
}

fn number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            return Some(Value::from(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }));
        }
        ".nan" | ".NaN" | ".NAN" if unsigned.len() == text.len() => return Some(Value::from(f64::NAN)),
        _ => {}
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(unsigned) {
        let whole = text.trim_start_matches('+');
        return whole
            .parse::<u64>()
            .map(Value::from)
            .or_else(|_| whole.parse::<i64>().map(Value::from))
            .or_else(|_| whole.parse::<f64>().map(Value::from))
            .ok();
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix).filter(|digits| !digits.starts_with('+')) {
            return u64::from_str_radix(digits, radix).ok().map(Value::from);
        }
    }
    let (mantissa, exponent) =
        unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let exponent_fits = exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = |text: &str| text.is_empty() || digits(text);
    let mantissa_fits = all(before) && all(after) && !(before.is_empty() && after.is_empty());
    (exponent_fits && mantissa_fits).then(|| text.parse::<f64>().ok()).flatten().map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, Box<Problem>> {
        parse(&Arc::new(Source { name: "r.yaml".into(), text: text.into(), has_lines: true }))
    }

    #[test]
    fn plain_texts_are_what_another_yaml_reader_takes_them_for() {
        for text in [
            "",
            "~",
            "null",
            "true",
            "False",
            "yes",
            "0",
            "-3",
            "+7",
            "1_000",
            "1e-4",
            "2.5",
            ".5",
            "5.",
            "-.inf",
            ".inf",
            "0x1F",
            "0o17",
            "1e",
            "1.2.3",
            "e5",
            "many words",
            "18446744073709551615",
            "12:30",
            ".",
            "+",
            "1e+3",
        ] {
            let other: Value = serde_yaml::from_str(text).unwrap();
            assert_eq!(plain(text), other, "{text}");
        }
        assert!(plain(".nan").as_f64().unwrap().is_nan());
    }

    #[test]
    fn every_value_knows_its_place() {
        let text = "a: { b: [1, \"ü x\"] }\nc:\n  d: 3   # of it\n  e: |\n    long\n";
        let node = read(text).unwrap();
        let at = |path: &str| {
            let (entry, whole) = node.nearest(path).unwrap();
            (&text[entry.key.bytes.clone()], &text[entry.node.place.bytes.clone()], whole)
        };
        assert_eq!(at("a.b"), ("b", "[1, \"ü x\"]", true));
        assert_eq!(at("c.d"), ("d", "3", true));
        assert_eq!(at("c.d.deeper"), ("d", "3", false));
        assert_eq!(node.get("c").unwrap().get("d").unwrap().place.short(), "r.yaml:3");
        let same: Value = serde_yaml::from_str(text).unwrap();
        assert_eq!(node.to_value(), same);
    }

    #[test]
    fn what_no_recipe_needs_is_refused_with_its_place() {
        for (text, part, at) in [
            ("a: &x 1\nb: *x", "anchors", "&x 1"),
            ("a: !!str 1", "tags", "!!str 1"),
            ("a: 1\n---\nb: 2", "second document", ""),
            ("a: 1\nb: 2\na: 3", "`a` is here for the second time, first at r.yaml:1", "a"),
            ("a: [1, 2", "this is not YAML", ""),
            ("? [a, b]\n: 1", "name of a field", "["),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.message.contains(part), "{text}: {}", problem.message);
            let place = problem.place.unwrap();
            assert!(text[place.bytes.clone()].starts_with(at), "{text}: {place:?}");
        }
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(read(&deep).unwrap_err().message.contains("too deep"));
    }
}
