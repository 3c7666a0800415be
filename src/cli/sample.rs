//! `translate sample`: draws new pictures from noise.

use std::path::{Path, PathBuf};

use clap::Parser;
use image::RgbImage;
use tch::Tensor;

use super::progress::tell;
use super::{Failure, at_least_one, print};
use crate::atomic;
use crate::data::encode::{Format, encode};
use crate::data::grid::grid;
use crate::device;
use crate::model::{self, Asked, Sampler};
use crate::recipe::Arithmetic;

/// Draw new pictures with a model that was trained from noise
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  translate sample models/anime -o drawn -n 100
  translate sample models/anime -o drawn.png --grid --seed 7
  translate sample models/digits -o threes -n 100 --label 3
  translate sample models/faces -o red.png --grid --text 'red eyes, black hair'
  translate sample models/faces -o both.png --grid -n 8 --text 'red eyes' --text 'blue eyes'
  translate sample models/anime -o ways.png --grid --interpolate 8")]
pub struct Args {
    /// A run folder or a model file
    model: PathBuf,
    /// The folder to write into; with `--grid` the picture's file
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Pictures of each thing asked for, or ways with `--interpolate`; by default 64, or 8 where there are several things
    /// or ways
    #[arg(short = 'n', long, value_name = "N", value_parser = at_least_one)]
    count: Option<usize>,
    /// The class to draw, as often as wanted; by default every class
    #[arg(long = "label", value_name = "NAME", conflicts_with = "texts")]
    labels: Vec<String>,
    /// What to draw, in words that the captions of the training had, as often as wanted
    #[arg(long = "text", value_name = "WORDS")]
    texts: Vec<String>,
    /// The same seed gives the same pictures
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One picture of all of them, in rows
    #[arg(long)]
    grid: bool,
    /// Keep the noise within ±T: likelier pictures that differ less
    #[arg(long, value_name = "T", value_parser = truncation)]
    truncate: Option<f64>,
    /// Draw ways of N pictures, each from one random picture to another
    #[arg(long, value_name = "N", value_parser = way_length)]
    interpolate: Option<usize>,
    /// Write over files that exist
    #[arg(long)]
    overwrite: bool,
    /// `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "auto")]
    device: String,
    /// The numbers of the network's convolutions and matrix products
    #[arg(long, value_enum, default_value_t)]
    precision: Arithmetic,
}

/// Pictures of one call, whose noise is in the memory.
const MOST: usize = 1_000_000;
/// Pictures of one grid: at 256 pixels a side it takes 0.8 GB.
const MOST_IN_GRID: usize = 4096;

fn truncation(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (0.05..=10.0).contains(value));
    value.ok_or_else(|| "expected a number from 0.05 to 10".to_string())
}

fn way_length(text: &str) -> Result<usize, String> {
    let value = text.parse().ok().filter(|value| (2..=1000).contains(value));
    value.ok_or_else(|| "expected a number from 2 to 1000".to_string())
}

/// Runs the command.
pub fn run(args: &Args) -> Result<u8, Failure> {
    let format = grid_format(args)?;
    let device = device::parse(&args.device)?;
    let mut model = model::open(&args.model, device)?;
    model.prepare_sampler(args.precision, device)?;
    let sampler = model.sampler(device)?;
    let asked = match (&args.labels[..], &args.texts[..]) {
        ([], []) => Asked::Nothing,
        ([], texts) => Asked::Texts(texts),
        (labels, _) => Asked::Labels(labels),
    };
    let things = sampler.understand(&asked)?;
    let (noise, columns) = noise(args, &sampler, things.len())?;
    let count = noise.size()[0] as usize;
    let files = match format {
        Some(_) => vec![args.output.clone()],
        None => (0..count).map(|i| args.output.join(format!("{i:05}.png"))).collect(),
    };
    if let Some(there) = files.iter().find(|file| file.exists() && !args.overwrite) {
        let hint = "hint: name another `-o`, or `--overwrite` it";
        return Err(anyhow::anyhow!("`{}` exists\n{hint}", there.display()).into());
    }
    make_place(&args.output, format)?;
    tell(format_args!("drawing {count} pictures of {} on {}", sampler.domain(), device::name(device)));
    let batches = sampler.draw(&noise, &things);
    if let Some(format) = format {
        let pictures = batches.collect::<Result<Vec<_>, _>>()?.concat();
        write(&rows(&pictures, columns), format, &args.output)?;
    } else {
        let mut files = files.iter();
        for pictures in batches {
            for (picture, file) in pictures.map_err(Failure::midway)?.iter().zip(&mut files) {
                write(picture, Format::Png, file)?;
            }
        }
    }
    print(format!("{count} drawn into `{}`", args.output.display()));
    Ok(0)
}

/// Noise for all pictures, those of one thing after those of another, and how many of them make a row.
fn noise(args: &Args, sampler: &Sampler<'_>, things: usize) -> Result<(Tensor, usize), Failure> {
    let few = things > 1 || args.interpolate.is_some();
    let each = args.count.unwrap_or(if few { 8 } else { 64 });
    let length = args.interpolate.unwrap_or(1);
    let total = things.saturating_mul(each).saturating_mul(length);
    let most = if args.grid { MOST_IN_GRID } else { MOST };
    if total > most {
        let text = format!("{total} pictures are too many; expected at most {most} in all");
        return Err(anyhow::anyhow!("{text}\nhint: a smaller `-n`").into());
    }
    let (seed, truncate) = (args.seed, args.truncate);
    Ok(match args.interpolate {
        Some(steps) => (sampler.ways(seed, things * each, steps, truncate), steps),
        None if things > 1 => (sampler.noise(seed, total, truncate), each),
        None => (sampler.noise(seed, total, truncate), (total as f64).sqrt().ceil() as usize),
    })
}

/// Makes the folder that is written into, and finds out before the work whether it can be.
fn make_place(output: &Path, format: Option<Format>) -> Result<(), Failure> {
    let hint = "hint: name a place of yours with `-o`";
    if format.is_some() && output.is_dir() {
        let text = "is a folder; with `--grid` expected a file";
        Err(anyhow::anyhow!("`{}` {text}\n{hint}", output.display()))?;
    }
    let folder = if format.is_some() { atomic::folder_of(output) } else { output };
    let made = std::fs::create_dir_all(folder).and_then(|()| atomic::try_writing(folder));
    let cannot = |error| anyhow::anyhow!("cannot write into `{}`: {error}\n{hint}", folder.display());
    Ok(made.map_err(cannot)?)
}

/// The format of the one picture, by its name; none where each has a file of its own.
fn grid_format(args: &Args) -> Result<Option<Format>, Failure> {
    let output = &args.output;
    let extension = output.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let format = Format::from_extension(extension);
    match (args.grid, format) {
        (false, None) => Ok(None),
        (true, Some(format)) => Ok(Some(format)),
        (true, None) => {
            let text =
                "`--grid` writes one picture; expected a name that ends in `.png` or another image format";
            Err(anyhow::anyhow!("`-o {}`: {text}", output.display()).into())
        }
        (false, Some(_)) => {
            let text =
                "many pictures go into a folder; expected a folder's name, or `--grid` for one picture";
            Err(anyhow::anyhow!("`-o {}`: {text}", output.display()).into())
        }
    }
}

/// The pictures row by row.
fn rows(pictures: &[RgbImage], columns: usize) -> RgbImage {
    let column = |i: usize| pictures.iter().skip(i).step_by(columns).cloned().collect();
    grid(&(0..columns).map(column).collect::<Vec<_>>(), &[])
}

fn write(picture: &RgbImage, format: Format, file: &Path) -> Result<(), Failure> {
    encode(picture, format, file).map_err(Failure::midway)
}
