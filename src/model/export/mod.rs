//! A generator of a model in a form that other programs take, one file a form. `subject` is the generator and the inputs to
//! try it on, `check` compares the written file with it, `error` words what cannot be exported.

mod check;
mod error;
mod onnx;
mod state_dict;
mod subject;
mod torchscript;

use std::path::Path;

use clap::ValueEnum;

use crate::atomic;

pub use check::Checked;
pub use error::ExportError;
pub use subject::Subject;

/// The forms of a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `PyTorch`'s programs, which need neither this program nor Python
    #[value(name = "torchscript")]
    TorchScript,
    /// ONNX, opset 17, for onnxruntime and others
    Onnx,
    /// The weights alone
    Safetensors,
    /// The weights alone, as a state dict of the `PyTorch` `CycleGAN`
    Pth,
}

impl Format {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TorchScript => "torchscript",
            Self::Onnx => "onnx",
            Self::Safetensors => "safetensors",
            Self::Pth => "pth",
        }
    }

    /// How names of its files can end; the first is the usual one.
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::TorchScript => &["pt", "ts", "torchscript"],
            Self::Onnx => &["onnx"],
            Self::Safetensors => &["safetensors"],
            Self::Pth => &["pth"],
        }
    }
}

/// Whether what was written is compared with the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// No.
    Never,
    /// Where the format's runtime is there.
    IfPossible,
    /// Yes; where its runtime is not there, that is an error.
    Always,
}

/// Writes `subject` to the file `output`, replacing what is there, and compares the file with the model. One that fails
/// the check is not left behind.
///
/// # Errors
/// The format cannot hold the network, the file cannot be written, or it computes something else than the model.
pub fn export(
    subject: &Subject<'_>,
    format: Format,
    output: &Path,
    check: Check,
) -> Result<Checked, ExportError> {
    let bytes = match format {
        Format::TorchScript => torchscript::bytes(subject)?,
        Format::Onnx => onnx::bytes(subject)?,
        Format::Safetensors => state_dict::safetensors(subject, output)?,
        Format::Pth => state_dict::pth(subject)?,
    };
    let compare = |file: &Path| match check {
        Check::Never => Ok(Checked::Not("as asked".into())),
        Check::IfPossible | Check::Always => check::check(subject, format, file, check == Check::Always),
    };
    atomic::write_checked(output, &bytes, compare).map_err(|error| error.at(output))
}
