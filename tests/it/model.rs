//! A model whose answers are known beforehand: which way `apply` and `eval` go, and what `eval` says of it.

use std::path::Path;
use std::process::Command;

use image::{Rgb, RgbImage};
use indexmap::IndexMap;
use tch::Device;
use translate::data::condition::Conditions;
use translate::data::portraits::{Options, write_dataset};
use translate::model::{About, Domains, Training, save};
use translate::nets::Graph;
use translate::recipe::{Recipe, Space, resolve};
use translate::train::samples;

/// Every pixel that the generator to `anime` writes: tanh(0.5), from [-1, 1] to bytes. The other one writes tanh(-0.5).
const ANIME: u8 = 186;
const PHOTO: u8 = 69;

/// A graph with weights 0 and, in the last convolutions, biases of 0.5 to `anime` and -0.5 to `photos`.
fn known() -> (Recipe, Graph) {
    let sets = ["data.size=32", "model.precision=f16", "sample.count=2"].map(String::from);
    let recipe = resolve("cyclegan-small", &sets).unwrap();
    let graph = Graph::build(&recipe, &Conditions::new(), Device::Cpu);
    tch::no_grad(|| {
        for (name, mut tensor) in graph.tensors() {
            let last = tensor.size() == [3];
            let bias = if name.starts_with("generators.x_to_y.") { 0.5 } else { -0.5 };
            let _ = tensor.fill_(if last { bias } else { 0.0 });
        }
    });
    (recipe, graph)
}

/// A model file of it.
pub fn write_model(path: &Path) {
    let (recipe, graph) = known();
    let domains = Domains::from([(Space::X, "photos".to_string()), (Space::Y, "anime".to_string())]);
    save(path, &graph, &recipe, &about(domains, Conditions::new())).unwrap();
}

/// What a model says of itself that was not trained.
pub fn about(domains: Domains, conditions: Conditions) -> About {
    let training = Training {
        images: 0,
        of_images: 0,
        minutes: 0.0,
        seed: 0,
        device: "cpu".into(),
        data: [].into(),
        program: "a test".into(),
        imported_from: Vec::new(),
    };
    About { domains, conditions, training, notes: translate::model::Notes::default() }
}

fn translate(root: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_translate")).current_dir(root).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn open(path: &Path) -> RgbImage {
    image::open(path).unwrap().into_rgb8()
}

/// Mean absolute difference of values from 0 to 1.
fn l1(pairs: &[(RgbImage, RgbImage)]) -> f64 {
    let of = |(a, b): &(RgbImage, RgbImage)| {
        let sum: u64 = a.iter().zip(b.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / 255.0 / a.len() as f64
    };
    pairs.iter().map(of).sum::<f64>() / pairs.len() as f64
}

#[test]
fn apply_and_eval_go_the_way_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces"), &Options { count: 4, size: 32, seed: 5, holdout: Some(3) }).unwrap();
    write_model(&root.join("m.safetensors"));
    for (out, to, value) in
        [("a", &[][..], ANIME), ("b", &["--to", "anime"], ANIME), ("c", &["--to", "photos"], PHOTO)]
    {
        translate(root, &[&["apply", "m.safetensors", "faces/photos/00002.png", "-o", out], to].concat());
        let drawn = open(&root.join(out).join("00002.png"));
        assert!(drawn.dimensions() == (32, 32) && drawn.iter().all(|byte| *byte == value), "{to:?}");
    }

    // Answers in another format, to be found by their stems, and one photo without an answer.
    let holdout = root.join("faces/holdout");
    let mut stems: Vec<_> =
        std::fs::read_dir(holdout.join("anime")).unwrap().map(|e| e.unwrap().path()).collect();
    stems.retain(|path| path.extension().is_some_and(|extension| extension == "png"));
    stems.sort();
    assert_eq!(stems.len(), 3);
    std::fs::create_dir(root.join("answers")).unwrap();
    let (mut translated, mut untouched) = (Vec::new(), Vec::new());
    for path in &stems[1..] {
        let answer = open(path);
        answer.save(root.join("answers").join(path.file_name().unwrap()).with_extension("bmp")).unwrap();
        translated.push((RgbImage::from_pixel(32, 32, Rgb([ANIME; 3])), answer.clone()));
        untouched.push((open(&holdout.join("photos").join(path.file_name().unwrap())), answer));
    }
    let args =
        ["eval", "m.safetensors", "faces/holdout/photos", "faces/anime", "--pairs", "answers", "--json"];
    let report: serde_json::Value = serde_json::from_str(&translate(root, &args)).unwrap();
    assert_eq!(
        (&report["to"], &report["images"], &report["paired"]["images"]),
        (&"anime".into(), &3.into(), &2.into())
    );
    for (name, pairs) in [("translated", &translated), ("untouched", &untouched)] {
        let found = report["paired"][name]["l1"].as_f64().unwrap();
        assert!((found - l1(pairs)).abs() < 1e-6, "{name}: {found}, expected {}", l1(pairs));
    }
    // A gray field has no detail, so its distance to the drawings is far above the photos'.
    let mean = |name: &str| report[name]["mean"].as_f64().unwrap();
    assert!(mean("translated_to_target") > 2.0 * mean("source_to_target"), "{report}");
}

#[test]
fn a_later_program_s_model_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    for (training, made_by) in
        [(r#"{ "program": "translate 7.0.0", "newer": 1 }"#, ", translate 7.0.0"), ("?", "")]
    {
        let texts = [("translate", "1"), ("recipe", "format: 2\nneeds: 7.0.0\n"), ("training", training)];
        let metadata = texts.map(|(key, text)| (key.to_string(), text.to_string())).into();
        let tensors = Vec::<(String, safetensors::tensor::TensorView<'_>)>::new();
        std::fs::write(&path, safetensors::serialize(tensors, Some(metadata)).unwrap()).unwrap();
        let text = translate::model::open(&path, Device::Cpu).unwrap_err().to_string();
        assert!(text.contains("`format` is `2`, of a later version"), "{text}");
        assert!(text.ends_with(&format!("\nhint: use the version that made it{made_by}")), "{text}");
    }
}

#[test]
fn images_of_any_size_come_back_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_model(&root.join("m.safetensors"));
    std::fs::create_dir(root.join("in")).unwrap();
    let sizes = [(1, 1), (33, 17), (7, 50)];
    let name = |(width, height): (u32, u32)| format!("{width}x{height}.png");
    for (width, height) in sizes {
        let picture = RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 200]));
        picture.save(root.join("in").join(name((width, height)))).unwrap();
    }
    translate(root, &["apply", "m.safetensors", "in", "-o", "out"]);
    for size in sizes {
        let drawn = open(&root.join("out").join(name(size)));
        assert_eq!(drawn.dimensions(), size);
        assert!(drawn.iter().all(|byte| *byte == ANIME), "{size:?}");
    }
}

/// The picture of 32 pixels a side in a column and a row of a grid, where `before` groups have begun up to that column.
fn cell(grid: &RgbImage, column: u32, row: u32, before: u32) -> RgbImage {
    let (left, top) = (34 * column + 2 * before, 2 + 34 * row);
    image::imageops::crop_imm(grid, left, top, 32, 32).to_image()
}

fn plain(value: u8) -> RgbImage {
    RgbImage::from_pixel(32, 32, Rgb([value; 3]))
}

#[test]
fn a_sample_grid_shows_source_translation_and_reconstruction_both_ways() {
    let (recipe, graph) = known();
    let source =
        |space: u8, row: u8| RgbImage::from_fn(32, 32, |x, y| Rgb([x as u8, y as u8, 10 * space + row]));
    let crops = [0, 1].map(|space| [0, 1].map(|row| source(space, row).into_raw()).to_vec());
    let inputs = samples::inputs(&recipe, &IndexMap::new(), &crops, Device::Cpu);
    let grid = samples::draw(&graph, &inputs);
    assert_eq!(grid.dimensions(), (6 * 34 + 2 * 2, 2 * 34 + 2));
    for row in [0, 1] {
        for (space, [translation, reconstruction]) in [(0, [ANIME, PHOTO]), (1, [PHOTO, ANIME])] {
            let at = |column: u32| cell(&grid, 3 * space + column, row, 1 + space);
            assert!(at(0) == source(space as u8, row as u8), "source {space}, {row}");
            assert!(at(1) == plain(translation) && at(2) == plain(reconstruction), "space {space}, {row}");
        }
    }
}

#[test]
fn eval_prints_a_table_and_draws_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces"), &Options { count: 4, size: 32, seed: 5, holdout: Some(3) }).unwrap();
    write_model(&root.join("m.safetensors"));
    let eval =
        ["eval", "m.safetensors", "faces/holdout/photos", "faces/anime", "--pairs", "faces/holdout/anime"];
    let table = translate(root, &[&eval[..], &["--picture", "p.png", "--rows", "2"]].concat());
    let report: serde_json::Value =
        serde_json::from_str(&translate(root, &[&eval[..], &["--json"]].concat())).unwrap();

    let row = |name: &str| {
        let line =
            table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {table}"));
        let numbers =
            line[26..].split_whitespace().map(|text| text.trim_end_matches('%').parse::<f64>().unwrap());
        numbers.collect::<Vec<_>>()
    };
    assert!(table.starts_with("3 images to anime, compared with 4 at 32×32\n"), "{table}");
    assert!(table.contains("\nagainst 3 true answers   translated  doing nothing    ratio\n"), "{table}");
    let paired =
        |name: &str| ["translated", "untouched"].map(|side| report["paired"][side][name].as_f64().unwrap());
    let swd = ["translated_to_target", "source_to_target"].map(|side| report[side]["mean"].as_f64().unwrap());
    let expected = [("l1", paired("l1")), ("psnr", paired("psnr")), ("ssim", paired("ssim")), ("mean", swd)];
    for (name, [translated, untouched]) in expected {
        let found = row(name);
        let near = |found: f64, expected: f64, by: f64| (found - expected).abs() <= by;
        let rounding = if name == "mean" { 0.005_01 } else { 0.000_051 };
        assert!(
            near(found[0], translated, rounding) && near(found[1], untouched, rounding),
            "{name}: {table}"
        );
        assert!(near(found[2], 100.0 * translated / untouched, 0.051), "{name}: {table}");
    }
    assert!(table.contains("\n32 pixels ") && table.contains("\n16 pixels "), "{table}");

    let picture = open(&root.join("p.png"));
    assert_eq!(picture.dimensions(), (3 * 34 + 2, 2 * 34 + 2));
    for row in [0, 1] {
        let side = |name: &str| open(&root.join(format!("faces/holdout/{name}/{row:05}.png")));
        let columns = [0, 1, 2].map(|column| cell(&picture, column, row, 1));
        assert!(columns == [side("photos"), plain(ANIME), side("anime")], "row {row}");
    }
}
