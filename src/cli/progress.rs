//! How progress is told: bars where stderr is a terminal, plain lines where it is not.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of `len` units on stderr, invisible where stderr is no terminal.
pub fn bar(len: u64, template: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(len), target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar
}

/// Writes a line to stderr. A stderr that nobody reads any more (`2>&1 | head`) does not end the work.
pub fn tell(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes a line to stderr above the bar.
pub fn say(bar: &ProgressBar, line: impl Display) {
    bar.suspend(|| tell(line));
}

/// Writes a warning to stderr above the bar.
pub fn warn(bar: &ProgressBar, warning: impl Display) {
    say(bar, format_args!("warning: {warning}"));
}

/// Seconds in words: `3 hours`, `2 minutes`.
pub fn in_words(seconds: f64) -> String {
    HumanDuration(Duration::from_secs_f64(seconds.clamp(0.0, 1e9))).to_string()
}
