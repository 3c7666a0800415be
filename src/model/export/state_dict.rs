//! A state dict: the weights alone, under the names of the reference `PyTorch` `CycleGAN`, which are this program's too
//! (`src/nets`). `pth` is one that the reference loads strictly, `safetensors` holds any generator's.

use std::collections::HashMap;
use std::path::Path;

use tch::Tensor;

use super::Format;
use super::error::ExportError;
use super::subject::{Subject, cpu};
use crate::model::import::checkpoint;
use crate::nets::resnet::Downsample;
use crate::nets::upsample::Upsample;
use crate::nets::{Graph, Norm, resnet, unet};
use crate::recipe::GeneratorNet;
use crate::torch::{TorchError, guard, pickle, store};
use crate::words::natural;

/// The least halvings of a U-Net of the reference: its outermost and innermost level, and the three that double.
const LEAST_DOWNS: u32 = 5;

type Tensors = Vec<(String, Tensor)>;

/// The file of `--format pth`, in the zip form of `torch.save`.
pub(super) fn pth(subject: &Subject<'_>) -> Result<Vec<u8>, ExportError> {
    let bytes = pickle(&as_reference(subject)?);
    Ok(bytes.map_err(|error| TorchError::from_text(&cpu(), &error.to_string()))?)
}

/// The file of `--format safetensors`.
pub(super) fn safetensors(subject: &Subject<'_>, output: &Path) -> Result<Vec<u8>, ExportError> {
    let tensors = as_reference(subject).unwrap_or_else(|_| subject.net().tensors());
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    Ok(store::to_bytes(output, &tensors, metadata)?)
}

/// The reference's tensors, in the order of their layers.
fn as_reference(subject: &Subject<'_>) -> Result<Tensors, ExportError> {
    let config = subject.config();
    check_layout(config)?;
    let mut tensors = subject.net().tensors();
    tensors.sort_by(|(a, _), (b, _)| natural(a).cmp(&natural(b)));
    if has_norm(config, Norm::None) {
        tensors = without_biases(tensors)?;
    }
    // PyTorch counts the batches of training beside each running mean, which nothing else uses.
    let counted = |name: &str| name.strip_suffix("running_mean").map(|at| format!("{at}num_batches_tracked"));
    let counts: Tensors =
        tensors.iter().filter_map(|(name, _)| Some((counted(name)?, Tensor::from(0i64)))).collect();
    tensors.extend(counts);
    Ok(tensors)
}

/// Names the recipe's first field that no network of the reference has.
fn check_layout(config: &GeneratorNet) -> Result<(), ExportError> {
    let no = |field: &str, value: &str, expected: &'static str| {
        Err(ExportError::NoReference { field: field.into(), value: value.into(), expected })
    };
    if has_norm(config, Norm::BatchUntracked) {
        return no("norm", "batch-untracked", "its batch norm has running statistics");
    }
    match config {
        GeneratorNet::Resnet(net) if net.skip => no("skip", "true", "its residual generator has no skips"),
        GeneratorNet::Resnet(resnet::Config { upsample: Upsample::Resize, .. }) => {
            no("upsample", "resize", "it doubles by transposed convolutions, or as CUT by `blur`")
        }
        GeneratorNet::Unet(unet::Config { upsample: Upsample::Resize, .. }) => {
            no("upsample", "resize", "its U-Net doubles by transposed convolutions")
        }
        GeneratorNet::Unet(unet::Config { upsample: Upsample::Blur, .. }) => {
            no("upsample", "blur", "its U-Net doubles by transposed convolutions")
        }
        GeneratorNet::Unet(net) if net.downs < LEAST_DOWNS => {
            no("downs", &net.downs.to_string(), "its U-Net has at least 5 halvings")
        }
        GeneratorNet::Dcgan(_) => no("kind", "dcgan", "its generators read images"),
        GeneratorNet::Residual(_) => no("kind", "residual", "its generators read images"),
        GeneratorNet::Resnet(_) | GeneratorNet::Unet(_) | GeneratorNet::MobileResnet(_) => Ok(()),
    }
}

fn has_norm(config: &GeneratorNet, norm: Norm) -> bool {
    match config {
        GeneratorNet::Resnet(net) => net.norm == norm,
        GeneratorNet::Unet(net) => net.norm == norm,
        _ => false,
    }
}

fn is_bias(name: &str) -> bool {
    name.rsplit('.').next() == Some("bias")
}

/// Without a norm the reference's convolutions have no bias, the last one aside; ours have, but those of an imported
/// model are 0.
fn without_biases(mut tensors: Tensors) -> Result<Tensors, ExportError> {
    let last = tensors.iter().rposition(|(name, _)| is_bias(name));
    let is_zero = |tensor: &Tensor| guard(&cpu(), || tensor.abs().max().double_value(&[]) == 0.0);
    let mut kept = Vec::new();
    for (i, (name, tensor)) in tensors.drain(..).enumerate() {
        if Some(i) == last || !is_bias(&name) {
            kept.push((name, tensor));
        } else if !is_zero(&tensor)? {
            let expected = "without a norm its convolutions have no biases, which this model has learnt";
            return Err(ExportError::NoReference { field: "norm".into(), value: "none".into(), expected });
        }
    }
    Ok(kept)
}

/// What the reference's `test.py` is to be told of the network, where it can build it.
pub(super) fn reference_options(config: &GeneratorNet) -> Option<String> {
    let (net, width, norm, dropout) = match config {
        GeneratorNet::Resnet(net)
            if (net.downsample, net.upsample) == (Downsample::Stride, Upsample::Transpose) =>
        {
            let name = [6, 9].contains(&net.blocks).then(|| format!("resnet_{}blocks", net.blocks))?;
            (name, net.width, net.norm, net.dropout)
        }
        GeneratorNet::Unet(net) => {
            let name = [7, 8].contains(&net.downs).then(|| format!("unet_{}", net.stride()))?;
            (name, net.width, net.norm, net.dropout)
        }
        _ => return None,
    };
    let norm = match norm {
        Norm::Instance => "instance",
        Norm::Batch | Norm::BatchUntracked => "batch",
        Norm::None => "none",
    };
    let dropout = if dropout { "" } else { " --no_dropout" };
    Some(format!("--netG {net} --ngf {width} --norm {norm}{dropout}"))
}

/// The tensors of a file that was written, by name.
pub(super) fn read(format: Format, file: &Path) -> Result<HashMap<String, Tensor>, String> {
    if format == Format::Safetensors {
        return Ok(store::read(file).map_err(|error| error.to_string())?.tensors);
    }
    let checkpoint = checkpoint::read(file).map_err(|error| error.to_string())?;
    let tensor = |name: &str| match checkpoint.tensor(name) {
        Ok(tensor) => tensor.map(|tensor| Ok((name.to_string(), tensor))),
        Err(error) => Some(Err(error.to_string())),
    };
    checkpoint.names().filter_map(tensor).collect()
}

/// Gives these numbers to a fresh network of the same recipe.
pub(super) fn rebuild(subject: &Subject<'_>, tensors: &HashMap<String, Tensor>) -> Result<Graph, String> {
    let graph = subject.rebuilt().map_err(|error| error.to_string())?;
    let leaves_out_biases = has_norm(subject.config(), Norm::None);
    for (name, mut tensor) in graph.generators[subject.name()].net.tensors() {
        let filled = match tensors.get(&name) {
            Some(found) if found.size() == tensor.size() => {
                guard(&cpu(), || tch::no_grad(|| tensor.copy_(found)))
            }
            None if leaves_out_biases && is_bias(&name) => {
                guard(&cpu(), || tch::no_grad(|| drop(tensor.zero_())))
            }
            Some(found) => return Err(format!("`{name}` has shape {:?}", found.size())),
            None => return Err(format!("`{name}` is missing")),
        };
        filled.map_err(|error| error.to_string())?;
    }
    Ok(graph)
}
