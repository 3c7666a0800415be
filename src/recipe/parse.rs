//! From YAML text to a tree of values with their places. What a recipe has no need of (anchors, tags, several documents) is
//! refused, so that a text of a few kilobytes cannot grow into gigabytes.

use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry as Slot;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_yaml::Value;

use super::problem::{MOST, Problem};
use super::tree::{Entry, Kind, Node, Place, Source};

/// Sections inside each other, at most.
pub const DEEPEST: usize = 32;

/// Reads a text that holds one YAML document. What is wrong with it is added to `problems`; nothing comes back where the
/// text cannot be read on.
pub fn parse(source: &Arc<Source>, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut reader = Reader {
        source,
        events: Parser::new_from_str(&source.text),
        bytes: source.text.char_indices().map(|(byte, _)| byte).collect(),
        refused: Vec::new(),
    };
    let read = reader.document();
    problems.append(&mut reader.refused);
    read.map_err(|problem| problems.push(*problem)).ok()
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    events: Parser<'a, StrInput<'a>>,
    /// The position in bytes of each character.
    bytes: Vec<usize>,
    /// What is wrong and does not keep the rest from being read.
    refused: Vec<Problem>,
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

    /// The first word of a span.
    fn word(&self, span: Span) -> Place {
        let place = self.place(span);
        let text = &self.source.text[place.bytes.clone()];
        let length = text.find(char::is_whitespace).unwrap_or(text.len());
        Place { bytes: place.bytes.start..place.bytes.start + length, ..place }
    }

    fn stop<T>(&self, span: Span, message: &str, hint: &str) -> Result<T, Box<Problem>> {
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
        let text = &self.source.text;
        // What is missed at the end is missed after the last word.
        let mut at = self.byte(error.marker().index()).min(text.trim_end().len());
        let hint = if error.info().contains("tab") {
            // It is found at what comes after it.
            at -= usize::from(text[..at].ends_with('\t'));
            "indent by spaces, never by tabs"
        } else if error.info().contains("flow") {
            "a bracket before is not closed, or a `,` is missing"
        } else {
            "the fields of a section begin in one column; a text with `: ` or ` #` in it wants quotes"
        };
        let end = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
        let place = Place { source: Arc::clone(self.source), bytes: at..end };
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
                    let hint = "a recipe is one document: one file each";
                    return self.stop(span, "a second document begins here", hint);
                }
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        let empty = Place { source: Arc::clone(self.source), bytes: 0..0 };
        Ok(root.unwrap_or(Node { place: empty, kind: Kind::Scalar(Value::Null) }))
    }

    /// Refuses what stands before a value, or for it, that no recipe needs.
    fn refuse_marks(&mut self, event: &Event<'a>, span: Span) {
        let (is_alias, anchor, tag) = match event {
            Event::Alias(_) => (true, 0, false),
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (false, *anchor, tag.is_some()),
            _ => (false, 0, false),
        };
        let (message, hint) = if is_alias || anchor > 0 {
            let message = "anchors (`&…`) and aliases (`*…`) are not read in a recipe";
            (message, "write the value out in each place")
        } else if tag {
            ("tags (`!…`) are not read in a recipe", "leave the tag out")
        } else {
            return;
        };
        if self.refused.len() < MOST {
            self.refused.push(Problem::at(self.word(span), message).hint(hint));
        }
    }

    fn refuse_again(&mut self, name: &str, key: Place, before: &Place) {
        if self.refused.len() < MOST {
            let message = format!("`{name}` is here for the second time, first at {}", before.short());
            self.refused.push(Problem::at(key, message).hint("write all of it in one place"));
        }
    }

    /// The number that was meant, for the rest to be checked.
    fn refuse_comma(&mut self, before: &Node, after: &Place, meant: &str) -> Node {
        let place = Place { bytes: before.place.bytes.start..after.bytes.end, ..before.place.clone() };
        if self.refused.len() < MOST {
            let text = &self.source.text[place.bytes.clone()];
            let message = format!("`{text}` is two values; expected a number with a decimal point");
            self.refused.push(Problem::at(place.clone(), message).hint(format!("write `{meant}`")));
        }
        Node { place, kind: Kind::Scalar(plain(meant)) }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Box<Problem>> {
        if depth > DEEPEST {
            return self.stop(span, "sections lie too deep in each other", "a recipe needs five or six");
        }
        self.refuse_marks(&event, span);
        match event {
            Event::MappingStart(..) => self.map(span, depth),
            Event::SequenceStart(..) => self.list(span, depth),
            Event::Scalar(text, style, ..) => {
                let is_plain = style == ScalarStyle::Plain;
                let value = if is_plain { plain(&text) } else { Value::from(text.as_ref()) };
                let mut place = self.place(span);
                // What is left out has the place of what comes after it.
                if is_plain && text.is_empty() {
                    place.bytes.end = place.bytes.start;
                }
                Ok(Node { place, kind: Kind::Scalar(value) })
            }
            Event::Alias(_) => Ok(Node { place: self.place(span), kind: Kind::Scalar(Value::Null) }),
            _ => self.stop(span, "a value was expected here", "write one"),
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Result<Node, Box<Problem>> {
        let mut map: IndexMap<String, Entry> = IndexMap::new();
        loop {
            let (event, span) = self.next()?;
            self.refuse_marks(&event, span);
            let name = match event {
                Event::MappingEnd => {
                    let place = self.place(Span::new(start.start, span.end));
                    return Ok(Node { place, kind: Kind::Map(map) });
                }
                Event::Scalar(name, ..) => name.into_owned(),
                _ => {
                    return self.stop(span, "the name of a field was expected here", "names are plain words");
                }
            };
            let key = self.place(span);
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            if let Some((_, before)) = map.last_mut()
                && let Some(place) = grouped(&before.node, &key, &node)
            {
                // What is meant depends on the field, so it is left as it is written.
                let text = Value::from(&self.source.text[place.bytes.clone()]);
                before.node = Node { place, kind: Kind::Scalar(text) };
                continue;
            }
            if let Some((_, before)) = map.last_mut()
                && let Some(number) = decimal_comma(&before.node, &key, &node)
            {
                before.node = self.refuse_comma(&before.node, &key, &number);
                continue;
            }
            match map.entry(name) {
                Slot::Occupied(before) => self.refuse_again(before.key(), key, &before.get().key),
                Slot::Vacant(slot) => {
                    slot.insert(Entry { key, node });
                }
            }
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

/// All of `1,000` in `{ images: 1,000 }`, which to YAML holds a field `000` without a value.
fn grouped(before: &Node, after: &Place, value: &Node) -> Option<Place> {
    let text = &after.source.text;
    let is_bare = matches!(value.kind, Kind::Scalar(Value::Null)) && value.place.bytes.is_empty();
    let comma = text.get(before.place.bytes.end..after.bytes.start)?;
    let (whole, part) = (before.written(), text.get(after.bytes.clone())?);
    let (first, rest) = whole.split_once(',').map_or((whole, None), |(first, rest)| (first, Some(rest)));
    let is = |text: &str, most| text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_group = |text: &str| text.len() == 3 && is(text, 3);
    let begins = is(first, 3) && !first.is_empty() && !first.starts_with('0');
    let groups = begins && is_group(part) && rest.is_none_or(|rest| rest.split(',').all(is_group));
    let place = Place { bytes: before.place.bytes.start..after.bytes.end, ..before.place.clone() };
    (is_bare && comma == "," && groups).then_some(place)
}

/// The number that is meant in `{ lr: 0,5 }`, which to YAML holds a field `5` without a value.
fn decimal_comma(before: &Node, after: &Place, value: &Node) -> Option<String> {
    let text = &after.source.text;
    let is_bare = matches!(value.kind, Kind::Scalar(Value::Null)) && value.place.bytes.is_empty();
    let comma = text.get(before.place.bytes.end..after.bytes.start)?;
    let (whole, part) = (before.written(), text.get(after.bytes.clone())?);
    let meant = format!("{whole}.{part}");
    let is_number = !whole.contains(['.', 'x', 'o']) && number(&meant).is_some();
    (is_bare && comma == "," && part.starts_with(|c: char| c.is_ascii_digit()) && is_number).then_some(meant)
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

    fn read(text: &str) -> (Option<Node>, Vec<Problem>) {
        let mut problems = Vec::new();
        let source = Arc::new(Source { name: "r.yaml".into(), text: text.into(), has_lines: true });
        (parse(&source, &mut problems), problems)
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
        let (node, problems) = read(text);
        let node = node.unwrap();
        assert_eq!(problems, []);
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
        for (text, part, at, goes_on) in [
            ("a: &x 1\nb: 1", "anchors", "&x", true),
            ("b: *x", "this is not YAML", "", false),
            ("a: !!str 1", "tags", "!!str", true),
            ("a: 1\n---\nb: 2", "second document", "", false),
            ("a: 1\nb: 2\na: 3", "`a` is here for the second time, first at r.yaml:1", "a", true),
            ("a: [1, 2", "this is not YAML", "", false),
            ("? [a, b]\n: 1", "name of a field", "[", false),
            ("a:\n\tb: 1", "this is not YAML", "\t", false),
        ] {
            let (node, problems) = read(text);
            assert_eq!((problems.len(), node.is_some()), (1, goes_on), "{text}: {problems:?}");
            assert!(problems[0].message.contains(part), "{text}: {problems:?}");
            let place = problems[0].place.as_ref().unwrap();
            assert!(text[place.bytes.clone()].starts_with(at), "{text}: {place:?}");
        }
        let (_, both) = read("a: &x { b: !t 1 }\nc: *x\nc: 2");
        assert_eq!(both.len(), 4, "{both:?}");
        let (node, comma) = read("{ a: -0,5e-3, b: 1, 5, c: 2,x, d: 0,7: 1 }");
        assert_eq!(comma.len(), 1, "{comma:?}");
        assert!(comma[0].to_string().contains("`-0,5e-3` is two values") && comma[0].hint.is_some());
        assert_eq!(node.unwrap().get("a").unwrap().to_value(), Value::from(-0.5e-3));
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(read(&deep).1[0].message.contains("too deep"));
    }
}
