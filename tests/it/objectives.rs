//! Objectives and penalties against `PyTorch` (`tests/parity/objectives.py`): losses, and the gradients that train.

use std::collections::HashMap;
use std::path::Path;

use indexmap::IndexMap;
use std::slice::from_ref;

use tch::{Device, Kind, Tensor};
use translate::data::condition::Conditions;
use translate::loss::{Objective, gradient_penalty, r1};
use translate::nets::{Graph, Network};
use translate::recipe::{Space, resolve};
use translate::train::pool::Choice;
use translate::train::ranks::Ranks;
use translate::train::step::{Step, StepInput};

use crate::{networks, python};

const TOLERANCE: f64 = 1e-5;

struct Reference {
    arrays: HashMap<String, Tensor>,
    net: Network,
}

impl Reference {
    /// Of the case called `name`.
    fn new(folder: &Path, name: &str) -> Self {
        let cases = networks::cases(&folder.join("objectives.json"));
        let case = cases.iter().find(|case| case.name == name).unwrap();
        let arrays = python::arrays(&folder.join(format!("objectives-{name}.npz")));
        Self { net: networks::loaded(case, &arrays), arrays }
    }

    fn images(&self) -> [Tensor; 3] {
        ["real", "fake", "mix"].map(|name| self.arrays[name].shallow_clone())
    }

    fn judge(&self, xs: &Tensor) -> Tensor {
        self.net.forward_given(xs, self.arrays.get("c"), true)
    }

    /// The largest difference, relative to the largest expected value where that is not 0.
    fn assert_close(&self, name: &str, got: &Tensor) {
        let expected = &self.arrays[name];
        assert_eq!(got.size(), expected.size(), "{name}");
        let most = |tensor: &Tensor| tensor.abs().max().double_value(&[]);
        let off = most(&(got - expected)) / most(expected).max(1e-9);
        assert!(off < TOLERANCE, "{name} differs by {off:e}");
    }

    /// A discriminator's loss, and its gradient by every weight that it depends on.
    fn assert_discriminator(&self, name: &str, loss: &Tensor) {
        self.assert_close(&format!("{name}.discriminator"), &loss.reshape([1]));
        let prefix = format!("{name}.g.");
        let weights: HashMap<_, _> = self.net.tensors().into_iter().collect();
        let names: Vec<&str> = self.arrays.keys().filter_map(|key| key.strip_prefix(&prefix)).collect();
        assert!(names.len() >= 4, "{name}: {names:?}");
        let parameters: Vec<&Tensor> = names.iter().map(|name| &weights[*name]).collect();
        for (of, gradient) in names.iter().zip(Tensor::run_backward(&[loss], &parameters, false, false)) {
            self.assert_close(&format!("{prefix}{of}"), &gradient);
        }
    }
}

#[test]
fn objectives_agree_with_pytorch() {
    let Some(folder) = python::reference() else { return };
    let reference = Reference::new(folder, "patch_none");
    let [real, fake, _] = reference.images();
    for name in ["minimax", "non-saturating", "lsgan", "hinge", "wgan"] {
        let objective: Objective = serde_json::from_value(serde_json::json!({ "kind": name })).unwrap();
        let loss = objective.discriminator(&reference.judge(&real), &reference.judge(&fake));
        reference.assert_discriminator(name, &loss);

        let moving = fake.copy().set_requires_grad(true);
        let loss = objective.generator(&reference.judge(&moving));
        reference.assert_close(&format!("{name}.generator"), &loss.reshape([1]));
        reference.assert_close(
            &format!("{name}.fake"),
            &Tensor::run_backward(&[&loss], &[&moving], false, false)[0],
        );
    }
}

/// Their gradients by the weights are second derivatives: through convolutions alone, through instance norm, and through
/// spectral norm and the projection of a class.
#[test]
fn penalties_agree_with_pytorch() {
    let Some(folder) = python::reference() else { return };
    for name in ["patch_none", "patch_instance", "dcgan_classes_spectral"] {
        // Anew for each, as every call moves spectral norm's vectors.
        let reference = Reference::new(folder, name);
        let [real, fake, mix] = reference.images();
        let penalty = gradient_penalty(|xs| reference.judge(xs), &real, &fake, &mix);
        reference.assert_discriminator("gradient-penalty", &penalty);
        let reference = Reference::new(folder, name);
        reference.assert_discriminator("r1", &r1(|xs| reference.judge(xs), &real));
    }
}

/// A step of `CycleGAN` with narrow networks and these values laid over its recipe.
fn step(sets: &[&str]) -> Step {
    let narrow = ["generators.x_to_y", "generators.y_to_x", "discriminators.x", "discriminators.y"];
    let mut all: Vec<String> = narrow.iter().map(|node| format!("{node}.net.width=4")).collect();
    all.extend(["x_to_y", "y_to_x"].map(|name| format!("generators.{name}.net.blocks=1")));
    all.extend(sets.iter().map(ToString::to_string));
    let recipe = resolve("cyclegan", &all).unwrap();
    let graph = Graph::build(&recipe, &Conditions::new(), Device::Cpu);
    for (_, mut tensor) in graph.tensors() {
        tch::no_grad(|| tensor.copy_(&(wave(&tensor.size(), 0.7) * 0.05)));
    }
    Step::new(&recipe, graph)
}

/// Numbers within ±1: libtorch's own generator is shared with the tests beside this one.
fn wave(shape: &[i64], pace: f64) -> Tensor {
    (Tensor::arange(shape.iter().product::<i64>(), (Kind::Float, Device::Cpu)) * pace).sin().reshape(shape)
}

fn input(generators: bool) -> StepInput {
    let options = (Kind::Float, Device::Cpu);
    let spaces = [Space::X, Space::Y];
    StepInput {
        samples: spaces.map(|space| (space, wave(&[1, 3, 32, 32], 0.37 + space.side() as f64))).into(),
        choices: spaces.map(|space| (space, vec![Choice { swap: false, slot: 0 }])).into(),
        mixes: spaces.map(|space| (space, Tensor::full([1, 1, 1, 1], 0.5, options))).into(),
        augments: IndexMap::new(),
        conditions: IndexMap::new(),
        mismatched: IndexMap::new(),
        generators,
        lr: 1e-3,
    }
}

fn copies(step: &Step, prefix: &str) -> Vec<Tensor> {
    step.graph.parameters(prefix).iter().map(|(_, tensor)| tensor.detach().copy()).collect()
}

#[test]
fn critics_step_alone_and_are_clipped() {
    let mut step = step(&["loss.adversarial.kind=wgan"]);
    let [generators, critics] = ["generators.", "discriminators."].map(|prefix| copies(&step, prefix));
    let terms = step.run(&[input(false)], &Ranks::ALONE).unwrap();
    assert_eq!(copies(&step, "generators."), generators, "no generator moves in a critic's step");
    // Biases that an instance norm cancels may stay where they are.
    let moved = |(now, before): (&Tensor, &Tensor)| now.dim() == 1 || now != before;
    assert!(copies(&step, "discriminators.").iter().zip(&critics).all(moved));
    let names: Vec<&str> = terms.keys().map(String::as_str).collect();
    assert_eq!(names, ["divergence.x", "discriminator.x", "divergence.y", "discriminator.y"]);
    let largest = |tensor: &Tensor| tensor.abs().max().double_value(&[]);
    assert!(copies(&step, "discriminators.").iter().all(|tensor| largest(tensor) <= 0.01 + 1e-9));

    let terms = step.run(&[input(true)], &Ranks::ALONE).unwrap();
    assert!(terms.contains_key("adversarial.x_to_y") && terms.contains_key("cycle.x"));
    assert!(copies(&step, "generators.").iter().zip(&generators).any(|(now, before)| now != before));
}

/// Adam's first moment after one step is (1 − β₁), here a half, of the gradient, so it tells what the step has lowered: the
/// objective and both penalties, each with its weight, and nothing else.
#[test]
fn a_step_lowers_the_objective_and_the_weighted_penalties() {
    let sets = ["loss.adversarial.kind=wgan-gp", "loss.adversarial.penalty=7", "loss.r1=3", "loss.pool=0"];
    let (mut taken, same, input) = (step(&sets), step(&sets), input(false));
    let terms = taken.run(from_ref(&input), &Ranks::ALONE).unwrap();
    let moments: HashMap<String, Tensor> = taken.discriminator_adam.tensors().into_iter().collect();
    let objective = Objective::WganGp { penalty: 7.0 };
    for (space, arrow) in [(Space::X, "y_to_x"), (Space::Y, "x_to_y")] {
        let node = &same.graph.generators[arrow];
        let real = &input.samples[&space];
        let fake = tch::no_grad(|| node.net.forward(&input.samples[&node.from], true));
        let judge = |xs: &Tensor| same.graph.discriminators[&space].net.forward(xs, true);
        let penalty = gradient_penalty(judge, real, &fake, &input.mixes[&space]);
        let slope = r1(judge, real);
        let close = |name: &str, term: &Tensor| {
            let (got, expected) = (terms[name].double_value(&[]), term.double_value(&[]));
            assert!((got - expected).abs() <= 1e-5 * expected.abs(), "{name}: {got} instead of {expected}");
        };
        close(&format!("penalty.{}", space.name()), &penalty);
        close(&format!("r1.{}", space.name()), &slope);
        let loss = objective.discriminator(&judge(real), &judge(&fake)) + 7.0 * penalty + 3.0 * slope;
        let prefix = format!("discriminators.{}.", space.name());
        let weights = same.graph.parameters(&prefix);
        let tensors: Vec<&Tensor> = weights.iter().map(|(_, tensor)| tensor).collect();
        let gradients = Tensor::run_backward(&[&loss], &tensors, false, false);
        let largest = gradients.iter().map(|g| g.abs().max().double_value(&[])).fold(0.0, f64::max);
        for ((name, _), gradient) in weights.iter().zip(&gradients) {
            let moment = &moments[&format!("exp_avg.{name}")];
            let off = (moment / 0.5 - gradient).abs().max().double_value(&[]);
            assert!(off <= 1e-5 * largest, "{name}: off by {off:e} of {largest:e}");
        }
    }
}
