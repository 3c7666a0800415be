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
    /// Paths of the other fields that the rule reads, with `*` for any name. Where one of them is not what was meant,
    /// nothing follows.
    pub given: Vec<String>,
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
        self.add(ok, field, format!("`{value}`"), expected, None);
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
        self.add(ok, field, format!("`{value}`"), expected, Some(works));
    }

    /// As [`Rules::state`].
    pub(super) fn state(&mut self, ok: bool, field: &str, state: &str, expected: &str) {
        self.add(ok, field, state.into(), expected, None);
    }

    fn add(&mut self, ok: bool, field: &str, value: String, expected: &str, works: Option<&dyn Display>) {
        if ok {
            return;
        }
        let given = self.fields.iter().map(ToString::to_string).collect();
        let (field, expected) = (field.into(), expected.into());
        let works = works.map(ToString::to_string);
        self.rules.broken.push(Invalid { field, value, expected, works, given });
    }
}
