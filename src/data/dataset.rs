//! The images of one domain at the size that samples are cropped from, in memory as far as a budget allows.
//!
//! What a dataset of sound files answers does not depend on the budget or on threads: an image that is not kept is read
//! again, and comes out the same. Of files beyond the budget only the headers are read on opening, so damage behind one is
//! found when its turn comes, and the next file takes its place.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use image::RgbImage;
use rayon::prelude::*;

use super::decode::{decode, probe};
use super::fingerprint::fingerprint;
use super::resize::Resize;
use super::scan::{ImageFolder, Skipped, path_bytes};

/// The size that images are kept at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// In pixels: both sides under [`Resize::Stretch`], the shorter one under [`Resize::Cover`].
    pub load_size: u32,
    /// How images of other shapes come to it.
    pub resize: Resize,
    /// Where only this half of every image belongs to the dataset.
    pub half: Option<Half>,
}

/// One of two images that stand side by side in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The first.
    Left,
    /// The second.
    Right,
}

impl Half {
    /// The half of a picture; of an odd width the column in the middle belongs to neither.
    fn cut(self, image: &RgbImage) -> RgbImage {
        let (width, height) = (image.width() / 2, image.height());
        let left = if self == Self::Left { 0 } else { image.width() - width };
        image::imageops::crop_imm(image, left, 0, width, height).to_image()
    }
}

/// How many bytes of pixels may be kept in memory, by all datasets opened with it together.
#[derive(Debug)]
pub struct CacheBudget {
    limit: u64,
    used: AtomicU64,
}

impl CacheBudget {
    /// A budget of `limit` bytes, none of them used; 0 keeps nothing.
    pub const fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    fn reserve(&self, bytes: u64) -> bool {
        let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Why a dataset has no image to give.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// Every candidate was skipped.
    #[error(
        "none of the {count} image files in folder `{}` can be read, the first being {first}\nhint: copy or download them \
         again, or name another folder",
        root.display()
    )]
    NoneReadable {
        /// The folder.
        root: PathBuf,
        /// How many files were tried.
        count: usize,
        /// The first file and what is the matter with it.
        first: Skipped,
    },
    /// Files that were readable when the dataset was opened are not any more.
    #[error("no image in folder `{}` can be read any more: check that it is still there", root.display())]
    AllFailed {
        /// The folder.
        root: PathBuf,
    },
}

/// The readable images of a folder, in the folder's order.
#[derive(Debug)]
pub struct Dataset {
    root: PathBuf,
    name: String,
    load: LoadOptions,
    items: Vec<Item>,
    skipped: Vec<Skipped>,
    late: Mutex<Vec<Skipped>>,
}

#[derive(Debug)]
struct Item {
    /// Relative to the root.
    file: PathBuf,
    /// The file's length in bytes.
    length: u64,
    /// Pixels of its shorter side, before resizing.
    short_side: u32,
    /// Its width over its height.
    shape: f64,
    kept: Option<Arc<RgbImage>>,
    failed: AtomicBool,
}

impl Dataset {
    /// Reads the headers of all files of `folder`, and the pixels of as many, in the folder's order, as
    /// `budget` allows, on all of rayon's threads. `progress` is called once a file, from any of them.
    ///
    /// Files that cannot be read are left out and listed in [`skipped`](Self::skipped). Which files are kept
    /// in memory is decided from their headers and in order, so it is the same every time; datasets that
    /// share a budget are to be opened one after the other.
    ///
    /// # Errors
    /// Where no file can be read.
    pub fn open(
        folder: ImageFolder,
        load: LoadOptions,
        budget: &CacheBudget,
        progress: &(dyn Fn() + Sync),
    ) -> Result<Self, DatasetError> {
        let ImageFolder { root, name, files, .. } = folder;
        let count = files.len();
        let headers: Vec<_> = files
            .into_par_iter()
            .map(|file| Header::read(&root, file, load).inspect_err(|_| progress()))
            .collect();
        let planned: Vec<_> = headers
            .into_iter()
            .map(|header| header.map(|header| (budget.reserve(header.pixel_bytes), header)))
            .collect();
        let items: Vec<_> = planned
            .into_par_iter()
            .map(|plan| plan.and_then(|(keep, header)| header.into_item(&root, load, keep, budget, progress)))
            .collect();
        let mut skipped = Vec::new();
        let items: Vec<Item> =
            items.into_iter().filter_map(|i| i.map_err(|s| skipped.push(s)).ok()).collect();
        match skipped.first() {
            Some(first) if items.is_empty() => {
                Err(DatasetError::NoneReadable { root, count, first: first.clone() })
            }
            _ => Ok(Self { root, name, load, items, skipped, late: Mutex::default() }),
        }
    }

    /// The number of readable images, at least one.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Never true of an opened dataset.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The folder's own name, which the domain is called after.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder as the user named it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files that were left out on opening, in the folder's order.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// How many images are kept in memory; the others are read again whenever they are needed.
    pub fn kept(&self) -> usize {
        self.items.iter().filter(|item| item.kept.is_some()).count()
    }

    /// How many images have a side of fewer than `size` pixels, before resizing.
    pub fn smaller_than(&self, size: u32) -> usize {
        self.items.iter().filter(|item| item.short_side < size).count()
    }

    /// How many images, or halves where those are its images, are clearly higher than wide.
    pub fn upright(&self) -> usize {
        self.items.iter().filter(|item| item.shape < 0.9).count()
    }

    /// The files of the readable images, relative to the folder, in its order.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.items.iter().map(|item| item.file.as_path())
    }

    /// The path of image `i`, counted round the end.
    pub fn path(&self, i: usize) -> PathBuf {
        self.root.join(&self.items[i % self.len()].file)
    }

    /// Image `i`, counted round the end, at the load size, and the number of the image that it is.
    ///
    /// Where its file has become unreadable since [`open`](Self::open), the next readable one takes its place
    /// and the failure is noted for [`take_late_failures`](Self::take_late_failures), once a file.
    ///
    /// # Errors
    /// Where no file can be read any more.
    pub fn fetch(&self, i: usize) -> Result<(usize, Arc<RgbImage>), DatasetError> {
        let length = self.len();
        let candidates = (i..i + length).map(|i| i % length);
        let mut readable = candidates.filter_map(|i| Some((i, self.try_fetch(i)?)));
        readable.next().ok_or_else(|| self.all_failed())
    }

    /// Image `i` itself, below [`len`](Self::len); none where its file has become unreadable, which is noted once.
    pub fn try_fetch(&self, i: usize) -> Option<Arc<RgbImage>> {
        let item = &self.items[i];
        if let Some(image) = &item.kept {
            return Some(Arc::clone(image));
        }
        if item.failed.load(Ordering::Relaxed) {
            return None;
        }
        let image = read(&self.root.join(&item.file), self.load);
        image.map(Arc::new).map_err(|skipped| self.note_failure(item, skipped)).ok()
    }

    /// What to say where no image is left.
    pub(super) fn all_failed(&self) -> DatasetError {
        DatasetError::AllFailed { root: self.root.clone() }
    }

    fn note_failure(&self, item: &Item, skipped: Skipped) {
        if !item.failed.swap(true, Ordering::Relaxed) {
            self.late.lock().unwrap_or_else(PoisonError::into_inner).push(skipped);
        }
    }

    /// The files that [`fetch`](Self::fetch) could not read, each told once, those told before left out.
    pub fn take_late_failures(&self) -> Vec<Skipped> {
        std::mem::take(&mut self.late.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes when a readable file is added, removed, renamed or changes its length. The folder's own place does not
    /// matter. Over each relative path, a zero byte, and the file's length as eight little-endian bytes.
    pub fn fingerprint(&self) -> String {
        let bytes = |item: &Item| [path_bytes(&item.file), &[0], &item.length.to_le_bytes()].concat();
        fingerprint(self.items.iter().flat_map(bytes).map(u64::from))
    }
}

/// What is known of a file before its pixels are read.
struct Header {
    file: PathBuf,
    length: u64,
    /// Pixels of its shorter side, before resizing.
    short_side: u32,
    /// Its width over its height.
    shape: f64,
    /// Bytes of its pixels at the load size.
    pixel_bytes: u64,
}

impl Header {
    fn read(root: &Path, file: PathBuf, load: LoadOptions) -> Result<Self, Skipped> {
        let path = root.join(&file);
        let (width, height) = match probe(&path) {
            Ok(size) => size,
            Err(error) => return Err(Skipped { path, reason: error.problem.to_string() }),
        };
        let length = match path.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) => return Err(Skipped { path, reason: error.to_string() }),
        };
        let width = if load.half.is_some() { width / 2 } else { width };
        if width == 0 {
            return Err(Skipped { path, reason: "one pixel wide, so it has no halves".into() });
        }
        let (short_side, shape) = (width.min(height), f64::from(width) / f64::from(height));
        let (width, height) = load.resize.target(width, height, load.load_size);
        Ok(Self { file, length, short_side, shape, pixel_bytes: u64::from(width) * u64::from(height) * 3 })
    }

    fn into_item(
        self,
        root: &Path,
        load: LoadOptions,
        keep: bool,
        budget: &CacheBudget,
        progress: &(dyn Fn() + Sync),
    ) -> Result<Item, Skipped> {
        let image = keep.then(|| read(&root.join(&self.file), load)).transpose();
        progress();
        let kept = image.inspect_err(|_| budget.release(self.pixel_bytes))?.map(Arc::new);
        let Self { file, length, short_side, shape, .. } = self;
        Ok(Item { file, length, short_side, shape, kept, failed: AtomicBool::new(false) })
    }
}

fn read(path: &Path, load: LoadOptions) -> Result<RgbImage, Skipped> {
    let skip = |reason| Skipped { path: path.to_path_buf(), reason };
    let image = decode(path).map_err(|error| skip(error.problem.to_string()))?;
    let image = match load.half {
        Some(half) => half.cut(&image),
        None => image,
    };
    load.resize.apply(&image, load.load_size).map_err(|error| skip(error.to_string()))
}

#[cfg(test)]
pub(super) mod tests;
