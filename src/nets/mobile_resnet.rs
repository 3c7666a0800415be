//! The separable residual generator of GAN Compression (Li et al. 2020, <https://arxiv.org/abs/2003.08936>): the residual
//! generator of `resnet` whose blocks filter each channel on its own (depthwise) and mix channels pixel by pixel (1×1),
//! as in `MobileNet`: at 256 channels with a ninth of the multiplications.
//!
//! Weights are named `model.N…` as in `PyTorch`'s sequential original; compressed networks keep those names with fewer
//! channels in some of their layers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, Path};

use super::Shapes;
use super::blocks::{self, Blocks};
use super::layers::{
    Net, Norm, NormLayer, Window, conv, conv_transpose_before, conv_with_bias, norm, reflect,
};

/// Every norm of it: each image and channel by its own mean and variance.
pub const NORM: Norm = Norm::Instance;

/// The fields of `net: { kind: mobile-resnet }`. Heights, widths and sizes are as for `resnet`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Channels after the first convolution; four times as many between the residual blocks.
    pub width: i64,
    /// Residual blocks.
    pub blocks: usize,
    /// Where widths are uneven: channels after the first convolution and after each halving, 3 numbers. By default `width`,
    /// twice and four times that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<Vec<i64>>,
    /// Where widths are uneven: channels inside each residual block. By default four times `width`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<Vec<i64>>,
    /// Where widths are uneven: channels after each doubling, 2 numbers. By default twice `width`, and `width`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<Vec<i64>>,
}

impl Default for Config {
    fn default() -> Self {
        Self { width: 32, blocks: 9, down: None, inner: None, up: None }
    }
}

impl Config {
    /// The network of these widths; a list is kept only where it differs from what the first width and the number of
    /// blocks imply.
    pub fn of_widths(down: [i64; 3], inner: Vec<i64>, up: [i64; 2]) -> Self {
        let even = Self { width: down[0], blocks: inner.len(), ..Self::default() };
        Self {
            down: (down != even.down()).then(|| down.to_vec()),
            inner: (inner != even.inner()).then_some(inner),
            up: (up != even.up()).then(|| up.to_vec()),
            ..even
        }
    }

    /// Channels after the first convolution and after each halving.
    pub fn down(&self) -> [i64; 3] {
        let at = |i: usize| width_at(self.down.as_ref(), i).unwrap_or(self.width << i);
        [at(0), at(1), at(2)]
    }

    /// Channels inside each residual block.
    pub fn inner(&self) -> Vec<i64> {
        let at = |i: usize| width_at(self.inner.as_ref(), i).unwrap_or(self.width.saturating_mul(4));
        (0..self.blocks).map(at).collect()
    }

    /// Channels after each doubling.
    pub fn up(&self) -> [i64; 2] {
        let at = |i: usize| width_at(self.up.as_ref(), i).unwrap_or(self.width << (1 - i));
        [at(0), at(1)]
    }

    /// Its large weights.
    pub(super) fn large_weights(&self) -> Shapes {
        let (down, up) = (self.down(), self.up());
        let after = 10 + self.blocks as i64;
        let layer = |i: i64, shape: [i64; 4]| (format!("model.{i}.weight"), shape.to_vec());
        let mix = |(i, inner): (i64, i64)| {
            (format!("model.{i}.conv_block.1.conv.2.weight"), vec![inner, down[2], 1, 1])
        };
        let mut weights = vec![
            layer(1, [down[0], 3, 7, 7]),
            layer(4, [down[1], down[0], 3, 3]),
            layer(7, [down[2], down[1], 3, 3]),
        ];
        weights.extend((10..).zip(self.inner()).map(mix));
        weights.extend([layer(after, [down[2], up[0], 3, 3]), layer(after + 3, [up[0], up[1], 3, 3])]);
        weights
    }
}

fn width_at(widths: Option<&Vec<i64>>, i: usize) -> Option<i64> {
    widths?.get(i).copied()
}

/// A depthwise 3×3 convolution, instance norm, and a 1×1 convolution.
#[derive(Debug)]
struct Separable {
    depthwise: nn::Conv2D,
    norm: NormLayer,
    pointwise: nn::Conv2D,
}

impl Separable {
    fn new(p: &Path, (from, to): (i64, i64)) -> Self {
        let p = p / "conv";
        let config = nn::ConvConfig {
            groups: from,
            ws_init: nn::Init::Randn { mean: 0.0, stdev: 0.02 },
            bs_init: nn::Init::Const(0.0),
            ..nn::ConvConfig::default()
        };
        let point = Window { kernel: 1, stride: 1, padding: 0 };
        Self {
            depthwise: nn::conv2d(&p / 0, from, from, 3, config),
            norm: norm(&(&p / 1), NORM, from),
            pointwise: conv(&(&p / 2), (from, to), point, NORM),
        }
    }

    /// `[batch, from, height, width]` to `[batch, to, height, width]`.
    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let ys = reflect(xs, 1).apply(&self.depthwise);
        self.norm.forward(&ys, train).apply(&self.pointwise)
    }
}

#[derive(Debug)]
struct Block {
    first: (Separable, NormLayer),
    second: (Separable, NormLayer),
}

impl Block {
    fn new(p: &Path, channels: i64, inner: i64) -> Self {
        let p = p / "conv_block";
        let layer = |i: i64, channels: (i64, i64)| {
            (Separable::new(&(&p / i), channels), norm(&(&p / (i + 1)), NORM, channels.1))
        };
        // The original has a dropout of rate 0 as layer 4, before the second padding.
        Self { first: layer(1, (channels, inner)), second: layer(6, (inner, channels)) }
    }
}

impl blocks::Block for Block {
    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let ys = self.first.1.forward(&self.first.0.forward(xs, train), train).relu_();
        xs + self.second.1.forward(&self.second.0.forward(&ys, train), train)
    }

    fn parameters(&self) -> Vec<Tensor> {
        let layers =
            [&self.first.0, &self.second.0].into_iter().flat_map(|it| [&it.depthwise, &it.pointwise]);
        layers.flat_map(|it| std::iter::once(&it.ws).chain(&it.bs)).map(Tensor::shallow_clone).collect()
    }
}

/// A built separable residual generator.
#[derive(Debug)]
pub struct MobileResnet {
    head: (nn::Conv2D, NormLayer),
    downs: [(nn::Conv2D, NormLayer); 2],
    blocks: Blocks<Block>,
    ups: [(nn::ConvTranspose2D, NormLayer); 2],
    tail: nn::Conv2D,
}

/// Builds the generator below `p`.
pub fn mobile_resnet(p: &Path, config: &Config) -> MobileResnet {
    let p = p / "model";
    let (down, up) = (config.down(), config.up());
    let half = Window { kernel: 3, stride: 2, padding: 1 };
    let wide = Window { kernel: 7, stride: 1, padding: 0 };
    let after = 10 + config.blocks as i64;
    let normed = |i: i64, channels: (i64, i64), window: Window| {
        (conv(&(&p / i), channels, window, NORM), norm(&(&p / (i + 1)), NORM, channels.1))
    };
    let doubling = |i: i64, channels: (i64, i64)| {
        (conv_transpose_before(&(&p / i), channels, half, 1, NORM), norm(&(&p / (i + 1)), NORM, channels.1))
    };
    MobileResnet {
        head: normed(1, (3, down[0]), wide),
        downs: [normed(4, (down[0], down[1]), half), normed(7, (down[1], down[2]), half)],
        blocks: Blocks::new(
            (10..).zip(config.inner()).map(|(i, inner)| Block::new(&(&p / i), down[2], inner)),
        ),
        ups: [doubling(after, (down[2], up[0])), doubling(after + 3, (up[0], up[1]))],
        tail: conv_with_bias(&(&p / (after + 7)), (up[1], 3), wide, true),
    }
}

impl Net for MobileResnet {
    /// Images in [-1, 1], `[batch, 3, height, width]` with sides that [`STRIDE`](super::resnet::STRIDE) divides, to the same.
    fn forward(&self, xs: &Tensor, _: Option<&Tensor>, train: bool) -> Tensor {
        // [batch, down[0], height, width]
        let ys = reflect(xs, 3).apply(&self.head.0);
        let mut ys = self.head.1.forward(&ys, train).relu_();
        // [batch, down[2], height/4, width/4]
        for (conv, norm) in &self.downs {
            ys = norm.forward(&ys.apply(conv), train).relu_();
        }
        ys = self.blocks.forward(ys, train);
        // [batch, up[1], height, width]
        for (conv, norm) in &self.ups {
            ys = norm.forward(&ys.apply(conv), train).relu_();
        }
        reflect(&ys, 3).apply(&self.tail).tanh()
    }

    fn recompute(&mut self) {
        self.blocks.recompute();
    }
}
