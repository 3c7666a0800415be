//! The training loop, read from top to bottom. Time is counted in images shown.

use std::time::Instant;

use indexmap::IndexMap;
use tch::Device;

use super::advice;
use super::metrics::Tick;
use super::pace::{FirstSteps, Lap};
use super::plan::Plan;
use super::problems::{PlanError, TrainError};
use super::ranks::{RankLost, Ranks};
use super::record::Record;
use super::replay::Replays;
use super::signals::Signals;
use super::state::State;
use super::step::StepError;
use crate::data::condition::Conditioned;
use crate::data::loader::{Loader, SampleOptions, Sides};
use crate::data::scan::Skipped;
use crate::device;
use crate::recipe::{Recipe, Space};
use crate::torch::{TorchError, guard};

/// What training tells its caller as it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// The loop begins, or goes on, after so many of so many images.
    Begin {
        /// Images shown before.
        images: u64,
        /// Images in all.
        of: u64,
    },
    /// A step is done.
    Step {
        /// Images shown.
        images: u64,
    },
    /// The first steps have been measured.
    Estimate {
        /// Images a second.
        images_per_second: f64,
        /// Seconds from here to the end.
        seconds_left: f64,
    },
    /// A line has been written to `metrics.jsonl`.
    Tick(&'a Tick),
    /// A file that was readable at the start no longer is.
    Lost(Skipped),
    /// Something has been going wrong for long, and what to try; told once for each kind.
    Warning(String),
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All images shown.
    Finished,
    /// A signal came; everything is saved. Holds the exit status.
    Interrupted(u8),
}

/// A run in hand: its state in memory, and on the first of several ranks its folder, locked.
pub struct Trainer {
    recipe: Recipe,
    state: State,
    loader: Loader,
    sides: Sides,
    conditioned: IndexMap<Space, Conditioned>,
    device: Device,
    ranks: Ranks,
    record: Option<Record>,
}

impl Trainer {
    /// Builds the state, or takes it from the plan's checkpoint, and makes the run folder. `command` is noted there. Of
    /// several ranks all begin with the first one's state.
    ///
    /// # Errors
    /// See [`TrainError`]. No step has been done then.
    pub fn open(plan: Plan, command: Vec<String>, ranks: Ranks) -> Result<Self, TrainError> {
        let device_name = device::name(plan.device);
        let mut state = guard(&device_name, || State::new(&plan.recipe, &plan.conditions(), plan.device))?
            .map_err(|error| torch_failed(&device_name, &error))?;
        if let Some(checkpoint) = &plan.checkpoint {
            guard(&device_name, || state.restore(&checkpoint.tensors))?.map_err(PlanError::from)?;
        }
        guard(&device_name, || state.take_first(&ranks))??;
        let options = SampleOptions {
            seed: plan.recipe.train.seed,
            size: plan.recipe.data.size,
            flip: plan.recipe.data.flip,
            batch: plan.recipe.train.batch,
            share: ranks.share(),
        };
        // Last, so that whatever fails before it leaves the folder as it was.
        let record = ranks.is_first().then(|| Record::open(&plan, command, state.steps)).transpose()?;
        let Plan { recipe, sides, conditioned, device, threads, .. } = plan;
        let loader = Loader::new(sides.clone(), options, threads, state.steps);
        Ok(Self { recipe, state, loader, sides, conditioned, device, ranks, record })
    }

    /// Trains to the end, or to a signal.
    ///
    /// # Errors
    /// See [`TrainError`]. The last checkpoint stays good whatever happens.
    pub fn run(&mut self, signals: &Signals, tell: &mut dyn FnMut(Event<'_>)) -> Result<Outcome, TrainError> {
        let outcome = self.steps(signals, tell);
        self.tell_lost(tell);
        if matches!(outcome, Err(TrainError::Lost { .. })) {
            // What a launcher that starts all of them again goes on from.
            self.save()?;
        }
        outcome
    }

    fn steps(&mut self, signals: &Signals, tell: &mut dyn FnMut(Event<'_>)) -> Result<Outcome, TrainError> {
        let (recipe, device_name) = (self.recipe.clone(), device::name(self.device));
        let batch = recipe.train.batch as u64;
        let first = self.state.steps;
        tell(Event::Begin { images: first * batch, of: recipe.train.images });
        if let Some(record) = self.record.as_ref().filter(|_| first == 0) {
            record.draw_samples(0, &self.state)?;
        }
        let mut lap = Lap::new(first * batch);
        let mut first_steps = FirstSteps::default();
        while self.state.steps < recipe.steps() {
            let asked = Instant::now();
            let loaded = self.loader.next()?;
            lap.waited += asked.elapsed().as_secs_f64();
            let show = || self.state.show(&recipe, &self.conditioned, &loaded, &self.ranks);
            match guard(&device_name, show)? {
                Err(StepError::Lost(lost)) => return Err(self.lost(lost)),
                Err(StepError::Torch(error)) => return Err(torch_failed(&device_name, &error).into()),
                Err(unrecorded @ StepError::Unrecorded(_)) => {
                    return Err(TrainError::Unrecorded(unrecorded.to_string()));
                }
                Ok(()) => (),
            }
            if let Some(why) = self.state.replays.as_mut().and_then(Replays::take_refusal) {
                tell(Event::Warning(advice::no_replays(&why)));
            }
            let images = self.state.steps * batch;
            tell(Event::Step { images });

            if let Some(steps_per_second) =
                first_steps.take(Instant::now, || device::synchronize(self.device))
            {
                let images_per_second = steps_per_second * batch as f64;
                let seconds_left = recipe.train.images.saturating_sub(images) as f64 / images_per_second;
                tell(Event::Estimate { images_per_second, seconds_left });
            }

            let last = self.state.steps == recipe.steps();
            let due = |every: u64| last || images / every > (images - batch) / every;
            if due(recipe.log.every) {
                self.log(&lap, last, tell)?;
                lap = Lap::new(images);
            }
            if let Some(record) = self.record.as_ref().filter(|_| due(recipe.sample.every)) {
                record.draw_samples(images, &self.state)?;
            }
            let status = self.agreed_status(signals)?;
            if due(recipe.checkpoint.every) || status.is_some() {
                self.save()?;
            }
            if let Some(status) = status.filter(|_| !last) {
                return Ok(Outcome::Interrupted(status));
            }
        }
        Ok(Outcome::Finished)
    }

    fn log(&mut self, lap: &Lap, last: bool, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), TrainError> {
        self.tell_lost(tell);
        if let Some(record) = &mut self.record {
            return record.log(&mut self.state, lap, last, tell);
        }
        // The first rank finds the same and says so.
        guard(&device::name(self.device), || self.state.meter.take())?;
        Ok(())
    }

    /// The exit status to end with after this step, the same on all ranks, once a signal has come to one of them.
    fn agreed_status(&self, signals: &Signals) -> Result<Option<u8>, TrainError> {
        let status = self.ranks.largest(i64::from(signals.exit_status().unwrap_or(0)));
        let status = status.map_err(|lost| self.lost(lost))?;
        Ok((status > 0).then_some(status as u8))
    }

    fn lost(&self, lost: RankLost) -> TrainError {
        let images = self.state.steps * self.recipe.train.batch as u64;
        TrainError::Lost { lost, images, saved: self.ranks.is_first() }
    }

    fn tell_lost(&self, tell: &mut dyn FnMut(Event<'_>)) {
        let lost = self.sides.datasets.iter().flat_map(|side| side.take_late_failures());
        lost.for_each(|lost| tell(Event::Lost(lost)));
    }

    fn save(&self) -> Result<(), TrainError> {
        self.record.as_ref().map_or(Ok(()), |record| record.save(&self.state))
    }
}

fn torch_failed(device: &str, error: &tch::TchError) -> TorchError {
    TorchError::from_text(device, &error.to_string())
}
