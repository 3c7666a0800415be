//! `translate generate`: completions for shells and manual pages, made from the command line's own definition.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Command, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;

use super::progress::tell;
use super::{Cli, Failure};

/// Write shell completions or manual pages
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate generate completions bash > ~/.local/share/bash-completion/completions/translate
  translate generate man ~/.local/share/man/man1")]
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
        What::Man { folder } => {
            let failed = |error| {
                let shown = folder.display();
                anyhow!("cannot make `{shown}`: {error}\nhint: name a folder that you can write to")
            };
            std::fs::create_dir_all(folder).map_err(failed)?;
            let mut root = Cli::command();
            root.build();
            write_pages(&root, folder)
        }
    }
}

/// A page of `command` and of each below it. Status 1 where one was there already.
fn write_pages(command: &Command, folder: &Path) -> Result<u8, Failure> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    Man::new(command.clone()).title(name.to_uppercase()).render(&mut page)?;
    let mut status = 0;
    match File::create_new(&path).and_then(|mut file| file.write_all(&page)) {
        Ok(()) => tell(format_args!("wrote `{}`", path.display())),
        Err(error) => {
            tell(format_args!("error: cannot write `{}`: {error}", path.display()));
            status = 1;
        }
    }
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        status = status.max(write_pages(below, folder)?);
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_page_and_nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let args = Args { what: What::Man { folder: folder.path().into() } };
        assert_eq!(run(&args).unwrap(), 0);
        let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page("translate.1").contains("Translate between two folders"));
        assert!(page("translate-recipe-diff.1").contains("field by field"));
        assert!(page("translate-train.1").contains("\\-\\-dry\\-run"));
        assert!(!folder.path().join("translate-help.1").exists());
        std::fs::write(folder.path().join("translate.1"), "mine").unwrap();
        assert_eq!(run(&args).unwrap(), 1);
        assert_eq!(page("translate.1"), "mine");
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
