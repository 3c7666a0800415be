//! The ways in which generators double the size.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::{self, Module as _, Path};
use tch::{TchError, Tensor};

use super::blur::BlurUp;
use super::layers::{Window, conv_transpose, conv_with_bias};
use super::mirrored::Mirrored;

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
    /// By a fixed low-pass filter, then a 3×3 convolution, as CUT's generator (Park et al. 2020,
    /// <https://arxiv.org/abs/2007.15651>, after Zhang 2019, <https://arxiv.org/abs/1904.11486>).
    Blur,
}

impl Upsample {
    /// Layers of the sequence that it takes, by which the numbers of those after it count on.
    pub(super) const fn slots(self) -> i64 {
        match self {
            Self::Transpose | Self::Resize => 1,
            Self::Blur => 2,
        }
    }
}

/// Every pixel four times: `[batch, channels, height, width]` to `[batch, channels, 2·height, 2·width]`. By a factor, not
/// to a size, so that a traced network takes any.
pub(super) fn nearest(xs: &Tensor) -> Tensor {
    xs.upsample_nearest2d_vec(None::<Vec<i64>>, [2.0, 2.0])
}

/// A built doubling.
#[derive(Debug)]
pub(super) enum Up {
    Transpose(nn::ConvTranspose2D),
    /// The convolution after the nearest neighbour.
    Resize(Mirrored),
    Blur(BlurUp, nn::Conv2D),
}

impl Up {
    /// Builds it as layer `i` of the sequence at `p`; a transposed convolution has that window and output padding.
    pub(super) fn new(
        (p, i): (&Path, i64),
        channels: (i64, i64),
        upsample: Upsample,
        (window, output_padding): (Window, i64),
        bias: bool,
    ) -> Self {
        match upsample {
            Upsample::Transpose => {
                Self::Transpose(conv_transpose(&(p / i), channels, window, output_padding, bias))
            }
            Upsample::Resize => {
                let window = Window { kernel: 3, stride: 1, padding: 0 };
                // Layers 0 and 1 of the sequence are the nearest neighbour and the reflection.
                Self::Resize(Mirrored::new(conv_with_bias(&(p / i / 2), channels, window, bias)))
            }
            Upsample::Blur => {
                let window = Window { kernel: 3, stride: 1, padding: 1 };
                let conv = conv_with_bias(&(p / (i + 1)), channels, window, bias);
                Self::Blur(BlurUp::new(&(p / i), channels.0), conv)
            }
        }
    }

    /// See [`Net::prepare`](super::layers::Net::prepare).
    pub(super) fn prepare(&mut self) -> Result<(), TchError> {
        match self {
            Self::Resize(layer) => layer.prepare(),
            Self::Transpose(_) | Self::Blur(..) => Ok(()),
        }
    }

    /// `[batch, from, height, width]` to `[batch, to, 2·height, 2·width]`.
    pub(super) fn forward(&self, xs: &Tensor) -> Tensor {
        match self {
            Self::Transpose(layer) => layer.forward(xs),
            Self::Resize(layer) => layer.forward(&nearest(xs)),
            Self::Blur(blur, layer) => layer.forward(&blur.forward(xs)),
        }
    }
}
