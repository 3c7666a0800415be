//! `translate eval`: how good translations are, in numbers.

use std::path::{Path, PathBuf};

use clap::Parser;

use super::progress::{Counter, tell};
use super::{Failure, at_least_one, print};
use crate::atomic;
use crate::data::encode::{Format, encode};
use crate::device;
use crate::eval::pyramid::COARSEST;
use crate::eval::report::{Distances, Report, Request, Scores, evaluate};
use crate::model;
use crate::recipe::Arithmetic;

/// As of a recipe's `data.size`.
const MOST_PIXELS: u32 = 4096;

/// Measure translations: against the target folder and, where they are known, against the true answers
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate eval models/photos-anime test/photos test/anime
  translate eval models/photos-anime holdout/photos anime --pairs holdout/anime --picture side-by-side.png
  translate eval models/photos-anime holdout/anime photos --to photos --pairs holdout/photos --json

All images are compared at the size that the model was trained at (`--size` gives another). `l1` is the mean difference of
values from 0 to 1 and `swd` the sliced Wasserstein distance times 1000: less is better. `psnr` (dB) and `ssim` (up to 1):
more is better. All images are held in memory, as pixels and as patches: about 0.6 MB each at 256².")]
pub struct Args {
    /// A run folder or a model file
    model: PathBuf,
    /// The folder to translate
    source: PathBuf,
    /// A folder of the domain to translate to
    target: PathBuf,
    /// The domain to translate to; by default the second folder's of the training
    #[arg(long, value_name = "DOMAIN")]
    to: Option<String>,
    /// A folder with the true answers, under the same stems as the sources
    #[arg(long, value_name = "DIR")]
    pairs: Option<PathBuf>,
    /// Draw sources, translations and answers side by side into this PNG
    #[arg(long, value_name = "PNG")]
    picture: Option<PathBuf>,
    /// Draw the picture over one that exists
    #[arg(long)]
    overwrite: bool,
    /// Rows of the picture
    #[arg(long, default_value_t = 8, value_parser = at_least_one)]
    rows: usize,
    /// Compare at this size in pixels; by default the one trained at
    #[arg(long)]
    size: Option<u32>,
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "auto")]
    device: String,
    /// The numbers of the network's convolutions and matrix products
    #[arg(long, value_enum, default_value_t)]
    precision: Arithmetic,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let device = device::parse(&args.device)?;
    if let Some(picture) = &args.picture {
        check_picture(picture, args.overwrite)?;
    }
    let mut model = model::open(&args.model, device)?;
    model.prepare(args.to.as_deref(), args.precision, device)?;
    let translator = model.translator(args.to.as_deref(), device)?;
    let size = args.size.unwrap_or(model.recipe.data.size);
    let (stride, least) = (translator.stride(), translator.least_size().max(COARSEST as u32));
    if !size.is_multiple_of(stride) || !(least..=MOST_PIXELS).contains(&size) {
        Err(anyhow::anyhow!(
            "`--size {size}`: expected a multiple of {stride} from {least} to {MOST_PIXELS}"
        ))?;
    }
    let request = Request {
        translator: &translator,
        source: &args.source,
        target: &args.target,
        pairs: args.pairs.as_deref(),
        size,
        batch: 16,
        rows: if args.picture.is_some() { args.rows } else { 0 },
        device,
    };
    let counter = Counter::new("translated", None);
    let report = evaluate(&request, &|images| counter.add(images));
    counter.finish();
    let report = report?;
    for skipped in &report.skipped {
        tell(format_args!("warning: skipped {skipped}"));
    }
    print(if args.json { serde_json::to_string_pretty(&report)? } else { table(&report) });
    if let (Some(path), Some(picture)) = (&args.picture, &report.picture) {
        encode(picture, Format::Png, path).map_err(Failure::midway)?;
    }
    Ok(u8::from(!report.skipped.is_empty()))
}

/// Found out before the work rather than after it.
fn check_picture(picture: &Path, overwrite: bool) -> Result<(), Failure> {
    let name = picture.display();
    if Format::from_path(picture) != Some(Format::Png) {
        Err(anyhow::anyhow!("`--picture {name}`: expected a name that ends in `.png`"))?;
    }
    if picture.is_dir() {
        Err(anyhow::anyhow!(
            "`--picture {name}` is a folder; expected a file\nhint: `--picture {name}/NAME.png`"
        ))?;
    }
    if picture.exists() && !overwrite {
        Err(anyhow::anyhow!("`--picture {name}` exists\nhint: name another file, or add `--overwrite`"))?;
    }
    let cannot = |error| {
        anyhow::anyhow!("cannot write `--picture {name}`: {error}\nhint: name a file in a folder of yours")
    };
    Ok(atomic::try_writing(atomic::folder_of(picture)).map_err(cannot)?)
}

fn table(report: &Report) -> String {
    let mut lines = vec![format!(
        "{} images to {}, compared with {} at {size}×{size}",
        report.images,
        report.to,
        report.target_images,
        size = report.size
    )];
    if let Some(paired) = &report.paired {
        lines.push(format!("\nagainst {} true answers   translated  doing nothing    ratio", paired.images));
        let row = |name: &str, of: fn(&Scores) -> f64| {
            let (a, b) = (of(&paired.translated), of(&paired.untouched));
            format!("{name:<26} {a:>10.4} {b:>14.4} {:>7.1}%", 100.0 * a / b)
        };
        lines.extend([row("l1", |s| s.l1), row("psnr", |s| s.psnr), row("ssim", |s| s.ssim)]);
    }
    lines.push("\nswd to the target folder    translated  doing nothing    ratio".to_string());
    let row =
        |name: String, a: f64, b: f64| format!("{name:<26} {a:>10.2} {b:>14.2} {:>7.1}%", 100.0 * a / b);
    let Distances { levels, mean } = &report.translated_to_target;
    let before = &report.source_to_target;
    for ((height, a), (_, b)) in levels.iter().zip(&before.levels) {
        lines.push(row(format!("{height} pixels"), *a, *b));
    }
    lines.push(row("mean".into(), *mean, before.mean));
    lines.join("\n")
}
