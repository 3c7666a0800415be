//! A recipe's graph, built: its generators and discriminators with their weights.

use indexmap::IndexMap;
use tch::nn::{Path, VarStore};
use tch::{Device, Kind, TchError, Tensor};

use super::augment::{Augmentation, augment};
use super::encoder::{self, Encoder};
use super::layers::{Judged, Net};
use super::{Shapes, dcgan, mobile_resnet, patch, pixel, residual, resnet, unet};
use crate::data::condition::{Conditions, Known};
use crate::recipe::{Arrow, Condition, Discriminator, DiscriminatorNet, GeneratorNet, Recipe, Space};
use crate::torch::{Bf16, channels_last};

/// A built network and its weights.
#[derive(Debug)]
pub struct Network {
    vars: VarStore,
    /// Reads the condition, where there is one.
    encoder: Option<Encoder>,
    module: Box<dyn Net>,
    per_image: bool,
    bf16: bool,
}

/// How a network is to read conditions, and what they are.
#[derive(Debug, Clone, Copy)]
pub struct Encoding<'a> {
    /// The recipe's part.
    pub condition: &'a Condition,
    /// The data's part.
    pub known: &'a Known,
}

impl Encoding<'_> {
    fn build(self, p: &Path) -> Encoder {
        match self.condition {
            Condition::Label { width, .. } => encoder::label(p, self.known.rows(), *width),
            Condition::Text { encoder, .. } => encoder::text(p, encoder, self.known.rows()),
        }
    }

    /// The length of a vector.
    const fn width(self) -> i64 {
        match self.condition {
            Condition::Label { width, .. } => *width,
            Condition::Text { encoder, .. } => encoder.width(),
        }
    }

    /// The encoder's large weights.
    fn large_weights(self) -> Shapes {
        match self.condition {
            Condition::Label { width, .. } => vec![("weight".into(), vec![self.known.rows(), *width])],
            Condition::Text { encoder, .. } => encoder.large_weights(self.known.rows()),
        }
    }
}

impl Network {
    /// Builds a generator on the CPU, so that libtorch's seed gives the same weights whatever the device. `size` is the
    /// height and width of its images, for networks that are made for one size.
    /// With an `encoding` it takes conditions.
    pub fn generator(net: &GeneratorNet, size: u32, encoding: Option<Encoding<'_>>) -> Self {
        let vars = VarStore::new(Device::Cpu);
        let p = &vars.root();
        let encoder = encoding.map(|encoding| encoding.build(&(p / "encoder")));
        let inputs = |noise: i64| noise + encoder.as_ref().map_or(0, Encoder::width);
        let module: Box<dyn Net> = match net {
            GeneratorNet::Resnet(config) => Box::new(resnet::resnet(p, config)),
            GeneratorNet::MobileResnet(config) => Box::new(mobile_resnet::mobile_resnet(p, config)),
            GeneratorNet::Unet(config) => Box::new(unet::unet(p, config)),
            GeneratorNet::Dcgan(config) => Box::new(dcgan::generator(p, config, inputs(config.noise), size)),
            GeneratorNet::Residual(config) => {
                Box::new(residual::generator(p, config, inputs(config.noise), size))
            }
        };
        Self { vars, encoder, module, per_image: net.is_per_image(), bf16: false }
    }

    /// The large weights of such a generator, which is not built for that: what a file must hold to be worth the memory.
    pub fn large_weights(net: &GeneratorNet, size: u32, encoding: Option<Encoding<'_>>) -> Shapes {
        let inputs = |noise: i64| noise + encoding.map_or(0, Encoding::width);
        let mut weights = match net {
            GeneratorNet::Resnet(config) => config.large_weights(),
            GeneratorNet::MobileResnet(config) => config.large_weights(),
            GeneratorNet::Unet(config) => config.large_weights(),
            GeneratorNet::Dcgan(config) => config.large_weights(inputs(config.noise), size),
            GeneratorNet::Residual(config) => config.large_weights(inputs(config.noise), size),
        };
        let encoder = encoding.map(Encoding::large_weights).unwrap_or_default();
        weights.extend(encoder.into_iter().map(|(name, shape)| (format!("encoder.{name}"), shape)));
        weights
    }

    /// Builds a discriminator, likewise.
    pub fn discriminator(discriminator: &Discriminator, size: u32, encoding: Option<Encoding<'_>>) -> Self {
        let vars = VarStore::new(Device::Cpu);
        let p = &vars.root();
        let encoder = encoding.map(|encoding| encoding.build(&(p / "encoder")));
        let channels = if discriminator.sees_source { 6 } else { 3 };
        let condition = encoder.as_ref().map(Encoder::width);
        let judged = Judged { channels, size, condition, spectral_norm: discriminator.spectral_norm };
        let module: Box<dyn Net> = match &discriminator.net {
            DiscriminatorNet::Patch(config) => Box::new(patch::patch(p, config, judged)),
            DiscriminatorNet::Pixel(config) => Box::new(pixel::pixel(p, config, judged)),
            DiscriminatorNet::Dcgan(config) => Box::new(dcgan::discriminator(p, config, judged)),
            DiscriminatorNet::Residual(config) => Box::new(residual::discriminator(p, config, judged)),
        };
        Self { vars, encoder, module, per_image: discriminator.net.is_per_image(), bf16: false }
    }

    /// Applies the network; `train` decides between batch and running statistics, about dropout, and whether spectral
    /// norm's power iteration goes on.
    pub fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        self.forward_given(xs, None, train)
    }

    /// As [`forward`](Self::forward), given a condition of each sample: labels `[batch]` or tokens `[batch, length]`.
    /// Networks that were built without ignore it.
    pub fn forward_given(&self, xs: &Tensor, condition: Option<&Tensor>, train: bool) -> Tensor {
        let encoded =
            self.encoder.as_ref().zip(condition).map(|(encoder, condition)| encoder.forward(condition));
        if !self.bf16 {
            return self.module.forward(xs, encoded.as_ref(), train);
        }
        let _bf16 = Bf16::set(xs.device(), true);
        self.module.forward(xs, encoded.as_ref(), train).to_kind(Kind::Float)
    }

    /// Makes a finished network on the CPU ready to be applied to many images; its weights must not change any more, and its
    /// results have no gradients.
    ///
    /// # Errors
    /// libtorch's.
    pub fn prepare(&mut self) -> Result<(), TchError> {
        tch::no_grad(|| self.module.prepare())
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
    /// Its network: images in [-1, 1], or noise, to images in [-1, 1].
    pub net: Network,
}

/// A discriminator of the graph.
#[derive(Debug)]
pub struct DiscriminatorNode {
    /// Its network: images in [-1, 1] to raw verdicts.
    pub net: Network,
    /// Whether it sees an image's source beside it.
    pub sees_source: bool,
    /// What is changed at random in all that it sees.
    pub augment: Vec<Augmentation>,
}

impl DiscriminatorNode {
    /// What the network is shown of `images` `[batch, 3, height, width]`: themselves, or their sources and them as
    /// `[batch, 6, height, width]`.
    pub fn view(&self, images: &Tensor, sources: &Tensor) -> Tensor {
        if self.sees_source { Tensor::cat(&[sources, images], 1) } else { images.shallow_clone() }
    }

    /// What is shown, changed by `random` `[batch, 7]` (see [`augment`]) where the recipe says so.
    pub fn augmented(&self, seen: &Tensor, random: Option<&Tensor>) -> Tensor {
        random.map_or_else(|| seen.shallow_clone(), |random| augment(seen, &self.augment, random))
    }
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
    pub fn build(recipe: &Recipe, conditions: &Conditions, device: Device) -> Self {
        let seed = recipe.train.seed;
        let mut graph = Self { generators: build_generators(recipe, conditions, seed), ..Self::empty() };
        for (i, (space, discriminator)) in recipe.discriminators.iter().enumerate() {
            tch::manual_seed(network_seed(seed, 1000 + i));
            let net =
                Network::discriminator(discriminator, recipe.data.size, encoding(recipe, conditions, *space));
            let Discriminator { sees_source, augment, .. } = discriminator.clone();
            graph.discriminators.insert(*space, DiscriminatorNode { net, sees_source, augment });
        }
        graph.move_to(device);
        graph
    }

    /// Builds the generators alone, for a model that is only applied.
    pub fn build_generators(recipe: &Recipe, conditions: &Conditions, device: Device) -> Self {
        let mut graph = Self { generators: build_generators(recipe, conditions, 0), ..Self::empty() };
        graph.move_to(device);
        graph
    }

    /// The large weights of [`build_generators`](Self::build_generators) by full name, without building anything.
    pub fn large_weights(recipe: &Recipe, conditions: &Conditions) -> Shapes {
        let of = |(name, arrow): (&String, &Arrow)| {
            let encoding = encoding(recipe, conditions, arrow.to);
            let weights = Network::large_weights(&arrow.net, recipe.data.size, encoding);
            let full = |(weight, shape)| (format!("generators.{name}.{weight}"), shape);
            weights.into_iter().map(full).collect::<Vec<_>>()
        };
        recipe.generators.iter().flat_map(of).collect()
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

    /// Takes the convolutions and matrix products of all networks in bfloat16 from now on, or in float32. Images, verdicts and
    /// weights are float32 in either case.
    pub fn set_bf16(&mut self, on: bool) {
        self.generators.values_mut().for_each(|node| node.net.bf16 = on);
        self.discriminators.values_mut().for_each(|node| node.net.bf16 = on);
    }

    /// Keeps few inner results of the generators for gradients from here on, see [`Net::recompute`].
    pub fn recompute(&mut self) {
        self.generators.values_mut().for_each(|node| node.net.module.recompute());
    }

    /// Brings the convolutions' weights into channels-last, in which their results then come. An optimizer's moments lie as the
    /// weights do that it is made for, so it comes before that.
    pub fn set_channels_last(&self) {
        for (_, mut tensor) in self.tensors() {
            if tensor.dim() == 4 {
                let moved = channels_last(&tensor.detach());
                tensor.set_data(&moved);
            }
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

fn encoding<'a>(recipe: &'a Recipe, conditions: &'a Conditions, space: Space) -> Option<Encoding<'a>> {
    let (condition, known) = recipe.conditions.get(&space).zip(conditions.get(&space))?;
    Some(Encoding { condition, known })
}

fn build_generators(recipe: &Recipe, conditions: &Conditions, seed: u64) -> IndexMap<String, GeneratorNode> {
    let build = |(i, (name, arrow)): (usize, (&String, &Arrow))| {
        tch::manual_seed(network_seed(seed, i));
        let net = Network::generator(&arrow.net, recipe.data.size, encoding(recipe, conditions, arrow.to));
        (name.clone(), GeneratorNode { from: arrow.from, to: arrow.to, net })
    };
    recipe.generators.iter().enumerate().map(build).collect()
}
