//! What people send each other works where it arrives: a run's recipe trains the same model, a model file alone applies, and
//! what its owner wrote into it stays.

use std::path::Path;
use std::process::Command;

use translate::data::portraits::{Options, write_dataset};

use crate::bad_input::refused;

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
    // Named as the run or the model itself, too.
    translate(here.path(), &[&train[..], &["run", "--run", "again"]].concat());
    assert!(ours == model(here.path(), "again"), "a run's recipe gives other bits");
    let of_model = ["run/model.safetensors", "--run", "third", "--dry-run"];
    assert_eq!(translate(here.path(), &[&train[..], &of_model].concat()).trim_end(), sent.trim_end());
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
    let shown = translate(alone, &["model", "show", "m.safetensors"]);
    let row = shown.lines().find(|line| line.starts_with("recipe ")).unwrap();
    let (_, command) = row.split_once("`translate ").unwrap();
    let args: Vec<&str> = command.split('`').next().unwrap().split(' ').collect();
    assert!(translate(alone, &args).contains("about: mine\n"), "{row}");
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

/// A model that lies elsewhere or was shared with others stays where it is and as it was.
#[cfg(unix)]
#[test]
fn a_note_goes_through_a_link_and_not_into_what_is_read_only() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let [file, link] = ["file", "link"].map(|name| root.join(format!("{name}.safetensors")));
    crate::model::write_model(&file);
    symlink("file.safetensors", &link).unwrap();
    translate(root, &["model", "show", "link.safetensors", "--set-note", "mine", "--set-licence", "CC0-1.0"]);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    let card = || {
        let shown = translate(root, &["model", "show", "file.safetensors", "--json"]);
        let card: serde_json::Value = serde_json::from_str(&shown).unwrap();
        (card["note"].clone(), card["licence"].clone())
    };
    assert_eq!(card(), ("mine".into(), "CC0-1.0".into()));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
    for (name, option) in [("file", "--set-note"), ("link", "--set-licence")] {
        let model = format!("@{name}.safetensors");
        let told = format!("cannot write `{name}.safetensors`: it is read-only\nhint: check the permissions");
        refused(root, &["model", "show", &model, option, "another"], &[&told]);
    }
    assert_eq!(card(), ("mine".into(), "CC0-1.0".into()));
}

/// What fits one model need not fit the next, but must not go without a word.
#[test]
fn an_import_over_a_model_tells_which_notes_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let net = serde_json::json!({ "kind": "resnet", "width": 4, "blocks": 1 });
    crate::generators::write(&crate::generators::translator(&net), &root.join("a.safetensors"));
    translate(root, &["model", "export", "a.safetensors", "--format", "pth", "-o", "G.pth"]);
    let import = || {
        let args = ["model", "import", "G.pth", "--from", "photo", "--to", "anime", "-o", "m.safetensors"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
        let output = command.current_dir(root).args(args).arg("--overwrite").output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        told
    };
    assert!(!import().contains("warning"));
    translate(root, &["model", "show", "m.safetensors", "--set-licence", "CC0-1.0", "--set-note", "for all"]);
    let told = import();
    let gone =
        "warning: the model before had the licence `CC0-1.0` and note `for all`, which may not fit this one";
    assert!(told.contains(gone), "{told}");
    let hint =
        "\nhint: where it fits, `translate model show m.safetensors --set-licence \"…\" --set-note \"…\"`";
    assert!(told.contains(hint), "{told}");
    assert!(!import().contains("warning"));
}

/// A model file of which one text of the metadata is `change`d and nothing else.
fn with(from: &Path, to: &Path, key: &str, change: impl Fn(&str) -> String) {
    let bytes = std::fs::read(from).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let changed = change(&metadata[key]);
    assert_ne!(metadata.insert(key.into(), changed.clone()), Some(changed));
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    std::fs::write(to, safetensors::serialize(file.tensors(), Some(metadata)).unwrap()).unwrap();
}

/// At the largest widths and depths that a recipe can have, the networks would take gigabytes.
#[test]
fn a_recipe_that_asks_for_more_than_its_file_holds_is_refused_before_anything_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    crate::model::write_model(&root.join("small.safetensors"));
    for (name, model) in crate::generators::captioned() {
        crate::generators::write(&model, &root.join(format!("{name}.safetensors")));
    }
    for (file, fields, part) in [
        ("small", &[("width: 24", "width: 100000")][..], "net.width` is `100000`; expected 1 to 1024"),
        (
            "small",
            &[("width: 24", "width: 1024"), ("blocks: 4", "blocks: 64")],
            "`generators.x_to_y.model.1.weight` has shape [24, 3, 7, 7]; expected [1024, 3, 7, 7]",
        ),
        (
            "small",
            &[("blocks: 4", "blocks: 64")],
            "`generators.x_to_y.model.14.conv_block.1.weight` is missing",
        ),
        (
            "gru",
            &[("noise: 12", "noise: 4096")],
            "`generators.z_to_x.main.0.weight` has shape [20, 16, 4, 4]; expected [4104, 16, 4, 4]",
        ),
        (
            "gru",
            &[("words: 6", "words: 1024")],
            "`generators.z_to_x.encoder.embedding.weight` has shape [7, 6]; expected [7, 1024]",
        ),
        (
            "transformer",
            &[("layers: 1", "layers: 16")],
            "`generators.z_to_x.encoder.layers.1.self_attn.in_proj_weight` is missing",
        ),
    ] {
        let change = |text: &str| fields.iter().fold(text.into(), |text: String, (a, b)| text.replace(a, b));
        with(&root.join(format!("{file}.safetensors")), &root.join("m.safetensors"), "recipe", change);
        let start = std::time::Instant::now();
        refused(root, &["model", "show", "@m.safetensors"], &["`m.safetensors` ", part, "\nhint: "]);
        let took = start.elapsed();
        assert!(took < std::time::Duration::from_secs(1), "{part}: {took:?}");
    }
}

/// What moves a cursor, begins a line or turns the order of writing around is a stranger's to write and not to do.
#[test]
fn what_a_stranger_wrote_into_a_model_is_shown_and_not_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let file = |name: &str| root.join(format!("{name}.safetensors"));
    crate::model::write_model(&file("plain"));
    let odd = "\u{1b}[2Jx\u{9b}A\u{202e}\nlicence  CC0\r";
    with(&file("plain"), &file("a"), "domains", |_| {
        serde_json::json!({ "x": odd, "y": "anime" }).to_string()
    });
    with(&file("a"), &file("b"), "notes", |_| serde_json::json!({ "note": odd }).to_string());
    with(&file("b"), &file("m"), "recipe", |text| text.replace("about: Un", "about: \"a\\n\\e[2Jb\" #"));
    let is_obeyed = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
    let shown = translate(root, &["model", "show", "m.safetensors"]);
    assert!(!shown.contains(is_obeyed), "{shown:?}");
    let rows = ["about ", "generator x_to_y ", "licence ", "note "].map(|row| {
        let mut lines = shown.lines().filter(|line| line.starts_with(row));
        let line = lines.next().unwrap_or_else(|| panic!("{row}: {shown}"));
        assert!(lines.next().is_none(), "{row}: {shown}");
        line.split_once("  ").unwrap().1.trim()
    });
    let plain = "[2Jx A  licence  CC0";
    assert_eq!(rows[0], "a  [2Jb");
    assert!(rows[1].starts_with(&format!("{plain}  to anime, resnet, ")), "{shown}");
    assert_eq!(&rows[2..], ["not told", plain]);
    let json = translate(root, &["model", "show", "m.safetensors", "--json"]);
    assert!(!json.contains(is_obeyed), "{json:?}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["note"], odd);
    let about = "about: \"a\\u202e\\n\\e[2Jb\" # \u{1b}[2J\u{202e}\n#";
    with(&file("b"), &file("r"), "recipe", |text| text.replace("about: ", about));
    for more in [&[][..], &["--resolved"], &["--origin"]] {
        let shown = translate(root, &[&["recipe", "show", "r.safetensors"], more].concat());
        assert!(!shown.contains(is_obeyed) && shown.contains("[2Jb"), "{shown:?}");
    }
    let differs = translate(root, &["recipe", "diff", "r.safetensors", "plain.safetensors"]);
    assert!(differs.starts_with("about: ") && differs.lines().count() == 1, "{differs}");
    assert!(!differs.contains(is_obeyed), "{differs:?}");
    let apply = ["apply", "@m.safetensors", "@", "-o", "@out", "--to", "animes"];
    let text = refused(root, &apply, &["makes no `animes`; it translates to ", "[2Jx A  licence", "`anime`"]);
    assert!(!text.contains(is_obeyed), "{text:?}");
    // The recipe's own lines are drawn, too.
    with(&file("a"), &file("m"), "recipe", |text| text.replacen("norm:", "n\u{85}\u{9b}orm:", 1));
    let text =
        refused(root, &["model", "show", "@m.safetensors"], &["unknown field `n  orm`", "n  orm: inst"]);
    assert!(!text.contains(is_obeyed), "{text:?}");
    let error = translate::model::open(&file("m"), tch::Device::Cpu).unwrap_err().to_string();
    assert!(!error.contains(is_obeyed), "{error:?}");
    with(&file("a"), &file("m"), "domains", |_| format!("[{:?}]", "\u{1b}[2J"));
    let text = refused(root, &["model", "show", "@m.safetensors"], &["no valid `domains`"]);
    assert!(!text.contains(is_obeyed), "{text:?}");
}

/// Nothing could be drawn by it, whatever is asked for.
#[test]
fn a_model_without_a_class_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let net = serde_json::json!({ "kind": "dcgan", "noise": 3, "width": 2 });
    crate::generators::write(&crate::generators::sampler(&net, true), &root.join("a.safetensors"));
    let none = |text: &str| text.replace(r#"["cat","dog","owl"]"#, "[]");
    with(&root.join("a.safetensors"), &root.join("b.safetensors"), "conditions", none);
    let sample = ["sample", "@b.safetensors", "-o", "@out"];
    refused(root, &sample, &["no valid `conditions`: nothing for `x`", "\nhint: "]);
}
