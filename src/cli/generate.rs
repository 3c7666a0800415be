//! `translate generate`: completions for shells and manual pages, made from the command line's own definition.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::builder::Resettable;
use clap::{Command, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::progress::tell;
use super::{Cli, Failure};
use crate::{PROGRAM, atomic};

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
        /// The folder; where it has a page already, nothing is written
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
        What::Man { folder, overwrite } => write_pages(folder, *overwrite),
    }
}

fn write_pages(folder: &Path, overwrite: bool) -> Result<u8, Failure> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    collect(&root, &mut pages)?;
    let (shown, count) = (folder.display(), pages.len());
    let there: Vec<&String> =
        pages.iter().map(|(name, _)| name).filter(|name| folder.join(name).exists()).collect();
    if let Some(first) = there.first().filter(|_| !overwrite) {
        let message =
            format!("{} of {count} pages exist in `{shown}`, `{first}` the first of them", there.len());
        return Err(anyhow!("{message}; nothing was written\nhint: `--overwrite` writes over them").into());
    }
    std::fs::create_dir_all(folder).map_err(|error| {
        anyhow!("cannot make `{shown}`: {error}\nhint: name a folder that you can write to")
    })?;
    for (name, page) in pages {
        let path = folder.join(name);
        let written = if overwrite {
            atomic::write(&path, page.as_bytes())
        } else {
            File::create_new(&path).and_then(|mut file| file.write_all(page.as_bytes()))
        };
        written.map_err(|error| {
            let hint = "name a folder that you can write to, which has space left";
            Failure::midway(anyhow!("cannot write `{}`: {error}\nhint: {hint}", path.display()))
        })?;
    }
    tell(format_args!("wrote {count} pages into `{shown}`"));
    Ok(0)
}

/// Files of pages: of `command` and of each below it.
fn collect(command: &Command, pages: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.push((format!("{name}.1"), page(name, command)?));
    command.get_subcommands().try_for_each(|below| collect(below, pages))
}

fn page(name: &str, command: &Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    let described = command.clone().after_help(Resettable::Reset);
    Man::new(described).title(name.to_uppercase()).source(PROGRAM).render(&mut page)?;
    if let Some(examples) = command.get_after_help() {
        render_examples(&examples.to_string()).to_writer(&mut page)?;
    }
    // Without these names they are drawn as letters that no shell takes.
    let page = String::from_utf8(page)?;
    Ok(page.replace('~', "\\(ti").replace('^', "\\(ha").replace('`', "\\(ga"))
}

/// Each on its line and with its spaces, so that it can be copied.
fn render_examples(examples: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    // The first line says what they are.
    for line in examples.lines().skip(1) {
        roff.text([roman(line.trim_start())]);
    }
    roff.control("fi", []);
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages of a folder, as they were written.
    fn pages(folder: &Path) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let page = |entry: std::fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
        };
        entries.map(page).collect()
    }

    #[test]
    fn every_command_has_its_page_and_nothing_is_written_over_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let args = |overwrite| Args { what: What::Man { folder: folder.path().into(), overwrite } };
        assert_eq!(run(&args(false)).unwrap(), 0);
        let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page("translate.1").contains("Translate between two folders"));
        assert!(page("translate-recipe-diff.1").contains("field by field"));
        assert!(page("translate-train.1").contains("\\-\\-dry\\-run"));
        let count = pages(folder.path()).len();
        std::fs::write(folder.path().join("translate.1"), "mine").unwrap();
        std::fs::remove_file(folder.path().join("translate-train.1")).unwrap();
        let refused = run(&args(false)).unwrap_err();
        let message = format!("{} of {count} pages exist in `{}`", count - 1, folder.path().display());
        assert!(refused.to_string().starts_with(&message) && refused.status == 2, "{refused}");
        assert!(refused.to_string().ends_with("\nhint: `--overwrite` writes over them"), "{refused}");
        assert_eq!(page("translate.1"), "mine");
        assert!(!folder.path().join("translate-train.1").exists());
        assert_eq!(run(&args(true)).unwrap(), 0);
        assert!(page("translate.1").contains("Translate between two folders"));
        assert_eq!(pages(folder.path()).len(), count);
    }

    #[test]
    fn pages_name_only_pages_that_there_are_and_the_version() {
        let folder = tempfile::tempdir().unwrap();
        write_pages(folder.path(), false).unwrap();
        for (name, page) in pages(folder.path()) {
            let title = page.lines().find(|line| line.starts_with(".TH ")).unwrap();
            assert!(title.contains(&format!("\"{PROGRAM}\"")), "{title}");
            let named = page.lines().filter_map(|line| line.strip_suffix("(1)"));
            for other in named.map(|line| line.replace("\\-", "-")) {
                assert!(folder.path().join(format!("{other}.1")).is_file(), "{name} names {other}");
            }
        }
    }

    /// As groff draws them where it draws all that it can.
    #[test]
    fn examples_can_be_copied_from_a_page() {
        let folder = tempfile::tempdir().unwrap();
        write_pages(folder.path(), false).unwrap();
        let mut commands = vec![Cli::command()];
        let mut seen = 0;
        while let Some(mut command) = commands.pop() {
            command.build();
            commands.extend(command.get_subcommands().cloned());
            let Some(examples) = command.get_after_help().map(ToString::to_string) else { continue };
            let name = command.get_display_name().unwrap_or(command.get_name());
            let page = std::fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap();
            let (_, written) = page.split_once(".SH EXAMPLES\n.nf\n").unwrap();
            let letters = [("\\-", "-"), ("\\*(Aq", "'"), ("\\(ti", "~"), ("\\(ha", "^"), ("\\(ga", "`")];
            let drawn = letters.iter().fold(written.to_string(), |text, (roff, c)| text.replace(roff, c));
            let expected: Vec<&str> = examples.lines().skip(1).map(str::trim).chain([".fi\n"]).collect();
            assert_eq!(drawn, expected.join("\n"), "{name}");
            // Each of them drawn by its name alone: bare, they are other signs.
            let bare = written.replace("\\-", "").contains(['-', '~', '^', '`', '\'']);
            assert!(!bare, "{written}");
            seen += 1;
        }
        assert!(seen > 10);
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
