//! Warnings as the user reads them: what was left out for one reason is one line, since whole folders can be.

use indexmap::{IndexMap, IndexSet};

use crate::train::warning::Warning;

/// How many of those that were left out for one reason are named.
const NAMED: usize = 3;

/// The lines of `warnings`, each once, in their order.
pub fn lines(warnings: &[Warning]) -> Vec<String> {
    // By reason, or by the whole text of what is told alone: what was left out.
    let mut found: IndexMap<String, IndexSet<&str>> = IndexMap::new();
    for warning in warnings {
        match warning {
            Warning::LeftOut(left) => {
                found.entry(left.reason.clone()).or_default().insert(&left.what);
            }
            other => {
                found.entry(other.to_string()).or_default();
            }
        }
    }
    let line = |(text, left): (String, IndexSet<&str>)| {
        if left.is_empty() { text } else { format!("left out {}: {text}", listed(&left)) }
    };
    found.into_iter().map(line).collect()
}

fn listed(all: &IndexSet<&str>) -> String {
    let named = all.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::left_out::LeftOut;

    #[test]
    fn one_reason_is_one_line() {
        let left = |i: usize, reason: &str| {
            Warning::LeftOut(LeftOut { what: format!("`{i}.png`"), reason: reason.into() })
        };
        let skipped =
            |i: usize| Warning::Skipped { path: format!("{i}.png").into(), reason: "cut off".into() };
        let mut warnings = vec![skipped(1), left(0, "no words")];
        warnings.extend((0..10_000).map(|i| left(i, "no caption, expected one")));
        // Both halves of one folder say the same.
        warnings.extend([skipped(2), skipped(1), left(0, "no words")]);
        assert_eq!(
            lines(&warnings),
            [
                "skipped `1.png`: cut off",
                "left out `0.png`: no words",
                "left out `0.png`, `1.png`, `2.png` and 9997 more: no caption, expected one",
                "skipped `2.png`: cut off",
            ]
        );
    }
}
