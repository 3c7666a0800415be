//! All of a training run that changes: what a checkpoint holds, so that going on gives the same bits as never having
//! stopped. Random choices are functions of counters, so there is no generator state to save.

use std::collections::HashMap;

use indexmap::IndexMap;
use rand::Rng as _;
use tch::{Device, Kind, TchError, Tensor};

use super::draw::step_input;
use super::ema::Ema;
use super::metrics::Meter;
use super::ranks::{RankLost, Ranks};
use super::replay::Replays;
use super::step::{Step, StepError, StepInput};
use super::stopwatch::Part;
use crate::data::condition::{Conditioned, Conditions};
use crate::data::loader::Batch;
use crate::nets::Graph;
use crate::random::{Purpose, stream};
use crate::recipe::{Arithmetic, Recipe, Space};
use crate::torch::{own_stream, set_arithmetic};

/// The changing state of a run.
#[derive(Debug)]
pub struct State {
    /// Networks, optimizers and pools.
    pub step: Step,
    /// The average of the generators, where the recipe has one.
    pub ema: Option<Ema>,
    /// Sums for the next tick.
    pub meter: Meter,
    /// Steps done.
    pub steps: u64,
    /// Has steps done again as a whole; on a GPU, unless the recipe says otherwise.
    pub replays: Option<Replays>,
    device: Device,
}

/// A tensor that a checkpoint lacks or holds in another shape.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Not there.
    #[error("the checkpoint has no tensor `{0}`, which this recipe needs")]
    Missing(String),
    /// Another shape.
    #[error("the checkpoint's tensor `{name}` has shape {found:?}; this recipe needs {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape in the checkpoint.
        found: Vec<i64>,
        /// The shape that the recipe gives it.
        expected: Vec<i64>,
    },
    /// libtorch's.
    #[error(transparent)]
    Torch(#[from] TchError),
}

impl State {
    /// The state before the first step.
    ///
    /// # Errors
    /// libtorch's.
    pub fn new(recipe: &Recipe, conditions: &Conditions, device: Device) -> Result<Self, TchError> {
        set_arithmetic(recipe.train.precision != Arithmetic::Fp32, recipe.train.deterministic)?;
        own_stream(device)?;
        let replays = (device.is_cuda() && recipe.train.cuda_graph).then(|| Replays::new(device));
        let mut graph = Graph::build(recipe, conditions, device);
        let is_bf16 = recipe.train.precision.is_bf16(device);
        graph.set_bf16(is_bf16);
        if recipe.train.activation_checkpointing {
            graph.recompute();
        }
        let ema =
            (recipe.train.ema > 0.0).then(|| Ema::new(recipe, conditions, &graph, device)).transpose()?;
        if recipe.train.memory_format.is_channels_last(device, is_bf16) {
            graph.set_channels_last();
            if let Some(ema) = &ema {
                ema.graph.set_channels_last();
            }
        }
        Ok(Self { step: Step::new(recipe, graph), ema, meter: Meter::default(), steps: 0, replays, device })
    }

    /// Does the next step on what was loaded for it, this rank's share of the batch. `sides` holds the conditions of each
    /// conditioned space.
    ///
    /// # Errors
    /// libtorch's, or a rank is lost.
    pub fn show(
        &mut self,
        recipe: &Recipe,
        sides: &IndexMap<Space, Conditioned>,
        loaded: &Batch,
        ranks: &Ranks,
    ) -> Result<(), StepError> {
        let (steps, share) = (self.steps, ranks.share());
        let count = recipe.train.accumulate;
        let part = |part| {
            let place = (steps, share.part(part, count));
            step_input(recipe, sides, &loaded.part(part, count), place, self.device)
        };
        let parts: Vec<_> = (0..count).map(part).collect();
        // Dropout is the one random choice that libtorch makes itself.
        let counter = steps * u64::from(share.ranks) + u64::from(share.rank);
        tch::manual_seed(stream(recipe.train.seed, Purpose::Dropout, counter).next_u64() as i64);
        self.step.border(Part::Load);
        self.advance(&parts, ranks)?;
        self.step.border(Part::Rest);
        Ok(())
    }

    /// Does one step, together with the other ranks; see [`Step::run`].
    ///
    /// # Errors
    /// libtorch's, or a rank is lost.
    pub fn advance(&mut self, parts: &[StepInput], ranks: &Ranks) -> Result<(), StepError> {
        let terms = match &mut self.replays {
            Some(replays) => replays.step(&mut self.step, parts, ranks)?,
            None => self.step.run(parts, ranks)?,
        };
        self.steps += 1;
        if let Some(ema) = self.ema.as_mut().filter(|_| parts.first().is_some_and(|part| part.generators)) {
            ema.update(&self.step.graph, self.steps)?;
        }
        self.meter.add(&terms);
        Ok(())
    }

    /// Puts the first rank's state in place of this one's.
    ///
    /// # Errors
    /// A rank is lost.
    pub fn take_first(&mut self, ranks: &Ranks) -> Result<(), RankLost> {
        let fixed: Vec<Tensor> = self.fixed_tensors().into_iter().map(|(_, tensor)| tensor).collect();
        ranks.broadcast(&fixed)?;
        let steps = Tensor::from(self.steps as i64);
        ranks.broadcast(&[steps.shallow_clone()])?;
        self.steps = steps.int64_value(&[]) as u64;
        for pool in self.step.pools.values_mut() {
            let contents =
                pool.contents().unwrap_or_else(|| Tensor::zeros([0; 4], (Kind::Float, self.device)));
            let shape = Tensor::from_slice(&contents.size());
            ranks.broadcast(&[shape.shallow_clone()])?;
            let shape = Vec::<i64>::try_from(&shape).unwrap_or_default();
            if shape.first().is_some_and(|&filled| filled > 0) {
                let contents = if contents.size() == shape {
                    contents
                } else {
                    Tensor::zeros(&shape, (Kind::Float, self.device))
                };
                ranks.broadcast(&[contents.shallow_clone()])?;
                pool.restore(&contents, self.device);
            }
        }
        Ok(())
    }

    /// Whether every weight is a number. Waits for the device.
    pub fn is_finite(&self) -> bool {
        let average = self.ema.iter().flat_map(|ema| ema.graph.tensors());
        let mut weights = self.step.graph.tensors().into_iter().chain(average);
        weights.all(|(_, tensor)| tensor.isfinite().all().int64_value(&[]) != 0)
    }

    /// The generators to translate with: the average where there is one.
    pub fn translators(&self) -> &Graph {
        self.ema.as_ref().map_or(&self.step.graph, |ema| &ema.graph)
    }

    /// Everything by name, for a checkpoint.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let mut all = self.fixed_tensors();
        for (space, pool) in &self.step.pools {
            all.extend(pool.contents().map(|images| (format!("pool.{}", space.name()), images)));
        }
        for (name, (sum, count)) in &self.meter.sums {
            all.push((format!("meter.{name}"), sum.shallow_clone()));
            all.push((format!("meter_count.{name}"), Tensor::from(*count as i64)));
        }
        all.push(("steps".into(), Tensor::from(self.steps as i64)));
        all
    }

    /// The tensors that are there from the start, in shapes that the recipe fixes.
    fn fixed_tensors(&self) -> Vec<(String, Tensor)> {
        let prefixed = |prefix: &'static str, tensors: Vec<(String, Tensor)>| {
            tensors.into_iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
        };
        let step = &self.step;
        let mut all = step.graph.tensors();
        all.extend(prefixed("adam.", step.generator_adam.tensors()));
        all.extend(prefixed("adam.", step.discriminator_adam.tensors()));
        if let Some(ema) = &self.ema {
            all.extend(prefixed("ema.", ema.graph.tensors()));
        }
        all
    }

    /// Puts a checkpoint's tensors in place of this state's. An average that the recipe has gained since starts from
    /// the generators as they are.
    ///
    /// # Errors
    /// A tensor is missing or has another shape; the state is then partly changed and must be dropped.
    pub fn restore(&mut self, stored: &HashMap<String, Tensor>) -> Result<(), RestoreError> {
        let find = |name: &str| stored.get(name).ok_or_else(|| RestoreError::Missing(name.to_string()));
        for (name, mut tensor) in self.fixed_tensors() {
            let gained = name.starts_with("ema.") && !stored.contains_key(&name);
            let found = find(if gained { &name["ema.".len()..] } else { &name })?;
            if found.size() != tensor.size() {
                let (found, expected) = (found.size(), tensor.size());
                return Err(RestoreError::Shape { name, found, expected });
            }
            tch::no_grad(|| tensor.f_copy_(found))?;
        }
        for (space, pool) in &mut self.step.pools {
            if let Some(contents) = stored.get(&format!("pool.{}", space.name())) {
                pool.restore(contents, self.device);
            }
        }
        let meter = stored.iter().filter_map(|(name, sum)| Some((name.strip_prefix("meter.")?, sum)));
        self.meter.sums = meter
            .map(|(name, sum)| {
                let count = find(&format!("meter_count.{name}"))?.int64_value(&[]) as u64;
                Ok((name.to_string(), (sum.to_device(self.device), count)))
            })
            .collect::<Result<_, RestoreError>>()?;
        self.meter.sums.sort_keys();
        self.steps = find("steps")?.int64_value(&[]) as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::resolve;

    #[test]
    fn a_weight_that_is_no_number_is_found() {
        let sets = ["x_to_y", "y_to_x"].map(|name| format!("generators.{name}.net.width=2"));
        let recipe = resolve("cyclegan-small", &sets).unwrap();
        let state = State::new(&recipe, &Conditions::new(), Device::Cpu).unwrap();
        assert!(state.is_finite());
        for value in [f64::NAN, f64::INFINITY] {
            let (_, weight) = state.step.graph.tensors().into_iter().last().unwrap();
            let before = weight.copy();
            let _ = tch::no_grad(|| weight.get(0).fill_(value));
            assert!(!state.is_finite(), "{value}");
            tch::no_grad(|| weight.shallow_clone().copy_(&before));
            assert!(state.is_finite());
        }
    }
}
