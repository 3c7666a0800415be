//! Everything that a training step takes in, made of loaded images and of random choices, each a function of the seed and
//! of how many images were shown before.

use std::ops::Range;

use indexmap::IndexMap;
use tch::{Device, Tensor};

use super::pool::Choice;
use super::schedule;
use super::step::{Augments, StepInput};
use crate::data::condition::Conditioned;
use crate::data::convert::from_bytes;
use crate::data::loader::Batch;
use crate::data::noise::noise;
use crate::nets::augment::NUMBERS;
use crate::random::{Purpose, stream, unit_f32};
use crate::recipe::{Condition, Recipe, Space};
use crate::share::Share;
use crate::torch::upload;

/// The input of the step that comes after `steps` steps, for one rank's share of the batch, which `loaded` holds. `sides`
/// holds the conditions of each conditioned space.
pub fn step_input(
    recipe: &Recipe,
    sides: &IndexMap<Space, Conditioned>,
    loaded: &Batch,
    (steps, share): (u64, Share),
    device: Device,
) -> StepInput {
    let (batch, size) = (share.of(recipe.train.batch), recipe.data.size);
    let draw = Draw { recipe, shown: steps * recipe.train.batch as u64, share, device };
    let own = draw.images();
    let images = loaded.sides.iter().map(|bytes| from_bytes(bytes, batch, size, size, device));
    let mut samples: IndexMap<Space, Tensor> = recipe.spaces().into_iter().zip(images).collect();
    if let Some(width) = recipe.noise() {
        let noise = noise(recipe.train.seed, Purpose::Noise, own.start, batch, width, device);
        samples.insert(Space::Z, noise);
    }
    let (seed, first, spaces) = (recipe.train.seed, own.start, recipe.spaces());
    let items = |space: &Space| &loaded.items[spaces.iter().position(|other| other == space).unwrap_or(0)];
    let drawn = |(space, side): (&Space, &Conditioned)| {
        (*space, upload(side.draw(seed, first, items(space)), device))
    };
    let mismatched = |(space, side): (&Space, &Conditioned)| {
        (*space, upload(side.draw_mismatched(seed, first, items(space)), device))
    };
    let is_aware = |(space, _): &(&Space, &Conditioned)| {
        recipe.conditions.get(*space).is_some_and(Condition::is_matching_aware)
    };
    let judged = || recipe.discriminators.iter();
    let is_mixed = recipe.loss.adversarial.penalty().is_some();
    let augmented = judged().filter(|(_, discriminator)| !discriminator.augment.is_empty());
    StepInput {
        samples,
        conditions: sides.iter().map(drawn).collect(),
        mismatched: sides.iter().filter(is_aware).map(mismatched).collect(),
        choices: judged().map(|(space, _)| (*space, draw.choices(*space))).collect(),
        mixes: judged().filter(|_| is_mixed).map(|(space, _)| (*space, draw.mixes(*space))).collect(),
        augments: augmented.map(|(space, _)| (*space, draw.augments(*space))).collect(),
        // The discriminators' own steps come first.
        generators: (steps + 1).is_multiple_of(recipe.train.critic_steps),
        lr: schedule::rate(recipe, draw.shown),
    }
}

struct Draw<'a> {
    recipe: &'a Recipe,
    /// Images shown before.
    shown: u64,
    /// Which part of the batch this is.
    share: Share,
    device: Device,
}

impl Draw<'_> {
    /// The numbers, counted over the whole training, of the share's images of one space.
    fn images(&self) -> Range<u64> {
        self.share.range(self.shown, self.recipe.train.batch)
    }

    /// The numbers, counted over the whole training, of the fakes in a share that land in `space`: those of one arrow after
    /// those of another.
    fn landing(&self, space: Space, share: Share) -> impl Iterator<Item = u64> {
        let arrows = self.recipe.generators.values().filter(|arrow| arrow.to == space).count() as u64;
        let batch = self.recipe.train.batch;
        let first = self.shown * arrows;
        (0..arrows).flat_map(move |arrow| share.range(first + arrow * batch as u64, batch))
    }

    /// One choice for each fake that lands in `space`, whoever makes it.
    fn choices(&self, space: Space) -> Vec<Choice> {
        let (seed, pool) = (self.recipe.train.seed, self.recipe.loss.pool);
        self.landing(space, Share::WHOLE).map(|fake| Choice::draw(seed, space, fake, pool)).collect()
    }

    /// One number from 0 to 1 for each fake that lands in `space`, `[fakes, 1, 1, 1]`.
    fn mixes(&self, space: Space) -> Tensor {
        let counter = |fake| 2 * fake + space.side() as u64;
        let draw = |fake| unit_f32(&mut stream(self.recipe.train.seed, Purpose::Mix, counter(fake)));
        let drawn: Vec<f32> = self.landing(space, self.share).map(draw).collect();
        upload(Tensor::from_slice(&drawn).reshape([-1, 1, 1, 1]), self.device)
    }

    fn augments(&self, space: Space) -> Augments {
        let drawn = |images: &mut dyn Iterator<Item = u64>, usage: u64| {
            let image = |image: u64| {
                let counter = 3 * (2 * image + space.side() as u64) + usage;
                let mut rng = stream(self.recipe.train.seed, Purpose::Augment, counter);
                (0..NUMBERS).map(move |_| unit_f32(&mut rng))
            };
            let numbers: Vec<f32> = images.flat_map(image).collect();
            upload(Tensor::from_slice(&numbers).reshape([-1, NUMBERS]), self.device)
        };
        let fakes = || self.landing(space, self.share);
        Augments {
            current: drawn(&mut fakes(), 0),
            real: drawn(&mut self.images(), 1),
            shown: drawn(&mut fakes(), 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::resolve;

    /// 200 epochs of 6 images, `batch` a step.
    fn recipe(batch: usize) -> Recipe {
        let mut recipe = resolve("cyclegan", &[]).unwrap();
        (recipe.data.size, recipe.train.seed, recipe.loss.pool) = (1, 7, 5);
        (recipe.train.images, recipe.train.batch) = (200 * 6, batch);
        recipe
    }

    fn input(recipe: &Recipe, steps: u64) -> StepInput {
        let batch = recipe.train.batch;
        let loaded = Batch { sides: vec![vec![0; 3 * batch]; 2], items: vec![vec![0; batch]; 2] };
        step_input(recipe, &IndexMap::new(), &loaded, (steps, Share::WHOLE), Device::Cpu)
    }

    /// The reference's rule: `1 - max(0, e - 100) / 101` in epoch e, counted from 1.
    #[test]
    fn the_learning_rate_of_a_step_is_the_reference_s() {
        for batch in [1, 2] {
            let (recipe, steps_an_epoch) = (recipe(batch), 6 / batch as u64);
            for epoch in 1..=200u64 {
                let expected = 2e-4 * (1.0 - epoch.saturating_sub(100) as f64 / 101.0);
                for steps in (epoch - 1) * steps_an_epoch..epoch * steps_an_epoch {
                    let lr = input(&recipe, steps).lr;
                    assert!(
                        (lr - expected).abs() < 1e-15,
                        "epoch {epoch}, step {steps}: {lr}, not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_pool_s_choices_are_those_of_the_fakes_by_their_number() {
        let recipe = recipe(2);
        let mut all = Vec::new();
        for steps in 0..20 {
            let found = input(&recipe, steps).choices;
            assert_eq!(found.len(), 2);
            for space in [Space::X, Space::Y] {
                let expected = [2 * steps, 2 * steps + 1].map(|fake| Choice::draw(7, space, fake, 5));
                assert_eq!(found[&space], expected, "step {steps}");
                all.extend(expected);
            }
        }
        assert!(all.iter().any(|choice| choice.swap) && all.iter().any(|choice| !choice.swap));
        assert!((0..5).all(|slot| all.iter().any(|choice| choice.slot == slot)));
    }
}
