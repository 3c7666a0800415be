//! From arguments to a training plan that cannot fail on them: the recipe resolved, the folders read, the run folder
//! looked at. Nothing is written yet.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tch::{Device, Tensor};

use super::checkpoint;
use super::run::{self, Existing, RunError};
use super::state::RestoreError;
use crate::data::dataset::{CacheBudget, Dataset, DatasetError, LoadOptions};
use crate::data::scan::{ImageFolder, ScanError, scan};
use crate::model::Domains;
use crate::recipe;
use crate::recipe::{Recipe, RecipeError, diff, resolve, to_yaml};
use crate::torch::store::StoreError;

/// The recipe that is taken where none is named.
pub const DEFAULT_RECIPE: &str = "cyclegan";

/// What the user asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// One folder for each space of the recipe, in the order x, y.
    pub folders: Vec<PathBuf>,
    /// A shipped recipe or a file; by default the run's own, or [`DEFAULT_RECIPE`].
    pub recipe: Option<String>,
    /// `field=value` pairs laid over the recipe.
    pub sets: Vec<String>,
    /// The run folder; by default `models/<x>-<y>`.
    pub run: Option<PathBuf>,
    /// Domain names in the order of the folders; by default the folders' own names.
    pub names: Option<Vec<String>>,
    /// Where networks run.
    pub device: Device,
    /// Bytes of decoded images to keep in memory.
    pub cache: u64,
    /// Loader threads.
    pub threads: usize,
}

/// Why training cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The recipe's.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A folder's.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A folder's images'.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The run folder's.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A checkpoint's.
    #[error(
        "cannot go on from the newest checkpoint: {0}\nhint: remove that file to go on from the one before"
    )]
    Checkpoint(#[from] StoreError),
    /// A checkpoint that does not fit.
    #[error("cannot go on from the checkpoint: {0}")]
    Restore(#[from] RestoreError),
    /// More or fewer folders than the recipe has spaces.
    #[error("the recipe needs {needed} folder(s), one for each of {spaces}; {given} given")]
    FolderCount {
        /// How many it needs.
        needed: usize,
        /// Its spaces.
        spaces: String,
        /// How many were named.
        given: usize,
    },
    /// One folder for both sides.
    #[error(
        "`{x}` and `{y}` share images: one is the other, or lies inside it\nhint: the two sides need a folder each"
    )]
    SharedFolder {
        /// The first folder.
        x: PathBuf,
        /// The second folder.
        y: PathBuf,
    },
    /// A run whose own pictures would be taken for images of the data.
    #[error(
        "the run folder `{run}` lies inside the data folder `{folder}`: its samples would be taken for images\nhint: \
         name a folder outside with `--run DIR`"
    )]
    RunInside {
        /// The run.
        run: PathBuf,
        /// The data folder.
        folder: PathBuf,
    },
    /// Names that cannot be told apart or used.
    #[error("domain names {names} cannot be used: {reason}\nhint: `--names photo,anime` gives others")]
    Names {
        /// The names.
        names: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A run that has shown all its images.
    #[error(
        "the run `{path}` is finished ({images} images)\nhint: `--set train.images=N` with a larger N trains it on; \
         `--run DIR` begins another"
    )]
    Finished {
        /// The run.
        path: PathBuf,
        /// Images shown.
        images: u64,
    },
    /// A run of other domains.
    #[error(
        "the run `{path}` is of the domains `{before}`, not `{after}`\nhint: `--names {before}` calls these folders so, \
         or begin another run with `--run DIR`"
    )]
    OtherDomains {
        /// The run.
        path: PathBuf,
        /// Its domain names.
        before: String,
        /// The names now.
        after: String,
    },
    /// A run of other networks.
    #[error(
        "the run `{path}` cannot go on with this recipe: `{field}` was {before}, and is {after}\nhint: leave `-r` and \
         `--set` away to go on as before, or begin another run with `--run DIR`"
    )]
    Changed {
        /// The run.
        path: PathBuf,
        /// The field.
        field: String,
        /// Its value in the run.
        before: String,
        /// Its value now.
        after: String,
    },
}

/// Something that the user should know before training begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A file or folder that cannot be read.
    Skipped {
        /// Where it is.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A side with a single image.
    OneImage {
        /// Its domain.
        domain: String,
    },
    /// Images that were enlarged.
    Small {
        /// Their domain.
        domain: String,
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
        /// The crop's side.
        size: u32,
    },
    /// A resumed run whose schedule or weights of terms differ now.
    RecipeChanged {
        /// The field.
        field: String,
        /// Its value in the run.
        before: String,
        /// Its value now.
        after: String,
    },
    /// A resumed run whose images differ now.
    DataChanged {
        /// The domain.
        domain: String,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Skipped { path, reason } => write!(f, "skipped `{}`: {reason}", path.display()),
            Self::OneImage { domain } => write!(
                f,
                "`{domain}` has one image only: its discriminator can learn it by heart\nhint: a hundred or more work better"
            ),
            Self::Small { domain, count, of, size } => write!(
                f,
                "{count} of {of} images of `{domain}` are smaller than {size} pixels and were enlarged\nhint: a smaller `--set data.size=…` keeps them sharp"
            ),
            Self::RecipeChanged { field, before, after } => {
                write!(f, "`{field}` was {before} when this run began, and is {after} from here on")
            }
            Self::DataChanged { domain } => write!(
                f,
                "the images of `{domain}` have changed since this run began: it goes on, but not bit for bit as it would have"
            ),
        }
    }
}

/// Training that can begin.
#[derive(Debug)]
pub struct Plan {
    /// The resolved recipe.
    pub recipe: Recipe,
    /// One data set for each space of the recipe, in the order of [`Recipe::spaces`].
    pub sides: Vec<Arc<Dataset>>,
    /// Domain names by space.
    pub domains: Domains,
    /// The run folder.
    pub root: PathBuf,
    /// What is there already.
    pub existing: Option<Existing>,
    /// The checkpoint to go on from.
    pub checkpoint: Option<Checkpoint>,
    /// Where networks run.
    pub device: Device,
    /// Loader threads.
    pub threads: usize,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// A checkpoint's contents.
#[derive(Debug)]
pub struct Checkpoint {
    /// Images shown.
    pub images: u64,
    /// The state's tensors.
    pub tensors: HashMap<String, Tensor>,
    /// Seconds trained.
    pub seconds: f64,
}

impl Plan {
    /// Checks everything that the request names and reads the images; `read` is called after each image.
    ///
    /// # Errors
    /// Whatever keeps training from beginning. Nothing has been written then.
    pub fn new(request: &Request, read: &(dyn Fn() + Sync)) -> Result<Self, PlanError> {
        let folders: Vec<ImageFolder> =
            request.folders.iter().map(|folder| scan(folder)).collect::<Result<_, _>>()?;
        check_apart(&folders)?;
        let names = domain_names(&folders, request.names.as_deref())?;
        let root = request.run.clone().unwrap_or_else(|| Path::new("models").join(names.join("-")));
        check_outside(&root, &folders)?;
        let existing = run::inspect(&root)?;
        run::check_writable(&root)?;
        let recipe = resolve_for(request, &root, existing.as_ref())?;
        let spaces = recipe.spaces();
        if spaces.len() != folders.len() {
            let spaces: Vec<_> = spaces.iter().map(|space| format!("`{}`", space.name())).collect();
            let (needed, given) = (spaces.len(), folders.len());
            return Err(PlanError::FolderCount { needed, spaces: spaces.join(" and "), given });
        }
        let domains: Domains = spaces.into_iter().zip(names).collect();
        let mut warnings = Vec::new();
        let mut checkpoint = None;
        // Before its first checkpoint a run holds nothing that another recipe could not take over.
        let begun = existing.as_ref().filter(|existing| existing.images > 0);
        if let Some(existing) = begun {
            check_same_run(&root, existing, &recipe, &domains, &mut warnings)?;
            checkpoint = checkpoint::newest(&root.join("checkpoints"))?.map(|(images, stored)| {
                let seconds =
                    stored.metadata.get("seconds").and_then(|text| text.parse().ok()).unwrap_or(0.0);
                Checkpoint { images, tensors: stored.tensors, seconds }
            });
        }
        let sides = open_sides(request, &recipe, folders, &domains, read, &mut warnings)?;
        for (name, side) in domains.values().zip(&sides) {
            let before = begun.and_then(|existing| existing.info.data.get(name));
            if before.is_some_and(|before| before.fingerprint != side.fingerprint()) {
                warnings.push(Warning::DataChanged { domain: name.clone() });
            }
        }
        let Request { device, threads, .. } = *request;
        Ok(Self { recipe, sides, domains, root, existing, checkpoint, device, threads, warnings })
    }

    /// Images in an epoch: as many as the larger side has.
    pub fn epoch_length(&self) -> u64 {
        self.sides.iter().map(|side| side.len() as u64).max().unwrap_or(1)
    }
}

fn check_apart(folders: &[ImageFolder]) -> Result<(), PlanError> {
    if let [x, y] = folders {
        let real = |folder: &ImageFolder| folder.root.canonicalize().unwrap_or_else(|_| folder.root.clone());
        let (a, b) = (real(x), real(y));
        if a.starts_with(&b) || b.starts_with(&a) {
            return Err(PlanError::SharedFolder { x: x.root.clone(), y: y.root.clone() });
        }
    }
    Ok(())
}

fn check_outside(root: &Path, folders: &[ImageFolder]) -> Result<(), PlanError> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let place = real(run::nearest_folder(root));
    match folders.iter().find(|folder| place.starts_with(real(&folder.root))) {
        Some(folder) => Err(PlanError::RunInside { run: root.into(), folder: folder.root.clone() }),
        None => Ok(()),
    }
}

/// The folders' own names, or with their parents' where those are equal (`photos/train`, `anime/train`).
fn domain_names(folders: &[ImageFolder], given: Option<&[String]>) -> Result<Vec<String>, PlanError> {
    let mut names: Vec<String> = folders.iter().map(|folder| folder.name.clone()).collect();
    if let Some(given) = given {
        names = given.to_vec();
    } else if names.len() == 2 && names[0] == names[1] {
        let with_parent = |folder: &ImageFolder| {
            let real = folder.root.canonicalize().unwrap_or_else(|_| folder.root.clone());
            real.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned())
        };
        names = folders.iter().map(|folder| with_parent(folder).unwrap_or_default()).collect();
    }
    let error = |reason| PlanError::Names { names: format!("`{}`", names.join("`, `")), reason };
    if names.len() != folders.len() {
        return Err(error("there must be one for each folder"));
    }
    if names.iter().any(|name| name.is_empty() || name.contains(['/', '\\', ',']) || name.starts_with('.')) {
        return Err(error("a name is empty, or holds `/`, `\\` or `,`, or begins with a dot"));
    }
    if names.len() == 2 && names[0] == names[1] {
        return Err(error("they are the same"));
    }
    Ok(names)
}

/// The recipe asked for; for a run that exists and no `-r`, the run's own; `--set` on top.
fn resolve_for(request: &Request, root: &Path, existing: Option<&Existing>) -> Result<Recipe, RecipeError> {
    match (&request.recipe, existing) {
        (None, Some(existing)) => {
            let name = root.join("recipe.yaml").display().to_string();
            let yaml = to_yaml(&existing.recipe)
                .map_err(|source| RecipeError::Yaml { name: name.clone(), source })?;
            recipe::from_yaml(&name, &yaml, &request.sets)
        }
        (named, _) => resolve(named.as_deref().unwrap_or(DEFAULT_RECIPE), &request.sets),
    }
}

/// Sections and fields that decide the shapes of saved tensors, or how many images a saved step stands for.
const FIXED_FIELDS: &[&str] = &["generators.", "discriminators.", "data.size", "loss.pool", "train.batch"];

fn check_same_run(
    root: &Path,
    existing: &Existing,
    recipe: &Recipe,
    domains: &Domains,
    warnings: &mut Vec<Warning>,
) -> Result<(), PlanError> {
    if existing.info.domains != *domains {
        let text = |domains: &Domains| domains.values().cloned().collect::<Vec<_>>().join(",");
        let (before, after) = (text(&existing.info.domains), text(domains));
        return Err(PlanError::OtherDomains { path: root.into(), before, after });
    }
    let differences = diff(&existing.recipe, recipe).map_err(|source| RecipeError::Yaml {
        name: root.join("recipe.yaml").display().to_string(),
        source,
    })?;
    for difference in differences {
        let (field, before, after) = (difference.field, difference.before, difference.after);
        if FIXED_FIELDS.iter().any(|fixed| field.starts_with(fixed)) {
            return Err(PlanError::Changed { path: root.into(), field, before, after });
        }
        warnings.push(Warning::RecipeChanged { field, before, after });
    }
    if existing.images >= recipe.train.images {
        return Err(PlanError::Finished { path: root.into(), images: existing.images });
    }
    Ok(())
}

fn open_sides(
    request: &Request,
    recipe: &Recipe,
    folders: Vec<ImageFolder>,
    domains: &Domains,
    read: &(dyn Fn() + Sync),
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Arc<Dataset>>, PlanError> {
    let data = &recipe.data;
    let options = LoadOptions { load_size: data.load_size, resize: data.resize };
    let budget = CacheBudget::new(request.cache);
    let mut sides = Vec::new();
    for (folder, domain) in folders.into_iter().zip(domains.values()) {
        let left_out = folder.warnings.clone().into_iter();
        warnings.extend(left_out.map(|s| Warning::Skipped { path: s.path, reason: s.reason }));
        let side = Dataset::open(folder, options, &budget, read)?;
        let skipped = side.skipped().iter().cloned();
        warnings.extend(skipped.map(|s| Warning::Skipped { path: s.path, reason: s.reason }));
        if side.len() == 1 {
            warnings.push(Warning::OneImage { domain: domain.clone() });
        }
        let small = side.smaller_than(data.size);
        if small > 0 {
            let (domain, count, of) = (domain.clone(), small, side.len());
            warnings.push(Warning::Small { domain, count, of, size: data.size });
        }
        sides.push(Arc::new(side));
    }
    Ok(sides)
}
