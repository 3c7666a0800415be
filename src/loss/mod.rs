//! Adversarial objectives: what the discriminators measure and the generators lower.

use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor};

/// An adversarial objective, with the paper that it follows.
///
/// Verdicts are a discriminator's raw outputs, of any shape; every loss is a mean over them, a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Objective {
    /// Least squares (Mao et al. 2017): the discriminator lowers ½[(D(real) − 1)² + D(fake)²], the generator
    /// (D(fake) − 1)². At the optimum it measures the Pearson χ² divergence, which does not saturate.
    Lsgan {},
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
            Self::Lsgan {} => squared_distance(on_fake, 1.0),
        }
    }

    /// What a discriminator lowers, given its verdicts on real images and on fakes.
    pub fn discriminator(self, on_real: &Tensor, on_fake: &Tensor) -> Tensor {
        match self {
            Self::Lsgan {} => (squared_distance(on_real, 1.0) + squared_distance(on_fake, 0.0)) * 0.5,
        }
    }
}

/// The mean of |a − b|, of images `[batch, 3, height, width]`: cycle consistency and identity.
pub fn l1(a: &Tensor, b: &Tensor) -> Tensor {
    a.l1_loss(b, Reduction::Mean)
}

fn squared_distance(verdicts: &Tensor, target: f64) -> Tensor {
    (verdicts - target).square().mean(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_squares_by_hand() {
        let real = Tensor::from_slice(&[1.0f32, 0.0]);
        let fake = Tensor::from_slice(&[0.5f32, -1.0]);
        let objective = Objective::default();
        // ((0.5 - 1)² + (-1 - 1)²) / 2 and ½[(0² + 1²)/2 + (0.5² + 1²)/2]
        assert!((objective.generator(&fake).double_value(&[]) - 2.125).abs() < 1e-6);
        assert!((objective.discriminator(&real, &fake).double_value(&[]) - 0.5625).abs() < 1e-6);
    }
}
