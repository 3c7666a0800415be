//! `translate train`: trains the networks of a recipe on its folders.

use std::mem::{Discriminant, discriminant};
use std::path::PathBuf;

use clap::Parser;
use indicatif::ProgressBar;

use super::progress::{Counter, bar, in_words, say, tell, warn};
use super::{Failure, print, thread_count, warnings};
use crate::data::condition::Known;
use crate::device;
use crate::nets::Graph;
use crate::nets::encoder::TextEncoder;
use crate::recipe::{Condition, Recipe, resolve, to_yaml};
use crate::torch::guard;
use crate::train::launch::launch;
use crate::train::metrics::Tick;
use crate::train::orders;
use crate::train::plan::{Plan, Request};
use crate::train::problems::PlanError;
use crate::train::ranks::Ranks;
use crate::train::signals::Signals;
use crate::train::trainer::{Event, Outcome, Trainer};

/// Hours of training on a CPU from which on a smaller recipe is named.
const LONG_HOURS: f64 = 24.0;

/// The shipped recipes that are made for a CPU, the first choice first.
const FOR_CPUS: [&str; 11] = [
    "cyclegan-small",
    "cyclegan-wgan-gp-tiny",
    "pix2pix-tiny",
    "dcgan-tiny",
    "gan-tiny",
    "wgan-gp-tiny",
    "wgan-tiny",
    "sngan-tiny",
    "cgan-tiny",
    "text-gan-tiny",
    "text-gan-transformer-tiny",
];

/// Train on folders of images: translators between two, or a generator that draws more of one
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate train photos anime
  translate train photos anime -r cyclegan-small --run models/try --set train.images=20000
  translate train photos anime --run models/try         # goes on where that run stopped
  translate train anime -r dcgan                        # from noise
  translate train photos anime -r cyclegan --dry-run    # the plan and the complete recipe, no training")]
pub struct Args {
    /// The first folder (x); its name becomes the name of the domain
    x: PathBuf,
    /// The second folder (y), where the recipe has one
    y: Option<PathBuf>,
    /// A shipped recipe (`translate recipe list`), a YAML file, a link, or the run or model whose recipe to take; by default
    /// `cyclegan`, or that of the run in `--run`
    #[arg(short, long)]
    recipe: Option<String>,
    /// The run folder; by default models/X-Y. An unfinished run goes on
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Lay a value over a field of the recipe (may be repeated)
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    sets: Vec<String>,
    /// Decides every random choice; the same as `--set train.seed=N`
    #[arg(long)]
    seed: Option<u64>,
    /// `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "auto")]
    device: String,
    /// Domain names instead of the folders' own, as in `photo,anime`
    #[arg(long, value_delimiter = ',', value_name = "X,Y")]
    names: Option<Vec<String>>,
    /// Threads that read images; the result does not depend on it
    #[arg(long, default_value_t = default_threads(), value_parser = thread_count)]
    threads: usize,
    /// Megabytes of decoded images to keep in memory; what does not fit is read again each time, and damage in it found only
    /// then
    #[arg(long, default_value_t = 4096, value_name = "MB", value_parser = clap::value_parser!(u64).range(..=1 << 40))]
    cache: u64,
    /// Print the plan and the complete recipe, and stop
    #[arg(long)]
    dry_run: bool,
}

fn default_threads() -> usize {
    // A network wants the cores for itself; cropping cached images is cheap.
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, 8))
}

/// Runs the command.
pub fn run(args: Args) -> Result<u8, Failure> {
    let launch = launch(&|name| std::env::var(name).ok())?;
    let device = match &launch {
        Some(launch) => device::of_rank(&args.device, launch.local_rank)?,
        None => device::parse(&args.device)?,
    };
    let ranks = launch.map_or(Ok(Ranks::ALONE), |launch| Ranks::join(&launch.meeting, device))?;
    let is_first = ranks.is_first();
    let seed = args.seed.map(|seed| format!("train.seed={seed}"));
    let request = Request {
        folders: [Some(args.x), args.y].into_iter().flatten().collect(),
        recipe: args.recipe,
        sets: args.sets.into_iter().chain(seed).collect(),
        run: args.run,
        names: args.names,
        device,
        cache: args.cache << 20,
        threads: args.threads,
        ranks: ranks.share().ranks,
        dry_run: args.dry_run,
    };
    let reading = Counter::new("read", None);
    let count = || {
        if is_first {
            reading.add(1);
        }
    };
    let plan = orders::plan(&request, &ranks, &count);
    reading.finish();
    let plan = match plan {
        // So that a script can say `train` again and again.
        Err(finished @ PlanError::Finished { .. }) => {
            if is_first {
                tell(format_args!("nothing to do: {finished}"));
            }
            return Ok(0);
        }
        plan => plan?,
    };
    if !is_first {
        return if args.dry_run { Ok(0) } else { follow(plan, ranks) };
    }
    tell_plan(&plan, ranks.share().ranks)?;
    if args.dry_run {
        print(to_yaml(&plan.recipe)?.trim_end());
        return Ok(0);
    }
    let (root, next) = (plan.root.clone(), next_command(&plan));
    let signals = Signals::listen()?;
    let mut screen = Screen::new(&plan);
    let command = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let mut trainer = Trainer::open(plan, command.collect(), ranks)?;
    let outcome = trainer.run(&signals, &mut |event| screen.show(&event));
    screen.bar.finish_and_clear();
    let root = root.display();
    match outcome.map_err(Failure::midway)? {
        Outcome::Finished => {
            tell(format_args!("done: model `{root}/model.safetensors`, samples in `{root}/samples`"));
            tell(format_args!("next: {next}"));
            Ok(0)
        }
        Outcome::Interrupted(status) => {
            tell(format_args!(
                "stopped: everything is saved in `{root}`; the same command goes on from here"
            ));
            Ok(status)
        }
    }
}

/// Trains as a rank that is not the first: nothing is written, and of what is told only what this machine alone can see.
fn follow(plan: Plan, ranks: Ranks) -> Result<u8, Failure> {
    let (signals, rank) = (Signals::listen()?, ranks.share().rank);
    let mut trainer = Trainer::open(plan, Vec::new(), ranks)?;
    let outcome = trainer.run(&signals, &mut |event| {
        if let Event::Lost(lost) = event {
            tell(format_args!("warning: rank {rank} skipped {lost}"));
        }
    });
    match outcome.map_err(Failure::midway)? {
        Outcome::Finished => Ok(0),
        Outcome::Interrupted(status) => Ok(status),
    }
}

/// What to do with the model.
fn next_command(plan: &Plan) -> String {
    let root = plan.root.display();
    if plan.recipe.noise().is_none() {
        return format!("translate apply {root} FOLDER -o OUT");
    }
    let asks_for_text = plan.conditioned.values().any(|side| matches!(side.known, Known::Words(_)));
    let asked = if asks_for_text { " --text \"…\"" } else { "" };
    format!("translate sample {root} -o drawn.png --grid{asked}")
}

/// The plan, before the first step: data, networks, device, length.
fn tell_plan(plan: &Plan, ranks: u32) -> Result<(), Failure> {
    let recipe = &plan.recipe;
    for warning in warnings::lines(&plan.warnings) {
        tell(format_args!("warning: {warning}"));
    }
    for ((space, name), side) in plan.domains.iter().zip(&plan.sides.datasets) {
        let skipped = side.skipped().len();
        let folder = side.root().display();
        tell(format_args!(
            "{}         {name}: {} images, {} of them in memory, {skipped} skipped, from `{folder}`",
            space.name(),
            side.len(),
            side.kept()
        ));
    }
    for (space, side) in &plan.conditioned {
        let known = match &side.known {
            Known::Classes(names) => format!("{} classes", names.len()),
            Known::Words(vocabulary) => format!("captions of {} words", vocabulary.words().len()),
        };
        tell(format_args!("{}         {known}", space.name()));
    }
    if let Some(pairs) = &plan.sides.pairs {
        tell(format_args!("pairs     {}", pairs.len()));
    }
    let graph = guard("cpu", || Graph::build(recipe, &plan.conditions(), tch::Device::Cpu))?;
    let count =
        |net: &crate::nets::Network| format!("{:.2} M parameters", net.parameter_count() as f64 / 1e6);
    for (name, node) in &graph.generators {
        let from = plan.domains.get(&node.from).map_or("noise", String::as_str);
        let to = &plan.domains[&node.to];
        tell(format_args!("generator {name}: {from} to {to}, {}", count(&node.net)));
    }
    for (space, node) in &graph.discriminators {
        tell(format_args!("discriminator {}: {}, {}", space.name(), plan.domains[space], count(&node.net)));
    }
    let (train, steps) = (&recipe.train, recipe.steps());
    let epochs = train.images as f64 / plan.sides.epoch_length() as f64;
    tell(format_args!(
        "training  {} images in {steps} steps of {} ({epochs:.1} epochs) at {2}×{2} on {3}",
        train.images,
        train.batch,
        recipe.data.size,
        device::name(plan.device)
    ));
    if ranks > 1 {
        let each = train.batch / ranks as usize;
        tell(format_args!("ranks     {ranks}, of each batch {each} images each"));
    }
    tell(format_args!("run       `{}`", plan.root.display()));
    if let Some(checkpoint) = &plan.checkpoint {
        tell(format_args!("resuming  after {} of {} images", checkpoint.images, train.images));
    }
    Ok(())
}

/// What the user sees while training runs.
struct Screen {
    bar: ProgressBar,
    on_cpu: bool,
    terminal: bool,
    /// What to take where the recipe is too slow.
    smaller: String,
}

impl Screen {
    fn new(plan: &Plan) -> Self {
        let template = "{wide_bar} {pos}/{len} images, {msg}";
        let bar = bar(plan.recipe.train.images, template);
        let smaller = smaller_recipe(&plan.recipe);
        Self { terminal: !bar.is_hidden(), bar, on_cpu: plan.device == tch::Device::Cpu, smaller }
    }

    fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Begin { images, of } => {
                self.bar.set_length(*of);
                self.bar.set_position(*images);
            }
            Event::Step { images } => self.bar.set_position(*images),
            Event::Estimate { images_per_second, seconds_left } => {
                self.estimate(*images_per_second, *seconds_left);
            }
            Event::Tick(tick) => self.tick(tick),
            Event::Lost(lost) => {
                warn(&self.bar, format_args!("skipped {lost}"));
            }
            Event::Warning(text) => warn(&self.bar, text),
        }
    }

    fn estimate(&self, images_per_second: f64, seconds_left: f64) {
        let left = in_words(seconds_left);
        say(&self.bar, format_args!("measured  {images_per_second:.2} images/s: about {left} to go"));
        self.bar.set_message(format!("{images_per_second:.1}/s, {left} left"));
        if let Some(warning) = self.too_long(seconds_left) {
            warn(&self.bar, warning);
        }
    }

    /// What to say of a recipe that takes days.
    fn too_long(&self, seconds_left: f64) -> Option<String> {
        let left = in_words(seconds_left);
        (self.on_cpu && seconds_left > LONG_HOURS * 3600.0)
            .then(|| format!("this recipe takes {left} on this CPU\nhint: {}", self.smaller))
    }

    fn tick(&mut self, tick: &Tick) {
        let mean = |prefix: &str| {
            let terms: Vec<f64> = tick
                .losses
                .iter()
                .filter(|(name, _)| name.starts_with(prefix))
                .map(|(_, value)| *value)
                .collect();
            let mean = terms.iter().sum::<f64>() / terms.len() as f64;
            (!terms.is_empty()).then(|| format!("{} {mean:.3}", prefix.trim_end_matches('.')))
        };
        let terms = ["adversarial.", "cycle.", "identity.", "paired.", "discriminator.", "divergence."];
        let losses = terms.iter().filter_map(|prefix| mean(prefix)).collect::<Vec<_>>().join(", ");
        let of = self.bar.length().unwrap_or(0);
        let left = in_words(of.saturating_sub(tick.images) as f64 / tick.images_per_second);
        let message = format!("{:.1}/s, {left} left, {losses}", tick.images_per_second);
        if self.terminal {
            self.bar.set_message(message);
        } else {
            tell(format_args!("{}/{of} images, {message}", tick.images));
        }
    }
}

/// Of the shipped recipes for a CPU that want the same data, the one that is most like `recipe`, unless that is itself.
fn smaller_recipe(recipe: &Recipe) -> String {
    let fewer = "fewer `--set train.images=N`";
    let wants = |recipe: &Recipe| {
        let kinds = recipe.conditions.values().map(discriminant).collect::<Vec<_>>();
        (recipe.spaces(), recipe.data.paired, recipe.noise().is_some(), kinds)
    };
    let alike = |other: &Recipe| {
        let (a, b) = (recipe.loss.adversarial, other.loss.adversarial);
        let objective = u8::from(discriminant(&a) == discriminant(&b)) * 2
            + u8::from(a.is_wasserstein() == b.is_wasserstein());
        (encoders(recipe) == encoders(other), objective)
    };
    let shipped = FOR_CPUS.iter().rev().filter_map(|name| Some((name, resolve(name, &[]).ok()?)));
    let same_data = shipped.filter(|(_, other)| wants(other) == wants(recipe));
    // Of equals the last, which is the first of the list.
    match same_data.max_by_key(|(_, other)| alike(other)) {
        Some((name, other)) if other.generators != recipe.generators => {
            format!("`-r {name} --run DIR` is made for a CPU and wants the same data; or {fewer}")
        }
        _ => fewer.into(),
    }
}

/// The kinds of networks that read captions.
fn encoders(recipe: &Recipe) -> Vec<Discriminant<TextEncoder>> {
    let of = |condition: &Condition| match condition {
        Condition::Text { encoder, .. } => Some(discriminant(encoder)),
        Condition::Label { .. } => None,
    };
    recipe.conditions.values().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::PRESETS;

    fn named(name: &str) -> String {
        let text = smaller_recipe(&resolve(name, &[]).unwrap());
        text.trim_start_matches("`-r ").split(' ').next().unwrap().to_string()
    }

    #[test]
    fn the_smaller_recipe_is_of_the_same_kind() {
        for (name, smaller) in [
            ("cyclegan", "cyclegan-small"),
            ("cyclegan-wgan-gp", "cyclegan-wgan-gp-tiny"),
            ("pix2pix", "pix2pix-tiny"),
            ("gan", "gan-tiny"),
            ("dcgan", "dcgan-tiny"),
            ("sngan", "sngan-tiny"),
            ("wgan", "wgan-tiny"),
            ("wgan-gp", "wgan-gp-tiny"),
            ("cgan", "cgan-tiny"),
            ("text-gan", "text-gan-tiny"),
            ("text-gan-transformer", "text-gan-transformer-tiny"),
        ] {
            assert_eq!(named(name), smaller, "{name}");
        }
        // None is missing in the list.
        let tiny: Vec<&str> =
            PRESETS.iter().map(|preset| preset.name).filter(|name| name.ends_with("-tiny")).collect();
        assert_eq!(tiny.len(), FOR_CPUS.len() - 1);
        // None is sent to itself.
        let itself = |name: &str| smaller_recipe(&resolve(name, &["train.images=9000000".into()]).unwrap());
        assert!(FOR_CPUS.iter().all(|name| itself(name) == "fewer `--set train.images=N`"));
    }

    #[test]
    fn days_on_a_cpu_are_warned_of() {
        let smaller = smaller_recipe(&resolve("cyclegan", &[]).unwrap());
        let mut screen = Screen { bar: ProgressBar::hidden(), on_cpu: true, terminal: false, smaller };
        assert_eq!(screen.too_long(23.0 * 3600.0), None);
        let text = screen.too_long(72.0 * 3600.0).unwrap();
        assert!(
            text.starts_with("this recipe takes 3 days on this CPU\nhint: `-r cyclegan-small "),
            "{text}"
        );
        screen.on_cpu = false;
        assert_eq!(screen.too_long(72.0 * 3600.0), None);
    }
}
