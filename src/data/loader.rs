//! Draws samples from one or two datasets and makes batches of them on threads of its own.
//!
//! Sample n of a run is a function of the seed and n alone (see [`random`](crate::random)), and batch k holds
//! the samples from k × batch on. Threads only decide when a batch is ready, never what is in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use image::RgbImage;

use super::dataset::{Dataset, DatasetError};
use super::pairs::Pairs;
use crate::panics;
use crate::random::{Purpose, coin, permutation, stream, uniform_below};
use crate::share::Share;

/// How samples are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleOptions {
    /// The run's seed.
    pub seed: u64,
    /// The side of the square crop, in pixels; at most the load size.
    pub size: u32,
    /// Mirror half of the samples left to right.
    pub flip: bool,
    /// Samples in a batch, over all ranks.
    pub batch: usize,
    /// Which of them are made here.
    pub share: Share,
}

/// One batch, or a rank's share of it: sample i of every side belongs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// For each dataset `[share, size, size, 3]`, row-major, 0 to 255.
    pub sides: Vec<Vec<u8>>,
    /// For each dataset the numbers of the images that the samples were cut from, `[share]`.
    pub items: Vec<Vec<usize>>,
}

impl Batch {
    /// One of `parts` equal parts of it.
    #[must_use]
    pub fn part(&self, part: usize, parts: usize) -> Self {
        fn slice<T: Clone>(all: &[T], part: usize, parts: usize) -> Vec<T> {
            let length = all.len() / parts;
            all[part * length..(part + 1) * length].to_vec()
        }
        Self {
            sides: self.sides.iter().map(|side| slice(side, part, parts)).collect(),
            items: self.items.iter().map(|side| slice(side, part, parts)).collect(),
        }
    }
}

/// What is drawn from.
#[derive(Debug, Clone)]
pub struct Sides {
    /// One dataset or two.
    pub datasets: Vec<Arc<Dataset>>,
    /// The numbers of the images that belong together, where the data is paired.
    pub pairs: Option<Arc<Pairs>>,
}

impl From<Vec<Arc<Dataset>>> for Sides {
    /// Nothing is paired.
    fn from(datasets: Vec<Arc<Dataset>>) -> Self {
        Self { datasets, pairs: None }
    }
}

impl Sides {
    /// Samples in an epoch.
    pub fn epoch_length(&self) -> usize {
        let largest = self.datasets.iter().map(|side| side.len()).max().unwrap_or(0).max(1);
        self.pairs.as_ref().map_or(largest, |pairs| pairs.len())
    }
}

/// Why a batch could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// A dataset has nothing to give any more.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// An image is smaller than the crop: the load size is below the sample size.
    #[error(
        "an image of `{name}` is {width} x {height} pixels after loading, too small for a crop of {size}: \
         raise `load_size` to at least {size}"
    )]
    TooSmall {
        /// The dataset's name.
        name: String,
        /// Of the image as loaded, in pixels.
        width: u32,
        /// Of the image as loaded, in pixels.
        height: u32,
        /// The side of the crop, in pixels.
        size: u32,
    },
    /// A worker broke down on a batch; a fault of the program.
    #[error("a loader thread failed on batch {index} ({message}): please report this")]
    Panicked {
        /// The batch.
        index: u64,
        /// What it said.
        message: String,
    },
    /// No worker is left, or none could be started.
    #[error("no loader thread is running: the system may refuse to start threads, try fewer")]
    NoThreads,
}

/// Hands out the batches of a run in order, made ahead of time by worker threads that stop when it is
/// dropped.
#[derive(Debug)]
pub struct Loader {
    jobs: Option<Sender<u64>>,
    /// The workers' end of `jobs`, to empty it on dropping.
    queue: Receiver<u64>,
    made: Receiver<(u64, Result<Batch, LoaderError>)>,
    /// Batches that were ready before an earlier one.
    early: BTreeMap<u64, Result<Batch, LoaderError>>,
    /// The batch to hand out next.
    next: u64,
    /// The batch to give to the workers next.
    ahead: u64,
    workers: Vec<JoinHandle<()>>,
}

impl Loader {
    /// Starts `threads` workers (at least one) on the batches from `first_batch` on. `sides` holds one
    /// dataset or two. Up to 2 × `threads` batches are made ahead.
    ///
    /// An epoch is as many samples as the larger dataset has images. The first dataset is shown in a new
    /// random order every epoch; from the second one is drawn with replacement, as the reference `CycleGAN`
    /// does. Of paired data an epoch is every pair once, in a new random order, both images cropped and mirrored alike.
    pub fn new(sides: Sides, options: SampleOptions, threads: usize, first_batch: u64) -> Self {
        let sampler = Sampler::new(sides, options);
        Self::start(threads, first_batch, move |index| sampler.batch(index))
    }

    fn start<F>(threads: usize, first_batch: u64, make: F) -> Self
    where
        F: Fn(u64) -> Result<Batch, LoaderError> + Send + Sync + 'static,
    {
        let window = threads.max(1) * 2;
        let (jobs, queue) = bounded(window);
        let (done, made) = bounded(window);
        let make = Arc::new(make);
        let spawn = |i: usize| {
            let (make, queue, done) = (Arc::clone(&make), queue.clone(), done.clone());
            let work = move || work(&*make, &queue, &done);
            // Where the system refuses a thread the others do its work; where it refuses all, `next` tells.
            thread::Builder::new().name(format!("loader {i}")).spawn(work).ok()
        };
        let workers = (0..threads.max(1)).filter_map(spawn).collect();
        let mut loader = Self {
            jobs: Some(jobs),
            queue,
            made,
            early: BTreeMap::new(),
            next: first_batch,
            ahead: first_batch,
            workers,
        };
        for _ in 0..window {
            loader.order_one();
        }
        loader
    }

    /// Never blocks: no more batches are under way than the queue has places.
    fn order_one(&mut self) {
        if let Some(jobs) = &self.jobs {
            // Cannot fail while `queue` is held, and a missing worker shows when its batch is waited for.
            let _ = jobs.send(self.ahead);
            self.ahead += 1;
        }
    }

    /// The next batch, waiting for it where it is not ready. There is always one more.
    ///
    /// # Errors
    /// The reason for which this batch could not be made; the call after that gives the batch that follows.
    #[allow(
        clippy::should_implement_trait,
        reason = "an endless sequence has no end for an iterator to tell"
    )]
    pub fn next(&mut self) -> Result<Batch, LoaderError> {
        let batch = loop {
            if let Some(batch) = self.early.remove(&self.next) {
                break batch;
            }
            let (index, batch) = self.made.recv().map_err(|_| LoaderError::NoThreads)?;
            self.early.insert(index, batch);
        };
        self.next += 1;
        self.order_one();
        batch
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.jobs = None;
        self.queue.try_iter().for_each(drop);
        for worker in self.workers.drain(..) {
            // A worker catches what its work throws; there is nothing left to tell.
            drop(worker.join());
        }
    }
}

fn work<F>(make: &F, queue: &Receiver<u64>, done: &Sender<(u64, Result<Batch, LoaderError>)>)
where
    F: Fn(u64) -> Result<Batch, LoaderError>,
{
    for index in queue {
        let batch = panics::catch(|| make(index))
            .unwrap_or_else(|message| Err(LoaderError::Panicked { index, message }));
        if done.send((index, batch)).is_err() {
            return;
        }
    }
}

/// What sample n is.
struct Sampler {
    sides: Sides,
    options: SampleOptions,
    /// Samples in an epoch.
    epoch_length: usize,
    /// The latest epoch's order, which nearly every sample asks for again.
    order: Mutex<(u64, Arc<Vec<u32>>)>,
}

impl Sampler {
    fn new(sides: Sides, options: SampleOptions) -> Self {
        let epoch_length = sides.epoch_length();
        let first = permutation(options.seed, Purpose::Order, 0, epoch_length);
        Self { sides, options, epoch_length, order: Mutex::new((0, Arc::new(first))) }
    }

    fn batch(&self, index: u64) -> Result<Batch, LoaderError> {
        let SampleOptions { size, batch, share, .. } = self.options;
        let count = share.of(batch);
        let bytes = size as usize * size as usize * 3 * count;
        let mut sides: Vec<_> = self.sides.datasets.iter().map(|_| Vec::with_capacity(bytes)).collect();
        let mut items: Vec<_> = sides.iter().map(|_| Vec::with_capacity(count)).collect();
        for sample in share.range(index * batch as u64, batch) {
            for (side, (item, image)) in self.images(sample)?.into_iter().enumerate() {
                self.append(sample, side, &image, &mut sides[side])?;
                items[side].push(item);
            }
        }
        Ok(Batch { sides, items })
    }

    fn append(
        &self,
        sample: u64,
        side: usize,
        image: &RgbImage,
        pixels: &mut Vec<u8>,
    ) -> Result<(), LoaderError> {
        let SampleOptions { seed, size, flip, .. } = self.options;
        let (spare_x, spare_y) = spare(&self.sides.datasets[side], image, size)?;
        let alike = self.sides.pairs.is_some();
        let counter = 2 * sample + if alike { 0 } else { side as u64 };
        let mut place = stream(seed, Purpose::Crop, counter);
        let left = uniform_below(&mut place, u64::from(spare_x) + 1) as u32;
        let top = uniform_below(&mut place, u64::from(spare_y) + 1) as u32;
        let mirrored = flip && coin(&mut stream(seed, Purpose::Flip, counter));
        crop_into(pixels, image, (left, top), size, mirrored);
        Ok(())
    }

    /// The images that sample number `sample` shows, one a side, with their numbers.
    fn images(&self, sample: u64) -> Result<Vec<(usize, Arc<RgbImage>)>, LoaderError> {
        let in_order = || {
            let order = self.order(sample / self.epoch_length as u64);
            order[(sample % self.epoch_length as u64) as usize] as usize
        };
        let datasets = &self.sides.datasets;
        if let Some(pairs) = &self.sides.pairs {
            return Ok(pairs.fetch(in_order(), [&datasets[0], &datasets[1]])?.to_vec());
        }
        let image = |(side, dataset): (usize, &Arc<Dataset>)| {
            let length = dataset.len();
            let i = if side == 0 {
                in_order() % length
            } else {
                uniform_below(&mut stream(self.options.seed, Purpose::Partner, sample), length as u64)
                    as usize
            };
            Ok(dataset.fetch(i)?)
        };
        datasets.iter().enumerate().map(image).collect()
    }

    fn order(&self, epoch: u64) -> Arc<Vec<u32>> {
        let mut latest = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.0 != epoch {
            let order = permutation(self.options.seed, Purpose::Order, epoch, self.epoch_length);
            *latest = (epoch, Arc::new(order));
        }
        Arc::clone(&latest.1)
    }
}

/// Samples that stay the same for a whole run, to watch it by: up to `count` images of each side, spread evenly over
/// the data, cropped from their middle, not mirrored. Each is `[size, size, 3]`, row-major, 0 to 255.
///
/// # Errors
/// Where an image is smaller than the crop, or none can be read.
pub fn fixed_samples(sides: &Sides, count: usize, size: u32) -> Result<Vec<Vec<Vec<u8>>>, LoaderError> {
    let middle = |dataset: &Dataset, image: &RgbImage| {
        let (spare_x, spare_y) = spare(dataset, image, size)?;
        let mut pixels = Vec::new();
        crop_into(&mut pixels, image, (spare_x / 2, spare_y / 2), size, false);
        Ok(pixels)
    };
    let alone = |dataset: &Arc<Dataset>| {
        spread(dataset.len(), count).map(|i| middle(dataset, &dataset.fetch(i)?.1)).collect::<Result<_, _>>()
    };
    let Some(pairs) = &sides.pairs else { return sides.datasets.iter().map(alone).collect() };
    let datasets = [&*sides.datasets[0], &*sides.datasets[1]];
    let mut fixed = vec![Vec::new(), Vec::new()];
    for i in spread(pairs.len(), count) {
        for (side, (_, image)) in pairs.fetch(i, datasets)?.iter().enumerate() {
            fixed[side].push(middle(datasets[side], image)?);
        }
    }
    Ok(fixed)
}

/// Up to `count` numbers below `length`, evenly spread.
pub fn spread(length: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(length);
    (0..count).map(move |i| i * length / count)
}

/// How many pixels wider and higher than the crop an image is.
fn spare(dataset: &Dataset, image: &RgbImage, size: u32) -> Result<(u32, u32), LoaderError> {
    let (width, height) = image.dimensions();
    match (width.checked_sub(size), height.checked_sub(size)) {
        (Some(x), Some(y)) => Ok((x, y)),
        _ => Err(LoaderError::TooSmall { name: dataset.name().to_owned(), width, height, size }),
    }
}

fn crop_into(pixels: &mut Vec<u8>, image: &RgbImage, corner: (u32, u32), size: u32, mirrored: bool) {
    let (left, top) = (corner.0 as usize, corner.1 as usize);
    let (width, size) = (image.width() as usize, size as usize);
    for row in image.as_raw().chunks_exact(width * 3).skip(top).take(size) {
        let row = &row[left * 3..(left + size) * 3];
        if mirrored {
            row.rchunks_exact(3).for_each(|pixel| pixels.extend_from_slice(pixel));
        } else {
            pixels.extend_from_slice(row);
        }
    }
}

#[cfg(test)]
mod tests;
