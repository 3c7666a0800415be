//! ONNX (<https://onnx.ai>), which onnxruntime, browsers and phones run. The operators of the traced network are written as
//! nodes one by one, so that no network is described a second time here.

mod graph;
mod listing;
mod proto;
mod run;

use std::collections::HashMap;

use prost::Message as _;

use super::error::ExportError;
use super::subject::{Subject, cpu};
use super::torchscript;
use crate::data::condition::Known;
use crate::torch::{TorchError, guard};
use proto::{
    Dimension, FLOAT, GraphProto, INT64, ModelProto, OperatorSetIdProto, Size, StringStringEntryProto,
    TensorShapeProto, TensorType, TypeProto, ValueInfoProto,
};

pub(super) use run::{NotRun, run};

/// The version of the operators.
const OPSET: i64 = 17;
/// The version of the file that goes with it.
const IR_VERSION: i64 = 8;
/// Bytes of a protobuf message, by its own limit; some kilobytes go to nodes and names.
const MOST_BYTES: usize = i32::MAX as usize - (1 << 20);

/// The file.
pub(super) fn bytes(subject: &Subject<'_>) -> Result<Vec<u8>, ExportError> {
    let net = subject.net();
    let bytes = net.tensors().iter().map(|(_, tensor)| tensor.numel() * 4).sum();
    if bytes > MOST_BYTES {
        return Err(ExportError::TooLarge { bytes });
    }
    if let Some(Known::Words(_)) = subject.known() {
        return Err(ExportError::Captions);
    }
    let failed = |text: String| TorchError::from_text(&cpu(), &text);
    let program = torchscript::trace(subject)?;
    let listing = program.listing().map_err(|error| failed(error.to_string()))?;
    let lines = listing::parse(&listing).map_err(|error| failed(error.to_string()))?;
    let inputs: Vec<&str> = names(subject);
    let output = if subject.from().is_some() { "translated" } else { "image" };
    let weights: HashMap<_, _> = net.tensors().into_iter().collect();
    // Weights are copied, which fails where memory does.
    let build = || graph::Builder::new(&weights).build(&lines, &inputs, output);
    let mut graph = guard(&cpu(), build)??;
    let sides = lines.iter().rev().find(|line| line.shape.len() == 4).map_or(&[][..], |line| &line.shape);
    describe(&mut graph, subject, &inputs, output, sides);
    let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) };
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: env!("CARGO_PKG_NAME").into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: "Images are RGB in [-1, 1], [batch, 3, height, width]".into(),
        graph: Some(graph),
        opset_import: vec![opset],
        metadata_props: about(subject),
    };
    Ok(model.encode_to_vec())
}

/// Names of the inputs.
fn names(subject: &Subject<'_>) -> Vec<&'static str> {
    let first = if subject.from().is_some() { "image" } else { "noise" };
    std::iter::once(first).chain(subject.known().map(|_| "label")).collect()
}

/// Says what goes in and out. `shape` is that of the output on the inputs of the trace.
fn describe(graph: &mut GraphProto, subject: &Subject<'_>, inputs: &[&str], output: &str, shape: &[i64]) {
    let named = |name: &str| Size::Named(name.into());
    let image = || vec![named("batch"), Size::Fixed(3), named("height"), named("width")];
    let input = |name: &&str| match (*name, subject.config().noise()) {
        ("noise", Some(noise)) => value(name, FLOAT, vec![named("batch"), Size::Fixed(noise)]),
        ("label", _) => value(name, INT64, vec![named("batch")]),
        _ => value(name, FLOAT, image()),
    };
    graph.name = "generator".into();
    graph.input = inputs.iter().map(input).collect();
    let drawn = || {
        let rest = shape.iter().skip(1).map(|size| Size::Fixed(*size));
        std::iter::once(named("batch")).chain(rest).collect()
    };
    let sizes = if subject.from().is_some() { image() } else { drawn() };
    graph.output = vec![value(output, FLOAT, sizes)];
}

fn value(name: &str, elem_type: i32, sizes: Vec<Size>) -> ValueInfoProto {
    let dim = sizes.into_iter().map(|size| Dimension { value: Some(size) }).collect();
    let tensor_type = TensorType { elem_type, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

/// What the file says of itself beside its graph.
fn about(subject: &Subject<'_>) -> Vec<StringStringEntryProto> {
    let mut all = vec![("to", subject.to().to_string())];
    if let Some(from) = subject.from() {
        all.push(("from", from.to_string()));
        all.push(("sides_are_multiples_of", subject.config().stride().to_string()));
        all.push(("least_side", subject.config().least_size().to_string()));
    }
    if let Some(Known::Classes(names)) = subject.known() {
        all.push(("labels", serde_json::to_string(names).unwrap_or_default()));
    }
    all.into_iter().map(|(key, value)| StringStringEntryProto { key: key.into(), value }).collect()
}
