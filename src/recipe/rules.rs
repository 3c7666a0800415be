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
    /// A value in its range, where it was out of that.
    pub works: Option<String>,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) broken: Vec<Invalid>,
}

impl Rules {
    /// A rule of which no single value follows.
    pub(super) fn check(&mut self, ok: bool, field: &str, value: &dyn Display, expected: &str) {
        self.add(ok, field, value, expected, None);
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
        self.add(ok, field, value, expected, Some(works));
    }

    fn add(
        &mut self,
        ok: bool,
        field: &str,
        value: &dyn Display,
        expected: &str,
        works: Option<&dyn Display>,
    ) {
        if !ok {
            let (field, value) = (field.into(), format!("`{value}`"));
            let works = works.map(ToString::to_string);
            self.broken.push(Invalid { field, value, expected: expected.into(), works });
        }
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
