//! The command line: one file a subcommand, each from its clap struct to a checked plan to a call into the library.
//!
//! Results go to stdout, logs and progress to stderr. Exit status 0: all done; 1: some inputs failed, each named, or a
//! training broke off; 2: nothing was begun; 130 and 143: interrupted, everything saved.

mod apply;
mod bench;
mod demo_data;
mod doctor;
mod eval;
mod generate;
mod model;
mod progress;
mod recipe;
mod sample;
mod train;
mod warnings;

use std::ffi::OsString;
use std::fmt::{self, Display};

use clap::{Parser, Subcommand};

use crate::torch::keep_freed_memory;
use crate::words::printable;

pub use progress::tell;

/// Translate between two folders of images that nobody paired
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 110,
    after_help = "Examples:
  translate demo-data faces
  translate train faces/photos faces/anime -r demo
  translate apply models/photos-anime faces/holdout/photos -o drawn"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::Args),
    Apply(apply::Args),
    Sample(sample::Args),
    Eval(eval::Args),
    Bench(bench::Args),
    DemoData(demo_data::Args),
    Recipe(recipe::Args),
    Generate(generate::Args),
    Model(model::Args),
    Doctor(doctor::Args),
}

/// What ends the program early: a message and an exit status.
#[derive(Debug)]
pub struct Failure {
    error: anyhow::Error,
    /// The exit status: 2 where nothing was begun, 1 where something was.
    pub status: u8,
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.error.to_string()))
    }
}

/// Nothing was begun.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), status: 2 }
    }
}

impl Failure {
    /// Something was begun and broke off.
    fn midway(error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), status: 1 }
    }
}

/// Runs the program on its arguments and gives the exit status.
///
/// # Errors
/// What the user has to be told, with the exit status to end with.
pub fn run() -> Result<u8, Failure> {
    keep_freed_memory();
    run_command(Cli::parse().command)
}

/// Runs the program on these arguments, its name the first of them, in this process, and gives the exit status. Output
/// goes where the process's own does.
///
/// # Errors
/// As [`run`]'s; arguments that make no command are one too.
pub fn run_on<I>(args: I) -> Result<u8, Failure>
where
    I: IntoIterator<Item: Into<OsString> + Clone>,
{
    run_command(Cli::try_parse_from(args)?.command)
}

fn run_command(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Train(args) => train::run(args),
        Command::Apply(args) => apply::run(args),
        Command::Sample(args) => sample::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::DemoData(args) => demo_data::run(&args),
        Command::Recipe(args) => recipe::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Doctor(_) => doctor::run(),
    }
}

/// Reads a number of threads.
fn thread_count(text: &str) -> Result<usize, String> {
    const MOST: usize = 256;
    let count = text.parse().ok().filter(|count| (1..=MOST).contains(count));
    count.ok_or_else(|| format!("expected 1 to {MOST}"))
}

/// Reads a count of something.
fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "expected a number from 1".to_string())
}

/// Writes a result to stdout. A closed pipe (`| head`) is no failure.
fn print(text: impl Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}
