//! What network a checkpoint's tensors are, told by their names and shapes alone.

use super::checkpoint::Checkpoint;
use super::error::ImportError;
use crate::nets::resnet::Downsample;
use crate::nets::upsample::Upsample;
use crate::nets::{Norm, mobile_resnet, resnet, unet};
use crate::recipe::GeneratorNet;
use crate::words::plain;

/// Tensors that are named where none is known.
const NAMED: usize = 3;

/// Tells the architecture by the first convolution, the widths by its shape and those after it.
pub(super) fn recognise(checkpoint: &Checkpoint) -> Result<GeneratorNet, ImportError> {
    let is_conv = |name: &str| checkpoint.shape(name).is_some_and(|shape| shape.len() == 4);
    if is_conv("model.model.0.weight") {
        return Ok(unet(checkpoint));
    }
    if is_conv("model.1.weight") {
        let is_separable = checkpoint.has("model.10.conv_block.1.conv.0.weight");
        return Ok(if is_separable { mobile(checkpoint) } else { resnet(checkpoint) });
    }
    let judges = ["model.0", "net.0"]
        .iter()
        .any(|layer| ["weight", "weight_orig"].iter().any(|name| is_conv(&format!("{layer}.{name}"))));
    let found = if judges {
        format!("a discriminator's checkpoint ({})", first_tensors(checkpoint))
    } else {
        format!("a foreign layout ({})", first_tensors(checkpoint))
    };
    Err(ImportError::Foreign {
        path: checkpoint.path.clone(),
        found,
        expected: "a generator's, which begins with `model.1.weight` [width, 3, 7, 7] (residual) or \
                   `model.model.0.weight` [width, 3, 4, 4] (U-Net)"
            .into(),
        hint: "the reference calls its generators `latest_net_G_A.pth` and `latest_net_G_B.pth`",
    })
}

fn first_tensors(checkpoint: &Checkpoint) -> String {
    let mut named: Vec<String> = checkpoint
        .names()
        .take(NAMED)
        .map(|name| format!("`{}` {:?}", plain(name), checkpoint.shape(name).unwrap_or_default()))
        .collect();
    if named.is_empty() {
        return "it has no tensors".into();
    }
    if checkpoint.names().count() > NAMED {
        named.push("…".into());
    }
    named.join(", ")
}

/// The network in a few words.
pub(super) fn describe(net: &GeneratorNet) -> String {
    let (kind, width, count, part) = match net {
        GeneratorNet::Resnet(net) => ("residual generator", net.width, net.blocks, "block"),
        GeneratorNet::MobileResnet(net) => ("separable residual generator", net.width, net.blocks, "block"),
        GeneratorNet::Unet(net) => ("U-Net", net.width, net.downs as usize, "halving"),
        GeneratorNet::Dcgan(_) | GeneratorNet::Residual(_) => return "generator from noise".into(),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{kind} of width {width} and {count} {part}{plural}")
}

/// The first number of a weight's shape: what a convolution gives, what a transposed one takes.
fn first_of(checkpoint: &Checkpoint, name: &str) -> i64 {
    checkpoint.shape(name).and_then(|shape| shape.first().copied()).unwrap_or_default()
}

/// The second one.
fn second_of(checkpoint: &Checkpoint, name: &str) -> i64 {
    checkpoint.shape(name).and_then(|shape| shape.get(1).copied()).unwrap_or_default()
}

/// How many layers from number `first` on have a tensor called `name` inside.
fn count_from(checkpoint: &Checkpoint, first: i64, name: &str) -> usize {
    let mut count = 0;
    while checkpoint.has(&format!("model.{}.{name}", first + count as i64)) {
        count += 1;
    }
    count
}

/// The norm of the layer `at`, after a convolution `before` it.
fn norm(checkpoint: &Checkpoint, before: &str, at: &str) -> Norm {
    if checkpoint.has(&format!("{at}.running_mean")) {
        Norm::Batch
    } else if checkpoint.has(&format!("{at}.weight")) {
        Norm::BatchUntracked
    } else if checkpoint.has(&format!("{before}.bias")) {
        Norm::Instance
    } else {
        // The reference gives a convolution no bias then.
        Norm::None
    }
}

fn resnet(checkpoint: &Checkpoint) -> GeneratorNet {
    let downsample = if checkpoint.has("model.7.filt") { Downsample::Blur } else { Downsample::Stride };
    let first = downsample.first_block();
    let blocks = count_from(checkpoint, first, "conv_block.1.weight");
    let after = first + blocks as i64;
    let upsample =
        if checkpoint.has(&format!("model.{after}.filt")) { Upsample::Blur } else { Upsample::Transpose };
    // Dropout is a layer, by which the number of the second convolution grows.
    let dropout = !checkpoint.has(&format!("model.{first}.conv_block.5.weight"));
    GeneratorNet::Resnet(resnet::Config {
        width: first_of(checkpoint, "model.1.weight"),
        blocks,
        norm: norm(checkpoint, "model.1", "model.2"),
        dropout,
        downsample,
        upsample,
        skip: false,
    })
}

fn mobile(checkpoint: &Checkpoint) -> GeneratorNet {
    let first = 10;
    let blocks = count_from(checkpoint, first, "conv_block.1.conv.0.weight");
    let after = first + blocks as i64;
    let down = ["model.1.weight", "model.4.weight", "model.7.weight"].map(|name| first_of(checkpoint, name));
    let inner: Vec<i64> = (first..after)
        .map(|i| first_of(checkpoint, &format!("model.{i}.conv_block.1.conv.2.weight")))
        .collect();
    let [up_1, up_2] = [after, after + 3].map(|i| format!("model.{i}.weight"));
    let up = [&up_1, &up_2].map(|name| second_of(checkpoint, name));
    GeneratorNet::MobileResnet(mobile_resnet::Config::of_widths(down, inner, up))
}

fn unet(checkpoint: &Checkpoint) -> GeneratorNet {
    let width = first_of(checkpoint, "model.model.0.weight");
    // Each level lies inside the one above it, at its place 3.
    let (mut path, mut downs) = ("model.model.1.model".to_string(), 1);
    loop {
        downs += 1;
        let inner = format!("{path}.3.model");
        if !checkpoint.has(&format!("{inner}.1.weight")) {
            break;
        }
        path = inner;
    }
    // With two halvings the innermost level is the only one, and has no norm after its first convolution.
    let (before, at) = if downs > 2 { (1, 2) } else { (3, 4) };
    let level = "model.model.1.model";
    let norm = norm(checkpoint, &format!("{level}.{before}"), &format!("{level}.{at}"));
    GeneratorNet::Unet(unet::Config { width, downs, norm, dropout: false, upsample: Upsample::Transpose })
}
