//! The safe side of `strided.cpp`: layers that keep the memory order of their images, on any device and with gradients of any
//! order. They panic where libtorch fails, as tch's own plain methods do; see [`super::guard`].

use std::ffi::c_char;

use tch::Tensor;
use torch_sys::C_tensor;

use super::shim::{made, or_panic, raw};

unsafe extern "C" {
    fn translate_strided_instance_norm(
        out: *mut *mut C_tensor,
        xs: *mut C_tensor,
        eps: f64,
        by_image: bool,
    ) -> *mut c_char;
    fn translate_strided_reflect(out: *mut *mut C_tensor, xs: *mut C_tensor, n: i64) -> *mut c_char;
    fn translate_is_channels_last(xs: *mut C_tensor) -> bool;
}

/// Instance norm (Ulyanov et al. 2016) of `[batch, channels, height, width]` without scale or shift. On a GPU images of bfloat16
/// are taken as they are, with statistics in float32.
pub fn instance_norm(xs: &Tensor, eps: f64) -> Tensor {
    norm(xs, eps, xs.device().is_cuda())
}

fn norm(xs: &Tensor, eps: f64, by_image: bool) -> Tensor {
    // SAFETY: `xs` lives through the call.
    or_panic(made(|out| unsafe { translate_strided_instance_norm(out, raw(xs), eps, by_image) }))
}

/// Mirrors `n` pixels, fewer than height and width have, at every border, without repeating the border itself.
pub fn reflect(xs: &Tensor, n: i64) -> Tensor {
    // SAFETY: as above.
    or_panic(made(|out| unsafe { translate_strided_reflect(out, raw(xs), n) }))
}

/// Whether the channels of one pixel lie side by side.
pub fn is_channels_last(xs: &Tensor) -> bool {
    // SAFETY: as above.
    unsafe { translate_is_channels_last(raw(xs)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torch::channels_last;
    use tch::{Device, Kind};

    const EPS: f64 = 1e-5;

    fn random(shape: &[i64]) -> Tensor {
        Tensor::randn(shape, (Kind::Double, Device::Cpu))
    }

    fn libtorch_s_norm(xs: &Tensor) -> Tensor {
        let none = None::<&Tensor>;
        xs.instance_norm(none, none, none, none, true, 0.1, EPS, true)
    }

    fn furthest(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    /// The layer's values, its gradient by `weights`, and the gradient of that gradient's square, as a gradient penalty has it.
    fn slopes(layer: impl Fn(&Tensor) -> Tensor, xs: &Tensor, weights: &Tensor) -> [Tensor; 3] {
        let xs = xs.detach().set_requires_grad(true);
        let ys = layer(&xs);
        let loss = (&ys * weights).square().sum(Kind::Double);
        let first = Tensor::run_backward(&[loss], &[&xs], true, true).remove(0);
        let second =
            Tensor::run_backward(&[first.square().sum(Kind::Double)], &[&xs], false, false).remove(0);
        // Without what a second derivative needs.
        let again = (layer(&xs) * weights).square().sum(Kind::Double);
        let plain = Tensor::run_backward(&[again], &[&xs], false, false).remove(0);
        assert!(furthest(&plain, &first) < 1e-10);
        [ys, first, second]
    }

    #[test]
    fn values_and_slopes_are_libtorch_s_and_the_memory_order_stays() {
        for shape in [[1, 3, 4, 5], [2, 5, 7, 9], [3, 16, 8, 8]] {
            for xs in [random(&shape), channels_last(&random(&shape))] {
                let weights = random(&shape);
                let expected = slopes(libtorch_s_norm, &xs, &weights);
                // As on a GPU, and as elsewhere.
                let [by_image, found] = [true, false].map(|it| slopes(|xs| norm(xs, EPS, it), &xs, &weights));
                for found in [&by_image, &found] {
                    assert_eq!(is_channels_last(&found[0]), is_channels_last(&xs));
                    assert_eq!(is_channels_last(&found[1]), is_channels_last(&xs));
                    for (found, expected) in found.iter().zip(&expected) {
                        let most = 1e-9 * (1.0 + expected.abs().max().double_value(&[]));
                        assert!(furthest(found, expected) < most);
                    }
                }
                for n in 1..=3 {
                    let weights = random(&[shape[0], shape[1], shape[2] + 2 * n, shape[3] + 2 * n]);
                    let found = slopes(|xs| reflect(xs, n), &xs, &weights);
                    let expected = slopes(|xs| xs.reflection_pad2d([n; 4]), &xs, &weights);
                    for (found, expected) in found.iter().zip(&expected) {
                        assert!(furthest(found, expected) < 1e-10, "{shape:?}, {n}");
                    }
                    assert_eq!(is_channels_last(&found[0]), is_channels_last(&xs));
                    assert_eq!(is_channels_last(&found[1]), is_channels_last(&xs));
                }
            }
        }
    }

    #[test]
    fn bfloat16_stays_what_it_is_on_a_gpu() {
        let xs = channels_last(&random(&[2, 16, 8, 8])).to_kind(Kind::BFloat16);
        let found = norm(&xs, EPS, true);
        assert_eq!((found.kind(), is_channels_last(&found)), (Kind::BFloat16, true));
    }

    #[test]
    fn a_border_that_is_wider_than_what_it_mirrors_is_an_error() {
        let wide = crate::torch::guard("cpu", || reflect(&random(&[1, 1, 3, 8]), 3));
        assert!(wide.unwrap_err().to_string().contains("3 pixels"));
    }
}
