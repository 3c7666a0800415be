//! What people send each other works where it arrives: a run's recipe trains the same model, a model file alone applies, and
//! what its owner wrote into it stays.

use std::path::Path;
use std::process::Command;

use translate::data::portraits::{Options, write_dataset};

/// Runs the program in a folder; stdout, where it succeeds.
fn translate(root: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_translate"))
        .current_dir(root)
        .args(args)
        .env("OMP_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn faces(root: &Path) {
    write_dataset(&root.join("faces"), &Options { count: 6, size: 32, seed: 1, holdout: None }).unwrap();
}

/// A file that extends a shipped recipe.
const MINE: &str = "format: 1
extends: cyclegan-small
about: mine
data: { size: 32, load_size: 36 }
generators:
  x_to_y: { net: { width: 4, blocks: 1 } }
  y_to_x: { net: { width: 4, blocks: 1 } }
discriminators: { x: { net: { width: 4 } }, y: { net: { width: 4 } } }
train: { images: 12, batch: 2, ema: 0.9 }
";

/// The tensors of a model file, by which two models are equal bits or not.
fn weights(path: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<(String, Vec<u8>)> =
        file.tensors().into_iter().map(|(name, tensor)| (name, tensor.data().to_vec())).collect();
    tensors.sort();
    tensors
}

#[test]
fn a_run_s_recipe_trains_the_same_model_elsewhere() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(here.path().join("mine.yaml"), MINE).unwrap();
    for root in [here.path(), there.path()] {
        faces(root);
    }
    let train = ["train", "faces/photos", "faces/anime", "--device", "cpu", "-r"];
    translate(here.path(), &[&train[..], &["mine.yaml", "--run", "run", "--set", "optim.lr=1e-3"]].concat());
    // Alone, under another name, into a run of another name.
    std::fs::copy(here.path().join("run/recipe.yaml"), there.path().join("sent.yaml")).unwrap();
    translate(there.path(), &[&train[..], &["sent.yaml", "--run", "theirs"]].concat());
    let model = |root: &Path, run: &str| weights(&root.join(run).join("model.safetensors"));
    let (ours, theirs) = (model(here.path(), "run"), model(there.path(), "theirs"));
    assert!(ours.len() > 10);
    assert!(ours == theirs, "the same recipe, data and seed give other bits");
    // It says everything: laid over by nothing, it is itself, and what it was made from is told beside it.
    let resolved = translate(there.path(), &["recipe", "show", "sent.yaml", "--resolved"]);
    let sent = std::fs::read_to_string(there.path().join("sent.yaml")).unwrap();
    assert_eq!(resolved.trim_end(), sent.trim_end());
    assert_eq!(translate(there.path(), &["recipe", "diff", "sent.yaml", "theirs"]), "");
    assert_eq!(
        translate(here.path(), &["recipe", "diff", "mine.yaml", "run/model.safetensors"]),
        "optim.lr: 0.0004 -> 0.001\n"
    );
    let info: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(here.path().join("run/run.json")).unwrap()).unwrap();
    assert_eq!(info["recipes"], serde_json::json!(["cyclegan-small", "mine.yaml"]));
}

#[test]
fn a_model_file_alone_applies_and_keeps_what_its_owner_wrote() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (root, alone) = (here.path(), there.path());
    std::fs::write(root.join("mine.yaml"), MINE).unwrap();
    faces(root);
    let train = ["train", "faces/photos", "faces/anime", "--device", "cpu", "--run", "run"];
    translate(root, &[&train[..], &["-r", "mine.yaml"]].concat());
    translate(root, &["model", "show", "run", "--set-licence", "CC0-1.0", "--set-note", "for all"]);
    std::fs::copy(root.join("run/model.safetensors"), alone.join("m.safetensors")).unwrap();
    std::fs::create_dir(alone.join("in")).unwrap();
    let photos = std::fs::read_dir(root.join("faces/photos")).unwrap().map(|entry| entry.unwrap().path());
    let photo = photos.filter(|path| path.extension().unwrap() == "png").min().unwrap();
    std::fs::copy(photo, alone.join("in/a.png")).unwrap();
    translate(alone, &["apply", "m.safetensors", "in", "-o", "out", "--device", "cpu"]);
    assert!(image::open(alone.join("out/a.png")).is_ok());
    let shown = translate(alone, &["model", "show", "m.safetensors", "--json"]);
    let card: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&card["licence"], &card["note"]), (&"CC0-1.0".into(), &"for all".into()));
    assert_eq!(card["training"]["images"], 12);
    // A run that goes on writes its model anew, with what was written into it.
    translate(root, &[&train[..], &["--set", "train.images=16"]].concat());
    let card: serde_json::Value =
        serde_json::from_str(&translate(root, &["model", "show", "run", "--json"])).unwrap();
    assert_eq!((&card["licence"], &card["training"]["images"]), (&"CC0-1.0".into(), &16.into()));
}
