use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::*;
use crate::apply::plan::PlanOptions;
use crate::data::decode::decode;
use crate::data::encode::{Format, encode};

const OPTIONS: PipelineOptions = PipelineOptions { batch: 4, multiple: 4, minimum: 8, threads: 2 };
static GO: AtomicBool = AtomicBool::new(false);

/// An image in which every pixel tells its place and the image's number.
fn picture(width: u32, height: u32, number: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 5) as u8, (y * 3 + x) as u8, (number * 17 + x * y) as u8])
    })
}

/// `count` pngs of mixed sizes, 1x1 among them, in nested folders.
fn pictures(count: u32) -> (TempDir, BTreeMap<PathBuf, RgbImage>) {
    let folder = TempDir::new().unwrap();
    let sizes = [(1, 1), (16, 16), (16, 16), (9, 5), (1, 40), (31, 17), (16, 16), (13, 16), (40, 3), (2, 2)];
    let images = (0..count).map(|number| {
        let (width, height) = sizes[number as usize % sizes.len()];
        let relative = PathBuf::from(format!("{}/{number:02}.png", number % 3));
        let image = picture(width, height, number);
        fs::create_dir_all(folder.path().join(&relative).parent().unwrap()).unwrap();
        encode(&image, Format::Png, &folder.path().join(&relative)).unwrap();
        (relative, image)
    });
    let images = images.collect();
    (folder, images)
}

fn plan(input: &Path, output: &Path) -> Plan {
    let inputs = vec![input.to_path_buf()];
    let (output, share) = (output.to_path_buf(), crate::share::Share::WHOLE);
    Plan::new(&PlanOptions { inputs, output, format: None, overwrite: false, share }).unwrap()
}

#[allow(clippy::unnecessary_wraps, reason = "every network has this shape")]
fn same(batch: &Batch) -> Result<Batch, String> {
    Ok(batch.clone())
}

#[allow(clippy::unnecessary_wraps, reason = "every network has this shape")]
fn invert(batch: &Batch) -> Result<Batch, String> {
    let pixels = batch.pixels.iter().map(|byte| 255 - byte).collect();
    Ok(Batch { pixels, ..*batch })
}

fn inverted(image: &RgbImage) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| Rgb(image[(x, y)].0.map(|byte| 255 - byte)))
}

#[test]
fn the_identity_gives_every_size_back_bit_for_bit() {
    let (input, images) = pictures(20);
    let output = TempDir::new().unwrap();
    let plan = plan(input.path(), output.path());
    let summary = run(&plan, &OPTIONS, &GO, &mut same, &mut |_| ());
    assert_eq!(summary, Summary { done: 20, ..Summary::default() });
    for (relative, image) in images {
        assert_eq!(decode(&output.path().join(&relative)).unwrap(), image, "{}", relative.display());
    }
}

#[test]
fn sixty_images_are_inverted_in_the_same_batches_with_one_thread_and_four() {
    let (input, images) = pictures(60);
    let mut shapes = Vec::new();
    for threads in [1, 4] {
        let output = TempDir::new().unwrap();
        let plan = plan(input.path(), output.path());
        let mut seen = Vec::new();
        let mut told = 0;
        let mut network = |batch: &Batch| {
            seen.push((batch.shape(), batch.pixels.clone()));
            invert(batch)
        };
        let options = PipelineOptions { threads, ..OPTIONS };
        let summary = run(&plan, &options, &GO, &mut network, &mut |_| told += 1);
        assert_eq!((summary.done, told), (60, 60));
        for (relative, image) in &images {
            assert_eq!(
                decode(&output.path().join(relative)).unwrap(),
                inverted(image),
                "{}",
                relative.display()
            );
        }
        shapes.push(seen);
    }
    assert!(shapes[0] == shapes[1]);
    let counts: Vec<usize> = shapes[0].iter().map(|([count, ..], _)| *count).collect();
    assert_eq!(counts.iter().sum::<usize>(), 60);
    // 18 images of 16x16 and 6 of 13x16 share a size: six full batches.
    let of_16 = shapes[0].iter().filter(|([_, height, width, _], _)| (*height, *width) == (16, 16));
    assert_eq!(of_16.map(|([count, ..], _)| *count).collect::<Vec<_>>(), [4; 6]);
    for ([count, height, width, channels], pixels) in &shapes[0] {
        assert!((1..=4).contains(count) && height % 4 == 0 && width % 4 == 0 && *height.min(width) >= 8);
        assert_eq!(pixels.len(), count * height * width * channels);
    }
}

#[test]
fn the_tightest_bounds_still_let_every_image_through() {
    let (input, images) = pictures(30);
    let limits = GroupLimits { batch: 4, batch_pixels: 1, waiting_pixels: 0, open: 0 };
    for (limits, held) in
        [(limits, 0), (limits, 300), (GroupLimits { waiting_pixels: 500, open: 2, ..limits }, 1)]
    {
        let output = TempDir::new().unwrap();
        let plan = plan(input.path(), output.path());
        let summary = run_within(limits, held, &plan, &OPTIONS, &GO, &mut invert, &mut |_| ());
        assert_eq!(summary.done, 30);
        for (relative, image) in &images {
            assert_eq!(decode(&output.path().join(relative)).unwrap(), inverted(image));
        }
    }
}

#[test]
fn what_cannot_be_read_or_written_is_named_and_the_rest_done() {
    let (input, _) = pictures(12);
    let output = TempDir::new().unwrap();
    fs::write(input.path().join("0/bad.png"), b"no image").unwrap();
    let plan = plan(input.path(), output.path());
    // A folder stands where this image's output should go.
    fs::create_dir_all(output.path().join("1/04.png")).unwrap();
    let mut told = Vec::new();
    let mut progress = |event: Progress| {
        if let Progress::Failed(failed) = event {
            told.push(failed.clone());
        }
    };
    let summary = run(&plan, &OPTIONS, &GO, &mut same, &mut progress);
    assert_eq!(summary.done, 11);
    let paths: Vec<&Path> = summary.failed.iter().map(|failed| failed.path.as_path()).collect();
    assert_eq!(paths, [input.path().join("0/bad.png"), input.path().join("1/04.png")]);
    assert!(summary.failed[1].reason.contains("1/04.png"), "{}", summary.failed[1].reason);
    told.sort_by(|one, other| one.path.cmp(&other.path));
    assert_eq!(told, summary.failed);
}

#[test]
fn what_the_network_cannot_do_is_named_and_the_rest_done() {
    let (input, images) = pictures(60);
    let output = TempDir::new().unwrap();
    let plan = plan(input.path(), output.path());
    let hopeless = picture(16, 16, 11);
    let mut network = |batch: &Batch| {
        let alone = batch.count == 1 && batch.pixels != *hopeless.as_raw();
        if batch.height != 16 || alone { invert(batch) } else { Err("out of memory".to_string()) }
    };
    let summary = run(&plan, &OPTIONS, &GO, &mut network, &mut |_| ());
    let failed = Failed { path: input.path().join("2/11.png"), reason: "out of memory".into() };
    assert_eq!((summary.done, summary.failed), (59, vec![failed]));
    for (relative, image) in images.iter().filter(|(relative, _)| !relative.ends_with("11.png")) {
        assert_eq!(decode(&output.path().join(relative)).unwrap(), inverted(image), "{}", relative.display());
    }
}

#[test]
fn an_interrupt_ends_the_run_between_batches() {
    let (input, _) = pictures(60);
    let output = TempDir::new().unwrap();
    let plan = plan(input.path(), output.path());
    let interrupt = AtomicBool::new(false);
    let mut translated = 0;
    let mut network = |batch: &Batch| {
        translated += batch.count;
        interrupt.store(translated >= 8, Ordering::Relaxed);
        same(batch)
    };
    let summary = run(&plan, &OPTIONS, &interrupt, &mut network, &mut |_| ());
    assert!(summary.interrupted && (8..12).contains(&translated), "{translated}");
    assert_eq!(summary.done, translated);
    let written = plan.items.iter().filter(|item| decode(&item.output).is_ok()).count();
    assert_eq!(written, translated);
}

#[test]
fn a_network_that_changes_the_shape_fails_its_images_only() {
    let (input, _) = pictures(10);
    let output = TempDir::new().unwrap();
    let plan = plan(input.path(), output.path());
    let mut network = |batch: &Batch| {
        let mut batch = batch.clone();
        if batch.width == 40 {
            batch.pixels.pop();
        }
        Ok(batch)
    };
    let summary = run(&plan, &OPTIONS, &GO, &mut network, &mut |_| ());
    assert_eq!((summary.done, summary.failed.len()), (9, 1));
    assert_eq!(summary.failed[0].path, input.path().join("2/08.png"));
}
