//! Steps that are done again as a whole. A GPU is asked for a step of a small batch operator by operator, thousands of them,
//! and waits between them for the program that asks. Each step does the same work on other numbers, so it is recorded once, as
//! a CUDA graph, and then replayed: all that a step is told lies in tensors, into which the next step's are copied.

use tch::{Device, TchError, Tensor};

use super::ranks::Ranks;
use super::step::{Decided, Step, StepError, Terms};
use super::step_input::StepInput;
use crate::device;
use crate::torch::{RecordError, Recording, TorchError};

/// Steps of each kind that are done as they are asked for before one is recorded. By then libtorch has chosen its algorithms,
/// and all that is kept from step to step has its place.
pub const WARM_UP: u64 = 3;

/// The recorded steps of one training.
#[derive(Debug)]
pub struct Replays {
    device: Device,
    record: Record,
    /// Those of the discriminators alone, and those of all networks.
    kinds: [Kind; 2],
    is_off: bool,
    refusal: Option<String>,
    replayed: u64,
}

type Record =
    fn(Device, &mut dyn FnMut() -> Result<Terms, TchError>) -> Result<(Recording, Terms), RecordError>;

#[derive(Debug)]
enum Kind {
    /// So many have been done.
    New(u64),
    Recorded(Recorded),
}

#[derive(Debug)]
struct Recorded {
    recording: Recording,
    /// What a step is told, from where the recording reads it.
    told: Vec<Tensor>,
    /// Where the recording leaves the terms.
    terms: Terms,
}

impl Replays {
    /// Nothing is recorded yet. On a GPU, the thread that trains needs a stream of its own, see
    /// [`own_stream`](crate::torch::own_stream).
    pub fn new(device: Device) -> Self {
        let record: Record = |device, work| Recording::of(device, work);
        Self {
            device,
            record,
            kinds: [Kind::New(0), Kind::New(0)],
            is_off: false,
            refusal: None,
            replayed: 0,
        }
    }

    /// Does one step, as [`Step::run`] does it: the first ones of each kind as they are asked for, then one that is recorded,
    /// which the others repeat. The terms lie in tensors that the next step of the kind changes.
    ///
    /// Steps that are timed by part, that need other ranks, or are told something of another size are done as they are asked
    /// for; and all, once one could not be recorded.
    ///
    /// # Errors
    /// As [`Step::compute`]'s.
    pub fn step(&mut self, step: &mut Step, parts: &[StepInput], ranks: &Ranks) -> Result<Terms, StepError> {
        let Some(first) = parts.first() else { return Ok(Terms::new()) };
        if self.is_off || step.stopwatch.is_some() || !ranks.is_alone() {
            return step.run(parts, ranks);
        }
        let decided = step.decide(first);
        let terms = match &mut self.kinds[usize::from(first.generators)] {
            Kind::New(done) if *done < WARM_UP => {
                *done += 1;
                step.compute(parts, &decided, ranks)?
            }
            Kind::New(_) => self.first_recorded(step, parts, &decided, ranks)?,
            Kind::Recorded(recorded) if recorded.fits(parts, &decided) => {
                self.replayed += 1;
                recorded.replay(parts, &decided)?
            }
            Kind::Recorded(_) => step.compute(parts, &decided, ranks)?,
        };
        step.note(&decided);
        Ok(terms)
    }

    /// Steps that were replays.
    pub const fn replayed(&self) -> u64 {
        self.replayed
    }

    /// Why no step is recorded, said once.
    pub const fn take_refusal(&mut self) -> Option<String> {
        self.refusal.take()
    }

    fn first_recorded(
        &mut self,
        step: &mut Step,
        parts: &[StepInput],
        decided: &Decided,
        ranks: &Ranks,
    ) -> Result<Terms, StepError> {
        let is_moved = parts.first().is_some_and(|part| part.generators);
        let (held, held_decided): (Vec<_>, _) =
            (parts.iter().map(StepInput::copied).collect(), decided.copied());
        let mut work =
            || step.compute(&held, &held_decided, ranks).map_err(|error| TchError::Torch(error.to_string()));
        match (self.record)(self.device, &mut work) {
            Ok((recording, terms)) => {
                let told = tensors(&held, &held_decided).map(Tensor::shallow_clone).collect();
                let shown = shallow(&terms);
                self.kinds[usize::from(is_moved)] = Kind::Recorded(Recorded { recording, told, terms });
                Ok(shown)
            }
            Err(RecordError::Refused(error)) => {
                let error = TorchError::from_text(&device::name(self.device), &error.to_string());
                self.kinds = [Kind::New(0), Kind::New(0)];
                (self.is_off, self.refusal) = (true, Some(error.to_string()));
                step.compute(parts, decided, ranks)
            }
            Err(RecordError::Broken(error)) => {
                let error = TorchError::from_text(&device::name(self.device), &error.to_string());
                Err(StepError::Unrecorded(error.to_string()))
            }
        }
    }
}

impl Recorded {
    fn fits(&self, parts: &[StepInput], decided: &Decided) -> bool {
        self.told.iter().map(Tensor::size).eq(tensors(parts, decided).map(Tensor::size))
    }

    fn replay(&mut self, parts: &[StepInput], decided: &Decided) -> Result<Terms, StepError> {
        for (held, given) in self.told.iter_mut().zip(tensors(parts, decided)) {
            held.f_copy_(given)?;
        }
        self.recording.replay()?;
        Ok(shallow(&self.terms))
    }
}

fn tensors<'a>(parts: &'a [StepInput], decided: &'a Decided) -> impl Iterator<Item = &'a Tensor> {
    parts.iter().flat_map(StepInput::tensors).chain(decided.tensors())
}

fn shallow(terms: &Terms) -> Terms {
    terms.iter().map(|(name, term)| (name.clone(), term.shallow_clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::condition::Conditions;
    use crate::data::loader::Batch;
    use crate::recipe::{Recipe, resolve};
    use crate::train::state::State;
    use indexmap::IndexMap;

    /// As small as a recipe can be.
    fn recipe() -> Recipe {
        let mut sets: Vec<String> = ["x_to_y", "y_to_x"]
            .iter()
            .flat_map(|g| [format!("generators.{g}.net.width=2"), format!("generators.{g}.net.blocks=1")])
            .collect();
        sets.extend(["data.size=16", "data.load_size=16", "loss.pool=2"].map(String::from));
        sets.extend(["x", "y"].map(|space| format!("discriminators.{space}.net={{kind: pixel, width: 2}}")));
        resolve("cyclegan", &sets).unwrap()
    }

    fn try_show(recipe: &Recipe, state: &mut State) -> Result<(), StepError> {
        let side =
            |side: u64| (0..16 * 16 * 3).map(|i| (i * 7 + side * 31 + state.steps * 11) as u8).collect();
        let loaded = Batch { sides: vec![side(0), side(1)], items: vec![vec![0]; 2] };
        state.show(recipe, &IndexMap::new(), &loaded, &Ranks::ALONE)
    }

    fn bits(state: &State) -> Vec<(String, Tensor)> {
        state.tensors().into_iter().map(|(name, tensor)| (name, tensor.copy())).collect()
    }

    fn trained(replays: Option<Replays>, steps: u64) -> (State, Vec<(String, Tensor)>) {
        let recipe = recipe();
        let mut state = State::new(&recipe, &Conditions::new(), Device::Cpu).unwrap();
        for (index, (_, mut parameter)) in state.step.graph.parameters("").into_iter().enumerate() {
            let values =
                Tensor::arange(parameter.numel() as i64, (tch::Kind::Float, Device::Cpu)) + index as f64;
            tch::no_grad(|| parameter.copy_(&(values.sin() * 0.1).view_as(&parameter)));
        }
        state.replays = replays;
        (0..steps).for_each(|_| try_show(&recipe, &mut state).unwrap());
        let bits = bits(&state);
        (state, bits)
    }

    #[test]
    fn where_recording_fails_steps_are_done_as_before_and_it_is_said_once() {
        let mut refusing = Replays::new(Device::Cpu);
        refusing.record =
            |_, _| Err(RecordError::Refused(TchError::Torch("no graphs here\nstack trace".into())));
        let steps = WARM_UP + 2;
        let (mut state, got) = trained(Some(refusing), steps);
        assert_eq!(got, trained(None, steps).1);
        let replays = state.replays.as_mut().unwrap();
        let refusal = replays.take_refusal();
        assert_eq!(refusal.as_deref(), Some("libtorch failed on cpu: no graphs here"));
        assert_eq!(replays.take_refusal(), None);
    }

    #[test]
    fn where_a_recording_breaks_the_device_the_step_is_an_error() {
        let mut breaking = Replays::new(Device::Cpu);
        breaking.record = |_, _| Err(RecordError::Broken(TchError::Torch("it is gone".into())));
        let (mut state, _) = trained(Some(breaking), WARM_UP);
        let error = try_show(&recipe(), &mut state).unwrap_err().to_string();
        assert!(error.contains("it is gone") && error.contains("train.cuda_graph=false"), "{error}");
    }

    #[test]
    fn first_steps_are_not_recorded_and_the_next_one_is() {
        let is_recorded = |steps| {
            let (state, _) = trained(Some(Replays::new(Device::Cpu)), steps);
            matches!(state.replays.unwrap().kinds[1], Kind::Recorded(_))
        };
        assert!(!is_recorded(WARM_UP));
        assert!(is_recorded(WARM_UP + 1));
    }
}
