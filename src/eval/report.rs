//! What `translate eval` measures: translations of a folder against the domain they should look like and, where there
//! are true answers, against those; and the same for the untouched sources, which is what doing nothing would give.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::Serialize;
use tch::{Device, Tensor};

use super::swd::{Collector, Sampler, Set, Swd, distance};
use super::{MetricError, PairScores};
use crate::apply::batch::Batch;
use crate::data::convert::from_bytes;
use crate::data::decode::decode;
use crate::data::grid::grid;
use crate::data::resize::{ResizeError, resize};
use crate::data::scan::{ScanError, Skipped, scan};
use crate::device;
use crate::model::Translator;
use crate::torch::{TorchError, guard};

/// Seed of the sliced Wasserstein distance's patches and directions: fixed, so that two reports can be compared.
const SEED: u64 = 0;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A folder's.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A metric's.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// libtorch's.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// An image's.
    #[error("cannot resize `{path}`: {source}")]
    Resize {
        /// The image.
        path: PathBuf,
        /// Why.
        source: ResizeError,
    },
    /// Not one image of a folder can be read.
    #[error("no image in `{0}` can be read\nhint: `translate apply` names what is wrong with each")]
    Unreadable(PathBuf),
    /// No source has an answer.
    #[error(
        "no image of `{source_folder}` has an answer of the same name in `{answers}`\nhint: stems must be equal, as in \
         `a/1.jpg` and `b/1.png`"
    )]
    NoPairs {
        /// The folder of sources.
        source_folder: PathBuf,
        /// The folder of answers.
        answers: PathBuf,
    },
}

/// What to measure.
#[derive(Debug)]
pub struct Request<'a> {
    /// The way that is judged.
    pub translator: &'a Translator<'a>,
    /// Images to translate.
    pub source: &'a Path,
    /// Images of the domain that translations should look like.
    pub target: &'a Path,
    /// True answers by stem, where there are any.
    pub pairs: Option<&'a Path>,
    /// Side in pixels at which all is compared.
    pub size: u32,
    /// Images a batch.
    pub batch: usize,
    /// Rows of the picture, 0 for none.
    pub rows: usize,
    /// Where the metrics are computed.
    pub device: Device,
}

/// Mean scores against the true answers.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Scores {
    /// Mean absolute difference of values in [0, 1]; 0 is best.
    pub l1: f64,
    /// Peak signal-to-noise ratio in dB; more is better. Infinite, which JSON writes as `null`, where an image is equal to
    /// its answer.
    pub psnr: f64,
    /// Structural similarity, up to 1; more is better.
    pub ssim: f64,
}

impl From<PairScores> for Scores {
    fn from(scores: PairScores) -> Self {
        Self { l1: scores.l1(), psnr: scores.psnr(), ssim: scores.ssim() }
    }
}

/// Scores against true answers, beside what doing nothing gives.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Paired {
    /// Images that had an answer.
    pub images: i64,
    /// The translations'.
    pub translated: Scores,
    /// The untouched sources'.
    pub untouched: Scores,
}

/// The sliced Wasserstein distance, times 1000: one value a pyramid level, by its height, and their mean.
#[derive(Debug, Clone, Serialize)]
pub struct Distances {
    /// By level.
    pub levels: Vec<(i64, f64)>,
    /// Mean of the levels.
    pub mean: f64,
}

impl From<Swd> for Distances {
    fn from(swd: Swd) -> Self {
        Self {
            mean: swd.mean(),
            levels: swd.levels.iter().map(|level| (level.height, level.distance)).collect(),
        }
    }
}

/// All that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The domain translated to.
    pub to: String,
    /// Sources translated.
    pub images: usize,
    /// Images of the target folder.
    pub target_images: usize,
    /// Side in pixels at which all was compared.
    pub size: u32,
    /// Against the true answers, where there are any.
    pub paired: Option<Paired>,
    /// Sliced Wasserstein distance of the translations to the target folder.
    pub translated_to_target: Distances,
    /// The same of the untouched sources.
    pub source_to_target: Distances,
    /// Files and folders that could not be read.
    #[serde(skip)]
    pub skipped: Vec<Skipped>,
    /// Sources, translations and answers side by side.
    #[serde(skip)]
    pub picture: Option<RgbImage>,
}

/// Measures; `done` is called with the number of images after each batch.
///
/// # Errors
/// See [`EvalError`].
pub fn evaluate(request: &Request<'_>, done: &dyn Fn(u64)) -> Result<Report, EvalError> {
    let mut skipped = Vec::new();
    let sources = read_folder(request.source, request.size, &mut skipped)?;
    let targets = read_folder(request.target, request.size, &mut skipped)?;
    let answers = match request.pairs {
        Some(folder) => read_folder(folder, request.size, &mut skipped)?,
        None => Vec::new(),
    };
    let answers: HashMap<&str, &RgbImage> =
        answers.iter().map(|(stem, image)| (stem.as_str(), image)).collect();
    if let Some(folder) = request.pairs
        && !sources.iter().any(|(stem, _)| answers.contains_key(stem.as_str()))
    {
        return Err(EvalError::NoPairs { source_folder: request.source.into(), answers: folder.into() });
    }
    let translated = translate(request, &sources, done)?;
    let measured = guard(&device::name(request.device), || {
        measure(request, &sources, &translated, &targets, &answers)
    })??;
    let [translated_to_target, source_to_target] = measured.distances;
    Ok(Report {
        to: request.translator.domain().to_string(),
        images: sources.len(),
        target_images: targets.len(),
        size: request.size,
        paired: measured.paired,
        translated_to_target,
        source_to_target,
        skipped,
        picture: (request.rows > 0).then(|| draw(request.rows, &sources, &translated, &answers)),
    })
}

/// All readable images of a folder by stem (with the folders above it), at `size`².
fn read_folder(
    folder: &Path,
    size: u32,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<(String, RgbImage)>, EvalError> {
    let mut images = Vec::new();
    let found = scan(folder)?;
    skipped.extend(found.warnings);
    for file in found.files {
        let path = folder.join(&file);
        match decode(&path) {
            Ok(image) => {
                let image =
                    resize(&image, size, size).map_err(|source| EvalError::Resize { path, source })?;
                images.push((file.with_extension("").to_string_lossy().into_owned(), image));
            }
            Err(error) => skipped.push(Skipped { path, reason: error.problem.to_string() }),
        }
    }
    if images.is_empty() { Err(EvalError::Unreadable(folder.into())) } else { Ok(images) }
}

fn translate(
    request: &Request<'_>,
    sources: &[(String, RgbImage)],
    done: &dyn Fn(u64),
) -> Result<Vec<RgbImage>, EvalError> {
    let mut translated = Vec::with_capacity(sources.len());
    let size = request.size;
    for chunk in sources.chunks(request.batch.max(1)) {
        let pixels = chunk.iter().flat_map(|(_, image)| image.as_raw().iter().copied()).collect();
        let batch =
            request.translator.translate(&Batch { count: chunk.len(), height: size, width: size, pixels })?;
        let one = (size * size * 3) as usize;
        translated
            .extend(batch.pixels.chunks(one).filter_map(|one| RgbImage::from_raw(size, size, one.to_vec())));
        done(chunk.len() as u64);
    }
    Ok(translated)
}

struct Measured {
    paired: Option<Paired>,
    distances: [Distances; 2],
}

fn measure(
    request: &Request<'_>,
    sources: &[(String, RgbImage)],
    translated: &[RgbImage],
    targets: &[(String, RgbImage)],
    answers: &HashMap<&str, &RgbImage>,
) -> Result<Measured, MetricError> {
    let tensor = |image: &RgbImage| unit(image, request.device);
    let (mut of_translated, mut of_untouched) = (PairScores::default(), PairScores::default());
    for ((stem, source), translation) in sources.iter().zip(translated) {
        if let Some(answer) = answers.get(stem.as_str()) {
            of_translated.add(&tensor(translation), &tensor(answer))?;
            of_untouched.add(&tensor(source), &tensor(answer))?;
        }
    }
    let paired = (of_translated.images() > 0).then(|| Paired {
        images: of_translated.images(),
        translated: of_translated.into(),
        untouched: of_untouched.into(),
    });
    let sampler = Sampler::new(SEED);
    let collect = |images: &mut dyn Iterator<Item = &RgbImage>, set| {
        let mut collector = Collector::default();
        for image in images {
            collector.add(&tensor(image), &sampler, set)?;
        }
        collector.finish()
    };
    let target = collect(&mut targets.iter().map(|(_, image)| image), Set::Second)?;
    let first = collect(&mut translated.iter(), Set::First)?;
    let source = collect(&mut sources.iter().map(|(_, image)| image), Set::First)?;
    let directions = sampler.directions(first.levels());
    let distances =
        [distance(&first, &target, &directions)?.into(), distance(&source, &target, &directions)?.into()];
    Ok(Measured { paired, distances })
}

/// `[1, 3, height, width]`, values in [0, 1].
fn unit(image: &RgbImage, device: Device) -> Tensor {
    (from_bytes(image.as_raw(), 1, image.height(), image.width(), device) + 1.0) * 0.5
}

/// A row for each of the first sources: source, translation and, where there is one, the answer.
fn draw(
    rows: usize,
    sources: &[(String, RgbImage)],
    translated: &[RgbImage],
    answers: &HashMap<&str, &RgbImage>,
) -> RgbImage {
    let blank = || RgbImage::from_pixel(1, 1, image::Rgb([255; 3]));
    let mut columns = vec![Vec::new(), Vec::new()];
    if !answers.is_empty() {
        columns.push(Vec::new());
    }
    for ((stem, source), translation) in sources.iter().zip(translated).take(rows) {
        columns[0].push(source.clone());
        columns[1].push(translation.clone());
        if let Some(column) = columns.get_mut(2) {
            column.push(answers.get(stem.as_str()).map_or_else(blank, |answer| (*answer).clone()));
        }
    }
    grid(&columns, &[0])
}
