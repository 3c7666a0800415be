//! What a training step takes in, so that it makes no random choice itself.

use indexmap::IndexMap;
use tch::{Device, Tensor};

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

impl StepInput {
    /// Where it lies.
    pub fn device(&self) -> Device {
        self.samples.values().next().map_or(Device::Cpu, Tensor::device)
    }

    /// The same values in tensors of its own.
    #[must_use]
    pub fn copied(&self) -> Self {
        let copies =
            |of: &IndexMap<Space, Tensor>| of.iter().map(|(space, it)| (*space, it.copy())).collect();
        let augments = |(space, it): (&Space, &Augments)| (*space, it.copied());
        Self {
            samples: copies(&self.samples),
            conditions: copies(&self.conditions),
            mismatched: copies(&self.mismatched),
            choices: self.choices.clone(),
            mixes: copies(&self.mixes),
            augments: self.augments.iter().map(augments).collect(),
            ..*self
        }
    }

    /// All of its tensors, in an order that is the same for inputs of one recipe.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let augments = self.augments.values().flat_map(|it| [&it.current, &it.real, &it.shown]);
        let given = self.samples.values().chain(self.conditions.values()).chain(self.mismatched.values());
        given.chain(self.mixes.values()).chain(augments)
    }
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

impl Augments {
    fn copied(&self) -> Self {
        Self { current: self.current.copy(), real: self.real.copy(), shown: self.shown.copy() }
    }
}
