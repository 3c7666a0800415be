//! The safe side of `kernels.cpp`: what a finished generator does most of on a CPU. Nothing here has a gradient.

use std::ffi::c_char;

use tch::{TchError, Tensor};
use torch_sys::C_tensor;

use super::shim::{made, or_panic, raw};

unsafe extern "C" {
    fn translate_winograd_weight(out: *mut *mut C_tensor, weight: *mut C_tensor) -> *mut c_char;
    fn translate_winograd(
        out: *mut *mut C_tensor,
        images: *mut C_tensor,
        weight: *mut C_tensor,
        bias: *mut C_tensor,
    ) -> *mut c_char;
    fn translate_instance_norm(out: *mut *mut C_tensor, images: *mut C_tensor, eps: f64) -> *mut c_char;
    fn translate_channels_last(out: *mut *mut C_tensor, xs: *mut C_tensor) -> *mut c_char;
}

/// The weight of a 3×3 convolution of stride 1, made ready for [`Winograd::forward`].
#[derive(Debug)]
pub struct Winograd {
    /// `[36, from, to]`
    weight: Tensor,
    /// `[to]`
    bias: Tensor,
}

impl Winograd {
    /// From a weight `[to, from, 3, 3]` and a bias `[to]`, or none.
    ///
    /// # Errors
    /// libtorch's.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self, TchError> {
        // SAFETY: the weight lives through the call.
        let products = made(|out| unsafe { translate_winograd_weight(out, raw(weight)) })?;
        let none = || Tensor::zeros([weight.size()[0]], (weight.kind(), weight.device()));
        Ok(Self { weight: products, bias: bias.map_or_else(none, Tensor::detach) })
    }

    /// `[batch, from, height, width]` to `[batch, to, height, width]`, channels-last, with the border mirrored by one pixel:
    /// a convolution by less than a third of its products (Lavin & Gray 2016, <https://arxiv.org/abs/1509.09308>). Float32
    /// on a CPU; about 1e-5 of the largest value from what the plain convolution gives.
    ///
    /// # Panics
    /// Where libtorch fails, as tch's own plain methods do; see [`super::guard`].
    pub fn forward(&self, xs: &Tensor) -> Tensor {
        // SAFETY: all three live through the call.
        or_panic(made(|out| unsafe { translate_winograd(out, raw(xs), raw(&self.weight), raw(&self.bias)) }))
    }
}

/// Instance norm (Ulyanov et al. 2016) of `[batch, channels, height, width]` without scale or shift, in the memory order of
/// channels-last. Float32 on a CPU.
///
/// # Panics
/// As [`Winograd::forward`].
pub fn instance_norm(xs: &Tensor, eps: f64) -> Tensor {
    // SAFETY: `xs` lives through the call.
    or_panic(made(|out| unsafe { translate_instance_norm(out, raw(xs), eps) }))
}

/// The same values in the memory order of channels-last: the channels of one pixel side by side.
///
/// # Panics
/// As [`Winograd::forward`].
pub fn channels_last(xs: &Tensor) -> Tensor {
    // SAFETY: `xs` lives through the call.
    or_panic(made(|out| unsafe { translate_channels_last(out, raw(xs)) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn random(shape: &[i64]) -> Tensor {
        Tensor::randn(shape, (Kind::Float, Device::Cpu))
    }

    fn furthest(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn a_convolution_by_tiles_is_the_convolution() {
        // Sides that tiles fill and that they do not, down to the least; channels that fill registers and that do not; more
        // tiles than a block takes.
        for (batch, from, to, height, width) in [
            (1, 3, 5, 2, 2),
            (2, 16, 16, 4, 8),
            (1, 33, 20, 5, 7),
            (3, 17, 32, 9, 6),
            (1, 8, 40, 3, 64),
            (2, 32, 48, 37, 50),
        ] {
            let (xs, weight) = (random(&[batch, from, height, width]), random(&[to, from, 3, 3]));
            let bias = random(&[to]);
            let exact = |xs: &Tensor| xs.to_kind(Kind::Double);
            let padded = exact(&xs).reflection_pad2d([1, 1, 1, 1]);
            let expected = padded.conv2d(&exact(&weight), Some(exact(&bias)), [1; 2], [0; 2], [1; 2], 1);
            let largest = expected.abs().max().double_value(&[]);
            for xs in [channels_last(&xs), xs.shallow_clone()] {
                let found = Winograd::new(&weight, Some(&bias)).unwrap().forward(&xs);
                let off = furthest(&found, &expected) / largest;
                assert!(off < 1e-5, "{batch} × {from} to {to} at {height}×{width}: {off:e}");
            }
            let without = Winograd::new(&weight, None).unwrap().forward(&xs);
            assert!(furthest(&without, &(expected - exact(&bias).reshape([1, -1, 1, 1]))) < 1e-5 * largest);
        }
    }

    #[test]
    fn the_norm_is_libtorch_s() {
        let none = None::<&Tensor>;
        for shape in [[1, 3, 2, 2], [2, 5, 7, 9], [1, 64, 40, 41]] {
            // Values far from 0 beside a small spread, which sums in float32 would lose.
            let xs = random(&shape) * 0.01 + 30.0;
            let expected =
                xs.to_kind(Kind::Double).instance_norm(none, none, none, none, true, 0.1, 1e-5, true);
            let found = instance_norm(&xs, 1e-5);
            // Of the input's own rounding: 30 in float32 knows 2e-6, which is 2e-4 of the spread.
            assert!(furthest(&found, &expected) < 1e-3, "{shape:?}");
            let near = random(&shape);
            let expected = near.to_kind(Kind::Double);
            let expected = expected.instance_norm(none, none, none, none, true, 0.1, 1e-5, true);
            assert!(furthest(&instance_norm(&channels_last(&near), 1e-5), &expected) < 2e-6, "{shape:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let conv = Winograd::new(&random(&[4, 3, 3, 3]), None).unwrap();
        for wrong in [random(&[1, 4, 8, 8]), random(&[1, 3, 1, 8]), random(&[3, 8, 8])] {
            assert!(crate::torch::guard("cpu", || conv.forward(&wrong)).is_err(), "{:?}", wrong.size());
        }
        assert!(Winograd::new(&random(&[4, 3, 5]), None).is_err());
    }
}
