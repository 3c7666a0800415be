//! Several processes that translate the same inputs, each its part, make the files that one process makes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use image::RgbImage;
use translate::data::portraits::{Options, write_dataset};

use crate::bad_input::refused;

const SHARDS: usize = 3;

/// A folder `images` of several sizes and formats, in a tree.
fn images() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("images");
    for (name, count, size) in [("small", 5, 32), ("large", 3, 48)] {
        write_dataset(&root.join(name), &Options { count, size, seed: 9, holdout: None }).unwrap();
    }
    RgbImage::from_fn(50, 37, |x, y| image::Rgb([x as u8 * 5, y as u8 * 6, 90]))
        .save(root.join("odd.jpg"))
        .unwrap();
    std::fs::remove_file(root.join("small/photos/00001.png")).unwrap();
    folder
}

/// A shard of `images` into the folder `output`.
fn start(root: &Path, output: &str, shard: &[&str], variables: &[(String, String)]) -> Child {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/portraits.safetensors");
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    command.current_dir(root).arg("apply").arg(model).args(["images", "--device", "cpu", "-o", output]);
    command.args(shard).envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What it prints, and what it tells.
fn wait(child: Child) -> (String, String) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (printed, told) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{told}");
    (printed, told)
}

/// The files below `folder`, hidden ones too, with their bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| (path.strip_prefix(folder).unwrap().to_path_buf(), std::fs::read(path).unwrap()))
        .collect()
}

#[test]
fn shards_make_the_files_of_one_process_whether_one_after_another_or_at_once() {
    let folder = images();
    let root = folder.path();
    wait(start(root, "whole", &[], &[]));
    let whole = files(&root.join("whole"));
    assert_eq!(whole.len(), 32);

    let mut before = 0;
    for (shard, count) in [11, 11, 10].into_iter().enumerate() {
        let (printed, told) = wait(start(root, "in-turn", &["--shard", &format!("{shard}/{SHARDS}")], &[]));
        assert_eq!(printed, format!("{count} translated, 0 failed, 0 existed\n"));
        assert_eq!(told, format!("translating {count} images to anime on cpu, shard {shard}/{SHARDS}\n"));
        before += count;
        assert_eq!(files(&root.join("in-turn")).len(), before);
    }
    assert!(files(&root.join("in-turn")) == whole);

    // Each kind of launcher starts all at once.
    let count = SHARDS.to_string();
    let array = [("MIN", "2"), ("MAX", "6"), ("COUNT", &count), ("STEP", "2")];
    let array = array.map(|(name, value)| (format!("SLURM_ARRAY_TASK_{name}"), value.to_string()));
    let of = |name: &str| vec![(name.to_string(), count.clone())];
    for (output, shard, common, own, step) in [
        ("torchrun", "auto", of("WORLD_SIZE"), "RANK", 1),
        ("srun", "auto", of("SLURM_STEP_NUM_TASKS"), "SLURM_PROCID", 1),
        ("array", "auto", array.to_vec(), "SLURM_ARRAY_TASK_ID", 2),
        ("pods", "auto/3", Vec::new(), "JOB_COMPLETION_INDEX", 1),
    ] {
        let first = if output == "array" { 2 } else { 0 };
        let shard = |i: usize| {
            let number = (own.to_string(), (first + i * step).to_string());
            let variables = common.iter().cloned().chain([number]).collect::<Vec<_>>();
            start(root, output, &["--shard", shard], &variables)
        };
        (0..SHARDS).map(shard).collect::<Vec<_>>().into_iter().for_each(|child| drop(wait(child)));
        assert!(files(&root.join(output)) == whole, "{output}");
    }
}

#[test]
fn a_shard_that_was_broken_off_does_what_is_left_of_it_and_one_too_many_does_nothing() {
    let folder = images();
    let root = folder.path();
    wait(start(root, "out", &["--shard", "1/3"], &[]));
    let all = files(&root.join("out"));
    let (first, _) = all.first_key_value().unwrap();
    std::fs::remove_file(root.join("out").join(first)).unwrap();
    let (printed, _) = wait(start(root, "out", &["--shard", "1/3"], &[]));
    assert!(printed.starts_with("1 translated, 0 failed, 10 existed"), "{printed}");
    assert!(files(&root.join("out")) == all);
    let (printed, _) = wait(start(root, "none", &["--shard", "32/33"], &[]));
    assert_eq!(
        (printed.as_str(), root.join("none").exists()),
        ("0 translated, 0 failed, 0 existed\n", false)
    );
}

#[test]
fn processes_without_a_part_are_warned_once() {
    let folder = images();
    let root = folder.path();
    let variables = |rank: &str| {
        let set = [("WORLD_SIZE", "2"), ("RANK", rank), ("LOCAL_RANK", rank)];
        set.map(|(name, value)| (name.to_string(), value.to_string()))
    };
    let warning = "warning: each of the 2 processes translates all that it is given\nhint: `--shard auto` divides it among them\n";
    for (rank, shard, count, warned) in
        [("0", &[][..], 32, warning), ("1", &[], 32, ""), ("0", &["--shard", "auto"], 16, "")]
    {
        let output = format!("{rank}{}", shard.len());
        let (printed, told) = wait(start(root, &output, shard, &variables(rank)));
        let (_, rest) = told.split_once('\n').unwrap();
        assert_eq!((printed, rest), (format!("{count} translated, 0 failed, 0 existed\n"), warned));
    }
}

#[test]
fn what_cannot_be_a_shard_is_said() {
    let folder = images();
    let root = folder.path();
    crate::model::write_model(&root.join("m.safetensors"));
    let apply = ["apply", "@m.safetensors", "@images", "-o"];
    let refused = |more: &[&str], parts: &[&str]| refused(root, &[&apply[..], more].concat(), parts);
    refused(&["@out", "--shard", "3/3"], &["--shard <PART>", "expected `K/N` with K from 0 to N - 1"]);
    refused(
        &["@images", "--shard", "0/2", "--format", "webp"],
        &["would lie in the input folder", "choose another"],
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    command.current_dir(root).args(["apply", "m.safetensors", "images", "-o", "new", "--shard", "auto"]);
    command.envs([("SLURM_PROCID", "0"), ("SLURM_NTASKS", "2")]);
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.starts_with("error: `SLURM_NTASKS` is 2, but ") && told.contains("\nhint: `srun "),
        "{told}"
    );
    assert_eq!((output.status.code(), root.join("new").exists()), (Some(2), false));
}
