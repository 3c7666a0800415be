//! The way from a folder to new pictures, and from pairs to a translator, at the command line.

use std::path::{Path, PathBuf};

use tch::Device;
use translate::data::portraits::{Options, write_dataset};
use translate::model;
use translate::train::plan::{Plan, Request};
use translate::train::problems::PlanError;

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

pub fn translate(args: &[&str]) -> Result<u8, translate::cli::Failure> {
    translate::cli::run_on(["translate"].iter().chain(args))
}

/// The message of a command that is refused before it begins.
pub fn refused(args: &[&str]) -> String {
    let failure = translate(args).unwrap_err();
    assert_eq!(failure.status, 2, "{args:?}: {failure}");
    failure.to_string()
}

pub fn text(path: &Path) -> &str {
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
        ranks: 1,
        dry_run: true,
    }
}

/// Four pairs of photos and anime, and the same side by side; of the first the anime picture is gone.
struct Paired {
    folder: tempfile::TempDir,
    /// Of the photo that is alone.
    stem: String,
}

impl Paired {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let faces = folder.path().join("faces");
        write_dataset(&faces, &Options { count: 3, size: 64, seed: 1, holdout: Some(4) }).unwrap();
        let mut paired = Self { folder, stem: String::new() };
        let names = paired.pictures("anime");
        let both = paired.at("both");
        std::fs::create_dir(&both).unwrap();
        for name in &names {
            let mut halves = image::RgbImage::new(128, 64);
            for (side, x) in [("photos", 0), ("anime", 64)] {
                let half = image::open(paired.at(side).join(name)).unwrap().to_rgb8();
                image::imageops::replace(&mut halves, &half, x, 0);
            }
            halves.save(both.join(name)).unwrap();
        }
        std::fs::remove_file(paired.at("anime").join(&names[0])).unwrap();
        paired.stem = names[0].trim_end_matches(".png").into();
        paired
    }

    /// `photos`, `anime` or another folder.
    fn at(&self, name: &str) -> PathBuf {
        let side = if matches!(name, "photos" | "anime") { "faces/holdout" } else { "" };
        self.folder.path().join(side).join(name)
    }

    /// The names of its pictures, sorted.
    fn pictures(&self, side: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.at(side)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let is_picture = |name: &String| Path::new(name).extension().is_some_and(|end| end == "png");
        let mut names: Vec<String> = names.filter(is_picture).collect();
        names.sort();
        names
    }

    fn plan(&self, sides: &[&str]) -> Result<Plan, PlanError> {
        let folders: Vec<PathBuf> = sides.iter().map(|side| self.at(side)).collect();
        let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        Plan::new(&request(&folders, "pix2pix-tiny"), &|| {})
    }
}

fn warnings(plan: &Plan) -> Vec<String> {
    plan.warnings.iter().map(ToString::to_string).collect()
}

/// The bytes of both sides of a pair.
fn fetch(plan: &Plan, pair: usize) -> [Vec<u8>; 2] {
    let pairs = plan.sides.pairs.as_ref().unwrap();
    pairs
        .fetch(pair, [&plan.sides.datasets[0], &plan.sides.datasets[1]])
        .unwrap()
        .map(|(_, image)| image.as_raw().clone())
}

#[test]
fn pairs_come_from_stems_and_what_is_alone_is_named() {
    let paired = Paired::new();
    let plan = paired.plan(&["photos", "anime"]).unwrap();
    assert_eq!(plan.sides.epoch_length(), 3);
    let named = |text: &String| text.contains(&paired.stem) && text.contains("to pair it with");
    assert!(warnings(&plan).iter().any(named), "{:?}", warnings(&plan));
}

#[test]
fn pairs_side_by_side_are_those_of_two_folders() {
    let paired = Paired::new();
    let (halves, whole) = (paired.plan(&["both"]).unwrap(), paired.plan(&["photos", "anime"]).unwrap());
    assert_eq!(halves.sides.epoch_length(), 4);
    assert_eq!(halves.domains.values().collect::<Vec<_>>(), ["both-left", "both-right"]);
    // The lost file was the first, so that pair 1 of the halves is pair 0 of the folders.
    assert_eq!(fetch(&halves, 1), fetch(&whole, 0));
}

#[test]
fn folders_without_a_pair_are_refused() {
    let paired = Paired::new();
    std::fs::create_dir(paired.at("renamed")).unwrap();
    for name in paired.pictures("anime") {
        let other = paired.at("renamed").join(format!("other{name}"));
        std::fs::copy(paired.at("anime").join(name), other).unwrap();
    }
    let refused = paired.plan(&["photos", "renamed"]).unwrap_err().to_string();
    assert!(refused.contains("has a partner of the same stem") && refused.contains("hint: "), "{refused}");
}

/// Pictures of one side alone would be cut in two without a word.
#[test]
fn one_folder_of_what_seem_no_pairs_is_warned_of() {
    let paired = Paired::new();
    let upright = |plan: &Plan| {
        let mut all = warnings(plan);
        all.retain(|text| text.contains("taken for a pair side by side"));
        all
    };
    assert!(upright(&paired.plan(&["both"]).unwrap()).is_empty());
    let warned = upright(&paired.plan(&["photos"]).unwrap());
    assert!(warned.len() == 1 && warned[0].contains("4 of 4") && warned[0].contains("OTHER"), "{warned:?}");
}

#[test]
fn a_translator_of_one_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let squares = folder.path().join("squares");
    colours(&squares);
    let refused = Plan::new(&request(&[&squares], "cyclegan"), &|| {}).unwrap_err().to_string();
    assert!(refused.contains("needs 2 folder(s)") && refused.contains("`-r dcgan`"), "{refused}");
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

/// A short run on `squares` beside it.
fn train_on_colours(squares: &Path, recipe: &str) -> PathBuf {
    let run = squares.with_file_name(recipe);
    let mut train = vec!["train", text(squares), "-r", recipe, "--run", text(&run), "--device", "cpu"];
    let sets = [CONTRAST[0], CONTRAST[1], "discriminators.x.net.width=4"];
    train.extend(SMALL.iter().chain(&sets).flat_map(|set| ["--set", set]));
    assert_eq!(translate(&train).unwrap(), 0, "{recipe}");
    run
}

#[test]
fn rows_of_grids_are_classes_or_captions_and_their_names_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    colours(&at("squares"));
    for (recipe, expected) in
        [("cgan-tiny", "blue\nred\n"), ("text-gan-tiny", "a blue square\na red square\n")]
    {
        let run = train_on_colours(&at("squares"), recipe);
        let rows = rows_of_grid(&run, 16, 2);
        assert!(rows[0] != rows[1], "{recipe}: what a row is for must matter");
        assert_eq!(std::fs::read_to_string(run.join("samples/rows.txt")).unwrap(), expected);
        // What a run's folder knows can be asked for.
        let ask = if recipe == "cgan-tiny" { ["--label", "red"] } else { ["--text", "red"] };
        let out = at(&format!("{recipe}-out"));
        let sample = ["sample", text(&run), "-o", text(&out), "-n", "1", "--device", "cpu"];
        assert_eq!(translate(&[&sample[..], &ask].concat()).unwrap(), 0, "{recipe}");
    }
}

/// The plan of training such a run on.
fn plan_on(run: &Path, squares: &Path) -> Result<Plan, PlanError> {
    let sets = vec!["train.images=32".into()];
    Plan::new(&Request { recipe: None, run: Some(run.into()), sets, ..request(&[squares], "") }, &|| {})
}

#[test]
fn a_run_does_not_go_on_with_other_classes_or_words() {
    let folder = tempfile::tempdir().unwrap();
    let squares = folder.path().join("squares");
    colours(&squares);
    let runs = ["cgan-tiny", "text-gan-tiny"].map(|recipe| train_on_colours(&squares, recipe));
    for run in &runs {
        assert!(plan_on(run, &squares).is_ok(), "{}", run.display());
    }
    std::fs::create_dir(squares.join("green")).unwrap();
    for file in ["0.png", "1.png"] {
        std::fs::copy(squares.join("red").join(file), squares.join("green").join(file)).unwrap();
    }
    std::fs::write(squares.join("red/0.txt"), "a crimson square\n").unwrap();
    for run in &runs {
        let error = plan_on(run, &squares).unwrap_err();
        assert!(matches!(&error, PlanError::OtherConditions { path } if path == run), "{error}");
        let message = error.to_string();
        assert!(
            message.contains("trained on other classes, or on captions of other words\nhint: "),
            "{message}"
        );
    }
}

#[test]
fn a_run_whose_captions_have_changed_places_goes_on_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let squares = folder.path().join("squares");
    colours(&squares);
    let run = train_on_colours(&squares, "text-gan-tiny");
    let changed = |plan: &Plan| warnings(plan).iter().any(|text| text.contains("have changed since"));
    assert!(!changed(&plan_on(&run, &squares).unwrap()));
    std::fs::write(squares.join("red/0.txt"), "a blue square\n").unwrap();
    std::fs::write(squares.join("blue/0.txt"), "a red square\n").unwrap();
    let plan = plan_on(&run, &squares).unwrap();
    let expected =
        "the images of `squares`, or what is said of them, have changed since the run's last start";
    assert!(warnings(&plan).iter().any(|text| text.starts_with(expected)), "{:?}", warnings(&plan));
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
