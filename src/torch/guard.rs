//! Plain tch calls panic where libtorch fails (CUDA out of memory, above all). Written with `?` after each, the step
//! would no longer read like the paper; so the work runs inside one guard that turns such a panic into an error.

use crate::panics::catch;

/// A failure inside libtorch.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// The device's memory does not hold the work.
    #[error("out of memory on {device}: {reason}")]
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

/// Runs `work`, turning a panic inside it into an error that names `device`. What `work` was changing must not be
/// used after an error.
///
/// # Errors
/// `work` panicked, which plain tch calls do where libtorch fails.
pub fn guard<T>(device: &str, work: impl FnOnce() -> T) -> Result<T, TorchError> {
    catch(work).map_err(|text| TorchError::from_text(device, &text))
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

/// The message without libtorch's C++ stack trace and what tch puts around it.
fn first_sentence(text: &str) -> String {
    let text = text.split_once("value: Torch(\"").map_or(text, |(_, inner)| inner);
    let text = text.strip_prefix("Internal torch error: ").unwrap_or(text);
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
    fn memory_that_is_not_there_is_named() {
        let size = 1i64 << 50;
        let error = guard("cpu", || Tensor::zeros([size], (tch::Kind::Float, tch::Device::Cpu))).unwrap_err();
        assert!(matches!(error, TorchError::OutOfMemory { .. }), "{error}");
        assert!(error.to_string().starts_with("out of memory on cpu: "), "{error}");
    }
}
