//! From arguments to a training plan that cannot fail on them: the recipe resolved, the folders read, the run folder
//! looked at. Nothing is written yet.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use tch::{Device, Tensor};

use super::problems::PlanError;
use super::resume;
use super::run::{self, DataInfo, Existing, Info};
use super::sides::{Opened, find_pairs, open_sides};
use super::warning::Warning;
use crate::data::condition::{Conditioned, Conditions, known};
use crate::data::loader::Sides;
use crate::data::scan::{ImageFolder, real_path, scan};
use crate::device;
use crate::model::{Domains, FILE_NAME};
use crate::recipe;
use crate::recipe::{Recipe, RecipeError, Resolved, Space, resolve_fully, to_yaml};
use crate::torch::version;
use crate::words::quoted;

/// The recipe that is taken where none is named.
pub const DEFAULT_RECIPE: &str = "cyclegan";

/// What the user asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// One folder for each space of the recipe, in the order x, y; of paired data also one that holds both side by side.
    pub folders: Vec<PathBuf>,
    /// A shipped recipe, a file, a link, a run or a model file; by default the run's own, or [`DEFAULT_RECIPE`].
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
    /// Processes that train together.
    pub ranks: u32,
    /// Whether it stays at the plan, so that nothing has to be written.
    pub dry_run: bool,
}

/// Training that can begin.
#[derive(Debug)]
pub struct Plan {
    /// The resolved recipe.
    pub recipe: Recipe,
    /// One data set for each image space of the recipe, in the order of [`Recipe::spaces`].
    pub sides: Sides,
    /// The conditions of each conditioned space.
    pub conditioned: IndexMap<Space, Conditioned>,
    /// Names of the recipes that this one was made from, each laid over the one before.
    pub parents: Vec<String>,
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
    /// Processes that train together.
    pub ranks: u32,
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
        if !request.dry_run {
            run::check_writable(&root)?;
        }
        let Resolved { recipe, parents, warnings: told, .. } =
            resolve_for(request, &root, existing.as_ref())?;
        let domains = domains(&recipe, names, folders.len())?;
        let mut warnings: Vec<Warning> = told.into_iter().map(Warning::Recipe).collect();
        warnings.extend(batch_norm(&recipe, request.ranks));
        let begun = existing
            .as_ref()
            .and_then(|existing| Some(Begun { request, root: &root, existing, images: existing.images? }));
        if let Some(begun) = &begun {
            warnings.extend(resume::check_same_run(&root, begun.existing, &recipe, &domains)?);
            if begun.images >= recipe.train.images && begun.is_of_these(&recipe, &folders, &domains)? {
                return Err(begun.finished());
            }
        } else if existing.is_some() && root.join(FILE_NAME).exists() {
            return Err(PlanError::NoCheckpoint { path: root });
        }
        let (opened, told) = open_sides(request.cache, &recipe, folders, &domains, read)?;
        warnings.extend(told);
        let going_on = begun.map(|begun| begun.go_on(&recipe, &domains, &opened)).transpose()?;
        let (checkpoint, told) = going_on.unwrap_or_default();
        warnings.extend(told);
        let plan =
            Self { parents, root, existing, checkpoint, ..Self::of(request, recipe, domains, opened)? };
        warnings.extend(plan.warnings);
        Ok(Self { warnings, ..plan })
    }

    /// The plan of a rank that is told what to train: its own folders, and nothing of the run's.
    ///
    /// # Errors
    /// The folders'.
    pub(super) fn following(
        request: &Request,
        recipe: Recipe,
        domains: Domains,
        read: &(dyn Fn() + Sync),
    ) -> Result<Self, PlanError> {
        let folders = request.folders.iter().map(|folder| scan(folder)).collect::<Result<_, _>>()?;
        let (opened, _) = open_sides(request.cache, &recipe, folders, &domains, read)?;
        Self::of(request, recipe, domains, opened)
    }

    /// A plan without a run.
    fn of(
        request: &Request,
        recipe: Recipe,
        domains: Domains,
        (datasets, conditioned): Opened,
    ) -> Result<Self, PlanError> {
        let mut warnings = Vec::new();
        let pairs = if recipe.data.paired { Some(find_pairs(&datasets, &mut warnings)?) } else { None };
        let Request { device, threads, ranks, .. } = *request;
        Ok(Self {
            recipe,
            sides: Sides { datasets, pairs },
            conditioned,
            parents: Vec::new(),
            domains,
            root: PathBuf::new(),
            existing: None,
            checkpoint: None,
            device,
            threads,
            ranks,
            warnings,
        })
    }

    /// What the networks of conditioned spaces can be asked for.
    pub fn conditions(&self) -> Conditions {
        known(&self.conditioned)
    }

    /// What the run's `run.json` shall hold; `command` is this start's.
    pub fn info(&self, command: Vec<String>) -> Info {
        let data = self.domains.iter().zip(&self.sides.datasets).map(|((space, name), side)| {
            let (images, skipped) = (side.len() as u64, side.skipped().len() as u64);
            (
                name.clone(),
                DataInfo {
                    images,
                    skipped,
                    fingerprint: resume::fingerprint(side, self.conditioned.get(space)),
                },
            )
        });
        let before = self.existing.iter().flat_map(|existing| existing.info.commands.clone());
        Info {
            program: crate::PROGRAM.into(),
            libtorch: version(),
            device: device::name(self.device),
            threads: i64::from(tch::get_num_threads()),
            ranks: self.ranks,
            seed: self.recipe.train.seed,
            commands: before.chain([command]).collect(),
            recipes: self.parents.clone(),
            domains: self.domains.clone(),
            conditions: self.conditions(),
            data: data.collect(),
        }
    }
}

fn check_apart(folders: &[ImageFolder]) -> Result<(), PlanError> {
    if let [x, y] = folders {
        let (a, b) = (real_path(&x.root), real_path(&y.root));
        if a.starts_with(&b) || b.starts_with(&a) {
            return Err(PlanError::SharedFolder { x: x.root.clone(), y: y.root.clone() });
        }
    }
    Ok(())
}

fn check_outside(root: &Path, folders: &[ImageFolder]) -> Result<(), PlanError> {
    let place = real_path(run::nearest_folder(root));
    match folders.iter().find(|folder| place.starts_with(real_path(&folder.root))) {
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
            real_path(&folder.root)
                .parent()
                .and_then(Path::file_name)
                .map(|name| name.to_string_lossy().into_owned())
        };
        names = folders.iter().map(|folder| with_parent(folder).unwrap_or_default()).collect();
    }
    let error = |reason| PlanError::Names { names: quoted(&names, ", "), reason };
    if names.iter().any(|name| name.is_empty() || name.contains(['/', '\\', ',']) || name.starts_with('.')) {
        return Err(error("a name is empty, or holds `/`, `\\` or `,`, or begins with a dot"));
    }
    if names.len() == 2 && names[0] == names[1] {
        return Err(error("they are the same"));
    }
    Ok(names)
}

/// The name of each space; where one folder holds both, its own name with the side.
fn domains(recipe: &Recipe, mut names: Vec<String>, folders: usize) -> Result<Domains, PlanError> {
    let spaces = recipe.spaces();
    let halves = recipe.data.paired && folders == 1;
    if spaces.len() != folders && !halves {
        let names = quoted(spaces.iter().map(|space| space.name()), " and ");
        return Err(PlanError::FolderCount { needed: spaces.len(), spaces: names, given: folders });
    }
    if halves && names.len() == 1 {
        names = ["left", "right"].iter().map(|side| format!("{}-{side}", names[0])).collect();
    }
    if names.len() != spaces.len() {
        let (names, reason) = (quoted(&names, ", "), "there must be one for each domain");
        return Err(PlanError::Names { names, reason });
    }
    Ok(spaces.into_iter().zip(names).collect())
}

/// A run that has shown images.
struct Begun<'a> {
    request: &'a Request,
    root: &'a Path,
    existing: &'a Existing,
    /// Images shown.
    images: u64,
}

impl Begun<'_> {
    fn finished(&self) -> PlanError {
        PlanError::Finished { path: self.root.into(), images: self.images }
    }

    fn check_same_data(&self, domains: &Domains, opened: &Opened) -> Result<Vec<Warning>, PlanError> {
        resume::check_same_data(self.root, self.existing, domains, opened, self.request.run.is_some())
    }

    /// Whether a run that is done was trained on these images, as their headers tell: nothing of it has to be decoded.
    /// Where an image is damaged behind its header, it may be so all the same.
    fn is_of_these(
        &self,
        recipe: &Recipe,
        folders: &[ImageFolder],
        domains: &Domains,
    ) -> Result<bool, PlanError> {
        let (opened, _) = open_sides(0, recipe, folders.to_vec(), domains, &|| ())?;
        match self.check_same_data(domains, &opened) {
            Ok(_) => Ok(true),
            Err(PlanError::OtherImages { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// The checkpoint to go on from, where it can go on with this data, and what is to be told of it.
    fn go_on(
        &self,
        recipe: &Recipe,
        domains: &Domains,
        opened: &Opened,
    ) -> Result<(Option<Checkpoint>, Vec<Warning>), PlanError> {
        let mut warnings = self.check_same_data(domains, opened)?;
        warnings.extend(resume::changed_threads(self.existing, self.request.device));
        warnings.extend(resume::changed_ranks(self.existing, self.request.ranks));
        if self.images >= recipe.train.images {
            return Err(self.finished());
        }
        Ok((resume::newest_checkpoint(self.root)?, warnings))
    }
}

/// What several ranks should know of a recipe with batch norm.
fn batch_norm(recipe: &Recipe, ranks: u32) -> Option<Warning> {
    let fields = recipe.batch_norms();
    let each = recipe.train.batch / ranks as usize;
    (ranks > 1 && !fields.is_empty()).then(|| Warning::BatchNorm {
        fields: quoted(&fields, ", "),
        ranks,
        each,
    })
}

/// The recipe asked for; for a run that exists and no `-r`, the run's own; `--set` on top.
fn resolve_for(request: &Request, root: &Path, existing: Option<&Existing>) -> Result<Resolved, RecipeError> {
    match (&request.recipe, existing) {
        (None, Some(existing)) => {
            let name = root.join(recipe::FILE_NAME).display().to_string();
            let yaml = to_yaml(&existing.recipe)
                .map_err(|source| RecipeError::Yaml { name: name.clone(), source })?;
            recipe::from_yaml_fully(&name, &yaml, &request.sets)
        }
        (named, _) => resolve_fully(named.as_deref().unwrap_or(DEFAULT_RECIPE), &request.sets),
    }
}
