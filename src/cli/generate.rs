//! `translate generate`: completions for shells and manual pages, made from the command line's own definition.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Command, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;

use super::progress::tell;
use super::{Cli, Failure};
use crate::atomic;

/// Write shell completions or manual pages
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate generate completions bash > ~/.local/share/bash-completion/completions/translate
  translate generate man ~/.local/share/man/man1
  translate generate man ~/.local/share/man/man1 --overwrite    # those of a newer version")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A script that completes commands and options, to stdout
    Completions {
        /// The shell
        shell: Shell,
    },
    /// A manual page for each command, into a folder
    Man {
        /// The folder; files in it that exist are left as they are, and named
        folder: PathBuf,
        /// Write over pages that exist
        #[arg(long)]
        overwrite: bool,
    },
}

/// Runs the command.
pub fn run(args: &Args) -> Result<u8, Failure> {
    match &args.what {
        What::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "translate", &mut script);
            // A closed pipe is no failure.
            let _ = std::io::stdout().write_all(&script);
            Ok(0)
        }
        What::Man { folder, overwrite } => {
            let failed = |error| {
                let shown = folder.display();
                anyhow!("cannot make `{shown}`: {error}\nhint: name a folder that you can write to")
            };
            std::fs::create_dir_all(folder).map_err(failed)?;
            let mut root = Cli::command();
            root.build();
            let mut pages = Pages { folder, overwrite: *overwrite, status: 0, has_old: false };
            pages.write(&root)?;
            if pages.has_old {
                tell(format_args!("hint: `--overwrite` writes over what is there"));
            }
            Ok(pages.status)
        }
    }
}

/// Manual pages on their way into a folder.
struct Pages<'a> {
    folder: &'a Path,
    overwrite: bool,
    /// The exit status: 1 where a page could not be written.
    status: u8,
    /// Whether one was there already, and was left.
    has_old: bool,
}

impl Pages<'_> {
    /// A page of `command` and of each below it.
    fn write(&mut self, command: &Command) -> Result<(), Failure> {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let path = self.folder.join(format!("{name}.1"));
        let mut page = Vec::new();
        Man::new(command.clone()).title(name.to_uppercase()).render(&mut page)?;
        let written = if self.overwrite {
            atomic::write(&path, &page)
        } else {
            File::create_new(&path).and_then(|mut file| file.write_all(&page))
        };
        match written {
            Ok(()) => tell(format_args!("wrote `{}`", path.display())),
            Err(error) => {
                tell(format_args!("error: cannot write `{}`: {error}", path.display()));
                self.status = 1;
                self.has_old |= error.kind() == ErrorKind::AlreadyExists;
            }
        }
        let below = command.get_subcommands().filter(|below| below.get_name() != "help");
        below.into_iter().try_for_each(|below| self.write(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_page_and_nothing_is_written_over_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let args = |overwrite| Args { what: What::Man { folder: folder.path().into(), overwrite } };
        assert_eq!(run(&args(false)).unwrap(), 0);
        let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page("translate.1").contains("Translate between two folders"));
        assert!(page("translate-recipe-diff.1").contains("field by field"));
        assert!(page("translate-train.1").contains("\\-\\-dry\\-run"));
        assert!(!folder.path().join("translate-help.1").exists());
        std::fs::write(folder.path().join("translate.1"), "mine").unwrap();
        assert_eq!(run(&args(false)).unwrap(), 1);
        assert_eq!(page("translate.1"), "mine");
        assert_eq!(run(&args(true)).unwrap(), 0);
        assert!(page("translate.1").contains("Translate between two folders"));
    }

    #[test]
    fn a_script_completes_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "translate", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("demo-data") && script.contains("dry-run"), "{shell}");
        }
    }
}
