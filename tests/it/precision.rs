//! Training in bfloat16 goes where training in float32 goes, by the rounding of eight bits.

use std::slice::from_ref;

use tch::{Device, Kind, Tensor};
use translate::nets::Graph;
use translate::recipe::Recipe;
use translate::share::Share;
use translate::train::ranks::Ranks;
use translate::train::step::{Step, Terms};

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
