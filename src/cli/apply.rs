//! `translate apply`: translates files and folders.

use std::path::PathBuf;

use clap::Parser;

use super::progress::{Counter, tell, warn};
use super::{Failure, at_least_one, print, thread_count};
use crate::apply::batch::Batch;
use crate::apply::pipeline::{self, PipelineOptions, Progress};
use crate::apply::plan::{Plan, PlanOptions};
use crate::apply::shard::{Shard, undivided};
use crate::data::encode::Format;
use crate::device;
use crate::model;
use crate::recipe::Arithmetic;
use crate::share::Share;
use crate::train::signals::Signals;

/// Translate images: files, or whole folders with their trees
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate apply models/photos-anime photos -o drawn
  translate apply anime.safetensors a.jpg b.png -o out --format png
  translate apply models/photos-anime drawings -o back --to photos
  translate apply models/photos-anime photos -o drawn --shard 0/4    # one of four processes that share the work")]
pub struct Args {
    /// A run folder or a model file
    model: PathBuf,
    /// Images and folders of images
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// The folder to write into
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// The domain to translate to; by default the second folder's of the training
    #[arg(long, value_name = "DOMAIN")]
    to: Option<String>,
    /// Format of the outputs: `keep`, `png`, `jpg`, `webp`, `bmp`, `gif` or `tiff`
    #[arg(long, default_value = "keep")]
    format: String,
    /// Make outputs again that exist
    #[arg(long)]
    overwrite: bool,
    /// Images of equal size that go through the network together
    #[arg(long, default_value_t = 8, value_parser = at_least_one)]
    batch: usize,
    /// The part of the inputs to translate, where several processes share them: `K/N`, K from 0; `auto`, by the variables of
    /// torchrun, srun or a Slurm array; or `auto/N` for a pod of a Kubernetes indexed Job of N `completions`
    #[arg(long, value_name = "PART")]
    shard: Option<Shard>,
    /// Threads that read, and as many that write
    #[arg(long, default_value_t = 2, value_parser = thread_count)]
    threads: usize,
    /// `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "auto")]
    device: String,
    /// The numbers of the network's convolutions and matrix products
    #[arg(long, value_enum, default_value_t)]
    precision: Arithmetic,
}

fn parse_format(format: &str) -> Result<Option<Format>, Failure> {
    if format == "keep" {
        return Ok(None);
    }
    let unknown = || {
        anyhow::anyhow!("no format `{format}`; expected `keep`, `png`, `jpg`, `webp`, `bmp`, `gif` or `tiff`")
    };
    Ok(Some(Format::from_extension(format).ok_or_else(unknown)?))
}

/// Runs the command.
pub fn run(args: Args) -> Result<u8, Failure> {
    let format = parse_format(&args.format)?;
    let variable = |name: &str| std::env::var(name).ok();
    let part = args.shard.map(|shard| shard.part(&variable)).transpose()?;
    let device = match part {
        Some(part) => device::of_rank(&args.device, part.local_rank)?,
        None => device::parse(&args.device)?,
    };
    let share = part.map_or(Share::WHOLE, |part| part.share);
    let mut model = model::open(&args.model, device)?;
    model.prepare(args.to.as_deref(), args.precision, device)?;
    let translator = model.translator(args.to.as_deref(), device)?;
    let (inputs, output, overwrite) = (args.inputs, args.output, args.overwrite);
    let options = PlanOptions { inputs, output, format, overwrite, share };
    let plan = Plan::new(&options)?;
    let signals = Signals::listen()?;

    let (count, domain, device) = (plan.items.len(), translator.domain(), device::name(device));
    let of = part.map_or_else(String::new, |_| format!(", shard {}/{}", share.rank, share.ranks));
    tell(format_args!("translating {count} images to {domain} on {device}{of}"));
    if let Some(undivided) = undivided(&variable).filter(|_| part.is_none()) {
        tell(format_args!("warning: {undivided}"));
    }
    for left_out in &plan.warnings {
        tell(format_args!("warning: left out {left_out}"));
    }
    let counter = Counter::new("translated", Some(count));
    let options = PipelineOptions {
        batch: args.batch,
        multiple: translator.stride(),
        minimum: translator.least_size(),
        threads: args.threads,
    };
    let mut progress = |event: Progress<'_>| {
        counter.add(1);
        if let Progress::Failed(failed) = event {
            warn(counter.bar(), format_args!("skipped {failed}"));
        }
    };
    let mut network = |batch: &Batch| translator.translate(batch).map_err(|error| error.to_string());
    let summary = pipeline::run(&plan, &options, signals.flag(), &mut network, &mut progress);
    counter.finish();
    let (done, existed, failed) = (summary.done, summary.existed, summary.failed.len());
    let left = if existed > 0 { ", left as they were (`--overwrite` makes them again)" } else { "" };
    print(format!("{done} translated, {failed} failed, {existed} existed{left}"));
    match signals.exit_status().filter(|_| summary.interrupted) {
        Some(status) => Ok(status),
        None => Ok(u8::from(failed > 0 || !plan.warnings.is_empty())),
    }
}
