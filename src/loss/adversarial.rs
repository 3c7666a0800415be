//! Adversarial objectives: what the discriminators measure and the generators lower.

use std::f64::consts::LN_2;

use crate::torch::sum_kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// An adversarial objective, with the paper that it follows.
///
/// Verdicts are a discriminator's raw outputs D, of any shape; every loss is a mean over them, a scalar. σ is the
/// logistic function, and a verdict's σ the probability that an image is real.
#[derive(Debug, Clone, Copy, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Objective {
    /// Cross-entropy (Goodfellow et al. 2014, <https://arxiv.org/abs/1406.2661>, equation 1): the discriminator lowers
    /// −log σ(D(real)) − log(1 − σ(D(fake))), the generator raises the same. At the optimum it measures the
    /// Jensen–Shannon divergence, whose gradient vanishes where the discriminator tells all fakes.
    Minimax {},
    /// The same discriminator; the generator lowers −log σ(D(fake)) (section 3 of the same paper), whose gradient is
    /// largest where [`Minimax`](Self::Minimax)'s vanishes.
    NonSaturating {},
    /// Least squares (Mao et al. 2017, <https://arxiv.org/abs/1611.04076>): the discriminator lowers
    /// ½[(D(real) − 1)² + D(fake)²], the generator (D(fake) − 1)². The paper's Pearson χ² divergence belongs to targets
    /// −1, 1 and 0; with these, which the reference uses, the loss at the optimum is ½∫ pq/(p + q), as bounded as the
    /// Jensen–Shannon divergence. What keeps the generator going is that no logistic function flattens its slope.
    Lsgan {},
    /// Hinge (Lim & Ye 2017, <https://arxiv.org/abs/1705.02894>): the discriminator lowers
    /// max(0, 1 − D(real)) + max(0, 1 + D(fake)), the generator −D(fake).
    Hinge {},
    /// Wasserstein (Arjovsky et al. 2017, <https://arxiv.org/abs/1701.07875>): the discriminator raises
    /// D(real) − D(fake), the generator raises D(fake). Every weight of the discriminator is kept within ±`clip`, so that
    /// it stays Lipschitz; it then measures a multiple of the Wasserstein-1 distance.
    Wgan {
        /// The largest weight of a discriminator.
        #[serde(default = "clip")]
        clip: f64,
    },
    /// The same, with slope 1 asked for by a penalty instead (Gulrajani et al. 2017,
    /// <https://arxiv.org/abs/1704.00028>), see [`gradient_penalty`](super::gradient_penalty).
    WganGp {
        /// Weight of the penalty.
        #[serde(default = "penalty")]
        penalty: f64,
    },
}

const fn clip() -> f64 {
    0.01
}

const fn penalty() -> f64 {
    10.0
}

impl Default for Objective {
    fn default() -> Self {
        Self::Lsgan {}
    }
}

impl Objective {
    /// What a generator lowers, given the verdicts on its fakes.
    pub fn generator(self, on_fake: &Tensor) -> Tensor {
        match self {
            // log(1 − σ(D)) = −softplus(D)
            Self::Minimax {} => -mean(&on_fake.softplus()),
            Self::NonSaturating {} => mean(&(-on_fake).softplus()),
            Self::Lsgan {} => squared_distance(on_fake, 1.0),
            Self::Hinge {} | Self::Wgan { .. } | Self::WganGp { .. } => -mean(on_fake),
        }
    }

    /// What a discriminator lowers, given its verdicts on real images and on fakes; without penalties.
    pub fn discriminator(self, on_real: &Tensor, on_fake: &Tensor) -> Tensor {
        match self {
            Self::Minimax {} | Self::NonSaturating {} => {
                mean(&(-on_real).softplus()) + mean(&on_fake.softplus())
            }
            Self::Lsgan {} => (squared_distance(on_real, 1.0) + squared_distance(on_fake, 0.0)) * 0.5,
            Self::Hinge {} => mean(&(-on_real + 1.0).relu()) + mean(&(on_fake + 1.0).relu()),
            Self::Wgan { .. } | Self::WganGp { .. } => mean(on_fake) - mean(on_real),
        }
    }

    /// The divergence that `loss`, as [`discriminator`](Self::discriminator) gives it, estimates as well as the
    /// discriminator is good: the Jensen–Shannon divergence in nats, 0 to log 2, from below; or the Wasserstein-1
    /// distance W in units of the images. For [`Wgan`](Self::Wgan) that is up to a constant which the clip decides, and
    /// a penalty of weight λ lets the best slope be 1 + W/2λ, so that the estimate tends to W + W²/2λ: compare within
    /// one recipe.
    ///
    /// A single batch's estimate of the Jensen–Shannon divergence may lie below 0: means of several are for
    /// [`bounded`](Self::bounded). With a matching-aware discriminator the estimate reads low: it learns with fakes at
    /// half the weight, the other half being real images with a wrong condition, and so is not the best judge of fakes.
    /// With a replay pool the fakes are partly those of earlier generators, so that it is the divergence of a mixture of
    /// them all.
    pub fn divergence(self, loss: &Tensor) -> Option<Tensor> {
        match self {
            // At the optimum the loss is log 4 − 2 JS.
            Self::Minimax {} | Self::NonSaturating {} => Some(LN_2 - loss * 0.5),
            Self::Wgan { .. } | Self::WganGp { .. } => Some(-loss),
            Self::Lsgan {} | Self::Hinge {} => None,
        }
    }

    /// The mean of many [`divergence`](Self::divergence)s as a bound: a discriminator that is worse than a coin bounds
    /// nothing. Bounding each of them instead would lift the mean wherever it is near 0.
    pub fn bounded(self, mean: f64) -> f64 {
        // Not `max`, which would turn NaN into 0.
        if self.saturates() && mean < 0.0 { 0.0 } else { mean }
    }

    /// Whether it is a Wasserstein objective, whose [`divergence`](Self::divergence) does not saturate.
    pub const fn is_wasserstein(self) -> bool {
        matches!(self, Self::Wgan { .. } | Self::WganGp { .. })
    }

    /// The largest weight that a discriminator is allowed; none where weights are free.
    pub const fn clip(self) -> Option<f64> {
        if let Self::Wgan { clip } = self { Some(clip) } else { None }
    }

    /// Weight of the gradient penalty, where there is one.
    pub const fn penalty(self) -> Option<f64> {
        if let Self::WganGp { penalty } = self { Some(penalty) } else { None }
    }

    /// Whether [`divergence`](Self::divergence) is the Jensen–Shannon divergence, which saturates.
    pub const fn saturates(self) -> bool {
        matches!(self, Self::Minimax {} | Self::NonSaturating {})
    }
}

fn mean(verdicts: &Tensor) -> Tensor {
    verdicts.mean(sum_kind(verdicts))
}

fn squared_distance(verdicts: &Tensor, target: f64) -> Tensor {
    mean(&(verdicts - target).square())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tensor: &Tensor) -> f64 {
        tensor.double_value(&[])
    }

    fn all() -> [Objective; 6] {
        let (clip, penalty) = (clip(), penalty());
        [
            Objective::Minimax {},
            Objective::NonSaturating {},
            Objective::Lsgan {},
            Objective::Hinge {},
            Objective::Wgan { clip },
            Objective::WganGp { penalty },
        ]
    }

    /// Generator's and discriminator's loss on verdicts (1, 0) on real images and (0.5, -1) on fakes, from the papers'
    /// formulas in Python:
    ///
    ///   s = lambda d: 1 / (1 + exp(-d))
    ///   minimax:        (log(1-s(.5)) + log(1-s(-1))) / 2
    ///   non-saturating: -(log(s(.5)) + log(s(-1))) / 2
    ///   both:           -(log(s(1)) + log(s(0))) / 2 - (log(1-s(.5)) + log(1-s(-1))) / 2
    #[test]
    fn formulas_by_hand() {
        let (real, fake) = (Tensor::from_slice(&[1.0f32, 0.0]), Tensor::from_slice(&[0.5f32, -1.0]));
        let cross_entropy = 1.146_873_769_9;
        let expected = [
            (-0.643_669_335_8, cross_entropy),
            (0.893_669_335_8, cross_entropy),
            // ((0.5 - 1)² + (-1 - 1)²) / 2 and ½[(0² + 1²)/2 + (0.5² + 1²)/2]
            (2.125, 0.5625),
            // -(0.5 - 1) / 2 and (0 + 1) / 2 + (1.5 + 0) / 2
            (0.25, 1.25),
            (0.25, -0.75),
            (0.25, -0.75),
        ];
        for (objective, (generator, discriminator)) in all().into_iter().zip(expected) {
            let (g, d) = (value(&objective.generator(&fake)), value(&objective.discriminator(&real, &fake)));
            assert!((g - generator).abs() < 1e-6, "{objective:?}: {g}");
            assert!((d - discriminator).abs() < 1e-6, "{objective:?}: {d}");
        }
    }

    #[test]
    fn estimates_at_verdicts_that_are_known() {
        let (high, low) = (Tensor::from_slice(&[40.0f32]), Tensor::from_slice(&[-40.0f32]));
        for objective in all() {
            let estimate = |real: &Tensor, fake: &Tensor| {
                objective.divergence(&objective.discriminator(real, fake)).map(|estimate| value(&estimate))
            };
            let [apart, level, wrong] =
                [(&high, &low), (&high, &high), (&low, &high)].map(|(r, f)| estimate(r, f));
            match objective {
                Objective::Lsgan {} | Objective::Hinge {} => assert_eq!(apart, None),
                Objective::Wgan { .. } | Objective::WganGp { .. } => {
                    assert_eq!((apart, level, wrong), (Some(80.0), Some(0.0), Some(-80.0)));
                }
                _ => {
                    assert!((apart.unwrap() - LN_2).abs() < 1e-6, "{apart:?}");
                    // Means of softplus(−40), nothing, and of softplus(40), which is 40.
                    for (got, loss) in [(level, 40.0), (wrong, 80.0)] {
                        assert!((got.unwrap() - (LN_2 - loss / 2.0)).abs() < 1e-5, "{got:?}");
                    }
                }
            }
            assert_eq!(objective.saturates(), apart.is_some_and(|value| value < 1.0));
        }
    }

    #[test]
    fn only_a_mean_that_bounds_nothing_is_cut() {
        for objective in all() {
            let least = if objective.saturates() { 0.0 } else { -0.1 };
            assert_eq!((objective.bounded(-0.1), objective.bounded(0.1)), (least, 0.1), "{objective:?}");
            assert!(objective.bounded(f64::NAN).is_nan());
        }
    }

    #[test]
    fn names_and_defaults_are_those_of_recipes() {
        let names = ["minimax", "non-saturating", "lsgan", "hinge", "wgan", "wgan-gp"];
        for (objective, name) in all().into_iter().zip(names) {
            let read: Objective = serde_yaml::from_str(&format!("kind: {name}")).unwrap();
            assert_eq!(read, objective);
        }
        assert!(serde_yaml::from_str::<Objective>("{ kind: hinge, clip: 1 }").is_err());
    }
}
