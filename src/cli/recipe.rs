//! `translate recipe`: what is shipped, what a recipe comes to, and what is wrong with one.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Parser, Subcommand};

use super::progress::tell;
use super::{Failure, print};
use crate::atomic;
use crate::recipe::{
    Origin, PRESETS, RecipeError, Resolved, SCHEMA_FILE, Upgraded, diff, for_editors, is_yaml, origins,
    read_file, resolve, resolve_fully, starter, to_yaml, upgrade,
};
use crate::words::{plain, printable};

/// List, show, check and compare recipes
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate recipe list
  translate recipe show cyclegan --set data.size=128 > mine.yaml
  translate recipe new mine --from cyclegan-small     # mine.yaml, which extends it
  translate recipe validate mine.yaml
  translate recipe diff cyclegan mine.yaml
  translate recipe diff models/photos-anime cyclegan  # a run, or a model file, is as good as a recipe
  translate recipe new mine --from anime.safetensors  # mine.yaml, a copy of the model's")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The shipped recipes and those of the folder `recipes`, one a line
    List,
    /// The YAML of a recipe: as written, or complete with `--set` values laid over it
    Show {
        /// A shipped recipe, a file, a link, a run or a model file
        recipe: String,
        /// Lay a value over a field (may be repeated)
        #[arg(long = "set", value_name = "FIELD=VALUE")]
        sets: Vec<String>,
        /// Every field, defaults included
        #[arg(long)]
        resolved: bool,
        /// Every field with the file and line, or the `--set`, that its value came from
        #[arg(long, conflicts_with = "resolved")]
        origin: bool,
    },
    /// Write a recipe to begin with, which extends another, or copies that of a run or a model file
    New {
        /// The new file, `.yaml` added where it is not there; nothing that exists is overwritten
        name: PathBuf,
        /// A shipped recipe, a file in the new one's folder or below, or a link, to extend; or a run or a model file, to copy
        #[arg(long, value_name = "RECIPE", default_value = "cyclegan")]
        from: String,
    },
    /// Check recipes: every mistake, with its line; status 1 where there is one
    Validate {
        /// Shipped recipes, files, links, runs or model files
        #[arg(required = true, value_name = "FILE")]
        recipes: Vec<String>,
    },
    /// What differs between two recipes, field by field
    Diff {
        /// A shipped recipe, a file, a link, a run or a model file
        a: String,
        /// The same
        b: String,
    },
    /// Rewrite old names of fields in a recipe; comments and all else stay
    Upgrade {
        /// The file
        file: PathBuf,
    },
    /// The JSON Schema (draft-07) of recipes, for editors
    Schema,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<u8, Failure> {
    match &args.command {
        Command::List => list(),
        Command::Show { recipe, sets, origin: true, .. } => show_origins(recipe, sets),
        Command::Show { recipe, sets, resolved, .. } if *resolved || !sets.is_empty() => {
            print(printable(to_yaml(&told(recipe, sets)?.recipe)?.trim_end()));
            Ok(0)
        }
        Command::Show { recipe, .. } => {
            let origin = Origin::named(recipe)?;
            warn(origin.warning().as_ref());
            print(origin.into_text().trim_end());
            Ok(0)
        }
        Command::New { name, from } => new(name, from),
        Command::Validate { recipes } => Ok(validate(recipes)),
        Command::Diff { a, b } => {
            for difference in diff(&told(a, &[])?.recipe, &told(b, &[])?.recipe)? {
                print(plain(&format!("{}: {} -> {}", difference.field, difference.before, difference.after)));
            }
            Ok(0)
        }
        Command::Upgrade { file } => rewrite(file),
        Command::Schema => {
            print(serde_json::to_string_pretty(&for_editors())?);
            Ok(0)
        }
    }
}

fn list() -> Result<u8, Failure> {
    let line = |name: &str, about: &str| print(format!("{name:<28}{}", plain(about)));
    for preset in PRESETS {
        line(preset.name, &resolve(preset.name, &[])?.about);
    }
    for path in local_recipes() {
        let name = path.display().to_string();
        match told(&name, &[]) {
            Ok(resolved) => line(&name, &resolved.recipe.about),
            Err(_) => line(&name, &format!("(not valid: `translate recipe validate {name}` says why)")),
        }
    }
    Ok(0)
}

/// YAML files in the folder `recipes` here, but for copies of what is shipped.
fn local_recipes() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("recipes").into_iter().flatten().flatten();
    let is_ours = |path: &Path| {
        let preset = PRESETS.iter().find(|preset| path.file_stem().is_some_and(|stem| stem == preset.name));
        preset.is_some_and(|preset| read_file(path).is_ok_and(|text| text == preset.yaml))
    };
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| is_yaml(path) && !is_ours(path)).collect();
    found.sort();
    found
}

fn show_origins(recipe: &str, sets: &[String]) -> Result<u8, Failure> {
    let values = origins(&told(recipe, sets)?)?;
    let width = |of: fn(&crate::recipe::Valued) -> usize| values.iter().map(of).max().unwrap_or(0);
    let (field, value) = (width(|it| it.field.chars().count()), width(|it| it.value.chars().count()).min(40));
    for it in &values {
        print(plain(&format!("{:<field$}  {:<value$}  {}", it.field, it.value, it.origin)));
    }
    Ok(0)
}

fn new(name: &Path, from: &str) -> Result<u8, Failure> {
    let path = with_extension(name);
    let shown = path.display();
    let unwritable = |error: &dyn std::fmt::Display| {
        anyhow!("cannot write `{shown}`: {error}\nhint: name a new file in a folder that you can write to")
    };
    let folder = atomic::folder_of(&path);
    if !folder.is_dir() {
        return Err(unwritable(&format_args!("there is no folder `{}`", folder.display())).into());
    }
    let (text, warnings) = starter(from, &path)?;
    write_new(&path, &text).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            anyhow!("`{shown}` exists, and is left as it is\nhint: give the new recipe another name")
        } else {
            unwritable(&error)
        }
    })?;
    warn(&warnings);
    let and_schema = put_schema(&path.with_file_name(SCHEMA_FILE))?;
    tell(format_args!(
        "wrote `{shown}`{and_schema}\nnext: change it, then `translate train X Y -r {shown} --dry-run`"
    ));
    Ok(0)
}

/// The name of a YAML file; what comes after a dot may belong to the name itself.
fn with_extension(name: &Path) -> PathBuf {
    let Some(file) = name.file_name().filter(|_| !is_yaml(name)) else { return name.to_path_buf() };
    let mut file = file.to_os_string();
    file.push(".yaml");
    name.with_file_name(file)
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()))
}

/// Writes the schema that a new recipe names for editors, where none lies beside it. What is to be added to what was
/// written.
fn put_schema(path: &Path) -> Result<String, Failure> {
    let schema = for_editors();
    let shown = path.display();
    match write_new(path, &format!("{}\n", serde_json::to_string_pretty(&schema)?)) {
        Ok(()) => return Ok(format!(", and `{shown}`, by which an editor knows the fields")),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let there = read_file(path).ok().and_then(|text| serde_json::from_str(&text).ok());
            if there.as_ref() != Some(&schema) {
                let hint = format!("`translate recipe schema > {shown}` writes it anew");
                tell(format_args!(
                    "warning: `{shown}` is not the schema of this version, and is left as it is\nhint: {hint}"
                ));
            }
        }
        Err(error) => tell(format_args!(
            "warning: cannot write `{shown}`, by which an editor knows the fields: {error}"
        )),
    }
    Ok(String::new())
}

/// The exit status.
fn validate(recipes: &[String]) -> u8 {
    let mut status = 0;
    for name in recipes {
        match told(name, &[]) {
            Ok(_) => print(format!("{name}: valid")),
            Err(error) => {
                print(format!("{name}: not valid"));
                tell(format_args!("error: {error}\n"));
                status = 1;
            }
        }
    }
    status
}

/// A recipe, once what is to be told of it is told.
fn told(name: &str, sets: &[String]) -> Result<Resolved, RecipeError> {
    let resolved = resolve_fully(name, sets)?;
    warn(&resolved.warnings);
    Ok(resolved)
}

fn warn<'a>(warnings: impl IntoIterator<Item = &'a String>) {
    for warning in warnings {
        tell(format_args!("warning: {warning}"));
    }
}

fn rewrite(file: &Path) -> Result<u8, Failure> {
    let shown = file.display();
    let text = read_file(file)
        .map_err(|error| anyhow!("cannot read `{shown}`: {error}\nhint: name a recipe file of yours"))?;
    let Upgraded { text, changes } = upgrade(&shown.to_string(), &text)?;
    if changes.is_empty() {
        tell(format_args!("nothing to do: `{shown}` has no old names"));
        return Ok(0);
    }
    atomic::rewrite(file, text.as_bytes())
        .map_err(|error| anyhow!("cannot write `{shown}`: {error}; it is as it was"))?;
    changes.iter().for_each(print);
    Ok(0)
}
