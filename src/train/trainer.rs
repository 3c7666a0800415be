//! The training loop, read from top to bottom. Time is counted in images shown.

use std::collections::HashMap;
use std::time::Instant;

use indexmap::IndexMap;
use rand::Rng as _;
use tch::Device;

use super::advice;
use super::checkpoint;
use super::draw::step_input;
use super::metrics::{Metrics, Tick};
use super::monitor::Monitor;
use super::pace::{FirstSteps, Lap};
use super::plan::Plan;
use super::problems::{PlanError, TrainError};
use super::run::Run;
use super::samples;
use super::saturation::Saturation;
use super::schedule;
use super::signals::Signals;
use super::state::State;
use super::watch::Watch;
use crate::data::condition::{Conditioned, known};
use crate::data::loader::{Batch, Loader, SampleOptions, Sides, fixed_samples};
use crate::data::scan::Skipped;
use crate::device;
use crate::eval::Fidelity;
use crate::model::{self, About, Domains, Training};
use crate::random::{Purpose, stream};
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

/// A run in hand: its folder locked, its state in memory.
pub struct Trainer {
    recipe: Recipe,
    run: Run,
    state: State,
    loader: Loader,
    sides: Sides,
    conditioned: IndexMap<Space, Conditioned>,
    domains: Domains,
    inputs: samples::Inputs,
    metrics: Metrics,
    saturation: Saturation,
    watch: Watch,
    monitor: Monitor,
    device: Device,
    epoch_length: u64,
    /// Seconds trained before this start.
    seconds_before: f64,
    started: Instant,
}

impl Trainer {
    /// Builds the state, or takes it from the plan's checkpoint, and makes the run folder. `command` is noted there.
    ///
    /// # Errors
    /// See [`TrainError`]. No step has been done then.
    pub fn open(plan: Plan, command: Vec<String>) -> Result<Self, TrainError> {
        let device_name = device::name(plan.device);
        let mut state = guard(&device_name, || State::new(&plan.recipe, &plan.conditions(), plan.device))?
            .map_err(|error| torch_failed(&device_name, &error))?;
        let mut seconds_before = 0.0;
        if let Some(checkpoint) = &plan.checkpoint {
            guard(&device_name, || state.restore(&checkpoint.tensors))?.map_err(PlanError::from)?;
            seconds_before = checkpoint.seconds;
        }
        let (info, epoch_length) = (plan.info(command), plan.sides.epoch_length() as u64);
        let Plan { recipe, sides, conditioned, domains, root, device, threads, .. } = plan;
        let options = SampleOptions {
            seed: recipe.train.seed,
            size: recipe.data.size,
            flip: recipe.data.flip,
            batch: recipe.train.batch,
        };
        let crops = fixed_samples(&sides, recipe.sample.count, recipe.data.size)?;
        let inputs = guard(&device_name, || samples::inputs(&recipe, &conditioned, &crops, device))?;
        let watch = guard(&device_name, || Watch::new(&recipe, &sides, &conditioned, device))??;
        // Last, so that whatever fails before it leaves the folder as it was.
        let run = Run::open(&root, &recipe, &info)?;
        if !inputs.rows.is_empty() {
            run.write_rows(&inputs.rows)?;
        }
        let metrics = Metrics::open(&run.metrics(), state.steps)?;
        let loader = Loader::new(sides.clone(), options, threads, state.steps);
        let started = Instant::now();
        Ok(Self {
            recipe,
            run,
            state,
            loader,
            sides,
            conditioned,
            domains,
            inputs,
            metrics,
            saturation: Saturation::default(),
            watch,
            monitor: Monitor::default(),
            device,
            epoch_length,
            seconds_before,
            started,
        })
    }

    /// Trains to the end, or to a signal.
    ///
    /// # Errors
    /// See [`TrainError`]. The last checkpoint stays good whatever happens.
    pub fn run(&mut self, signals: &Signals, tell: &mut dyn FnMut(Event<'_>)) -> Result<Outcome, TrainError> {
        let outcome = self.steps(signals, tell);
        self.tell_lost(tell);
        outcome
    }

    fn steps(&mut self, signals: &Signals, tell: &mut dyn FnMut(Event<'_>)) -> Result<Outcome, TrainError> {
        let (recipe, device_name) = (self.recipe.clone(), device::name(self.device));
        let batch = recipe.train.batch as u64;
        let first = self.state.steps;
        tell(Event::Begin { images: first * batch, of: recipe.train.images });
        if first == 0 {
            self.draw_samples(0)?;
        }
        let mut lap = Lap::new(first * batch);
        let mut first_steps = FirstSteps::default();
        while self.state.steps < recipe.steps() {
            let asked = Instant::now();
            let loaded = self.loader.next()?;
            lap.waited += asked.elapsed().as_secs_f64();
            guard(&device_name, || self.advance(&loaded))?
                .map_err(|error| torch_failed(&device_name, &error))?;
            let images = self.state.steps * batch;
            tell(Event::Step { images });

            if let Some(steps_per_second) = first_steps.take(Instant::now, || self.wait_for_device()) {
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
            if due(recipe.sample.every) {
                self.draw_samples(images)?;
            }
            let status = signals.exit_status();
            if due(recipe.checkpoint.every) || status.is_some() {
                self.save()?;
            }
            if let Some(status) = status.filter(|_| !last) {
                return Ok(Outcome::Interrupted(status));
            }
        }
        Ok(Outcome::Finished)
    }

    /// Losses, and from time to time how the pictures stand to real images; what is wrong with either.
    fn log(&mut self, lap: &Lap, last: bool, tell: &mut dyn FnMut(Event<'_>)) -> Result<(), TrainError> {
        let images = self.state.steps * self.recipe.train.batch as u64;
        let compared =
            |at: u64| at / self.recipe.log.every * self.recipe.log.every / self.recipe.monitor.every;
        let due = last || compared(images) > compared(lap.images);
        let fidelity = if due { self.compare(tell)? } else { IndexMap::new() };
        let tick = self.tick(lap, fidelity)?;
        tell(Event::Tick(&tick));
        self.tell_saturated(&tick, tell);
        self.tell_lost(tell);
        Ok(())
    }

    fn advance(&mut self, loaded: &Batch) -> Result<(), tch::TchError> {
        let steps = self.state.steps;
        let input = step_input(&self.recipe, &self.conditioned, loaded, steps, self.device);
        // Dropout is the one random choice that libtorch makes itself.
        tch::manual_seed(stream(self.recipe.train.seed, Purpose::Dropout, steps).next_u64() as i64);
        self.state.advance(&input)
    }

    /// Scores by generator.
    fn compare(&mut self, tell: &mut dyn FnMut(Event<'_>)) -> Result<IndexMap<String, Fidelity>, TrainError> {
        let graph = self.state.translators();
        let scores = guard(&device::name(self.device), || self.watch.scores(graph))?;
        for (generator, score) in &scores {
            let (to, recipe) = (graph.generators[generator].to, &self.recipe);
            if let Some(kind) = self.monitor.take(generator, score) {
                tell(Event::Warning(advice::failing(kind, generator, to, recipe)));
            }
        }
        Ok(scores.into_iter().map(|(generator, score)| (generator, score.fidelity)).collect())
    }

    fn tick(&mut self, lap: &Lap, fidelity: IndexMap<String, Fidelity>) -> Result<Tick, TrainError> {
        let mut losses = guard(&device::name(self.device), || self.state.meter.take())?;
        for (_, mean) in losses.iter_mut().filter(|(name, _)| name.starts_with("divergence.")) {
            *mean = self.recipe.loss.adversarial.bounded(*mean);
        }
        let batch = self.recipe.train.batch as u64;
        let images = self.state.steps * batch;
        let seconds = lap.since.elapsed().as_secs_f64();
        let tick = Tick {
            images,
            step: self.state.steps,
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

    fn tell_lost(&self, tell: &mut dyn FnMut(Event<'_>)) {
        let lost = self.sides.datasets.iter().flat_map(|side| side.take_late_failures());
        lost.for_each(|lost| tell(Event::Lost(lost)));
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

    fn draw_samples(&self, images: u64) -> Result<(), TrainError> {
        let draw = || samples::write(&self.run.samples(), images, self.state.translators(), &self.inputs);
        Ok(guard(&device::name(self.device), draw)??)
    }

    /// The model first: where a checkpoint says that the run is finished, its model is there.
    fn save(&self) -> Result<(), TrainError> {
        let (recipe, name) = (&self.recipe, device::name(self.device));
        let images = self.state.steps * recipe.train.batch as u64;
        // Weights that are no numbers must not take the place of good ones.
        let (losses, finite) = guard(&name, || (self.state.meter.means(), self.state.is_finite()))?;
        self.diverged(&losses, images)?;
        if !finite {
            return Err(self.diverged_by("a weight".into(), f64::NAN, images));
        }
        let seconds = self.seconds_before + self.started.elapsed().as_secs_f64();
        let data = self
            .domains
            .values()
            .zip(&self.sides.datasets)
            .map(|(name, side)| (name.clone(), side.len() as u64));
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
        let conditions = known(&self.conditioned);
        let notes = model::Notes::at(&self.run.model());
        let about = About { domains: self.domains.clone(), conditions, training, notes };
        let translators = self.state.translators();
        guard(&name, || model::save(&self.run.model(), translators, recipe, &about))??;
        let metadata = HashMap::from([("seconds".to_string(), seconds.to_string())]);
        let save = || {
            checkpoint::save(&self.run.checkpoints(), &self.state, images, recipe.checkpoint.keep, metadata)
        };
        Ok(guard(&name, save)??)
    }

    fn wait_for_device(&self) {
        if let Device::Cuda(index) = self.device {
            tch::Cuda::synchronize(index as i64);
        }
    }
}

fn torch_failed(device: &str, error: &tch::TchError) -> TorchError {
    TorchError::from_text(device, &error.to_string())
}
