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
    write(subject, format, &bytes, output, check)
}

/// Writes the bytes of an export, once they are checked.
fn write(
    subject: &Subject<'_>,
    format: Format,
    bytes: &[u8],
    output: &Path,
    check: Check,
) -> Result<Checked, ExportError> {
    let compare = |file: &Path| match check {
        Check::Never => Ok(Checked::Not("as asked".into())),
        Check::IfPossible | Check::Always => check::check(subject, format, file, check == Check::Always)
            .map_err(|error| error.without(file, output)),
    };
    atomic::write_checked(output, bytes, compare).map_err(|error| error.at(output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_its_check_is_told_by_the_name_that_was_asked_for() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/portraits.safetensors");
        let model = crate::model::open(&shipped, tch::Device::Cpu).unwrap();
        let subject = model.subject(None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for format in [Format::TorchScript, Format::Onnx, Format::Safetensors, Format::Pth] {
            let output = folder.path().join("mine").with_extension(format.extensions()[0]);
            for damaged in [&b"PK\x03\x04"[..], b"", b"\x08\0\0\0\0\0\0\0{}      "] {
                let error = write(&subject, format, damaged, &output, Check::Always).unwrap_err().to_string();
                assert!(error.contains(&format!("`{}` was not written", output.display())), "{error}");
                assert!(!error.contains(".translate-") && !error.contains(".part"), "{error}");
                assert!(error.contains("\nhint: "), "{error}");
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
