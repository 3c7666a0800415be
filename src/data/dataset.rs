//! The images of one domain at the size that samples are cropped from, in memory as far as a budget allows.
//!
//! What a dataset answers does not depend on the budget or on threads: an image that is not kept is read
//! again, and comes out the same.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use image::RgbImage;
use rayon::prelude::*;

use super::decode::{decode, probe};
use super::resize::Resize;
use super::scan::{ImageFolder, Skipped, path_bytes};

/// The size that images are kept at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// In pixels: both sides under [`Resize::Stretch`], the shorter one under [`Resize::Cover`].
    pub load_size: u32,
    /// How images of other shapes come to it.
    pub resize: Resize,
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

    /// All bytes of the budget.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that are taken.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
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
        "none of the {count} image files in folder `{}` can be read, the first being {first}",
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

    /// The path of image `i`, counted round the end.
    pub fn path(&self, i: usize) -> PathBuf {
        self.root.join(&self.items[i % self.len()].file)
    }

    /// Image `i`, counted round the end, at the load size.
    ///
    /// Where its file has become unreadable since [`open`](Self::open), the next readable one takes its place
    /// and the failure is noted for [`take_late_failures`](Self::take_late_failures), once a file.
    ///
    /// # Errors
    /// Where no file can be read any more.
    pub fn fetch(&self, i: usize) -> Result<Arc<RgbImage>, DatasetError> {
        let (before, from) = self.items.split_at(i % self.len().max(1));
        for item in from.iter().chain(before) {
            if let Some(image) = &item.kept {
                return Ok(Arc::clone(image));
            }
            if item.failed.load(Ordering::Relaxed) {
                continue;
            }
            match read(&self.root.join(&item.file), self.load) {
                Ok(image) => return Ok(Arc::new(image)),
                Err(skipped) => self.note_failure(item, skipped),
            }
        }
        Err(DatasetError::AllFailed { root: self.root.clone() })
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

    /// Sixteen hexadecimal digits that change when a readable file is added, removed, renamed or changes its
    /// length. The folder's own place does not matter.
    ///
    /// FNV-1a (64 bits) over each relative path, a zero byte, and the file's length as eight little-endian
    /// bytes.
    pub fn fingerprint(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for item in &self.items {
            let length = item.length.to_le_bytes();
            for byte in path_bytes(&item.file).iter().chain(&[0]).chain(&length) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    }
}

/// What is known of a file before its pixels are read.
struct Header {
    file: PathBuf,
    length: u64,
    /// Pixels of its shorter side, before resizing.
    short_side: u32,
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
        let short_side = width.min(height);
        let (width, height) = load.resize.target(width, height, load.load_size);
        Ok(Self { file, length, short_side, pixel_bytes: u64::from(width) * u64::from(height) * 3 })
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
        let Self { file, length, short_side, .. } = self;
        Ok(Item { file, length, short_side, kept, failed: AtomicBool::new(false) })
    }
}

fn read(path: &Path, load: LoadOptions) -> Result<RgbImage, Skipped> {
    let skip = |reason| Skipped { path: path.to_path_buf(), reason };
    let image = decode(path).map_err(|error| skip(error.problem.to_string()))?;
    load.resize.apply(&image, load.load_size).map_err(|error| skip(error.to_string()))
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::sync::atomic::AtomicUsize;

    use image::Rgb;
    use tempfile::TempDir;

    use super::*;
    use crate::data::encode::{Format, encode};
    use crate::data::scan::scan;

    /// The side of the test images, in pixels, and their load size, so that nothing is resized.
    pub const SIDE: u32 = 32;

    /// A folder of PNGs `00.png`, `01.png`, ... where pixel (x, y) of image k is (k, 7 x, 7 y).
    pub fn folder_of(count: u8) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for k in 0..count {
            let image = RgbImage::from_fn(SIDE, SIDE, |x, y| Rgb([k, 7 * x as u8, 7 * y as u8]));
            encode(&image, Format::Png, &dir.path().join(format!("{k:02}.png"))).unwrap();
        }
        dir
    }

    pub fn open(dir: &Path, budget: u64) -> Dataset {
        let load = LoadOptions { load_size: SIDE, resize: Resize::Stretch };
        Dataset::open(scan(dir).unwrap(), load, &CacheBudget::new(budget), &|| {}).unwrap()
    }

    const IMAGE_BYTES: u64 = SIDE as u64 * SIDE as u64 * 3;

    fn numbers(dataset: &Dataset) -> Vec<u8> {
        (0..dataset.len()).map(|i| dataset.fetch(i).unwrap().get_pixel(0, 0).0[0]).collect()
    }

    #[test]
    fn the_budget_is_shared_and_respected() {
        let dir = folder_of(6);
        let load = LoadOptions { load_size: SIDE, resize: Resize::Stretch };
        let budget = CacheBudget::new(9 * IMAGE_BYTES + IMAGE_BYTES / 2);
        let calls = AtomicUsize::new(0);
        let count = || _ = calls.fetch_add(1, Ordering::Relaxed);
        let first = Dataset::open(scan(dir.path()).unwrap(), load, &budget, &count).unwrap();
        assert_eq!((first.kept(), budget.used(), calls.load(Ordering::Relaxed)), (6, 6 * IMAGE_BYTES, 6));
        let second = Dataset::open(scan(dir.path()).unwrap(), load, &budget, &count).unwrap();
        assert_eq!((second.kept(), budget.used(), calls.load(Ordering::Relaxed)), (3, 9 * IMAGE_BYTES, 12));
        let none = open(dir.path(), 0);
        assert_eq!(none.kept(), 0);
        for i in 0..6 {
            assert_eq!(first.fetch(i).unwrap(), none.fetch(i).unwrap());
            assert_eq!(second.fetch(i).unwrap(), none.fetch(i).unwrap());
        }
        assert_eq!(numbers(&none), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn unreadable_files_are_listed_and_left_out() {
        let dir = folder_of(4);
        fs::write(dir.path().join("01.png"), "").unwrap();
        let whole = fs::read(dir.path().join("02.png")).unwrap();
        fs::write(dir.path().join("02.png"), &whole[..whole.len() - 30]).unwrap();
        let load = LoadOptions { load_size: SIDE, resize: Resize::Stretch };
        let budget = CacheBudget::new(u64::MAX);
        let calls = AtomicUsize::new(0);
        let count = || _ = calls.fetch_add(1, Ordering::Relaxed);
        let dataset = Dataset::open(scan(dir.path()).unwrap(), load, &budget, &count).unwrap();
        assert_eq!(numbers(&dataset), [0, 3]);
        let reasons: Vec<String> = dataset.skipped().iter().map(ToString::to_string).collect();
        let at = dir.path().display();
        let truncated = format!("`{at}/02.png`: the file is truncated: copy or download it again");
        assert_eq!(reasons, [format!("`{at}/01.png`: the file is empty"), truncated]);
        assert_eq!((budget.used(), calls.load(Ordering::Relaxed)), (2 * IMAGE_BYTES, 4));
    }

    #[test]
    fn a_folder_without_a_readable_image_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.png"), "text").unwrap();
        fs::write(dir.path().join("b.png"), "").unwrap();
        let load = LoadOptions { load_size: SIDE, resize: Resize::Stretch };
        let error = Dataset::open(scan(dir.path()).unwrap(), load, &CacheBudget::new(0), &|| {}).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("none of the 2 image files in folder `"), "{text}");
        assert!(text.contains("a.png`: no known image format"), "{text}");
    }

    #[test]
    fn a_late_failure_is_replaced_by_the_next_file_and_told_once() {
        let dir = folder_of(4);
        let dataset = open(dir.path(), 0);
        for name in ["02.png", "03.png"] {
            fs::write(dir.path().join(name), "gone bad").unwrap();
        }
        assert_eq!(numbers(&dataset), [0, 1, 0, 0]);
        assert_eq!(numbers(&dataset), [0, 1, 0, 0]);
        let told: Vec<PathBuf> = dataset.take_late_failures().into_iter().map(|s| s.path).collect();
        assert_eq!(told, [dir.path().join("02.png"), dir.path().join("03.png")]);
        assert_eq!(dataset.take_late_failures(), []);
        for name in ["00.png", "01.png"] {
            fs::remove_file(dir.path().join(name)).unwrap();
        }
        assert!(matches!(dataset.fetch(0), Err(DatasetError::AllFailed { .. })));
        assert_eq!(dataset.take_late_failures().len(), 2);
    }

    #[test]
    fn the_fingerprint_is_that_of_names_and_lengths() {
        let dir = folder_of(2);
        let lengths = ["00.png", "01.png"].map(|name| fs::metadata(dir.path().join(name)).unwrap().len());
        let hashed: Vec<u8> = ["00.png\0", "01.png\0"]
            .iter()
            .zip(lengths)
            .flat_map(|(name, length)| [name.as_bytes(), &length.to_le_bytes()].concat())
            .collect();
        let fnv = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(*b)).wrapping_mul(1_099_511_628_211))
        };
        // The published test vector of FNV-1a.
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
        let print = open(dir.path(), 0).fingerprint();
        assert_eq!(print, format!("{:016x}", fnv(&hashed)));

        fs::rename(dir.path().join("01.png"), dir.path().join("02.png")).unwrap();
        let renamed = open(dir.path(), 0).fingerprint();
        let mut bytes = fs::read(dir.path().join("02.png")).unwrap();
        bytes.push(0);
        fs::write(dir.path().join("02.png"), bytes).unwrap();
        let longer = open(dir.path(), 0).fingerprint();
        assert!(print != renamed && renamed != longer && print != longer);
    }

    #[test]
    fn images_come_to_the_load_size() {
        let dir = tempfile::tempdir().unwrap();
        encode(&RgbImage::new(50, 20), Format::Png, &dir.path().join("a.png")).unwrap();
        for (resize, expected) in [(Resize::Stretch, (30, 30)), (Resize::Cover, (75, 30))] {
            let load = LoadOptions { load_size: 30, resize };
            let budget = CacheBudget::new(u64::MAX);
            let dataset = Dataset::open(scan(dir.path()).unwrap(), load, &budget, &|| {}).unwrap();
            assert_eq!(dataset.fetch(0).unwrap().dimensions(), expected);
            assert_eq!(budget.used(), u64::from(expected.0 * expected.1 * 3));
        }
    }
}
