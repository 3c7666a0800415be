//! Differentiable augmentation (Zhao et al. 2020, <https://arxiv.org/abs/2006.10738>): what a discriminator sees is changed
//! at random, real images and fakes alike, so that it cannot learn a small folder by heart; gradients go through.

use crate::torch::sum_kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Numbers of randomness that one image takes, each from 0 to below 1.
pub const NUMBERS: i64 = 7;

/// The farthest that an image is moved, as a part of its side.
const SHIFT: f64 = 1.0 / 8.0;
/// The side of the hole, as a part of the image's.
const HOLE: f64 = 0.5;

/// One kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augmentation {
    /// Brightness by up to ±0.5, saturation from 0 to 2 times, contrast from 0.5 to 1.5 times.
    Color,
    /// Moved by up to an eighth in each direction, with mid-grey (0, the middle of the range) coming in.
    Translation,
    /// A square of half the side, anywhere, set to 0.
    Cutout,
}

/// Changes images `[batch, channels, height, width]` in [-1, 1] (where there are six channels, both of an image's halves
/// alike) by the numbers `random` `[batch, 7]`, each from 0 to below 1.
pub fn augment(images: &Tensor, kinds: &[Augmentation], random: &Tensor) -> Tensor {
    let number = |i: i64| random.select(1, i).reshape([-1, 1, 1, 1]);
    let mut xs = images.shallow_clone();
    for kind in kinds {
        xs = match kind {
            Augmentation::Color => {
                let parts = xs.split(3, 1);
                let changed = parts.iter().map(|xs| color(xs, &number(0), &number(1), &number(2)));
                Tensor::cat(&changed.collect::<Vec<_>>(), 1)
            }
            Augmentation::Translation => translate(&xs, &random.select(1, 3), &random.select(1, 4)),
            Augmentation::Cutout => cut(&xs, &number(5), &number(6)),
        };
    }
    xs
}

fn color(xs: &Tensor, brightness: &Tensor, saturation: &Tensor, contrast: &Tensor) -> Tensor {
    let xs = xs + (brightness - 0.5);
    let grey = xs.mean_dim(1i64, true, sum_kind(&xs));
    let xs = (&xs - &grey) * (saturation * 2.0) + grey;
    let middle = xs.mean_dim([1i64, 2, 3].as_slice(), true, sum_kind(&xs));
    (&xs - &middle) * (contrast + 0.5) + middle
}

/// A whole number from 0 to `n` - 1 for each of `random`.
fn below(random: &Tensor, n: i64) -> Tensor {
    (random * n as f64).floor().clamp(0.0, (n - 1) as f64).to_kind(Kind::Int64)
}

fn translate(xs: &Tensor, down: &Tensor, right: &Tensor) -> Tensor {
    let (batch, _, height, width) = xs.size4().unwrap_or_default();
    let options = (Kind::Int64, xs.device());
    // A frame of zeros, from which everything outside is taken.
    let framed = xs.constant_pad_nd([1, 1, 1, 1]).permute([0, 2, 3, 1]);
    let places = |side: i64, random: &Tensor| {
        let most = (side as f64 * SHIFT + 0.5) as i64;
        let shift = below(random, 2 * most + 1) - most;
        (Tensor::arange(side, options).unsqueeze(0) + shift.unsqueeze(1) + 1).clamp(0, side + 1)
    };
    let each = Tensor::arange(batch, options).reshape([-1, 1, 1]);
    let rows = places(height, down).unsqueeze(2);
    let columns = places(width, right).unsqueeze(1);
    framed.index(&[Some(each), Some(rows), Some(columns)]).permute([0, 3, 1, 2]).contiguous()
}

fn cut(xs: &Tensor, down: &Tensor, right: &Tensor) -> Tensor {
    let (_, _, height, width) = xs.size4().unwrap_or_default();
    let options = (Kind::Int64, xs.device());
    let inside = |side: i64, random: &Tensor| {
        let hole = (side as f64 * HOLE + 0.5) as i64;
        // Its middle may be at any pixel, so that part of it may fall outside.
        let first = below(random, side + (1 - hole % 2)) - hole / 2;
        let place = Tensor::arange(side, options);
        let first = first.reshape([-1, 1]);
        place.ge_tensor(&first).logical_and(&place.lt_tensor(&(first + hole)))
    };
    let hole = inside(height, down).unsqueeze(2).logical_and(&inside(width, right).unsqueeze(1));
    xs * hole.logical_not().unsqueeze(1).to_kind(xs.kind())
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    fn random(values: [f32; 7]) -> Tensor {
        Tensor::from_slice(&values).reshape([1, 7])
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten(0, -1).try_into().unwrap()
    }

    fn assert_close(got: &Tensor, expected: &[f64]) {
        for (got, expected) in values(got).iter().zip(expected) {
            assert!((f64::from(*got) - expected).abs() < 1e-6, "{got}, not {expected}");
        }
    }

    #[test]
    fn colours_by_hand() {
        // One pixel; brightness +0.25, saturation × 0.5, contrast × 1 (its own mean stays).
        let xs = Tensor::from_slice(&[0.0f32, 0.3, -0.6]).reshape([1, 3, 1, 1]);
        let got = augment(&xs, &[Augmentation::Color], &random([0.75, 0.25, 0.5, 0.0, 0.0, 0.0, 0.0]));
        // 0.25, 0.55, -0.35 with the mean 0.15, at half the distance from it.
        assert_close(&got, &[0.2, 0.35, -0.1]);
        // Two grey pixels at half the contrast.
        let xs = Tensor::from_slice(&[0.0f32, 0.8]).reshape([1, 1, 1, 2]).repeat([1, 6, 1, 1]);
        let got = augment(&xs, &[Augmentation::Color], &random([0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]));
        assert_eq!(got.size(), [1, 6, 1, 2]);
        assert_close(&got, &[0.2, 0.6, 0.2, 0.6]);
    }

    #[test]
    fn a_shift_moves_every_row_and_brings_zeros_in() {
        // 8 × 8: at most one pixel; 0 is one up and one left of what is read, 0.99 the other way.
        let xs =
            (Tensor::arange(64, (Kind::Float, Device::Cpu)) + 1.0).reshape([1, 1, 8, 8]).repeat([1, 3, 1, 1]);
        let kinds = [Augmentation::Translation];
        let stays = augment(&xs, &kinds, &random([0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0]));
        assert_eq!(values(&stays), values(&xs));
        let moved = augment(&xs, &kinds, &random([0.0, 0.0, 0.0, 0.0, 0.99, 0.0, 0.0])).get(0).get(0);
        assert_eq!(values(&moved.get(0)), [0.0; 8]);
        assert_eq!(values(&moved.get(1)), [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 0.0]);
    }

    #[test]
    fn a_hole_is_half_as_wide_and_may_leave_the_image() {
        let xs = Tensor::ones([1, 3, 4, 4], (Kind::Float, Device::Cpu));
        let kinds = [Augmentation::Cutout];
        // Middle at row 2 of 0 to 4, column 0.
        let got = augment(&xs, &kinds, &random([0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0])).get(0).get(1);
        let expected = [1., 1., 1., 1., 0., 1., 1., 1., 0., 1., 1., 1., 1., 1., 1., 1.];
        assert_eq!(values(&got), expected);
    }

    #[test]
    fn every_image_has_its_own_numbers_and_gradients_go_through() {
        let xs = Tensor::ones([2, 3, 16, 16], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let random = Tensor::from_slice(&[[0.2f32; 7], [0.8; 7]].concat()).reshape([2, 7]);
        let kinds = [Augmentation::Color, Augmentation::Translation, Augmentation::Cutout];
        let both = augment(&xs, &kinds, &random);
        for i in 0..2 {
            let alone = augment(&xs.narrow(0, i, 1), &kinds, &random.narrow(0, i, 1));
            assert_eq!(values(&both.narrow(0, i, 1)), values(&alone));
        }
        assert_ne!(values(&both.get(0)), values(&both.get(1)));
        let slope = Tensor::run_backward(&[both.square().sum(Kind::Float)], &[&xs], false, false);
        assert!(slope[0].abs().sum(Kind::Float).double_value(&[]) > 1.0);
    }
}
