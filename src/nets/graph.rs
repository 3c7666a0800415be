//! A recipe's graph, built: its generators and discriminators with their weights.

use indexmap::IndexMap;
use tch::nn::{ModuleT, VarStore};
use tch::{Device, Tensor};

use super::{patch, pixel, resnet, unet};
use crate::recipe::{Arrow, DiscriminatorNet, GeneratorNet, Recipe, Space};

/// A built network and its weights.
#[derive(Debug)]
pub struct Network {
    vars: VarStore,
    module: Box<dyn ModuleT>,
    per_image: bool,
}

impl Network {
    /// Builds a generator on the CPU, so that libtorch's seed gives the same weights whatever the device.
    pub fn generator(net: &GeneratorNet) -> Self {
        let vars = VarStore::new(Device::Cpu);
        let (module, norm): (Box<dyn ModuleT>, _) = match net {
            GeneratorNet::Resnet(config) => (Box::new(resnet::resnet(&vars.root(), config)), config.norm),
            GeneratorNet::Unet(config) => (Box::new(unet::unet(&vars.root(), config)), config.norm),
        };
        Self { vars, module, per_image: norm.is_per_image() }
    }

    /// Builds a discriminator, likewise.
    pub fn discriminator(net: &DiscriminatorNet) -> Self {
        let vars = VarStore::new(Device::Cpu);
        let (module, norm): (Box<dyn ModuleT>, _) = match net {
            DiscriminatorNet::Patch(config) => (Box::new(patch::patch(&vars.root(), config)), config.norm),
            DiscriminatorNet::Pixel(config) => (Box::new(pixel::pixel(&vars.root(), config)), config.norm),
        };
        Self { vars, module, per_image: norm.is_per_image() }
    }

    /// Applies the network; `train` decides between batch and running statistics, and about dropout.
    pub fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        self.module.forward_t(xs, train)
    }

    /// Whether an image's result depends on that image alone, so that two calls can be joined into one.
    pub const fn is_per_image(&self) -> bool {
        self.per_image
    }

    /// All tensors by name, running statistics included; sorted by name.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let mut tensors: Vec<_> = self.vars.variables().into_iter().collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        tensors
    }

    /// The number of trainable weights.
    pub fn parameter_count(&self) -> usize {
        self.vars.trainable_variables().iter().map(Tensor::numel).sum()
    }
}

/// A generator of the graph.
#[derive(Debug)]
pub struct GeneratorNode {
    /// The space it reads.
    pub from: Space,
    /// The space it writes.
    pub to: Space,
    /// Its network: images in [-1, 1] to images in [-1, 1].
    pub net: Network,
}

/// A discriminator of the graph.
#[derive(Debug)]
pub struct DiscriminatorNode {
    /// Its network: images in [-1, 1] to raw verdicts.
    pub net: Network,
}

/// Every network of a recipe.
#[derive(Debug)]
pub struct Graph {
    /// Generators by name, in the recipe's order.
    pub generators: IndexMap<String, GeneratorNode>,
    /// Discriminators by the space they judge, in the recipe's order.
    pub discriminators: IndexMap<Space, DiscriminatorNode>,
}

impl Graph {
    /// Builds all networks of a recipe, freshly initialised as a function of its seed, the same on every device.
    pub fn build(recipe: &Recipe, device: Device) -> Self {
        let mut graph =
            Self { generators: build_generators(&recipe.generators, recipe.train.seed), ..Self::empty() };
        for (i, (space, discriminator)) in recipe.discriminators.iter().enumerate() {
            tch::manual_seed(network_seed(recipe.train.seed, 1000 + i));
            graph
                .discriminators
                .insert(*space, DiscriminatorNode { net: Network::discriminator(&discriminator.net) });
        }
        graph.move_to(device);
        graph
    }

    /// Builds the generators alone, for a model that is only applied.
    pub fn build_generators(arrows: &IndexMap<String, Arrow>, device: Device) -> Self {
        let mut graph = Self { generators: build_generators(arrows, 0), ..Self::empty() };
        graph.move_to(device);
        graph
    }

    fn empty() -> Self {
        Self { generators: IndexMap::new(), discriminators: IndexMap::new() }
    }

    fn move_to(&mut self, device: Device) {
        for node in self.generators.values_mut() {
            node.net.vars.set_device(device);
        }
        for node in self.discriminators.values_mut() {
            node.net.vars.set_device(device);
        }
    }

    /// The trainable weights whose full name begins with `prefix`.
    pub fn parameters(&self, prefix: &str) -> Vec<(String, Tensor)> {
        let mut all = self.tensors();
        all.retain(|(name, tensor)| name.starts_with(prefix) && tensor.requires_grad());
        all
    }

    /// Every tensor of the graph by full name: `generators.<name>.<weight>` and `discriminators.<space>.<weight>`.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let generators = self.generators.iter().map(|(name, node)| (format!("generators.{name}"), &node.net));
        let discriminators = self
            .discriminators
            .iter()
            .map(|(space, node)| (format!("discriminators.{}", space.name()), &node.net));
        let named = |(prefix, net): (String, &Network)| {
            let join = move |(name, tensor)| (format!("{prefix}.{name}"), tensor);
            net.tensors().into_iter().map(join).collect::<Vec<_>>()
        };
        generators.chain(discriminators).flat_map(named).collect()
    }
}

fn network_seed(seed: u64, network: usize) -> i64 {
    (seed as i64).wrapping_mul(1_000_003).wrapping_add(network as i64)
}

fn build_generators(arrows: &IndexMap<String, Arrow>, seed: u64) -> IndexMap<String, GeneratorNode> {
    let build = |(i, (name, arrow)): (usize, (&String, &Arrow))| {
        tch::manual_seed(network_seed(seed, i));
        (name.clone(), GeneratorNode { from: arrow.from, to: arrow.to, net: Network::generator(&arrow.net) })
    };
    arrows.iter().enumerate().map(build).collect()
}
