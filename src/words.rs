//! How messages name several things, and in which order names of layers go.

use std::fmt::Display;

/// Names in backquotes with `between` between them, as in `` `a`, `b` ``.
pub fn quoted<T: Display>(names: impl IntoIterator<Item = T>, between: &str) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(between)
}

/// Orders by the numbers in a name as numbers, so that `model.4` comes before `model.10`.
pub fn natural(name: &str) -> Vec<(Option<u64>, &str)> {
    name.split('.').map(|part| (part.parse().ok(), part)).collect()
}
