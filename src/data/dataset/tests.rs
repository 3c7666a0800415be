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
    let load = LoadOptions { load_size: SIDE, resize: Resize::Stretch, half: None };
    Dataset::open(scan(dir).unwrap(), load, &CacheBudget::new(budget), &|| {}).unwrap()
}

const IMAGE_BYTES: u64 = SIDE as u64 * SIDE as u64 * 3;

fn used(budget: &CacheBudget) -> u64 {
    budget.used.load(Ordering::Relaxed)
}

fn numbers(dataset: &Dataset) -> Vec<u8> {
    (0..dataset.len()).map(|i| dataset.fetch(i).unwrap().1.get_pixel(0, 0).0[0]).collect()
}

#[test]
fn the_budget_is_shared_and_respected() {
    let dir = folder_of(6);
    let load = LoadOptions { load_size: SIDE, resize: Resize::Stretch, half: None };
    let budget = CacheBudget::new(9 * IMAGE_BYTES + IMAGE_BYTES / 2);
    let calls = AtomicUsize::new(0);
    let count = || _ = calls.fetch_add(1, Ordering::Relaxed);
    let first = Dataset::open(scan(dir.path()).unwrap(), load, &budget, &count).unwrap();
    assert_eq!((first.kept(), used(&budget), calls.load(Ordering::Relaxed)), (6, 6 * IMAGE_BYTES, 6));
    let second = Dataset::open(scan(dir.path()).unwrap(), load, &budget, &count).unwrap();
    assert_eq!((second.kept(), used(&budget), calls.load(Ordering::Relaxed)), (3, 9 * IMAGE_BYTES, 12));
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
    let load = LoadOptions { load_size: SIDE, resize: Resize::Stretch, half: None };
    let budget = CacheBudget::new(u64::MAX);
    let calls = AtomicUsize::new(0);
    let count = || _ = calls.fetch_add(1, Ordering::Relaxed);
    let dataset = Dataset::open(scan(dir.path()).unwrap(), load, &budget, &count).unwrap();
    assert_eq!(numbers(&dataset), [0, 3]);
    let reasons: Vec<String> = dataset.skipped().iter().map(ToString::to_string).collect();
    let at = dir.path().display();
    let truncated = format!("`{at}/02.png`: the file is truncated: copy or download it again");
    assert_eq!(reasons, [format!("`{at}/01.png`: the file is empty"), truncated]);
    assert_eq!((used(&budget), calls.load(Ordering::Relaxed)), (2 * IMAGE_BYTES, 4));
}

#[test]
fn a_folder_without_a_readable_image_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.png"), "text").unwrap();
    fs::write(dir.path().join("b.png"), "").unwrap();
    let load = LoadOptions { load_size: SIDE, resize: Resize::Stretch, half: None };
    let error = Dataset::open(scan(dir.path()).unwrap(), load, &CacheBudget::new(0), &|| {}).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("none of the 2 image files in folder `"), "{text}");
    assert!(text.contains("a.png`: no known image format") && text.contains("\nhint: "), "{text}");
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
        let load = LoadOptions { load_size: 30, resize, half: None };
        let budget = CacheBudget::new(u64::MAX);
        let dataset = Dataset::open(scan(dir.path()).unwrap(), load, &budget, &|| {}).unwrap();
        assert_eq!(dataset.fetch(0).unwrap().1.dimensions(), expected);
        assert_eq!(used(&budget), u64::from(expected.0 * expected.1 * 3));
    }
}
