//! `translate model export`: every generator in every form beside itself, and what is refused.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};
use translate::data::condition::Known;
use translate::model::export::{Check, Checked, Format, export};
use translate::model::import::{Request, import};
use translate::model::{Model, open};
use translate::recipe::Space;

use crate::bad_input::refused;
use crate::generators::{captioned, models, translator, translators, write};
use crate::python;

/// Of outputs in [-1, 1].
const TOLERANCE: f64 = 1e-4;

/// Every model, those that read captions behind.
fn traceable() -> Vec<(String, Model)> {
    let captioned = captioned().into_iter().map(|(name, model)| (name.to_string(), model));
    models().into_iter().chain(captioned).collect()
}

/// Exports the model and gives the largest difference that the check found.
fn difference(name: &str, model: &Model, format: Format, file: &Path) -> f64 {
    let subject = model.subject(None).unwrap();
    let checked =
        export(&subject, format, file, Check::Always).unwrap_or_else(|error| panic!("{name}: {error}"));
    let Checked::Differs(difference) = checked else { panic!("{name}: {checked:?}") };
    difference
}

#[test]
fn every_generator_as_torchscript_computes_the_same_on_three_shapes() {
    let folder = tempfile::tempdir().unwrap();
    for (name, model) in traceable() {
        let file = folder.path().join(format!("{name}.pt"));
        let difference = difference(&name, &model, Format::TorchScript, &file);
        println!("{name}: {difference:.1e}");
        assert!(difference < TOLERANCE, "{name}");
    }
}

#[test]
fn every_generator_s_weights_are_read_back_from_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    for (name, model) in traceable() {
        let file = folder.path().join("a.safetensors");
        let difference = difference(&name, &model, Format::Safetensors, &file);
        assert!(difference < f64::EPSILON, "{name}: {difference:e}");
    }
}

/// Sets all biases but the last one's to 0, as an imported model has them where the reference has none.
fn without_biases(model: &Model) {
    let is_changed = |name: &str| {
        let [.., layer, last] = name.split('.').collect::<Vec<_>>()[..] else { return false };
        last == "bias" && layer != "19"
    };
    tch::no_grad(|| {
        for (_, mut bias) in model.graph.tensors().into_iter().filter(|(name, _)| is_changed(name)) {
            let _ = bias.zero_();
        }
    });
}

/// Models of networks that the reference has.
fn of_the_reference() -> Vec<(&'static str, Value, Model)> {
    let names = ["resnet", "resnet_batch_dropout", "resnet_blur", "unet", "unet_instance_dropout", "mobile"];
    let mut known: Vec<_> = translators()
        .into_iter()
        .filter(|(name, _)| names.contains(name) || ["mobile_uneven", "resnet_none"].contains(name))
        .map(|(name, net)| (name, net.clone(), translator(&net)))
        .collect();
    known.iter().filter(|(name, ..)| *name == "resnet_none").for_each(|(.., model)| without_biases(model));
    known.sort_by_key(|(name, ..)| *name);
    known
}

/// As the reference would load it: without running what is in it, and strictly.
#[test]
fn pytorch_loads_pth_strictly_and_computes_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for (name, net, model) in of_the_reference() {
        let file = |kind: &str| folder.path().join(format!("{name}.{kind}"));
        assert!(difference(name, &model, Format::Pth, &file("pth")) < f64::EPSILON, "{name}");
        difference(name, &model, Format::Safetensors, &file("safetensors"));
        let side = if name.starts_with("unet") { 64 } else { 24 };
        let x = Tensor::rand([2, 3, side, 2 * side], (Kind::Float, Device::Cpu)) * 2 - 1;
        let generator = &model.graph.generators["x_to_y"].net;
        let y = tch::no_grad(|| generator.forward(&x, false));
        Tensor::write_npz(&[("x", x), ("y", y)], file("npz")).unwrap();
        cases.push(json!({ "case": name, "net": net }));
    }
    assert_eq!(cases.len(), 8);
    std::fs::write(folder.path().join("cases.json"), Value::from(cases).to_string()).unwrap();
    let Some(python) = python::interpreter() else { return };
    let said = python::run(&python, "exported.py", folder.path()).unwrap();
    let differences: HashMap<String, f64> = serde_json::from_str(&said).unwrap();
    println!("{differences:?}");
    assert_eq!(differences.len(), 8);
    for (name, difference) in differences {
        assert!(difference < 1e-5, "{name}: {difference:e}");
    }
}

#[test]
fn pth_of_a_network_that_the_reference_does_not_have_names_the_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pth");
    let mut refused = 0;
    for (name, model) in models() {
        let field = match name.as_str() {
            "resnet_untracked" | "unet_untracked_resize" => "norm: batch-untracked",
            "resnet_none" => "norm: none",
            "resnet_resize_skip" => "skip: true",
            "unet_none_blur" => "upsample: blur",
            name if name.starts_with("dcgan") => "kind: dcgan",
            name if name.starts_with("residual") => "kind: residual",
            _ => continue,
        };
        let error =
            export(&model.subject(None).unwrap(), Format::Pth, &file, Check::Always).unwrap_err().to_string();
        assert!(error.contains(&format!("no generator with `{field}`: ")), "{name}: {error}");
        assert!(error.contains("\nhint: `--format safetensors`") && !file.exists(), "{error}");
        refused += 1;
    }
    assert_eq!(refused, 13);
    let few = translator(&json!({ "kind": "unet", "width": 8, "downs": 4 }));
    let error =
        export(&few.subject(None).unwrap(), Format::Pth, &file, Check::Always).unwrap_err().to_string();
    assert!(error.contains("`downs: 4`: its U-Net has at least 5 halvings"), "{error}");
}

/// What `pth` writes is what `model import` reads.
#[test]
fn an_exported_generator_can_be_imported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.pth");
    for (name, _, model) in of_the_reference() {
        difference(name, &model, Format::Pth, &file);
        let again = import(&Request { forward: &file, inverse: None, from: "a", to: "b" }).unwrap();
        for (name, tensor) in again.graph.tensors() {
            let before = model.graph.tensors().into_iter().find(|(before, _)| *before == name);
            assert_eq!(tensor, before.unwrap().1, "{name}");
        }
    }
}

/// The search path of programs with the environment's interpreter before all others, where it has onnxruntime.
fn with_onnxruntime() -> Option<(PathBuf, std::ffi::OsString)> {
    let python = python::interpreter()?;
    let has_it = Command::new(&python).args(["-c", "import onnx, onnxruntime"]).output().unwrap();
    if !has_it.status.success() {
        assert!(std::env::var_os("CI").is_none(), "no comparison without onnx and onnxruntime");
        python::skip("no onnx and onnxruntime (`make test` gets them, from Python 3.11 on)");
        return None;
    }
    let mut folders = vec![python.parent().unwrap().to_path_buf()];
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    Some((python, std::env::join_paths(folders).unwrap()))
}

/// `model export` of a model file as ONNX: what it prints.
fn export_onnx(model: &Path, output: &Path, path: &OsStr, more: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    command.env("PATH", path).args(["model", "export", "--format", "onnx", "-o"]).arg(output);
    command.arg(model).args(more).output().unwrap()
}

/// Inputs of three shapes for a model: one that is not square, one that is, and sides that are no power of two.
fn inputs(model: &Model) -> Vec<Vec<(&'static str, Tensor)>> {
    let float = (Kind::Float, Device::Cpu);
    if let Some(noise) = model.recipe.noise() {
        let known = model.conditions.values().next();
        let input = |batch| {
            let noise = ("noise", Tensor::randn([batch, noise], float));
            std::iter::once(noise).chain(known.map(|known| condition(known, batch))).collect()
        };
        return [1, 3, 7].map(input).into();
    }
    let stride = i64::from(model.recipe.generators[0].net.stride());
    let odd = (33 / stride + 1) | 1;
    let image = |shape| vec![("image", Tensor::rand(shape, float) * 2 - 1)];
    [[1, 3, 64, 192], [3, 3, 64, 64], [2, 3, odd * stride, (odd + 2) * stride]].map(image).into()
}

/// Classes, or captions of different lengths.
fn condition(known: &Known, batch: i64) -> (&'static str, Tensor) {
    match known {
        Known::Classes(_) => ("label", Tensor::randint(known.rows(), [batch], (Kind::Int64, Device::Cpu))),
        Known::Words(vocabulary) => {
            let texts = ["a red car", "tree", "a blue car by a tree"].iter().cycle().take(batch as usize);
            ("tokens", known.tensor(&texts.map(|text| vocabulary.tokens(text)).collect::<Vec<_>>()))
        }
    }
}

/// Writes inputs and what the model makes of them, as `<name>.<i>.npz`.
fn write_answers(model: &Model, folder: &Path, name: &str) {
    let net = &model.graph.generators[0].net;
    for (i, mut arrays) in inputs(model).into_iter().enumerate() {
        let condition = arrays.get(1).map(|(_, condition)| condition);
        let answer = tch::no_grad(|| net.forward_given(&arrays[0].1, condition, false));
        arrays.push(("answer", answer));
        Tensor::write_npz(&arrays, folder.join(format!("{name}.{i}.npz"))).unwrap();
    }
}

/// What a script measured of `count` exports in the folder.
fn measured(python: &Path, script: &str, folder: &Path, count: usize) -> HashMap<String, f64> {
    let said = python::run(python, script, folder).unwrap();
    let differences: HashMap<String, f64> = serde_json::from_str(&said).unwrap();
    assert_eq!(differences.len(), count);
    for (name, difference) in &differences {
        assert!(*difference < TOLERANCE, "{name}: {difference:e}");
    }
    differences
}

/// In `PyTorch`, without a line of this program or of the networks' code.
#[test]
fn pytorch_computes_what_the_model_computes() {
    let Some(python) = python::interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let models = traceable();
    for (name, model) in &models {
        let file = folder.path().join(format!("{name}.pt"));
        export(&model.subject(None).unwrap(), Format::TorchScript, &file, Check::Never).unwrap();
        write_answers(model, folder.path(), name);
    }
    println!("{:?}", measured(&python, "exported_torchscript.py", folder.path(), models.len()));
}

/// Every network that can be traced, on shapes of the test's own beside those that the program's check takes.
#[test]
fn onnxruntime_computes_what_the_model_computes() {
    let Some((python, path)) = with_onnxruntime() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for (name, model) in models() {
        let file = |kind: &str| folder.path().join(format!("{name}.{kind}"));
        write(&model, &file("safetensors"));
        let ended = export_onnx(&file("safetensors"), &file("onnx"), &path, &["--check"]);
        let said = String::from_utf8(ended.stdout).unwrap();
        assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
        assert!(said.contains("\nchecked: its outputs on random inputs of 3 shapes "), "{said}");
        let labels = "\n`label` is [batch], int64: 0 `cat`, 1 `dog`, 2 `owl`\n";
        assert_eq!(said.contains(labels), name.ends_with("_classes"), "{said}");
        assert!(said.starts_with(if model.recipe.noise().is_some() {
            "photos from noise: `noise` is [batch, 12], normal\n"
        } else {
            "photos to anime: RGB in [-1, 1], height and width are multiples of "
        }));
        let saved = open(&file("safetensors"), Device::Cpu).unwrap();
        write_answers(&saved, folder.path(), &name);
        count += 1;
    }
    println!("{:?}", measured(&python, "exported_onnx.py", folder.path(), count));
}

#[test]
fn without_onnxruntime_it_is_said_that_nothing_was_checked() {
    let folder = tempfile::tempdir().unwrap();
    let [shipped, file] = [PathBuf::from(SHIPPED), folder.path().join("a.onnx")];
    let ended = export_onnx(&shipped, &file, folder.path().as_os_str(), &[]);
    let said = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success() && said.contains("\nnot checked: there is no `python3`"), "{said}");
    let again = export_onnx(&shipped, &file, folder.path().as_os_str(), &["--overwrite", "--check"]);
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(!again.status.success() && said.contains("was not written, as its check failed"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    std::fs::remove_file(&file).unwrap();
    let last = export_onnx(&shipped, &file, folder.path().as_os_str(), &["--no-check"]);
    assert!(String::from_utf8(last.stdout).unwrap().contains("\nnot checked: as asked\n") && file.exists());
}

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/portraits.safetensors");

#[test]
fn arguments_that_make_no_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let ask = |format: &str, more: &[&str], parts: &[&str]| {
        refused(root, &[&["model", "export", SHIPPED, "--format", format], more].concat(), parts)
    };
    ask("torchscript", &["-o", "@a.pth"], &["`-o a.pth`", "ends in `.pt` or `.ts`"]);
    ask("torchscript", &["-o", "@none/a.pt"], &["cannot write", "a folder that exists"]);
    ask("torchscript", &["-o", "@a.pt", "--to", "anim"], &["makes no `anim`", "did you mean `anime`?"]);
    ask("pth", &["-o", "@a.pth"], &["`--format pth` is for the PyTorch CycleGAN", "`skip: true`"]);
    ask("torchscrip", &["-o", "@a.pt"], &["torchscript"]);
    std::fs::copy(SHIPPED, root.join("model.safetensors")).unwrap();
    for model in ["@model.safetensors", "@"] {
        let itself = ["-o", "@model.safetensors", "--overwrite"];
        let args = [&["model", "export", model, "--format", "safetensors"], &itself[..]].concat();
        refused(root, &args, &["`-o model.safetensors` is the model, whose recipe would be lost", "hint: "]);
    }
    std::fs::write(root.join("a.pt"), "mine").unwrap();
    ask("torchscript", &["-o", "@a.pt"], &["`a.pt` exists", "`--overwrite` it"]);
    refused(
        root,
        &["model", "export", "@a.pt", "--format", "torchscript", "-o", "@b.pt"],
        &["is a PyTorch file by its name"],
    );
}

#[test]
fn a_generator_that_reads_captions_is_refused_as_onnx_and_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.onnx");
    for (_, model) in captioned() {
        let subject = model.subject(None).unwrap();
        let error = export(&subject, Format::Onnx, &file, Check::Always).unwrap_err().to_string();
        assert!(
            error.starts_with("`--format onnx` cannot hold a generator that reads captions: "),
            "{error}"
        );
        assert!(error.contains("\nhint: `--format torchscript` holds it") && !file.exists(), "{error}");
    }
}

/// The numbers of words are where the command says.
#[test]
fn a_generator_that_reads_captions_is_exported_with_what_its_tokens_are() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let (_, model) = captioned().swap_remove(0);
    write(&model, &root.join("m.safetensors"));
    let translate = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
        String::from_utf8(command.current_dir(root).args(args).output().unwrap().stdout).unwrap()
    };
    let said =
        translate(&["model", "export", "m.safetensors", "--format", "torchscript", "-o", "m.pt", "--check"]);
    assert!(
        said.contains("\n`tokens` is [batch, 6], int64: of each word its place, from 1, in the `conditions`"),
        "{said}"
    );
    assert!(said.contains("\nchecked: ") && root.join("m.pt").exists(), "{said}");
    let card: Value =
        serde_json::from_str(&translate(&["model", "show", "m.safetensors", "--json"])).unwrap();
    let words: Vec<&str> =
        card["conditions"]["photos"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let Known::Words(vocabulary) = &model.conditions[&Space::X] else { panic!() };
    let place = |word: &str| 1 + words.iter().position(|known| *known == word).unwrap() as i64;
    assert_eq!(vocabulary.tokens("a blue car")[..4], [place("a"), place("blue"), place("car"), 0]);
}

#[test]
fn what_was_exported_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("a.pt");
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    command
        .args(["model", "export", SHIPPED, "--format", "torchscript", "--to", "photos", "-o"])
        .arg(&output);
    let ended = command.output().unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{said}");
    let expected = format!(
        "anime to photos: RGB in [-1, 1], height and width are multiples of 4 from 8\n\
         checked: its outputs on random inputs of 3 shapes differ from the model's by at most 0\n\
         exported as torchscript into `{}`\n",
        output.display()
    );
    assert_eq!(said, expected);
}
