//! Generators that `PyTorch` trained, made into a model: the reference `CycleGAN`'s, pix2pix's, CUT's, and the students of
//! GAN Compression. `checkpoint` reads the file and runs nothing in it, `architecture` tells from the tensors what network
//! they are, `error` words what cannot be imported.

mod architecture;
pub(super) mod checkpoint;
mod error;

use std::path::Path;

use indexmap::IndexMap;
use tch::{Device, Kind, Tensor};

use super::{About, Domains, Training};
use crate::PROGRAM;
use crate::data::condition::Conditions;
use crate::device;
use crate::nets::{Graph, Network, Norm};
use crate::recipe::{Arrow, GeneratorNet, Recipe, Space, resolve};
use crate::torch::guard;
use crate::words::{plain, quoted};

use checkpoint::Checkpoint;
pub use error::ImportError;

/// Names that are told of those that do not fit.
const TOLD: usize = 3;

/// What to import.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The checkpoint of the generator that translates `from` to `to`.
    pub forward: &'a Path,
    /// That of the one that translates back.
    pub inverse: Option<&'a Path>,
    /// The name of the domain that `forward` reads.
    pub from: &'a str,
    /// The name of the domain that it writes.
    pub to: &'a str,
}

/// A model that was imported, to be saved.
#[derive(Debug)]
pub struct Imported {
    /// Its generators.
    pub graph: Graph,
    /// A recipe of the same generators, with the rest as the reference has it.
    pub recipe: Recipe,
    /// Its domains, and that this program has not trained it.
    pub about: About,
}

/// Reads the checkpoints and builds the model that they hold. No code in them is run.
///
/// # Errors
/// A file is no checkpoint, or not one of a generator that is known; or the names cannot be used.
pub fn import(request: &Request<'_>) -> Result<Imported, ImportError> {
    let Request { forward, inverse, from, to } = *request;
    check_names(from, to)?;
    let directions = [(Space::X, Space::Y, Some(forward)), (Space::Y, Space::X, inverse)];
    let mut arrows = IndexMap::new();
    let mut checkpoints = Vec::new();
    for (from, to, path) in directions {
        let Some(path) = path else { continue };
        let checkpoint = checkpoint::read(path)?;
        let net = architecture::recognise(&checkpoint)?;
        // Before anything is built: a network is no larger than the file then.
        let weights = Network::large_weights(&net, 0, None);
        let weights = weights.iter().map(|(name, shape)| (name.as_str(), shape.clone()));
        let misfits = misfits(&checkpoint, weights, &net);
        refuse_misfits(&checkpoint, &net, misfits)?;
        arrows.insert(format!("{}_to_{}", from.name(), to.name()), Arrow { from, to, net });
        checkpoints.push(checkpoint);
    }
    let recipe = recipe(arrows, &checkpoints)?;
    let conditions = Conditions::new();
    let build = || Graph::build_generators(&recipe, &conditions, Device::Cpu);
    let graph = guard(&device::name(Device::Cpu), build)?;
    for ((name, node), checkpoint) in graph.generators.iter().zip(&checkpoints) {
        fill(&node.net, &recipe.generators[name].net, checkpoint)?;
    }
    let domains = Domains::from([(Space::X, from.to_string()), (Space::Y, to.to_string())]);
    let training = Training {
        images: 0,
        of_images: 0,
        minutes: 0.0,
        seed: 0,
        device: device::name(Device::Cpu),
        data: IndexMap::new(),
        program: PROGRAM.into(),
        imported_from: checkpoints.iter().map(Checkpoint::file_name).collect(),
    };
    Ok(Imported {
        graph,
        recipe,
        about: About { domains, conditions, training, notes: super::Notes::default() },
    })
}

fn check_names(from: &str, to: &str) -> Result<(), ImportError> {
    let bad = |name: &str| name.is_empty() || name.contains(['/', '\\', ',']) || name.starts_with('.');
    let reason = if bad(from) || bad(to) {
        "a name is empty, or holds `/`, `\\` or `,`, or begins with a dot"
    } else if from == to {
        "they are the same"
    } else {
        return Ok(());
    };
    Err(ImportError::Names { names: quoted([from, to], " and "), reason })
}

/// The reference's recipe with these generators, each the answer of a checkpoint, and what follows from them.
fn recipe(arrows: IndexMap<String, Arrow>, checkpoints: &[Checkpoint]) -> Result<Recipe, ImportError> {
    let mut recipe = resolve("cyclegan", &[]).map_err(|error| ImportError::Recipe(Box::new(error)))?;
    let files = quoted(checkpoints.iter().map(Checkpoint::file_name), " and ");
    recipe.about = format!("Imported from {files}");
    let written = |space: &Space| arrows.values().any(|arrow| arrow.to == *space);
    recipe.discriminators.retain(|space, _| written(space));
    if arrows.len() == 1 {
        (recipe.loss.cycle, recipe.loss.identity) = (0.0, 0.0);
    }
    // A U-Net is made for the size that it brings down to one pixel.
    let sizes = arrows.values().filter_map(|arrow| match &arrow.net {
        GeneratorNet::Unet(net) if (7..=12).contains(&net.downs) => Some(net.stride()),
        _ => None,
    });
    let size = sizes.max().unwrap_or(recipe.data.size);
    // As the reference cuts 256 from 286.
    (recipe.data.size, recipe.data.load_size) = (size, size * 143 / 128);
    recipe.generators = arrows;
    if let Some(source) = recipe.validate().into_iter().next() {
        let paths = quoted(checkpoints.iter().map(|checkpoint| checkpoint.path.display()), " and ");
        return Err(ImportError::Invalid { paths, source: Box::new(source) });
    }
    Ok(recipe)
}

/// Gives `net` the checkpoint's numbers.
fn fill(net: &Network, config: &GeneratorNet, checkpoint: &Checkpoint) -> Result<(), ImportError> {
    let tensors = net.tensors();
    let shapes = || tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.size()));
    let mut all = misfits(checkpoint, shapes(), config);
    let known = |name: &str| tensors.iter().any(|(known, _)| known == name);
    let more = checkpoint.names().filter(|name| !known(name));
    all.extend(more.map(|name| format!("`{}` is none of its weights", plain(name))));
    refuse_misfits(checkpoint, config, all)?;
    for (name, tensor) in &tensors {
        // What is missing here is a bias of 0.
        let Some(stored) = checkpoint.tensor(name)? else { continue };
        if stored.isfinite().all().int64_value(&[]) == 0 {
            let (path, found) = (checkpoint.path.clone(), "numbers that are not finite".into());
            return Err(ImportError::Numbers { path, name: name.clone(), found });
        }
        copy(tensor, &stored)?;
    }
    Ok(())
}

fn copy(tensor: &Tensor, stored: &Tensor) -> Result<(), ImportError> {
    let mut tensor = tensor.shallow_clone();
    Ok(guard(&device::name(Device::Cpu), || {
        tch::no_grad(|| tensor.copy_(&stored.to_kind(Kind::Float)));
    })?)
}

/// What of these names and shapes the checkpoint does not have, in words.
fn misfits<'a>(
    checkpoint: &Checkpoint,
    expected: impl Iterator<Item = (&'a str, Vec<i64>)>,
    net: &GeneratorNet,
) -> Vec<String> {
    let misfit = |(name, expected): (&str, Vec<i64>)| match checkpoint.shape(name) {
        Some(found) if found == expected => None,
        Some(found) => Some(format!("`{name}` has shape {found:?}, not {expected:?}")),
        None if name.rsplit('.').next() == Some("bias") && lacks_biases(net) => None,
        None => Some(format!("`{name}` {expected:?} is missing")),
    };
    expected.filter_map(misfit).collect()
}

/// Without a norm the reference's networks have no biases but the last, where ours have them.
fn lacks_biases(net: &GeneratorNet) -> bool {
    matches!(net, GeneratorNet::Resnet(net) if net.norm == Norm::None)
        || matches!(net, GeneratorNet::Unet(net) if net.norm == Norm::None)
}

fn refuse_misfits(
    checkpoint: &Checkpoint,
    net: &GeneratorNet,
    mut misfits: Vec<String>,
) -> Result<(), ImportError> {
    if misfits.is_empty() {
        return Ok(());
    }
    let more = misfits.len().saturating_sub(TOLD);
    misfits.truncate(TOLD);
    if more > 0 {
        misfits.push(format!("{more} more"));
    }
    let (path, net) = (checkpoint.path.clone(), architecture::describe(net));
    Err(ImportError::Misfits { path, net, misfits: misfits.join("; ") })
}
