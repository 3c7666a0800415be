//! libtorch's CUDA half, which only a machine with an NVIDIA driver is made to load.

use std::sync::OnceLock;

/// Loads libtorch's CUDA half where an NVIDIA driver is installed, once; later calls give the first one's result. It
/// has to happen before any tensor is made: libtorch asks for CUDA once and keeps the answer.
///
/// The program is not linked to that half, as loading it is two thirds of the work of a start (32 400 of 48 300 page
/// faults, by `getrusage` around `dlopen`), and without a driver there is nothing that it can do.
///
/// # Errors
/// What is missing, in words: the driver, or a libtorch with CUDA.
pub fn load_cuda() -> Result<(), String> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    LOADED.get_or_init(load).clone()
}

#[cfg(target_os = "linux")]
fn load() -> Result<(), String> {
    open(c"libcuda.so.1").map_err(|_| "no NVIDIA driver is installed (no libcuda.so.1)".to_string())?;
    open(c"libtorch_cuda.so")
        .map_err(|error| format!("this libtorch has no CUDA that can be loaded: {error}"))
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
fn load() -> Result<(), String> {
    Err("CUDA is supported on Linux only".into())
}
