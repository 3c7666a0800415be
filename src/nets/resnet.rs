//! The residual generator of Johnson et al. 2016 as `CycleGAN` uses it (Zhu et al. 2017, <https://arxiv.org/abs/1703.10593>):
//! a 7×7 convolution, two halvings, residual blocks, two doublings, a 7×7 convolution, tanh; reflection padding.
//!
//! Weights are named `model.N…` as in `PyTorch`'s sequential original, with N counting every layer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::{self, Path};
use tch::{TchError, Tensor};

use super::Shapes;
use super::blocks::{self, Blocks};
use super::blur::BlurDown;
use super::layers::{Net, Norm, NormLayer, Window, conv, conv_with_bias, norm, reflect};
use super::mirrored::Mirrored;
use super::upsample::{Up, Upsample};
use crate::torch::channels_last;

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
    /// How the size halves.
    pub downsample: Downsample,
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
            downsample: Downsample::Stride,
            upsample: Upsample::Transpose,
            skip: false,
        }
    }
}

impl Config {
    /// Its large weights.
    pub(super) fn large_weights(&self) -> Shapes {
        let channels = self.width.saturating_mul(4);
        let first = self.downsample.first_block();
        let blocks = (first..).take(self.blocks.max(1));
        let layer = |i: i64, layer: i64| {
            (format!("model.{i}.conv_block.{layer}.weight"), vec![channels, channels, 3, 3])
        };
        let block = |i: i64| [layer(i, 1), layer(i, self.second())];
        let head = ("model.1.weight".to_string(), vec![self.width, 3, 7, 7]);
        std::iter::once(head).chain(blocks.flat_map(block)).collect()
    }

    /// Whether its blocks compute the same whenever they are asked.
    pub const fn can_recompute(&self) -> bool {
        !self.dropout && self.norm.is_per_image()
    }

    /// The number of a block's second convolution: the padding is a layer of its own in the original, and so is the dropout.
    const fn second(&self) -> i64 {
        if self.dropout { 6 } else { 5 }
    }
}

/// How the generator halves the size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Downsample {
    /// A convolution of stride 2, as the reference.
    #[default]
    Stride,
    /// A convolution of stride 1, then a fixed low-pass filter of stride 2, as CUT's generator (Park et al. 2020,
    /// <https://arxiv.org/abs/2007.15651>, after Zhang 2019, <https://arxiv.org/abs/1904.11486>).
    Blur,
}

impl Downsample {
    /// The number of the first residual block in the sequence.
    pub const fn first_block(self) -> i64 {
        match self {
            Self::Stride => 10,
            Self::Blur => 12,
        }
    }
}

/// A halving: convolution, norm, and the filter where that is what halves.
#[derive(Debug)]
struct Down(nn::Conv2D, NormLayer, Option<BlurDown>);

impl Down {
    /// Builds it as layer `i` of the sequence at `p` and those after it.
    fn new(p: &Path, i: i64, channels: (i64, i64), config: &Config) -> Self {
        let blurs = config.downsample == Downsample::Blur;
        let window = Window { kernel: 3, stride: if blurs { 1 } else { 2 }, padding: 1 };
        Self(
            conv(&(p / i), channels, window, config.norm),
            norm(&(p / (i + 1)), config.norm, channels.1),
            blurs.then(|| BlurDown::new(&(p / (i + 3)), channels.1)),
        )
    }

    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let ys = self.1.forward(&xs.apply(&self.0), train).relu_();
        self.2.as_ref().map_or_else(|| ys.shallow_clone(), |blur| blur.forward(&ys))
    }
}

#[derive(Debug)]
struct Block {
    first: (Mirrored, NormLayer),
    second: (Mirrored, NormLayer),
    dropout: bool,
}

impl Block {
    fn new(p: &Path, channels: i64, config: &Config) -> Self {
        let p = p / "conv_block";
        let layer = |i: i64| {
            let window = Window { kernel: 3, stride: 1, padding: 0 };
            (
                Mirrored::new(conv(&(&p / i), (channels, channels), window, config.norm)),
                norm(&(&p / (i + 1)), config.norm, channels),
            )
        };
        Self { first: layer(1), second: layer(config.second()), dropout: config.dropout }
    }

    fn prepare(&mut self) -> Result<(), TchError> {
        for (conv, norm) in [&mut self.first, &mut self.second] {
            conv.prepare()?;
            norm.prepare();
        }
        Ok(())
    }
}

impl blocks::Block for Block {
    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let mut ys = self.first.1.forward(&self.first.0.forward(xs), train).relu_();
        if self.dropout {
            ys = ys.dropout(0.5, train);
        }
        xs + self.second.1.forward(&self.second.0.forward(&ys), train)
    }

    fn parameters(&self) -> Vec<Tensor> {
        let all = self.first.0.parameters().chain(self.second.0.parameters());
        all.map(Tensor::shallow_clone).collect()
    }
}

/// A built residual generator.
#[derive(Debug)]
pub struct Resnet {
    head: (nn::Conv2D, NormLayer),
    downs: [Down; 2],
    blocks: Blocks<Block>,
    ups: [(Up, NormLayer); 2],
    tail: nn::Conv2D,
    skip: bool,
    /// Whether its blocks compute the same whenever they are asked.
    can_recompute: bool,
    /// Whether it is applied in channels-last.
    prepared: bool,
}

/// Builds the generator below `p`.
pub fn resnet(p: &Path, config: &Config) -> Resnet {
    let p = p / "model";
    let (width, kind) = (config.width, config.norm);
    let first = if config.skip { Norm::None } else { kind };
    let wide = Window { kernel: 7, stride: 1, padding: 0 };
    let double = (Window { kernel: 3, stride: 2, padding: 1 }, 1);
    let blocks = config.downsample.first_block();
    let after = blocks + config.blocks as i64;
    // An upsampling, its norm and its ReLU.
    let step = config.upsample.slots() + 2;
    let up = |i: i64, channels: (i64, i64)| {
        let up = Up::new((&p, i), channels, config.upsample, double, kind.wants_bias());
        (up, norm(&(&p / (i + step - 2)), kind, channels.1))
    };
    Resnet {
        head: (conv(&(&p / 1), (3, width), wide, first), norm(&(&p / 2), first, width)),
        downs: [
            Down::new(&p, 4, (width, 2 * width), config),
            // The second one is as long as the first.
            Down::new(&p, 4 + (blocks - 4) / 2, (2 * width, 4 * width), config),
        ],
        blocks: Blocks::new((blocks..after).map(|i| Block::new(&(&p / i), 4 * width, config))),
        ups: [up(after, (4 * width, 2 * width)), up(after + step, (2 * width, width))],
        tail: conv_with_bias(&(&p / (after + 2 * step + 1)), (width, 3), wide, true),
        skip: config.skip,
        can_recompute: config.can_recompute(),
        prepared: false,
    }
}

impl Net for Resnet {
    /// Images in [-1, 1], `[batch, 3, height, width]` with sides that [`STRIDE`] divides, to the same.
    fn forward(&self, xs: &Tensor, _: Option<&Tensor>, train: bool) -> Tensor {
        let xs = if self.prepared && !train { channels_last(xs) } else { xs.shallow_clone() };
        // [batch, width, height, width]
        let ys = reflect(&xs, 3).apply(&self.head.0);
        let mut ys = self.head.1.forward(&ys, train).relu_();
        // [batch, 4·width, height/4, width/4]
        let mut before = Vec::new();
        for down in &self.downs {
            let halved = down.forward(&ys, train);
            let whole = std::mem::replace(&mut ys, halved);
            // Without skips its memory is free from here on.
            before.extend(self.skip.then_some(whole));
        }
        ys = self.blocks.forward(ys, train);
        // [batch, width, height, width]
        for (up, norm) in &self.ups {
            ys = norm.forward(&up.forward(&ys), train).relu_();
            // Not in place: the slope of the ReLU is read off its result.
            ys = before.pop().map_or_else(|| ys.shallow_clone(), |before| &ys + before);
        }
        let ys = reflect(&ys, 3).apply(&self.tail);
        ys.tanh()
    }

    fn recompute(&mut self) {
        if self.can_recompute {
            self.blocks.recompute();
        }
    }

    fn prepare(&mut self) -> Result<(), TchError> {
        self.head.1.prepare();
        self.downs.iter_mut().for_each(|down| down.1.prepare());
        self.blocks.each_mut().try_for_each(Block::prepare)?;
        for (up, norm) in &mut self.ups {
            up.prepare()?;
            norm.prepare();
        }
        self.prepared = true;
        Ok(())
    }
}
