//! The way from a folder to new pictures, and from pairs to a translator, at the command line.

use std::path::Path;

use tch::Device;
use translate::data::portraits::{Options, write_dataset};
use translate::model;
use translate::train::plan::{Plan, Request};

const SMALL: [&str; 8] = [
    "train.images=16",
    "train.batch=4",
    "data.size=16",
    "data.load_size=16",
    "sample.count=3",
    "sample.every=8",
    "checkpoint.every=8",
    "generators.z_to_x.net.noise=5",
];

/// A generator whose pictures differ from the first step on, as batch norm's are nearly flat before its statistics settle.
const CONTRAST: [&str; 2] = ["generators.z_to_x.net.width=4", "generators.z_to_x.net.norm=instance"];

fn translate(args: &[&str]) -> Result<u8, translate::cli::Failure> {
    translate::cli::run_on(["translate"].iter().chain(args))
}

/// The message of a command that is refused before it begins.
fn refused(args: &[&str]) -> String {
    let failure = translate(args).unwrap_err();
    assert_eq!(failure.status, 2, "{args:?}: {failure}");
    failure.to_string()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_folder_becomes_a_model_that_draws_the_same_pictures_for_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_dataset(&at("faces"), &Options { count: 6, size: 32, seed: 1, holdout: None }).unwrap();
    let (faces, run) = (at("faces/anime"), at("run"));
    let mut train = vec!["train", text(&faces), "-r", "dcgan-tiny", "--run", text(&run), "--device", "cpu"];
    let sets = ["generators.z_to_x.net.width=4", "discriminators.x.net.width=4"];
    train.extend(SMALL.iter().chain(&sets).flat_map(|set| ["--set", set]));
    assert_eq!(translate(&train).unwrap(), 0);
    let grid = image::open(run.join("samples/000000016.png")).unwrap();
    // A square of three by three pictures of 16, 2 pixels after each and 2 before the group; rows likewise.
    assert_eq!((grid.width(), grid.height()), (56, 56));
    assert!(!run.join("samples/rows.txt").exists(), "its rows are of nothing in particular");

    let sample = |out: &Path, more: &[&str]| {
        let args = ["sample", text(&run), "-o", text(out), "--device", "cpu"];
        translate(&[&args, more].concat())
    };
    let pictures = |out: &Path| -> Vec<Vec<u8>> {
        (0..5).map(|i| image::open(out.join(format!("{i:05}.png"))).unwrap().into_rgb8().into_raw()).collect()
    };
    let (one, two, other) = (at("one"), at("two"), at("other"));
    for (out, seed) in [(&one, "3"), (&two, "3"), (&other, "4")] {
        assert_eq!(sample(out, &["-n", "5", "--seed", seed]).unwrap(), 0);
    }
    let (one, two, other) = (pictures(&one), pictures(&two), pictures(&other));
    assert_eq!(one, two);
    assert_ne!(one, other);
    assert!(one.windows(2).all(|pair| pair[0] != pair[1]));

    let file = at("grid.png");
    assert_eq!(sample(&file, &["--grid", "-n", "3", "--interpolate", "4", "--truncate", "0.5"]).unwrap(), 0);
    let grid = image::open(&file).unwrap();
    assert_eq!((grid.width(), grid.height()), (4 * 18, 3 * 18 + 2));

    let exists = refused(&["sample", text(&run), "-o", text(&file), "--grid"]);
    assert!(exists.contains("grid.png` exists\nhint: "), "{exists}");
    let exists = refused(&["sample", text(&run), "-o", text(&at("one")), "-n", "1"]);
    assert!(exists.contains("00000.png` exists"), "{exists}");
    let no_picture = refused(&["sample", text(&run), "-o", text(&at("grid")), "--grid"]);
    assert!(no_picture.contains("expected a name that ends in `.png`"), "{no_picture}");
    let no_translator = refused(&["apply", text(&run), text(&faces), "-o", text(&at("out"))]);
    assert!(
        no_translator.contains("draws `anime` from noise")
            && no_translator.contains("hint: `translate sample")
    );
    assert!(!at("out").exists());
}

fn request(folders: &[&Path], recipe: &str) -> Request {
    Request {
        folders: folders.iter().map(|folder| folder.to_path_buf()).collect(),
        recipe: Some(recipe.into()),
        sets: Vec::new(),
        run: Some("a run that is not there".into()),
        names: None,
        device: Device::Cpu,
        cache: 1 << 30,
        threads: 1,
        dry_run: true,
    }
}

#[test]
fn pairs_come_from_stems_or_from_halves() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_dataset(&at("faces"), &Options { count: 3, size: 64, seed: 1, holdout: Some(4) }).unwrap();
    let (photos, anime) = (at("faces/holdout/photos"), at("faces/holdout/anime"));
    let lost = std::fs::read_dir(&anime).unwrap().map(|entry| entry.unwrap().path());
    let lost = lost.filter(|path| path.extension().is_some_and(|e| e == "png")).min().unwrap();
    let stem = lost.file_stem().unwrap().to_os_string();
    std::fs::create_dir(at("both")).unwrap();
    for entry in std::fs::read_dir(&anime).unwrap() {
        let path = entry.unwrap().path();
        let Ok(right) = image::open(&path) else { continue };
        let left = image::open(photos.join(path.file_name().unwrap())).unwrap();
        let mut both = image::RgbImage::new(128, 64);
        image::imageops::replace(&mut both, &left.to_rgb8(), 0, 0);
        image::imageops::replace(&mut both, &right.to_rgb8(), 64, 0);
        both.save(at("both").join(path.file_name().unwrap())).unwrap();
    }
    std::fs::remove_file(&lost).unwrap();

    let plan = Plan::new(&request(&[&photos, &anime], "pix2pix-tiny"), &|| {}).unwrap();
    assert_eq!(plan.sides.epoch_length(), 3);
    let alone: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
    let named = |text: &String| text.contains(stem.to_str().unwrap()) && text.contains("to pair it with");
    assert!(alone.iter().any(named), "{alone:?}");

    let halves = Plan::new(&request(&[&at("both")], "pix2pix-tiny"), &|| {}).unwrap();
    assert_eq!(halves.sides.epoch_length(), 4);
    assert_eq!(halves.domains.values().collect::<Vec<_>>(), ["both-left", "both-right"]);
    let pairs = halves.sides.pairs.as_ref().unwrap();
    let cut = pairs.fetch(1, [&halves.sides.datasets[0], &halves.sides.datasets[1]]).unwrap();
    let whole = Plan::new(&request(&[&photos, &anime], "pix2pix-tiny"), &|| {}).unwrap();
    let pairs = whole.sides.pairs.as_ref().unwrap();
    // The lost file was the first, so that pair 1 of the halves is pair 0 of the folders.
    let expected = pairs.fetch(0, [&whole.sides.datasets[0], &whole.sides.datasets[1]]).unwrap();
    for side in 0..2 {
        assert_eq!(cut[side].1, expected[side].1);
    }

    // The same persons under other names: nothing to pair.
    let other = at("renamed");
    std::fs::create_dir(&other).unwrap();
    for (i, entry) in std::fs::read_dir(&anime).unwrap().enumerate() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "png") {
            std::fs::copy(&path, other.join(format!("other{i}.png"))).unwrap();
        }
    }
    let refused = Plan::new(&request(&[&photos, &other], "pix2pix-tiny"), &|| {}).unwrap_err().to_string();
    assert!(refused.contains("has a partner of the same stem") && refused.contains("hint: "), "{refused}");
    let refused = Plan::new(&request(&[&photos], "cyclegan"), &|| {}).unwrap_err().to_string();
    assert!(refused.contains("needs 2 folder(s)") && refused.contains("`-r dcgan`"), "{refused}");

    // Pictures of one side alone would be cut in two without a word.
    let forgotten = Plan::new(&request(&[&photos], "pix2pix-tiny"), &|| {}).unwrap();
    let upright = |plan: &Plan| {
        let warnings = plan.warnings.iter().map(ToString::to_string);
        warnings.filter(|text| text.contains("taken for a pair side by side")).collect::<Vec<_>>()
    };
    assert!(upright(&halves).is_empty());
    let warned = upright(&forgotten);
    assert!(warned.len() == 1 && warned[0].contains("4 of 4") && warned[0].contains("OTHER"), "{warned:?}");
}

#[test]
fn a_translator_draws_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("translator.safetensors");
    crate::model::write_model(&file);
    assert!(model::open(&file, Device::Cpu).is_ok());
    let refused = refused(&["sample", text(&file), "-o", text(&folder.path().join("out"))]);
    assert!(
        refused.contains("translates between `photos` and `anime`") && refused.contains("translate apply")
    );
}

/// Two classes, flat red and flat blue pictures, with captions beside them.
fn colours(root: &Path) {
    for (class, colour) in [("red", [200, 30, 30]), ("blue", [30, 30, 200])] {
        std::fs::create_dir_all(root.join(class)).unwrap();
        for i in 0..4u8 {
            let pixel = image::Rgb(colour.map(|value: u8| value + 5 * i));
            image::RgbImage::from_pixel(16, 16, pixel)
                .save(root.join(class).join(format!("{i}.png")))
                .unwrap();
            std::fs::write(root.join(class).join(format!("{i}.txt")), format!("a {class} square\n")).unwrap();
        }
    }
}

/// The rows of a run's grid of three columns, without the white between them; as many as there should be.
fn rows_of_grid(run: &Path, images: u64, count: u32) -> Vec<Vec<u8>> {
    let grid = image::open(run.join(format!("samples/{images:09}.png"))).unwrap().into_rgb8();
    assert_eq!(grid.dimensions(), (3 * 18 + 2, count * 18 + 2));
    let row = |i: u32| image::imageops::crop_imm(&grid, 0, 2 + 18 * i, 56, 16).to_image().into_raw();
    (0..count).map(row).collect()
}

/// At this rate no picture changes by training, and with a norm of each image by itself by nothing else.
#[test]
fn every_grid_of_a_run_is_of_the_same_noise() {
    let folder = tempfile::tempdir().unwrap();
    let (squares, run) = (folder.path().join("squares"), folder.path().join("run"));
    colours(&squares);
    let mut train = vec!["train", text(&squares), "-r", "cgan-tiny", "--run", text(&run), "--device", "cpu"];
    let sets = [CONTRAST[0], CONTRAST[1], "discriminators.x.net.width=4", "optim.lr=1e-9"];
    train.extend(SMALL.iter().chain(&sets).flat_map(|set| ["--set", set]));
    assert_eq!(translate(&train).unwrap(), 0);
    let [first, second, last] = [0, 8, 16].map(|images| rows_of_grid(&run, images, 2));
    assert!(first == second && second == last);
    assert!(first[0] != first[1]);
}

#[test]
fn classes_and_captions_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    colours(&at("squares"));
    for (recipe, ask, other) in [
        ("cgan-tiny", ["--label", "red"], "blue"),
        ("text-gan-tiny", ["--text", "a red square"], "blue square"),
    ] {
        let (squares, run) = (at("squares"), at(recipe));
        let mut train = vec!["train", text(&squares), "-r", recipe, "--run", text(&run), "--device", "cpu"];
        let sets = [CONTRAST[0], CONTRAST[1], "discriminators.x.net.width=4"];
        train.extend(SMALL.iter().chain(&sets).flat_map(|set| ["--set", set]));
        assert_eq!(translate(&train).unwrap(), 0, "{recipe}");
        // One row for each class, or for each of the two captions that the images have.
        let rows = rows_of_grid(&run, 16, 2);
        assert!(rows[0] != rows[1], "{recipe}: what a row is for must matter");
        let told = std::fs::read_to_string(run.join("samples/rows.txt")).unwrap();
        let expected = if recipe == "cgan-tiny" { "blue\nred\n" } else { "a blue square\na red square\n" };
        assert_eq!(told, expected);

        let sample = |out: &Path, more: &[&str]| {
            let args = ["sample", text(&run), "-o", text(out), "-n", "3", "--device", "cpu"];
            translate(&[&args, more].concat())
        };
        let picture = |name: &str| image::open(at(name).join("00001.png")).unwrap().into_rgb8().into_raw();
        for (out, ask) in [("a", ask), ("b", ask), ("c", [ask[0], other])] {
            let out = at(&format!("{recipe}-{out}"));
            assert_eq!(sample(&out, &ask).unwrap(), 0);
        }
        let [a, b, c] = ["a", "b", "c"].map(|out| picture(&format!("{recipe}-{out}")));
        assert!(a == b && a != c, "{recipe}: what is asked for must matter");
        let both = |out: &str, second: &str| {
            let out = at(&format!("{recipe}-{out}"));
            assert_eq!(sample(&out, &[ask[0], ask[1], ask[0], second]).unwrap(), 0);
            [0, 1, 2, 3, 4, 5].map(|i| std::fs::read(out.join(format!("{i:05}.png"))).unwrap())
        };
        let (same, differ) = (both("same", ask[1]), both("differ", other));
        assert!(same[..3] == differ[..3] && same[3..] != differ[3..], "{recipe}: three of each asked for");
        let unknown = sample(&at("d"), &[ask[0], "Rad"]).unwrap_err().to_string();
        assert!(unknown.to_lowercase().contains("`rad`"), "{unknown}");
        assert!(unknown.contains("did you mean `red`?"), "{unknown}");
    }
    let (labels, texts) = (at("cgan-tiny"), at("text-gan-tiny"));
    let out = at("e");
    let wrong = refused(&["sample", text(&labels), "-o", text(&out), "--text", "red"]);
    assert!(
        wrong.contains("knows classes, not words: `blue`, `red`") && wrong.contains("--label"),
        "{wrong}"
    );
    for ask in [&[][..], &["--label", "red"]] {
        let wrong = refused(&[&["sample", text(&texts), "-o", text(&out)], ask].concat());
        assert!(wrong.contains("`square`") && wrong.contains("hint: `--text"), "{wrong}");
    }
    // Nothing in particular is every class.
    let picture = |out: &Path, i: usize| std::fs::read(out.join(format!("{i:05}.png"))).unwrap();
    assert_eq!(translate(&["sample", text(&labels), "-o", text(&out), "-n", "4"]).unwrap(), 0);
    let named = at("named");
    let names = ["--label", "blue", "--label", "red"];
    let each = ["sample", text(&labels), "-o", text(&named), "-n", "4"];
    assert_eq!(translate(&[&each[..], &names].concat()).unwrap(), 0);
    assert!((0..8).all(|i| picture(&out, i) == picture(&named, i)));
    assert!(!out.join("00008.png").exists());
    let many = refused(&["sample", text(&labels), "-o", text(&at("d")), "-n", "600000"]);
    assert!(many.contains("1200000 pictures are too many; expected at most 1000000"), "{many}");
    assert!(!at("d").exists());
}

#[test]
fn conditions_that_a_folder_lacks_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    colours(&at("squares"));
    let red = at("squares/red");
    let planned = |folder: &Path, recipe: &str| Plan::new(&request(&[folder], recipe), &|| {});
    let refused = |folder: &Path, recipe: &str| planned(folder, recipe).unwrap_err().to_string();
    assert!(refused(&red, "cgan-tiny").contains("no class folders in"));
    assert!(refused(&red, "text-gan-tiny").contains("say the same, `a red square`: expected at least two"));
    std::fs::write(red.join("1.txt"), "a square in red\n").unwrap();
    std::fs::remove_file(red.join("0.txt")).unwrap();
    let plan = planned(&red, "text-gan-tiny").unwrap();
    let warned: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
    assert!(warned.iter().any(|text| text.contains("0.png")), "{warned:?}");
    assert_eq!(plan.sides.datasets[0].len(), 3);
    for i in 1..4 {
        std::fs::remove_file(red.join(format!("{i}.txt"))).unwrap();
    }
    assert!(refused(&red, "text-gan-tiny").contains("no captions in folder"));

    std::fs::create_dir(at("squares/green")).unwrap();
    std::fs::copy(red.join("0.png"), at("squares/green/0.png")).unwrap();
    let plan = planned(&at("squares"), "cgan-tiny").unwrap();
    let warned: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
    assert!(warned.iter().any(|text| text.contains("no more than one image") && text.contains("`green`")));

    let size =
        Plan::new(&Request { sets: vec!["data.size=48".into()], ..request(&[&red], "dcgan-tiny") }, &|| {});
    let size = size.unwrap_err().to_string();
    assert!(size.contains("`data.size` is `48`; expected 16, 32, 64, 128 or 256"), "{size}");
}
