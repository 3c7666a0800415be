//! The `PatchGAN` discriminator (Isola et al. 2017, <https://arxiv.org/abs/1611.07004>): strided 4×4 convolutions whose
//! last one gives a verdict for each of many overlapping patches. Receptive fields for 1 to 5 layers: 16, 34, 70,
//! 142 and 286 pixels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::Path;

use super::layers::{Conv, Judged, Net, Norm, NormLayer, Window, leaky_relu, norm};

/// The fields of `net: { kind: patch }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Channels after the first convolution; they double a layer, up to eight times.
    pub width: i64,
    /// Strided layers, which set the receptive field.
    pub layers: u32,
    /// Normalisation after every convolution but the first and the last.
    pub norm: Norm,
}

impl Default for Config {
    fn default() -> Self {
        Self { width: 64, layers: 3, norm: Norm::Instance }
    }
}

impl Config {
    /// The least height and width for which no normalised map is a single value.
    pub const fn least_size(&self) -> u32 {
        3 << self.layers
    }
}

/// A built patch discriminator.
#[derive(Debug)]
pub struct Patch {
    head: Conv,
    middle: Vec<(Conv, NormLayer)>,
    tail: Conv,
}

/// Builds the discriminator below `p`.
pub fn patch(p: &Path, config: &Config, judged: Judged) -> Patch {
    let p = p / "model";
    let window = |stride| Window { kernel: 4, stride, padding: 1 };
    let mut channels = config.width;
    let mut middle = Vec::new();
    // Layers 0 and 1 are the head and its activation; then convolution, norm and activation by turns.
    let mut index = 2;
    for layer in 1..=config.layers {
        let next = config.width * i64::from(1u32 << layer.min(3));
        let stride = if layer < config.layers { 2 } else { 1 };
        let bias = config.norm.wants_bias();
        let conv = Conv::new(&(&p / index), (channels, next), window(stride), bias, judged);
        middle.push((conv, norm(&(&p / (index + 1)), config.norm, next)));
        channels = next;
        index += 3;
    }
    Patch {
        head: Conv::new(&(&p / 0), (judged.channels, config.width), window(2), true, judged),
        middle,
        tail: Conv::new(&(&p / index), (channels, 1), window(1), true, judged),
    }
}

impl Net for Patch {
    /// Images in [-1, 1], `[batch, 3, height, width]` (or 6 channels, where it sees the source too), to raw verdicts
    /// `[batch, 1, rows, columns]`, one a patch.
    fn forward(&self, xs: &Tensor, _: Option<&Tensor>, train: bool) -> Tensor {
        let mut ys = leaky_relu(&self.head.forward(xs, train));
        for (conv, norm) in &self.middle {
            ys = leaky_relu(&norm.forward(&conv.forward(&ys, train), train));
        }
        self.tail.forward(&ys, train)
    }
}
