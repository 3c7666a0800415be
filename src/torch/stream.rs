//! The safe side of `stream.cpp`: in which order a GPU does what threads ask of it.

use std::ffi::c_char;

use tch::{Device, TchError, Tensor};
use torch_sys::C_tensor;

use super::shim::{checked, made, or_panic, raw};

unsafe extern "C" {
    fn translate_cuda_own_stream(index: i8) -> *mut c_char;
    fn translate_cuda_upload(out: *mut *mut C_tensor, tensor: *mut C_tensor, index: i8) -> *mut c_char;
}

/// Makes this thread ask a GPU for its work by a stream of its own from here on, as a CUDA graph cannot be recorded on the one
/// that all threads begin with. A CPU has none.
///
/// # Errors
/// libtorch's.
pub fn own_stream(device: Device) -> Result<(), TchError> {
    let Device::Cuda(index) = device else { return Ok(()) };
    // SAFETY: it sets the stream of this thread.
    checked(unsafe { translate_cuda_own_stream(index as i8) })
}

/// A tensor of the host's memory on `device`. A GPU copies it while it goes on with what it was asked for before, and neither
/// waits for the other; on a CPU it is the tensor itself.
///
/// # Panics
/// Where libtorch fails, as tch's own plain methods do; see [`super::guard`].
pub fn upload(tensor: Tensor, device: Device) -> Tensor {
    let Device::Cuda(index) = device else { return tensor };
    // SAFETY: `tensor` lives through the call.
    or_panic(made(|out| unsafe { translate_cuda_upload(out, raw(&tensor), index as i8) }))
}
