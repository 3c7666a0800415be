//! The convolutional pair of Radford et al. 2016 (DCGAN, <https://arxiv.org/abs/1511.06434>): 4×4 convolutions that double
//! the size from noise to image, and halve it from image to verdict.
//!
//! Weights are named `main.N…`, with N counting every layer, as in `PyTorch`'s tutorial of the same network. Sizes are
//! powers of two, where the original has 64.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, Module as _, Path};

use super::Shapes;
use super::layers::{
    Conv, Judged, Net, Norm, NormLayer, Projection, Window, conv_transpose, conv_transpose_before,
    leaky_relu, norm,
};
use crate::torch::sum_kind;

/// From a 4×4 map to one value, and back.
const WHOLE: Window = Window { kernel: 4, stride: 1, padding: 0 };
/// Half of the size, or the double.
const HALF: Window = Window { kernel: 4, stride: 2, padding: 1 };

/// Sizes that both networks can be built for, where they are powers of two.
pub const SIZES: RangeInclusive<u32> = 16..=256;

/// The generator's fields of `net: { kind: dcgan }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorConfig {
    /// Numbers of noise in a sample.
    pub noise: i64,
    /// Channels before the image; they double towards the noise, up to eight times.
    pub width: i64,
    /// Normalisation after every convolution but the last.
    pub norm: Norm,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self { noise: 100, width: 64, norm: Norm::Batch }
    }
}

/// The discriminator's fields of `net: { kind: dcgan }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscriminatorConfig {
    /// Channels after the first convolution; they double a layer, up to eight times.
    pub width: i64,
    /// Normalisation after every convolution but the first and the last.
    pub norm: Norm,
}

impl Default for DiscriminatorConfig {
    fn default() -> Self {
        Self { width: 64, norm: Norm::Batch }
    }
}

/// Halvings from `size`, a power of two, to the 4×4 map.
pub(super) const fn levels(size: u32) -> u32 {
    (size / 4).ilog2()
}

/// Channels `level` doublings from the image's end.
pub(super) fn channels(width: i64, level: u32) -> i64 {
    width * i64::from(1u32 << level.min(3))
}

impl GeneratorConfig {
    /// Its large weights, for `inputs` numbers and images of `size`.
    pub(super) fn large_weights(&self, inputs: i64, size: u32) -> Shapes {
        let mut from = inputs;
        let layer = |(i, level)| {
            let to = channels(self.width, level);
            let shape = vec![std::mem::replace(&mut from, to), to, 4, 4];
            (format!("main.{}.weight", 3 * i), shape)
        };
        (0..levels(size)).rev().enumerate().map(layer).collect()
    }
}

/// A built generator.
#[derive(Debug)]
pub struct Generator {
    ups: Vec<(nn::ConvTranspose2D, NormLayer)>,
    tail: nn::ConvTranspose2D,
}

/// Builds the generator below `p`: from `inputs` numbers to images of `size`, a power of two from 16.
pub fn generator(p: &Path, config: &GeneratorConfig, inputs: i64, size: u32) -> Generator {
    let p = p / "main";
    let levels = levels(size);
    let mut ups = Vec::new();
    let mut from = inputs;
    for (i, level) in (0..levels).rev().enumerate() {
        let to = channels(config.width, level);
        let window = if i == 0 { WHOLE } else { HALF };
        // Convolution, norm and activation by turns.
        let index = 3 * i as i64;
        let up = conv_transpose_before(&(&p / index), (from, to), window, 0, config.norm);
        ups.push((up, norm(&(&p / (index + 1)), config.norm, to)));
        from = to;
    }
    let tail = conv_transpose(&(&p / (3 * i64::from(levels))), (from, 3), HALF, 0, true);
    Generator { ups, tail }
}

impl Net for Generator {
    /// Noise `[batch, noise]`, with an encoded condition `[batch, width]` where there is one, to images in [-1, 1],
    /// `[batch, 3, size, size]`.
    fn forward(&self, xs: &Tensor, condition: Option<&Tensor>, train: bool) -> Tensor {
        let mut ys = join(xs, condition).unsqueeze(-1).unsqueeze(-1);
        for (up, norm) in &self.ups {
            ys = norm.forward(&up.forward(&ys), train).relu();
        }
        self.tail.forward(&ys).tanh()
    }
}

/// Noise and condition beside each other.
pub(super) fn join(noise: &Tensor, condition: Option<&Tensor>) -> Tensor {
    condition.map_or_else(|| noise.shallow_clone(), |condition| Tensor::cat(&[noise, condition], 1))
}

/// A built discriminator.
#[derive(Debug)]
pub struct Discriminator {
    head: Conv,
    downs: Vec<(Conv, NormLayer)>,
    tail: Conv,
    projection: Option<Projection>,
}

/// Builds the discriminator below `p`; sizes are powers of two from 16.
pub fn discriminator(p: &Path, config: &DiscriminatorConfig, judged: Judged) -> Discriminator {
    let root = p;
    let p = p / "main";
    let levels = levels(judged.size);
    let mut downs = Vec::new();
    // Layers 0 and 1 are the head and its activation; then convolution, norm and activation by turns.
    let mut index = 2;
    for level in 1..levels {
        let (from, to) = (channels(config.width, level - 1), channels(config.width, level));
        let conv = Conv::new(&(&p / index), (from, to), HALF, config.norm.wants_bias(), judged);
        downs.push((conv, norm(&(&p / (index + 1)), config.norm, to)));
        index += 3;
    }
    let features = channels(config.width, levels - 1);
    Discriminator {
        head: Conv::new(&(&p / 0), (judged.channels, config.width), HALF, true, judged),
        downs,
        tail: Conv::new(&(&p / index), (features, 1), WHOLE, true, judged),
        projection: Projection::new(&(root / "projection"), features, judged),
    }
}

impl Net for Discriminator {
    /// Images in [-1, 1], `[batch, channels, size, size]`, with an encoded condition where there is one, to raw verdicts
    /// `[batch, 1, 1, 1]`.
    fn forward(&self, xs: &Tensor, condition: Option<&Tensor>, train: bool) -> Tensor {
        let mut ys = leaky_relu(&self.head.forward(xs, train));
        for (conv, norm) in &self.downs {
            ys = leaky_relu(&norm.forward(&conv.forward(&ys, train), train));
        }
        let verdict = self.tail.forward(&ys, train);
        // Divided by the root of the pixels, a sum over them is as long as the map that the verdict is made of.
        let summed = || ys.sum_dim_intlist([2i64, 3].as_slice(), false, sum_kind(&ys)) / 4;
        Projection::add_to(self.projection.as_ref(), verdict, summed, condition, train)
    }
}
