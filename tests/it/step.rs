//! Five whole steps against a plain `PyTorch` `CycleGAN` (`tests/parity/step.py`): same weights, images and pool choices.

use std::collections::HashMap;

use indexmap::IndexMap;
use tch::{Device, Tensor};
use translate::data::condition::Conditions;
use translate::nets::Graph;
use translate::recipe::{Recipe, Space, resolve};
use translate::train::pool::Choice;
use translate::train::ranks::Ranks;
use translate::train::replay::{Replays, WARM_UP};
use translate::train::step::{Step, StepInput};

use crate::python;

const SPACES: [Space; 2] = [Space::X, Space::Y];

fn recipe(batch: usize) -> Recipe {
    let mut sets = vec![format!("train.batch={batch}"), "loss.pool=3".into(), "data.size=32".into()];
    for generator in ["x_to_y", "y_to_x"] {
        sets.push(format!("generators.{generator}.net.width=8"));
        sets.push(format!("generators.{generator}.net.blocks=2"));
    }
    sets.extend(["x", "y"].map(|space| format!("discriminators.{space}.net.width=8")));
    resolve("cyclegan", &sets).unwrap()
}

/// Every tensor of the graph under the name that the Python side gives it.
fn named(graph: &Graph) -> Vec<(String, Tensor)> {
    let rename = |name: String| name.replace("generators.", "").replace("discriminators.", "d");
    graph.tensors().into_iter().map(|(name, tensor)| (rename(name), tensor)).collect()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_kind(tch::Kind::Double).try_into().unwrap()
}

fn input(arrays: &HashMap<String, Tensor>, k: usize) -> StepInput {
    let images = SPACES.map(|space| (space, arrays[&format!("{}.{k}", space.name())].shallow_clone()));
    let choices = SPACES.map(|space| {
        let swap = numbers(&arrays[&format!("pool_swap.{}.{k}", space.name())]);
        let slot = numbers(&arrays[&format!("pool_slot.{}.{k}", space.name())]);
        let choice = |(swap, slot): (f64, f64)| Choice { swap: swap > 0.0, slot: slot as usize };
        (space, swap.into_iter().zip(slot).map(choice).collect())
    });
    StepInput {
        samples: IndexMap::from(images),
        choices: IndexMap::from(choices),
        mixes: IndexMap::new(),
        augments: IndexMap::new(),
        conditions: IndexMap::new(),
        mismatched: IndexMap::new(),
        generators: true,
        lr: numbers(&arrays["lr"])[k],
    }
}

/// Five steps as they are asked for, or by all that makes a GPU fast: in channels-last, and recorded and done again.
fn compare(batch: usize, arrays: &HashMap<String, Tensor>, is_fast: bool) {
    let graph = Graph::build(&recipe(batch), &Conditions::new(), Device::Cpu);
    for (name, mut tensor) in named(&graph) {
        tch::no_grad(|| tensor.copy_(&arrays[&name]));
    }
    let mut replays = is_fast.then(|| Replays::new(Device::Cpu));
    if is_fast {
        graph.set_channels_last();
    }
    let mut step = Step::new(&recipe(batch), graph);

    for k in 0..5 {
        let parts = [input(arrays, k)];
        let terms = match &mut replays {
            Some(replays) => replays.step(&mut step, &parts, &Ranks::ALONE),
            None => step.run(&parts, &Ranks::ALONE),
        };
        let terms = terms.unwrap();
        let expected: Vec<&String> = arrays.keys().filter(|key| key.starts_with("loss.")).collect();
        assert_eq!((terms.len(), expected.len()), (8, 8));
        for key in expected {
            let (got, expected) = (terms[&key["loss.".len()..]].double_value(&[]), numbers(&arrays[key])[k]);
            let off = (got - expected).abs() / expected.abs();
            assert!(off < 1e-4, "batch {batch}, step {k}, {key}: {got}, not {expected}");
        }
    }
    if let Some(replays) = replays {
        assert_eq!(replays.replayed(), 5 - WARM_UP - 1);
    }
    let mut compared = 0;
    for (name, tensor) in named(&step.graph) {
        // The Python side leaves out the biases that an instance norm right after them cancels: their gradient is
        // rounding and nothing else, and no output depends on them.
        if let Some(expected) = arrays.get(&format!("final.{name}")) {
            let off = (tensor - expected).abs().max().double_value(&[]);
            assert!(off < 1e-4, "batch {batch}: {name} differs by {off:e}");
            compared += 1;
        }
    }
    assert_eq!(compared, arrays.keys().filter(|key| key.starts_with("final.")).count());
    assert!(compared > 20);
}

#[test]
fn five_steps_agree_with_pytorch() {
    let Some(folder) = python::reference() else { return };
    for (batch, is_fast) in [(1, false), (2, false), (1, true), (2, true)] {
        compare(batch, &python::arrays(&folder.join(format!("step-{batch}.npz"))), is_fast);
    }
}
