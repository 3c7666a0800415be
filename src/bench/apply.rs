//! Translating images: the network alone, and the whole way of `translate apply` from files to files.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use serde::Serialize;
use tch::{Device, Kind, Tensor};
use tempfile::TempDir;

use super::{BenchError, Repeats, Setting, Spread, Work, failed, milliseconds, peak_memory};
use crate::apply::batch::Batch;
use crate::apply::pipeline::{self, PipelineOptions};
use crate::apply::plan::{Item, Plan};
use crate::data::condition::Conditions;
use crate::data::decode::decode;
use crate::data::encode::{Format, encode};
use crate::data::portraits::{MAX_SIZE, MIN_SIZE, Person, Style, draw};
use crate::device;
use crate::model::{self, About, Model, ModelError, Notes, Training, Translator};
use crate::nets::Graph;
use crate::recipe::{Arithmetic, Recipe, Space};
use crate::torch::{TorchError, count_products, guard};

/// Different images; the other files repeat them.
const DRAWN: u64 = 16;

/// How images are translated.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Side of the images in pixels.
    pub size: u32,
    /// Images that go through the network together.
    pub batch: usize,
    /// Threads that read, and as many that write.
    pub threads: usize,
    /// How many batches.
    pub repeats: Repeats,
    /// Which images.
    pub seed: u64,
    /// The numbers that the network was prepared to compute with.
    pub precision: Arithmetic,
}

/// A temporary folder of PNG files to translate, and their translations.
#[derive(Debug)]
pub struct Files {
    folder: TempDir,
    plan: Plan,
}

/// What was measured of translating.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// On what.
    #[serde(flatten)]
    pub setting: Setting,
    /// The network alone, from bytes to bytes.
    pub network: Rate,
    /// All of `translate apply`: files read, translated and written, at the same time.
    pub files: Rate,
    /// Milliseconds of a batch in the network alone.
    pub batch_ms: Spread,
    /// Milliseconds an image of each part done alone, one image or batch after another.
    pub parts_ms: IndexMap<&'static str, f64>,
    /// The most memory that was taken, see [`peak_memory`].
    pub peak_memory_bytes: u64,
    /// Products for an image, see [`count_products`], of the network as it is trained: a finished one may find a way
    /// with fewer.
    pub products_per_image: f64,
    /// What that makes of the device, by the network alone.
    #[serde(flatten)]
    pub work: Work,
}

/// How fast images went.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rate {
    /// Images a second.
    pub images_per_second: f64,
    /// Milliseconds an image.
    pub image_ms: f64,
}

impl Rate {
    fn new(images: u64, seconds: f64) -> Self {
        let images = images as f64;
        Self { images_per_second: images / seconds, image_ms: 1e3 * seconds / images }
    }
}

impl Files {
    /// Draws portraits at `size`, by `seed`, as `count` files.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn draw(count: u64, size: u32, seed: u64) -> Result<Self, BenchError> {
        let unwritten = |error: &dyn std::fmt::Display| BenchError::Files(error.to_string());
        let folder = tempfile::Builder::new().prefix("translate-bench-").tempdir();
        let folder = folder.map_err(|error| unwritten(&error))?;
        let [input, output] = ["in", "out"].map(|name| folder.path().join(name));
        for path in [&input, &output] {
            std::fs::create_dir(path).map_err(|error| unwritten(&error))?;
        }
        let person = |i| draw(&Person::sample(seed, i), Style::Photo, size);
        let drawn: Vec<_> = (0..count.min(DRAWN)).map(person).collect();
        let item = |i| {
            let name = format!("{i:06}.png");
            Item { input: input.join(&name), output: output.join(&name), format: Format::Png }
        };
        let items: Vec<Item> = (0..count).map(item).collect();
        for (item, image) in items.iter().zip(drawn.iter().cycle()) {
            encode(image, Format::Png, &item.input).map_err(|error| unwritten(&error))?;
        }
        Ok(Self { folder, plan: Plan { items, existing: 0, warnings: Vec::new() } })
    }

    /// The folder of the files to translate.
    pub fn input(&self) -> PathBuf {
        self.folder.path().join("in")
    }

    /// Translates all files, as `translate apply` does.
    ///
    /// # Errors
    /// Some could not be.
    pub fn translate(&self, translator: &Translator<'_>, options: &Options) -> Result<Duration, BenchError> {
        let pipeline = PipelineOptions {
            batch: options.batch,
            multiple: translator.stride(),
            minimum: translator.least_size(),
            threads: options.threads,
        };
        let mut network = |batch: &Batch| translator.translate(batch).map_err(|error| error.to_string());
        let start = Instant::now();
        let done = pipeline::run(&self.plan, &pipeline, &AtomicBool::new(false), &mut network, &mut |_| ());
        let time = start.elapsed();
        match done.failed.first() {
            None => Ok(time),
            Some(failed) => Err(BenchError::Failed(failed.to_string())),
        }
    }

    /// The files as batches of the network.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn batches(&self, options: &Options) -> Result<Vec<Batch>, BenchError> {
        let read = |item: &Item| decode(&item.input).map_err(|error| BenchError::Failed(error.to_string()));
        let batch = |items: &[Item]| {
            let images = items.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let pixels = images.into_iter().flat_map(image::RgbImage::into_raw).collect();
            Ok(Batch { count: items.len(), height: options.size, width: options.size, pixels })
        };
        self.plan.items.chunks(options.batch).map(batch).collect()
    }

    /// Milliseconds an image of reading and of writing, one after another.
    fn read_and_write(&self) -> Result<[f64; 2], BenchError> {
        let mut spent = [Duration::ZERO; 2];
        for item in &self.plan.items {
            let start = Instant::now();
            let image = decode(&item.input).map_err(|error| BenchError::Failed(error.to_string()))?;
            let between = Instant::now();
            let written = encode(&image, item.format, &item.output);
            written.map_err(|error| BenchError::Files(error.to_string()))?;
            spent[0] += between - start;
            spent[1] += between.elapsed();
        }
        Ok(spent.map(|time| milliseconds(time) / self.plan.items.len() as f64))
    }
}

/// A model of fresh networks by `recipe`, written and opened as one that was trained is.
///
/// # Errors
/// It cannot be written, or libtorch's.
pub fn fresh(recipe: &Recipe, device: Device) -> Result<Model, BenchError> {
    if let Some(domain) = recipe.noise().and_then(|_| recipe.spaces().first().copied()) {
        return Err(ModelError::NoTranslator { domain: domain.name().into() }.into());
    }
    let folder = tempfile::tempdir().map_err(|error| BenchError::Files(error.to_string()))?;
    let build = || Graph::build_generators(recipe, &Conditions::new(), Device::Cpu);
    let graph = guard("cpu", build).map_err(BenchError::from)?;
    let path = folder.path().join(model::FILE_NAME);
    let about = about(recipe, device);
    model::save(&path, &graph, recipe, &about).map_err(|error| BenchError::Files(error.to_string()))?;
    Ok(model::open(&path, device)?)
}

fn about(recipe: &Recipe, device: Device) -> About {
    About {
        domains: recipe.spaces().into_iter().map(|space: Space| (space, space.name().into())).collect(),
        conditions: Conditions::new(),
        training: Training {
            images: 0,
            of_images: recipe.train.images,
            minutes: 0.0,
            seed: recipe.train.seed,
            device: device::name(device),
            data: IndexMap::new(),
            program: crate::PROGRAM.into(),
            imported_from: Vec::new(),
        },
        notes: Notes::default(),
    }
}

/// Runs `count` batches through the network, the given ones in turn.
///
/// # Errors
/// libtorch's.
pub fn network(
    translator: &Translator<'_>,
    batches: &[Batch],
    count: u64,
) -> Result<Vec<Duration>, TorchError> {
    let time = |batch: &Batch| {
        let start = Instant::now();
        translator.translate(batch).map(|_| start.elapsed())
    };
    batches.iter().cycle().take(count as usize).map(time).collect()
}

/// Products for one image of `size` in the model's network, as it is trained.
///
/// # Errors
/// libtorch's, or the model has no translator.
pub fn products(model: &Model, size: u32, device: Device) -> Result<u64, BenchError> {
    let (name, _) = model.generator_to(None)?;
    let side = i64::from(size);
    let count = || {
        // Of its own, as training would move running statistics.
        let graph = Graph::build_generators(&model.recipe, &model.conditions, device);
        let image = Tensor::zeros([1, 3, side, side], (Kind::Float, device));
        count_products(|| tch::no_grad(|| graph.generators[name].net.forward(&image, true)))
    };
    let counted = guard(&device::name(device), count)?;
    Ok(counted.map(|(_, products)| products).map_err(|error| failed(device, &error))?)
}

/// Measures translating by `model`, which was named `name`.
///
/// # Errors
/// The files cannot be written, or libtorch's.
pub fn measure(name: &str, model: &Model, device: Device, options: &Options) -> Result<Report, BenchError> {
    let translator = model.translator(None, device)?;
    let Repeats { steps, warm_up } = options.repeats;
    let images = steps * options.batch as u64;
    let files = Files::draw(images, options.size, options.seed)?;
    let batches = files.batches(options)?;
    network(&translator, &batches, warm_up)?;
    let times = network(&translator, &batches, steps)?;
    let seconds = times.iter().sum::<Duration>().as_secs_f64();
    let rate = Rate::new(images, seconds);
    drop(batches);
    let whole = files.translate(&translator, options)?;
    let [decode, encode] = files.read_and_write()?;
    let peak_memory_bytes = peak_memory(device)?;
    let products_per_image = products(model, options.size, device)?;
    Ok(Report {
        setting: Setting::new(name, device, options.size, options.batch, options.repeats),
        network: rate,
        files: Rate::new(images, whole.as_secs_f64()),
        batch_ms: Spread::of(&times),
        parts_ms: IndexMap::from([("decode", decode), ("network", rate.image_ms), ("encode", encode)]),
        peak_memory_bytes,
        products_per_image: products_per_image as f64,
        work: Work::new(products_per_image as f64 * images as f64, seconds, device, options.precision)?,
    })
}

/// Refuses a side of images that a translator does not take, or that no portrait is drawn at.
///
/// # Errors
/// What was expected, and what is nearest.
pub fn check_size(translator: &Translator<'_>, size: u32) -> Result<(), String> {
    let (stride, least) = (translator.stride(), translator.least_size().max(MIN_SIZE));
    if size.is_multiple_of(stride) && (least..=MAX_SIZE).contains(&size) {
        return Ok(());
    }
    let nearest = size.clamp(least.next_multiple_of(stride), MAX_SIZE) / stride * stride;
    Err(format!(
        "`--size {size}`: expected a multiple of {stride} from {least} to {MAX_SIZE}\nhint: `--size {nearest}`"
    ))
}
