//! From arguments to a plan that can no longer be wrong: which image becomes which file.
//!
//! Every reason to refuse the whole job is found here, before an image is decoded, so that no work is lost
//! and no file of the user's is ever written over by surprise.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::case::{folded, ignores_case};
use crate::atomic;
use crate::data::encode::Format;
use crate::data::scan::{ScanError, Skipped, real_path, scan};
use crate::share::Share;
use crate::words::quoted;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// Images and folders of images.
    pub inputs: Vec<PathBuf>,
    /// The folder to write into; made where it does not exist.
    pub output: PathBuf,
    /// The format of every output; none keeps each image's own.
    pub format: Option<Format>,
    /// Whether an output that exists is made again.
    pub overwrite: bool,
    /// This process's part, where several translate the same inputs into the same folder.
    pub share: Share,
}

/// One image to translate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The file to read.
    pub input: PathBuf,
    /// The file to write.
    pub output: PathBuf,
    /// The format to write.
    pub format: Format,
}

/// The images to translate, no two of them onto one file, none onto an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is to be done: the inputs in the order given, each folder's images sorted by path.
    pub items: Vec<Item>,
    /// Images of this process's part that are left out because their output exists.
    pub existing: usize,
    /// What was not looked into, such as unreadable folders and links in a circle.
    pub warnings: Vec<Skipped>,
}

/// Why a plan was refused. Nothing has been written but, at most, an empty output folder.
#[derive(Debug, Error)]
pub enum PlanError {
    /// Inputs that are not there.
    #[error("no such file or folder: {}; expected images or folders of them, check the path", listed(paths))]
    Missing {
        /// All of them.
        paths: Vec<PathBuf>,
    },
    /// A folder could not be searched.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The inputs hold no image.
    #[error(
        "no image found in {}; name image files or folders that hold some{}",
        listed(inputs), left_out(excluded.as_ref())
    )]
    NoImages {
        /// All inputs.
        inputs: Vec<PathBuf>,
        /// The output folder, where it lies inside an input and its images were left out.
        excluded: Option<PathBuf>,
    },
    /// Two inputs would become one file.
    #[error(
        "`{}` and `{}` would both become `{}`{}; rename one, or translate them into separate folders",
        first.display(), second.display(), output.display(), and_more(*more)
    )]
    Collision {
        /// The input that comes first.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The file that the second would become; it may differ from the first's in upper and lower case
        /// only.
        output: PathBuf,
        /// How many more inputs have the same trouble.
        more: usize,
    },
    /// An input would be written over.
    #[error(
        "the translation of `{}` would be written over the input `{}`; choose another output folder",
        input.display(), victim.display()
    )]
    OverInput {
        /// The image to translate.
        input: PathBuf,
        /// The input that would be lost, often the same.
        victim: PathBuf,
    },
    /// What one of several processes writes, another would take for an input.
    #[error(
        "translations in `{}` would lie in the input folder `{}`, where the other processes would take them for inputs; \
         choose another output folder", output.display(), input.display()
    )]
    AmongInputs {
        /// The output folder.
        output: PathBuf,
        /// The input folder.
        input: PathBuf,
    },
    /// The output folder is a file.
    #[error("output `{}` is a file; expected a folder, or a path where one can be made", path.display())]
    OutputIsFile {
        /// The path given.
        path: PathBuf,
    },
    /// The output folder cannot be made or written to.
    #[error(
        "cannot write to output folder `{}` ({}); choose another, or change its permissions",
        path.display(), source.kind()
    )]
    NotWritable {
        /// The path given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn listed(paths: &[PathBuf]) -> String {
    quoted(paths.iter().map(|path| path.display()), ", ")
}

fn left_out(output: Option<&PathBuf>) -> String {
    output
        .map_or_else(String::new, |path| format!(" (the output folder `{}` does not count)", path.display()))
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" (and {more} more like it)") }
}

impl Plan {
    /// Finds the images and decides what each becomes.
    ///
    /// A file goes straight into the output folder and a folder's tree is mirrored below it. Stem and
    /// extension are kept as they are written unless `options.format` is given; a file of a format that
    /// cannot be written becomes a png. The parts of several processes are dealt before it is known which outputs exist, so
    /// that they are the same whenever each of them looks.
    ///
    /// # Errors
    /// Whatever [`PlanError`] names.
    pub fn new(options: &PlanOptions) -> Result<Self, PlanError> {
        let output = &options.output;
        if fs::metadata(output).is_ok_and(|found| !found.is_dir()) {
            return Err(PlanError::OutputIsFile { path: output.clone() });
        }
        let (candidates, warnings) = find(options)?;
        let candidates = refuse_collisions(candidates, ignores_case(output))?;
        refuse_written_inputs(&candidates)?;
        if options.share != Share::WHOLE {
            refuse_outputs_among_inputs(&candidates, options)?;
        }
        let own = candidates.into_iter().enumerate().filter(|(index, _)| options.share.takes(*index));
        let mut items: Vec<Item> = own.map(|(_, candidate)| candidate.item).collect();
        let found = items.len();
        items.retain(|item| options.overwrite || !item.output.is_file());
        if !items.is_empty() {
            try_writing(output).map_err(|source| PlanError::NotWritable { path: output.clone(), source })?;
        }
        Ok(Self { existing: found - items.len(), items, warnings })
    }
}

/// An item with its input's place in the file system, links followed.
struct Candidate {
    item: Item,
    real: PathBuf,
}

impl Candidate {
    /// `relative` is the input's path below the folder that was asked for.
    fn new(input: PathBuf, relative: &Path, options: &PlanOptions) -> Self {
        let (name, format) = target(relative, options.format);
        // A file that vanished since the scan is reported when it is read.
        let real = real_path(&input);
        Self { item: Item { input, output: options.output.join(name), format }, real }
    }
}

/// The images, and what was not looked into.
fn find(options: &PlanOptions) -> Result<(Vec<Candidate>, Vec<Skipped>), PlanError> {
    let missing: Vec<PathBuf> = options.inputs.iter().filter(|input| !input.exists()).cloned().collect();
    if !missing.is_empty() {
        return Err(PlanError::Missing { paths: missing });
    }
    let mut candidates = Vec::new();
    let (mut warnings, mut excluded) = (Vec::new(), None);
    for input in &options.inputs {
        if input.is_dir() {
            let folder = scan(input)?;
            warnings.extend(folder.warnings);
            // After the scan: another process may make the folder and write into it meanwhile.
            let output = options.output.canonicalize().ok();
            let nested = output.and_then(|output| nested_below(&output, input));
            for relative in folder.files {
                if nested.as_ref().is_some_and(|nested| relative.starts_with(nested)) {
                    excluded = Some(options.output.clone());
                } else {
                    candidates.push(Candidate::new(input.join(&relative), &relative, options));
                }
            }
        } else if let Some(name) = input.file_name() {
            candidates.push(Candidate::new(input.clone(), Path::new(name), options));
        }
    }
    if candidates.is_empty() {
        return Err(PlanError::NoImages { inputs: options.inputs.clone(), excluded });
    }
    Ok((candidates, warnings))
}

/// The path of `output` below `folder`, where it lies strictly inside: earlier translations are no input.
fn nested_below(output: &Path, folder: &Path) -> Option<PathBuf> {
    let below = output.strip_prefix(folder.canonicalize().ok()?).ok()?;
    (!below.as_os_str().is_empty()).then(|| below.to_path_buf())
}

/// The name to write and its format.
fn target(relative: &Path, format: Option<Format>) -> (PathBuf, Format) {
    if let Some(format) = format {
        return (relative.with_extension(format.extension()), format);
    }
    match Format::from_path(relative) {
        Some(format) => (relative.to_path_buf(), format),
        None => (relative.with_extension(Format::Png.extension()), Format::Png),
    }
}

/// Refuses two inputs with one output, which names that differ in case only share where it is ignored. An input that was
/// named twice is one.
fn refuse_collisions(candidates: Vec<Candidate>, ignore_case: bool) -> Result<Vec<Candidate>, PlanError> {
    let mut kept: Vec<Candidate> = Vec::with_capacity(candidates.len());
    let mut owners: HashMap<OsString, usize> = HashMap::with_capacity(candidates.len());
    let mut clashes = Vec::new();
    for candidate in candidates {
        let output = &candidate.item.output;
        let key = if ignore_case { folded(output) } else { output.clone().into_os_string() };
        match owners.entry(key) {
            Entry::Vacant(free) => {
                free.insert(kept.len());
                kept.push(candidate);
            }
            Entry::Occupied(owner) if kept[*owner.get()].real == candidate.real => {}
            Entry::Occupied(owner) => clashes.push((*owner.get(), candidate)),
        }
    }
    let more = clashes.len().saturating_sub(1);
    match clashes.into_iter().next() {
        None => Ok(kept),
        Some((owner, Candidate { item, .. })) => {
            let first = kept.swap_remove(owner).item.input;
            Err(PlanError::Collision { first, second: item.input, output: item.output, more })
        }
    }
}

fn refuse_written_inputs(candidates: &[Candidate]) -> Result<(), PlanError> {
    let inputs: HashMap<&Path, &Item> =
        candidates.iter().map(|candidate| (candidate.real.as_path(), &candidate.item)).collect();
    for Candidate { item, .. } in candidates {
        // Only a path that exists can be an input.
        let victim = item.output.canonicalize().ok().and_then(|real| inputs.get(real.as_path()).copied());
        if let Some(victim) = victim {
            return Err(PlanError::OverInput { input: item.input.clone(), victim: victim.input.clone() });
        }
    }
    Ok(())
}

fn refuse_outputs_among_inputs(candidates: &[Candidate], options: &PlanOptions) -> Result<(), PlanError> {
    // A folder that is still to be made holds no input, and what lies strictly below one is no input of it.
    let Ok(output) = options.output.canonicalize() else { return Ok(()) };
    let folders =
        options.inputs.iter().filter(|input| input.is_dir() && nested_below(&output, input).is_none());
    for input in folders {
        let real = real_path(input);
        let lies_in_it = |candidate: &Candidate| {
            let name = candidate.item.output.strip_prefix(&options.output);
            name.is_ok_and(|name| output.join(name).starts_with(&real))
        };
        if candidates.iter().any(lies_in_it) {
            return Err(PlanError::AmongInputs { output: options.output.clone(), input: input.clone() });
        }
    }
    Ok(())
}

/// Makes the folder, and a file in it that is gone at once: permissions alone do not tell whether that works.
fn try_writing(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    atomic::try_writing(folder)
}

#[cfg(test)]
mod tests;
