//! Why a generator cannot be exported.

use std::io;
use std::path::{Path, PathBuf};

use super::check::LARGEST;
use crate::torch::TorchError;
use crate::torch::store::StoreError;

/// Why a generator cannot be exported. Each message names what was found, what was expected, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A network that is told captions.
    #[error(
        "`--format onnx` cannot hold a generator that reads captions: the operators that read them are not translated; \
         expected one of images or classes\nhint: `--format torchscript` holds it, `--format safetensors` its weights"
    )]
    Captions,
    /// A network that the reference does not have.
    #[error(
        "`--format pth` is for the PyTorch CycleGAN, which has no generator with `{field}: {value}`: {expected}\nhint: \
         `--format safetensors` holds the weights of any generator"
    )]
    NoReference {
        /// The recipe's field, of the generator's `net`.
        field: String,
        /// Its value.
        value: String,
        /// What the reference has.
        expected: &'static str,
    },
    /// An operator that is not translated.
    #[error(
        "`--format onnx` does not know the operator `{op}` of this network\nhint: `--format torchscript` holds any network"
    )]
    Operator {
        /// Its name, as libtorch has it.
        op: String,
    },
    /// A network above the format's limit.
    #[error(
        "the generator's weights are {bytes} bytes, and an ONNX file holds less than 2 GiB\nhint: `--format torchscript` has \
         no such limit"
    )]
    TooLarge {
        /// Bytes of its weights.
        bytes: usize,
    },
    /// Weights that are not stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system's.
    #[error("cannot write `{path}`: {source}\nhint: check the permissions and the space left there")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was written cannot be run.
    #[error(
        "`{path}` was not written, as its check failed: {reason}; expected a file that runs\nhint: `--no-check` writes it \
         unchecked"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What its runtime says.
        reason: String,
    },
    /// What was written computes something else.
    #[error(
        "`{path}` was not written, as its outputs differ by {difference:.1e} from the model's; expected at most {LARGEST:.0e}\n\
         hint: `--no-check` writes it all the same"
    )]
    Differs {
        /// The file.
        path: PathBuf,
        /// The largest difference of outputs in [-1, 1].
        difference: f64,
    },
    /// libtorch's.
    #[error(transparent)]
    Torch(#[from] TorchError),
}

impl From<io::Error> for ExportError {
    /// The path is put in by [`ExportError::at`].
    fn from(source: io::Error) -> Self {
        Self::Write { path: PathBuf::new(), source }
    }
}

impl ExportError {
    /// The same of `output`, where its runtime speaks of the `hidden` name that it has until it is complete.
    pub(super) fn without(mut self, hidden: &Path, output: &Path) -> Self {
        if let Self::Unreadable { reason, .. } = &mut self {
            let file_name = |path: &Path| path.file_name().unwrap_or_default().display().to_string();
            let renamed = reason.replace(&hidden.display().to_string(), &output.display().to_string());
            *reason = renamed.replace(&file_name(hidden), &file_name(output));
        }
        self
    }

    /// The error of writing `output`, which has a hidden name until it is complete.
    pub(super) fn at(mut self, output: &Path) -> Self {
        if let Self::Write { path, .. } | Self::Unreadable { path, .. } | Self::Differs { path, .. } =
            &mut self
        {
            *path = output.into();
        }
        self
    }
}
