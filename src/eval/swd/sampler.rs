//! The random choices of the sliced Wasserstein distance: where patches are cut and on what they are projected.

use super::{DESCRIPTOR, PATCH};
use crate::random::{Purpose, normal_f64, stream, uniform_below};
use tch::{Kind, Tensor};

/// Patches taken from each image at each level.
pub const PATCHES_PER_IMAGE: i64 = 128;
/// Projections are made in this many repeats, which bounds the memory that sorting takes,
pub const REPEATS: i64 = 4;
/// of this many directions each.
pub const DIRECTIONS: i64 = 128;

/// Which of the two compared sets is sampled: they get different patch positions, so that a set compared with itself
/// shows the distance that chance alone makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// What is judged, for example the translations.
    First,
    /// What it is judged by, for example the target folder.
    Second,
}

/// Patches of one pyramid level of a batch: int64 tensors of one length on any device.
#[derive(Debug)]
pub struct Positions {
    /// Index of the image in the batch.
    pub image: Tensor,
    /// Row of the patch's upper left pixel, in `0..=height - PATCH`.
    pub top: Tensor,
    /// Column of the patch's upper left pixel, in `0..=width - PATCH`.
    pub left: Tensor,
}

/// Draws patch positions and directions; the same seed draws the same ones.
#[derive(Debug, Clone, Copy)]
pub struct Sampler {
    seed: u64,
}

impl Sampler {
    /// A sampler for this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// [`PATCHES_PER_IMAGE`] positions at each level for each of `images` images, uniform over the places where a
    /// patch fits. `first` is the number of images of this set that came before the batch: an image's positions
    /// depend on its place in the set, not on the batching.
    pub fn positions(&self, set: Set, first: u64, images: u64, levels: &[(i64, i64)]) -> Vec<Positions> {
        let place = |rng: &mut _, side: i64| uniform_below(rng, (side - PATCH + 1) as u64) as i64;
        let mut drawn: Vec<[Vec<i64>; 3]> = levels.iter().map(|_| Default::default()).collect();
        for image in 0..images {
            let mut rng = stream(self.seed, Purpose::SwdPatches, 2 * (first + image) + set as u64);
            for (&(height, width), [at_image, at_top, at_left]) in levels.iter().zip(&mut drawn) {
                for _ in 0..PATCHES_PER_IMAGE {
                    at_image.push(image as i64);
                    at_top.push(place(&mut rng, height));
                    at_left.push(place(&mut rng, width));
                }
            }
        }
        let tensor = |values: Vec<i64>| Tensor::from_slice(&values);
        drawn
            .into_iter()
            .map(|[image, top, left]| Positions {
                image: tensor(image),
                top: tensor(top),
                left: tensor(left),
            })
            .collect()
    }

    /// For each level, directions that are uniform on the unit sphere of descriptors:
    /// `[REPEATS, DIRECTIONS, 3 * PATCH * PATCH]`, float32.
    pub fn directions(&self, levels: usize) -> Vec<Tensor> {
        (0..levels as u64)
            .map(|level| {
                let mut rng = stream(self.seed, Purpose::SwdDirections, level);
                let numbers = REPEATS * DIRECTIONS * DESCRIPTOR;
                let values: Vec<f64> = (0..numbers).map(|_| normal_f64(&mut rng)).collect();
                let xs = Tensor::from_slice(&values).reshape([REPEATS, DIRECTIONS, DESCRIPTOR]);
                (&xs / xs.square().sum_dim_intlist(-1, true, Kind::Double).sqrt()).to_kind(Kind::Float)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_have_length_1_and_no_preference() {
        let directions = &Sampler::new(3).directions(2)[1];
        assert_eq!(directions.size(), [REPEATS, DIRECTIONS, DESCRIPTOR]);
        assert!(
            (directions.square().sum_dim_intlist(-1, false, None::<Kind>) - 1.0)
                .abs()
                .max()
                .double_value(&[])
                < 1e-5
        );
        // 512 means of 147 numbers of variance 1/147 each: their mean has deviation 1/147/sqrt(512).
        let mean = directions.mean(Kind::Double).double_value(&[]);
        assert!(mean.abs() < 5.0 / 147.0 / 512f64.sqrt(), "{mean}");
    }

    #[test]
    fn positions_reach_every_place_where_a_patch_fits() {
        let at = &Sampler::new(3).positions(Set::First, 0, 40, &[(16, 18)])[0];
        let range = |xs: &Tensor| (xs.min().int64_value(&[]), xs.max().int64_value(&[]));
        assert_eq!([range(&at.image), range(&at.top), range(&at.left)], [(0, 39), (0, 9), (0, 11)]);
    }
}
