//! How messages name several things.

use std::fmt::Display;

/// Names in backquotes with `between` between them, as in `` `a`, `b` ``.
pub fn quoted<T: Display>(names: impl IntoIterator<Item = T>, between: &str) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(between)
}
