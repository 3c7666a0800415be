//! The model that comes with the program: its size, what it says of itself, and how near it comes to the truth.

use std::path::PathBuf;
use std::process::Command;

use tch::Device;
use translate::data::portraits::{Options, write_dataset};
use translate::model;
use translate::recipe::{resolve, to_yaml};

/// Bytes.
const MOST: u64 = 2_000_000;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/portraits.safetensors")
}

#[test]
fn it_is_small_and_was_trained_by_the_shipped_recipe() {
    let size = std::fs::metadata(path()).unwrap().len();
    assert!(size <= MOST, "{size} bytes");
    let model = model::open(&path(), Device::Cpu).unwrap();
    let recipe = resolve("portraits", &[]).unwrap();
    assert_eq!(to_yaml(&model.recipe).unwrap(), to_yaml(&recipe).unwrap());
    let training = &model.training;
    assert_eq!((training.images, training.seed), (recipe.train.images, recipe.train.seed));
    assert!(training.minutes > 1.0, "{training:?}");
    assert_eq!(model.domains.values().collect::<Vec<_>>(), ["photos", "anime"]);
}

/// By persons of another seed than it was trained with, each drawn both ways.
#[test]
fn it_comes_nearer_to_the_truth_than_the_untouched_picture_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_dataset(&root.join("faces"), &Options { count: 1, size: 64, seed: 77, holdout: Some(24) }).unwrap();
    for (from, to, most) in [("photos", "anime", 0.7), ("anime", "photos", 0.9)] {
        let output = Command::new(env!("CARGO_BIN_EXE_translate"))
            .current_dir(root.join("faces/holdout"))
            .arg("eval")
            .arg(path())
            .args([from, to, "--to", to, "--pairs", to, "--json"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let l1 = |what: &str| report["paired"][what]["l1"].as_f64().unwrap();
        let share = l1("translated") / l1("untouched");
        println!("{from} to {to}: {share:.3}");
        assert!(share < most, "{from} to {to}: {share}");
    }
}
