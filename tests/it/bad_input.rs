//! What a user can get wrong: one clear message, a next step, the right exit status, nothing written over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use translate::train::checkpoint::list;

struct Ended {
    code: Option<i32>,
    stderr: String,
}

fn translate(root: &Path, args: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_translate")).current_dir(root).args(args).output().unwrap();
    Ended { code: output.status.code(), stderr: String::from_utf8(output.stderr).unwrap() }
}

/// Every file below `root` with its bytes, and every folder.
fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(root).into_iter().map(|entry| entry.unwrap().into_path());
    entries.map(|path| (path.clone(), std::fs::read(path).unwrap_or_default())).collect()
}

/// The command is refused with status 2 and a message that holds all of `parts`, and nothing below `root` changes. It
/// runs in this process, where a panic would fail the test. `@` stands for `root` in the arguments and is left out of
/// the message, which is returned.
pub fn refused(root: &Path, args: &[&str], parts: &[&str]) -> String {
    let before = contents(root);
    let message = refused_unread(root, args, parts);
    assert!(contents(root) == before, "{args:?} changed a file");
    message
}

/// As [`refused`], where not every file below `root` can be read.
fn refused_unread(root: &Path, args: &[&str], parts: &[&str]) -> String {
    let place = format!("{}/", root.display());
    let absolute = args.iter().map(|arg| arg.replace('@', &place));
    let failure =
        translate::cli::run_on(std::iter::once("translate".to_string()).chain(absolute)).unwrap_err();
    let message = failure.to_string().replace(&place, "");
    assert_eq!(failure.status, 2, "{args:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{args:?}: no `{part}` in: {message}");
    }
    message
}

fn faces(root: &Path) {
    let options = translate::data::portraits::Options { count: 3, size: 32, seed: 1, holdout: None };
    translate::data::portraits::write_dataset(&root.join("faces"), &options).unwrap();
}

#[test]
fn training_on_what_cannot_be_trained_on_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    faces(root);
    std::fs::create_dir(root.join("empty")).unwrap();
    let (x, y) = ("@faces/photos", "@faces/anime");
    let ended = translate(root, &["train", "fotos", "faces/anime"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("error: folder `fotos` does not exist"), "{}", ended.stderr);

    refused(root, &["train", "@empty", y], &["no images in folder `empty`"]);
    refused(root, &["train", "@faces/photos/00000.png", y], &["is a file", "expected a folder"]);
    refused(root, &["train", x, "@faces/../faces/photos"], &["share images", "hint: "]);
    refused(root, &["train", x], &["needs 2 folder(s)", "1 given"]);
    refused(root, &["train", x, y, "-r", "cyclgan"], &["no recipe `cyclgan`", "did you mean `cyclegan`?"]);
    refused(root, &["train", x, y, "--set", "train.bach=2"], &["train.bach", "did you mean `batch`?"]);
    let many =
        ["| --set train.batch=many", "a whole number", "the text `many`", "\nhint: `translate recipe show"];
    let text = refused(root, &["train", x, y, "--set", "train.batch=many"], &many);
    assert!(!text.contains("usize"), "{text}");
    std::fs::write(
        root.join("mine.yaml"),
        include_str!("../../recipes/demo.yaml").replace("batch:", "bach:"),
    )
    .unwrap();
    refused(root, &["train", x, y, "-r", "@mine.yaml"], &["mine.yaml", "`bach`", "`batch`"]);
    refused(root, &["train", x, y, "--run", "@faces"], &["`faces` exists and is no run folder", "--run DIR"]);
    let below = ["no run folder can be made at `mine.yaml/run/1`", "`mine.yaml` is a file", "--run DIR"];
    refused(root, &["train", x, y, "--run", "@mine.yaml/run/1"], &below);
    refused(
        root,
        &["train", x, y, "--run", "@faces/photos/run"],
        &["inside the data folder `faces/photos`", "--run DIR"],
    );
    refused(root, &["train", x, y, "--threads", "1000000"], &["--threads", "expected 1 to 256"]);
    refused(root, &["train", x, y, "--device", "gpu"], &["no device `gpu`", "`cuda:N`"]);
    if translate::device::cuda_devices().is_err() {
        refused(root, &["train", x, y, "--device", "cuda"], &["`--device cuda`", "translate doctor"]);
    }
}

/// A folder in which nobody can make a file: one without permission to or, for a user whom no permission stops, one that
/// the kernel makes. As an argument for [`refused`].
#[cfg(target_os = "linux")]
fn closed_folder(root: &Path) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let closed = root.join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
    let stopped = tempfile::tempfile_in(&closed).is_err();
    if stopped { "@closed".into() } else { "/proc".into() }
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_without_write_permission_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    faces(root);
    let closed = closed_folder(root);
    let (run, out) = (format!("{closed}/run"), format!("{closed}/out"));
    let named = format!("`{}", closed.trim_start_matches('@'));
    let train = ["train", "@faces/photos", "@faces/anime", "-r", "cyclegan-small", "--set", "train.images=4"];
    refused(root, &[&train[..], &["--run", &run]].concat(), &[&named, "--run DIR"]);

    crate::model::write_model(&root.join("m.safetensors"));
    refused(root, &["apply", "@m.safetensors", "@faces/photos", "-o", &out], &[&named]);
    refused(root, &["demo-data", &out, "--count", "1"], &[&named]);
}

#[test]
fn a_model_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    faces(root);
    let image = "@faces/photos/00000.png";
    refused(root, &["apply", "@none", image, "-o", "@out"], &["no model at `none`", ".safetensors"]);
    refused(root, &["apply", "@faces", image, "-o", "@out"], &["holds no `model.safetensors`"]);
    refused(root, &["apply", image, image, "-o", "@out"], &["no safetensors file", "hint: "]);
}

#[test]
fn a_checkpoint_of_pytorch_is_to_be_imported() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    faces(root);
    let image = "@faces/photos/00000.png";
    for name in ["latest_net_G_A.pth", "net.PT"] {
        std::fs::write(root.join(name), "PK").unwrap();
        let file = &format!("@{name}");
        for args in [
            &["apply", file, image, "-o", "@out"][..],
            &["sample", file, "-o", "@out"],
            &["eval", file, "@faces/photos", "@faces/anime"],
            &["model", "show", file],
            &["model", "show", file, "--set-note", "mine"],
            &["model", "export", file, "--format", "onnx", "-o", "@a.onnx"],
            &["recipe", "show", file],
            &["recipe", "diff", "demo", file],
            &["recipe", "new", "@mine", "--from", file],
            &["train", "@faces/photos", "@faces/anime", "-r", file, "--run", "@run"],
        ] {
            let hint = format!(
                "\nhint: `translate model import {name} --from photo --to anime -o model.safetensors`"
            );
            refused(root, args, &[&format!("`{name}` is a PyTorch file by its name"), &hint]);
        }
    }
    // By whatever name, a model is one.
    crate::model::write_model(&root.join("model.pt"));
    let output = root.join("out").display().to_string();
    let model = root.join("model.pt").display().to_string();
    let image = root.join("faces/photos/00000.png").display().to_string();
    assert_eq!(translate(root, &["apply", &model, &image, "-o", &output]).code, Some(0));
}

/// They would be waited for, or read until no memory is left.
#[cfg(target_os = "linux")]
#[test]
fn what_never_ends_is_not_begun_to_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    faces(root);
    let pipe = |name: &str| {
        let path = std::ffi::CString::new(root.join(name).to_str().unwrap()).unwrap();
        // SAFETY: a plain system call on a string that ends in a zero byte.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    };
    for name in ["run", "odd"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    std::os::unix::fs::symlink("/dev/zero", root.join("zero.safetensors")).unwrap();
    for name in ["pipe.safetensors", "run/run.json"] {
        pipe(name);
    }
    let none = "it is a pipe or a device, and no file\nhint: ";
    for name in ["pipe.safetensors", "zero.safetensors"] {
        let (model, cannot) = (format!("@{name}"), format!("cannot read `{name}`: {none}"));
        refused_unread(root, &["apply", &model, "@faces/photos", "-o", "@out"], &[&cannot]);
        refused_unread(root, &["model", "show", &model, "--set-note", "mine"], &[&cannot]);
    }
    let train = ["train", "@faces/photos", "@faces/anime", "--run"];
    refused_unread(root, &[&train[..], &["@run"]].concat(), &[&format!("`run/run.json` is damaged: {none}")]);
    std::fs::File::create(root.join("odd/run.json")).unwrap().set_len(1 << 40).unwrap();
    let large = "`odd/run.json` is damaged: it is larger than 65536 KiB\nhint: ";
    refused_unread(root, &[&train[..], &["@odd"]].concat(), &[large]);
}

#[test]
fn an_eval_that_could_not_end_is_refused_before_its_work() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    faces(root);
    crate::model::write_model(&root.join("m.safetensors"));
    let eval = |more: &[&str], parts: &[&str]| {
        refused(root, &[&["eval", "@m.safetensors", "@faces/photos", "@faces/anime"], more].concat(), parts)
    };
    eval(&["--picture", "@p.png", "--rows", "0"], &["--rows", "expected a number from 1"]);
    eval(&["--picture", "@faces", "--overwrite"], &["`--picture faces`", "ends in `.png`"]);
    std::fs::create_dir(root.join("folder.png")).unwrap();
    eval(&["--picture", "@folder.png", "--overwrite"], &["`--picture folder.png` is a folder", "hint: "]);
    eval(&["--picture", "@p.jpg"], &["`--picture p.jpg`", "ends in `.png`"]);
    eval(&["--size", "12"], &["`--size 12`", "a multiple of 4 from 16 to 4096"]);
}

/// Beside what is UTF-8 a folder can have any name on Linux.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_s_name_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    faces(root);
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9");
    std::fs::rename(root.join("faces/photos"), root.join(odd)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    command.current_dir(root).arg("train").arg(odd).args([
        "faces/anime",
        "-r",
        "cyclegan-small",
        "--run",
        "run",
    ]);
    let sets = ["train.images=1", "train.batch=1", "data.size=32", "data.load_size=32", "monitor.count=0"];
    let output = command.args(sets.iter().flat_map(|set| ["--set", set])).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let info = std::fs::read_to_string(root.join("run/run.json")).unwrap();
    assert!(info.contains("\"caf\u{fffd}\""), "{info}");
}

#[test]
fn one_image_and_small_images_warn_and_a_bad_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    faces(root);
    std::fs::create_dir(root.join("one")).unwrap();
    std::fs::copy(root.join("faces/anime/00001.png"), root.join("one/a.png")).unwrap();
    std::fs::write(root.join("one/b.png"), "no image").unwrap();
    let args =
        ["train", "faces/photos", "one", "-r", "cyclegan-small", "--run", "run", "--set", "train.images=4"];
    let ended = translate(root, &args);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for part in ["`one` has one image only", "smaller than 64 pixels", "skipped `one/b.png`"] {
        assert!(ended.stderr.contains(part), "no `{part}` in: {}", ended.stderr);
    }

    let to = ["apply", "@run", "@faces/photos", "-o", "@out", "--to", "on"];
    refused(root, &to, &["makes no `on`", "`photos` and `one`", "did you mean `one`?"]);
    let onto_itself = ["apply", "@run", "@faces/photos", "-o", "@faces/photos", "--overwrite"];
    refused(root, &onto_itself, &["written over the input"]);
    // No image of a run that is done is decoded again: its header is whole.
    let bytes = std::fs::read(root.join("one/a.png")).unwrap();
    let damaged = [&bytes[..bytes.len() / 2], &vec![0; bytes.len() - bytes.len() / 2]].concat();
    std::fs::write(root.join("one/a.png"), damaged).unwrap();
    let again = translate(root, &["train", "faces/photos", "one", "--run", "run"]);
    std::fs::write(root.join("one/a.png"), bytes).unwrap();
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(
        again.stderr.contains("is finished") && again.stderr.contains("train.images=N"),
        "{}",
        again.stderr
    );
    for (set, change) in [
        ("generators.x_to_y.net.width=8", "`generators.x_to_y.net.width` was 24, and is 8"),
        ("train.batch=2", "`train.batch` was 4, and is 2"),
    ] {
        let on = ["train", "@faces/photos", "@one", "--run", "@run", "--set", set];
        refused(root, &on, &[change, "--run DIR"]);
    }
    let others = ["train", "@faces/photos", "@faces/anime", "--run", "@run"];
    refused(root, &others, &["domains `photos,one`, not `photos,anime`", "--names photos,one"]);
    let busy = std::fs::File::create(root.join("run/.lock")).unwrap();
    busy.lock().unwrap();
    let longer = ["train", "@faces/photos", "@one", "--run", "@run", "--set", "train.images=8"];
    refused(root, &longer, &["another process is training in `run`", "--run DIR"]);
    drop(busy);

    let ended = translate(root, &["apply", "run", "faces/photos", "one", "-o", "out"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("skipped `one/b.png`"), "{}", ended.stderr);
    assert_eq!(image::image_dimensions(root.join("out/a.png")).unwrap(), (32, 32));
    let file = root.join("run/model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(root.join("cut.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    refused(root, &["apply", "@cut.safetensors", "@one", "-o", "@out2"], &["truncated", "hint: "]);
    elsewhere(root);
}

/// The finished run of `photos` and `one` goes on with a warning where something else has changed than its recipe.
fn elsewhere(root: &Path) {
    let edit = |file: &Path, change: &dyn Fn(&mut serde_json::Value)| {
        let mut info = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        change(&mut info);
        std::fs::write(file, info.to_string()).unwrap();
    };
    let on = ["train", "faces/photos", "one", "--set", "train.images=8", "--dry-run"];
    let in_run = [&on[..], &["--run", "run"]].concat();
    edit(&root.join("run/run.json"), &|info| info["threads"] = 63.into());
    let ended = translate(root, &in_run);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for part in ["on 63 CPU threads at its last start", "OMP_NUM_THREADS=63"] {
        assert!(ended.stderr.contains(part), "no `{part}` in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("have changed"), "{}", ended.stderr);

    assert!(!ended.stderr.contains("rank(s)"), "{}", ended.stderr);
    edit(&root.join("run/run.json"), &|info| info["ranks"] = 8.into());
    let ended = translate(root, &in_run);
    let told = "warning: the run was on 8 rank(s) at its last start, and is on 1 now";
    assert!(
        ended.stderr.contains(told) && ended.stderr.contains("hint: 8 rank(s) bring"),
        "{}",
        ended.stderr
    );
    // As it was written before ranks were.
    edit(&root.join("run/run.json"), &|info| drop(info.as_object_mut().unwrap().remove("ranks")));
    let ended = translate(root, &in_run);
    assert!(ended.code == Some(0) && !ended.stderr.contains("rank(s)"), "{}", ended.stderr);

    edit(&root.join("run/run.json"), &|info| {
        for side in info["data"].as_object_mut().unwrap().values_mut() {
            side["fingerprint"] = "another".into();
        }
    });
    let ended = translate(root, &in_run);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the images of `photos` have changed since the run's last start"),
        "{}",
        ended.stderr
    );
    // Found by the folders' names alone, it may be of other folders that are called the same.
    std::fs::create_dir(root.join("models")).unwrap();
    std::fs::rename(root.join("run"), root.join("models/photos-one")).unwrap();
    let ended = translate(root, &on);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    for part in ["`models/photos-one` was trained on other images", "--run DIR"] {
        assert!(ended.stderr.contains(part), "no `{part}` in: {}", ended.stderr);
    }
}

/// A run that broke off before its first checkpoint can be begun again with another recipe, as the message for too little
/// memory advises; and a stderr that nobody reads does not end a training.
#[test]
fn a_run_without_a_checkpoint_takes_another_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    faces(root);
    let args = ["train", "faces/photos", "faces/anime", "--run", "run", "--set", "train.images=4"];
    let small = |size: &'static str| [&args[..], &["-r", "cyclegan-small", "--set", size]].concat();
    assert_eq!(translate(root, &small("data.size=32")).code, Some(0));
    for (_, checkpoint) in list(&root.join("run/checkpoints")).unwrap() {
        std::fs::remove_file(checkpoint).unwrap();
    }
    let on = ["train", "@faces/photos", "@faces/anime", "--run", "@run"];
    refused(root, &on, &["`run` has a model but no checkpoint", "--run DIR"]);
    std::fs::remove_file(root.join("run/model.safetensors")).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    let status = command.current_dir(root).args(small("data.size=36")).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(list(&root.join("run/checkpoints")).unwrap().len(), 1);
    let recipe = std::fs::read_to_string(root.join("run/recipe.yaml")).unwrap();
    assert!(recipe.contains("size: 36"), "{recipe}");

    // What a start leaves that is killed early is no run yet, and is taken over unless something of the user's is in it.
    std::fs::create_dir_all(root.join("early/samples")).unwrap();
    for file in [".lock", "recipe.yaml"] {
        std::fs::write(root.join("early").join(file), "").unwrap();
    }
    let early = ["train", "faces/photos", "faces/anime", "--run", "early", "--dry-run"];
    let ended = translate(root, &early);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    std::fs::write(root.join("early/samples/mine.png"), "").unwrap();
    let early = ["train", "@faces/photos", "@faces/anime", "--run", "@early"];
    refused(root, &early, &["`early`", "--run DIR"]);
}
