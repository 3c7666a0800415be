//! Recipes behind links: what is fetched and kept, and what is refused.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use translate::data::portraits::{Options, write_dataset};
use translate::recipe::{from_yaml, resolve, to_yaml};

use crate::https::{Answer, Server};

const RECIPE: &str = "extends: cyclegan-small\nabout: Behind a link\ntrain: { batch: 3 }\n";

/// A server, and a folder in which the program trusts it.
struct Place {
    folder: TempDir,
    server: Server,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&folder.path().join("authority.pem"));
        Self { folder, server }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn answers(&self, path: &str, text: impl Into<Vec<u8>>) -> String {
        self.server.answers(path, Answer::Bytes(text.into()))
    }
}

fn translate(root: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    for proxy in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"] {
        command.env_remove(proxy);
    }
    command.env("SSL_CERT_FILE", root.join("authority.pem")).env_remove("SSL_CERT_DIR");
    command.env("XDG_CACHE_HOME", root.join("cache")).current_dir(root).args(args).output().unwrap()
}

fn texts(output: Output) -> (String, String) {
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn works(root: &Path, args: &[&str]) -> (String, String) {
    let output = translate(root, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    texts(output)
}

/// The recipe is not valid, for a reason that holds all of `parts`.
fn refused(root: &Path, recipe: &str, parts: &[&str]) -> String {
    let output = translate(root, &["recipe", "validate", recipe]);
    let code = output.status.code();
    let (stdout, stderr) = texts(output);
    assert_eq!((code, stdout), (Some(1), format!("{recipe}: not valid\n")), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{recipe}: no `{part}` in: {stderr}");
    }
    stderr
}

/// The link with a hash that the program advises to write.
fn pinned(stderr: &str) -> String {
    let link = stderr.split('`').find(|part| part.contains("#sha256="));
    link.unwrap_or_else(|| panic!("no link to pin in: {stderr}")).to_string()
}

#[test]
fn a_recipe_is_fetched_and_the_link_to_pin_is_told() {
    let place = Place::new();
    let link = place.answers("/r.yaml", RECIPE);
    let (shown, told) = works(place.root(), &["recipe", "show", &link, "--resolved"]);
    let sets = ["about=Behind a link", "train.batch=3"].map(String::from);
    assert_eq!(shown, to_yaml(&resolve("cyclegan-small", &sets).unwrap()).unwrap());
    assert!(told.starts_with("warning: ") && pinned(&told).starts_with(&link), "{told}");
    // As it is written, too.
    let (shown, told) = works(place.root(), &["recipe", "show", &link]);
    assert_eq!((shown.as_str(), pinned(&told).len()), (RECIPE, link.len() + "#sha256=".len() + 64));
}

#[test]
fn a_pinned_recipe_is_kept_and_needs_its_server_once() {
    let place = Place::new();
    let link = place.answers("/r.yaml", RECIPE);
    let (_, told) = works(place.root(), &["recipe", "validate", &link]);
    let pin = pinned(&told);
    assert_eq!(place.server.asked(), 1);
    let (shown, told) = works(place.root(), &["recipe", "show", &pin, "--resolved"]);
    assert_eq!((place.server.asked(), told.as_str()), (1, ""), "what was fetched was not kept");
    let mine = place.root().join("mine.yaml");
    std::fs::write(&mine, format!("extends: \"{pin}\"\n")).unwrap();
    let Place { folder, server } = place;
    drop(server);
    let (again, _) = works(folder.path(), &["recipe", "show", "mine.yaml", "--resolved"]);
    assert_eq!(again, shown);
    assert_eq!(from_yaml("shown", &again, &[]).unwrap().train.batch, 3);
    // Without its hash it could have changed.
    refused(folder.path(), &link, &["cannot fetch it: ", "hint: try again later"]);
}

#[test]
fn a_recipe_that_is_not_what_was_pinned_is_refused() {
    let place = Place::new();
    let link = place.answers("/r.yaml", RECIPE);
    let pin = format!("{link}#sha256={}", "0".repeat(64));
    let text =
        refused(place.root(), &pin, &["it has changed: its sha256 is ", "expected 0000", "hint: look at"]);
    assert!(text.contains(&pin), "{text}");
    // Not even kept.
    assert!(!place.root().join("cache").exists());
}

#[test]
fn what_is_no_recipe_is_refused() {
    let place = Place::new();
    let root = place.root();
    let large = |bytes: usize| [RECIPE, "#", &"x".repeat(bytes - RECIPE.len() - 1)].concat();
    let link = place.answers("/most", large(64 << 10));
    works(root, &["recipe", "validate", &link]);
    let link = place.answers("/large", large((64 << 10) + 1));
    refused(root, &link, &["larger than 64 KiB", "hint: link to the YAML file itself"]);
    let link = place.answers("/latin", b"about: caf\xe9".as_slice());
    refused(root, &link, &["no text (UTF-8)"]);
    let link = place.answers("/page", "<!DOCTYPE html>\n<html><body>A recipe</body></html>");
    refused(root, &link, &["it is a web page, not a recipe", "hint: link to the YAML file itself", "`Raw`"]);
    let mine = root.join("mine.yaml");
    std::fs::write(&mine, format!("extends: {link}\n")).unwrap();
    refused(
        root,
        "mine.yaml",
        &["it is a web page, not a recipe\n --> mine.yaml:1:10", "\nhint: link to the YAML"],
    );
    refused(root, &place.server.link("/none"), &["the server answers 404"]);
}

#[test]
fn redirects_are_followed_by_https_alone() {
    let place = Place::new();
    let link = place.answers("/r.yaml", RECIPE);
    let on = place.server.answers("/on", Answer::Redirect(link));
    works(place.root(), &["recipe", "validate", &on]);
    let open = place.server.answers("/open", Answer::Redirect("http://127.0.0.1:9/r.yaml".into()));
    refused(place.root(), &open, &["leads on to what is no https link, `http://127.0.0.1:9/r.yaml`"]);
    let file = place.server.answers("/file", Answer::Redirect("file:///etc/hostname".into()));
    refused(place.root(), &file, &["cannot fetch it"]);
    let round = place.server.answers("/round", Answer::Redirect(place.server.link("/round")));
    refused(place.root(), &round, &["cannot fetch it: too many redirects"]);
    refused(place.root(), "http://127.0.0.1:9/r.yaml", &["by https alone", "hint: `https://…`"]);
}

#[test]
fn a_server_that_nobody_vouches_for_is_refused() {
    let place = Place::new();
    let link = place.answers("/r.yaml", RECIPE);
    // Another one's certificate.
    drop(Server::start(&place.root().join("authority.pem")));
    let text = refused(place.root(), &link, &["cannot fetch it: the server's certificate is refused: "]);
    assert!(text.contains("\nhint: look at the address") && text.contains("`SSL_CERT_FILE`"), "{text}");
    assert_eq!(place.server.asked(), 0);
}

#[test]
fn recipes_extend_links_and_links_no_files() {
    let place = Place::new();
    let root = place.root();
    let link = place.answers("/r.yaml", RECIPE);
    let mine = |link: &str| std::fs::write(root.join("mine.yaml"), format!("extends: {link}\n")).unwrap();
    mine(&link);
    let (shown, told) = works(root, &["recipe", "show", "mine.yaml", "--origin"]);
    assert!(pinned(&told).starts_with(&link), "{told}");
    let line = shown.lines().find(|line| line.starts_with("train.batch ")).unwrap();
    assert!(line.contains(" 3 ") && line.ends_with(&format!("{link}:3")), "{line}");

    mine(&place.server.link("/none"));
    refused(root, "mine.yaml", &["the server answers 404", "--> mine.yaml:1:10"]);
    let wrong = place.answers("/wrong", "extends: cyclegan\ntrain: { bach: 3 }\n");
    mine(&wrong);
    refused(root, "mine.yaml", &["unknown field `bach`", &format!("--> {wrong}:2:10")]);
    std::fs::write(root.join("base.yaml"), "extends: cyclegan\n").unwrap();
    let file = place.answers("/file", "extends: ./base.yaml\n");
    refused(root, &file, &["only a recipe in a file can extend another file"]);
    let itself = place.server.link("/itself");
    place.answers("/itself", format!("extends: {itself}\n"));
    refused(root, &itself, &["in a circle"]);
}

#[test]
fn diff_new_and_list_follow_links() {
    let place = Place::new();
    let root = place.root();
    let link = place.answers("/r.yaml", RECIPE);
    let small = resolve("cyclegan-small", &[]).unwrap();
    let (differs, told) = works(root, &["recipe", "diff", "cyclegan-small", &link]);
    let batch = format!("train.batch: {} -> 3", small.train.batch);
    assert_eq!(differs, format!("about: {} -> Behind a link\n{batch}\n", small.about));
    let pin = pinned(&told);
    assert!(pin.starts_with(&link), "{told}");

    std::fs::create_dir(root.join("recipes")).unwrap();
    let (_, told) = works(root, &["recipe", "new", "recipes/loose", "--from", &link]);
    assert_eq!(pinned(&told), pin);
    let (_, told) = works(root, &["recipe", "new", "recipes/fixed", "--from", &pin]);
    assert!(told.starts_with("wrote `recipes/fixed.yaml`\nnext: "), "{told}");
    let text = std::fs::read_to_string(root.join("recipes/fixed.yaml")).unwrap();
    assert!(text.contains(&format!("\nextends: {pin}\n")), "{text}");
    let (differs, told) = works(root, &["recipe", "diff", "recipes/fixed.yaml", &pin]);
    assert!(differs.starts_with("about: ") && differs.lines().count() == 1, "{differs}");
    assert_eq!(told, "");
    let (listed, told) = works(root, &["recipe", "list"]);
    assert!(listed.contains("recipes/loose.yaml ") && listed.contains("recipes/fixed.yaml "), "{listed}");
    assert!(told.starts_with("warning: recipes/loose.yaml:3: what is behind a link can change\n"), "{told}");
    assert_eq!((pinned(&told), told.matches("warning").count()), (pin, 1));
    refused(root, &place.server.link("/none"), &["the server answers 404"]);
    let none = translate(root, &["recipe", "new", "other", "--from", &place.server.link("/none")]);
    assert!(none.status.code() == Some(2) && !root.join("other.yaml").exists());
}

#[test]
fn a_dry_run_trains_by_what_is_behind_a_link() {
    let place = Place::new();
    let root = place.root();
    write_dataset(&root.join("faces"), &Options { count: 3, size: 32, seed: 1, holdout: None }).unwrap();
    let link = place.answers("/r.yaml", RECIPE);
    let train = ["train", "faces/photos", "faces/anime", "--device", "cpu", "--dry-run"];
    let sets = ["data.size=32", "data.load_size=36", "train.images=12"].map(String::from);
    let mut args = [&train[..], &["-r", &link]].concat();
    args.extend(sets.iter().flat_map(|set| ["--set", set]));
    let (planned, told) = works(root, &args);
    let ours = ["about=Behind a link", "train.batch=3"].map(String::from);
    let expected = resolve("cyclegan-small", &[&ours[..], &sets].concat()).unwrap();
    assert_eq!(planned, to_yaml(&expected).unwrap());
    assert!(pinned(&told).starts_with(&link) && told.contains("12 images in 4 steps of 3"), "{told}");
    assert!(!root.join("models").exists());
}

#[test]
#[ignore = "waits for the time-out; `make soak`"]
fn an_answer_that_never_ends_is_given_up() {
    let place = Place::new();
    let link = place.server.answers("/endless", Answer::Endless);
    let start = Instant::now();
    refused(place.root(), &link, &["no whole answer in 10 seconds", "hint: try again later"]);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
