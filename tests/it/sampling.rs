//! `translate sample` with models of classes and of texts, which need no training to draw what is asked for.

use std::path::{Path, PathBuf};

use tch::Device;
use translate::data::condition::{Conditions, Known, Vocabulary};
use translate::model::{Domains, save};
use translate::nets::Graph;
use translate::recipe::{Space, resolve};

use crate::drawing::{refused, text, translate};
use crate::model::about;

/// A model that has learnt nothing, and a place to draw into.
struct Drawer {
    folder: tempfile::TempDir,
}

impl Drawer {
    fn new(recipe: &str, known: Known) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // By instance norm's pictures what is asked for is told apart before anything is learnt.
        let net = ["width=4", "norm=instance", "noise=5"].map(|set| format!("generators.z_to_x.net.{set}"));
        let size = ["data.size=16", "data.load_size=16"].map(String::from);
        let recipe = resolve(recipe, &[&net[..], &size].concat()).unwrap();
        let conditions = Conditions::from([(Space::X, known)]);
        let graph = Graph::build_generators(&recipe, &conditions, Device::Cpu);
        let about = about(Domains::from([(Space::X, "squares".to_string())]), conditions);
        save(&folder.path().join("model.safetensors"), &graph, &recipe, &about).unwrap();
        Self { folder }
    }

    fn of_classes() -> Self {
        Self::new("cgan-tiny", Known::Classes(["blue", "red"].map(String::from).to_vec()))
    }

    fn of_texts() -> Self {
        let words = Vocabulary::new(["a red square", "a blue square"].into_iter());
        Self::new("text-gan-tiny", Known::Words(words))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sample(&self, out: &Path, more: &[&str]) {
        let model = self.at("model.safetensors");
        let args = ["sample", text(&model), "-o", text(out), "--device", "cpu"];
        assert_eq!(translate(&[&args, more].concat()).unwrap(), 0, "{more:?}");
    }

    /// What it has drawn into a new folder.
    fn drawn(&self, name: &str, more: &[&str]) -> Vec<Vec<u8>> {
        let out = self.at(name);
        self.sample(&out, more);
        let count = std::fs::read_dir(&out).unwrap().count();
        (0..count).map(|i| std::fs::read(out.join(format!("{i:05}.png"))).unwrap()).collect()
    }

    /// The message of what it does not draw.
    fn refused(&self, out: &Path, more: &[&str]) -> String {
        let model = self.at("model.safetensors");
        refused(&[&["sample", text(&model), "-o", text(out), "--device", "cpu"], more].concat())
    }
}

/// Each model with two things to ask it for.
fn drawers() -> [(Drawer, [&'static str; 2], &'static str); 2] {
    [
        (Drawer::of_classes(), ["--label", "red"], "blue"),
        (Drawer::of_texts(), ["--text", "a red square"], "blue square"),
    ]
}

#[test]
fn what_is_asked_for_is_drawn() {
    for (drawer, ask, other) in drawers() {
        let [a, b] = ["a", "b"].map(|out| drawer.drawn(out, &[&ask[..], &["-n", "3"]].concat()));
        let c = drawer.drawn("c", &[ask[0], other, "-n", "3"]);
        assert_eq!((a.len(), c.len()), (3, 3));
        assert!(a == b && a != c, "{}: what is asked for must matter", ask[0]);
    }
}

#[test]
fn pictures_in_bfloat16_are_near_those_in_float32() {
    for (drawer, ask, _) in drawers() {
        let drawn = |precision| drawer.drawn(precision, &[&ask[..], &["--precision", precision]].concat());
        let pixels = |files: Vec<Vec<u8>>| -> Vec<u8> {
            files
                .iter()
                .flat_map(|file| image::load_from_memory(file).unwrap().into_rgb8().into_raw())
                .collect()
        };
        let [fp32, bf16] = ["fp32", "bf16"].map(|precision| pixels(drawn(precision)));
        let off: f64 = fp32.iter().zip(&bf16).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
        let off = off / fp32.len() as f64;
        assert!(fp32 != bf16 && off < 2.0, "{}: {off}", ask[0]);
    }
}

#[test]
fn of_several_things_as_many_are_drawn_of_each() {
    for (drawer, ask, other) in drawers() {
        let both = |out: &str, second: &str| drawer.drawn(out, &[ask[0], ask[1], ask[0], second, "-n", "3"]);
        let (same, differ) = (both("same", ask[1]), both("differ", other));
        assert_eq!(differ.len(), 6);
        assert!(same[..3] == differ[..3] && same[3..] != differ[3..], "{}", ask[0]);
    }
}

#[test]
fn nothing_in_particular_is_every_class() {
    let drawer = Drawer::of_classes();
    let all = drawer.drawn("all", &["-n", "4"]);
    let named = drawer.drawn("named", &["-n", "4", "--label", "blue", "--label", "red"]);
    assert_eq!(all.len(), 8);
    assert_eq!(all, named);
}

#[test]
fn what_is_near_to_an_unknown_class_or_word_is_named() {
    for (drawer, [flag, _], _) in drawers() {
        let unknown = drawer.refused(&drawer.at("out"), &[flag, "Rad"]);
        assert!(unknown.to_lowercase().contains("`rad`"), "{unknown}");
        assert!(unknown.contains("did you mean `red`?"), "{unknown}");
    }
}

#[test]
fn words_are_not_for_classes_nor_classes_for_words() {
    let (labels, texts) = (Drawer::of_classes(), Drawer::of_texts());
    let wrong = labels.refused(&labels.at("out"), &["--text", "red"]);
    assert!(
        wrong.contains("knows classes, not words: `blue`, `red`") && wrong.contains("--label"),
        "{wrong}"
    );
    for ask in [&[][..], &["--label", "red"]] {
        let wrong = texts.refused(&texts.at("out"), ask);
        assert!(wrong.contains("`square`") && wrong.contains("hint: `--text"), "{wrong}");
    }
}

#[test]
fn more_pictures_than_can_be_are_refused() {
    let drawer = Drawer::of_classes();
    let many = drawer.refused(&drawer.at("out"), &["-n", "600000"]);
    assert!(many.contains("1200000 pictures are too many; expected at most 1000000"), "{many}");
    assert!(!drawer.at("out").exists());
}

#[test]
fn the_folder_of_a_picture_is_made() {
    let drawer = Drawer::of_classes();
    drawer.sample(&drawer.at("no/such/folder/grid.png"), &["--grid", "-n", "2"]);
    assert!(image::open(drawer.at("no/such/folder/grid.png")).is_ok());
}

#[test]
fn a_place_that_cannot_be_written_is_named_before_anything_is_drawn() {
    let drawer = Drawer::of_classes();
    std::fs::write(drawer.at("file"), "").unwrap();
    std::fs::create_dir(drawer.at("folder.png")).unwrap();
    let below = drawer.at("file/deep");
    // Drawing a million pictures would take longer than anyone waits.
    for (out, more, folder) in [
        (below.join("grid.png"), &["--grid", "-n", "2000"][..], &below),
        (below.clone(), &["-n", "500000"], &below),
    ] {
        let message = drawer.refused(&out, more);
        let expected = format!("cannot write into `{}`: ", folder.display());
        assert!(message.starts_with(&expected) && message.contains("\nhint: name a place"), "{message}");
        assert!(!message.contains(".part"), "{message}");
    }
    let folder = drawer.refused(&drawer.at("folder.png"), &["--grid", "--overwrite", "-n", "2000"]);
    assert!(folder.contains("folder.png` is a folder; with `--grid` expected a file\nhint: "), "{folder}");
}
