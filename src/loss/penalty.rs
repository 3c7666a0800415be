//! Penalties on the slope of a discriminator, by double backward.

use crate::torch::sum_kind;
use tch::Tensor;

/// The gradient penalty of Gulrajani et al. 2017 (<https://arxiv.org/abs/1704.00028>, equation 3), without its weight: the
/// mean of (‖∇f(x̂)‖₂ − 1)² at points x̂ between `real` and `fake`, `[batch, 3, height, width]` both. `mix`
/// `[batch, 1, 1, 1]` says how much of each point is real, 0 to 1.
///
/// f is the mean of an image's verdicts, since that is whose Wasserstein distance the objective takes; for a discriminator
/// with a verdict for each patch the reference sums them instead.
pub fn gradient_penalty(
    judge: impl Fn(&Tensor) -> Tensor,
    real: &Tensor,
    fake: &Tensor,
    mix: &Tensor,
) -> Tensor {
    let between = fake + (real - fake) * mix;
    let off = squared_slopes(judge, &between).sqrt() - 1.0;
    off.square().mean(off.kind())
}

/// R1 (Mescheder et al. 2018, <https://arxiv.org/abs/1801.04406>, equation 9), without its weight γ: half the mean of
/// ‖∇f(x)‖₂² at real images `[batch, 3, height, width]`.
pub fn r1(judge: impl Fn(&Tensor) -> Tensor, real: &Tensor) -> Tensor {
    let slopes = squared_slopes(judge, real);
    slopes.mean(slopes.kind()) * 0.5
}

/// ‖∇f‖₂² at every image, `[batch]`, differentiable.
fn squared_slopes(judge: impl Fn(&Tensor) -> Tensor, at: &Tensor) -> Tensor {
    // The slope of a square root is infinite at 0.
    const LEAST: f64 = 1e-12;
    let at = at.detach().set_requires_grad(true);
    let verdicts = judge(&at);
    let each = verdicts.flatten(1, -1).mean_dim(1i64, false, sum_kind(&verdicts));
    let slopes = Tensor::run_backward(&[each.sum(each.kind())], &[&at], true, true);
    slopes[0].flatten(1, -1).square().sum_dim_intlist(1i64, false, sum_kind(&slopes[0])) + LEAST
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    /// f(x) = mean of w·x² has the slope 2 w x / n, n values an image.
    #[test]
    fn penalties_of_a_known_slope() {
        let options = (Kind::Float, Device::Cpu);
        let weight = Tensor::from(3.0f32).set_requires_grad(true);
        let judge = |xs: &Tensor| xs.square() * &weight;
        let (real, fake) = (Tensor::ones([2, 3, 4, 4], options), Tensor::zeros([2, 3, 4, 4], options));
        let mix = Tensor::from_slice(&[0.25f32, 1.0]).reshape([2, 1, 1, 1]);
        let values = 48.0f64;
        // ‖∇f‖ = 2 w x √n / n at x = 0.25 and x = 1.
        let slope = |w: f64, x: f64| 2.0 * w * x / values.sqrt();
        let expected = |w: f64| f64::midpoint((slope(w, 0.25) - 1.0).powi(2), (slope(w, 1.0) - 1.0).powi(2));
        let penalty = gradient_penalty(judge, &real, &fake, &mix);
        assert!((penalty.double_value(&[]) - expected(3.0)).abs() < 1e-6);
        // The penalty has to pull at the weight: its derivative, by central difference of the formula.
        let pull = Tensor::run_backward(&[&penalty], &[&weight], false, false)[0].double_value(&[]);
        let by_difference = (expected(3.0 + 1e-4) - expected(3.0 - 1e-4)) / 2e-4;
        assert!((pull - by_difference).abs() < 1e-5, "{pull}, not {by_difference}");

        let penalty = r1(judge, &real);
        assert!((penalty.double_value(&[]) - slope(3.0, 1.0).powi(2) / 2.0).abs() < 1e-6);
    }

    #[test]
    fn a_flat_discriminator_gives_numbers() {
        let options = (Kind::Float, Device::Cpu);
        let weight = Tensor::from(0.0f32).set_requires_grad(true);
        let (real, fake) = (Tensor::ones([1, 3, 2, 2], options), Tensor::zeros([1, 3, 2, 2], options));
        let mix = Tensor::full([1, 1, 1, 1], 0.5, options);
        let penalty = gradient_penalty(|xs| xs * &weight, &real, &fake, &mix);
        assert!((penalty.double_value(&[]) - 1.0).abs() < 1e-5);
        let pull = Tensor::run_backward(&[&penalty], &[&weight], false, false);
        assert!(pull[0].double_value(&[]).is_finite());
    }
}
