//! `translate bench`: how fast training and translating are on this machine.

use std::io::BufRead as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use tch::Device;

use super::progress::tell;
use super::{Failure, at_least_one, print, thread_count};
use crate::bench::apply::{self, Files, Options};
use crate::bench::train::{self, Training};
use crate::bench::{Repeats, Setting, Spread, Work, milliseconds, peak_memory};
use crate::device;
use crate::model::{self, Model};
use crate::recipe::{Arithmetic, Recipe, resolve_fully};

/// Measure how fast training and translating are here, on images that the program makes itself
#[derive(Debug, Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Train(TrainArgs),
    Apply(ApplyArgs),
}

/// Training steps: images a second, milliseconds of each part, memory, and the share of what the device can do
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate bench train -r cyclegan-small
  translate bench train -r cyclegan --set train.batch=8 --device cuda --json

Products (multiply-adds) are those of convolutions and matrix products, forward and backward, as libtorch is asked for them;
one is two operations. The peak is that of one large matrix product: in float32 on a CPU; on a GPU also in bfloat16 and in TF32,
and the share is of that in the numbers that the networks compute with. On a GPU the parts are of other steps, which wait for it
after each part and are not replayed as a CUDA graph.")]
struct TrainArgs {
    #[command(flatten)]
    common: Common,
    /// Steps to measure
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = count)]
    steps: u64,
    /// Steps before, which are not measured
    #[arg(long, default_value_t = 3, value_name = "N")]
    warm_up: u64,
}

/// Translating images: by the network alone, and from files to files
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate bench apply -r cyclegan --size 512
  translate bench apply models/photos-anime --batch 1 --json

The network alone takes bytes and gives bytes. The files are PNG, drawn before into a temporary folder; `decode` and `encode` are
one file after another, which the whole does at the same time as the network. Products, peak and share are those of the
network alone, see `translate bench train --help`; they are counted of the network as it is trained, and a finished one may
need fewer.")]
struct ApplyArgs {
    /// A run folder or a model file; without one, a fresh network of the recipe
    #[arg(conflicts_with_all = ["recipe", "sets"])]
    model: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
    /// Side of the images in pixels; by default that of the training
    #[arg(long, value_name = "PIXELS")]
    size: Option<u32>,
    /// Images that go through the network together
    #[arg(long, default_value_t = 8, value_parser = at_least_one)]
    batch: usize,
    /// Batches to measure
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = count)]
    steps: u64,
    /// Batches before, which are not measured
    #[arg(long, default_value_t = 1, value_name = "N")]
    warm_up: u64,
    /// Threads that read, and as many that write
    #[arg(long, default_value_t = 2, value_parser = thread_count)]
    threads: usize,
    /// Decides which images are drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The numbers of the network's convolutions and matrix products
    #[arg(long, value_enum, default_value_t)]
    precision: Arithmetic,
}

#[derive(Debug, Parser)]
struct Common {
    /// A recipe, as `translate train -r` takes it
    #[arg(short, long, default_value = "demo")]
    recipe: String,
    /// Lay a value over a field of the recipe (may be repeated)
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    sets: Vec<String>,
    /// `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "auto")]
    device: String,
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Do one step for each line on stdin and say how long it took, so that another program can take turns
    #[arg(long, hide = true, conflicts_with = "json")]
    serve: bool,
}

impl Common {
    fn recipe(&self) -> Result<Recipe, Failure> {
        let resolved = resolve_fully(&self.recipe, &self.sets)?;
        resolved.warnings.iter().for_each(|warning| tell(format_args!("warning: {warning}")));
        Ok(resolved.recipe)
    }
}

/// Reads how often something is done.
fn count(text: &str) -> Result<u64, String> {
    const MOST: u64 = 1_000_000;
    let count = text.parse().ok().filter(|count| (1..=MOST).contains(count));
    count.ok_or_else(|| format!("expected 1 to {MOST}"))
}

/// Runs the command.
pub fn run(args: &Args) -> Result<u8, Failure> {
    match &args.what {
        What::Train(args) => bench_train(args),
        What::Apply(args) => bench_apply(args),
    }
}

fn bench_train(args: &TrainArgs) -> Result<u8, Failure> {
    let recipe = args.common.recipe()?;
    let device = device::parse(&args.common.device)?;
    if args.common.serve {
        let mut training = Training::new(&recipe, device)?;
        training.warm_up(args.warm_up)?;
        return serve(&json!({ "recipe": recipe }), device, &mut |_| Ok(training.step()?));
    }
    tell(format_args!(
        "timing {} and {} training steps of `{}` on {}",
        args.warm_up,
        args.steps,
        args.common.recipe,
        device::name(device)
    ));
    let repeats = Repeats { steps: args.steps, warm_up: args.warm_up };
    let report = train::measure(&args.common.recipe, &recipe, device, repeats)?;
    print(if args.common.json { serde_json::to_string_pretty(&report)? } else { train_table(&report) });
    Ok(0)
}

fn bench_apply(args: &ApplyArgs) -> Result<u8, Failure> {
    let device = device::parse(&args.common.device)?;
    let (name, mut model) = match &args.model {
        Some(path) => (path.display().to_string(), model::open(path, device)?),
        None => (args.common.recipe.clone(), apply::fresh(&args.common.recipe()?, device)?),
    };
    let size = args.size.unwrap_or(model.recipe.data.size);
    // As `translate apply` does.
    model.prepare(None, args.precision, device)?;
    apply::check_size(&model.translator(None, device)?, size).map_err(|wrong| anyhow!(wrong))?;
    let options = Options {
        size,
        batch: args.batch,
        threads: args.threads,
        repeats: Repeats { steps: args.steps, warm_up: args.warm_up },
        seed: args.seed,
        precision: args.precision,
    };
    if args.common.serve {
        return serve_apply(&model, device, &options);
    }
    let images = args.steps * args.batch as u64;
    tell(format_args!(
        "timing {images} translations by `{name}` at {size}×{size} on {}",
        device::name(device)
    ));
    let report = apply::measure(&name, &model, device, &options)?;
    print(if args.common.json { serde_json::to_string_pretty(&report)? } else { apply_table(&report) });
    Ok(0)
}

/// Serves turns of translating the same files: `network` is the network alone, `files` from files to files.
fn serve_apply(model: &Model, device: Device, options: &Options) -> Result<u8, Failure> {
    let translator = model.translator(None, device)?;
    let steps = options.repeats.steps;
    let files = Files::draw(steps * options.batch as u64, options.size, options.seed)?;
    let batches = files.batches(options)?;
    apply::network(&translator, &batches, options.repeats.warm_up)?;
    let hello =
        json!({ "recipe": model.recipe, "generator": model.generator_to(None)?.0, "files": files.input() });
    serve(&hello, device, &mut |turn| match turn {
        "network" => Ok(apply::network(&translator, &batches, steps)?.iter().sum()),
        _ => Ok(files.translate(&translator, options)?),
    })
}

/// Says `hello` and takes turns: for each line on stdin, one on stdout with the milliseconds and the most memory so far.
fn serve(
    hello: &Value,
    device: Device,
    turn: &mut dyn FnMut(&str) -> Result<Duration, Failure>,
) -> Result<u8, Failure> {
    print(hello);
    for line in std::io::stdin().lock().lines() {
        let time = turn(line?.trim())?;
        print(json!({ "ms": milliseconds(time), "peak_memory_bytes": peak_memory(device)? }));
    }
    Ok(0)
}

fn train_table(report: &train::Report) -> String {
    let Setting { size, batch, repeats: Repeats { steps, warm_up }, .. } = report.setting;
    let mut lines = vec![
        head(&report.setting),
        format!("{steps} steps of {batch} images of each space at {size}×{size}, after {warm_up} to warm up"),
        format!("\n{:<16} {:>9.2} images/s", "training", report.images_per_second),
        spread("step", &report.step_ms),
    ];
    lines.extend(report.parts_ms.iter().map(|(part, ms)| format!("  {part:<14} {ms:>9.2} ms on average")));
    lines.push(memory(report.peak_memory_bytes));
    lines.push(products("a step", report.products_per_step, &report.work));
    lines.join("\n")
}

fn apply_table(report: &apply::Report) -> String {
    let Setting { size, batch, repeats: Repeats { steps, warm_up }, .. } = report.setting;
    let rate = |what: &str, rate: &apply::Rate| {
        format!("{what:<16} {:>9.2} images/s {:>9.2} ms an image", rate.images_per_second, rate.image_ms)
    };
    let mut lines = vec![
        head(&report.setting),
        format!("{steps} × {batch} images at {size}×{size}, after {warm_up} batches to warm up\n"),
        rate("network alone", &report.network),
        rate("files to files", &report.files),
        spread("batch", &report.batch_ms),
    ];
    let part = |(part, ms): (&&str, &f64)| format!("  {part:<14} {ms:>9.2} ms an image, alone");
    lines.extend(report.parts_ms.iter().map(part));
    lines.push(memory(report.peak_memory_bytes));
    lines.push(products("an image", report.products_per_image, &report.work));
    lines.join("\n")
}

fn head(setting: &Setting) -> String {
    let Setting { program, libtorch, recipe, device, hardware, threads, .. } = setting;
    format!("{program}, libtorch {libtorch}, `{recipe}` on {device}: {hardware}, {threads} CPU threads")
}

fn spread(what: &str, times: &Spread) -> String {
    let Spread { lower_quartile, median, upper_quartile, .. } = times;
    format!("{what:<16} {median:>9.2} ms, half of them {lower_quartile:.2} to {upper_quartile:.2}")
}

fn memory(bytes: u64) -> String {
    format!("{:<16} {:>9.0} MB at most", "memory", bytes as f64 / 1e6)
}

fn products(by: &str, count: f64, work: &Work) -> String {
    let Work { tflops, peak_tflops: peak, share_of_peak } = work;
    let other = |name: &str, value: Option<f64>| {
        value.map_or_else(String::new, |value| format!(", {value:.2} in {name}"))
    };
    let peaks =
        format!("{:.3} in float32{}{}", peak.f32, other("TF32", peak.tf32), other("bfloat16", peak.bf16));
    format!(
        "{:<16} {:>9.3} billion products {by}\n{:<16} {tflops:>9.3} TFLOP/s, {:.1}% of the peak: {peaks}",
        "work",
        count / 1e9,
        "",
        100.0 * share_of_peak
    )
}
