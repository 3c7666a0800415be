//! From arguments to a training plan that cannot fail on them: the recipe resolved, the folders read, the run folder
//! looked at. Nothing is written yet.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use tch::{Device, Tensor};

use super::problems::{PlanError, Warning};
use super::resume;
use super::run::{self, DataInfo, Existing, Info};
use crate::data::condition::{Conditioned, Conditions, Known, Reading, known};
use crate::data::dataset::{CacheBudget, Dataset, Half, LoadOptions};
use crate::data::loader::Sides;
use crate::data::pairs::Pairs;
use crate::data::scan::{ImageFolder, Skipped, real_path, scan};
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
        let Request { device, threads, .. } = *request;
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
        if self.images >= recipe.train.images {
            return Err(self.finished());
        }
        Ok((resume::newest_checkpoint(self.root)?, warnings))
    }
}

/// The recipe asked for; for a run that exists and no `-r`, the run's own; `--set` on top.
fn resolve_for(request: &Request, root: &Path, existing: Option<&Existing>) -> Result<Resolved, RecipeError> {
    match (&request.recipe, existing) {
        (None, Some(existing)) => {
            let name = root.join("recipe.yaml").display().to_string();
            let yaml = to_yaml(&existing.recipe)
                .map_err(|source| RecipeError::Yaml { name: name.clone(), source })?;
            recipe::from_yaml_fully(&name, &yaml, &request.sets)
        }
        (named, _) => resolve_fully(named.as_deref().unwrap_or(DEFAULT_RECIPE), &request.sets),
    }
}

fn find_pairs(datasets: &[Arc<Dataset>], warnings: &mut Vec<Warning>) -> Result<Arc<Pairs>, PlanError> {
    let (x, y) = (&datasets[0], &datasets[datasets.len() - 1]);
    let (pairs, alone) = Pairs::find(x, y);
    if pairs.is_empty() {
        return Err(PlanError::NoPairs { x: x.root().into(), y: y.root().into() });
    }
    warnings.extend(alone.into_iter().map(Warning::LeftOut));
    Ok(Arc::new(pairs))
}

/// The data sets, and the conditions of those that have some.
pub(super) type Opened = (Vec<Arc<Dataset>>, IndexMap<Space, Conditioned>);

/// Opens them, and tells what is odd about them.
fn open_sides(
    cache: u64,
    recipe: &Recipe,
    folders: Vec<ImageFolder>,
    domains: &Domains,
    read: &(dyn Fn() + Sync),
) -> Result<(Opened, Vec<Warning>), PlanError> {
    let data = &recipe.data;
    let sources: Vec<(ImageFolder, Option<Half>)> = match &folders[..] {
        [both] if domains.len() == 2 => {
            [Half::Left, Half::Right].map(|half| (both.clone(), Some(half))).to_vec()
        }
        _ => folders.into_iter().map(|folder| (folder, None)).collect(),
    };
    let budget = CacheBudget::new(cache);
    let (mut sides, mut conditioned, mut warnings) = (Vec::new(), IndexMap::new(), Vec::new());
    for ((mut folder, half), (space, domain)) in sources.into_iter().zip(domains) {
        let options = LoadOptions { load_size: data.load_size, resize: data.resize, half };
        warnings.extend(skipped(&folder.warnings));
        let mut left_out = Vec::new();
        let condition = recipe.conditions.get(space);
        let reading =
            condition.map(|condition| Reading::new(condition, &mut folder, &mut left_out)).transpose()?;
        let side = Dataset::open(folder, options, &budget, read)?;
        if let Some(reading) = reading {
            let of = reading.of(&side);
            warnings.extend(small_classes(&of, domain));
            conditioned.insert(*space, of);
        }
        warnings.extend(left_out.into_iter().map(Warning::LeftOut));
        warnings.extend(odd_images(&side, half, domain, data.size));
        sides.push(Arc::new(side));
    }
    Ok(((sides, conditioned), warnings))
}

fn skipped(files: &[Skipped]) -> impl Iterator<Item = Warning> {
    files.iter().map(|file| Warning::Skipped { path: file.path.clone(), reason: file.reason.clone() })
}

/// What is odd about the images of a side, of which crops of `size` are taken.
fn odd_images(side: &Dataset, half: Option<Half>, domain: &str, size: u32) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = skipped(side.skipped()).collect();
    let (domain, of) = (domain.to_string(), side.len());
    let upright = side.upright();
    if half == Some(Half::Left) && 2 * upright > of {
        warnings.push(Warning::UprightHalves { root: side.root().into(), count: upright, of });
    }
    if of == 1 {
        warnings.push(Warning::OneImage { domain: domain.clone() });
    }
    let count = side.smaller_than(size);
    if count > 0 {
        warnings.push(Warning::Small { domain, count, of, size });
    }
    warnings
}

/// Classes of which there is one readable image or none.
fn small_classes(side: &Conditioned, domain: &str) -> Option<Warning> {
    let Known::Classes(names) = &side.known else { return None };
    let count = |label: usize| side.of.iter().filter(|of| of[0][0] == label as i64).count();
    let small: Vec<&String> =
        names.iter().enumerate().filter(|(i, _)| count(*i) < 2).map(|(_, name)| name).collect();
    let classes = quoted(&small, ", ");
    (!small.is_empty()).then(|| Warning::SmallClasses { domain: domain.into(), classes })
}
