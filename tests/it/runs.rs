//! Short runs of the program, for what shows only over many ticks or starts.

use std::path::Path;
use std::process::Command;

use translate::data::portraits::{Options, write_dataset};
use translate::train::checkpoint;
use translate::train::metrics::Tick;

/// What `translate train` says on stderr in a folder that has portraits in `faces`; it must succeed.
fn train(root: &Path, args: &[&str], sets: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    command.current_dir(root).arg("train").args(args).args(["--device", "cpu"]);
    command.args(sets.iter().flat_map(|set| ["--set", set]));
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

fn faces(root: &Path) {
    write_dataset(&root.join("faces"), &Options { count: 8, size: 64, seed: 1, holdout: None }).unwrap();
}

const QUIET: [&str; 2] = ["sample.every=1000", "checkpoint.every=1000"];

/// A generator from noise of 16 pixels, with a tick and a comparison at every step.
const WATCHED: [&str; 6] = [
    "data.size=16",
    "data.load_size=16",
    "generators.z_to_x.net.width=4",
    "train.batch=2",
    "log.every=2",
    "monitor.every=2",
];
const COLLAPSED: &str =
    "warning: generator `z_to_x` has been drawing few different pictures for long (mode collapse)";
const SATURATED: &str = "warning: the Jensen–Shannon divergence of `anime` has been at log 2 for long";

/// A generator that hardly moves draws what a fresh one does, nearly flat grey.
#[test]
fn a_collapse_that_lasts_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    faces(folder.path());
    let sets = ["discriminators.x.net.width=4", "optim.lr=1e-9", "train.images=28"];
    let args = ["faces/anime", "-r", "dcgan-tiny", "--run", "run"];
    let said = train(folder.path(), &args, &[&WATCHED[..], &sets, &QUIET].concat());
    assert_eq!((said.matches(COLLAPSED).count(), said.matches("warning:").count()), (1, 1), "{said}");

    // Verdicts near 0 put the divergence of a batch now above and now below it; what is told bounds.
    let metrics = std::fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    let ticks = metrics.lines().map(|line| serde_json::from_str::<Tick>(line).unwrap());
    let estimates: Vec<f64> = ticks.map(|tick| tick.losses["divergence.x"]).collect();
    assert!(estimates.contains(&0.0) && estimates.iter().all(|estimate| *estimate >= 0.0), "{estimates:?}");
}

/// A discriminator that takes every step alone soon tells grey from anything else.
#[test]
fn an_estimate_that_stays_saturated_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    faces(folder.path());
    let sets = [
        "discriminators.x.net.width=8",
        "discriminators.x.net.norm=none",
        "optim.lr=5e-3",
        "train.critic_steps=1000",
        "train.images=120",
    ];
    let args = ["faces/anime", "-r", "gan-tiny", "--run", "run"];
    let said = train(folder.path(), &args, &[&WATCHED[..], &sets, &QUIET].concat());
    let count = |text| said.matches(text).count();
    assert_eq!((count(SATURATED), count(COLLAPSED), count("warning:")), (1, 1, 2), "{said}");
}

/// Dropout is the one random choice that libtorch makes, and falls to levels that only a deep U-Net has.
#[test]
fn a_run_with_dropout_goes_on_with_equal_bits() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    faces(root);
    let weights = |run: &str, images: &str, dropout: bool| {
        let (images, dropout) =
            (format!("train.images={images}"), format!("generators.x_to_y.net.dropout={dropout}"));
        let sets = [
            images.as_str(),
            dropout.as_str(),
            "data.size=64",
            "data.load_size=64",
            "generators.x_to_y.net.width=2",
            "generators.x_to_y.net.downs=6",
            "discriminators.y.net.width=2",
            "train.batch=2",
            // A constant rate, which does not depend on the run's length.
            "train.decay_after=1",
            "monitor.count=0",
        ];
        let args = ["faces/photos", "faces/anime", "-r", "pix2pix-tiny", "--run", run];
        train(root, &args, &[&sets[..], &QUIET].concat());
        let (_, stored) = checkpoint::newest(&root.join(run).join("checkpoints")).unwrap().unwrap();
        stored.tensors
    };
    let straight = weights("straight", "12", true);
    weights("halves", "6", true);
    let halves = weights("halves", "12", true);
    assert_eq!(straight.len(), halves.len());
    for (name, tensor) in &straight {
        assert_eq!(*tensor, halves[name], "{name}");
    }
    let without = weights("without", "12", false);
    assert!(straight.iter().any(|(name, tensor)| *tensor != without[name]), "no level had dropout");
}
