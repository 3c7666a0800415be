//! `translate demo-data`: renders the portraits.

use std::path::PathBuf;

use clap::Parser;

use super::progress::tell;
use super::{Failure, print};
use crate::data::portraits::{DemoError, Options, write_dataset_unless};
use crate::train::signals::Signals;

/// Render the demo set: portraits as photos and as anime, and a holdout with both drawings of the same persons
#[derive(Debug, Parser)]
#[command(after_help = "Example:
  translate demo-data faces && translate train faces/photos faces/anime -r demo")]
pub struct Args {
    /// The folder to make
    dir: PathBuf,
    /// Portraits of each kind
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Side of a picture in pixels
    #[arg(long, default_value_t = 64)]
    size: u32,
    /// Decides every person
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Persons in the holdout, drawn both ways; by default 32, or fewer where COUNT is
    #[arg(long)]
    holdout: Option<usize>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let options = Options { count: args.count, size: args.size, seed: args.seed, holdout: args.holdout };
    let signals = Signals::listen()?;
    let summary = match write_dataset_unless(&args.dir, &options, signals.flag()) {
        Err(stopped @ DemoError::Interrupted(_)) => {
            tell(stopped);
            return Ok(signals.exit_status().unwrap_or(1));
        }
        summary => summary?,
    };
    let (folder, size) = (summary.folder.display(), summary.size);
    print(format!(
        "{} photos, {} anime, {} persons drawn both ways, {size}×{size}, in `{folder}`",
        summary.count, summary.count, summary.holdout
    ));
    Ok(0)
}
