//! The U-Net generator of pix2pix (Isola et al. 2017, <https://arxiv.org/abs/1611.07004>): halvings down to the bottom
//! and doublings back, with a skip connection at every size.
//!
//! Weights are named as in `PyTorch`'s original, where each level is nested in the one above:
//! `model.model.1.model.3.model…`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, Path};

use super::Shapes;
use super::layers::{Net, Norm, NormLayer, Window, conv, conv_with_bias, leaky_relu, norm};
use super::upsample::{Up, Upsample};

const WINDOW: Window = Window { kernel: 4, stride: 2, padding: 1 };

/// The fields of `net: { kind: unet }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Channels after the first halving; they double three times.
    pub width: i64,
    /// Halvings: 8 for 256² (the reference's `unet_256`), 7 for 128². The image's sides must be multiples of
    /// 2 to this power.
    pub downs: u32,
    /// Normalisation of every level but the outermost and the bottom of the encoder.
    pub norm: Norm,
    /// Zero half of the features of the inner levels' decoder while training.
    pub dropout: bool,
    /// How the size doubles.
    pub upsample: Upsample,
}

impl Default for Config {
    fn default() -> Self {
        Self { width: 64, downs: 8, norm: Norm::Batch, dropout: false, upsample: Upsample::Transpose }
    }
}

impl Config {
    /// Heights and widths must be multiples of this.
    pub const fn stride(&self) -> u32 {
        1 << self.downs
    }

    /// The least height and width: one pixel at the bottom.
    pub const fn least_size(&self) -> u32 {
        self.stride()
    }

    /// Channels after `level` + 1 halvings.
    fn channels(&self, level: u32) -> i64 {
        self.width.saturating_mul(1 << level.min(3))
    }

    /// Its large weights.
    pub(super) fn large_weights(&self) -> Shapes {
        let mut weights = vec![("model.model.0.weight".to_string(), vec![self.width, 3, 4, 4])];
        let mut path = "model.model.1.model".to_string();
        for level in 1..self.downs {
            let shape = vec![self.channels(level), self.channels(level - 1), 4, 4];
            weights.push((format!("{path}.1.weight"), shape));
            path.push_str(".3.model");
        }
        weights
    }
}

/// A level inside the outermost: halve, what lies below, double, and the input beside the result.
#[derive(Debug)]
struct Level {
    down: nn::Conv2D,
    down_norm: NormLayer,
    inner: Option<Box<Level>>,
    up: Up,
    up_norm: NormLayer,
    dropout: bool,
}

impl Level {
    fn new(p: &Path, level: u32, config: &Config) -> Self {
        let p = p / "model";
        let (outer, here) = (config.channels(level - 1), config.channels(level));
        let kind = config.norm;
        let up = |i: i64, from: i64| {
            Up::new((&p, i), (from, outer), config.upsample, (WINDOW, 0), kind.wants_bias())
        };
        let up_norm = |i: i64| norm(&(&p / (i + config.upsample.slots())), kind, outer);
        if level + 1 == config.downs {
            return Self {
                down: conv(&(&p / 1), (outer, here), WINDOW, kind),
                down_norm: NormLayer::None,
                inner: None,
                up: up(3, here),
                up_norm: up_norm(3),
                dropout: false,
            };
        }
        Self {
            down: conv(&(&p / 1), (outer, here), WINDOW, kind),
            down_norm: norm(&(&p / 2), kind, here),
            inner: Some(Box::new(Self::new(&(&p / 3), level + 1, config))),
            up: up(5, 2 * here),
            up_norm: up_norm(5),
            // The inner levels are those at full width, eight times the base.
            dropout: config.dropout && level >= 4,
        }
    }

    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let ys = self.down_norm.forward(&leaky_relu(xs).apply(&self.down), train);
        let ys = match &self.inner {
            Some(inner) => inner.forward(&ys, train),
            None => ys,
        };
        let ys = self.up_norm.forward(&self.up.forward(&ys.relu()), train);
        let ys = if self.dropout { ys.dropout(0.5, train) } else { ys };
        // What the original's in-place activation leaves of `xs` differs only where the ReLU above drops it.
        Tensor::cat(&[xs, &ys], 1)
    }
}

/// A built U-Net generator.
#[derive(Debug)]
pub struct Unet {
    down: nn::Conv2D,
    inner: Level,
    up: Up,
}

/// Builds the generator below `p`.
pub fn unet(p: &Path, config: &Config) -> Unet {
    let p = p / "model" / "model";
    let wants_bias = config.norm.is_per_image();
    Unet {
        down: conv_with_bias(&(&p / 0), (3, config.width), WINDOW, wants_bias),
        inner: Level::new(&(&p / 1), 1, config),
        up: Up::new((&p, 3), (2 * config.width, 3), config.upsample, (WINDOW, 0), true),
    }
}

impl Net for Unet {
    /// Images in [-1, 1], `[batch, 3, height, width]` with sides that [`Config::stride`] divides, to the same.
    fn forward(&self, xs: &Tensor, _: Option<&Tensor>, train: bool) -> Tensor {
        let ys = self.inner.forward(&xs.apply(&self.down), train);
        self.up.forward(&ys.relu()).tanh()
    }
}
