//! One training step, in the paper's order (Zhu et al. 2017): fakes, generators, discriminators. Where discriminators
//! take several steps for each of the generators (`critic_steps`), most steps leave the generators as they are.
//!
//! It loops over the arrows and the terms of a recipe's graph and knows no method by name: `CycleGAN` is two arrows
//! and every term, and a recipe with less is less of the same. All random choices come in as arguments and nothing is
//! read back, so that the host never waits for the device.

use indexmap::IndexMap;
use tch::{TchError, Tensor};

pub use super::step_input::{Augments, StepInput};

use super::adam::Adam;
use super::joined::{Shown, forward_all};
use super::pool::{Pool, Route};
use super::ranks::{RankLost, Ranks};
use super::stopwatch::{Part, Stopwatch};
pub use super::terms::Terms;
use super::terms::{Sums, add_term, sum};
use crate::loss::{Objective, gradient_penalty, l1, r1};
use crate::nets::{DiscriminatorNode, GeneratorNode, Graph};
use crate::recipe::{Recipe, Space};

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// libtorch's.
    #[error(transparent)]
    Torch(#[from] TchError),
    /// A step could not be recorded, and the GPU is of no use to this process any more.
    #[error(
        "a step could not be recorded as a CUDA graph, after which this process cannot go on: {0}\nhint: the same command with \
         `--set train.cuda_graph=false` does without"
    )]
    Unrecorded(String),
    /// Another process is gone.
    #[error(transparent)]
    Lost(#[from] RankLost),
}

/// A graph with all that training it needs beside the data.
#[derive(Debug)]
pub struct Step {
    /// The networks.
    pub graph: Graph,
    /// Replay pools by the space they hold fakes of.
    pub pools: IndexMap<Space, Pool>,
    /// One Adam over all generators.
    pub generator_adam: Adam,
    /// One Adam over all discriminators.
    pub discriminator_adam: Adam,
    /// Times the parts of a step; none outside of a benchmark.
    pub stopwatch: Option<Stopwatch>,
    objective: Objective,
    r1_weight: f64,
    cycle_weight: f64,
    identity_weight: f64,
    paired_weight: f64,
    /// Names of (there, back) for every cycle.
    cycles: Vec<(String, String)>,
}

/// What the host decides of a step, as tensors, so that a recorded step can be done again after other decisions.
#[derive(Debug)]
pub struct Decided {
    /// The learning rate, see [`Adam::rate`].
    pub rate: Tensor,
    /// By judged space, the way of its fakes through the replay pool, where there is one.
    pub routes: IndexMap<Space, Route>,
}

impl Decided {
    /// The same in tensors of its own.
    #[must_use]
    pub fn copied(&self) -> Self {
        let routes = self.routes.iter().map(|(space, route)| (*space, route.copied()));
        Self { rate: self.rate.copy(), routes: routes.collect() }
    }

    /// All of its tensors, in an order that is the same for steps of one recipe.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        std::iter::once(&self.rate).chain(self.routes.values().map(|route| &route.numbers))
    }
}

/// By judged space: what each part's discriminator is shown, and the fakes of all ranks, which a pool keeps.
type Exchanged = IndexMap<Space, (Vec<Tensor>, Option<Tensor>)>;

/// What the generators make in a step.
struct Fakes {
    /// By generator: its source translated.
    fakes: IndexMap<String, Tensor>,
    /// By generator: its own target put through it; empty where the recipe has no identity term.
    identities: IndexMap<String, Tensor>,
}

impl Step {
    /// Fresh optimizers and pools around `graph`, which was built from `recipe`.
    pub fn new(recipe: &Recipe, graph: Graph) -> Self {
        let adam = |prefix| Adam::new(graph.parameters(prefix), recipe.optim.betas);
        let owned = |(there, back): (&str, &str)| (there.to_string(), back.to_string());
        let has_cycle = recipe.loss.cycle > 0.0;
        Self {
            pools: graph.discriminators.keys().map(|space| (*space, Pool::new(recipe.loss.pool))).collect(),
            generator_adam: adam("generators."),
            discriminator_adam: adam("discriminators."),
            stopwatch: None,
            objective: recipe.loss.adversarial,
            r1_weight: recipe.loss.r1,
            cycle_weight: recipe.loss.cycle,
            identity_weight: recipe.loss.cycle * recipe.loss.identity,
            paired_weight: recipe.loss.paired,
            cycles: recipe.opposite_arrows().filter(|_| has_cycle).map(owned).collect(),
            graph,
        }
    }

    /// Does one step, together with the other ranks, and gives the loss terms of all of them. The parts are equal shares of
    /// this rank's share of the batch, computed one after another: all that is in memory at once is what one of them takes.
    ///
    /// # Errors
    /// As [`Self::compute`].
    pub fn run(&mut self, parts: &[StepInput], ranks: &Ranks) -> Result<Terms, StepError> {
        let Some(first) = parts.first() else { return Ok(Terms::new()) };
        let decided = self.decide(first);
        let terms = self.compute(parts, &decided, ranks)?;
        self.note(&decided);
        Ok(terms)
    }

    /// What of a step depends on more than its tensors.
    pub fn decide(&self, input: &StepInput) -> Decided {
        let device = input.device();
        let route = |(space, pool): (&Space, &Pool)| {
            let route = pool.route(&input.choices[space], device)?;
            Some((*space, route))
        };
        Decided { rate: Adam::rate(input.lr, device), routes: self.pools.iter().filter_map(route).collect() }
    }

    /// Counts what a step has done, once it is done.
    pub fn note(&mut self, decided: &Decided) {
        for (space, route) in &decided.routes {
            self.pools[space].note(route);
        }
    }

    /// A step's work on the device, which reads nothing but tensors: those of this step, of `parts` and of `decided`.
    ///
    /// # Errors
    /// libtorch's, from the updates; plain calls inside panic, see [`crate::torch::guard`]. Where a rank is lost, weights,
    /// optimizers and pools are as they were before.
    pub fn compute(
        &mut self,
        parts: &[StepInput],
        decided: &Decided,
        ranks: &Ranks,
    ) -> Result<Terms, StepError> {
        let moves = parts.first().is_some_and(|part| part.generators);
        let (mut generators, mut discriminators) = (Sums::default(), Sums::default());
        let (mut terms, mut seen) = (Terms::new(), Vec::new());
        for input in parts {
            let fakes = if moves {
                let made = self.make_fakes(input);
                let loss = self.generator_loss(input, &made, &mut terms);
                generators.add(self.generator_adam.gradients(&loss)?);
                made.fakes
            } else {
                tch::no_grad(|| self.translate(input))
            };
            seen.push(self.landed(input, &fakes));
        }
        self.border(Part::Generators);
        let exchanged = self.exchange(&seen, decided, ranks)?;
        for (part, input) in parts.iter().enumerate() {
            let loss = self.discriminator_loss(input, &exchanged, part, &mut terms);
            discriminators.add(self.discriminator_adam.gradients(&loss)?);
        }
        self.border(Part::Discriminators);

        // The discriminators' gradients do not depend on the generators' update, so nothing has moved yet and one exchange
        // serves all.
        let (generators, discriminators) = (generators.means(parts.len()), discriminators.means(parts.len()));
        let count = (generators.len(), discriminators.len());
        let told = Sums(terms.values().map(Tensor::detach).collect()).means(parts.len());
        let mut means = ranks.mean(generators.into_iter().chain(discriminators).chain(told).collect())?;
        let told = means.split_off(count.0 + count.1);
        let (generators, discriminators) = means.split_at(count.0);
        if moves {
            self.generator_adam.update(generators, &decided.rate)?;
        }
        self.discriminator_adam.update(discriminators, &decided.rate)?;
        if let Some(clip) = self.objective.clip() {
            tch::no_grad(|| self.discriminator_adam.clamp(clip));
        }
        for (space, (_, fakes)) in &exchanged {
            if let (Some(fakes), Some(route)) = (fakes, decided.routes.get(space)) {
                self.pools[space].keep(fakes, route);
            }
        }
        self.border(Part::Optimizer);
        Ok(terms.into_keys().zip(told).collect())
    }

    /// Where `part` of a step ends.
    pub(super) fn border(&mut self, part: Part) {
        if let Some(stopwatch) = &mut self.stopwatch {
            stopwatch.border(part);
        }
    }

    /// The fakes of each space as its discriminator sees them, `[arrows, batch, channels, height, width]`.
    fn landed(&self, input: &StepInput, fakes: &IndexMap<String, Tensor>) -> IndexMap<Space, Tensor> {
        let seen = self.seen_fakes(&input.samples, fakes);
        let landed = |space: &Space| {
            let here = seen.iter().filter(|(name, _)| self.graph.generators[*name].to == *space);
            let here: Vec<Tensor> = here.map(|(_, seen)| seen.detach()).collect();
            (*space, Tensor::stack(&here, 0))
        };
        self.pools.keys().map(landed).collect()
    }

    /// What each space's discriminator is shown: the current fakes, or the pool's for the current ones of all ranks, of which
    /// each part of this rank's gets its share.
    fn exchange(
        &mut self,
        landed: &[IndexMap<Space, Tensor>],
        decided: &Decided,
        ranks: &Ranks,
    ) -> Result<Exchanged, RankLost> {
        let exchanged = |(space, pool): (&Space, &mut Pool)| {
            let own: Vec<&Tensor> = landed.iter().map(|part| &part[space]).collect();
            let Some(route) = decided.routes.get(space) else {
                return Ok((*space, (own.into_iter().map(|part| part.flatten(0, 1)).collect(), None)));
            };
            let own = Tensor::cat(&own, 1);
            let arrows = own.size()[0];
            let whole = ranks.whole(&own.flatten(0, 1), arrows)?;
            let own = ranks.own(&pool.exchange(&whole, route), arrows).unflatten(0, [arrows, -1]);
            let parts = own.chunk(landed.len() as i64, 1).into_iter().map(|part| part.flatten(0, 1));
            Ok((*space, (parts.collect(), Some(whole))))
        };
        self.pools.iter_mut().map(exchanged).collect()
    }

    /// G(source) for every generator.
    fn translate(&self, input: &StepInput) -> IndexMap<String, Tensor> {
        let fake = |node: &GeneratorNode| {
            node.net.forward_given(&input.samples[&node.from], input.conditions.get(&node.to), true)
        };
        self.graph.generators.iter().map(|(name, node)| (name.clone(), fake(node))).collect()
    }

    /// G(source) for every generator, and G(target) of translators where there is an identity term.
    fn make_fakes(&self, input: &StepInput) -> Fakes {
        if self.identity_weight == 0.0 {
            return Fakes { fakes: self.translate(input), identities: IndexMap::new() };
        }
        let mut made = Fakes { fakes: IndexMap::new(), identities: IndexMap::new() };
        for (name, node) in &self.graph.generators {
            let condition = input.conditions.get(&node.to);
            let source = Shown::new(&input.samples[&node.from], condition);
            let targets = (node.from != Space::Z).then(|| Shown::new(&input.samples[&node.to], condition));
            let mut results = forward_all(&node.net, source, targets.as_slice());
            made.identities.extend(results.drain(1..).map(|identity| (name.clone(), identity)));
            made.fakes.extend(results.pop().map(|fake| (name.clone(), fake)));
        }
        made
    }

    /// Σ adversarial + λ · Σ cycle + λ · λᵢ · Σ identity + λₚ · Σ paired
    fn generator_loss(&self, input: &StepInput, made: &Fakes, terms: &mut Terms) -> Tensor {
        let (graph, samples) = (&self.graph, &input.samples);
        let mut loss = Vec::new();
        // adversarial: how far D(G(source)) is from a real verdict
        for (name, seen) in self.seen_fakes(samples, &made.fakes) {
            let space = graph.generators[name].to;
            let judge = &graph.discriminators[&space];
            let random = input.augments.get(&space).map(|augments| {
                let before = self.landing(space).take_while(|other| *other != name).count() as i64;
                let count = seen.size()[0];
                augments.current.narrow(0, before * count, count)
            });
            let seen = judge.augmented(&seen, random.as_ref());
            let verdicts = judge.net.forward_given(&seen, input.conditions.get(&space), true);
            let term = self.objective.generator(&verdicts);
            loss.push(term.shallow_clone());
            add_term(terms, format!("adversarial.{name}"), &term);
        }
        // cycle consistency: ‖back(there(source)) − source‖₁
        for (there, back) in &self.cycles {
            let source = graph.generators[there].from;
            let reconstruction = graph.generators[back].net.forward(&made.fakes[there], true);
            let term = l1(&reconstruction, &samples[&source]);
            loss.push(&term * self.cycle_weight);
            add_term(terms, format!("cycle.{}", source.name()), &term);
        }
        // identity: ‖G(target) − target‖₁
        for (name, identity) in &made.identities {
            let term = l1(identity, &samples[&graph.generators[name].to]);
            loss.push(&term * self.identity_weight);
            add_term(terms, format!("identity.{name}"), &term);
        }
        // paired: ‖G(source) − its pair‖₁
        let translations = graph.generators.iter().filter(|(_, node)| node.from != Space::Z);
        for (name, node) in translations.filter(|_| self.paired_weight > 0.0) {
            let term = l1(&made.fakes[name], &samples[&node.to]);
            loss.push(&term * self.paired_weight);
            add_term(terms, format!("paired.{name}"), &term);
        }
        sum(&loss)
    }

    /// The generators that land in `space`, by name.
    fn landing(&self, space: Space) -> impl Iterator<Item = &String> {
        self.graph.generators.iter().filter(move |(_, node)| node.to == space).map(|(name, _)| name)
    }

    /// By generator, its fakes as their discriminator sees them.
    fn seen_fakes<'a>(
        &self,
        samples: &IndexMap<Space, Tensor>,
        fakes: &'a IndexMap<String, Tensor>,
    ) -> Vec<(&'a String, Tensor)> {
        let seen = |(name, fake): (&'a String, &Tensor)| {
            let node = &self.graph.generators[name];
            (name, self.graph.discriminators[&node.to].view(fake, &samples[&node.from]))
        };
        fakes.iter().map(seen).collect()
    }

    /// Σ over spaces of the discriminator's objective and its penalties, on real images and on the pool's fakes, which
    /// were made before the generators moved.
    fn discriminator_loss(
        &self,
        input: &StepInput,
        exchanged: &Exchanged,
        part: usize,
        terms: &mut Terms,
    ) -> Tensor {
        let mut loss = Vec::new();
        for (space, judge) in &self.graph.discriminators {
            let source = self.landing(*space).map(|name| self.graph.generators[name].from).next();
            let source = source.map_or(&input.samples[space], |source| &input.samples[&source]);
            let real = judge.view(&input.samples[space], source);
            for (name, (term, weight)) in self.judge(*space, judge, input, [&real, &exchanged[space].0[part]])
            {
                loss.extend(weight.map(|weight| &term * weight));
                add_term(terms, format!("{name}.{}", space.name()), &term);
            }
        }
        sum(&loss)
    }

    /// The terms of one discriminator, each with its weight; one without is told only.
    fn judge(
        &self,
        space: Space,
        judge: &DiscriminatorNode,
        input: &StepInput,
        [real, shown]: [&Tensor; 2],
    ) -> Judgement {
        let augments = input.augments.get(&space);
        let real = &judge.augmented(real, augments.map(|augments| &augments.real));
        let shown = &judge.augmented(shown, augments.map(|augments| &augments.shown));
        let condition = input.conditions.get(&space);
        // Every generator that lands here made one fake for each condition.
        let per_image = shown.size()[0] / real.size()[0];
        let repeated = condition.map(|condition| Tensor::cat(&vec![condition; per_image as usize], 0));
        let mismatched = input.mismatched.get(&space).map(|wrong| Shown::new(real, Some(wrong)));
        let others: Vec<Shown> =
            [Shown::new(shown, repeated.as_ref())].into_iter().chain(mismatched).collect();
        let verdicts = forward_all(&judge.net, Shown::new(real, condition), &others);
        let (on_real, on_fake) = (&verdicts[0], &verdicts[1]);

        let mut found = Judgement::new();
        let told = self.objective.discriminator(&on_real.detach(), &on_fake.detach());
        if let Some(estimate) = self.objective.divergence(&told) {
            found.insert("divergence", (estimate, None));
        }
        let refused = Tensor::cat(&verdicts[1..], 0);
        found.insert("discriminator", (self.objective.discriminator(on_real, &refused), Some(1.0)));
        // A penalty differentiates by what is seen, so it cannot share the call above.
        if let Some(penalty) = self.objective.penalty() {
            let verdicts = |xs: &Tensor| judge.net.forward_given(xs, repeated.as_ref(), true);
            let real = real.repeat([per_image, 1, 1, 1]);
            let term = gradient_penalty(verdicts, &real, shown, &input.mixes[&space]);
            found.insert("penalty", (term, Some(penalty)));
        }
        if self.r1_weight > 0.0 {
            let verdicts = |xs: &Tensor| judge.net.forward_given(xs, condition, true);
            found.insert("r1", (r1(verdicts, real), Some(self.r1_weight)));
        }
        found
    }
}

/// Terms by name with their weights in the loss.
type Judgement = IndexMap<&'static str, (Tensor, Option<f64>)>;
