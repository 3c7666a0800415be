//! `TorchScript`: a program that libtorch runs from C++ or Python without this one. It is traced, so it is what the network
//! computes when applied; nothing in the networks depends on a size, so it takes any height, width and batch. Captions have the
//! length of the longest that the model knows, the shorter ones with padding behind them, as the model is given them too.

use super::error::ExportError;
use super::subject::{Subject, apply, cpu};
use crate::torch::{Program, TorchError};

/// The program, with its weights under their names and `inputs` as its arguments.
pub(super) fn trace(subject: &Subject<'_>) -> Result<Program, ExportError> {
    let inputs = subject.inputs().swap_remove(0);
    let net = subject.net();
    let program = Program::trace(&net.tensors(), &inputs, &mut || apply(net, &inputs));
    Ok(program.map_err(|error| TorchError::from_text(&cpu(), &error.to_string()))?)
}

/// The program's file.
pub(super) fn bytes(subject: &Subject<'_>) -> Result<Vec<u8>, ExportError> {
    let bytes = trace(subject)?.to_bytes();
    Ok(bytes.map_err(|error| TorchError::from_text(&cpu(), &error.to_string()))?)
}
