//! The safe side of `recompute.cpp`: activation checkpointing (Chen et al. 2016, <https://arxiv.org/abs/1604.06174>).

use std::ffi::{CString, c_char, c_void};

use tch::Tensor;
use torch_sys::C_tensor;

use super::shim::{made, or_panic, pointers, raw};
use crate::panics::catch;

unsafe extern "C" {
    fn translate_recomputed(
        out: *mut *mut C_tensor,
        xs: *mut C_tensor,
        parameters: *const *mut C_tensor,
        count: usize,
        held: *mut c_void,
        call: extern "C" fn(*mut c_void, *mut *mut C_tensor, *mut C_tensor) -> *mut c_char,
        drop: extern "C" fn(*mut c_void),
    ) -> *mut c_char;
}

/// A part of a network.
type Part = Box<dyn Fn(&Tensor) -> Tensor>;

/// `part` of `xs`, of which no inner result is kept: where a gradient is wanted, they are computed again. That needs the memory
/// of one part at a time, and the time of a second forward. `parameters` are all tensors that `part` takes beside `xs`; it must
/// give the same whenever it is called, and its gradient cannot be differentiated again.
///
/// Another thread may call and drop `part`, while the one that wants the gradient waits for it.
///
/// # Panics
/// Where libtorch fails, as tch's own plain methods do; see [`super::guard`].
pub fn recomputed(xs: &Tensor, parameters: &[Tensor], part: impl Fn(&Tensor) -> Tensor + 'static) -> Tensor {
    let (held, parameters) = (Box::new(Box::new(part) as Part), pointers(parameters));
    let held = Box::into_raw(held).cast::<c_void>();
    // SAFETY: the tensors live through the call; `held` is a `Part`, which the other side drops once.
    or_panic(made(|out| unsafe {
        translate_recomputed(out, raw(xs), parameters.as_ptr(), parameters.len(), held, call, release)
    }))
}

extern "C" fn call(held: *mut c_void, out: *mut *mut C_tensor, xs: *mut C_tensor) -> *mut c_char {
    // SAFETY: `held` is a `Part` until it is dropped, and nobody else uses it now.
    let part = unsafe { &*held.cast::<Part>() };
    // SAFETY: the other side lends a tensor for the call; the copy is a second handle to it.
    match catch(|| part(&unsafe { Tensor::clone_from_ptr(xs) })) {
        Ok(result) => {
            // SAFETY: the other side takes the handle over, which `result` must not free then.
            unsafe { *out = std::mem::ManuallyDrop::new(result).as_ptr().cast_mut() };
            std::ptr::null_mut()
        }
        Err(message) => {
            let text = CString::new(message.replace('\0', " ")).unwrap_or_default();
            // SAFETY: `text` ends in 0; the other side frees the copy.
            unsafe { libc::strdup(text.as_ptr()) }
        }
    }
}

extern "C" fn release(held: *mut c_void) {
    // SAFETY: `held` came from `Box::into_raw` and is dropped here alone.
    drop(unsafe { Box::from_raw(held.cast::<Part>()) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tch::{Device, Kind};

    fn random(shape: &[i64]) -> Tensor {
        Tensor::randn(shape, (Kind::Double, Device::Cpu))
    }

    #[test]
    fn gradients_are_those_of_the_part_and_it_is_computed_twice() {
        let weight = random(&[3, 3]).set_requires_grad(true);
        let xs = random(&[2, 3]).set_requires_grad(true);
        let calls = Arc::new(AtomicUsize::new(0));
        let part = |weight: Tensor, calls: Arc<AtomicUsize>| {
            move |xs: &Tensor| {
                calls.fetch_add(1, Ordering::Relaxed);
                xs.matmul(&weight).tanh()
            }
        };
        let slopes = |ys: Tensor| {
            Tensor::run_backward(&[ys.square().sum(Kind::Double)], &[&xs, &weight], false, false)
        };
        let expected = slopes(part(weight.shallow_clone(), calls.clone())(&xs));
        assert_eq!(calls.swap(0, Ordering::Relaxed), 1);
        let ys = recomputed(&xs, &[weight.shallow_clone()], part(weight.shallow_clone(), calls.clone()));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        let found = slopes(ys);
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert_eq!(found, expected);
        // The part has been dropped with its gradient.
        assert_eq!(Arc::strong_count(&calls), 1);
        let without = tch::no_grad(|| recomputed(&xs, &[], part(weight.shallow_clone(), calls.clone())));
        assert!(!without.requires_grad());
        assert_eq!(Arc::strong_count(&calls), 1);
    }

    #[test]
    fn a_part_that_fails_then_or_later_is_an_error() {
        let xs = random(&[2]).set_requires_grad(true);
        let at_once = crate::torch::guard("cpu", || recomputed(&xs, &[], |_| panic!("no part")));
        assert!(at_once.unwrap_err().to_string().contains("no part"));
        let calls = AtomicUsize::new(0);
        let ys = recomputed(&xs, &[], move |xs| {
            assert_eq!(calls.fetch_add(1, Ordering::Relaxed), 0, "a second time");
            xs * 2.0
        });
        let later = Tensor::f_run_backward(&[ys.sum(Kind::Double)], &[&xs], false, false);
        assert!(later.unwrap_err().to_string().contains("a second time"));
    }
}
