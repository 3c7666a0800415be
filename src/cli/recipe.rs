//! `translate recipe`: what is shipped, and what a recipe comes to.

use clap::{Parser, Subcommand};

use super::{Failure, print};
use crate::recipe::{Origin, PRESETS, resolve, to_yaml};

/// List and show recipes
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate recipe list
  translate recipe show cyclegan --set data.size=128 > mine.yaml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The shipped recipes, one a line
    List,
    /// The YAML of a recipe: as written, or complete with `--set` values laid over it
    Show {
        /// A shipped recipe or a file
        recipe: String,
        /// Lay a value over a field (may be repeated)
        #[arg(long = "set", value_name = "FIELD=VALUE")]
        sets: Vec<String>,
        /// Every field, defaults included
        #[arg(long)]
        resolved: bool,
    },
}

/// Runs the command.
pub fn run(args: &Args) -> Result<u8, Failure> {
    match &args.command {
        Command::List => {
            for preset in PRESETS {
                print(format!("{:<28}{}", preset.name, resolve(preset.name, &[])?.about));
            }
        }
        Command::Show { recipe, sets, resolved } if *resolved || !sets.is_empty() => {
            print(to_yaml(&resolve(recipe, sets)?)?.trim_end());
        }
        Command::Show { recipe, .. } => print(Origin::named(recipe)?.into_text().trim_end()),
    }
    Ok(0)
}
