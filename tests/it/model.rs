//! A model whose answers are known beforehand: which way `apply` and `eval` go, and what `eval` says of it.

use std::path::Path;
use std::process::Command;

use image::RgbImage;
use tch::Device;
use translate::data::condition::Conditions;
use translate::data::portraits::{Options, write_dataset};
use translate::model::{About, Domains, Training, save};
use translate::nets::Graph;
use translate::recipe::{Space, resolve};

/// Every pixel that the generator to `anime` writes: tanh(0.5), from [-1, 1] to bytes. The other one writes tanh(-0.5).
const ANIME: u8 = 186;
const PHOTO: u8 = 69;

/// A model file with weights 0 and, in the last convolutions, biases of 0.5 to `anime` and -0.5 to `photos`.
pub fn write_model(path: &Path) {
    let sets = ["data.size=32", "model.precision=f16"].map(String::from);
    let recipe = resolve("cyclegan-small", &sets).unwrap();
    let graph = Graph::build(&recipe, &Conditions::new(), Device::Cpu);
    tch::no_grad(|| {
        for (name, mut tensor) in graph.tensors() {
            let last = tensor.size() == [3];
            let bias = if name.starts_with("generators.x_to_y.") { 0.5 } else { -0.5 };
            let _ = tensor.fill_(if last { bias } else { 0.0 });
        }
    });
    let domains = Domains::from([(Space::X, "photos".to_string()), (Space::Y, "anime".to_string())]);
    let training = Training {
        images: 0,
        of_images: 0,
        minutes: 0.0,
        seed: 0,
        device: "cpu".into(),
        data: [].into(),
        program: "a test".into(),
    };
    let about = About { domains, conditions: Conditions::new(), training };
    save(path, &graph, &recipe, &about).unwrap();
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
        translated.push((RgbImage::from_pixel(32, 32, image::Rgb([ANIME; 3])), answer.clone()));
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
