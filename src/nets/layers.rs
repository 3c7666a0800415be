//! What the networks are made of, with the initialisation that they share: convolutions N(0, 0.02), biases 0,
//! batch norm's scale N(1, 0.02) (Radford et al. 2016).

use crate::torch::{Bf16, instance_norm, strided, sum_kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::{self, Module as _, ModuleT as _, Path};
use tch::{Kind, TchError, Tensor};

/// The normalisation between convolutions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// Each image and channel by its own mean and variance, without learned scale (Ulyanov et al. 2016).
    #[default]
    Instance,
    /// Each channel over the batch, with learned scale and running statistics (Ioffe & Szegedy 2015).
    Batch,
    /// As `batch` without running statistics: a finished network takes each image's own, so that no image depends on
    /// those beside it.
    BatchUntracked,
    /// None.
    None,
}

impl Norm {
    /// Whether an image's result depends on that image alone, so that calls can be joined into one batch.
    pub const fn is_per_image(self) -> bool {
        !matches!(self, Self::Batch | Self::BatchUntracked)
    }

    /// Batch norm has a shift of its own, which makes a convolution's bias before it idle. The reference drops the bias
    /// without a norm too, where nothing else could shift; here it stays.
    pub const fn wants_bias(self) -> bool {
        !matches!(self, Self::Batch | Self::BatchUntracked)
    }
}

/// A built normalisation layer.
#[derive(Debug)]
pub enum NormLayer {
    /// See [`Norm::Instance`].
    Instance {
        /// Whether a finished network's images come in channels-last, for a kernel of that order.
        channels_last: bool,
    },
    /// See [`Norm::Batch`].
    Batch(nn::BatchNorm),
    /// See [`Norm::BatchUntracked`].
    BatchUntracked {
        /// Scale, `[channels]`.
        weight: Tensor,
        /// Shift, `[channels]`.
        bias: Tensor,
    },
    /// See [`Norm::None`].
    None,
}

/// Builds the normalisation of `channels` at `p`.
pub fn norm(p: &Path, norm: Norm, channels: i64) -> NormLayer {
    let (ws_init, bs_init) = (nn::Init::Randn { mean: 1.0, stdev: 0.02 }, nn::Init::Const(0.0));
    match norm {
        Norm::Instance => NormLayer::Instance { channels_last: false },
        Norm::Batch => {
            let config = nn::BatchNormConfig { ws_init, bs_init, ..nn::BatchNormConfig::default() };
            NormLayer::Batch(nn::batch_norm2d(p, channels, config))
        }
        Norm::BatchUntracked => NormLayer::BatchUntracked {
            weight: p.var("weight", &[channels], ws_init),
            bias: p.var("bias", &[channels], bs_init),
        },
        Norm::None => NormLayer::None,
    }
}

/// Added to variances; `PyTorch`'s default.
const EPS: f64 = 1e-5;

impl NormLayer {
    /// Makes it ready for images in channels-last, see [`Net::prepare`].
    pub const fn prepare(&mut self) {
        if let Self::Instance { channels_last } = self {
            *channels_last = true;
        }
    }

    /// `[batch, channels, height, width]` to the same.
    pub fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let none = None::<&Tensor>;
        // Of bfloat16, which convolutions give where networks compute with it, a mean would have eight bits.
        let is_taken_so =
            matches!(self, Self::Instance { .. }) && xs.device().is_cuda() && strided::is_channels_last(xs);
        let wide = (xs.kind() == Kind::BFloat16 && !is_taken_so).then(|| xs.to_kind(Kind::Float));
        let xs = wide.as_ref().unwrap_or(xs);
        match self {
            Self::Instance { channels_last: true } if !train => instance_norm(xs, EPS),
            // libtorch's would copy them to another order and back.
            Self::Instance { .. } if strided::is_channels_last(xs) => strided::instance_norm(xs, EPS),
            Self::Instance { .. } => xs.instance_norm(none, none, none, none, true, 0.1, EPS, true),
            Self::Batch(layer) => layer.forward_t(xs, train),
            Self::BatchUntracked { weight, bias } if train => {
                xs.batch_norm(Some(weight), Some(bias), none, none, true, 0.1, EPS, true)
            }
            // One image's batch statistics are its instance statistics.
            Self::BatchUntracked { weight, bias } => {
                xs.instance_norm(Some(weight), Some(bias), none, none, true, 0.1, EPS, true)
            }
            Self::None => xs.shallow_clone(),
        }
    }
}

/// A network of the graph, built.
pub trait Net: std::fmt::Debug + Send {
    /// Applies it. `condition` is an encoded condition `[batch, width]`, given to networks that were built for one; `train`
    /// decides between batch and running statistics, about dropout, and whether spectral norm's power iteration goes on.
    fn forward(&self, xs: &Tensor, condition: Option<&Tensor>, train: bool) -> Tensor;

    /// Keeps no inner results of its parts for gradients from here on, but computes them again (activation checkpointing), where
    /// it has parts that can be computed twice.
    fn recompute(&mut self) {}

    /// Makes a finished network on the CPU, whose weights do not change any more, ready to be applied to many images without
    /// gradients. Networks for which there is nothing faster stay as they are.
    ///
    /// # Errors
    /// libtorch's.
    fn prepare(&mut self) -> Result<(), TchError> {
        Ok(())
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

/// What a discriminator is built for.
#[derive(Debug, Clone, Copy)]
pub struct Judged {
    /// Channels that it sees: 3, or 6 where it sees the source beside the image.
    pub channels: i64,
    /// Height and width of the images.
    pub size: u32,
    /// Numbers in an encoded condition, where there is one.
    pub condition: Option<i64>,
    /// Whether every weight is divided by its spectral norm.
    pub spectral_norm: bool,
}

/// A discriminator's convolution.
#[derive(Debug)]
pub struct Conv {
    layer: nn::Conv2D,
    window: Window,
    spectral: Option<Spectral>,
}

impl Conv {
    /// Builds it at `p`.
    pub fn new(p: &Path, channels: (i64, i64), window: Window, bias: bool, judged: Judged) -> Self {
        Self::around(p, conv_with_bias(p, channels, window, bias), window, judged)
    }

    /// Takes over a `layer` that was built at `p`, with zeros around and an initialisation of its own.
    pub fn around(p: &Path, layer: nn::Conv2D, window: Window, judged: Judged) -> Self {
        let spectral = judged.spectral_norm.then(|| Spectral::new(p, &layer.ws));
        Self { layer, window, spectral }
    }

    /// `[batch, channels, height, width]` to the same with other channels, height and width.
    pub fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let Some(spectral) = &self.spectral else { return self.layer.forward(xs) };
        let weight = spectral.normalize(&self.layer.ws, train);
        let Window { stride, padding, .. } = self.window;
        xs.conv2d(&weight, self.layer.bs.as_ref(), [stride; 2], [padding; 2], [1; 2], 1)
    }
}

/// A discriminator's matrix.
#[derive(Debug)]
pub struct Linear {
    layer: nn::Linear,
    spectral: Option<Spectral>,
}

impl Linear {
    /// Builds it at `p`.
    pub fn new(p: &Path, (from, to): (i64, i64), bias: bool, judged: Judged) -> Self {
        let config = nn::LinearConfig {
            ws_init: nn::Init::Randn { mean: 0.0, stdev: 0.02 },
            bs_init: Some(nn::Init::Const(0.0)),
            bias,
        };
        let layer = nn::linear(p, from, to, config);
        let spectral = judged.spectral_norm.then(|| Spectral::new(p, &layer.ws));
        Self { layer, spectral }
    }

    /// `[batch, from]` to `[batch, to]`.
    pub fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let Some(spectral) = &self.spectral else { return self.layer.forward(xs) };
        xs.linear(&spectral.normalize(&self.layer.ws, train), self.layer.bs.as_ref())
    }
}

/// Spectral normalisation (Miyato et al. 2018, <https://arxiv.org/abs/1802.05957>): a weight, seen as a matrix of one row
/// an output, is divided by its largest singular value, which one step of power iteration a call keeps up with.
#[derive(Debug)]
struct Spectral {
    /// The largest singular value's vectors, `[rows]` and `[columns]`, of length 1; saved beside the weight as `weight_u`
    /// and `weight_v`.
    u: Tensor,
    v: Tensor,
}

impl Spectral {
    fn new(p: &Path, weight: &Tensor) -> Self {
        let rows = weight.size()[0];
        let vector = |name: &str, length: i64| {
            let mut vector = p.zeros_no_train(name, &[length]);
            tch::no_grad(|| vector.copy_(&unit(&Tensor::randn_like(&vector))));
            vector
        };
        let columns = weight.numel() as i64 / rows;
        Self { u: vector("weight_u", rows), v: vector("weight_v", columns) }
    }

    /// `weight` / σ, as `PyTorch`'s `spectral_norm` does it: the vectors count as constants for the gradient.
    fn normalize(&self, weight: &Tensor, train: bool) -> Tensor {
        let _float32 = Bf16::set(weight.device(), false);
        let matrix = weight.flatten(1, -1);
        if train {
            tch::no_grad(|| {
                let v = unit(&matrix.transpose(0, 1).mv(&self.u));
                let u = unit(&matrix.mv(&v));
                self.v.shallow_clone().copy_(&v);
                self.u.shallow_clone().copy_(&u);
            });
        }
        // Copies, since the next call changes the vectors and the gradient of this one still needs them.
        let (u, v) = (self.u.copy(), self.v.copy());
        weight / u.dot(&matrix.mv(&v))
    }
}

/// A vector at length 1.
fn unit(vector: &Tensor) -> Tensor {
    vector / vector.norm().clamp_min(1e-12)
}

/// The projection discriminator's part (Miyato & Koyama 2018, <https://arxiv.org/abs/1802.05637>): the inner product of
/// an image's features with a learned image of the condition.
#[derive(Debug)]
pub struct Projection(Linear);

impl Projection {
    /// For `features` numbers an image, at `p`; none where the discriminator has no condition.
    pub fn new(p: &Path, features: i64, judged: Judged) -> Option<Self> {
        judged.condition.map(|width| Self(Linear::new(p, (width, features), false, judged)))
    }

    /// The verdict `[batch, 1, 1, 1]` on images of `features` `[batch, channels]`, which are asked for only where they are
    /// needed; with the product in it where there is an encoded condition `[batch, width]`.
    pub fn add_to(
        this: Option<&Self>,
        verdict: Tensor,
        features: impl FnOnce() -> Tensor,
        condition: Option<&Tensor>,
        train: bool,
    ) -> Tensor {
        let (Some(projection), Some(condition)) = (this, condition) else { return verdict };
        let product = features() * projection.0.forward(condition, train);
        verdict + product.sum_dim_intlist(1i64, true, sum_kind(&product)).unsqueeze(-1).unsqueeze(-1)
    }
}

/// Mirrors `n` pixels at every border, without repeating the border itself.
pub fn reflect(xs: &Tensor, n: i64) -> Tensor {
    // On a GPU libtorch's takes one memory order only, and adds up gradients in any order.
    if xs.device().is_cuda() || strided::is_channels_last(xs) {
        strided::reflect(xs, n)
    } else {
        xs.reflection_pad2d([n; 4])
    }
}

/// max(x, 0.2x), the activation of discriminators and of the U-Net's encoder (Radford et al. 2016).
pub fn leaky_relu(xs: &Tensor) -> Tensor {
    crate::torch::leaky_relu(xs, 0.2)
}
