//! The shareable model file: generators, recipe, domain names and a training summary in one `model.safetensors`.

mod card;
pub mod export;
pub mod import;
mod sampler;
mod translator;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tch::{Cuda, Device, Kind, TchError, Tensor};

use crate::data::condition::{Conditions, TextError};
use crate::device;
use crate::nets::{GeneratorNode, Graph};
use crate::recipe;
use crate::recipe::{Arithmetic, Precision, Recipe, RecipeError, Space, did_you_mean, from_yaml, to_yaml};
use crate::torch::store::{IsCheckpoint, StoreError, Stored, read, refuse_checkpoint, write};
use crate::torch::{TorchError, guard, set_arithmetic};
use crate::words::{plain, quoted};

pub use card::{Card, Notes, Translation, card, set_notes};
pub use sampler::{Asked, Sampler, Told};
pub use translator::Translator;

/// The file's name in a run folder.
pub const FILE_NAME: &str = "model.safetensors";

const FORMAT: &str = "1";

/// The name of each space, taken from the folders: `x` may be `photos`, `y` may be `anime`.
pub type Domains = IndexMap<Space, String>;

/// How a model came to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Images shown.
    pub images: u64,
    /// Images that the recipe asks for.
    pub of_images: u64,
    /// Minutes of training, pauses left out.
    pub minutes: f64,
    /// Seed of every random choice.
    pub seed: u64,
    /// Device, as `--device` takes it.
    pub device: String,
    /// Images of each domain.
    pub data: IndexMap<String, u64>,
    /// Program and version.
    pub program: String,
    /// Names of the files of `PyTorch` that it was imported from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imported_from: Vec<String>,
}

impl Training {
    /// Whether another program trained it, of which nothing is known here: an own training has images.
    pub const fn was_elsewhere(&self) -> bool {
        self.of_images == 0
    }
}

/// What a model file says of itself beside its recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// The names of its spaces.
    pub domains: Domains,
    /// What its conditioned spaces can be asked for.
    pub conditions: Conditions,
    /// How it came to be.
    pub training: Training,
    /// What its owner adds.
    pub notes: Notes,
}

/// Why a model cannot be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Nothing at that path.
    #[error("no model at `{path}`: expected a `.safetensors` file or the folder of a run")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A folder without a model in it.
    #[error(
        "`{path}` holds no `{FILE_NAME}`: it is no run, or one that has not saved yet\nhint: name a \
             run folder, or a model file (`.safetensors`)"
    )]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A checkpoint of `PyTorch`.
    #[error(transparent)]
    Checkpoint(#[from] IsCheckpoint),
    /// Unreadable.
    #[error("{0}{hint}", hint = store_hint(.0))]
    Store(#[from] StoreError),
    /// A safetensors file of somebody else.
    #[error(
        "`{path}` is a safetensors file but no model of this program: its metadata has no valid `{key}`{detail}\nhint: \
         name the `{FILE_NAME}` of a run"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The metadata key.
        key: &'static str,
        /// What was found, or empty.
        detail: String,
    },
    /// A recipe inside that this version cannot use.
    #[error(
        "`{path}` holds a recipe that this version cannot use: {reason}\nhint: use the version that made it{made_by}",
        reason = without_hint(source)
    )]
    Recipe {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<RecipeError>,
        /// `, translate 0.1.0`, or empty where the file does not say.
        made_by: String,
    },
    /// Weights that do not fit the recipe.
    #[error(
        "`{path}` lacks weights that its recipe needs: {detail}\nhint: take it from its run folder again"
    )]
    Weights {
        /// The file.
        path: PathBuf,
        /// The first tensor that does not fit.
        detail: String,
    },
    /// libtorch's.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// A translator asked for pictures from noise.
    #[error(
        "the model translates between {domains} and draws nothing from noise\nhint: `translate apply MODEL FOLDER -o OUT`"
    )]
    NoSampler {
        /// Its domains.
        domains: String,
    },
    /// A model from noise asked to translate.
    #[error(
        "the model draws `{domain}` from noise and translates nothing\nhint: `translate sample MODEL -o OUT` draws new pictures"
    )]
    NoTranslator {
        /// What it draws.
        domain: String,
    },
    /// A class that the model does not know.
    #[error("the model knows no class `{asked}`; it draws {known}{closest}\nhint: {hint}")]
    Label {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
        /// `; did you mean …?`, or empty.
        closest: String,
        /// What to write instead.
        hint: String,
    },
    /// A text that the model cannot read.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A condition of another kind than the model's, or none where it needs one.
    #[error("the model {knows}\nhint: {hint}")]
    Condition {
        /// What it can be asked for.
        knows: String,
        /// What to write instead.
        hint: String,
    },
    /// `--to` a domain that the model does not make.
    #[error("the model makes no `{asked}`; it translates to {known}{closest}")]
    Domain {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
        /// `; did you mean …?`, or empty.
        closest: String,
    },
}

/// What to do about a file that cannot be read; of one that cannot be written its error says that.
const fn store_hint(error: &StoreError) -> &'static str {
    match error {
        StoreError::Io { .. } => "",
        _ => "\nhint: name the `model.safetensors` of a run; if it is one, copy it again",
    }
}

/// What is wrong with a recipe, without what could be changed in one that is not inside a model.
fn without_hint(error: &RecipeError) -> String {
    error.to_string().split("\nhint: ").next().unwrap_or_default().to_string()
}

/// An opened model.
#[derive(Debug)]
pub struct Model {
    /// What it was trained by.
    pub recipe: Recipe,
    /// The names of its spaces.
    pub domains: Domains,
    /// What its conditioned spaces can be asked for.
    pub conditions: Conditions,
    /// How it came to be.
    pub training: Training,
    /// Its generators.
    pub graph: Graph,
}

/// Writes the generators of `graph` as a model file.
///
/// # Errors
/// The file cannot be written.
pub fn save(path: &Path, graph: &Graph, recipe: &Recipe, about: &About) -> Result<(), StoreError> {
    let kind = match recipe.model.precision {
        Precision::F32 => Kind::Float,
        Precision::F16 => Kind::Half,
    };
    let is_generator = |(name, _): &(String, Tensor)| name.starts_with("generators.");
    let tensors: Vec<_> =
        graph.tensors().into_iter().filter(is_generator).map(|(name, t)| (name, t.to_kind(kind))).collect();
    let text = |value: serde_json::Result<String>| value.unwrap_or_default();
    let mut metadata = HashMap::from([
        ("format".to_string(), "pt".to_string()),
        ("translate".to_string(), FORMAT.to_string()),
        (recipe::KEY.to_string(), to_yaml(recipe).unwrap_or_default()),
        ("domains".to_string(), text(serde_json::to_string(&about.domains))),
        ("conditions".to_string(), text(serde_json::to_string(&about.conditions))),
        ("training".to_string(), text(serde_json::to_string(&about.training))),
    ]);
    about.notes.put(&mut metadata);
    write(path, &tensors, metadata)
}

/// Opens a model file, or the model of a run folder.
///
/// # Errors
/// There is none, or it is truncated, foreign, or does not fit its own recipe.
pub fn open(path: &Path, device: Device) -> Result<Model, ModelError> {
    let path = &locate(path)?;
    let stored = read(path)?;
    let foreign = |key, detail: String| {
        let detail = plain(&detail);
        ModelError::Foreign { path: path.clone(), key, detail }
    };
    let text = |key| stored.metadata.get(key).ok_or_else(|| foreign(key, String::new()));
    let format = text("translate")?;
    if format != FORMAT {
        return Err(foreign(
            "translate",
            format!(" (found format `{format}`; this version reads `{FORMAT}`)"),
        ));
    }
    let unusable = |source| ModelError::Recipe {
        path: path.clone(),
        source: Box::new(source),
        made_by: made_by(&stored),
    };
    let recipe = from_yaml(&path.display().to_string(), text(recipe::KEY)?, &[]).map_err(unusable)?;
    let mut domains: Domains =
        serde_json::from_str(text("domains")?).map_err(|error| foreign("domains", format!(": {error}")))?;
    // They are part of messages from here on, and of what `--to` takes.
    domains.values_mut().for_each(|name| *name = plain(name));
    if let Some(space) = recipe.spaces().into_iter().find(|space| !domains.contains_key(space)) {
        return Err(foreign("domains", format!(": no name for `{}`", space.name())));
    }
    let training =
        serde_json::from_str(text("training")?).map_err(|error| foreign("training", format!(": {error}")))?;
    let conditions = match stored.metadata.get("conditions") {
        None => Conditions::new(),
        Some(text) => {
            serde_json::from_str(text).map_err(|error| foreign("conditions", format!(": {error}")))?
        }
    };
    let is_missing = |space: &&Space| conditions.get(*space).is_none_or(|known| known.rows() == 0);
    if let Some(space) = recipe.conditions.keys().find(is_missing) {
        return Err(foreign("conditions", format!(": nothing for `{}`", space.name())));
    }
    // Before anything is built: the networks are no larger than the file then.
    for (name, shape) in Graph::large_weights(&recipe, &conditions) {
        stored_as(&stored, &name, &shape, path)?;
    }
    let build = || Graph::build_generators(&recipe, &conditions, device);
    let graph = guard(&device::name(device), build)?;
    fill(&graph, &stored, path, device)?;
    Ok(Model { recipe, domains, conditions, training, graph })
}

/// `, PROGRAM`, as far as a file says it that this version need not be able to read.
fn made_by(stored: &Stored) -> String {
    let training = stored.metadata.get("training").and_then(|text| serde_json::from_str(text).ok());
    let program =
        training.as_ref().and_then(|training: &serde_json::Value| training.get("program")?.as_str());
    program.map_or_else(String::new, |program| format!(", {program}"))
}

/// The model file itself for a run folder.
fn locate(path: &Path) -> Result<PathBuf, ModelError> {
    if path.is_dir() {
        let file = path.join(FILE_NAME);
        return if file.is_file() { Ok(file) } else { Err(ModelError::NoRun { path: path.into() }) };
    }
    refuse_checkpoint(path)?;
    if path.exists() { Ok(path.into()) } else { Err(ModelError::Missing { path: path.into() }) }
}

fn fill(graph: &Graph, stored: &Stored, path: &Path, device: Device) -> Result<(), ModelError> {
    for (name, mut tensor) in graph.tensors() {
        let found = stored_as(stored, &name, &tensor.size(), path)?;
        guard(&device::name(device), || tch::no_grad(|| tensor.copy_(found)))?;
    }
    Ok(())
}

/// The file's tensor of that name and shape.
fn stored_as<'a>(
    stored: &'a Stored,
    name: &str,
    shape: &[i64],
    path: &Path,
) -> Result<&'a Tensor, ModelError> {
    let misfit = |detail| ModelError::Weights { path: path.into(), detail };
    let found = stored.tensors.get(name).ok_or_else(|| misfit(format!("`{name}` is missing")))?;
    if found.size() == shape {
        return Ok(found);
    }
    Err(misfit(format!("`{name}` has shape {:?}; expected {shape:?}", found.size())))
}

impl Model {
    /// The generator, with its name, that writes the domain called `to`, by default the last one's (the second folder).
    ///
    /// # Errors
    /// No generator writes it.
    pub fn generator_to(&self, to: Option<&str>) -> Result<(&str, &GeneratorNode), ModelError> {
        let translates = |space: &Space, node: &GeneratorNode| node.to == *space && node.from != Space::Z;
        let written = |space: &Space| self.graph.generators.iter().find(|(_, node)| translates(space, node));
        let targets: Vec<_> = self
            .domains
            .iter()
            .filter_map(|(space, domain)| Some((domain.as_str(), written(space)?)))
            .collect();
        if targets.is_empty() {
            let domain = self.domains.values().next().cloned().unwrap_or_default();
            return Err(ModelError::NoTranslator { domain });
        }
        let names: Vec<&str> = targets.iter().map(|(domain, _)| *domain).collect();
        let wanted = to.or(names.last().copied()).unwrap_or_default();
        let found = targets.iter().find(|(domain, _)| *domain == wanted);
        found.map(|(_, (name, node))| (name.as_str(), *node)).ok_or_else(|| {
            let closest = did_you_mean(wanted, &names);
            let known = quoted(&names, " and ");
            ModelError::Domain { asked: wanted.into(), known, closest }
        })
    }
    /// Makes a generator ready for many images, where there is something faster for it than what it is trained by, to compute in
    /// these numbers; see [`Network::prepare`](crate::nets::Network::prepare). Its weights must not change any more.
    ///
    /// # Errors
    /// libtorch's.
    fn prepare_generator(
        &mut self,
        name: &str,
        precision: Arithmetic,
        device: Device,
    ) -> Result<(), ModelError> {
        let (graph, is_bf16) = (&mut self.graph, precision.is_bf16(device));
        graph.set_bf16(is_bf16);
        let prepare = || {
            set_arithmetic(precision != Arithmetic::Fp32, false)?;
            // Which algorithm is fastest is not tried out: images may have as many sizes as there are images.
            Cuda::cudnn_set_benchmark(false);
            if device.is_cuda() && is_bf16 {
                graph.set_channels_last();
            }
            // It is made of float32.
            if device == Device::Cpu && !is_bf16 {
                graph.generators[name].net.prepare()?;
            }
            Ok(())
        };
        let device = device::name(device);
        let prepared = guard(&device, prepare)?;
        Ok(prepared.map_err(|error: TchError| TorchError::from_text(&device, &error.to_string()))?)
    }
}
