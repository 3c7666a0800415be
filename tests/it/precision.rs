//! Training and translating in bfloat16 go where they go in float32, by the rounding of eight bits.

use std::path::Path;
use std::slice::from_ref;

use tch::{Device, Kind, Tensor};
use translate::data::decode::decode;
use translate::data::portraits::{Options, write_dataset};
use translate::nets::Graph;
use translate::recipe::Recipe;
use translate::share::Share;
use translate::train::ranks::Ranks;
use translate::train::step::{Step, Terms};

use crate::drawing::{text, translate};
use crate::recipes::{known, share_of_input, small_with};

/// The first step's terms, and what Adam's first moments hold: half of its gradients, generators and discriminators apart.
fn step(recipe: &Recipe, values: &[(String, Tensor)], bf16: bool) -> (Terms, [Tensor; 2]) {
    let mut graph = Graph::build(recipe, &known(recipe), Device::Cpu);
    for ((_, mut tensor), (_, value)) in graph.tensors().into_iter().zip(values) {
        tch::no_grad(|| tensor.copy_(value));
    }
    graph.set_bf16(bf16);
    let mut step = Step::new(recipe, graph);
    let mut input = share_of_input(recipe, 0, Share::WHOLE);
    input.generators = true;
    let terms = step.run(from_ref(&input), &Ranks::ALONE).unwrap();
    let moments = [&step.generator_adam, &step.discriminator_adam].map(|adam| {
        let all = adam.tensors().into_iter().filter(|(name, _)| name.starts_with("exp_avg."));
        Tensor::cat(&all.map(|(_, moment)| moment.flatten(0, -1)).collect::<Vec<_>>(), 0)
    });
    (terms, moments)
}

fn length(tensor: &Tensor) -> f64 {
    tensor.square().sum(Kind::Double).sqrt().double_value(&[])
}

#[test]
fn a_step_in_bfloat16_is_near_the_one_in_float32() {
    for name in
        ["cyclegan", "cyclegan-small", "cyclegan-wgan-gp", "pix2pix", "dcgan", "sngan", "cgan", "text-gan"]
    {
        let recipe = small_with(name, 4, &[]);
        let values: Vec<_> = Graph::build(&recipe, &known(&recipe), Device::Cpu).tensors();
        let ((terms, exact), (rounded_terms, rounded)) =
            (step(&recipe, &values, false), step(&recipe, &values, true));
        for (term, value) in terms {
            let (exact, rounded) = (value.double_value(&[]), rounded_terms[&term].double_value(&[]));
            let off = (exact - rounded).abs() / exact.abs().max(0.1);
            assert!(off < 0.05, "{name}: {term} is {rounded}, not {exact}");
        }
        for (exact, rounded) in exact.iter().zip(rounded) {
            let cosine =
                (exact * &rounded).sum(Kind::Double).double_value(&[]) / length(exact) / length(&rounded);
            assert!(cosine > 0.9, "{name}: gradients point elsewhere, {cosine}");
            assert!(exact != &rounded, "{name}: nothing was rounded");
        }
    }
}

/// As a finished network is on a GPU.
#[test]
fn in_channels_last_a_generator_in_bfloat16_draws_the_same() {
    for name in ["cyclegan", "cyclegan-small", "cyclegan-mobile", "pix2pix", "dcgan", "sngan"] {
        let recipe = small_with(name, 2, &[]);
        let mut graph = Graph::build_generators(&recipe, &known(&recipe), Device::Cpu);
        graph.set_bf16(true);
        let size = i64::from(recipe.data.size);
        let xs = match recipe.noise() {
            Some(width) => Tensor::randn([2, width], (Kind::Float, Device::Cpu)),
            None => Tensor::rand([2, 3, size, size], (Kind::Float, Device::Cpu)) * 2.0 - 1.0,
        };
        let drawn = || tch::no_grad(|| graph.generators[0].net.forward(&xs, false));
        let plain = drawn();
        graph.set_channels_last();
        let off = (drawn() - plain).abs().max().double_value(&[]);
        assert!(off < 0.05, "{name}: {off}");
    }
}

#[test]
fn pictures_in_bfloat16_are_near_those_in_float32() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/portraits.safetensors");
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_dataset(&at("faces"), &Options { count: 4, size: 64, seed: 5, holdout: None }).unwrap();
    let translated = |precision: &[&str]| {
        let (photos, output) = (at("faces/photos"), at(&precision.concat()));
        let args = ["apply", text(&model), text(&photos), "-o", text(&output), "--device", "cpu"];
        assert_eq!(translate(&[&args, precision].concat()).unwrap(), 0);
        let pixels = |i| decode(&output.join(format!("{i:05}.png"))).unwrap().into_raw();
        (0..4).flat_map(pixels).collect::<Vec<u8>>()
    };
    let exact = translated(&["--precision", "fp32"]);
    for same in ["auto", "tf32"] {
        assert!(translated(&["--precision", same]) == exact, "{same} on a CPU");
    }
    let rounded = translated(&["--precision", "bf16"]);
    let off: f64 = exact.iter().zip(&rounded).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    let off = off / exact.len() as f64;
    assert!(exact != rounded && off < 2.0, "{off} of 255 on average");
}
