//! Differences of pixels: mean absolute error and peak signal-to-noise ratio.

use super::{MetricError, pair};
use tch::{Kind, Tensor};

/// Mean absolute difference over all pixels and channels, in [0, 1]; 0 is identical.
///
/// `a` and `b` are `[batch, 3, height, width]` with values in [0, 1].
///
/// # Errors
/// [`MetricError::NotImages`], or [`MetricError::Shapes`] where the two differ in shape.
pub fn l1(a: &Tensor, b: &Tensor) -> Result<f64, MetricError> {
    let (a, b) = pair("l1", a, b, 1)?;
    Ok(tch::no_grad(|| (a - b).abs().mean(Kind::Double).double_value(&[])))
}

/// Peak signal-to-noise ratio in dB, `10 log10(1 / MSE)`, of each image over all its pixels and channels, then
/// averaged over the images. The data range is 1.0; higher is closer, 20 dB is a constant offset of a tenth.
///
/// Identical images have no noise: their ratio, and so the mean of a batch that holds such a pair, is
/// [`f64::INFINITY`], as in scikit-image. JSON has no infinity, so a writer of JSON must choose a word for it.
///
/// `a` and `b` are `[batch, 3, height, width]` with values in [0, 1].
///
/// # Errors
/// [`MetricError::NotImages`], or [`MetricError::Shapes`] where the two differ in shape.
pub fn psnr(a: &Tensor, b: &Tensor) -> Result<f64, MetricError> {
    let (a, b) = pair("psnr", a, b, 1)?;
    Ok(tch::no_grad(|| {
        let error = (a - b).square().mean_dim([1i64, 2, 3].as_slice(), false, Kind::Double);
        (error.log10() * -10.0).mean(Kind::Double).double_value(&[])
    }))
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // 0, infinity and dyadic fractions are exact
mod tests {
    use super::*;
    use tch::Device;

    fn grey(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).reshape([-1, 1, 1, 1]).expand([-1, 3, 4, 5], false)
    }

    #[test]
    fn a_constant_offset_has_a_closed_form() {
        // 10 log10(1 / d^2) = -20 log10 d; averaged over the images, not computed from their mean error.
        let (a, b) = (grey(&[0.25, 0.25]), grey(&[0.5, 0.75]));
        assert_eq!(l1(&a, &b).unwrap(), 0.375);
        let expected = -10.0 * (0.25_f64.log10() + 0.5_f64.log10());
        assert!((psnr(&a, &b).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn identical_images_are_at_distance_zero_and_infinite_ratio() {
        let a = grey(&[0.1, 0.9]);
        assert_eq!(l1(&a, &a).unwrap(), 0.0);
        assert_eq!(psnr(&a, &a).unwrap(), f64::INFINITY);
        assert_eq!(psnr(&a, &grey(&[0.1, 0.8])).unwrap(), f64::INFINITY);
    }

    #[test]
    fn a_nan_is_not_hidden() {
        let nan = Tensor::full([1, 3, 4, 5], f64::NAN, (Kind::Float, Device::Cpu));
        assert!(l1(&nan, &grey(&[0.5])).unwrap().is_nan());
        assert!(psnr(&nan, &grey(&[0.5])).unwrap().is_nan());
    }

    #[test]
    fn images_of_different_sizes_are_refused() {
        let other = Tensor::zeros([1, 3, 5, 4], (Kind::Float, Device::Cpu));
        assert!(matches!(l1(&grey(&[0.5]), &other), Err(MetricError::Shapes { metric: "l1", .. })));
        assert!(matches!(psnr(&grey(&[0.5]), &other), Err(MetricError::Shapes { metric: "psnr", .. })));
    }
}
