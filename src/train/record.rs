//! What a run leaves behind as it goes: ticks, sample grids, checkpoints and the model; and what they say of how it goes.

use std::collections::HashMap;
use std::time::Instant;

use indexmap::IndexMap;
use tch::Device;

use super::advice;
use super::checkpoint;
use super::metrics::{Metrics, Tick};
use super::monitor::Monitor;
use super::pace::Lap;
use super::plan::Plan;
use super::problems::TrainError;
use super::run::Run;
use super::samples;
use super::saturation::Saturation;
use super::schedule;
use super::state::State;
use super::trainer::Event;
use super::watch::Watch;
use crate::data::condition::{Conditions, known};
use crate::data::loader::fixed_samples;
use crate::device;
use crate::eval::Fidelity;
use crate::model::{self, About, Domains, Training};
use crate::recipe::Recipe;
use crate::torch::guard;

/// The run's folder, open, and what is compared from tick to tick.
pub struct Record {
    recipe: Recipe,
    run: Run,
    domains: Domains,
    conditions: Conditions,
    inputs: samples::Inputs,
    metrics: Metrics,
    saturation: Saturation,
    watch: Watch,
    monitor: Monitor,
    device: Device,
    epoch_length: u64,
    /// Images of each side, in the order of the domains.
    lengths: Vec<u64>,
    /// Seconds trained before this start.
    seconds_before: f64,
    started: Instant,
}

impl Record {
    /// Makes the folder, or takes over what is there; `command` is noted in it. Metrics of steps past `steps` are removed.
    ///
    /// # Errors
    /// See [`TrainError`].
    pub fn open(plan: &Plan, command: Vec<String>, steps: u64) -> Result<Self, TrainError> {
        let Plan { recipe, sides, conditioned, device, .. } = plan;
        let (device, device_name) = (*device, device::name(*device));
        let crops = fixed_samples(sides, recipe.sample.count, recipe.data.size)?;
        let inputs = guard(&device_name, || samples::inputs(recipe, conditioned, &crops, device))?;
        let watch = guard(&device_name, || Watch::new(recipe, sides, conditioned, device))??;
        let run = Run::open(&plan.root, recipe, &plan.info(command))?;
        if !inputs.rows.is_empty() {
            run.write_rows(&inputs.rows)?;
        }
        Ok(Self {
            recipe: recipe.clone(),
            metrics: Metrics::open(&run.metrics(), steps)?,
            run,
            domains: plan.domains.clone(),
            conditions: known(conditioned),
            inputs,
            saturation: Saturation::default(),
            watch,
            monitor: Monitor::default(),
            device,
            epoch_length: sides.epoch_length() as u64,
            lengths: sides.datasets.iter().map(|side| side.len() as u64).collect(),
            seconds_before: plan.checkpoint.as_ref().map_or(0.0, |checkpoint| checkpoint.seconds),
            started: Instant::now(),
        })
    }

    /// Losses, and from time to time how the pictures stand to real images; what is wrong with either.
    ///
    /// # Errors
    /// See [`TrainError`]; a loss that is no number is one.
    pub fn log(
        &mut self,
        state: &mut State,
        lap: &Lap,
        last: bool,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let images = state.steps * self.recipe.train.batch as u64;
        let compared =
            |at: u64| at / self.recipe.log.every * self.recipe.log.every / self.recipe.monitor.every;
        let due = last || compared(images) > compared(lap.images);
        let fidelity = if due { self.compare(state, tell)? } else { IndexMap::new() };
        let tick = self.tick(state, lap, fidelity)?;
        tell(Event::Tick(&tick));
        self.tell_saturated(&tick, tell);
        Ok(())
    }

    /// Scores by generator.
    fn compare(
        &mut self,
        state: &State,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<IndexMap<String, Fidelity>, TrainError> {
        let graph = state.translators();
        let scores = guard(&device::name(self.device), || self.watch.scores(graph))?;
        for (generator, score) in &scores {
            let (to, recipe) = (graph.generators[generator].to, &self.recipe);
            if let Some(kind) = self.monitor.take(generator, score) {
                tell(Event::Warning(advice::failing(kind, generator, to, recipe)));
            }
        }
        Ok(scores.into_iter().map(|(generator, score)| (generator, score.fidelity)).collect())
    }

    fn tick(
        &mut self,
        state: &mut State,
        lap: &Lap,
        fidelity: IndexMap<String, Fidelity>,
    ) -> Result<Tick, TrainError> {
        let mut losses = guard(&device::name(self.device), || state.meter.take())?;
        for (_, mean) in losses.iter_mut().filter(|(name, _)| name.starts_with("divergence.")) {
            *mean = self.recipe.loss.adversarial.bounded(*mean);
        }
        let batch = self.recipe.train.batch as u64;
        let images = state.steps * batch;
        let seconds = lap.since.elapsed().as_secs_f64();
        let tick = Tick {
            images,
            step: state.steps,
            epoch: images as f64 / self.epoch_length as f64,
            lr: schedule::rate(&self.recipe, images - batch),
            images_per_second: (images - lap.images) as f64 / seconds,
            waiting: lap.waited / seconds,
            losses,
            fidelity,
        };
        let path = self.run.metrics();
        self.metrics.write(&tick).map_err(|source| TrainError::Metrics { path, source })?;
        self.diverged(&tick.losses, images)?;
        Ok(tick)
    }

    fn tell_saturated(&mut self, tick: &Tick, tell: &mut dyn FnMut(Event<'_>)) {
        if !self.recipe.loss.adversarial.saturates() {
            return;
        }
        let Some(name) = self.saturation.take(&tick.losses) else { return };
        if let Some((space, domain)) = self.domains.iter().find(|(space, _)| space.name() == name) {
            tell(Event::Warning(advice::saturated(domain, *space, &self.recipe)));
        }
    }

    fn diverged(&self, losses: &IndexMap<String, f64>, images: u64) -> Result<(), TrainError> {
        let Some((term, &value)) = losses.iter().find(|(_, value)| !value.is_finite()) else { return Ok(()) };
        Err(self.diverged_by(format!("`{term}`"), value, images))
    }

    fn diverged_by(&self, term: String, value: f64, images: u64) -> TrainError {
        let saved = checkpoint::list(&self.run.checkpoints()).is_ok_and(|all| !all.is_empty());
        TrainError::Diverged { term, value, images, run: self.run.root().into(), saved }
    }

    /// Draws the grid of the generators as they are.
    ///
    /// # Errors
    /// See [`TrainError`].
    pub fn draw_samples(&self, images: u64, state: &State) -> Result<(), TrainError> {
        let draw = || samples::write(&self.run.samples(), images, state.translators(), &self.inputs);
        Ok(guard(&device::name(self.device), draw)??)
    }

    /// Saves the model and a checkpoint; the model first: where a checkpoint says that the run is finished, its model is
    /// there.
    ///
    /// # Errors
    /// See [`TrainError`]; a weight that is no number is one.
    pub fn save(&self, state: &State) -> Result<(), TrainError> {
        let (recipe, name) = (&self.recipe, device::name(self.device));
        let images = state.steps * recipe.train.batch as u64;
        // Weights that are no numbers must not take the place of good ones.
        let (losses, finite) = guard(&name, || (state.meter.means(), state.is_finite()))?;
        self.diverged(&losses, images)?;
        if !finite {
            return Err(self.diverged_by("a weight".into(), f64::NAN, images));
        }
        let seconds = self.seconds_before + self.started.elapsed().as_secs_f64();
        let data = self.domains.values().cloned().zip(self.lengths.iter().copied());
        let training = Training {
            images,
            of_images: recipe.train.images,
            minutes: (seconds / 6.0).round() / 10.0,
            seed: recipe.train.seed,
            device: name.clone(),
            data: data.collect(),
            program: crate::PROGRAM.into(),
            imported_from: Vec::new(),
        };
        let notes = model::Notes::at(&self.run.model());
        let about =
            About { domains: self.domains.clone(), conditions: self.conditions.clone(), training, notes };
        let translators = state.translators();
        guard(&name, || model::save(&self.run.model(), translators, recipe, &about))??;
        let metadata = HashMap::from([("seconds".to_string(), seconds.to_string())]);
        let save =
            || checkpoint::save(&self.run.checkpoints(), state, images, recipe.checkpoint.keep, metadata);
        Ok(guard(&name, save)??)
    }
}
