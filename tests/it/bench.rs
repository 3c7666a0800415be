//! `translate bench` from its command line, and its count of products by hand and by `PyTorch`'s.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tch::Device;
use translate::bench::train::Training;
use translate::bench::{Repeats, apply, train};
use translate::recipe::{PRESETS, Recipe, resolve};
use translate::torch::count_products;

use crate::python;
use crate::recipes::small_with;

/// Of every report.
const FIELDS: [&str; 14] = [
    "program",
    "libtorch",
    "recipe",
    "device",
    "hardware",
    "threads",
    "size",
    "batch",
    "steps",
    "warm_up",
    "parts_ms",
    "peak_memory_bytes",
    "tflops",
    "share_of_peak",
];

/// Networks that take no time.
fn tiny() -> Vec<String> {
    let mut sets = vec!["data.size=32".to_string(), "train.batch=2".into(), "loss.pool=1".into()];
    sets.extend(["x_to_y", "y_to_x"].map(|name| format!("generators.{name}.net.width=4")));
    sets.extend(["x", "y"].map(|space| format!("discriminators.{space}.net.width=4")));
    sets
}

fn bench(what: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    command.args(["bench", what, "--device", "cpu"]).args(args);
    command
}

fn bench_tiny(what: &str, args: &[&str]) -> Command {
    let mut command = bench(what, &["-r", "cyclegan-small"]);
    command.args(tiny().iter().flat_map(|set| ["--set", set])).args(args);
    command
}

fn report(mut command: Command, more: &[&str]) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found: Vec<&String> = report.as_object().unwrap().keys().collect();
    let all = || FIELDS.iter().chain(more).chain(&["peak_tflops"]);
    assert_eq!(found.len(), all().count(), "{found:?}");
    assert!(all().all(|field| report.get(*field).is_some()), "{found:?}");
    report
}

fn number(report: &Value, path: &str) -> f64 {
    let found = report.pointer(path).and_then(Value::as_f64);
    found.filter(|value| *value > 0.0).unwrap_or_else(|| panic!("{path} in {report}"))
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 * b.abs()
}

#[test]
fn training_is_reported_whole() {
    let args = ["--steps", "3", "--warm-up", "1", "--json"];
    let report = report(bench_tiny("train", &args), &["images_per_second", "step_ms", "products_per_step"]);
    assert_eq!((&report["steps"], &report["warm_up"], &report["batch"]), (&3.into(), &1.into(), &2.into()));
    let parts = report["parts_ms"].as_object().unwrap();
    assert_eq!(
        parts.keys().collect::<Vec<_>>(),
        ["load", "generators", "discriminators", "optimizer", "rest"]
    );
    let of_parts: f64 = parts.values().map(|ms| ms.as_f64().unwrap()).sum();
    let step = number(&report, "/step_ms/mean");
    assert!(parts.values().all(|ms| ms.as_f64().unwrap() > 0.0), "{report}");
    assert!(of_parts <= step, "{of_parts} ms of {step}");
    assert!(is_near(number(&report, "/images_per_second"), 2e3 / step));
    assert!(number(&report, "/step_ms/lower_quartile") <= number(&report, "/step_ms/median"));
    let tflops = 2.0 * number(&report, "/products_per_step") / (step * 1e-3) / 1e12;
    assert!(is_near(number(&report, "/tflops"), tflops));
    assert!(is_near(number(&report, "/share_of_peak"), tflops / number(&report, "/peak_tflops/f32")));
    // libtorch alone is more than this.
    assert!(number(&report, "/peak_memory_bytes") > 20e6);
}

#[test]
fn translating_is_reported_whole_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command =
        bench_tiny("apply", &["--size", "48", "--batch", "3", "--steps", "2", "--warm-up", "1", "--json"]);
    command.env("TMPDIR", folder.path());
    let report = report(command, &["network", "files", "batch_ms", "products_per_image"]);
    assert_eq!((&report["size"], &report["batch"], &report["steps"]), (&48.into(), &3.into(), &2.into()));
    let parts = report["parts_ms"].as_object().unwrap();
    assert_eq!(parts.keys().collect::<Vec<_>>(), ["decode", "network", "encode"]);
    for path in ["/parts_ms/decode", "/parts_ms/encode", "/files/images_per_second", "/files/image_ms"] {
        number(&report, path);
    }
    let image = number(&report, "/network/image_ms");
    assert!(is_near(image, number(&report, "/batch_ms/mean") / 3.0));
    assert!(is_near(number(&report, "/network/images_per_second"), 1e3 / image));
    assert_eq!(report["parts_ms"]["network"], report["network"]["image_ms"]);
    let tflops = 2.0 * number(&report, "/products_per_image") / (image * 1e-3) / 1e12;
    assert!(is_near(number(&report, "/tflops"), tflops));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_table_says_the_same() {
    for (what, lines) in [
        ("train", &["training ", "step ", "  generators ", "memory ", "work "][..]),
        ("apply", &["network alone ", "files to files ", "batch ", "  decode ", "memory ", "work "]),
    ] {
        let output = bench_tiny(what, &["--steps", "1", "--warm-up", "0"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for line in lines {
            assert!(text.lines().any(|printed| printed.starts_with(line)), "no `{line}` in {text}");
        }
    }
}

#[test]
fn turns_are_taken_until_the_input_ends() {
    for (what, asked, hello) in [("train", "step", "/recipe/data/size"), ("apply", "network", "/files")] {
        let mut command = bench_tiny(what, &["--warm-up", "1", "--serve"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut requests = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut answer = || serde_json::from_str::<Value>(&answers.next().unwrap().unwrap()).unwrap();
        assert!(answer().pointer(hello).is_some());
        for asked in [asked, "files"] {
            writeln!(requests, "{asked}").unwrap();
            let answer = answer();
            assert!(number(&answer, "/ms") > 0.0 && number(&answer, "/peak_memory_bytes") > 0.0);
        }
        drop(requests);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for (what, args, expected) in [
        (
            "apply",
            &["-r", "demo", "--size", "30"][..],
            "`--size 30`: expected a multiple of 4 from 16 to 4096",
        ),
        ("apply", &["-r", "cgan-tiny"], "the model draws `x` from noise and translates nothing"),
        ("apply", &["run", "-r", "demo"], "the argument '[MODEL]' cannot be used with '--recipe <RECIPE>'"),
        ("train", &["-r", "cyclegam"], "did you mean `cyclegan`?"),
        ("train", &["--steps", "0"], "expected 1 to 1000000"),
        ("apply", &["--precision", "fp8"], "[possible values: auto, fp32, tf32, bf16]"),
    ] {
        let output = bench(what, args).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
        assert!(told.contains(expected), "{args:?}: {told}");
    }
}

/// Every condition, noise and augmentation of the shipped recipes.
#[test]
fn every_shipped_recipe_can_be_timed() {
    for preset in PRESETS {
        let recipe = small_with(preset.name, 2, &[]);
        let mut training = Training::new(&recipe, Device::Cpu).unwrap();
        assert!(training.step().unwrap().as_nanos() > 0, "{}", preset.name);
    }
}

#[test]
fn steps_are_timed_in_whole_rounds() {
    let recipe = small_with("wgan-gp-tiny", 2, &[]);
    let round = recipe.train.critic_steps;
    assert!(round > 1);
    let repeats = Repeats { steps: round + 1, warm_up: 0 };
    let report = train::measure("wgan-gp-tiny", &recipe, Device::Cpu, repeats).unwrap();
    assert_eq!(report.setting.repeats.steps, 2 * round);
}

/// A residual generator with transposed convolutions, at a square of `side`, by its layers: (results, products for each).
fn by_hand(side: u64, width: u64, blocks: u64) -> u64 {
    let (whole, half, quarter) = (side * side, side * side / 4, side * side / 16);
    let head = whole * width * (3 * 49);
    let downs = half * 2 * width * (width * 9) + quarter * 4 * width * (2 * width * 9);
    let block = 2 * quarter * 4 * width * (4 * width * 9);
    // Of a doubling each value of the input goes into 9 products for each channel of the result.
    let ups = quarter * 4 * width * (2 * width * 9) + half * 2 * width * (width * 9);
    let tail = whole * 3 * (width * 49);
    head + downs + blocks * block + ups + tail
}

fn generator(recipe: &Recipe, size: u32) -> u64 {
    let model = apply::fresh(recipe, Device::Cpu).unwrap();
    apply::products(&model, size, Device::Cpu).unwrap()
}

#[test]
fn products_of_a_small_generator_are_those_by_hand() {
    let sets = ["x_to_y", "y_to_x"]
        .map(|name| ["width=8", "blocks=2"].map(|field| format!("generators.{name}.net.{field}")));
    let recipe = resolve("cyclegan", &sets.concat()).unwrap();
    assert_eq!(generator(&recipe, 32), by_hand(32, 8, 2));
    assert_eq!(generator(&recipe, 64), by_hand(64, 8, 2));
}

/// The generator that the papers measure, and a whole step with all gradients.
#[test]
fn products_are_those_that_pytorch_counts() {
    let Some(python) = python::interpreter() else { return };
    let printed = python::run(&python, "products.py", Path::new("")).unwrap();
    let expected: Value = serde_json::from_str(&printed).unwrap();
    let recipe = resolve("cyclegan", &[]).unwrap();
    assert_eq!(generator(&recipe, 256), expected["generator"].as_u64().unwrap());
    assert_eq!(by_hand(256, 64, 9), 49_551_507_456);

    let mut sets = vec!["train.batch=2".to_string(), "loss.pool=0".into(), "data.size=32".into()];
    for name in ["x_to_y", "y_to_x"] {
        sets.extend(["width=8", "blocks=2"].map(|field| format!("generators.{name}.net.{field}")));
    }
    sets.extend(["x", "y"].map(|space| format!("discriminators.{space}.net.width=8")));
    let mut training = Training::new(&resolve("cyclegan", &sets).unwrap(), Device::Cpu).unwrap();
    let (done, products) = count_products(|| training.step()).unwrap();
    done.unwrap();
    assert_eq!(products, expected["step"].as_u64().unwrap());
}

/// The folder that `make bench-bundle` makes, somewhere else than the clone.
#[test]
#[ignore = "takes long: starts PyTorch several times; `make soak`"]
fn a_bundle_measures_where_it_lies() {
    let Some(python) = python::interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/bundle.sh");
    let packed = Command::new("sh").args([&script, &bundle]).arg(env!("CARGO_BIN_EXE_translate")).status();
    assert!(packed.unwrap().success());
    let output = Command::new("sh")
        .arg(bundle.join("run.sh"))
        .env("PYTHON", python)
        .envs([("DEVICE", "cpu"), ("TRAIN", "demo:1"), ("APPLY", "demo:2"), ("RESULTS", "results.md")])
        .envs([("MODES", "eager,channels-last+bf16"), ("TURNS", "2"), ("FILES", "2")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results = std::fs::read_to_string(bundle.join("results.md")).unwrap();
    assert_eq!(results, String::from_utf8_lossy(&output.stdout));
    for line in [
        "### `translate doctor`",
        "### `translate bench train -r demo --set train.batch=1 --device cpu`",
        "| train `demo` on cpu | ms a step | images/s | memory | translate / this |",
        "### `translate bench apply -r demo --batch 2 --device cpu --steps 1`",
        "| apply `demo` on cpu | ms an image | images/s | memory | translate / this |",
    ] {
        assert!(results.lines().any(|found| found == line), "no `{line}` in {results}");
    }
    for (row, count) in
        [("| translate |", 2), ("| PyTorch, eager |", 2), ("| PyTorch, channels-last + bf16 |", 2)]
    {
        let found = results.lines().filter(|line| line.starts_with(row) && line.matches('|').count() == 6);
        assert_eq!(found.count(), count, "{row} in {results}");
    }
    assert!(!results.contains("does not work here"), "{results}");
}
