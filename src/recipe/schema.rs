//! The fields of a recipe and their defaults.

use clap::ValueEnum;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Device;

use super::graph::{Arrow, Condition, Discriminator, Space};
use crate::data::resize::Resize;
use crate::device::has_bf16;
use crate::loss::Objective;

/// The newest recipe format that this program reads.
pub const FORMAT: u32 = 1;

/// The first version of the program that reads [`FORMAT`]. It is in each recipe that the program writes whole, so that an
/// older program can say what to take.
pub const SINCE: &str = "0.1.0";

/// A recipe with every value in place.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The format of the file, [`FORMAT`].
    pub format: u32,
    /// One line on what the recipe is for.
    #[serde(default)]
    pub about: String,
    /// How images become crops.
    pub data: Data,
    /// What is known of a space's images beside their pixels; every network that draws or judges them is given it.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(extend("propertyNames" = { "enum": ["x", "y"] }))]
    pub conditions: IndexMap<Space, Condition>,
    /// The arrows of the graph by name. Names are free; weights are stored below them.
    pub generators: IndexMap<String, Arrow>,
    /// One discriminator for each space that an arrow lands in.
    #[schemars(extend("propertyNames" = { "enum": ["x", "y"] }))]
    pub discriminators: IndexMap<Space, Discriminator>,
    /// The terms of the loss.
    pub loss: Loss,
    /// Adam, once over all generators and once over all discriminators.
    #[serde(default)]
    pub optim: Optim,
    /// How long, how many at a time, from which seed.
    pub train: Train,
    /// When the full training state is saved.
    #[serde(default)]
    pub checkpoint: Checkpoint,
    /// When losses are read and written to `metrics.jsonl`.
    #[serde(default)]
    pub log: Log,
    /// When the sample grid is drawn.
    #[serde(default)]
    pub sample: Sample,
    /// When the generators' pictures are compared with real images.
    #[serde(default)]
    pub monitor: Monitor,
    /// How the shareable model file is stored.
    #[serde(default)]
    pub model: Model,
}

/// How images become crops: resize to `load_size`, cut `size`, flip. Values in pixels.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Side of the square that the networks are trained on.
    pub size: u32,
    /// Side that images are resized to before the crop is cut; at least `size`.
    pub load_size: u32,
    /// `stretch` ignores the aspect ratio, as the reference does; `cover` keeps it and lets the crop cut.
    #[serde(default)]
    pub resize: Resize,
    /// Mirror half of the crops left to right.
    #[serde(default = "yes")]
    pub flip: bool,
    /// Whether sample n of both spaces belongs together: files of equal stem in two folders, or the halves, left and
    /// right, of the images of one folder. Both are cropped and mirrored alike.
    #[serde(default)]
    pub paired: bool,
}

/// The terms of the loss and their weights.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// What the discriminators measure; weight 1.
    #[serde(default)]
    pub adversarial: Objective,
    /// Weight of R1, a penalty on every discriminator's slope at real images; 0 leaves it out.
    #[serde(default)]
    pub r1: f64,
    /// Weight of cycle consistency, for every pair of opposite arrows; 0 leaves it out.
    #[serde(default)]
    pub cycle: f64,
    /// Weight of the L1 distance between a translation and its pair, where `data.paired`; 0 leaves it out.
    #[serde(default)]
    pub paired: f64,
    /// Weight of the identity term as a fraction of `cycle` (the reference's `lambda_identity`); 0 leaves it out.
    #[serde(default)]
    pub identity: f64,
    /// Images in each discriminator's replay pool; 0 shows it the current fakes only.
    #[serde(default)]
    pub pool: usize,
}

/// Adam (Kingma & Ba 2015).
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optim {
    /// Learning rate before decay.
    pub lr: f64,
    /// Decay rates of the first and second moments.
    pub betas: [f64; 2],
}

impl Default for Optim {
    fn default() -> Self {
        Self { lr: 2e-4, betas: [0.5, 0.999] }
    }
}

/// How long, how many at a time, from which seed.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// Images shown in all, counted on one side (an unpaired step shows as many of the other).
    pub images: u64,
    /// Images a step, of each side.
    #[serde(default = "one")]
    pub batch: usize,
    /// Equal parts of a batch that are computed one after another, their gradients added up, so that the memory of one part
    /// suffices (gradient accumulation). Batch norm knows of one part only, and spectral norm's iteration goes on with each.
    #[serde(default = "whole")]
    pub accumulate: usize,
    /// Whether of each residual block of the generators only its input is kept until its gradient is wanted, and the rest is
    /// computed again then (activation checkpointing): less memory for one forward of the blocks more. For blocks that compute
    /// the same both times: without dropout, and without batch norm, which counts what it sees.
    #[serde(default)]
    pub activation_checkpointing: bool,
    /// The numbers that networks compute with while they are trained; weights, norms, losses and optimizers are float32.
    #[serde(default)]
    pub precision: Arithmetic,
    /// The memory order of images and of convolutions' weights while they are trained.
    #[serde(default)]
    pub memory_format: MemoryFormat,
    /// Whether a GPU has to give the same bits each time, which takes longer. A CPU does so anyway.
    #[serde(default)]
    pub deterministic: bool,
    /// Whether a GPU records a step once, as a CUDA graph, and then does it again as a whole, which saves asking for each
    /// operator. It does not where several processes train together.
    #[serde(default = "yes")]
    pub cuda_graph: bool,
    /// Steps of the discriminators for each of the generators; every step shows new images.
    #[serde(default = "once")]
    pub critic_steps: u64,
    /// The part of `images` after which the learning rate begins to fall.
    #[serde(default = "half")]
    pub decay_after: f64,
    /// Equal stairs in which the learning rate then falls towards zero (the reference: one an epoch, 100).
    #[serde(default = "hundred")]
    pub decay_stairs: u64,
    /// Decay a step of the generators' exponential moving average, which is then what is sampled and saved as the
    /// model; 0 leaves it out.
    #[serde(default)]
    pub ema: f64,
    /// Decides every random choice.
    #[serde(default)]
    pub seed: u64,
}

/// The numbers of convolutions and matrix products.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// `bf16` on a GPU that has it (compute capability 8.0 or newer), `fp32` on a CPU and on other GPUs.
    #[default]
    Auto,
    /// float32: 24 bits of significand.
    Fp32,
    /// float32 whose products a GPU rounds to 11 bits; on a CPU as `fp32`.
    Tf32,
    /// bfloat16: 8 bits, with sums in float32.
    Bf16,
}

impl Arithmetic {
    /// Whether networks compute in bfloat16 on this device.
    pub fn is_bf16(self, device: Device) -> bool {
        match self {
            Self::Auto => has_bf16(device),
            Self::Bf16 => true,
            Self::Fp32 | Self::Tf32 => false,
        }
    }
}

/// The order in which the numbers of images lie in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryFormat {
    /// `channels-last` on a CPU, and on a GPU that computes in bfloat16, whose convolutions are made for it; else `contiguous`.
    #[default]
    Auto,
    /// One channel after another.
    Contiguous,
    /// One pixel after another, its channels side by side.
    ChannelsLast,
}

impl MemoryFormat {
    /// Whether it is channels-last on this device, where networks compute in bfloat16 or do not.
    pub const fn is_channels_last(self, device: Device, is_bf16: bool) -> bool {
        match self {
            Self::Auto => is_bf16 || !matches!(device, Device::Cuda(_)),
            Self::Contiguous => false,
            Self::ChannelsLast => true,
        }
    }
}

/// When the full training state is saved.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checkpoint {
    /// Images between two checkpoints.
    pub every: u64,
    /// How many of the last checkpoints stay.
    pub keep: usize,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { every: 5000, keep: 3 }
    }
}

/// When losses are read and written.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Images between two lines of `metrics.jsonl`; each holds the means since the last.
    pub every: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self { every: 100 }
    }
}

/// When the sample grid is drawn.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sample {
    /// Images between two grids.
    pub every: u64,
    /// Images of each side in a grid.
    pub count: usize,
}

impl Default for Sample {
    fn default() -> Self {
        Self { every: 1000, count: 4 }
    }
}

/// When the generators' pictures are compared with real images, to notice a generator that collapses or drops a part of
/// them; see [`Fidelity`](crate::eval::Fidelity).
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    /// Images between two comparisons, made at the next line of the log.
    pub every: u64,
    /// Pictures of each generator, and real images, in a comparison; 0 leaves it out.
    pub count: usize,
}

impl Default for Monitor {
    fn default() -> Self {
        Self { every: 5000, count: 128 }
    }
}

/// How the shareable model file is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// Number format of the stored weights.
    pub precision: Precision,
}

/// A number format of stored weights, which are float32 once they are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 4 bytes a weight, exact.
    #[default]
    F32,
    /// 2 bytes a weight, 11 bits of significand.
    F16,
}

const fn yes() -> bool {
    true
}

const fn one() -> usize {
    1
}

const fn whole() -> usize {
    1
}

const fn once() -> u64 {
    1
}

const fn half() -> f64 {
    0.5
}

const fn hundred() -> u64 {
    100
}

impl Recipe {
    /// Every ordered pair of arrows in which the second leads back: names of (there, back).
    pub fn opposite_arrows(&self) -> impl Iterator<Item = (&str, &str)> {
        self.generators.iter().flat_map(move |(there, a)| {
            let leads_back = move |b: &Arrow| b.from == a.to && b.to == a.from;
            let back = self.generators.iter().filter(move |(_, b)| leads_back(b));
            back.map(move |(back, _)| (there.as_str(), back.as_str()))
        })
    }

    /// The image spaces in use, in the order of their folders.
    pub fn spaces(&self) -> Vec<Space> {
        let used = |space: &Space| self.generators.values().any(|a| a.from == *space || a.to == *space);
        [Space::X, Space::Y].into_iter().filter(used).collect()
    }

    /// Numbers of noise in a sample of `z`, where a generator reads it.
    pub fn noise(&self) -> Option<i64> {
        self.generators.values().find_map(|arrow| arrow.net.noise())
    }

    /// The fields by which networks are normalised over a batch.
    pub fn batch_norms(&self) -> Vec<String> {
        let generators = self.generators.iter().filter(|(_, arrow)| !arrow.net.is_per_image());
        let generators = generators.map(|(name, _)| format!("generators.{name}.net.norm"));
        let judges = self.discriminators.iter().filter(|(_, judge)| !judge.net.is_per_image());
        let judges = judges.map(|(space, _)| format!("discriminators.{}.net.norm", space.name()));
        generators.chain(judges).collect()
    }

    /// Steps of training in all; the last one may pass `train.images` where the batch does not divide it.
    pub fn steps(&self) -> u64 {
        self.train.images.div_ceil(self.train.batch as u64)
    }
}
