//! A recipe as written: a tree of YAML values, each of which knows the place that it came from.

use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_yaml::{Mapping, Value};

/// A text that values come from.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// What it is called in messages: a shipped recipe's name, a file's path or a link.
    pub name: String,
    /// All of it.
    pub text: String,
    /// Whether it has lines, and is no `--set FIELD=VALUE`, which names itself.
    pub has_lines: bool,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The text.
    pub source: Arc<Source>,
    /// The part, in bytes.
    pub bytes: Range<usize>,
}

impl Place {
    /// `cyclegan:7`, or the source alone where it has no lines.
    pub fn short(&self) -> String {
        let Source { name, text, has_lines } = self.source.as_ref();
        if *has_lines { format!("{name}:{}", self.line()) } else { text.clone() }
    }

    /// The number of its first line, from 1.
    pub fn line(&self) -> usize {
        self.source.text[..self.bytes.start].matches('\n').count() + 1
    }

    /// The lines that it is in.
    pub fn lines(&self) -> Range<usize> {
        let text = &self.source.text;
        let start = text[..self.bytes.start].rfind('\n').map_or(0, |before| before + 1);
        let end = text[self.bytes.end..].find('\n').map_or(text.len(), |length| self.bytes.end + length);
        start..end
    }

    /// The same in another text, in which its own begins at the byte `at`.
    pub(super) fn moved(&self, source: &Arc<Source>, at: usize) -> Self {
        Self { source: Arc::clone(source), bytes: self.bytes.start + at..self.bytes.end + at }
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it is written.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Fields, in their order.
    Map(IndexMap<String, Entry>),
    /// Values, in their order.
    List(Vec<Node>),
    /// Nothing, a truth value, a number or a text.
    Scalar(Value),
}

/// A field: where its name is written, and its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The place of the name.
    pub key: Place,
    /// The value.
    pub node: Node,
}

impl Node {
    /// Its fields, where it has some.
    pub const fn as_map(&self) -> Option<&IndexMap<String, Entry>> {
        if let Kind::Map(map) = &self.kind { Some(map) } else { None }
    }

    /// The text that it is, where it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Kind::Scalar(value) = &self.kind { value.as_str() } else { None }
    }

    /// It as it is written.
    pub fn written(&self) -> &str {
        &self.place.source.text[self.place.bytes.clone()]
    }

    /// The value of one of its fields.
    pub fn get(&self, field: &str) -> Option<&Self> {
        Some(&self.as_map()?.get(field)?.node)
    }

    /// Whether it has fields.
    pub const fn is_section(&self) -> bool {
        matches!(self.kind, Kind::Map(_))
    }

    /// Whether it is written as `null` or `~`, and not just left out.
    fn is_written_null(&self) -> bool {
        matches!(self.kind, Kind::Scalar(Value::Null)) && !self.place.bytes.is_empty()
    }

    /// The same in another text, in which its own begins at the byte `at`.
    #[must_use]
    pub fn moved(self, source: &Arc<Source>, at: usize) -> Self {
        let kind = match self.kind {
            Kind::Map(map) => {
                let entry =
                    |Entry { key, node }| Entry { key: key.moved(source, at), node: node.moved(source, at) };
                Kind::Map(map.into_iter().map(|(name, it)| (name, entry(it))).collect())
            }
            Kind::List(items) => Kind::List(items.into_iter().map(|item| item.moved(source, at)).collect()),
            kind @ Kind::Scalar(_) => kind,
        };
        Self { place: self.place.moved(source, at), kind }
    }

    /// The value without its places.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Map(map) => {
                let fields =
                    map.iter().map(|(name, entry)| (Value::from(name.as_str()), entry.node.to_value()));
                Value::Mapping(fields.collect::<Mapping>())
            }
            Kind::List(items) => Value::Sequence(items.iter().map(Self::to_value).collect()),
            Kind::Scalar(value) => value.clone(),
        }
    }

    /// The entry at a dotted path, or at as much of it from its beginning as there is; with whether all of it is there.
    pub fn nearest(&self, path: &str) -> Option<(&Entry, bool)> {
        let mut node = self;
        let mut found = None;
        for part in path.split('.') {
            let Some(entry) = node.as_map().and_then(|map| map.get(part)) else {
                return found.map(|entry| (entry, false));
            };
            (node, found) = (&entry.node, Some(entry));
        }
        found.map(|entry| (entry, true))
    }
}

/// `over` laid over `base`: maps are merged deep; lists and single values replace; a section whose `kind` changes replaces
/// the one before, as the other fields are those of the kind before; and `null` takes away what is there.
///
/// Associative as long as no `kind` changes, nothing is `null` and what is a section stays one.
pub fn lay(base: Node, over: Node) -> Node {
    let place = over.place.clone();
    match (base.kind, over.kind) {
        (Kind::Map(mut below), Kind::Map(above)) => {
            if changes_kind(&below, &above) {
                return Node { place, kind: Kind::Map(above) };
            }
            for (name, entry) in above {
                let Some((index, _, before)) = below.shift_remove_full(&name) else {
                    below.insert(name, entry);
                    continue;
                };
                if !entry.node.is_written_null() {
                    let node = lay(before.node, entry.node);
                    below.shift_insert(index, name, Entry { key: entry.key, node });
                }
            }
            Node { place, kind: Kind::Map(below) }
        }
        (_, kind) => Node { place, kind },
    }
}

fn changes_kind(below: &IndexMap<String, Entry>, above: &IndexMap<String, Entry>) -> bool {
    let kind = |map: &IndexMap<String, Entry>| map.get("kind").map(|entry| entry.node.to_value());
    matches!((kind(below), kind(above)), (Some(before), Some(after)) if before != after)
}
