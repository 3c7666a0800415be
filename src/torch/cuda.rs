//! libtorch's CUDA half, which only a machine with an NVIDIA driver is made to load.

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
