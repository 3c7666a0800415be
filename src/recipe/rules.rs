//! What a recipe's values break: ranges, each with a value that is in it, and combinations.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// A value that cannot be used: field path, the value, what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {value}; expected {expected}")]
pub struct Invalid {
    /// Dotted path of the field, such as `loss.identity`.
    pub field: String,
    /// The value found.
    pub value: String,
    /// What the field can be.
    pub expected: String,
    /// A value that works, where one is known.
    pub works: Option<String>,
    /// Other fields that have to change with it, each with a value that works.
    pub also: Vec<(String, String)>,
    /// What to do instead, where no other value helps.
    pub hint: Option<String>,
    /// Paths of the other fields that the rule reads, with `*` for any name. Where one of them is not what was meant,
    /// nothing follows.
    pub given: Vec<String>,
}

impl Invalid {
    fn of(field: &str, value: String, expected: &str) -> Self {
        let (field, expected) = (field.into(), expected.into());
        Self { field, value, expected, works: None, also: Vec::new(), hint: None, given: Vec::new() }
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) broken: Vec<Invalid>,
}

/// Rules that read other fields too.
pub(super) struct Given<'a> {
    rules: &'a mut Rules,
    fields: &'a [&'a str],
}

impl Rules {
    /// For rules that read these fields beside the one that they refuse.
    pub(super) const fn given<'a>(&'a mut self, fields: &'a [&'a str]) -> Given<'a> {
        Given { rules: self, fields }
    }

    /// A rule of which no single value follows.
    pub(super) fn check(&mut self, ok: bool, field: &str, value: &dyn Display, expected: &str) {
        self.given(&[]).check(ok, field, value, expected);
    }

    /// A range, with a value in it.
    pub(super) fn range(
        &mut self,
        ok: bool,
        field: &str,
        value: &dyn Display,
        expected: &str,
        works: &dyn Display,
    ) {
        self.given(&[]).range(ok, field, value, expected, works);
    }

    /// A rule on what a section holds, told in words.
    pub(super) fn state(&mut self, ok: bool, field: &str, state: &str, expected: &str) {
        self.given(&[]).state(ok, field, state, expected);
    }

    /// A whole number of a network's section.
    pub(super) fn net(&mut self, field: &str, part: &str, value: i64, range: RangeInclusive<i64>) {
        self.whole(&format!("{field}.net.{part}"), value, range);
    }

    /// A whole number; the nearest in the range works.
    pub(super) fn whole(&mut self, field: &str, value: i64, range: RangeInclusive<i64>) {
        let expected = format!("{} to {}", range.start(), range.end());
        let nearest = value.clamp(*range.start(), *range.end());
        self.range(range.contains(&value), field, &value, &expected, &nearest);
    }

    /// A weight of a loss term.
    pub(super) fn weight(&mut self, field: &str, weight: f64, works: f64) {
        let ok = weight >= 0.0 && weight.is_finite();
        self.range(ok, field, &weight, "a finite number from 0", &works);
    }
}

impl Given<'_> {
    /// As [`Rules::check`].
    pub(super) fn check(&mut self, ok: bool, field: &str, value: &dyn Display, expected: &str) {
        self.add(ok, Invalid::of(field, format!("`{value}`"), expected));
    }

    /// As [`Rules::range`].
    pub(super) fn range(
        &mut self,
        ok: bool,
        field: &str,
        value: &dyn Display,
        expected: &str,
        works: &dyn Display,
    ) {
        self.ranges(ok, field, value, expected, works, &[]);
    }

    /// As [`Rules::range`], where a value in it breaks other rules unless other fields change with it.
    pub(super) fn ranges(
        &mut self,
        ok: bool,
        field: &str,
        value: &dyn Display,
        expected: &str,
        works: &dyn Display,
        also: &[(&str, &dyn Display)],
    ) {
        let broken = Invalid::of(field, format!("`{value}`"), expected);
        let also = also.iter().map(|(field, works)| (field.to_string(), works.to_string())).collect();
        self.add(ok, Invalid { works: Some(works.to_string()), also, ..broken });
    }

    /// As [`Rules::state`].
    pub(super) fn state(&mut self, ok: bool, field: &str, state: &str, expected: &str) {
        self.add(ok, Invalid::of(field, state.into(), expected));
    }

    /// A state that is always refused, with what to do.
    pub(super) fn refuse(&mut self, field: &str, state: &str, expected: &str, hint: String) {
        self.add(false, Invalid { hint: Some(hint), ..Invalid::of(field, state.into(), expected) });
    }

    fn add(&mut self, ok: bool, broken: Invalid) {
        if !ok {
            let given = self.fields.iter().map(ToString::to_string).collect();
            self.rules.broken.push(Invalid { given, ..broken });
        }
    }
}
