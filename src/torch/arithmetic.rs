//! With which numbers libtorch computes: autocast to bfloat16, TF32, and whether a GPU gives the same bits each time.

use std::ffi::c_char;

use tch::{Device, TchError};

use super::shim::checked;

unsafe extern "C" {
    fn translate_autocast(before: *mut bool, cuda: bool, on: bool) -> *mut c_char;
    fn translate_is_autocast(cuda: bool) -> bool;
    fn translate_set_arithmetic(tf32: bool, deterministic: bool) -> *mut c_char;
}

/// While it lives, convolutions and matrix products of this thread are taken in bfloat16 on one device, or are not: 8 bits of
/// mantissa, sums in float32. Weights and what is neither of both stay as they are.
#[derive(Debug)]
pub struct Bf16 {
    device: Device,
    before: bool,
}

impl Bf16 {
    /// Turns it on or off until it is dropped.
    ///
    /// # Panics
    /// Where libtorch fails, as tch's own plain methods do; see [`super::guard`].
    #[must_use = "it holds as long as this lives"]
    pub fn set(device: Device, on: bool) -> Self {
        Self { device, before: switch(device, on) }
    }

    /// Whether it is on in this thread.
    pub fn is_on(device: Device) -> bool {
        // SAFETY: it reads a flag of this thread.
        unsafe { translate_is_autocast(device.is_cuda()) }
    }
}

impl Drop for Bf16 {
    fn drop(&mut self) {
        switch(self.device, self.before);
    }
}

fn switch(device: Device, on: bool) -> bool {
    let mut before = false;
    // SAFETY: `before` lives through the call, which sets flags of this thread.
    let result = checked(unsafe { translate_autocast(&raw mut before, device.is_cuda(), on) });
    match result {
        Ok(()) => before,
        Err(error) => std::panic::panic_any(error.to_string()),
    }
}

/// How a GPU computes in this process: whether float32 products may be rounded to TF32 (10 bits of mantissa), and whether only
/// algorithms count that give the same bits each time.
///
/// # Errors
/// libtorch's.
pub fn set_arithmetic(tf32: bool, deterministic: bool) -> Result<(), TchError> {
    // SAFETY: it sets flags of libtorch's.
    checked(unsafe { translate_set_arithmetic(tf32, deterministic) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    #[test]
    fn products_are_taken_in_bfloat16_while_it_lives() {
        let xs = Tensor::from_slice(&[1.0f32 + 1.0 / 512.0]).reshape([1, 1]);
        let product = || xs.matmul(&Tensor::ones([1, 1], (Kind::Float, Device::Cpu)));
        assert!(!Bf16::is_on(Device::Cpu));
        let exact = |tensor: Tensor| tensor.double_value(&[0, 0]);
        assert!((exact(product()) - (1.0 + 1.0 / 512.0)).abs() < 1e-9);
        {
            let _bf16 = Bf16::set(Device::Cpu, true);
            assert!(Bf16::is_on(Device::Cpu));
            // Eight bits know no 1/512 beside 1.
            assert_eq!((product().kind(), exact(product()) as f32), (Kind::BFloat16, 1.0));
            {
                let _off = Bf16::set(Device::Cpu, false);
                assert_eq!(product().kind(), Kind::Float);
            }
            assert_eq!(product().kind(), Kind::BFloat16);
        }
        assert_eq!(product().kind(), Kind::Float);
    }
}
