//! What makes a GPU fast changes nothing. A step that is recorded and then done again as a whole comes to the bits of one that is asked for operator by operator:
//! whatever recipe it is of, it reads nothing but what lies in its tensors.

use tch::{Device, Tensor};
use translate::nets::Graph;
use translate::recipe::{PRESETS, Recipe};
use translate::share::Share;
use translate::torch::count_products;
use translate::train::adam::Adam;
use translate::train::ranks::Ranks;
use translate::train::replay::{Replays, WARM_UP};
use translate::train::state::State;
use translate::train::step::Step;

use crate::ranks::{exact, exact_graph};
use crate::recipes::{copies, known, restored, share_of_input, small, train};

/// Steps of the generators that are replays.
const REPLAYED: u64 = 3;

/// The steps after which so many of each kind were replays.
fn steps(recipe: &Recipe) -> u64 {
    (WARM_UP + 1 + REPLAYED) * recipe.train.critic_steps
}

#[test]
fn replays_of_every_recipe_are_its_steps() {
    for preset in PRESETS {
        let mut recipe = small(preset.name);
        // So that the learning rate falls while steps are replayed.
        recipe.train.images = steps(&recipe) * recipe.train.batch as u64;
        let mut asked = State::new(&recipe, &known(&recipe), Device::Cpu).unwrap();
        let mut replayed = restored(&recipe, &copies(&asked));
        replayed.replays = Some(Replays::new(Device::Cpu));
        for state in [&mut asked, &mut replayed] {
            train(&recipe, state, 0..steps(&recipe));
        }
        let replays = replayed.replays.as_mut().unwrap();
        assert_eq!(replays.take_refusal(), None, "{}", preset.name);
        // Steps of the discriminators alone are a kind of their own.
        let kinds = recipe.train.critic_steps.min(2);
        assert!(replays.replayed() >= kinds * REPLAYED, "{}: {}", preset.name, replays.replayed());
        let (expected, got) = (copies(&asked), copies(&replayed));
        assert_eq!(expected.len(), got.len(), "{}", preset.name);
        for (tensor, expected) in &expected {
            assert_eq!(*expected, got[tensor], "{}: {tensor}", preset.name);
        }
    }
}

/// The first step's terms and what Adam's first moments hold, in float64.
fn first_step(recipe: &Recipe, values: &[(String, Tensor)], channels_last: bool) -> Vec<(String, Tensor)> {
    let graph = exact_graph(recipe, values);
    if channels_last {
        graph.set_channels_last();
    }
    let mut step = Step::new(recipe, graph);
    let mut input = exact(share_of_input(recipe, 0, Share::WHOLE));
    input.generators = true;
    let terms = step.run(&[input], &Ranks::ALONE).unwrap();
    let adams = [&step.generator_adam, &step.discriminator_adam].into_iter().flat_map(Adam::tensors);
    terms.into_iter().chain(adams).collect()
}

#[test]
fn the_memory_order_changes_no_step() {
    for preset in PRESETS {
        let recipe = small(preset.name);
        let values = Graph::build(&recipe, &known(&recipe), Device::Cpu).tensors();
        let (expected, found) = (first_step(&recipe, &values, false), first_step(&recipe, &values, true));
        assert_eq!(expected.len(), found.len());
        for ((name, expected), (of, found)) in expected.into_iter().zip(found) {
            let off = (&expected - found).abs().max().double_value(&[]);
            let largest = expected.abs().max().double_value(&[]);
            assert!(
                name == of && off < 1e-9 * largest.max(1e-3),
                "{}: {name} differs by {off:e}",
                preset.name
            );
        }
    }
}

#[test]
fn results_that_are_computed_again_change_no_step() {
    for preset in PRESETS {
        let recipe = small(preset.name);
        let values = Graph::build(&recipe, &known(&recipe), Device::Cpu).tensors();
        let is_for_it = recipe.generators.values().any(|arrow| arrow.net.can_recompute());
        for bf16 in [false, true] {
            let step = |recompute: bool| {
                let mut graph = Graph::build(&recipe, &known(&recipe), Device::Cpu);
                for ((_, mut tensor), (_, value)) in graph.tensors().into_iter().zip(&values) {
                    tch::no_grad(|| tensor.copy_(value));
                }
                graph.set_bf16(bf16);
                if recompute {
                    graph.recompute();
                }
                let mut step = Step::new(&recipe, graph);
                let mut input = share_of_input(&recipe, 0, Share::WHOLE);
                input.generators = true;
                let (terms, products) =
                    count_products(|| step.run(&[input], &Ranks::ALONE).unwrap()).unwrap();
                let moments = step.generator_adam.tensors();
                (terms.into_iter().chain(moments).collect::<Vec<_>>(), products)
            };
            let ((expected, once), (found, twice)) = (step(false), step(true));
            assert_eq!(expected, found, "{}", preset.name);
            // It is done, where it can be.
            assert_eq!(twice > once, is_for_it, "{}: {twice} and {once} products", preset.name);
        }
    }
}
