//! The pixel discriminator (Isola et al. 2017, the 1×1 "`PixelGAN`"): judges colours without looking at neighbours.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::Path;

use super::layers::{Conv, Judged, Net, Norm, NormLayer, Window, leaky_relu, norm};

/// The fields of `net: { kind: pixel }`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Channels of the first layer; the second has twice as many.
    pub width: i64,
    /// Normalisation of the second layer.
    pub norm: Norm,
}

impl Default for Config {
    fn default() -> Self {
        Self { width: 64, norm: Norm::Instance }
    }
}

/// A built pixel discriminator.
#[derive(Debug)]
pub struct Pixel {
    first: Conv,
    second: (Conv, NormLayer),
    last: Conv,
}

/// Builds the discriminator below `p`.
pub fn pixel(p: &Path, config: &Config, judged: Judged) -> Pixel {
    let p = p / "net";
    let window = Window { kernel: 1, stride: 1, padding: 0 };
    let (width, kind) = (config.width, config.norm);
    let conv = |i: i64, channels: (i64, i64), bias| Conv::new(&(&p / i), channels, window, bias, judged);
    Pixel {
        first: conv(0, (judged.channels, width), true),
        second: (conv(2, (width, 2 * width), kind.wants_bias()), norm(&(&p / 3), kind, 2 * width)),
        // The reference gives the last layer a bias under the same rule as the second.
        last: conv(5, (2 * width, 1), kind.wants_bias()),
    }
}

impl Net for Pixel {
    /// Images in [-1, 1], `[batch, 3, height, width]` (or 6 channels, where it sees the source too), to raw verdicts
    /// `[batch, 1, height, width]`.
    fn forward(&self, xs: &Tensor, _: Option<&Tensor>, train: bool) -> Tensor {
        let ys = leaky_relu(&self.first.forward(xs, train));
        let ys = self.second.1.forward(&self.second.0.forward(&ys, train), train);
        self.last.forward(&leaky_relu(&ys), train)
    }
}
