//! `translate model import`: generators that `PyTorch` saved (`tests/parity/checkpoints.py`), in both of its forms, and what
//! is refused.

use std::path::{Path, PathBuf};
use std::process::Command;

use image::RgbImage;
use serde::Deserialize;
use tch::{Device, Kind};
use translate::apply::batch::Batch;
use translate::model::import::{Imported, Request, import};
use translate::model::{self, Model};
use translate::nets::{mobile_resnet, resnet};
use translate::recipe::{Arithmetic, GeneratorNet, Space};

use crate::bad_input::refused;
use crate::python;

const FORMS: [&str; 2] = ["zip", "legacy"];

#[derive(Deserialize)]
struct Case {
    #[serde(rename = "case")]
    name: String,
    net: GeneratorNet,
}

/// Imports the checkpoint into the file `output` and opens that.
fn imported(checkpoint: &Path, output: &Path) -> Model {
    let request = Request { forward: checkpoint, inverse: None, from: "photo", to: "anime" };
    let Imported { graph, recipe, about } =
        import(&request).unwrap_or_else(|error| panic!("{}: {error}", checkpoint.display()));
    model::save(output, &graph, &recipe, &about).unwrap();
    model::open(output, Device::Cpu).unwrap()
}

/// The network that the case's recipe should have. What only a training asks for is not in a file.
fn expected(net: &GeneratorNet) -> GeneratorNet {
    match net.clone() {
        GeneratorNet::Unet(net) => {
            GeneratorNet::Unet(translate::nets::unet::Config { dropout: false, ..net })
        }
        GeneratorNet::MobileResnet(net) => {
            GeneratorNet::MobileResnet(mobile_resnet::Config::of_widths(net.down(), net.inner(), net.up()))
        }
        net => net,
    }
}

/// Largest difference between the model's pixels and those that `PyTorch` computed, of 255; as the file gives the model, and
/// made ready for many images.
fn largest_difference(model: &mut Model, arrays: &Path) -> f64 {
    let plain = difference(model, arrays);
    model.prepare(Some("anime"), Arithmetic::Fp32, Device::Cpu).unwrap();
    plain.max(difference(model, arrays))
}

fn difference(model: &Model, arrays: &Path) -> f64 {
    let arrays = python::arrays(arrays);
    let (_, height, width, _) = arrays["x"].size4().unwrap();
    let pixels: Vec<u8> = arrays["x"].flatten(0, -1).try_into().unwrap();
    let batch = Batch { count: 1, height: height as u32, width: width as u32, pixels };
    let translated = model.translator(Some("anime"), Device::Cpu).unwrap().translate(&batch).unwrap();
    let ours = tch::Tensor::from_slice(&translated.pixels).to_kind(Kind::Float).view_as(&arrays["y"]);
    (ours - &arrays["y"]).abs().max().double_value(&[])
}

#[test]
fn every_architecture_in_both_forms_draws_what_pytorch_draws() {
    let Some(folder) = python::reference() else { return };
    let folder = folder.join("checkpoints");
    let cases: Vec<Case> =
        serde_json::from_str(&std::fs::read_to_string(folder.join("cases.json")).unwrap()).unwrap();
    assert!(cases.len() >= 27);
    let temporary = tempfile::tempdir().unwrap();
    let output = temporary.path().join("model.safetensors");
    for (case, form) in cases.iter().flat_map(|case| FORMS.map(|form| (case, form))) {
        let name = &case.name;
        let mut model = imported(&folder.join(format!("{name}.{form}.pth")), &output);
        assert_eq!(model.recipe.generators["x_to_y"].net, expected(&case.net), "{name}");
        assert_eq!(model.recipe.about, format!("Imported from `{name}.{form}.pth`"));
        assert_eq!((model.recipe.loss.cycle, model.recipe.loss.identity), (0.0, 0.0));
        let difference = largest_difference(&mut model, &folder.join(format!("{name}.npz")));
        println!("{name}, {form}: {difference:.3} of 255");
        assert!(difference <= 1.0, "{name}, {form}: {difference} of 255");
    }
}

/// From the command line, on a file: there by one checkpoint, back by another one of another architecture.
#[test]
fn a_model_of_two_checkpoints_translates_both_ways() {
    let Some(folder) = python::reference() else { return };
    let folder = folder.join("checkpoints");
    let temporary = tempfile::tempdir().unwrap();
    let output = temporary.path().join("model.safetensors");
    let [there, back] = ["resnet_6.zip.pth", "mobile.legacy.pth"].map(|name| folder.join(name));
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    command.args(["model", "import", "--from", "photo", "--to", "anime", "-o"]).arg(&output);
    let ended = command.arg(&there).arg("--inverse").arg(&back).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let said = String::from_utf8(ended.stdout).unwrap();
    let line =
        r#"photo to anime: 124931 parameters, {"kind":"resnet","width":8,"blocks":6,"norm":"instance""#;
    assert!(
        said.contains(line) && said.contains("\nanime to photo: ") && said.contains("\nimported into"),
        "{said}"
    );
    let model = model::open(&output, Device::Cpu).unwrap();
    assert_eq!(model.recipe.generators.len(), 2);
    assert_eq!((model.recipe.loss.cycle, model.recipe.loss.identity), (10.0, 0.5));
    assert_eq!(model.domains.values().collect::<Vec<_>>(), ["photo", "anime"]);
    assert!(model.training.was_elsewhere());
    let show = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
        String::from_utf8(command.args(["model", "show"]).arg(&output).args(more).output().unwrap().stdout)
            .unwrap()
    };
    let table = show(&[]);
    assert!(table.contains("\nimported from     `resnet_6.zip.pth` and `mobile.legacy.pth`\n"), "{table}");
    assert!(
        !table.contains("training") && !table.contains("minutes") && !table.contains("trained"),
        "{table}"
    );
    let card: serde_json::Value = serde_json::from_str(&show(&["--json"])).unwrap();
    assert_eq!(card["imported_from"], serde_json::json!(["resnet_6.zip.pth", "mobile.legacy.pth"]));
    assert!(card.get("training").is_none(), "{card}");
    for (case, to) in [("resnet_6", "anime"), ("mobile", "photo")] {
        let arrays = python::arrays(&folder.join(format!("{case}.npz")));
        let (_, height, width, _) = arrays["x"].size4().unwrap();
        let pixels: Vec<u8> = arrays["x"].flatten(0, -1).try_into().unwrap();
        let picture = temporary.path().join(format!("{case}.png"));
        RgbImage::from_raw(width as u32, height as u32, pixels).unwrap().save(&picture).unwrap();
        let mut apply = Command::new(env!("CARGO_BIN_EXE_translate"));
        apply.arg("apply").arg(&output).arg(&picture).args(["--to", to, "-o"]).arg(temporary.path().join(to));
        assert!(apply.output().unwrap().status.success());
        let drawn = image::open(temporary.path().join(to).join(format!("{case}.png"))).unwrap().into_rgb8();
        let expected: Vec<f32> = arrays["y"].flatten(0, -1).try_into().unwrap();
        let differences = drawn.iter().zip(&expected).map(|(ours, theirs)| (f32::from(*ours) - theirs).abs());
        let largest = differences.fold(0.0, f32::max);
        assert!(largest <= 1.0, "{case}: {largest} of 255");
    }
}

/// A valid recipe that says itself again, with no discriminator that nothing needs.
#[test]
fn the_recipe_inside_is_a_whole_one() {
    let Some(folder) = python::reference() else { return };
    let checkpoint = folder.join("checkpoints/cut.zip.pth");
    let imported =
        import(&Request { forward: &checkpoint, inverse: None, from: "photo", to: "anime" }).unwrap();
    let recipe = imported.recipe;
    assert_eq!(recipe.discriminators.keys().collect::<Vec<_>>(), [&Space::Y]);
    let text = translate::recipe::to_yaml(&recipe).unwrap();
    assert_eq!(translate::recipe::from_yaml("it", &text, &[]).unwrap(), recipe);
    let GeneratorNet::Resnet(net) = &recipe.generators["x_to_y"].net else { panic!("{text}") };
    assert_eq!(net.downsample, resnet::Downsample::Blur);
}

const IMPORT: [&str; 6] = ["--from", "photo", "--to", "anime", "-o", "@m.safetensors"];

/// `name` is refused as a checkpoint with all of `parts` in the message.
fn refuse(root: &Path, name: &str, parts: &[&str]) -> String {
    let file = format!("@{name}");
    refused(root, &[&["model", "import", &file], &IMPORT[..]].concat(), parts)
}

#[test]
fn what_is_no_checkpoint_is_told_by_what_it_is() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 45575747\n";
    for (name, contents, parts) in [
        ("pointer.pth", pointer, ["is a git-LFS pointer", "`git lfs pull`"]),
        ("page.pth", "\n<!DOCTYPE html>\n<html><head>", ["is an HTML page", "download the file"]),
        ("page2.pth", "<html lang=\"en\">", ["is an HTML page", "download the file"]),
        ("empty.pth", "", ["is an empty file", "download it again"]),
        ("notes.pth", "some words", ["is no file of PyTorch", "torch.save(net.state_dict()"]),
        ("start.pth", "PK\x03\x04", ["truncated or damaged", "compare the sizes"]),
    ] {
        std::fs::write(root.join(name), contents).unwrap();
        let text = refuse(root, name, &parts);
        assert!(text.starts_with(&format!("`{name}` is ")) && text.contains("; expected a"), "{text}");
        assert!(text.contains("\nhint: "), "{text}");
    }
    std::fs::create_dir(root.join("folder")).unwrap();
    refuse(root, "folder", &["`folder` is a folder", "latest_net_G_A.pth"]);
    refuse(root, "missing.pth", &["cannot read `missing.pth`", "hint: name the file"]);
    crate::model::write_model(&root.join("ours.pth"));
    refuse(root, "ours.pth", &["is a safetensors file", "`translate apply` takes it"]);
}

/// The files of `checkpoints.py` in a folder of their own, as a refusal must not change them.
fn files() -> Option<(tempfile::TempDir, PathBuf)> {
    let folder = python::reference()?.join("checkpoints");
    Some((tempfile::tempdir().unwrap(), folder))
}

#[test]
fn what_is_no_generator_s_state_dict_is_refused() {
    let Some((temporary, folder)) = files() else { return };
    let root = temporary.path();
    let state_dict = "expected a state dict of PyTorch";
    let generators = "expected a generator's, which begins with `model.1.weight`";
    let cases: [(&str, &[&str]); 18] = [
        ("module.zip.pth", &["a whole pickled module", state_dict, ".state_dict()"]),
        ("module.legacy.pth", &["a whole pickled module", state_dict, ".state_dict()"]),
        ("script.pth", &["a TorchScript program", state_dict]),
        ("tensor.pth", &["holds a `torch.Tensor`", state_dict]),
        ("list.pth", &["holds a list", state_dict]),
        ("sparse.pth", &["no plain tensor", state_dict]),
        (
            "patch.zip.pth",
            &[
                "a discriminator's checkpoint (`model.0.bias` [8], `model.0.weight` [8, 3, 4, 4]",
                generators,
                "latest_net_G_A.pth",
            ],
        ),
        ("patch.legacy.pth", &["a discriminator's checkpoint", generators]),
        ("pixel.zip.pth", &["a discriminator's checkpoint (`net.0.bias` [8], `net.0.weight`", generators]),
        ("spectral.pth", &["a discriminator's checkpoint", generators]),
        ("foreign.pth", &["a foreign layout (`conv1.weight` [8, 3, 7, 7], `fc.weight` [2, 8])", generators]),
        ("no_tensors.pth", &["a foreign layout (it has no tensors)", generators]),
        (
            "gray.pth",
            &[
                "residual generator of width 8 and 1 block but",
                "`model.1.weight` has shape [8, 1, 7, 7], not [8, 3, 7, 7]",
                "RGB",
            ],
        ),
        ("more.pth", &["`model.4.extra` is none of its weights; `model.30.extra` is none of its weights"]),
        ("less.pth", &["`model.4.bias` [16] is missing"]),
        ("infinite.pth", &["`model.4.weight`", "not finite"]),
        ("deep.pth", &["`generators.x_to_y.net.downs` is `40`; expected 2 to 12"]),
        ("whole_numbers.pth", &["`model.4.weight` in", "holds I64 numbers", "expected finite numbers"]),
    ];
    for (name, parts) in cases {
        std::fs::copy(folder.join(name), root.join(name)).unwrap();
        let text = refuse(root, name, parts);
        assert!(text.contains(&format!("`{name}`")) && text.contains("\nhint: "), "{text}");
        std::fs::remove_file(root.join(name)).unwrap();
    }
    std::fs::copy(folder.join("claims.pth"), root.join("claims.pth")).unwrap();
    refuse(root, "claims.pth", &["truncated or damaged", "claim 301056 bytes of a file of "]);
    for form in FORMS {
        let bytes = std::fs::read(folder.join(format!("resnet_1.{form}.pth"))).unwrap();
        for part in [bytes.len() / 10, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(root.join("cut.pth"), &bytes[..part]).unwrap();
            refuse(
                root,
                "cut.pth",
                &["`cut.pth` is a truncated or damaged PyTorch file", "whole state dict"],
            );
        }
    }
}

#[test]
fn arguments_that_make_no_model_are_refused() {
    let Some((temporary, folder)) = files() else { return };
    let root = temporary.path();
    std::fs::copy(folder.join("resnet_1.zip.pth"), root.join("g.pth")).unwrap();
    let ask = |more: [&str; 6], parts: &[&str]| {
        refused(root, &[&["model", "import", "@g.pth"], &more[..]].concat(), parts)
    };
    ask(["--from", "a", "--to", "a", "-o", "@m.safetensors"], &["cannot be called `a` and `a`", "the same"]);
    ask(["--from", "a/b", "--to", "a", "-o", "@m.safetensors"], &["`a/b`", "hint: `--from photo"]);
    ask(["--from", "a", "--to", "b", "-o", "@m.pth"], &["`-o m.pth`", "`.safetensors`"]);
    ask(["--from", "a", "--to", "b", "-o", "@none/m.safetensors"], &["cannot write", "a folder that exists"]);
    std::fs::write(root.join("m.safetensors"), "mine").unwrap();
    ask(
        ["--from", "a", "--to", "b", "-o", "@m.safetensors"],
        &["`m.safetensors` exists", "`--overwrite` it"],
    );
    std::fs::create_dir(root.join("d.safetensors")).unwrap();
    ask(["--from", "a", "--to", "b", "-o", "@d.safetensors"], &["is a folder; expected a file"]);
    let inverse =
        ["model", "import", "@g.pth", "--inverse", "@m.safetensors", "--from", "a", "--to", "b", "-o"];
    refused(root, &[&inverse[..], &["@n.safetensors"]].concat(), &["`m.safetensors` is no file of PyTorch"]);
}

/// Its archive's layout changes with the length of a file's name.
#[test]
fn a_file_may_be_called_as_it_likes() {
    let Some((_, folder)) = files() else { return };
    for length in 1..=40 {
        let path = folder.join(format!("{}.pth", "n".repeat(length)));
        let request = Request { forward: &path, inverse: None, from: "a", to: "b" };
        import(&request).unwrap_or_else(|error| panic!("{length}: {error}"));
    }
}

#[test]
fn nothing_in_a_checkpoint_is_run() {
    let Some((temporary, folder)) = files() else { return };
    imported(&folder.join("command.pth"), &temporary.path().join("m.safetensors"));
    assert!(!folder.join("canary").exists());
}

/// A file changed anywhere is refused or still read, whatever the change.
#[test]
fn a_damaged_checkpoint_is_an_error_and_no_crash() {
    let Some((temporary, folder)) = files() else { return };
    let path = temporary.path().join("damaged.pth");
    let mut tried = (0, 0);
    let mut attempt = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let result = import(&Request { forward: &path, inverse: None, from: "a", to: "b" });
        tried.0 += 1;
        if let Err(error) = result {
            tried.1 += 1;
            let text = error.to_string();
            assert!(text.contains("damaged.pth`") && text.contains("\nhint: "), "{text}");
        }
    };
    for form in FORMS {
        let whole = std::fs::read(folder.join(format!("tiny.{form}.pth"))).unwrap();
        for length in (0..whole.len()).step_by(whole.len() / 150) {
            attempt(&whole[..length]);
        }
        // A step that shares no factor with 8, so that every bit of a byte has its turn.
        for (i, place) in (0..whole.len()).step_by((whole.len() / 600) | 1).enumerate() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (i % 8);
            attempt(&bytes);
        }
    }
    println!("{} files, {} of them refused", tried.0, tried.1);
    assert!(tried.1 > 300 && tried.1 < tried.0, "{tried:?}");
}
