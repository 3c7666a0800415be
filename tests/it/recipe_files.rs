//! Recipes in files that are none, never end or lie elsewhere; and those that come through a pipe.

#![cfg(unix)]

use std::ffi::CString;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A folder with a pipe, a recipe that is too large (and takes no space), a folder, and a link out of it.
fn odd() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("recipes");
    std::fs::create_dir_all(root.join("run.yaml")).unwrap();
    std::fs::write(root.join("run.yaml/recipe.yaml"), "extends: cyclegan\n").unwrap();
    let name = CString::new(root.join("pipe.yaml").as_os_str().as_bytes()).unwrap();
    // SAFETY: a plain system call on a string that ends in a zero byte.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    std::fs::File::create(root.join("large.yaml")).unwrap().set_len(1 << 40).unwrap();
    std::fs::write(root.join("bytes.yaml"), [0xff, 0xfe]).unwrap();
    std::fs::write(folder.path().join("secret.yaml"), "extends: cyclegan\n").unwrap();
    symlink("../secret.yaml", root.join("out.yaml")).unwrap();
    symlink("..", root.join("up")).unwrap();
    folder
}

/// What `translate recipe` tells, with its exit status. It is given `input` on stdin.
fn told(root: &Path, args: &[&str], input: &[u8]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    let command = command.current_dir(root).arg("recipe").args(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It need not read all of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

const REASONS: [(&str, &str); 3] = [
    ("pipe.yaml", "it is a pipe or a device, and no file"),
    ("large.yaml", "it is larger than 64 KiB"),
    ("bytes.yaml", "it is no text (UTF-8)"),
];

#[test]
fn what_is_no_recipe_file_is_refused_at_once() {
    let folder = odd();
    let root = &folder.path().join("recipes");
    for (name, reason) in REASONS {
        let (code, text) = told(root, &["validate", name], b"");
        assert_eq!(code, Some(1), "{name}: {text}");
        assert!(text.starts_with(&format!("error: cannot read recipe `{name}`: {reason}\nhint: ")), "{text}");
        let (code, text) = told(root, &["upgrade", name], b"");
        assert_eq!(code, Some(2), "{name}: {text}");
        assert!(text.starts_with(&format!("error: cannot read `{name}`: {reason}\nhint: ")), "{text}");
    }
    let (code, text) = told(root, &["upgrade", "run.yaml"], b"");
    assert!(code == Some(2) && text.starts_with("error: cannot read `run.yaml`: it is a folder\n"), "{text}");
    // They lie in the way of nobody.
    let (code, text) = told(folder.path(), &["list"], b"");
    assert_eq!((code, text.as_str()), (Some(0), ""));
}

#[test]
fn a_parent_is_a_small_file_in_the_recipe_s_folder() {
    let folder = odd();
    let root = &folder.path().join("recipes");
    let mine = |parent: &str| {
        std::fs::write(root.join("mine.yaml"), format!("extends: ./{parent}\n")).unwrap();
        told(root, &["validate", "mine.yaml"], b"")
    };
    for (name, reason) in REASONS {
        let (code, text) = mine(name);
        assert_eq!(code, Some(1), "{text}");
        let message = format!("error: `extends` is `./{name}`, and `{name}` cannot be read: {reason}\n");
        assert!(text.starts_with(&message) && text.contains("--> mine.yaml:1:10"), "{text}");
        assert!(text.contains("\nhint: name a text file"), "{text}");
    }
    let (code, text) = mine("run.yaml");
    assert!(code == Some(1) && text.contains("`run.yaml` cannot be read: it is a folder\n"), "{text}");
    assert!(
        text.contains("\nhint: `translate recipe new NAME --from run.yaml` copies what it holds"),
        "{text}"
    );
    let secret = std::fs::canonicalize(folder.path().join("secret.yaml")).unwrap();
    for name in ["out.yaml", "up/secret.yaml"] {
        let (code, text) = mine(name);
        let leads = format!("`extends` is `./{name}`, a link to `{}`; expected a file in", secret.display());
        assert!(code == Some(1) && text.contains(&leads), "{text}");
    }
    // A link that stays is as good as a file, and so is a folder behind one.
    symlink("run.yaml/recipe.yaml", root.join("in.yaml")).unwrap();
    assert_eq!(mine("in.yaml"), (Some(0), String::new()));
    symlink("recipes", folder.path().join("same")).unwrap();
    assert_eq!(told(folder.path(), &["validate", "same/mine.yaml"], b""), (Some(0), String::new()));
}

#[test]
fn a_recipe_comes_through_a_pipe_too() {
    let folder = odd();
    let root = folder.path();
    let whole = b"extends: cyclegan\ntrain: { batch: 3 }\n";
    assert_eq!(told(root, &["validate", "/dev/stdin"], whole), (Some(0), String::new()));
    let (code, text) = told(root, &["validate", "/dev/stdin"], b"extends: cyclegan\ntrain: { bach: 3 }\n");
    assert!(code == Some(1) && text.contains("--> /dev/stdin:2:10"), "{text}");
    // As a shell hands over what `<(…)` prints.
    assert_eq!(told(root, &["validate", "/proc/self/fd/0"], whole), (Some(0), String::new()));
    let (code, text) = told(root, &["validate", "/dev/stdin"], b"extends: ./secret.yaml\n");
    assert!(code == Some(1) && text.contains("only a recipe in a file can extend another file"), "{text}");
    for endless in ["/dev/zero", "/dev/stdin"] {
        let (code, text) = told(root, &["validate", endless], &vec![b'#'; 70 << 10]);
        assert!(code == Some(1) && text.contains("it is larger than 64 KiB"), "{endless}: {text}");
    }
    let (code, text) = told(root, &["validate", "/dev/null"], b"");
    assert!(code == Some(1) && text.contains("there is nothing in this recipe"), "{text}");
}
