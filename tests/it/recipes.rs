//! Every shipped recipe through the engine, at a small size: all its networks learn, and going on from a checkpoint gives
//! the bits of never having stopped. And what single recipes say of their terms.

use std::collections::HashMap;

use indexmap::IndexMap;
use std::slice::from_ref;

use tch::{Device, Kind, Tensor};
use translate::data::condition::{Conditioned, Conditions, Known, Vocabulary};
use translate::data::loader::Batch;
use translate::loss::Objective;
use translate::nets::encoder::TextEncoder;
use translate::recipe::{Condition, DiscriminatorNet, GeneratorNet, PRESETS, Recipe, Space, resolve};
use translate::share::Share;
use translate::train::checkpoint;
use translate::train::draw::step_input;
use translate::train::ranks::Ranks;
use translate::train::state::State;
use translate::train::step::StepInput;

const SIZE: u32 = 32;
const STEPS: u64 = 6;
/// Steps before the break: an odd number, so that it falls between a critic's step of its own and the generators' step.
const BREAK: u64 = 3;
/// The most that [`small`] leaves.
const CRITIC_STEPS: u64 = 2;

/// The recipe with networks and images as small as they can be.
pub fn small(name: &str) -> Recipe {
    small_with(name, 2, &[])
}

/// As [`small`], with so many images a step and changes.
pub fn small_with(name: &str, batch: usize, sets: &[&str]) -> Recipe {
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    let mut recipe = resolve(name, &sets).unwrap();
    recipe.data.size = SIZE;
    recipe.data.load_size = SIZE;
    recipe.train.batch = batch;
    recipe.train.images = batch as u64 * STEPS;
    recipe.train.critic_steps = recipe.train.critic_steps.min(CRITIC_STEPS);
    recipe.loss.pool = recipe.loss.pool.min(3);
    for arrow in recipe.generators.values_mut() {
        match &mut arrow.net {
            GeneratorNet::Resnet(net) => (net.width, net.blocks) = (2, 1),
            GeneratorNet::MobileResnet(net) => (net.width, net.blocks) = (2, 1),
            // Dropout is libtorch's, whose one generator other tests draw from meanwhile.
            GeneratorNet::Unet(net) => (net.width, net.downs, net.dropout) = (2, 4, false),
            GeneratorNet::Dcgan(net) => (net.width, net.noise) = (2, 3),
            GeneratorNet::Residual(net) => (net.width, net.noise) = (2, 3),
        }
    }
    for judge in recipe.discriminators.values_mut() {
        match &mut judge.net {
            DiscriminatorNet::Patch(net) => net.width = 2,
            DiscriminatorNet::Pixel(net) => net.width = 2,
            DiscriminatorNet::Dcgan(net) => net.width = 2,
            DiscriminatorNet::Residual(net) => net.width = 2,
        }
    }
    for condition in recipe.conditions.values_mut() {
        match condition {
            Condition::Label { width, .. } => *width = 3,
            Condition::Text { encoder: TextEncoder::Gru(net), .. } => (net.words, net.width) = (3, 4),
            Condition::Text { encoder: TextEncoder::Transformer(net), .. } => {
                (net.width, net.heads, net.layers, net.feed_forward) = (4, 2, 1, 4);
            }
        }
    }
    assert_eq!(recipe.validate(), [], "{name}");
    recipe
}

/// Conditions of three images for every conditioned space.
fn conditioned(recipe: &Recipe) -> IndexMap<Space, Conditioned> {
    let of_kind = |condition: &Condition| match condition {
        Condition::Label { .. } => {
            let known = Known::Classes(["a", "b", "c"].map(String::from).to_vec());
            Conditioned { known, of: (0..3).map(|label| vec![vec![label]]).collect() }
        }
        Condition::Text { .. } => {
            let texts = ["red eyes", "blue eyes, red hair", "hair"];
            let vocabulary = Vocabulary::new(texts.into_iter());
            let of = texts.iter().map(|text| vec![vocabulary.tokens(text)]).collect();
            Conditioned { known: Known::Words(vocabulary), of }
        }
    };
    recipe.conditions.iter().map(|(space, condition)| (*space, of_kind(condition))).collect()
}

pub fn known(recipe: &Recipe) -> Conditions {
    conditioned(recipe).into_iter().map(|(space, side)| (space, side.known)).collect()
}

fn input(recipe: &Recipe, index: u64) -> StepInput {
    share_of_input(recipe, index, Share::WHOLE)
}

/// A rank's part of the input of step number `index`.
pub fn share_of_input(recipe: &Recipe, index: u64, share: Share) -> StepInput {
    let Batch { sides, items } = loaded(recipe, index);
    let samples = share.range(0, recipe.train.batch);
    let samples = samples.start as usize..samples.end as usize;
    let image = (SIZE * SIZE * 3) as usize;
    let loaded = Batch {
        sides: sides.iter().map(|side| side[samples.start * image..samples.end * image].to_vec()).collect(),
        items: items.iter().map(|side| side[samples.clone()].to_vec()).collect(),
    };
    step_input(recipe, &conditioned(recipe), &loaded, (index, share), Device::Cpu)
}

/// Batch number `index`, of images that only it has.
fn loaded(recipe: &Recipe, index: u64) -> Batch {
    let bytes = recipe.train.batch * (SIZE * SIZE * 3) as usize;
    let side =
        |side: usize| (0..bytes).map(|i| ((i * 37 + side * 91) as u64 * (index + 3) % 251) as u8).collect();
    let sides = recipe.spaces().len();
    Batch {
        sides: (0..sides).map(side).collect(),
        items: vec![(0..recipe.train.batch).map(|i| i % 3).collect(); sides],
    }
}

pub fn train(recipe: &Recipe, state: &mut State, steps: std::ops::Range<u64>) {
    for index in steps {
        state.advance(&[input(recipe, index)], &Ranks::ALONE).unwrap();
    }
}

pub fn copies(state: &State) -> HashMap<String, Tensor> {
    state.tensors().into_iter().map(|(name, tensor)| (name, tensor.copy())).collect()
}

/// A new state with everything as in `saved`.
pub fn restored(recipe: &Recipe, saved: &HashMap<String, Tensor>) -> State {
    let mut state = State::new(recipe, &known(recipe), Device::Cpu).unwrap();
    state.restore(saved).unwrap();
    state
}

/// A new state with everything that `state`'s file holds.
fn reopened(recipe: &Recipe, state: &State) -> State {
    let folder = tempfile::tempdir().unwrap();
    let images = state.steps * recipe.train.batch as u64;
    checkpoint::save(folder.path(), state, images, 1, HashMap::new()).unwrap();
    let (found, stored) = checkpoint::newest(folder.path()).unwrap().unwrap();
    assert_eq!(found, images);
    restored(recipe, &stored.tensors)
}

/// Whether it has no slope. That is so of what a discriminator adds to every verdict, which is on both sides of a Wasserstein
/// loss, and of a hinge loss while verdicts are small; and of a bias before an instance norm, which takes it away.
fn is_cancelled(recipe: &Recipe, name: &str, tensor: &Tensor) -> bool {
    let is_linear = matches!(
        recipe.loss.adversarial,
        Objective::Wgan { .. } | Objective::WganGp { .. } | Objective::Hinge {}
    );
    let is_of_verdict = name.starts_with("discriminators.") && tensor.size() == [1];
    let is_normed = name.starts_with("generators.")
        && name.rsplit('.').next() == Some("bias")
        && recipe.generators.values().all(|arrow| arrow.net.is_per_image());
    is_linear && is_of_verdict || is_normed
}

#[test]
fn every_recipe_learns_and_goes_on_with_equal_bits() {
    assert!(!BREAK.is_multiple_of(CRITIC_STEPS) && STEPS.is_multiple_of(CRITIC_STEPS));
    for preset in PRESETS {
        let (name, recipe) = (preset.name, small(preset.name));
        let mut straight = State::new(&recipe, &known(&recipe), Device::Cpu).unwrap();
        let start = copies(&straight);
        let mut broken = restored(&recipe, &start);
        train(&recipe, &mut straight, 0..STEPS);
        train(&recipe, &mut broken, 0..BREAK);
        let mut resumed = reopened(&recipe, &broken);
        drop(broken);
        train(&recipe, &mut resumed, BREAK..STEPS);

        assert!(straight.is_finite(), "{name}");
        let (expected, got) = (copies(&straight), copies(&resumed));
        assert_eq!(expected.len(), got.len(), "{name}");
        for (tensor, expected) in &expected {
            assert_eq!(*expected, got[tensor], "{name}: {tensor}");
        }
        for (tensor, _) in straight.step.graph.parameters("") {
            let moved = expected[&tensor] != start[&tensor];
            assert!(moved || is_cancelled(&recipe, &tensor, &start[&tensor]), "{name}: {tensor} never moved");
        }
    }
}

/// The terms of `pix2pix` before its first step, from its networks alone.
#[test]
fn pix2pix_judges_the_result_beside_its_source() {
    let recipe = small("pix2pix");
    let mut state = State::new(&recipe, &known(&recipe), Device::Cpu).unwrap();
    let input = input(&recipe, 0);
    let (x, y) = (&input.samples[&Space::X], &input.samples[&Space::Y]);
    let graph = &state.step.graph;
    let (fake, verdicts) = tch::no_grad(|| {
        let fake = graph.generators["x_to_y"].net.forward(x, true);
        let judge = &graph.discriminators[&Space::Y].net;
        let both = |image: &Tensor| judge.forward(&Tensor::cat(&[x, image], 1), true);
        let verdicts = [both(y), both(&fake)];
        (fake, verdicts)
    });
    let softplus = |verdicts: Tensor| (verdicts.exp() + 1.0).log().mean(Kind::Float).double_value(&[]);
    let expected = [
        ("adversarial.x_to_y", softplus(-&verdicts[1])),
        ("paired.x_to_y", (&fake - y).abs().mean(Kind::Float).double_value(&[])),
        ("discriminator.y", softplus(-&verdicts[0]) + softplus(verdicts[1].shallow_clone())),
    ];
    let terms = state.step.run(from_ref(&input), &Ranks::ALONE).unwrap();
    for (name, expected) in expected {
        let got = terms[name].double_value(&[]);
        assert!((got - expected).abs() < 1e-5, "{name}: {got}, not {expected}");
    }
    assert!(!terms.keys().any(|name| name.starts_with("cycle") || name.starts_with("identity")));
}

/// Every objective and regulariser works in the translator's recipe.
#[test]
fn cyclegan_trains_by_every_objective() {
    for kind in ["minimax", "non-saturating", "lsgan", "hinge", "wgan", "wgan-gp"] {
        let mut recipe = small("cyclegan");
        recipe.loss.adversarial = serde_json::from_value(serde_json::json!({ "kind": kind })).unwrap();
        recipe.loss.r1 = 1.0;
        for judge in recipe.discriminators.values_mut() {
            judge.spectral_norm = true;
            judge.augment =
                serde_json::from_value(serde_json::json!(["color", "translation", "cutout"])).unwrap();
        }
        assert_eq!(recipe.validate(), []);
        let mut state = State::new(&recipe, &known(&recipe), Device::Cpu).unwrap();
        train(&recipe, &mut state, 0..2);
        assert!(state.is_finite(), "{kind}");
        let clipped = matches!(recipe.loss.adversarial, Objective::Wgan { .. });
        let most = state.step.graph.parameters("discriminators.");
        let most = most.iter().map(|(_, w)| w.abs().max().double_value(&[])).fold(0.0, f64::max);
        assert_eq!(clipped, most <= 0.01, "{kind}: {most}");
    }
}

/// Real images with another condition count as fakes: the discriminator's term is
/// softplus(−D(real, its own)) + the mean of softplus(D(fake, its own)) and softplus(D(real, another)).
fn check_matching_aware(recipe: &Recipe) {
    let mut state = State::new(recipe, &known(recipe), Device::Cpu).unwrap();
    let input = input(recipe, 0);
    let (real, noise) = (&input.samples[&Space::X], &input.samples[&Space::Z]);
    let (right, wrong) = (&input.conditions[&Space::X], &input.mismatched[&Space::X]);
    assert_ne!(right, wrong);
    let graph = &state.step.graph;
    let [own, fake, other] = tch::no_grad(|| {
        let drawn = graph.generators["z_to_x"].net.forward_given(noise, Some(right), true);
        let judge = &graph.discriminators[&Space::X].net;
        let judged = |images: &Tensor, condition: &Tensor| judge.forward_given(images, Some(condition), true);
        [judged(real, right), judged(&drawn, right), judged(real, wrong)]
    });
    assert_ne!(own, other);
    let softplus = |verdicts: Tensor| (verdicts.exp() + 1.0).log().mean(Kind::Float).double_value(&[]);
    let expected = softplus(-own) + f64::midpoint(softplus(fake), softplus(other));
    let got = state.step.run(from_ref(&input), &Ranks::ALONE).unwrap()["discriminator.x"].double_value(&[]);
    assert!((got - expected).abs() < 1e-5, "{got}, not {expected}");
}

/// Spectral norm's vectors move with every call, and the calls of the test are not those of the step.
#[test]
fn a_matching_aware_discriminator_refuses_wrong_captions() {
    let sets = ["discriminators.x.net.norm=none", "discriminators.x.spectral_norm=false"];
    let recipe = small_with("text-gan", 2, &sets);
    assert!(recipe.discriminators[&Space::X].net.is_per_image(), "one call for all");
    check_matching_aware(&recipe);
}

#[test]
fn a_matching_aware_discriminator_with_batch_norm_refuses_wrong_classes() {
    let recipe = small_with(
        "cgan-tiny",
        2,
        &[
            "conditions.x.matching_aware=true",
            "discriminators.x.net.norm=batch",
            "discriminators.x.augment=[]",
            "discriminators.x.spectral_norm=false",
        ],
    );
    assert!(!recipe.discriminators[&Space::X].net.is_per_image(), "a call for each");
    check_matching_aware(&recipe);
}
