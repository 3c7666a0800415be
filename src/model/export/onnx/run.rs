//! onnxruntime, asked through `python3`, where both are there.

use std::path::Path;
use std::process::Command;

use tch::Tensor;

use crate::model::export::check::Inputs;

/// The script's status where there is no onnxruntime.
const NO_RUNTIME: i32 = 3;

/// Why there are no answers.
pub(in crate::model::export) enum NotRun {
    /// What runs such files is not there; how to get it.
    NoRuntime(String),
    /// The file cannot be run.
    Failed(String),
}

/// What onnxruntime makes of the inputs with the network in `file`.
pub(in crate::model::export) fn run(file: &Path, inputs: &[Inputs]) -> Result<Vec<Tensor>, NotRun> {
    let failed = |error: &dyn std::fmt::Display| NotRun::Failed(error.to_string());
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    // As a file there rather than an argument, so that no module is taken from the current folder.
    let script = folder.path().join("run.py");
    std::fs::write(&script, include_str!("run.py")).map_err(|error| failed(&error))?;
    let at = |i: usize, kind: &str| folder.path().join(format!("{i}.{kind}"));
    let mut command = Command::new("python3");
    command.arg("-B").arg(&script).arg(file);
    for (i, inputs) in inputs.iter().enumerate() {
        let arrays: Vec<_> = inputs.iter().map(|(name, tensor)| (name, tensor)).collect();
        Tensor::write_npz(&arrays, at(i, "npz")).map_err(|error| failed(&error))?;
        command.arg(at(i, "npz"));
    }
    let Ok(ended) = command.output() else {
        return Err(NotRun::NoRuntime("there is no `python3`, by which onnxruntime is asked".into()));
    };
    if ended.status.code() == Some(NO_RUNTIME) {
        let how = "`python3` has no onnxruntime; `python3 -m pip install onnxruntime` gets it";
        return Err(NotRun::NoRuntime(how.into()));
    }
    if !ended.status.success() {
        let text = String::from_utf8_lossy(&ended.stderr).into_owned();
        return Err(NotRun::Failed(text.lines().last().unwrap_or("onnxruntime failed").to_string()));
    }
    let read = |i: usize| Tensor::read_npy(at(i, "npy")).map_err(|error| failed(&error));
    (0..inputs.len()).map(read).collect()
}
