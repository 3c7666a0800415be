//! What a training step takes in, so that it makes no random choice itself.

use indexmap::IndexMap;
use tch::Tensor;

use super::pool::Choice;
use crate::recipe::Space;

/// What a step takes in.
#[derive(Debug)]
pub struct StepInput {
    /// Samples of every space: real images `[batch, 3, size, size]` in [-1, 1], noise `[batch, noise]`.
    pub samples: IndexMap<Space, Tensor>,
    /// For every conditioned space, the condition of each of its real images, which the fakes there are made for too:
    /// labels `[batch]` or tokens `[batch, length]`.
    pub conditions: IndexMap<Space, Tensor>,
    /// Likewise, a condition that the real image does not meet; empty where the recipe does not ask for it.
    pub mismatched: IndexMap<Space, Tensor>,
    /// For every judged space, one replay-pool choice for each fake that lands there, those of all ranks.
    pub choices: IndexMap<Space, Vec<Choice>>,
    /// For every judged space, how much of each point of a gradient penalty is real, 0 to 1, `[fakes, 1, 1, 1]`; empty
    /// where there is no such penalty.
    pub mixes: IndexMap<Space, Tensor>,
    /// For every space whose discriminator's inputs are augmented, what that takes.
    pub augments: IndexMap<Space, Augments>,
    /// Whether this step moves the generators too.
    pub generators: bool,
    /// Learning rate of this step.
    pub lr: f64,
}

/// The random numbers of the augmentation of what one discriminator sees in a step, each 0 to below 1, see
/// [`augment`](crate::nets::augment::augment).
#[derive(Debug)]
pub struct Augments {
    /// For the fakes that the generators are judged by, `[fakes, 7]`.
    pub current: Tensor,
    /// For the real images, `[batch, 7]`.
    pub real: Tensor,
    /// For the fakes that the discriminator is shown, `[fakes, 7]`.
    pub shown: Tensor,
}
