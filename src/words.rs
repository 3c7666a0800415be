//! How messages name several things, in which order names of layers go, and what of a stranger's text is shown.

use std::fmt::{Display, Write as _};

/// Names in backquotes with `between` between them, as in `` `a`, `b` ``.
pub fn quoted<T: Display>(names: impl IntoIterator<Item = T>, between: &str) -> String {
    let quote = |name: T| format!("`{}`", plain(&name.to_string()));
    names.into_iter().map(quote).collect::<Vec<_>>().join(between)
}

/// Orders by the numbers in a name as numbers, so that `model.4` comes before `model.10`.
pub fn natural(name: &str) -> Vec<(Option<u64>, &str)> {
    name.split('.').map(|part| (part.parse().ok(), part)).collect()
}

/// A text of a file on one line, without what a terminal would obey instead of showing: such characters are spaces.
pub fn plain(text: &str) -> String {
    text.replace(is_obeyed, " ")
}

/// The same of a message, whose own lines stay.
pub fn printable(message: &str) -> String {
    message.replace(|c| c != '\n' && is_obeyed(c), " ")
}

/// The same of JSON, in which they stand for themselves as escapes.
pub fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_obeyed(c) {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Control characters, line breaks, and what turns the order of writing around.
fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_not_shown() {
        let text = "a\u{1b}[31mb\r\nc\u{9b}2J\u{2028}d\u{202e}ü\u{7f}";
        assert_eq!(plain(text), "a [31mb  c 2J d ü ");
        assert_eq!(printable(text), "a [31mb \nc 2J d ü ");
        assert_eq!(quoted(["a\nb", "c"], ", "), "`a b`, `c`");
        let json = serde_json::to_string(&[text]).unwrap();
        let shown = printable_json(&json);
        assert!(!shown.contains(is_obeyed), "{shown}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [text]);
    }
}
