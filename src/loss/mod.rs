//! The terms of a loss: adversarial objectives, penalties on the discriminators' slopes, and the L1 distance.

mod adversarial;
mod penalty;

use tch::{Reduction, Tensor};

pub use adversarial::Objective;
pub use penalty::{gradient_penalty, r1};

/// The mean of |a − b|, of images `[batch, 3, height, width]`: cycle consistency and identity.
pub fn l1(a: &Tensor, b: &Tensor) -> Tensor {
    a.l1_loss(b, Reduction::Mean)
}
