//! What was written, run beside the model on random inputs of three shapes.

use std::path::Path;

use tch::{CModule, Device, Tensor};

use super::error::ExportError;
use super::onnx::{self, NotRun};
use super::subject::{Subject, answer, cpu};
use super::{Format, state_dict};
use crate::torch::guard;

/// The largest difference of outputs in [-1, 1] that passes for rounding: an eightieth of a step between two bytes.
pub const LARGEST: f64 = 1e-4;

/// What a check gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Checked {
    /// The largest difference of outputs in [-1, 1].
    Differs(f64),
    /// It was not checked; why, and how it can be.
    Not(String),
}

/// Named inputs of one call.
pub(super) type Inputs = Vec<(String, Tensor)>;

/// Compares `file` with the model. Where its runtime is not there, that is an error if it `must` be checked.
pub(super) fn check(
    subject: &Subject<'_>,
    format: Format,
    file: &Path,
    must: bool,
) -> Result<Checked, ExportError> {
    let inputs = subject.inputs();
    let answers = match format {
        Format::TorchScript => torchscript(file, &inputs),
        Format::Onnx => match onnx::run(file, &inputs) {
            Ok(answers) => Ok(answers),
            Err(NotRun::NoRuntime(how)) if !must => return Ok(Checked::Not(how)),
            Err(NotRun::NoRuntime(reason) | NotRun::Failed(reason)) => Err(reason),
        },
        Format::Safetensors | Format::Pth => state_dict(subject, format, file, &inputs),
    };
    let unreadable = |reason| ExportError::Unreadable { path: file.into(), reason };
    let answers = answers.map_err(unreadable)?;
    let mut largest = 0.0f64;
    for (inputs, theirs) in inputs.iter().zip(&answers) {
        let ours = answer(subject.net(), inputs)?;
        if ours.size() != theirs.size() {
            return Err(unreadable(format!(
                "it gives {:?} where the model gives {:?}",
                theirs.size(),
                ours.size()
            )));
        }
        let difference = guard(&cpu(), || (ours - theirs).abs().max().double_value(&[]))?;
        if difference.is_nan() || difference > LARGEST {
            return Err(ExportError::Differs { path: file.into(), difference });
        }
        largest = largest.max(difference);
    }
    Ok(Checked::Differs(largest))
}

/// What a program makes of the inputs.
fn torchscript(file: &Path, inputs: &[Inputs]) -> Result<Vec<Tensor>, String> {
    let run = |program: &CModule, inputs: &Inputs| {
        let tensors: Vec<_> = inputs.iter().map(|(_, tensor)| tensor.shallow_clone()).collect();
        tch::no_grad(|| program.forward_ts(&tensors))
    };
    let answers = CModule::load_on_device(file, Device::Cpu)
        .and_then(|program| inputs.iter().map(|inputs| run(&program, inputs)).collect());
    answers.map_err(|error| error.to_string().lines().next().unwrap_or_default().to_string())
}

/// What a network with the file's weights makes of the inputs.
fn state_dict(
    subject: &Subject<'_>,
    format: Format,
    file: &Path,
    inputs: &[Inputs],
) -> Result<Vec<Tensor>, String> {
    let graph = state_dict::rebuild(subject, &state_dict::read(format, file)?)?;
    let net = &graph.generators[subject.name()].net;
    inputs.iter().map(|inputs| answer(net, inputs).map_err(|error| error.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::torchscript;
    use super::*;

    #[test]
    fn another_generator_and_a_damaged_file_are_told() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/portraits.safetensors");
        let model = crate::model::open(&shipped, Device::Cpu).unwrap();
        let [anime, photos] = ["anime", "photos"].map(|to| model.subject(Some(to)).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.pt");
        let bytes = torchscript::bytes(&anime).unwrap();
        std::fs::write(&file, &bytes).unwrap();
        assert_eq!(check(&anime, Format::TorchScript, &file, true).unwrap(), Checked::Differs(0.0));
        let error = check(&photos, Format::TorchScript, &file, true).unwrap_err();
        assert!(matches!(error, ExportError::Differs { difference, .. } if difference > 0.1), "{error}");
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        let error = check(&anime, Format::TorchScript, &file, true).unwrap_err();
        assert!(matches!(error, ExportError::Unreadable { .. }), "{error}");
        assert!(error.to_string().lines().count() == 2, "{error}");

        std::fs::write(&file, state_dict::safetensors(&anime, &file).unwrap()).unwrap();
        assert_eq!(check(&anime, Format::Safetensors, &file, true).unwrap(), Checked::Differs(0.0));
        let error = check(&photos, Format::Safetensors, &file, true).unwrap_err();
        assert!(matches!(error, ExportError::Differs { difference, .. } if difference > 0.1), "{error}");
    }
}
