//! A step that is recorded and then done again as a whole comes to the bits of one that is asked for operator by operator:
//! whatever recipe it is of, it reads nothing but what lies in its tensors.

use tch::Device;
use translate::recipe::{PRESETS, Recipe};
use translate::train::replay::{Replays, WARM_UP};
use translate::train::state::State;

use crate::recipes::{copies, known, restored, small, train};

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
        assert_eq!(replayed.replays.as_mut().unwrap().take_refusal(), None, "{}", preset.name);
        let (expected, got) = (copies(&asked), copies(&replayed));
        assert_eq!(expected.len(), got.len(), "{}", preset.name);
        for (tensor, expected) in &expected {
            assert_eq!(*expected, got[tensor], "{}: {tensor}", preset.name);
        }
    }
}
