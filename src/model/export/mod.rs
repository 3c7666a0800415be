//! A generator of a model in a form that other programs take, one file a form. `subject` is the generator and the inputs to
//! try it on, `check` compares the written file with it, `error` words what cannot be exported.

mod check;
mod error;
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
            Self::Safetensors => "safetensors",
            Self::Pth => "pth",
        }
    }

    /// How names of its files can end; the first is the usual one.
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::TorchScript => &["pt", "ts", "torchscript"],
            Self::Safetensors => &["safetensors"],
            Self::Pth => &["pth"],
        }
    }
}

/// Writes `subject` to the file `output`, replacing what is there, and compares the file with the model where `checked`. One
/// that fails the check is not left behind.
///
/// # Errors
/// The format cannot hold the network, the file cannot be written, or it computes something else than the model.
pub fn export(
    subject: &Subject<'_>,
    format: Format,
    output: &Path,
    checked: bool,
) -> Result<Checked, ExportError> {
    let bytes = match format {
        Format::TorchScript => torchscript::bytes(subject)?,
        Format::Safetensors => state_dict::safetensors(subject, output)?,
        Format::Pth => state_dict::pth(subject)?,
    };
    let check = |file: &Path| {
        if checked { check::check(subject, format, file) } else { Ok(Checked::Not("as asked".into())) }
    };
    atomic::write_checked(output, &bytes, check).map_err(|error| error.at(output))
}
