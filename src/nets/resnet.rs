//! The residual generator of Johnson et al. 2016 as `CycleGAN` uses it (Zhu et al. 2017, <https://arxiv.org/abs/1703.10593>):
//! a 7×7 convolution, two halvings, residual blocks, two doublings, a 7×7 convolution, tanh; reflection padding.
//!
//! Weights are named `model.N…` as in `PyTorch`'s sequential original, with N counting every layer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, Path};

use super::layers::{Net, Norm, NormLayer, Window, conv, conv_with_bias, norm, reflect};
use super::upsample::{Up, Upsample};

/// Heights and widths must be multiples of this.
pub const STRIDE: u32 = 4;

/// The least height and width: at a quarter of it, reflection still needs two pixels.
pub const LEAST_SIZE: u32 = 8;

/// The fields of `net: { kind: resnet }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Channels after the first convolution; four times as many in the residual blocks.
    pub width: i64,
    /// Residual blocks: the reference takes 9 at 256² and above, 6 at 128².
    pub blocks: usize,
    /// Normalisation after every convolution but the last, and the first where `skip`.
    pub norm: Norm,
    /// Zero half of the features inside each residual block while training.
    pub dropout: bool,
    /// How the size doubles.
    pub upsample: Upsample,
    /// Add what the encoder had at the same size after each doubling (Chaurasia & Culurciello 2017,
    /// <https://arxiv.org/abs/1707.03718>), so that outlines need not go through the narrow middle. The first convolution
    /// then has no norm after it, as in the U-Net: instance norm forgets a picture's colours, and this way they are passed on.
    pub skip: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            width: 64,
            blocks: 9,
            norm: Norm::Instance,
            dropout: false,
            upsample: Upsample::Transpose,
            skip: false,
        }
    }
}

#[derive(Debug)]
struct Block {
    first: (nn::Conv2D, NormLayer),
    second: (nn::Conv2D, NormLayer),
    dropout: bool,
}

impl Block {
    fn new(p: &Path, channels: i64, config: &Config) -> Self {
        let p = p / "conv_block";
        // The padding is a layer of its own in the original, and so is the dropout before the second one.
        let second = if config.dropout { 6 } else { 5 };
        let layer = |i: i64| {
            let window = Window { kernel: 3, stride: 1, padding: 0 };
            (
                conv(&(&p / i), (channels, channels), window, config.norm),
                norm(&(&p / (i + 1)), config.norm, channels),
            )
        };
        Self { first: layer(1), second: layer(second), dropout: config.dropout }
    }

    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let ys = reflect(xs, 1).apply(&self.first.0);
        let mut ys = self.first.1.forward(&ys, train).relu_();
        if self.dropout {
            ys = ys.dropout(0.5, train);
        }
        let ys = reflect(&ys, 1).apply(&self.second.0);
        xs + self.second.1.forward(&ys, train)
    }
}

/// A built residual generator.
#[derive(Debug)]
pub struct Resnet {
    head: (nn::Conv2D, NormLayer),
    downs: [(nn::Conv2D, NormLayer); 2],
    blocks: Vec<Block>,
    ups: [(Up, NormLayer); 2],
    tail: nn::Conv2D,
    skip: bool,
}

/// Builds the generator below `p`.
pub fn resnet(p: &Path, config: &Config) -> Resnet {
    let p = p / "model";
    let (width, kind) = (config.width, config.norm);
    let normed = |i: i64, channels: (i64, i64), window: Window, kind: Norm| {
        (conv(&(&p / i), channels, window, kind), norm(&(&p / (i + 1)), kind, channels.1))
    };
    let first = if config.skip { Norm::None } else { kind };
    let half = Window { kernel: 3, stride: 2, padding: 1 };
    let wide = Window { kernel: 7, stride: 1, padding: 0 };
    let after = 10 + config.blocks as i64;
    let double = (half, 1);
    let up = |i: i64, channels: (i64, i64)| {
        let up = Up::new(&(&p / i), channels, config.upsample, double, kind.wants_bias());
        (up, norm(&(&p / (i + 1)), kind, channels.1))
    };
    Resnet {
        head: normed(1, (3, width), wide, first),
        downs: [normed(4, (width, 2 * width), half, kind), normed(7, (2 * width, 4 * width), half, kind)],
        blocks: (10..after).map(|i| Block::new(&(&p / i), 4 * width, config)).collect(),
        ups: [up(after, (4 * width, 2 * width)), up(after + 3, (2 * width, width))],
        tail: conv_with_bias(&(&p / (after + 7)), (width, 3), wide, true),
        skip: config.skip,
    }
}

impl Net for Resnet {
    /// Images in [-1, 1], `[batch, 3, height, width]` with sides that [`STRIDE`] divides, to the same.
    fn forward(&self, xs: &Tensor, _: Option<&Tensor>, train: bool) -> Tensor {
        // [batch, width, height, width]
        let ys = reflect(xs, 3).apply(&self.head.0);
        let mut ys = self.head.1.forward(&ys, train).relu_();
        // [batch, 4·width, height/4, width/4]
        let mut before = Vec::new();
        for (conv, norm) in &self.downs {
            let halved = norm.forward(&ys.apply(conv), train).relu_();
            let whole = std::mem::replace(&mut ys, halved);
            // Without skips its memory is free from here on.
            before.extend(self.skip.then_some(whole));
        }
        for block in &self.blocks {
            ys = block.forward(&ys, train);
        }
        // [batch, width, height, width]
        for (up, norm) in &self.ups {
            ys = norm.forward(&up.forward(&ys), train).relu_();
            // Not in place: the slope of the ReLU is read off its result.
            ys = before.pop().map_or_else(|| ys.shallow_clone(), |before| &ys + before);
        }
        let ys = reflect(&ys, 3).apply(&self.tail);
        ys.tanh()
    }
}
