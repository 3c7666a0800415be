//! The safe side of `measure.cpp`: what a benchmark asks of libtorch.

use std::ffi::{c_char, c_void};
use std::marker::PhantomData;

use tch::TchError;

use super::shim::checked;

unsafe extern "C" {
    fn translate_count_start(counting: *mut *mut c_void) -> *mut c_char;
    fn translate_count_stop(counting: *mut c_void, products: *mut u64) -> *mut c_char;
    fn translate_cuda_peak(index: i8, bytes: *mut u64) -> *mut c_char;
    fn translate_tf32_products(allow: bool, before: *mut bool) -> *mut c_char;
}

/// A count that goes on. It belongs to its thread, and ends even where the work panics.
struct Counting {
    raw: *mut c_void,
    ended: bool,
    thread: PhantomData<*mut c_void>,
}

impl Counting {
    fn start() -> Result<Self, TchError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: on success `raw` is a count that is ours to end.
        checked(unsafe { translate_count_start(&raw mut raw) })?;
        Ok(Self { raw, ended: false, thread: PhantomData })
    }

    fn stop(&mut self) -> Result<u64, TchError> {
        let mut products = 0;
        self.ended = true;
        // SAFETY: `raw` was started on this thread and has not been ended.
        checked(unsafe { translate_count_stop(self.raw, &raw mut products) })?;
        Ok(products)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if !self.ended {
            // The work has failed, and says so.
            let _ = self.stop();
        }
    }
}

/// Does `work` on this thread and counts the products (multiply-adds) of its convolutions and matrix products, backward
/// ones included, as libtorch is asked for them. Every position of a kernel counts, also over the padding; how a kernel
/// comes to its result does not. Sums, norms and activations are left out.
///
/// # Errors
/// libtorch's.
pub fn count_products<T>(work: impl FnOnce() -> T) -> Result<(T, u64), TchError> {
    let mut counting = Counting::start()?;
    let done = work();
    Ok((done, counting.stop()?))
}

/// The most bytes that tensors on a GPU have taken at one time, since the program began.
///
/// # Errors
/// There is no such GPU.
pub fn cuda_peak_memory(index: usize) -> Result<u64, TchError> {
    let mut bytes = 0;
    // SAFETY: the call writes one number.
    checked(unsafe { translate_cuda_peak(index as i8, &raw mut bytes) })?;
    Ok(bytes)
}

/// Does `work` with TF32 allowed, or not, for a GPU's matrix products of float32.
///
/// # Errors
/// libtorch's.
pub fn with_tf32_products<T>(allow: bool, work: impl FnOnce() -> T) -> Result<T, TchError> {
    let mut before = false;
    // SAFETY: the call writes one flag.
    checked(unsafe { translate_tf32_products(allow, &raw mut before) })?;
    let done = work();
    // SAFETY: as above.
    checked(unsafe { translate_tf32_products(before, &raw mut before) })?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    fn random(shape: &[i64]) -> Tensor {
        Tensor::randn(shape, (Kind::Float, Device::Cpu))
    }

    fn products(work: impl FnOnce() -> Tensor) -> u64 {
        count_products(work).unwrap().1
    }

    #[test]
    fn products_by_hand() {
        let (images, weight) = (random(&[2, 6, 9, 8]), random(&[4, 3, 3, 3]));
        // Each of 2·4·5·4 results sums 3·3·3 products: two groups of 3 of the 6 channels.
        let conv = || images.conv2d(&weight, None::<Tensor>, [2; 2], [1; 2], [1; 2], 2);
        assert_eq!(conv().size(), [2, 4, 5, 4]);
        assert_eq!(products(conv), 2 * 4 * 5 * 4 * 27);
        // Each of 2·6·9·8 inputs goes into 5·4·4 products.
        let transposed = random(&[6, 5, 4, 4]);
        let up = || images.conv_transpose2d(&transposed, None::<Tensor>, [2; 2], [1; 2], [0; 2], 1, [1; 2]);
        assert_eq!(products(up), 2 * 6 * 9 * 8 * 80);
        let (a, b) = (random(&[7, 5, 4]), random(&[7, 4, 3]));
        assert_eq!(products(|| a.matmul(&b)), 7 * 5 * 4 * 3);
        assert_eq!(products(|| random(&[5, 4]).matmul(&random(&[4, 3]))), 5 * 4 * 3);
        assert_eq!(products(|| random(&[5, 4]).mv(&random(&[4]))), 5 * 4);
        assert_eq!(products(|| random(&[5, 4]).linear(&random(&[3, 4]), Some(random(&[3])))), 5 * 4 * 3);
        assert_eq!(products(|| images.relu().sum(Kind::Float)), 0);
    }

    #[test]
    fn a_gradient_costs_as_much_as_forward_for_each_of_the_two_that_are_wanted() {
        let forward = 2 * 4 * 6 * 6 * 27;
        for (by_images, by_weight) in [(true, true), (true, false), (false, true)] {
            let images = random(&[2, 3, 8, 8]).set_requires_grad(by_images);
            let weight = random(&[4, 3, 3, 3]).set_requires_grad(by_weight);
            let (loss, counted) = count_products(|| {
                images.conv2d(&weight, None::<Tensor>, [1; 2], [0; 2], [1; 2], 1).square().sum(Kind::Float)
            })
            .unwrap();
            assert_eq!(counted, forward);
            let gradients = u64::from(by_images) + u64::from(by_weight);
            assert_eq!(count_products(|| loss.backward()).unwrap().1, gradients * forward);
        }
    }

    #[test]
    fn a_count_ends_with_its_work() {
        let matmul = || random(&[5, 4]).matmul(&random(&[4, 3]));
        let failed = crate::panics::catch(|| count_products(|| matmul().matmul(&matmul())));
        assert!(failed.is_err(), "5×3 by 5×3");
        assert_eq!(products(matmul), 60);
        // One inside another has both to itself.
        let (inner, outer) = count_products(|| products(matmul)).unwrap();
        assert_eq!((inner, outer), (60, 0));
        // Another thread's work is its own.
        let ((), counted) = count_products(|| drop(std::thread::spawn(matmul).join().unwrap())).unwrap();
        assert_eq!(counted, 0);
    }

    #[test]
    fn memory_of_no_gpu_is_an_error() {
        if !tch::Cuda::is_available() {
            assert!(cuda_peak_memory(0).is_err());
        }
    }
}
