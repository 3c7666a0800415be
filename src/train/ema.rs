//! The exponential moving average of the generators (Yazıcı et al. 2019), which is smoother than any single step.

use tch::TchError;

use crate::data::condition::Conditions;
use crate::nets::Graph;
use crate::recipe::Recipe;
use crate::torch::lerp;

/// A second set of the generators that follows the trained one.
#[derive(Debug)]
pub struct Ema {
    decay: f64,
    critic_steps: u64,
    /// The averaged generators, ready to translate with.
    pub graph: Graph,
}

impl Ema {
    /// Starts from the generators of `current` as they are.
    ///
    /// # Errors
    /// libtorch's.
    pub fn new(
        recipe: &Recipe,
        conditions: &Conditions,
        current: &Graph,
        device: tch::Device,
    ) -> Result<Self, TchError> {
        let graph = Graph::build_generators(recipe, conditions, device);
        let ema = Self { decay: recipe.train.ema, critic_steps: recipe.train.critic_steps, graph };
        ema.lerp(current, 1.0)?;
        Ok(ema)
    }

    /// Takes in the generators after step number `step` (from 1), which moved them. The first moves count more, or a run's
    /// random start would linger: decay is min(`decay`, (1 + move) / (10 + move)).
    ///
    /// # Errors
    /// libtorch's.
    pub fn update(&mut self, current: &Graph, step: u64) -> Result<(), TchError> {
        let moves = (step / self.critic_steps) as f64;
        let decay = self.decay.min((1.0 + moves) / (10.0 + moves));
        self.lerp(current, 1.0 - decay)
    }

    fn lerp(&self, current: &Graph, weight: f64) -> Result<(), TchError> {
        for name in self.graph.generators.keys() {
            let tensors = |of: &Graph| {
                of.generators[name].net.tensors().into_iter().map(|(_, it)| it).collect::<Vec<_>>()
            };
            lerp(&tensors(&self.graph), &tensors(current), weight)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::resolve;

    fn first_value(graph: &Graph) -> f64 {
        graph.tensors()[0].1.flatten(0, -1).double_value(&[0])
    }

    #[test]
    fn follows_the_written_rule() {
        let sets: Vec<String> = ["x_to_y", "y_to_x"]
            .iter()
            .flat_map(|g| [format!("generators.{g}.net.width=2"), format!("generators.{g}.net.blocks=1")])
            .collect();
        let mut recipe = resolve("cyclegan", &sets).unwrap();
        recipe.train.ema = 0.5;
        let graph = Graph::build(&recipe, &Conditions::new(), tch::Device::Cpu);
        let mut ema = Ema::new(&recipe, &Conditions::new(), &graph, tch::Device::Cpu).unwrap();
        let mut expected = first_value(&graph);
        assert!((first_value(&ema.graph) - expected).abs() < 1e-9);
        for step in 1..=20u64 {
            let _ = tch::no_grad(|| graph.tensors()[0].1.shallow_clone().fill_(step as f64));
            ema.update(&graph, step).unwrap();
            let decay = 0.5f64.min((1.0 + step as f64) / (10.0 + step as f64));
            expected = decay * expected + (1.0 - decay) * step as f64;
            assert!((first_value(&ema.graph) - expected).abs() < 1e-4, "step {step}");
        }
    }
}
