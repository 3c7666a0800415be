//! How progress is told: bars where stderr is a terminal, plain lines where it is not.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::words::printable;

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

/// Seconds between two lines where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Counts images as they are done, from any thread: a bar on a terminal, elsewhere a line now and then.
pub struct Counter {
    bar: ProgressBar,
    done: &'static str,
    told: Mutex<Instant>,
}

impl Counter {
    /// `done` is what happens to the images, as in `translated`; `count` is how many there are, where that is known.
    pub fn new(done: &'static str, count: Option<usize>) -> Self {
        let bar = match count {
            Some(count) => bar(count as u64, "{wide_bar} {pos}/{len} images, {per_sec}, {eta} left"),
            None => bar(0, "{pos} images, {per_sec}, {msg}").with_message(done),
        };
        Self { bar, done, told: Mutex::new(Instant::now()) }
    }

    /// So many more.
    pub fn add(&self, images: u64) {
        self.bar.inc(images);
        if self.bar.is_hidden()
            && let Ok(mut told) = self.told.lock()
            && told.elapsed() >= LINE_EVERY
        {
            *told = Instant::now();
            let of =
                self.bar.length().filter(|of| *of > 0).map_or_else(String::new, |of| format!(" of {of}"));
            tell(format_args!("{}{of} images {}", self.bar.position(), self.done));
        }
    }

    /// The bar, to write lines above.
    pub const fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Writes a line to stderr, as much of it as is fit for a terminal. A stderr that nobody reads any more (`2>&1 | head`) does not end the work.
pub fn tell(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{}", printable(&line.to_string()));
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
