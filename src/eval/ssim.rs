//! Structural similarity: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
//! structural similarity", IEEE Transactions on Image Processing 13 (2004), <https://doi.org/10.1109/TIP.2003.819861>.

use super::{MetricError, pair, separable_filter};
use tch::{Kind, Tensor};

/// Side of the Gaussian window in pixels, and so of the smallest image that can be measured.
pub const WINDOW: i64 = 11;
const SIGMA: f64 = 1.5;
/// Stabilisers `(K1 L)^2` and `(K2 L)^2` of the luminance and contrast terms, for a data range L of 1.
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// Structural similarity in [-1, 1], 1 for identical images: the mean over pixels, then channels, then images, of
///
/// ```text
/// (2 ux uy + C1)(2 vxy + C2) / ((ux^2 + uy^2 + C1)(vx + vy + C2))
/// ```
///
/// with means `u` and population (co)variances `v` under an 11x11 Gaussian window, sigma 1.5, K1 = 0.01, K2 = 0.03,
/// data range 1.0. Only windows that lie wholly in the image count. This is scikit-image's
/// `structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0,
/// channel_axis=...)`, which crops what its border padding touched.
///
/// `a` and `b` are `[batch, 3, height, width]` with values in [0, 1]. Computed in float64.
///
/// # Errors
/// [`MetricError::NotImages`], [`MetricError::Shapes`] where the two differ in shape, and
/// [`MetricError::TooSmall`] below 11 pixels a side.
pub fn ssim(a: &Tensor, b: &Tensor) -> Result<f64, MetricError> {
    let (a, b) = pair("ssim", a, b, WINDOW)?;
    Ok(tch::no_grad(|| {
        let taps = gaussian();
        let blur = |xs: Tensor| separable_filter(&xs, &taps);
        let (xx, yy, xy) = (blur(a.square()), blur(b.square()), blur(&a * &b));
        let (ux, uy) = (blur(a), blur(b));
        let (uxx, uyy, uxy) = (ux.square(), uy.square(), &ux * &uy);
        let luminance = (&uxy * 2.0 + C1) / (&uxx + &uyy + C1);
        let structure = ((xy - uxy) * 2.0 + C2) / (xx - uxx + yy - uyy + C2);
        (luminance * structure).mean(Kind::Double).double_value(&[])
    }))
}

/// The window's weights along one axis; they sum to 1.
fn gaussian() -> Vec<f64> {
    let weight = |i: i64| (-0.5 * ((i - WINDOW / 2) as f64 / SIGMA).powi(2)).exp();
    let total: f64 = (0..WINDOW).map(weight).sum();
    (0..WINDOW).map(|i| weight(i) / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn an_image_is_like_itself_and_unlike_its_negative() {
        let a =
            Tensor::linspace(0.0, 1.0, 3 * 20 * 24, (Kind::Float, Device::Cpu)).sin().reshape([1, 3, 20, 24]);
        assert!((ssim(&a, &a).unwrap() - 1.0).abs() < 1e-12);
        let checks =
            Tensor::arange(20, (Kind::Float, Device::Cpu)).remainder(2.0).expand([1, 3, 20, 20], false);
        assert!(ssim(&checks, &(1.0 - &checks)).unwrap() < -0.99);
    }

    #[test]
    fn constant_images_leave_the_luminance_term() {
        // Without variance the structure term is C2 / C2 = 1.
        let grey = |value: f64| Tensor::full([2, 3, 11, 13], value, (Kind::Double, Device::Cpu));
        let expected = (2.0 * 0.2 * 0.6 + 1e-4) / (0.2 * 0.2 + 0.6 * 0.6 + 1e-4);
        assert!((ssim(&grey(0.2), &grey(0.6)).unwrap() - expected).abs() < 1e-10);
    }

    #[test]
    fn images_below_the_window_are_refused() {
        let small = Tensor::zeros([1, 3, 11, 10], (Kind::Float, Device::Cpu));
        let error = ssim(&small, &small).unwrap_err();
        assert!(matches!(error, MetricError::TooSmall { least: 11, width: 10, height: 11, .. }), "{error}");
    }
}
