//! libtorch's CUDA half, which only a machine with an NVIDIA driver is made to load.

use std::ffi::c_int;
use std::sync::OnceLock;

/// What CUDA lacks on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCuda {
    /// The driver's library.
    #[error("no NVIDIA driver is installed (no libcuda.so.1)")]
    Driver,
    /// libtorch's half.
    #[error("this libtorch has no CUDA that can be loaded: {0}")]
    Libtorch(String),
    /// A GPU behind both.
    #[error("libtorch sees no GPU that it can use")]
    Gpu,
}

/// Loads libtorch's CUDA half where an NVIDIA driver is installed, once; later calls give the first one's result. It
/// has to happen before any tensor is made: libtorch asks for CUDA once and keeps the answer.
///
/// The program is not linked to that half: with it a start touches 56 100 pages, without it 22 900 (`ru_minflt` of
/// `translate --version`), and where there is no driver it can do nothing.
///
/// # Errors
/// The driver is missing, or a libtorch with CUDA.
pub fn load_cuda() -> Result<(), NoCuda> {
    static LOADED: OnceLock<Result<(), NoCuda>> = OnceLock::new();
    LOADED.get_or_init(load).clone()
}

/// CUDA's `cudaDeviceGetAttribute`: value, attribute, device; 0 where it could be told.
type GetAttribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;

/// The major number of a GPU's compute capability, which is that of its generation: 7 for Volta and Turing, 8 for Ampere and
/// Ada, 9 for Hopper. None where CUDA is not loaded or does not say.
pub fn compute_capability(index: usize) -> Option<i32> {
    load_cuda().ok()?;
    major(get_attribute()?, index)
}

fn major(get_attribute: GetAttribute, index: usize) -> Option<i32> {
    /// `cudaDevAttrComputeCapabilityMajor`
    const MAJOR: c_int = 75;
    let (mut value, index) = (0, c_int::try_from(index).ok()?);
    // SAFETY: `value` lives through the call.
    let status = unsafe { get_attribute(&raw mut value, MAJOR, index) };
    (status == 0).then_some(value)
}

/// The function of the CUDA runtime that libtorch's half brought along.
#[cfg(target_os = "linux")]
fn get_attribute() -> Option<GetAttribute> {
    // SAFETY: the name ends in 0.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"cudaDeviceGetAttribute".as_ptr()) };
    // SAFETY: the CUDA runtime declares it so; its enumeration of attributes is an `int`, and so is its status.
    (!found.is_null()).then(|| unsafe { std::mem::transmute::<*mut libc::c_void, GetAttribute>(found) })
}

#[cfg(not(target_os = "linux"))]
fn get_attribute() -> Option<GetAttribute> {
    None
}

#[cfg(target_os = "linux")]
fn load() -> Result<(), NoCuda> {
    open(c"libcuda.so.1").map_err(|_| NoCuda::Driver)?;
    open(c"libtorch_cuda.so").map_err(NoCuda::Libtorch)
}

/// Loads a library, as `import torch` does, for the rest of the process.
#[cfg(target_os = "linux")]
fn open(name: &std::ffi::CStr) -> Result<(), String> {
    // SAFETY: the name ends in 0. The two libraries' initialisers register themselves and do nothing else.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: dlerror's text stays until the next call of this kind on this thread, and is copied at once.
    let reason = unsafe {
        let text = libc::dlerror();
        if text.is_null() { c"no reason given".into() } else { std::ffi::CStr::from_ptr(text).to_owned() }
    };
    Err(reason.to_string_lossy().into_owned())
}

#[cfg(not(target_os = "linux"))]
fn load() -> Result<(), NoCuda> {
    Err(NoCuda::Libtorch("CUDA is supported on Linux only".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose GPUs 0 and 1 are of generation 7 and 8.
    unsafe extern "C" fn two(value: *mut c_int, attribute: c_int, device: c_int) -> c_int {
        if attribute != 75 || device > 1 {
            return 101;
        }
        // SAFETY: the caller's value lives through the call.
        unsafe { *value = 7 + device };
        0
    }

    #[test]
    fn a_gpu_s_generation_is_what_cuda_says() {
        assert_eq!([0, 1, 2].map(|index| major(two, index)), [Some(7), Some(8), None]);
        assert_eq!(major(two, usize::MAX), None);
    }

    #[test]
    fn without_cuda_nothing_is_said() {
        if load_cuda().is_err() {
            assert_eq!(compute_capability(0), None);
        }
    }
}
