//! Plain tch calls panic where libtorch fails (CUDA out of memory, above all). Written with `?` after each, the step
//! would no longer read like the paper; so the work runs inside one guard that turns such a panic into an error.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

/// A failure inside libtorch.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// The device's memory does not hold the work.
    #[error(
        "out of memory on {device}: {reason}\nhint: a smaller `--set train.batch=…` or `--set data.size=…` needs less"
    )]
    OutOfMemory {
        /// The device, as `--device` takes it.
        device: String,
        /// What libtorch says, in one line.
        reason: String,
    },
    /// Anything else.
    #[error("libtorch failed on {device}: {reason}")]
    Failed {
        /// The device, as `--device` takes it.
        device: String,
        /// What libtorch says, in one line.
        reason: String,
    },
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the panic hook quiet on a thread that is inside a guard: the message comes back as an error instead.
fn quiet_inside_guards() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                previous(info);
            }
        }));
    });
}

/// Runs `work`, turning a panic inside it into an error that names `device`. What `work` was changing must not be
/// used after an error.
///
/// # Errors
/// `work` panicked, which plain tch calls do where libtorch fails.
pub fn guard<T>(device: &str, work: impl FnOnce() -> T) -> Result<T, TorchError> {
    quiet_inside_guards();
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    result.map_err(|payload| {
        let text = payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "an unknown failure".to_string());
        TorchError::from_text(device, &text)
    })
}

impl TorchError {
    /// Sorts a message of libtorch's, cut down to its first line.
    pub fn from_text(device: &str, text: &str) -> Self {
        let (device, reason) = (device.to_string(), first_sentence(text));
        if text.contains("out of memory") || text.contains("can't allocate memory") {
            Self::OutOfMemory { device, reason }
        } else {
            Self::Failed { device, reason }
        }
    }
}

/// The message without libtorch's C++ stack trace and tch's `unwrap` wrapping.
fn first_sentence(text: &str) -> String {
    let text = text.split_once("value: Torch(\"").map_or(text, |(_, inner)| inner);
    let line = text.split("\\n").next().unwrap_or(text).lines().next().unwrap_or(text);
    line.trim_end_matches("\")").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    #[test]
    fn a_libtorch_failure_becomes_one_line() {
        let (a, b) = (Tensor::from_slice(&[1.0f32, 2.0]), Tensor::from_slice(&[1.0f32, 2.0, 3.0]));
        let error = guard("cpu", || a + b).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, TorchError::Failed { .. }));
        assert!(text.starts_with("libtorch failed on cpu: The size of tensor a (2) must match"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn memory_that_is_not_there_is_named_with_a_hint() {
        let size = 1i64 << 50;
        let error = guard("cpu", || Tensor::zeros([size], (tch::Kind::Float, tch::Device::Cpu))).unwrap_err();
        assert!(matches!(error, TorchError::OutOfMemory { .. }), "{error}");
        assert!(error.to_string().contains("hint: a smaller"), "{error}");
    }
}
