//! Where a recipe's text comes from (shipped, a file, a link), and the chain of recipes that it extends.

use std::fs::canonicalize;
use std::io::{Error, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::file::{MOST, is_stream, is_yaml, read_file, read_file_or_stream};
use super::held::{held, may_hold};
use super::link::{Fetched, LinkError, cache, fetch, is_link};
use super::parse::parse;
use super::presets::PRESETS;
use super::problem::Problem;
use super::rename::{RENAMED, Renames, rename};
use super::resolve::RecipeError;
use super::tree::{Kind, Node, Place, Source, lay};
use super::version::not_later;
use super::wording::{did_you_mean, likely};
use crate::atomic::folder_of;
use crate::words::{printable, quoted};

/// Recipes that extend one another, at most.
const LONGEST: usize = 8;

/// A recipe's text and where it is from.
#[derive(Debug)]
pub struct Origin {
    name: String,
    text: String,
    home: Home,
    /// The link with its hash, where it was fetched by one without.
    to_pin: Option<String>,
    /// Where another recipe extends it.
    extended_at: Option<Place>,
}

/// What a recipe can extend depends on where it is.
#[derive(Debug, PartialEq, Eq)]
enum Home {
    /// A text that has to be complete: of a model file, a run, or shipped. Opening a model asks nobody for anything.
    Sealed,
    /// Behind a link, or from a pipe: no file lies beside it.
    Alone,
    /// A file of this folder.
    Folder(PathBuf),
}

/// A recipe laid over those that it extends.
#[derive(Debug, Default)]
pub struct Layers {
    /// The values; none where the recipe's own text cannot be read.
    pub tree: Option<Node>,
    /// The names, the farthest parent first.
    pub names: Vec<String>,
    /// What is to be told: old names, links without a hash.
    pub warnings: Vec<String>,
    /// What is wrong so far.
    pub problems: Vec<Problem>,
    /// Whether something that it extends could not be read.
    pub lacks_parent: bool,
    /// The old names that are read.
    pub renames: Renames,
}

impl Origin {
    /// The shipped recipe or the file of this name, what is behind the link, or the recipe that the run folder or the model
    /// file holds.
    ///
    /// # Errors
    /// It is none of them, or cannot be read.
    pub fn named(name: &str) -> Result<Self, RecipeError> {
        if let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) {
            return Ok(Self::text(name, preset.yaml));
        }
        if is_link(name) {
            let failed = |source| RecipeError::Link { link: name.into(), source };
            return Self::link(name).map_err(failed);
        }
        let path = Path::new(name);
        if let Some(held) = held(path)? {
            return Ok(held);
        }
        if path.exists() { Self::file(path) } else { Err(unknown(name)) }
    }

    /// A text at hand, which cannot extend another.
    pub fn text(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.into(), home: Home::Sealed, to_pin: None, extended_at: None }
    }

    /// A file that is still to be written.
    pub(super) fn draft(path: &Path, text: &str) -> Self {
        let home = Home::Folder(path.parent().unwrap_or(Path::new("")).to_path_buf());
        Self { name: path.display().to_string(), text: text.into(), home, to_pin: None, extended_at: None }
    }

    fn file(path: &Path) -> Result<Self, RecipeError> {
        let text = read_file_or_stream(path).map_err(|source| {
            let instead = format!("a text file (UTF-8) of at most {} KiB", MOST >> 10);
            RecipeError::Read { path: path.into(), source, instead }
        })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let home = if is_stream(path) { Home::Alone } else { Home::Folder(folder) };
        Ok(Self { name: path.display().to_string(), text, home, to_pin: None, extended_at: None })
    }

    /// The file that another one in `folder` extends as `./file`.
    fn beside(folder: &Path, file: &str) -> Result<Self, Problem> {
        let inside = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
        let parent = format!("./{file}");
        if !inside {
            return Err(outside(&parent));
        }
        let path = folder.join(file);
        let unread = |error: Error| {
            let hint = match error.kind() {
                ErrorKind::NotFound if named(&path).is_file() => {
                    format!("did you mean `{}`?", named(Path::new(&parent)).display())
                }
                ErrorKind::NotFound => "send both recipes together".into(),
                _ if may_hold(&path) => {
                    format!("`translate recipe new NAME --from {}` copies what it holds", path.display())
                }
                _ => format!("name a text file (UTF-8) of at most {} KiB", MOST >> 10),
            };
            let message =
                format!("`extends` is `{parent}`, and `{}` cannot be read: {error}", path.display());
            Problem::nowhere(message).hint(hint)
        };
        // A symbolic link could lead to any file of whoever reads the recipe.
        let real = canonicalize(&path).map_err(unread)?;
        let root = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if !real.starts_with(canonicalize(root).map_err(unread)?) {
            return Err(outside(&format!("{parent}`, a link to `{}", real.display())));
        }
        let text = read_file(&path).map_err(unread)?;
        let home = Home::Folder(path.parent().unwrap_or(Path::new("")).to_path_buf());
        Ok(Self { name: path.display().to_string(), text, home, to_pin: None, extended_at: None })
    }

    fn link(link: &str) -> Result<Self, LinkError> {
        let Fetched { text, to_pin } = fetch(link, cache().as_deref())?;
        Ok(Self { name: link.into(), text, home: Home::Alone, to_pin, extended_at: None })
    }

    /// What is to be told of where it is from: the hash to pin.
    pub fn warning(&self) -> Option<String> {
        let link = self.to_pin.as_ref()?;
        let hint = format!("write it with the hash of what is there now: `{link}`");
        let at = self.extended_at.as_ref().map_or_else(String::new, |place| format!("{}: ", place.short()));
        Some(format!("{at}what is behind a link can change\nhint: {hint}"))
    }

    /// As written; of what is not a file of the reader's own without what a terminal would obey.
    pub fn into_text(self) -> String {
        match self.home {
            Home::Folder(_) => self.text,
            Home::Sealed | Home::Alone => printable(&self.text.replace("\r\n", "\n")),
        }
    }

    /// The recipe that `extends: parent` in this one names.
    fn parent(&self, parent: &str) -> Result<Self, Problem> {
        let refuse = |message: String, hint: String| Problem::nowhere(message).hint(hint);
        if self.home == Home::Sealed {
            let message =
                format!("`extends` is `{parent}`; a recipe that a model or a run holds is complete");
            return Err(refuse(message, "take the file from where it was made again".into()));
        }
        if let Some(preset) = PRESETS.iter().find(|preset| preset.name == parent) {
            return Ok(Self::text(parent, preset.yaml));
        }
        if is_link(parent) {
            return Self::link(parent).map_err(|error| {
                let text = error.to_string();
                let (reason, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
                refuse(format!("`extends` is `{parent}`: {reason}"), hint.into())
            });
        }
        let Some(file) = parent.strip_prefix("./") else {
            let Home::Folder(folder) = &self.home else { return Err(no_parent(parent, None)) };
            return Err(no_parent(parent, Some(folder)));
        };
        let Home::Folder(folder) = &self.home else {
            let message = format!("`extends` is `{parent}`; only a recipe in a file can extend another file");
            return Err(refuse(message, "name a shipped recipe or a link".into()));
        };
        Self::beside(folder, file)
    }

    /// What tells it from others.
    fn identity(&self) -> PathBuf {
        match &self.home {
            Home::Folder(_) => canonicalize(&self.name).unwrap_or_else(|_| self.name.clone().into()),
            Home::Sealed | Home::Alone => self.name.clone().into(),
        }
    }
}

/// What is neither a shipped recipe nor a link, nor begins as a file does.
fn no_parent(parent: &str, folder: Option<&Path>) -> Problem {
    let path = Path::new(parent);
    if path.is_absolute() || path.starts_with("..") {
        return outside(parent);
    }
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    let hint = if is_address(parent) {
        format!("a link begins with its scheme: `https://{parent}`")
    } else if folder.is_some_and(|folder| named(&folder.join(parent)).is_file()) {
        format!("did you mean `./{}`?", named(path).display())
    } else if is_yaml(path) {
        format!("write `./{parent}`")
    } else if let Some(near) = likely(parent, &names) {
        format!("did you mean `{near}`?")
    } else {
        "`translate recipe list` says which are shipped".into()
    };
    let expected = "a shipped recipe, `./FILE.yaml` or a link";
    Problem::nowhere(format!("`extends` is `{parent}`; expected {expected}")).hint(hint)
}

/// Whether it begins as a server is called, as in `example.org/r.yaml`.
fn is_address(name: &str) -> bool {
    let server = name.split_once('/').map_or("", |(server, _)| server);
    let labels: Vec<&str> = server.split('.').collect();
    let is_label =
        |label: &&str| !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    labels.len() > 1 && labels.iter().all(is_label) && !Path::new(server).exists()
}

/// A file's name with the extension that was left out.
fn named(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".yaml");
    name.into()
}

fn outside(parent: &str) -> Problem {
    let expected = "a file in the recipe's own folder or below";
    Problem::nowhere(format!("`extends` is `{parent}`; expected {expected}"))
        .hint("put both into one folder: then they can be sent together")
}

fn unknown(name: &str) -> RecipeError {
    let path = Path::new(name);
    if name.contains(['/', '\\']) || is_yaml(path) {
        return missing(path);
    }
    let file = named(path);
    if file.is_file() {
        return RecipeError::Missing {
            path: path.into(),
            hint: format!("did you mean `{}`?", file.display()),
        };
    }
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    let closest = did_you_mean(name, &names);
    RecipeError::Unknown { name: name.into(), known: quoted(names, ", "), closest }
}

/// A file that is not there, with one beside it that may be meant.
fn missing(path: &Path) -> RecipeError {
    let stem = |path: &Path| path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_string();
    let entries = std::fs::read_dir(folder_of(path)).into_iter().flatten().flatten();
    let is_one = |path: &PathBuf| is_yaml(path) || may_hold(path);
    let mut beside: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_one).collect();
    beside.sort();
    let stems: Vec<String> = beside.iter().map(|path| stem(path)).collect();
    let names: Vec<&str> = stems.iter().map(String::as_str).collect();
    let near = likely(&stem(path), &names).and_then(|near| beside.iter().find(|path| stem(path) == near));
    let stem = stem(path);
    let hint = if let Some(address) = path.to_str().filter(|name| is_address(name)) {
        format!("a link begins with its scheme: `https://{address}`")
    } else if let Some(file) = near.and_then(|near| near.file_name()) {
        format!("did you mean `{}`?", path.with_file_name(file).display())
    } else if PRESETS.iter().any(|preset| preset.name == stem) {
        format!("the shipped recipe is called `{stem}`, without a path")
    } else if may_hold(path) {
        "`translate recipe list` says which are shipped".into()
    } else {
        format!("`translate recipe new {}` writes one to begin with", path.display())
    };
    RecipeError::Missing { path: path.into(), hint }
}

impl Layers {
    /// Reads a recipe and all that it extends, as far as it can be read.
    pub fn read(origin: Origin) -> Self {
        Self::read_by(origin, RENAMED)
    }

    /// As [`Self::read`], with other old names.
    pub fn read_by(origin: Origin, renames: Renames) -> Self {
        let mut layers = Self { renames, ..Self::default() };
        let mut nodes = Vec::new();
        let mut chain: Vec<(PathBuf, String)> = Vec::new();
        let mut next = Some(origin);
        while let Some(origin) = next.take() {
            chain.push((origin.identity(), origin.name.clone()));
            let Some(mut node) = layers.text(&origin) else {
                layers.lacks_parent = true;
                break;
            };
            match parent_of(&mut node, &origin, &chain) {
                Ok(parent) => next = parent,
                Err(problem) => {
                    layers.problems.push(problem);
                    layers.lacks_parent = true;
                }
            }
            nodes.push(node);
        }
        layers.names = chain.into_iter().rev().map(|(_, name)| name).collect();
        layers.tree = nodes.into_iter().rev().reduce(lay);
        layers
    }

    /// The values of one text, where they can be read.
    fn text(&mut self, origin: &Origin) -> Option<Node> {
        let source =
            Arc::new(Source { name: origin.name.clone(), text: origin.text.clone(), has_lines: true });
        let mut node = parse(&source, &mut self.problems)?;
        let checked = readable(&node).and_then(|()| not_later(&mut node, &mut self.problems));
        if let Err(problem) = checked {
            self.problems.push(problem);
            return None;
        }
        self.warnings.extend(rename(&mut node, self.renames));
        self.warnings.extend(origin.warning());
        Some(node)
    }
}

/// The recipe that a text extends, which is taken out of it.
fn parent_of(
    node: &mut Node,
    origin: &Origin,
    chain: &[(PathBuf, String)],
) -> Result<Option<Origin>, Problem> {
    let Some(parent) = take_parent(node)? else { return Ok(None) };
    let located = |problem: Problem| Problem { place: Some(parent.place.clone()), ..problem };
    let found = origin.parent(parent.as_str().unwrap_or_default()).map_err(located)?;
    in_line(chain, &found).map_err(located)?;
    Ok(Some(Origin { extended_at: Some(parent.place), ..found }))
}

/// Refuses a text that is no section of fields.
fn readable(node: &Node) -> Result<(), Problem> {
    if node.as_map().is_some() {
        return Ok(());
    }
    let is_empty = matches!(&node.kind, Kind::Scalar(value) if value.is_null());
    let message = if is_empty {
        "there is nothing in this recipe"
    } else {
        "a recipe is a section of fields, as in `format: 1`"
    };
    Err(Problem::at(node.place.clone(), message).hint("`translate recipe new` writes one to begin with"))
}

/// Takes `extends` out, which is for reading alone.
fn take_parent(node: &mut Node) -> Result<Option<Node>, Problem> {
    let Kind::Map(map) = &mut node.kind else { return Ok(None) };
    let Some(entry) = map.shift_remove("extends") else { return Ok(None) };
    if entry.node.as_str().is_none() {
        let message = "`extends` names one recipe; expected a shipped recipe, `./FILE.yaml` or a link";
        return Err(
            Problem::at(entry.node.place, message).hint("`translate recipe list` says which are shipped")
        );
    }
    Ok(Some(entry.node))
}

/// Refuses a parent that would close a circle, or is one too many.
fn in_line(chain: &[(PathBuf, String)], parent: &Origin) -> Result<(), Problem> {
    let identity = parent.identity();
    let names = || chain.iter().map(|(_, name)| format!("`{name}`")).collect::<Vec<_>>().join(" extends ");
    if chain.iter().any(|(before, _)| *before == identity) {
        let message =
            format!("recipes extend one another in a circle: {} extends `{}`", names(), parent.name);
        return Err(Problem::nowhere(message).hint("take one `extends` out"));
    }
    if chain.len() >= LONGEST {
        let message = format!("more than {LONGEST} recipes extend one another: {}", names());
        return Err(Problem::nowhere(message)
            .hint("`translate recipe show FILE --resolved` writes one that stands alone"));
    }
    Ok(())
}
