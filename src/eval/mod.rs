//! Metrics between images: per pair ([`l1`], [`psnr`], [`ssim()`], averaged over a folder by [`PairScores`]) and
//! between two sets that nobody paired ([`swd`], and [`fidelity()`] on [`features()`]).
//!
//! Every function takes `[batch, 3, height, width]` float tensors with values in [0, 1] ([`features()`]: [-1, 1]), on
//! any device, and leaves nothing in autograd's graph. A NaN in an image comes out as a NaN, or as an error.

pub mod features;
pub mod fidelity;
pub mod pixel;
pub mod pyramid;
pub mod report;
pub mod ssim;
pub mod swd;

pub use features::features;
pub use fidelity::{Fidelity, fidelity};
pub use pixel::{l1, psnr};
pub use ssim::ssim;

use tch::{Kind, Tensor};
use thiserror::Error;

/// Why a metric cannot be computed.
#[derive(Debug, Error)]
pub enum MetricError {
    /// The tensor is no batch of colour images.
    #[error(
        "`{metric}` got a tensor of shape {shape:?}, expected [batch, 3, height, width] with at least one image"
    )]
    NotImages {
        /// The metric that was asked for.
        metric: &'static str,
        /// The shape that came.
        shape: Vec<i64>,
    },
    /// Two batches that are compared image by image differ in shape.
    #[error(
        "`{metric}` compares images of one size, got {a:?} and {b:?}; resize one side to the other first"
    )]
    Shapes {
        /// The metric that was asked for.
        metric: &'static str,
        /// Shape of the first batch.
        a: Vec<i64>,
        /// Shape of the second batch.
        b: Vec<i64>,
    },
    /// The images are smaller than what the metric looks through.
    #[error(
        "`{metric}` needs images of at least {least}x{least} pixels, got {width}x{height}; leave it out or resize the \
         images"
    )]
    TooSmall {
        /// The metric that was asked for.
        metric: &'static str,
        /// Smallest side that it can measure, in pixels.
        least: i64,
        /// Width that came.
        width: i64,
        /// Height that came.
        height: i64,
    },
    /// Images of one set, or of the two sets, differ in size.
    #[error(
        "`swd` compares sets of one image size, got {first:?} and {second:?} (height, width); resize all to one size \
         first"
    )]
    SetSizes {
        /// Height and width that came first.
        first: (i64, i64),
        /// Height and width that differ from it.
        second: (i64, i64),
    },
    /// A set without an image.
    #[error("`swd` got a set of 0 images, expected at least 1; check the folder")]
    EmptySet,
    /// Patch positions or projections that do not belong to the pyramid.
    #[error(
        "`swd` got {what} for {got} pyramid levels, expected {expected}; sample them for this image size"
    )]
    Levels {
        /// What was sampled.
        what: &'static str,
        /// Levels that it was sampled for.
        got: usize,
        /// Levels of the images' pyramid.
        expected: usize,
    },
    /// Features that are no two tables of one width.
    #[error(
        "`fidelity` got features of shapes {real:?} and {samples:?}, expected [images, features] twice, with as many \
         features"
    )]
    Features {
        /// Shape of the real images' features.
        real: Vec<i64>,
        /// Shape of the samples' features.
        samples: Vec<i64>,
    },
    /// Too few images to have a k-th neighbour.
    #[error(
        "`fidelity` got {images} {side} images, expected more than k = {k}, and k at least 1; measure more images or \
         take another k"
    )]
    TooFew {
        /// `real` or `sampled`.
        side: &'static str,
        /// How many there are.
        images: i64,
        /// Neighbours asked for.
        k: usize,
    },
    /// A feature that is NaN or infinite.
    #[error(
        "`fidelity` got {side} images with values that are NaN or infinite; a network has diverged, or an image is \
         broken"
    )]
    NotFinite {
        /// `real` or `sampled`.
        side: &'static str,
    },
    /// libtorch refused.
    #[error(transparent)]
    Torch(#[from] tch::TchError),
}

/// Means of [`l1`], [`psnr`] and [`ssim()`] over the pairs of a folder, every image counting the same whatever its
/// size and however the pairs were batched.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct PairScores {
    images: i64,
    l1: f64,
    psnr: f64,
    ssim: f64,
}

impl PairScores {
    /// Adds a batch of images and the images that they are compared with.
    ///
    /// # Errors
    /// As [`ssim()`], which asks most of the images; nothing is added then.
    pub fn add(&mut self, a: &Tensor, b: &Tensor) -> Result<(), MetricError> {
        let (batch_l1, batch_psnr, batch_ssim) = (l1(a, b)?, psnr(a, b)?, ssim(a, b)?);
        let images = a.size()[0];
        self.images += images;
        self.l1 += batch_l1 * images as f64;
        self.psnr += batch_psnr * images as f64;
        self.ssim += batch_ssim * images as f64;
        Ok(())
    }

    /// How many pairs were added.
    pub fn images(&self) -> i64 {
        self.images
    }

    /// Mean of [`l1`] over the pairs, in [0, 1]; NaN before the first.
    pub fn l1(&self) -> f64 {
        self.l1 / self.images as f64
    }

    /// Mean of [`psnr`] over the pairs, in dB; infinite as soon as one pair is identical, NaN before the first.
    pub fn psnr(&self) -> f64 {
        self.psnr / self.images as f64
    }

    /// Mean of [`ssim()`] over the pairs, in [-1, 1]; NaN before the first.
    pub fn ssim(&self) -> f64 {
        self.ssim / self.images as f64
    }
}

/// Height and width of a batch of colour images of at least `least` pixels a side.
fn image_size(metric: &'static str, images: &Tensor, least: i64) -> Result<(i64, i64), MetricError> {
    let (height, width) = match images.size()[..] {
        [batch, 3, height, width] if batch > 0 => (height, width),
        _ => return Err(MetricError::NotImages { metric, shape: images.size() }),
    };
    if height.min(width) < least {
        return Err(MetricError::TooSmall { metric, least, width, height });
    }
    Ok((height, width))
}

/// Both batches in float64: variances are differences of nearly equal numbers, and float32 on a GPU may be TF32.
fn pair(metric: &'static str, a: &Tensor, b: &Tensor, least: i64) -> Result<(Tensor, Tensor), MetricError> {
    image_size(metric, a, least)?;
    if a.size() != b.size() {
        return Err(MetricError::Shapes { metric, a: a.size(), b: b.size() });
    }
    Ok((a.to_kind(Kind::Double), b.to_kind(Kind::Double)))
}

/// Correlates every channel with `taps` along height and then width: `[batch, channels, height, width]` ->
/// `[batch, channels, height - (taps - 1), width - (taps - 1)]`. Sums of slices rather than a convolution, which
/// cuDNN would be free to compute in TF32.
fn separable_filter(xs: &Tensor, taps: &[f64]) -> Tensor {
    [2, 3].into_iter().fold(xs.shallow_clone(), |xs, dim| {
        let length = xs.size()[dim as usize] - (taps.len() as i64 - 1);
        let tap = |i: usize| xs.narrow(dim, i as i64, length) * taps[i];
        (1..taps.len()).fold(tap(0), |mut sum, i| sum.g_add_(&tap(i)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn pair_scores_weigh_images_not_batches() {
        let grey =
            |images: i64, value: f64| Tensor::full([images, 3, 11, 11], value, (Kind::Float, Device::Cpu));
        let mut scores = PairScores::default();
        scores.add(&grey(3, 0.5), &grey(3, 0.6)).unwrap();
        scores.add(&grey(1, 0.5), &grey(1, 0.9)).unwrap();
        assert_eq!(scores.images(), 4);
        assert!((scores.l1() - (3.0 * 0.1 + 0.4) / 4.0).abs() < 1e-6, "{}", scores.l1());
        let decibels = (3.0 * 20.0 - 20.0 * 0.4_f64.log10()) / 4.0;
        assert!((scores.psnr() - decibels).abs() < 1e-4, "{}", scores.psnr());
    }

    #[test]
    fn a_batch_that_cannot_be_measured_adds_nothing() {
        let mut scores = PairScores::default();
        let small = Tensor::zeros([1, 3, 10, 40], (Kind::Float, Device::Cpu));
        assert!(scores.add(&small, &small).is_err());
        assert_eq!(scores, PairScores::default());
    }

    #[test]
    fn separable_filter_is_a_correlation_without_borders() {
        // Rows 0 1 2 / 3 4 5 / 6 7 8. Down: 1*top + 10*middle; across: the same on the result.
        let xs = Tensor::arange(9, (Kind::Double, Device::Cpu)).reshape([1, 1, 3, 3]);
        let out = separable_filter(&xs, &[1.0, 10.0]);
        let expected = Tensor::from_slice(&[
            30.0 + 10.0 * 41.0,
            41.0 + 10.0 * 52.0,
            63.0 + 10.0 * 74.0,
            74.0 + 10.0 * 85.0,
        ]);
        assert_eq!(out.reshape([4]), expected);
    }

    #[test]
    fn errors_name_the_metric_the_value_and_the_next_step() {
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        let message = |a: &[i64], b: &[i64]| ssim(&zeros(a), &zeros(b)).unwrap_err().to_string();
        assert_eq!(
            message(&[1, 3, 10, 40], &[1, 3, 10, 40]),
            "`ssim` needs images of at least 11x11 pixels, got 40x10; leave it out or resize the images"
        );
        assert_eq!(
            message(&[1, 3, 16, 16], &[1, 3, 16, 17]),
            "`ssim` compares images of one size, got [1, 3, 16, 16] and [1, 3, 16, 17]; resize one side to the other first"
        );
        assert!(
            message(&[3, 16, 16], &[3, 16, 16]).contains("[3, 16, 16], expected [batch, 3, height, width]")
        );
        assert!(message(&[0, 3, 16, 16], &[0, 3, 16, 16]).contains("at least one image"));
    }
}
