//! `translate recipe`, from its command line.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use translate::recipe::{PRESETS, from_yaml, resolve, to_yaml};

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn recipe(root: &Path, args: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    let output = command.current_dir(root).arg("recipe").args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What is printed by a command that works and has nothing to tell.
fn printed(root: &Path, args: &[&str]) -> String {
    let Ended { code, stdout, stderr } = recipe(root, args);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{args:?}");
    stdout
}

/// What is told by a command that ends with this status and prints nothing.
fn told(root: &Path, status: i32, args: &[&str]) -> String {
    let Ended { code, stdout, stderr } = recipe(root, args);
    assert_eq!((code, stdout.as_str()), (Some(status), ""), "{args:?}: {stderr}");
    stderr
}

/// A folder with these files.
fn folder_of(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn ours(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

const BASE: &str = "extends: cyclegan-small\nabout: Ours\ntrain: { batch: 2 }\n";
const MINE: &str = "# Mine.\nextends: ./base.yaml\n\noptim: { lr: 1e-4 } # slower\n";

#[test]
fn list_shows_what_is_shipped_and_then_the_folder_s_own() {
    let demo = include_str!("../../recipes/demo.yaml");
    let folder = folder_of(&[
        ("recipes/mine.yml", BASE),
        ("recipes/odd.yaml", "extends: cyclegan\nabout: \"two\\nlines \\e[31m\"\n"),
        ("recipes/demo.yaml", demo),
        ("recipes/copy.yaml", demo),
        ("recipes/broken.yaml", "train: { bach: 2 }\n"),
        ("recipes/notes.txt", "no recipe"),
    ]);
    let list = printed(folder.path(), &["list"]);
    let own: Vec<&str> = list.lines().skip(PRESETS.len()).collect();
    let expected = [
        "recipes/broken.yaml         (not valid: `translate recipe validate recipes/broken.yaml` says why)",
        "recipes/copy.yaml           The rendered portraits at 64² in a few minutes on two CPU cores",
        "recipes/mine.yml            Ours",
        "recipes/odd.yaml            two lines  [31m",
    ];
    assert_eq!(own, expected, "{list}");
}

#[test]
fn show_prints_what_is_written_and_what_it_comes_to() {
    let folder = folder_of(&[("base.yaml", BASE), ("mine.yaml", MINE)]);
    let root = folder.path();
    assert_eq!(printed(root, &["show", "mine.yaml"]), MINE);
    let sets = ["about=Ours", "train.batch=2", "optim.lr=1e-4"].map(String::from);
    let expected = to_yaml(&resolve("cyclegan-small", &sets).unwrap()).unwrap();
    let resolved = printed(root, &["show", "mine.yaml", "--resolved"]);
    assert_eq!(resolved, expected);
    // It stands alone.
    std::fs::write(root.join("alone.yaml"), &resolved).unwrap();
    assert_eq!(printed(root, &["show", "alone.yaml", "--resolved"]), resolved);
    let set = printed(root, &["show", "mine.yaml", "--set", "train.batch=3"]);
    assert_eq!(set, expected.replace("batch: 2", "batch: 3"));
    let wrong = told(root, 2, &["show", "mine.yaml", "--resolved", "--set", "train.bach=3"]);
    assert!(wrong.starts_with("error: unknown field `bach` in `train`\n"), "{wrong}");
}

#[test]
fn origin_says_where_each_value_is_from() {
    let folder = folder_of(&[("base.yaml", BASE), ("mine.yaml", MINE)]);
    let args = ["show", "mine.yaml", "--origin", "--set", "train.seed=4", "--set", "optim.betas=[0, 0.9]"];
    let shown = printed(folder.path(), &args);
    let split = |line: &str| {
        let parts: Vec<String> = line.split("  ").map(|part| part.trim().to_string()).collect();
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<String>>()
    };
    let lines: Vec<Vec<String>> = shown.lines().map(split).collect();
    for expected in [
        ["about", "Ours", "base.yaml:2"],
        ["train.batch", "2", "base.yaml:3"],
        ["optim.lr", "0.0001", "mine.yaml:4"],
        ["optim.betas", "[0.0, 0.9]", "--set optim.betas=[0, 0.9]"],
        ["train.seed", "4", "--set train.seed=4"],
        ["train.critic_steps", "1", "default"],
    ] {
        assert!(lines.iter().any(|line| *line == expected), "no {expected:?} in: {shown}");
    }
    // The line itself is what it says.
    let shipped = include_str!("../../recipes/cyclegan-small.yaml");
    let number = 1 + shipped.lines().position(|line| line.starts_with("data:")).unwrap();
    let size = lines.iter().find(|line| line[0] == "data.size").unwrap();
    assert_eq!(size[2], format!("cyclegan-small:{number}"));
    // Each value of the whole recipe, once.
    let fields = to_yaml(&resolve("cyclegan-small", &[]).unwrap()).unwrap();
    let values = fields.lines().filter(|line| !line.ends_with(':') && !line.trim().starts_with('-')).count();
    // The betas are the list, and `needs` is no value of it.
    assert_eq!(lines.len(), values, "{shown}");
}

#[test]
fn new_writes_a_recipe_that_extends_another_and_never_over_one() {
    let folder = folder_of(&[("base.yaml", BASE)]);
    let root = folder.path();
    let said = told(root, 0, &["new", "fresh", "--from", "./base.yaml"]);
    assert!(said.starts_with("wrote `fresh.yaml`, and `recipe.schema.json`, by which"), "{said}");
    assert!(said.contains("\nnext: ") && said.contains("-r fresh.yaml"), "{said}");
    let text = std::fs::read_to_string(root.join("fresh.yaml")).unwrap();
    assert_eq!(text.lines().next(), Some("# yaml-language-server: $schema=recipe.schema.json"));
    let differs = printed(root, &["diff", "base.yaml", "fresh.yaml"]);
    assert_eq!(differs.lines().count(), 1, "but for its description: {differs}");

    let said = told(root, 2, &["new", "fresh.yaml"]);
    assert_eq!(
        said,
        "error: `fresh.yaml` exists, and is left as it is\nhint: give the new recipe another name\n"
    );
    assert_eq!(std::fs::read_to_string(root.join("fresh.yaml")).unwrap(), text);
    let said = told(root, 2, &["new", "other", "--from", "cyclgan"]);
    assert!(said.contains("did you mean `cyclegan`?") && !root.join("other.yaml").exists(), "{said}");
}

#[test]
fn new_names_a_schema_that_is_there_and_never_writes_over_one() {
    let folder = folder_of(&[("old/recipe.schema.json", "{}"), ("bare/recipe.schema.json/file", "")]);
    let root = folder.path();
    for name in ["v1.2", "my.recipe", "plain.YML"] {
        told(root, 0, &["new", name]);
        let file = if name == "plain.YML" { name.to_string() } else { format!("{name}.yaml") };
        let text = std::fs::read_to_string(root.join(&file)).unwrap();
        let schema = text.lines().next().unwrap().rsplit_once("$schema=").unwrap().1;
        let schema = std::fs::read_to_string(root.join(schema)).unwrap();
        assert_eq!(schema, printed(root, &["schema"]));
    }
    let said = told(root, 0, &["new", "again"]);
    assert!(said.starts_with("wrote `again.yaml`\nnext: "), "{said}");
    let said = told(root, 0, &["new", "old/mine"]);
    assert!(
        said.starts_with("warning: `old/recipe.schema.json` is not the schema of this version"),
        "{said}"
    );
    assert!(said.contains("\nhint: `translate recipe schema > old/recipe.schema.json`"), "{said}");
    assert_eq!(std::fs::read_to_string(root.join("old/recipe.schema.json")).unwrap(), "{}");
    let said = told(root, 0, &["new", "bare/mine"]);
    assert!(said.contains("wrote `bare/mine.yaml`\n") && root.join("bare/mine.yaml").is_file(), "{said}");
    let said = told(root, 2, &["new", "none/mine", "--from", "./again.yaml"]);
    assert!(
        said.starts_with("error: cannot write `none/mine.yaml`: there is no folder `none`\nhint"),
        "{said}"
    );
}

#[test]
fn new_extends_a_file_by_its_way_from_the_new_recipe() {
    let other = BASE.replace("Ours", "Another");
    let folder = folder_of(&[("sub/base: 1.yaml", BASE), ("base.yaml", &other), ("sub/base.yaml", BASE)]);
    let root = folder.path();
    let whole = root.join("sub/base.yaml").display().to_string();
    for (name, from, extends) in [
        ("sub/a", "./sub/base.yaml", "./base.yaml"),
        ("sub/b", "sub/base: 1.yaml", "./base: 1.yaml"),
        ("c", "sub/base.yaml", "./sub/base.yaml"),
        ("sub/d", &whole, "./base.yaml"),
    ] {
        told(root, 0, &["new", name, "--from", from]);
        let text = std::fs::read_to_string(root.join(format!("{name}.yaml"))).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("extends: ")).unwrap();
        assert_eq!(line.trim_matches('\''), extends, "{text}");
        let shown = printed(root, &["show", &format!("{name}.yaml"), "--resolved"]);
        assert!(shown.contains("batch: 2"), "{shown}");
    }
    // Not the file of that name which happens to lie beside the new one.
    let said = told(root, 2, &["new", "sub/e", "--from", "./base.yaml"]);
    let expected =
        "error: `./base.yaml` does not lie in `sub`, the folder of the new recipe, or below\nhint: ";
    assert!(said.starts_with(expected) && !root.join("sub/e.yaml").exists(), "{said}");
}

#[test]
fn validate_tells_every_mistake_of_every_file() {
    let folder = folder_of(&[
        ("good.yaml", BASE),
        ("bad.yaml", "extends: cyclegan\ntrain: { bach: 2 }\nlog: { every: 0 }\n"),
        ("worse.yaml", "extends: ./good.yaml\ndata: { flip: maybe }\n"),
    ]);
    let Ended { code, stdout, stderr } =
        recipe(folder.path(), &["validate", "bad.yaml", "good.yaml", "worse.yaml", "pix2pix"]);
    let lines = "bad.yaml: not valid\ngood.yaml: valid\nworse.yaml: not valid\npix2pix: valid\n";
    assert_eq!((code, stdout.as_str()), (Some(1), lines), "{stderr}");
    for at in ["--> bad.yaml:2:10", "--> bad.yaml:3:15", "--> worse.yaml:2:15"] {
        assert!(stderr.contains(at), "no `{at}` in: {stderr}");
    }
    assert_eq!(stderr.matches("error: ").count(), 3, "{stderr}");
    assert_eq!(printed(folder.path(), &["validate", "good.yaml"]), "good.yaml: valid\n");
}

#[test]
fn a_file_that_is_not_there_is_told_shortly() {
    let folder = folder_of(&[("recipes/mine.yaml", BASE), ("small.yaml", BASE)]);
    let link = "github.com/someone/recipes/raw/main/r.yaml";
    let whole = format!("a link begins with its scheme: `https://{link}`");
    for (name, hint) in [
        ("small", "did you mean `small.yaml`?"),
        (link, &whole),
        ("recipes/mien.yaml", "did you mean `recipes/mine.yaml`?"),
        ("other.yaml", "`translate recipe new other.yaml` writes one to begin with"),
        ("recipes/zebra.yaml", "`translate recipe new recipes/zebra.yaml` writes one to begin with"),
        ("none/cyclegan", "the shipped recipe is called `cyclegan`, without a path"),
    ] {
        let Ended { code, stdout, stderr } = recipe(folder.path(), &["validate", name]);
        assert_eq!((code, stdout), (Some(1), format!("{name}: not valid\n")));
        assert_eq!(stderr, format!("error: no recipe file `{name}`\nhint: {hint}\n\n"));
    }
}

#[test]
fn diff_compares_recipes_files_runs_and_model_files() {
    let resolved = to_yaml(&resolve("portraits", &["train.seed=9".to_string()]).unwrap()).unwrap();
    let folder = folder_of(&[
        ("small.yaml", "extends: cyclegan-small\nlog: { every: 7 }\n"),
        ("run/recipe.yaml", &resolved),
        ("demo/photos/0.png", ""),
        ("empty/file", ""),
    ]);
    let root = folder.path();
    std::fs::write(root.join("lines.yaml"), "extends: demo\nabout: |\n  two\n  lines\n").unwrap();
    let differs = printed(root, &["diff", "lines.yaml", "demo"]);
    assert!(differs.starts_with("about: \"two\\nlines\\n\" -> The rendered"), "{differs}");
    let every = resolve("cyclegan-small", &[]).unwrap().log.every;
    let differs = printed(root, &["diff", "cyclegan-small", "small.yaml"]);
    assert_eq!(differs, format!("log.every: {every} -> 7\n"));
    let model = ours("models/portraits.safetensors").display().to_string();
    let differs = printed(root, &["diff", &model, "run"]);
    assert_eq!(differs, "train.seed: 0 -> 9\n");
    // Whatever it is called.
    for name in ["model", "model.yaml"] {
        std::fs::copy(&model, root.join(name)).unwrap();
        assert_eq!(printed(root, &["diff", name, "run"]), "train.seed: 0 -> 9\n");
    }
    // A shipped recipe's name is not a folder's.
    assert_eq!(printed(root, &["diff", "demo", "demo"]), "");
    let said = told(root, 2, &["diff", "empty", "demo"]);
    assert!(said.starts_with("error: `empty` is no run folder: it has no `recipe.yaml`\nhint: "), "{said}");
}

#[test]
fn runs_and_model_files_are_as_good_as_recipes() {
    let text = to_yaml(&resolve("portraits", &["train.seed=9".to_string()]).unwrap()).unwrap();
    let folder = folder_of(&[("run/recipe.yaml", &text), ("empty/file", ""), ("cut.safetensors", "cut")]);
    let root = folder.path();
    std::fs::copy(ours("models/portraits.safetensors"), root.join("m.safetensors")).unwrap();
    assert_eq!(printed(root, &["show", "run"]), text);
    assert_eq!(printed(root, &["show", "run/", "--set", "train.seed=0"]), text.replace("seed: 9", "seed: 0"));
    let portraits = printed(root, &["show", "portraits", "--resolved"]);
    assert_eq!(printed(root, &["show", "m.safetensors", "--resolved"]), portraits);
    assert_eq!(printed(root, &["validate", "run", "m.safetensors"]), "run: valid\nm.safetensors: valid\n");
    // As it is written there, each value with its line.
    for (name, file) in [("run", "run/recipe.yaml"), ("m.safetensors", "m.safetensors")] {
        let text = printed(root, &["show", name]);
        let line = 1 + text.lines().position(|line| line.trim().starts_with("seed: ")).unwrap();
        let origins = printed(root, &["show", name, "--origin"]);
        let seed = origins.lines().find(|line| line.starts_with("train.seed ")).unwrap();
        assert!(seed.ends_with(&format!("  {file}:{line}")), "{seed}");
    }
    // A new recipe is a copy, which needs neither.
    for (name, from) in [("a", "run"), ("b", "m.safetensors")] {
        told(root, 0, &["new", name, "--from", from]);
        let file = format!("{name}.yaml");
        let text = std::fs::read_to_string(root.join(&file)).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema=recipe.schema.json\n"), "{text}");
        assert!(text.contains("\nabout: one line on what this is for\n"), "{text}");
        let differs = printed(root, &["diff", from, &file]);
        assert!(differs.starts_with("about: ") && differs.lines().count() == 1, "{differs}");
    }
    // What is sent must not make who opens it fetch or read anything.
    std::fs::write(root.join("run/recipe.yaml"), "extends: https://localhost:1/r.yaml\n").unwrap();
    let said = told(root, 2, &["show", "run", "--resolved"]);
    assert!(said.contains("a recipe that a model or a run holds is complete"), "{said}");
    let folder = "error: `empty` is no run folder: it has no `recipe.yaml`\nhint: ";
    let cut = "error: `cut.safetensors` is no safetensors file, or a truncated one: ";
    for args in [&["show", "NAME"][..], &["new", "c", "--from", "NAME"], &["diff", "demo", "NAME"]] {
        for (name, begins) in [("empty", folder), ("cut.safetensors", cut)] {
            let args: Vec<&str> = args.iter().map(|arg| if *arg == "NAME" { name } else { arg }).collect();
            let said = told(root, 2, &args);
            assert!(said.starts_with(begins) && said.contains("\nhint: "), "{said}");
        }
    }
    let said = told(root, 2, &["show", "./m2.safetensors"]);
    assert_eq!(said, "error: no recipe file `./m2.safetensors`\nhint: did you mean `./m.safetensors`?\n");
}

#[test]
fn the_schema_for_editors_is_beside_the_shipped_recipes_which_name_it() {
    let schema = printed(Path::new("."), &["schema"]);
    let committed = include_str!("../../recipes/recipe.schema.json");
    assert!(
        schema.trim_end() == committed.trim_end(),
        "`translate recipe schema > recipes/recipe.schema.json`"
    );
    let read: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(read["$schema"], "http://json-schema.org/draft-07/schema#");
    for preset in PRESETS {
        let first = preset.yaml.lines().next();
        assert_eq!(first, Some("# yaml-language-server: $schema=recipe.schema.json"), "{}", preset.name);
    }
    let shipped = std::fs::read_dir(ours("recipes")).unwrap().count();
    assert_eq!(shipped, PRESETS.len() + 1, "a recipe that is not shipped");
}

#[test]
fn upgrade_leaves_what_has_no_old_names() {
    let folder = folder_of(&[("mine.yaml", MINE), ("broken.yaml", "train: { batch: 4\n")]);
    let root = folder.path();
    let said = told(root, 0, &["upgrade", "mine.yaml"]);
    assert_eq!(said, "nothing to do: `mine.yaml` has no old names\n");
    assert_eq!(std::fs::read_to_string(root.join("mine.yaml")).unwrap(), MINE);
    let said = told(root, 2, &["upgrade", "broken.yaml"]);
    assert!(said.contains("--> broken.yaml:1:18"), "{said}");
    let said = told(root, 2, &["upgrade", "none.yaml"]);
    assert!(said.starts_with("error: cannot read `none.yaml`: ") && said.contains("\nhint: "), "{said}");
}

/// The recipe that a run keeps says everything, and so can be sent to others.
#[test]
fn a_recipe_with_its_parents_can_be_sent_as_one_file() {
    let folder = folder_of(&[("sub/base.yaml", BASE), ("mine.yaml", "extends: ./sub/base.yaml\n")]);
    let text = printed(folder.path(), &["show", "mine.yaml", "--resolved"]);
    let elsewhere = folder_of(&[("sent.yaml", &text)]);
    assert_eq!(printed(elsewhere.path(), &["show", "sent.yaml", "--resolved"]), text);
    assert_eq!(from_yaml("sent", &text, &[]).unwrap().about, "Ours");
}
