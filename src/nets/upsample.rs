//! The two ways in which generators double the size.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, Module as _, Path};

use super::layers::{Window, conv_transpose, conv_with_bias, reflect};

/// How a generator doubles the size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Upsample {
    /// A transposed convolution of stride 2, as the reference.
    #[default]
    Transpose,
    /// Nearest neighbour, then a 3×3 convolution: no checkerboard (Odena et al. 2016,
    /// <https://distill.pub/2016/deconv-checkerboard>).
    Resize,
}

/// A built doubling.
#[derive(Debug)]
pub(super) enum Up {
    Transpose(nn::ConvTranspose2D),
    /// The convolution after the nearest neighbour and the reflection.
    Resize(nn::Conv2D),
}

impl Up {
    /// Builds it at `p`; a transposed convolution has that window and output padding.
    pub(super) fn new(
        p: &Path,
        channels: (i64, i64),
        upsample: Upsample,
        (window, output_padding): (Window, i64),
        bias: bool,
    ) -> Self {
        match upsample {
            Upsample::Transpose => Self::Transpose(conv_transpose(p, channels, window, output_padding, bias)),
            Upsample::Resize => {
                let window = Window { kernel: 3, stride: 1, padding: 0 };
                // Layers 0 and 1 of the sequence are the nearest neighbour and the reflection.
                Self::Resize(conv_with_bias(&(p / 2), channels, window, bias))
            }
        }
    }

    /// `[batch, from, height, width]` to `[batch, to, 2·height, 2·width]`.
    pub(super) fn forward(&self, xs: &Tensor) -> Tensor {
        match self {
            Self::Transpose(layer) => layer.forward(xs),
            Self::Resize(layer) => {
                let (_, _, height, width) = xs.size4().unwrap_or_default();
                layer.forward(&reflect(&xs.upsample_nearest2d([2 * height, 2 * width], None, None), 1))
            }
        }
    }
}
