//! Our training step beside the same one in plain eager `PyTorch` (`peer_step.py`), on the CPU.
//!
//! Both do one step in turn, so that what else the machine does falls on both alike; what counts is the ratio of the two
//! medians. `cargo bench --bench step [-- RECIPE...]`; without recipes, `demo` and `cyclegan-small`.

#![allow(clippy::print_stdout, reason = "the result goes to stdout")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use indexmap::IndexMap;
use std::slice::from_ref;

use tch::{Device, Kind, Tensor};
use translate::data::condition::Conditions;
use translate::nets::Graph;
use translate::recipe::{DiscriminatorNet, GeneratorNet, Recipe, Space, resolve};
use translate::train::pool::Choice;
use translate::train::ranks::Ranks;
use translate::train::step::{Step, StepInput};

const STEPS: u64 = 40;
const WARM_UP: u64 = 3;

fn main() -> Result<()> {
    // As the program does.
    translate::torch::keep_freed_memory();
    // Cargo passes `--bench`.
    let mut recipes: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    if recipes.is_empty() {
        recipes = ["demo", "cyclegan-small"].map(String::from).into();
    }
    println!(
        "training step on {} CPU threads, {STEPS} alternating steps each, medians",
        tch::get_num_threads()
    );
    println!("{:<16} {:>10} {:>12} {:>8}", "recipe", "ours (ms)", "PyTorch (ms)", "ratio");
    for name in recipes {
        let (ours, theirs) = compare(&resolve(&name, &[])?)?;
        println!("{name:<16} {ours:>10.1} {theirs:>12.1} {:>8.3}", ours / theirs);
    }
    Ok(())
}

/// Median milliseconds a step: ours, theirs.
fn compare(recipe: &Recipe) -> Result<(f64, f64)> {
    let mut ours = Ours::new(recipe);
    let mut theirs = Theirs::start(recipe)?;
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..WARM_UP {
        ours.step()?;
    }
    for _ in 0..STEPS {
        times.0.push(ours.step()?);
        times.1.push(theirs.step()?);
    }
    Ok((median(times.0), median(times.1)))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    f64::midpoint(values[middle - 1], values[middle])
}

/// Our step on random images.
struct Ours {
    step: Step,
    recipe: Recipe,
    shown: u64,
}

impl Ours {
    fn new(recipe: &Recipe) -> Self {
        tch::manual_seed(0);
        let step = Step::new(recipe, Graph::build(recipe, &Conditions::new(), Device::Cpu));
        Self { step, recipe: recipe.clone(), shown: 0 }
    }

    fn step(&mut self) -> Result<f64> {
        let (batch, size) = (self.recipe.train.batch as u64, i64::from(self.recipe.data.size));
        let image = |space| {
            let shape = [batch as i64, 3, size, size];
            (space, Tensor::rand(shape, (Kind::Float, Device::Cpu)) * 2 - 1)
        };
        let choice = |space| {
            let draw = |i| Choice::draw(0, space, self.shown + i, self.recipe.loss.pool);
            (space, (0..batch).map(draw).collect())
        };
        let spaces = [Space::X, Space::Y];
        let input = StepInput {
            samples: spaces.map(image).into(),
            choices: spaces.map(choice).into(),
            mixes: IndexMap::new(),
            augments: IndexMap::new(),
            conditions: IndexMap::new(),
            mismatched: IndexMap::new(),
            generators: true,
            lr: self.recipe.optim.lr,
        };
        self.shown += batch;
        let start = Instant::now();
        self.step.run(from_ref(&input), &Ranks::ALONE)?;
        Ok(1e3 * start.elapsed().as_secs_f64())
    }
}

/// The Python program, which does one step for every line that it reads.
struct Theirs {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Theirs {
    fn start(recipe: &Recipe) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join(".venv/bin/python");
        let mut child = Command::new(&python)
            .arg("-B")
            .arg(root.join("benches/peer_step.py"))
            .args(flags(recipe)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run `{}`; `make setup` makes it", python.display()))?;
        let requests = child.stdin.take().context("no standard input")?;
        let answers = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { child, requests, answers })
    }

    fn step(&mut self) -> Result<f64> {
        writeln!(self.requests, "step")?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the peer ended: {}", self.child.wait()?);
        }
        let answer: serde_json::Value = serde_json::from_str(&line)?;
        answer["ms"].as_f64().with_context(|| format!("the peer answered `{line}`"))
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // It has nothing to lose; a failure means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What makes the peer's step that of `recipe`.
fn flags(recipe: &Recipe) -> Result<Vec<String>> {
    let generator = recipe.generators.values().next().map(|arrow| &arrow.net);
    let discriminator = recipe.discriminators.values().next().map(|judge| &judge.net);
    let (Some(GeneratorNet::Resnet(net)), Some(DiscriminatorNet::Patch(judge))) = (generator, discriminator)
    else {
        bail!("the peer has the residual generator and the patch discriminator only");
    };
    let upsample = serde_json::to_value(net.upsample)?;
    let mut flags = vec![format!("--upsample={}", upsample.as_str().unwrap_or_default())];
    let numbers = [
        ("size", i64::from(recipe.data.size)),
        ("batch", recipe.train.batch as i64),
        ("width", net.width),
        ("blocks", net.blocks as i64),
        ("disc-width", judge.width),
        ("layers", i64::from(judge.layers)),
        ("warmup", WARM_UP as i64),
        ("threads", i64::from(tch::get_num_threads())),
    ];
    flags.extend(numbers.map(|(name, value)| format!("--{name}={value}")));
    flags.extend(net.skip.then(|| "--skip".to_string()));
    Ok(flags)
}
