//! The learning rate over training: constant, then falling towards zero in equal stairs.

use crate::recipe::{Recipe, Train};

/// The learning rate of the step that follows `shown` images.
pub fn rate(recipe: &Recipe, shown: u64) -> f64 {
    recipe.optim.lr * factor(&recipe.train, shown)
}

/// The factor on the learning rate after `shown` images, from 1 down to 1 / (stairs + 1).
///
/// With the defaults and 200 epochs of images this is the reference's rule, 1 − max(0, e − 100) / 101 in epoch
/// e = 1 … 200 (`lr_policy linear`, 100 constant and 100 decaying epochs).
pub fn factor(train: &Train, shown: u64) -> f64 {
    let constant = train.images as f64 * train.decay_after;
    let progress = shown as f64 - constant;
    if progress < 0.0 || train.decay_after >= 1.0 {
        return 1.0;
    }
    let stair_length = (train.images as f64 - constant) / train.decay_stairs as f64;
    // Past `train.images`, where the last batch reaches over the end, the last stair goes on.
    let stair = ((progress / stair_length).floor() + 1.0).min(train.decay_stairs as f64);
    1.0 - stair / (train.decay_stairs as f64 + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Arithmetic, MemoryFormat};

    fn train(images: u64, decay_after: f64, decay_stairs: u64) -> Train {
        Train {
            images,
            batch: 1,
            accumulate: 1,
            activation_checkpointing: false,
            precision: Arithmetic::Auto,
            memory_format: MemoryFormat::Auto,
            deterministic: false,
            cuda_graph: true,
            critic_steps: 1,
            decay_after,
            decay_stairs,
            ema: 0.0,
            seed: 0,
        }
    }

    #[test]
    fn equals_the_reference_in_every_epoch() {
        let epoch_length = 1334;
        let train = train(200 * epoch_length, 0.5, 100);
        for epoch in 1..=200u64 {
            let expected = 1.0 - (epoch.saturating_sub(100)) as f64 / 101.0;
            for image in [(epoch - 1) * epoch_length, epoch * epoch_length - 1] {
                let got = factor(&train, image);
                assert!(
                    (got - expected).abs() < 1e-12,
                    "epoch {epoch}, image {image}: {got}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn edges() {
        assert!((factor(&train(100, 1.0, 10), 100) - 1.0).abs() < 1e-12);
        assert!((factor(&train(100, 0.0, 1), 0) - 0.5).abs() < 1e-12);
        assert!((factor(&train(100, 0.5, 4), 1000) - 0.2).abs() < 1e-12);
    }
}
