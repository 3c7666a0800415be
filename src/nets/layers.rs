//! What the networks are made of, with the initialisation that they share: convolutions N(0, 0.02), biases 0,
//! batch norm's scale N(1, 0.02) (Radford et al. 2016).

use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, ModuleT, Path};

/// The normalisation between convolutions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Each image and channel by its own mean and variance, without learned scale (Ulyanov et al. 2016).
    #[default]
    Instance,
    /// Each channel over the batch, with learned scale and running statistics (Ioffe & Szegedy 2015).
    Batch,
    /// None.
    None,
}

impl Norm {
    /// Whether an image's result depends on that image alone, so that calls can be joined into one batch.
    pub const fn is_per_image(self) -> bool {
        !matches!(self, Self::Batch)
    }

    /// Batch norm has a shift of its own, which makes a convolution's bias before it idle. The reference drops the bias
    /// without a norm too, where nothing else could shift; here it stays.
    const fn wants_bias(self) -> bool {
        !matches!(self, Self::Batch)
    }
}

/// A built normalisation layer.
#[derive(Debug)]
pub enum NormLayer {
    /// See [`Norm::Instance`].
    Instance,
    /// See [`Norm::Batch`].
    Batch(nn::BatchNorm),
    /// See [`Norm::None`].
    None,
}

/// Builds the normalisation of `channels` at `p`.
pub fn norm(p: &Path, norm: Norm, channels: i64) -> NormLayer {
    match norm {
        Norm::Instance => NormLayer::Instance,
        Norm::Batch => {
            let config = nn::BatchNormConfig {
                ws_init: nn::Init::Randn { mean: 1.0, stdev: 0.02 },
                bs_init: nn::Init::Const(0.0),
                ..nn::BatchNormConfig::default()
            };
            NormLayer::Batch(nn::batch_norm2d(p, channels, config))
        }
        Norm::None => NormLayer::None,
    }
}

impl NormLayer {
    /// `[batch, channels, height, width]` to the same.
    pub fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        match self {
            Self::Instance => {
                let none = None::<&Tensor>;
                xs.instance_norm(none, none, none, none, true, 0.1, 1e-5, true)
            }
            Self::Batch(layer) => layer.forward_t(xs, train),
            Self::None => xs.shallow_clone(),
        }
    }
}

/// The shape of a convolution.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Side of the kernel.
    pub kernel: i64,
    /// Step between windows.
    pub stride: i64,
    /// Zeros added on every side.
    pub padding: i64,
}

/// A convolution before `norm`, which decides whether it has a bias.
pub fn conv(p: &Path, channels: (i64, i64), window: Window, norm: Norm) -> nn::Conv2D {
    conv_with_bias(p, channels, window, norm.wants_bias())
}

/// A convolution with or without a bias.
pub fn conv_with_bias(p: &Path, (from, to): (i64, i64), window: Window, bias: bool) -> nn::Conv2D {
    let config = nn::ConvConfig {
        stride: window.stride,
        padding: window.padding,
        bias,
        ws_init: nn::Init::Randn { mean: 0.0, stdev: 0.02 },
        bs_init: nn::Init::Const(0.0),
        ..nn::ConvConfig::default()
    };
    nn::conv2d(p, from, to, window.kernel, config)
}

/// A transposed convolution with or without a bias.
pub fn conv_transpose(
    p: &Path,
    (from, to): (i64, i64),
    window: Window,
    output_padding: i64,
    bias: bool,
) -> nn::ConvTranspose2D {
    let config = nn::ConvTransposeConfig {
        stride: window.stride,
        padding: window.padding,
        output_padding,
        bias,
        ws_init: nn::Init::Randn { mean: 0.0, stdev: 0.02 },
        bs_init: nn::Init::Const(0.0),
        ..nn::ConvTransposeConfig::default()
    };
    nn::conv_transpose2d(p, from, to, window.kernel, config)
}

/// A transposed convolution before `norm`, which decides whether it has a bias.
pub fn conv_transpose_before(
    p: &Path,
    channels: (i64, i64),
    window: Window,
    output_padding: i64,
    norm: Norm,
) -> nn::ConvTranspose2D {
    conv_transpose(p, channels, window, output_padding, norm.wants_bias())
}

/// Mirrors `n` pixels at every border, without repeating the border itself.
pub fn reflect(xs: &Tensor, n: i64) -> Tensor {
    xs.reflection_pad2d([n, n, n, n])
}

/// max(x, 0.2x), the activation of discriminators and of the U-Net's encoder (Radford et al. 2016).
pub fn leaky_relu(xs: &Tensor) -> Tensor {
    crate::torch::leaky_relu(xs, 0.2)
}
