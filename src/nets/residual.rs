//! The residual pair of Miyato et al. 2018 (SNGAN, <https://arxiv.org/abs/1802.05957>, after Gulrajani et al. 2017):
//! residual blocks that double the size from noise to image, and halve it from image to verdict. Spectral norm is the
//! discriminator's own field and goes with any network.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, Module as _, Path};

use super::Shapes;
use super::dcgan::{channels, join, levels};
use super::layers::{Conv, Judged, Linear, Net, Norm, NormLayer, Projection, Window, norm};
use super::upsample::nearest;
use crate::torch::sum_kind;

const SAME: Window = Window { kernel: 3, stride: 1, padding: 1 };
const POINT: Window = Window { kernel: 1, stride: 1, padding: 0 };

/// The generator's fields of `net: { kind: residual }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorConfig {
    /// Numbers of noise in a sample.
    pub noise: i64,
    /// Channels before the image; they double towards the noise, up to eight times.
    pub width: i64,
    /// Normalisation before every convolution.
    pub norm: Norm,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self { noise: 128, width: 64, norm: Norm::Batch }
    }
}

/// The discriminator's fields of `net: { kind: residual }`. It has no norm between its layers.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscriminatorConfig {
    /// Channels after the first block; they double a block, up to eight times.
    pub width: i64,
}

impl Default for DiscriminatorConfig {
    fn default() -> Self {
        Self { width: 64 }
    }
}

/// As the original's: a variance that keeps signals at their size (Glorot & Bengio 2010) instead of 0.02, since what the
/// blocks add must weigh as much as what they pass on.
fn conv(p: &Path, (from, to): (i64, i64), window: Window, bias: bool) -> nn::Conv2D {
    let fans = ((from + to) * window.kernel * window.kernel) as f64;
    let config = nn::ConvConfig {
        padding: window.padding,
        bias,
        ws_init: nn::Init::Randn { mean: 0.0, stdev: (4.0 / fans).sqrt() },
        bs_init: nn::Init::Const(0.0),
        ..nn::ConvConfig::default()
    };
    nn::conv2d(p, from, to, window.kernel, config)
}

#[derive(Debug)]
struct Up {
    norms: [NormLayer; 2],
    convs: [nn::Conv2D; 2],
    shortcut: nn::Conv2D,
}

impl Up {
    fn new(p: &Path, (from, to): (i64, i64), kind: Norm) -> Self {
        // What a shortcut passes on meets a norm in the end too.
        let conv = |name, channels, window| conv(&(p / name), channels, window, kind.wants_bias());
        Self {
            norms: [norm(&(p / "norm1"), kind, from), norm(&(p / "norm2"), kind, to)],
            convs: [conv("conv1", (from, to), SAME), conv("conv2", (to, to), SAME)],
            shortcut: conv("shortcut", (from, to), POINT),
        }
    }

    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let ys = self.convs[0].forward(&nearest(&self.norms[0].forward(xs, train).relu()));
        let ys = self.convs[1].forward(&self.norms[1].forward(&ys, train).relu());
        ys + self.shortcut.forward(&nearest(xs))
    }
}

impl GeneratorConfig {
    /// Its large weights, for `inputs` numbers and images of `size`.
    pub(super) fn large_weights(&self, inputs: i64, size: u32) -> Shapes {
        let mut from = channels(self.width, levels(size) - 1);
        let mut weights = vec![("head.weight".to_string(), vec![from * 16, inputs])];
        for (i, level) in (0..levels(size)).rev().enumerate() {
            let to = channels(self.width, level);
            for (name, from) in [("conv1", from), ("conv2", to)] {
                weights.push((format!("blocks.{i}.{name}.weight"), vec![to, from, 3, 3]));
            }
            from = to;
        }
        weights
    }
}

/// A built generator.
#[derive(Debug)]
pub struct Generator {
    head: nn::Linear,
    blocks: Vec<Up>,
    norm: NormLayer,
    tail: nn::Conv2D,
    /// Channels of the 4×4 map.
    first: i64,
}

/// Builds the generator below `p`: from `inputs` numbers to images of `size`, a power of two from 16.
pub fn generator(p: &Path, config: &GeneratorConfig, inputs: i64, size: u32) -> Generator {
    let levels = levels(size);
    let first = channels(config.width, levels - 1);
    let mut blocks = Vec::new();
    let mut from = first;
    for (i, level) in (0..levels).rev().enumerate() {
        let to = channels(config.width, level);
        blocks.push(Up::new(&(p / "blocks" / i), (from, to), config.norm));
        from = to;
    }
    Generator {
        head: nn::linear(p / "head", inputs, first * 16, nn::LinearConfig::default()),
        blocks,
        norm: norm(&(p / "norm"), config.norm, from),
        tail: conv(&(p / "tail"), (from, 3), SAME, true),
        first,
    }
}

impl Net for Generator {
    /// Noise `[batch, noise]`, with an encoded condition `[batch, width]` where there is one, to images in [-1, 1],
    /// `[batch, 3, size, size]`.
    fn forward(&self, xs: &Tensor, condition: Option<&Tensor>, train: bool) -> Tensor {
        let mut ys = self.head.forward(&join(xs, condition)).reshape([-1, self.first, 4, 4]);
        for block in &self.blocks {
            ys = block.forward(&ys, train);
        }
        self.tail.forward(&self.norm.forward(&ys, train).relu()).tanh()
    }
}

#[derive(Debug)]
struct Down {
    convs: [Conv; 2],
    shortcut: Conv,
    /// The first block takes the image as it is.
    is_first: bool,
}

impl Down {
    fn new(p: &Path, (from, to): (i64, i64), is_first: bool, judged: Judged) -> Self {
        let conv = |name, channels, window| {
            let p = &(p / name);
            Conv::around(p, conv(p, channels, window, true), window, judged)
        };
        Self {
            convs: [conv("conv1", (from, to), SAME), conv("conv2", (to, to), SAME)],
            shortcut: conv("shortcut", (from, to), POINT),
            is_first,
        }
    }

    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let halve = |xs: &Tensor| xs.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None);
        let ys = if self.is_first { xs.shallow_clone() } else { xs.relu() };
        let ys = self.convs[0].forward(&ys, train).relu();
        let ys = halve(&self.convs[1].forward(&ys, train));
        ys + self.shortcut.forward(&halve(xs), train)
    }
}

/// A built discriminator.
#[derive(Debug)]
pub struct Discriminator {
    blocks: Vec<Down>,
    tail: Linear,
    projection: Option<Projection>,
}

/// Builds the discriminator below `p`; sizes are powers of two from 16.
pub fn discriminator(p: &Path, config: &DiscriminatorConfig, judged: Judged) -> Discriminator {
    let mut blocks = Vec::new();
    let mut from = judged.channels;
    for level in 0..levels(judged.size) {
        let to = channels(config.width, level);
        blocks.push(Down::new(&(p / "blocks" / level), (from, to), level == 0, judged));
        from = to;
    }
    Discriminator {
        blocks,
        tail: Linear::new(&(p / "tail"), (from, 1), true, judged),
        projection: Projection::new(&(p / "projection"), from, judged),
    }
}

impl Net for Discriminator {
    /// Images in [-1, 1], `[batch, channels, size, size]`, with an encoded condition where there is one, to raw verdicts
    /// `[batch, 1, 1, 1]`.
    fn forward(&self, xs: &Tensor, condition: Option<&Tensor>, train: bool) -> Tensor {
        let mut ys = xs.shallow_clone();
        for block in &self.blocks {
            ys = block.forward(&ys, train);
        }
        let summed = ys.relu().sum_dim_intlist([2i64, 3].as_slice(), false, sum_kind(&ys));
        let verdict = self.tail.forward(&summed, train).unsqueeze(-1).unsqueeze(-1);
        Projection::add_to(self.projection.as_ref(), verdict, || summed, condition, train)
    }
}
