//! What the program prints where it neither trains nor translates.

use std::path::Path;
use std::process::Command;

use translate::recipe::{PRESETS, from_yaml, resolve};

struct Printed {
    stdout: String,
    stderr: String,
}

fn translate(root: &Path, args: &[&str]) -> Printed {
    let output = Command::new(env!("CARGO_BIN_EXE_translate")).current_dir(root).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let printed = Printed { stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(output.status.success(), "{args:?}: {}", printed.stderr);
    printed
}

#[test]
fn a_dry_run_shows_the_plan_and_the_recipe_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let options = translate::data::portraits::Options { count: 3, size: 32, seed: 1, holdout: None };
    translate::data::portraits::write_dataset(&root.join("faces"), &options).unwrap();
    let files = || {
        walkdir::WalkDir::new(root).into_iter().map(|entry| entry.unwrap().into_path()).collect::<Vec<_>>()
    };
    let before = files();
    let sets = ["--set", "train.images=400", "--set", "data.size=32", "--set", "train.batch=4"];
    let train =
        ["train", "faces/photos", "faces/anime", "-r", "cyclegan-small", "--device", "cpu", "--dry-run"];
    let printed = translate(root, &[&train[..], &sets].concat());
    assert_eq!(files(), before);
    for line in [
        "x         photos: 3 images, 3 of them in memory, 0 skipped, from `faces/photos`",
        "y         anime: 3 images, 3 of them in memory, 0 skipped, from `faces/anime`",
        "training  400 images in 100 steps of 4 (133.3 epochs) at 32×32 on cpu",
        "run       `models/photos-anime`",
    ] {
        assert!(printed.stderr.lines().any(|printed| printed == line), "no `{line}` in: {}", printed.stderr);
    }
    for part in [
        "generator x_to_y: photos to anime, ",
        "generator y_to_x: anime to photos, ",
        "discriminator y: anime, ",
    ] {
        assert!(printed.stderr.contains(part), "no `{part}` in: {}", printed.stderr);
    }
    // What is printed can be trained by as it is.
    let given = ["train.images=400", "data.size=32", "train.batch=4"].map(String::from);
    let expected = resolve("cyclegan-small", &given).unwrap();
    assert_eq!(from_yaml("printed", &printed.stdout, &[]).unwrap(), expected);
    let shown = translate(root, &[&["recipe", "show", "cyclegan-small"], &sets[..]].concat());
    assert_eq!(shown.stdout, printed.stdout);
}

#[test]
fn recipes_are_listed_and_shown() {
    let list = translate(Path::new("."), &["recipe", "list"]).stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), PRESETS.len());
    for (line, preset) in lines.iter().zip(PRESETS) {
        let about = resolve(preset.name, &[]).unwrap().about;
        assert_eq!(
            line.split_once(' ').map(|(name, rest)| (name, rest.trim())),
            Some((preset.name, &*about))
        );
    }
    let show =
        |more: &[&str]| translate(Path::new("."), &[&["recipe", "show", "cyclegan"], more].concat()).stdout;
    assert_eq!(show(&[]).trim_end(), include_str!("../../recipes/cyclegan.yaml").trim_end());
    let resolved = show(&["--resolved"]);
    // A default that the file does not name.
    assert!(resolved.contains("critic_steps: 1") && !show(&[]).contains("critic_steps"), "{resolved}");
    assert_eq!(from_yaml("shown", &resolved, &[]).unwrap(), resolve("cyclegan", &[]).unwrap());
}

#[test]
fn manual_pages_that_are_there_are_named_with_what_writes_over_them() {
    let folder = tempfile::tempdir().unwrap();
    translate(folder.path(), &["generate", "man", "pages"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    let output = command.current_dir(folder.path()).args(["generate", "man", "pages"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    let count = std::fs::read_dir(folder.path().join("pages")).unwrap().count();
    let exist = format!(
        "error: {count} of {count} pages exist in `pages`, `translate.1` the first of them; nothing was"
    );
    assert!(told.starts_with(&exist), "{told}");
    assert!(
        told.ends_with("\nhint: `--overwrite` writes over them\n") && told.lines().count() == 2,
        "{told}"
    );
    let again = translate(folder.path(), &["generate", "man", "pages", "--overwrite"]).stderr;
    assert_eq!(again, format!("wrote {count} pages into `pages`\n"));
}

#[test]
fn doctor_says_what_the_program_runs_on() {
    let report = translate(Path::new("."), &["doctor"]).stdout;
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines[0], concat!("translate ", env!("CARGO_PKG_VERSION")));
    assert!(lines[1].starts_with("libtorch     2.11"), "{report}");
    let place = lines[1].split('`').nth(1).unwrap_or_default();
    assert!(Path::new(place).join("libtorch_cpu.so").exists(), "{report}");
    let begins = |start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(["CPU          ", "CUDA driver  ", "CUDA         "].into_iter().all(begins), "{report}");
    // Without a GPU the reason comes with a next step.
    if translate::device::cuda_devices().is_err() {
        assert!(begins("CUDA         none: ") && begins("             hint: "), "{report}");
    }
}
