//! Training steps on images of random bytes, through the code that trains: what a loader gives becomes a step's input, and
//! the step is done.

use std::time::{Duration, Instant};

use indexmap::IndexMap;
use rand::Rng as _;
use serde::Serialize;
use tch::Device;

use super::{BenchError, Repeats, Setting, Spread, Work, failed, milliseconds, peak_memory};
use crate::data::condition::{Conditioned, Known, Vocabulary, known};
use crate::data::loader::Batch;
use crate::data::portraits::Person;
use crate::device::{self, synchronize};
use crate::random::{Purpose, stream};
use crate::recipe::{Condition, Recipe, Space};
use crate::torch::{TorchError, count_products, guard};
use crate::train::ranks::Ranks;
use crate::train::replay::WARM_UP;
use crate::train::state::State;
use crate::train::step::StepError;
use crate::train::stopwatch::{Part, Stopwatch};

/// Different batches, shown in turn.
const BATCHES: u64 = 4;
/// Images of a space, as far as their conditions go.
const IMAGES: usize = 64;
/// Classes of a space.
const CLASSES: usize = 10;

/// A training that is ready to be timed.
#[derive(Debug)]
pub struct Training {
    recipe: Recipe,
    state: State,
    sides: IndexMap<Space, Conditioned>,
    batches: Vec<Batch>,
    device: Device,
}

/// What was measured of training.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// On what.
    #[serde(flatten)]
    pub setting: Setting,
    /// Images of one space a second.
    pub images_per_second: f64,
    /// Milliseconds of a step.
    pub step_ms: Spread,
    /// Mean milliseconds of each part of a step. On a GPU they are of other steps, which are asked for operator by operator and
    /// wait for it after each part.
    pub parts_ms: IndexMap<&'static str, f64>,
    /// The most memory that was taken, see [`peak_memory`].
    pub peak_memory_bytes: u64,
    /// Products in a step, see [`count_products`]; the mean where not every step moves the generators.
    pub products_per_step: f64,
    /// What that makes of the device.
    #[serde(flatten)]
    pub work: Work,
}

impl Training {
    /// Builds the networks of `recipe`, and batches by its seed.
    ///
    /// # Errors
    /// libtorch's.
    pub fn new(recipe: &Recipe, device: Device) -> Result<Self, TorchError> {
        let side = |(space, condition): (&Space, &Condition)| (*space, conditioned(condition));
        let sides: IndexMap<Space, Conditioned> = recipe.conditions.iter().map(side).collect();
        let build = || State::new(recipe, &known(&sides), device);
        let state = guard(&device::name(device), build)?.map_err(|error| failed(device, &error))?;
        let batches = (0..BATCHES).map(|number| batch(recipe, number)).collect();
        Ok(Self { recipe: recipe.clone(), state, sides, batches, device })
    }

    /// Does steps that are not to be measured: `count`, or as many as it takes to have steps of every kind recorded where that is
    /// done.
    ///
    /// # Errors
    /// libtorch's.
    pub fn warm_up(&mut self, count: u64) -> Result<(), TorchError> {
        let least = if self.state.replays.is_some() { (WARM_UP + 1) * self.round() } else { 0 };
        (0..count.max(least)).try_for_each(|_| self.step().map(drop))
    }

    /// Does the next step, and waits until the device has done it.
    ///
    /// # Errors
    /// libtorch's.
    pub fn step(&mut self) -> Result<Duration, TorchError> {
        let name = device::name(self.device);
        let start = Instant::now();
        let loaded = &self.batches[(self.state.steps % BATCHES) as usize];
        let show = || self.state.show(&self.recipe, &self.sides, loaded, &Ranks::ALONE);
        guard(&name, show)?.map_err(|error| match error {
            StepError::Torch(error) => failed(self.device, &error),
            other => TorchError::from_text(&name, &other.to_string()),
        })?;
        guard(&name, || synchronize(self.device))?;
        Ok(start.elapsed())
    }

    /// Steps until all kinds of them were done once: most may leave the generators as they are.
    fn round(&self) -> u64 {
        self.recipe.train.critic_steps
    }

    /// As many steps; their times, and where they are timed by part, the mean milliseconds of each.
    fn steps(&mut self, count: u64, by_part: bool) -> Result<(Vec<Duration>, Parts), TorchError> {
        let mut times = Vec::new();
        let mut spent = [Duration::ZERO; Part::ALL.len()];
        for _ in 0..count {
            let started = || by_part.then(|| Stopwatch::start(self.device));
            self.state.step.stopwatch = guard(&device::name(self.device), started)?;
            times.push(self.step()?);
            if let Some(stopwatch) = self.state.step.stopwatch.take() {
                Part::ALL.iter().zip(&mut spent).for_each(|(part, sum)| *sum += stopwatch.spent(*part));
            }
        }
        let mean = |(part, sum): (&Part, Duration)| (part.name(), milliseconds(sum) / count as f64);
        Ok((times, Part::ALL.iter().zip(spent).map(mean).collect()))
    }
}

type Parts = IndexMap<&'static str, f64>;

/// Measures training by `recipe`, which was named `name`. A round of steps is counted before it is timed; where a round is
/// several steps, whole rounds are timed.
///
/// # Errors
/// libtorch's.
pub fn measure(name: &str, recipe: &Recipe, device: Device, repeats: Repeats) -> Result<Report, BenchError> {
    let mut training = Training::new(recipe, device)?;
    let round = training.round();
    let counted = count_products(|| training.steps(round, false)).map_err(|error| failed(device, &error))?;
    let (done, products) = counted;
    done?;
    let products_per_step = products as f64 / round as f64;
    training.warm_up(repeats.warm_up)?;
    let steps = repeats.steps.next_multiple_of(round);
    // Where every border is only a look at the clock, one row of steps serves both.
    let (times, mut parts_ms) = training.steps(steps, device == Device::Cpu)?;
    let peak_memory_bytes = peak_memory(device)?;
    if device != Device::Cpu {
        // Once before, as a graph's memory is not that of steps which are asked for one by one.
        training.steps(round, true)?;
        parts_ms = training.steps(steps, true)?.1;
    }
    let seconds = times.iter().sum::<Duration>().as_secs_f64();
    Ok(Report {
        setting: Setting::new(
            name,
            device,
            recipe.data.size,
            recipe.train.batch,
            Repeats { steps, ..repeats },
        ),
        images_per_second: steps as f64 * recipe.train.batch as f64 / seconds,
        step_ms: Spread::of(&times),
        parts_ms,
        peak_memory_bytes,
        products_per_step,
        work: Work::new(products_per_step * steps as f64, seconds, device, recipe.train.precision)?,
    })
}

/// Batch `number`: random bytes.
fn batch(recipe: &Recipe, number: u64) -> Batch {
    let count = recipe.train.batch;
    let bytes = count * (recipe.data.size as usize).pow(2) * 3;
    let side = |space: Space| {
        let mut pixels = vec![0; bytes];
        stream(recipe.train.seed, Purpose::Bench, 2 * number + space.side() as u64).fill_bytes(&mut pixels);
        pixels
    };
    let items: Vec<usize> = (0..count).map(|i| (number as usize * count + i) % IMAGES).collect();
    let spaces = recipe.spaces();
    Batch { items: vec![items; spaces.len()], sides: spaces.into_iter().map(side).collect() }
}

/// Classes, or captions of portraits.
fn conditioned(condition: &Condition) -> Conditioned {
    match condition {
        Condition::Label { .. } => Conditioned {
            known: Known::Classes((0..CLASSES).map(|i| i.to_string()).collect()),
            of: (0..IMAGES).map(|i| vec![vec![(i % CLASSES) as i64]]).collect(),
        },
        Condition::Text { .. } => {
            let captions: Vec<String> = (0..IMAGES).map(|i| Person::sample(0, i as u64).caption()).collect();
            let vocabulary = Vocabulary::new(captions.iter().map(String::as_str));
            let of = captions.iter().map(|caption| vec![vocabulary.tokens(caption)]).collect();
            Conditioned { known: Known::Words(vocabulary), of }
        }
    }
}
