//! Every network against `PyTorch`'s (`tests/parity/networks.py`) with the same weights: outputs, gradients, and the names
//! and shapes of real reference checkpoints.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tch::{Device, Kind, Tensor};
use translate::data::condition::{Conditions, Known};
use translate::nets::{Encoding, Graph, Network, Norm, patch, resnet, unet};
use translate::recipe::{Condition, Discriminator, DiscriminatorNet, GeneratorNet, resolve};

use crate::generators::{captioned, models};
use crate::python;

const OUTPUT_TOLERANCE: f64 = 1e-5;
const GRADIENT_TOLERANCE: f64 = 1e-4;

/// Of the networks that are made for one size.
const SIZE: u32 = 32;
/// Numbers of a class's embedding, as in `tests/parity/drawing.py`.
const CONDITION: i64 = 6;
/// A number of noise that no layer's channels are.
const NOISE: i64 = 3;

/// A network of the Python side.
#[derive(Deserialize)]
pub struct Case {
    #[serde(rename = "case")]
    pub name: String,
    role: Role,
    net: Value,
    spectral_norm: bool,
    classes: usize,
    train: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    Generator,
    Discriminator,
}

/// The cases that a file lists.
pub fn cases(list: &Path) -> Vec<Case> {
    serde_json::from_str(&std::fs::read_to_string(list).unwrap()).unwrap()
}

/// A case's network with the weights of its arrays.
pub fn loaded(case: &Case, arrays: &HashMap<String, Tensor>) -> Network {
    let net = build(case);
    load(&net, arrays);
    net
}

fn build(case: &Case) -> Network {
    let condition = Condition::Label { width: CONDITION, matching_aware: false };
    let known = Known::Classes((0..case.classes).map(|class| class.to_string()).collect());
    let encoding = (case.classes > 0).then_some(Encoding { condition: &condition, known: &known });
    match case.role {
        Role::Generator => {
            Network::generator(&serde_json::from_value(case.net.clone()).unwrap(), SIZE, encoding)
        }
        Role::Discriminator => {
            let net: DiscriminatorNet = serde_json::from_value(case.net.clone()).unwrap();
            let spectral_norm = case.spectral_norm;
            Network::discriminator(&Discriminator { spectral_norm, ..net.into() }, SIZE, encoding)
        }
    }
}

/// Largest |a − b| relative to the largest |b|.
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    let scale = b.abs().max().double_value(&[]);
    (a - b).abs().max().double_value(&[]) / scale
}

fn load(net: &Network, arrays: &HashMap<String, Tensor>) {
    let tensors = net.tensors();
    let theirs = arrays.keys().filter(|key| key.starts_with("w.")).count();
    assert_eq!(tensors.len(), theirs, "as many tensors as PyTorch's state dict");
    for (name, mut tensor) in tensors {
        let theirs = arrays.get(&format!("w.{name}")).unwrap_or_else(|| panic!("PyTorch has no `{name}`"));
        assert_eq!(tensor.size(), theirs.size(), "{name}");
        tch::no_grad(|| tensor.copy_(theirs));
    }
}

fn compare(case: &Case, arrays: &HashMap<String, Tensor>) {
    let name = &case.name;
    let net = loaded(case, arrays);
    if let Some(expected) = arrays.get("y_eval") {
        let got = tch::no_grad(|| net.forward_given(&arrays["x"], arrays.get("c"), false));
        let difference = difference(&got, expected);
        assert!(difference < OUTPUT_TOLERANCE, "{name}: y_eval differs by {difference:e}");
    }
    let xs = arrays["x"].set_requires_grad(true);
    let ys = net.forward_given(&xs, arrays.get("c"), case.train);
    let off = difference(&ys, &arrays["y"]);
    assert!(off < OUTPUT_TOLERANCE, "{name}: y differs by {off:e}");

    (&ys * &arrays["gy"]).sum(Kind::Float).backward();
    let off = difference(&xs.grad(), &arrays["gx"]);
    assert!(off < GRADIENT_TOLERANCE, "{name}: gx differs by {off:e}");
    let mut compared = 0;
    for (parameter, tensor) in net.tensors() {
        if let Some(expected) = arrays.get(&format!("g.{parameter}")) {
            let off = difference(&tensor.grad(), expected);
            assert!(off < GRADIENT_TOLERANCE, "{name}: gradient of {parameter} differs by {off:e}");
            compared += 1;
        }
        if let Some(expected) = arrays.get(&format!("after.{parameter}")) {
            let off = difference(&tensor, expected);
            assert!(off < OUTPUT_TOLERANCE, "{name}: {parameter} after the call differs by {off:e}");
        }
    }
    assert_eq!(compared, arrays.keys().filter(|key| key.starts_with("g.")).count(), "{name}");
}

#[test]
fn networks_agree_with_pytorch() {
    let Some(folder) = python::reference() else { return };
    let cases = cases(&folder.join("cases.json"));
    assert!(cases.len() >= 44);
    for case in &cases {
        compare(case, &python::arrays(&folder.join(format!("{}.npz", case.name))));
    }
}

/// `(name, shape)` of a convolution with a bias.
fn conv(name: &str, weight: [i64; 4], bias: i64) -> Vec<(String, Vec<i64>)> {
    vec![(format!("{name}.weight"), weight.to_vec()), (format!("{name}.bias"), vec![bias])]
}

fn shapes(net: &Network) -> Vec<(String, Vec<i64>)> {
    net.tensors().into_iter().map(|(name, tensor)| (name, tensor.size())).collect()
}

fn sorted(mut list: Vec<(String, Vec<i64>)>) -> Vec<(String, Vec<i64>)> {
    list.sort();
    list
}

/// The generator of published horse2zebra checkpoints, of 9 blocks or 6 (`second` is 5; 6 where they were trained with
/// dropout).
fn published_generator(blocks: i64, second: i64) -> Vec<(String, Vec<i64>)> {
    let mut expected = conv("model.1", [64, 3, 7, 7], 64);
    expected.extend(conv("model.4", [128, 64, 3, 3], 128));
    expected.extend(conv("model.7", [256, 128, 3, 3], 256));
    let up = 10 + blocks;
    for block in 10..up {
        for layer in [1, second] {
            expected.extend(conv(&format!("model.{block}.conv_block.{layer}"), [256, 256, 3, 3], 256));
        }
    }
    // A transposed convolution's weight is stored [in, out, height, width].
    expected.extend(conv(&format!("model.{up}"), [256, 128, 3, 3], 128));
    expected.extend(conv(&format!("model.{}", up + 3), [128, 64, 3, 3], 64));
    expected.extend(conv(&format!("model.{}", up + 7), [3, 64, 7, 7], 3));
    sorted(expected)
}

#[test]
fn names_and_shapes_are_those_of_published_checkpoints() {
    let generator = |config| Network::generator(&GeneratorNet::Resnet(config), 256, None);
    let nine = generator(resnet::Config::default());
    assert_eq!(shapes(&nine), published_generator(9, 5));
    assert_eq!(nine.parameter_count(), 11_378_179);
    let dropout = generator(resnet::Config { dropout: true, ..resnet::Config::default() });
    assert_eq!(shapes(&dropout), published_generator(9, 6));
    let six = generator(resnet::Config { blocks: 6, ..resnet::Config::default() });
    assert_eq!(shapes(&six), published_generator(6, 5));
    assert_eq!(six.parameter_count(), 7_837_699);

    let judge = Network::discriminator(&DiscriminatorNet::Patch(patch::Config::default()).into(), 256, None);
    let mut expected = conv("model.0", [64, 3, 4, 4], 64);
    expected.extend(conv("model.2", [128, 64, 4, 4], 128));
    expected.extend(conv("model.5", [256, 128, 4, 4], 256));
    expected.extend(conv("model.8", [512, 256, 4, 4], 512));
    expected.extend(conv("model.11", [1, 512, 4, 4], 1));
    assert_eq!(shapes(&judge), sorted(expected));
    assert_eq!(judge.parameter_count(), 2_764_737);
    let verdicts = judge.forward(&Tensor::zeros([1, 3, 256, 256], (Kind::Float, Device::Cpu)), false);
    assert_eq!(verdicts.size(), [1, 1, 30, 30]);
}

#[test]
fn unet_256_has_the_published_size() {
    let net = Network::generator(
        &GeneratorNet::Unet(unet::Config { dropout: true, ..unet::Config::default() }),
        256,
        None,
    );
    assert_eq!(net.parameter_count(), 54_413_955);
    let shapes: HashMap<_, _> = shapes(&net).into_iter().collect();
    let inner = "model.model.1.model.3.model.3.model.3.model.3.model.3.model.3.model";
    assert_eq!(shapes[&format!("{inner}.1.weight")], [512, 512, 4, 4]);
    assert_eq!(shapes[&format!("{inner}.4.running_mean")], [512]);
    assert_eq!(shapes["model.model.3.bias"], [3]);
    assert!(!shapes.contains_key("model.model.0.bias"), "batch norm's networks have no bias before it");
}

/// The channels between the layers, sorted: what a generator's convolutions take, as transposed ones are stored with that
/// first, and what a discriminator's make; of residual blocks what they make.
fn channels(net: &Network, kind: &str) -> Vec<i64> {
    let is_one = |(name, shape): &&(String, Vec<i64>)| match kind {
        "dcgan" => shape.len() == 4 && ![1, NOISE].contains(&shape[0]),
        _ => name.ends_with("shortcut.weight"),
    };
    let mut found: Vec<i64> = shapes(net).iter().filter(is_one).map(|(_, shape)| shape[0]).collect();
    found.sort_unstable();
    found
}

#[test]
fn networks_from_noise_fit_every_size_and_are_eight_times_as_wide_at_most() {
    for (size, levels) in [(16, 2), (32, 3), (64, 4), (128, 5), (256, 6)] {
        for kind in ["dcgan", "residual"] {
            let name = format!("{kind} at {size}");
            let drawer = serde_json::json!({ "kind": kind, "noise": NOISE, "width": 2 });
            let drawer = Network::generator(&serde_json::from_value(drawer).unwrap(), size, None);
            let judge: DiscriminatorNet =
                serde_json::from_value(serde_json::json!({ "kind": kind, "width": 2 })).unwrap();
            let judge = Network::discriminator(&judge.into(), size, None);
            let noise = Tensor::zeros([2, NOISE], (Kind::Float, Device::Cpu));
            let (drawn, verdicts) = tch::no_grad(|| {
                let drawn = drawer.forward(&noise, false);
                let verdicts = judge.forward(&drawn, false);
                (drawn, verdicts)
            });
            let side = i64::from(size);
            assert_eq!(drawn.size(), [2, 3, side, side], "{name}");
            assert_eq!(verdicts.size(), [2, 1, 1, 1], "{name}");
            let expected = &[2, 4, 8, 16, 16, 16][..levels];
            assert_eq!(channels(&drawer, kind), expected, "{name}: generator");
            assert_eq!(channels(&judge, kind), expected, "{name}: discriminator");
        }
    }
}

/// Mean and deviation of a tensor lie within six of their sampling errors, which chance passes once in 10⁸ tensors.
fn assert_normal(name: &str, tensor: &Tensor, mean: f64, deviation: f64) {
    let numbers = tensor.numel() as f64;
    let found = tensor.mean(Kind::Double).double_value(&[]);
    let spread = tensor.to_kind(Kind::Double).std(true).double_value(&[]);
    let error = 6.0 * deviation / numbers.sqrt();
    assert!((found - mean).abs() < error, "{name}: mean {found}, expected {mean} ± {error}");
    let error = error / 2f64.sqrt();
    assert!((spread - deviation).abs() < error, "{name}: deviation {spread}, expected {deviation} ± {error}");
}

/// The reference's `init_weights` of type `normal` and gain 0.02.
#[test]
fn weights_begin_as_the_reference_s_do() {
    let recipe = resolve("cyclegan", &[]).unwrap();
    let graph = Graph::build(&recipe, &Conditions::new(), Device::Cpu);
    let unet = Network::generator(&GeneratorNet::Unet(unet::Config::default()), 256, None);
    let (mut weights, mut scales) = (0, 0);
    for (name, tensor) in graph.tensors().into_iter().chain(unet.tensors()) {
        match tensor.dim() {
            4 => assert_normal(&name, &tensor, 0.0, 0.02),
            1 if name.ends_with("weight") => assert_normal(&name, &tensor, 1.0, 0.02),
            _ if name.ends_with("bias") => assert_eq!(tensor.ne(0.0).any().int64_value(&[]), 0, "{name}"),
            _ => assert!(name.contains("running_") || name.ends_with("num_batches_tracked"), "{name}"),
        }
        weights += usize::from(tensor.dim() == 4);
        scales += usize::from(tensor.dim() == 1 && name.ends_with("weight"));
    }
    // Two generators of 24 convolutions and two discriminators of 5; and the U-Net.
    assert_eq!((weights, scales), (2 * 24 + 2 * 5 + 16, 13));
}

/// Receptive field: how many input columns one verdict's gradient reaches.
#[test]
fn receptive_fields_are_the_published_ones() {
    for (layers, expected) in [(1, 16), (2, 34), (3, 70), (4, 142), (5, 286)] {
        let config = patch::Config { width: 2, layers, norm: Norm::None };
        let net = Network::discriminator(&DiscriminatorNet::Patch(config).into(), 64, None);
        for (_, mut tensor) in net.tensors() {
            let _ = tch::no_grad(|| tensor.fill_(0.1));
        }
        let size = 2 * expected + 64;
        let xs = Tensor::ones([1, 3, size, size], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let ys = net.forward(&xs, true);
        let middle = ys.size()[2] / 2;
        ys.get(0).get(0).get(middle).get(middle).backward();
        let reached = xs.grad().abs().sum_dim_intlist([0i64, 1, 2].as_slice(), false, Kind::Float).gt(0.0);
        assert_eq!(reached.sum(Kind::Int64).int64_value(&[]), expected, "{layers} layers");
    }
}

/// A model file is compared with these before its network is built, so a network that asks for more must show in them.
#[test]
fn large_weights_are_those_of_the_built_network_and_most_of_it() {
    let captioned = captioned().into_iter().map(|(name, model)| (name.to_string(), model));
    for (name, model) in models().into_iter().chain(captioned) {
        let built: HashMap<_, _> = model.graph.tensors().into_iter().collect();
        let large = Graph::large_weights(&model.recipe, &model.conditions);
        for (weight, shape) in &large {
            assert_eq!(built.get(weight).map(Tensor::size).as_ref(), Some(shape), "{name}: {weight}");
        }
        let part: i64 = large.iter().map(|(_, shape)| shape.iter().product::<i64>()).sum();
        let all: i64 = built.values().map(|tensor| tensor.numel() as i64).sum();
        assert!(4 * part >= all, "{name}: {part} of {all}");
    }
}
