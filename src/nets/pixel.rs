//! The pixel discriminator (Isola et al. 2017, the 1×1 "`PixelGAN`"): judges colours without looking at neighbours.

use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, ModuleT, Path};

use super::layers::{Norm, NormLayer, Window, conv, conv_with_bias, leaky_relu, norm};

/// The fields of `net: { kind: pixel }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    first: nn::Conv2D,
    second: (nn::Conv2D, NormLayer),
    last: nn::Conv2D,
}

/// Builds the discriminator below `p`.
pub fn pixel(p: &Path, config: &Config) -> Pixel {
    let p = p / "net";
    let window = Window { kernel: 1, stride: 1, padding: 0 };
    let (width, kind) = (config.width, config.norm);
    Pixel {
        first: conv_with_bias(&(&p / 0), (3, width), window, true),
        second: (conv(&(&p / 2), (width, 2 * width), window, kind), norm(&(&p / 3), kind, 2 * width)),
        // The reference gives the last layer a bias under the same rule as the second.
        last: conv(&(&p / 5), (2 * width, 1), window, kind),
    }
}

impl ModuleT for Pixel {
    /// Images in [-1, 1], `[batch, 3, height, width]`, to raw verdicts `[batch, 1, height, width]`.
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        let ys = leaky_relu(&xs.apply(&self.first));
        let ys = self.second.1.forward(&ys.apply(&self.second.0), train);
        leaky_relu(&ys).apply(&self.last)
    }
}
