//! The generator that is exported, and inputs to try it on.

use tch::{Device, Kind, Tensor};

use super::state_dict;
use crate::data::condition::Known;
use crate::device;
use crate::model::{Model, ModelError};
use crate::nets::{GeneratorNode, Graph, Network};
use crate::recipe::{GeneratorNet, Space};
use crate::torch::{TorchError, guard};

/// The least side of an image that is tried, so that there is something to see in it.
const SIDE: i64 = 32;

/// One generator of a model that was opened on the CPU.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'m> {
    model: &'m Model,
    name: &'m str,
    node: &'m GeneratorNode,
}

impl Model {
    /// The generator that writes the domain called `to`, by default the last one's (the second folder), or what there is
    /// from noise.
    ///
    /// # Errors
    /// No generator writes it.
    pub fn subject(&self, to: Option<&str>) -> Result<Subject<'_>, ModelError> {
        let from_noise = self.graph.generators.iter().find(|(_, node)| node.from == Space::Z);
        let is_asked = |node: &GeneratorNode| to.is_none_or(|to| self.domains[&node.to] == to);
        let (name, node) = match (self.generator_to(to), from_noise) {
            (Ok(found), _) => found,
            (Err(_), Some((name, node))) if is_asked(node) => (name.as_str(), node),
            (Err(error), _) => return Err(error),
        };
        Ok(Subject { model: self, name, node })
    }
}

impl<'m> Subject<'m> {
    /// The recipe's network.
    pub fn config(&self) -> &'m GeneratorNet {
        &self.model.recipe.generators[self.name].net
    }

    /// What it can be asked for, where it has a condition.
    pub fn known(&self) -> Option<&'m Known> {
        self.model.conditions.get(&self.node.to)
    }

    /// The domain that it reads; none where it draws from noise.
    pub fn from(&self) -> Option<&'m str> {
        self.model.domains.get(&self.node.from).map(String::as_str).filter(|_| self.node.from != Space::Z)
    }

    /// The domain that it writes.
    pub fn to(&self) -> &'m str {
        &self.model.domains[&self.node.to]
    }

    /// Its built network.
    pub(super) fn net(&self) -> &'m Network {
        &self.node.net
    }

    /// Its name in the recipe.
    pub(super) fn name(&self) -> &'m str {
        self.name
    }

    /// The recipe's networks anew, with weights of their own.
    pub(super) fn rebuilt(&self) -> Result<Graph, TorchError> {
        let Model { recipe, conditions, .. } = self.model;
        guard(&cpu(), || Graph::build_generators(recipe, conditions, Device::Cpu))
    }

    /// Options by which the reference `PyTorch` `CycleGAN`'s `test.py` builds the network, where it can.
    pub fn reference_options(&self) -> Option<String> {
        state_dict::reference_options(self.config())
    }

    /// Shapes of images or noise to try it on. The first is what it is traced on.
    fn shapes(&self) -> Vec<Vec<i64>> {
        if let Some(noise) = self.config().noise() {
            return [1, 2, 5].map(|batch| vec![batch, noise]).to_vec();
        }
        let step = i64::from(self.config().stride());
        let least = i64::from(self.config().least_size()).max(SIDE);
        let side = (least + step - 1) / step * step;
        vec![vec![1, 3, side, side], vec![2, 3, side, side + step], vec![1, 3, side + step, side + step]]
    }

    /// Random inputs of three shapes, each with its name: `image` in [-1, 1], `[batch, 3, height, width]`, or `noise`
    /// `[batch, width]`; and where it has a condition `label` `[batch]` or `tokens` `[batch, length]`, int64.
    pub(super) fn inputs(&self) -> Vec<Vec<(String, Tensor)>> {
        let float = (Kind::Float, Device::Cpu);
        let input = |(i, shape): (usize, &Vec<i64>)| {
            let batch = shape[0];
            let mut all = vec![if self.from().is_some() {
                ("image".to_string(), Tensor::rand(shape, float) * 2 - 1)
            } else {
                ("noise".to_string(), Tensor::randn(shape, float))
            }];
            let int = (Kind::Int64, Device::Cpu);
            match self.known() {
                None => {}
                Some(known @ Known::Classes(_)) => {
                    all.push(("label".into(), Tensor::randint(known.rows(), [batch], int)));
                }
                Some(known @ Known::Words(vocabulary)) => {
                    let length = vocabulary.length() as i64;
                    // Number 0 is padding, of which there is more in each input.
                    let words = Tensor::arange(length, int).lt(length - i as i64);
                    let tokens = Tensor::randint_low(1, known.rows(), [batch, length], int) * words;
                    all.push(("tokens".into(), tokens));
                }
            }
            all
        };
        tch::manual_seed(0);
        self.shapes().iter().enumerate().map(input).collect()
    }
}

/// Where exports are computed.
pub(super) fn cpu() -> String {
    device::name(Device::Cpu)
}

/// What `net` makes of inputs.
pub(super) fn answer(net: &Network, inputs: &[(String, Tensor)]) -> Result<Tensor, TorchError> {
    guard(&cpu(), || apply(net, inputs))
}

/// As [`answer`], where a failure is a panic.
pub(super) fn apply(net: &Network, inputs: &[(String, Tensor)]) -> Tensor {
    let condition = inputs.get(1).map(|(_, condition)| condition);
    tch::no_grad(|| net.forward_given(&inputs[0].1, condition, false))
}
