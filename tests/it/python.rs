//! Runs the Python side of the comparisons, once for all tests.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tch::Tensor;

/// The folder that `tests/parity/main.py` filled, in the environment that set-up made. `None`, with a line that says so,
/// where there is none; a script that fails is a failed test, and so is a missing environment in CI.
pub fn reference() -> Option<&'static Path> {
    static FOLDER: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    // Kept as a value: after a panic the next test would run the script again.
    let folder = FOLDER.get_or_init(compute);
    folder.as_ref().unwrap_or_else(|error| panic!("{error}")).as_deref()
}

/// The arrays of one of its files.
pub fn arrays(file: &Path) -> HashMap<String, Tensor> {
    Tensor::read_npz(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).into_iter().collect()
}

/// The environment's interpreter. `None`, with a line that says so, where there is none; that is a failure in CI.
pub fn interpreter() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    if python.exists() {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "no comparison without `{}`", python.display());
    skip(&format!("no `{}` (`make setup` without LIBTORCH makes it)", python.display()));
    None
}

/// Says that comparisons are left out.
pub fn skip(why: &str) {
    // Not `eprintln!`, which the test runner hides where a test passes.
    let _ = writeln!(std::io::stderr(), "skipped: comparisons: {why}");
}

/// What a script of `tests/parity` prints.
pub fn run(python: &Path, script: &str, folder: &Path) -> Result<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(script);
    let output = Command::new(python).arg("-B").arg(&script).arg(folder).output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{} failed: {}", script.display(), String::from_utf8_lossy(&output.stderr)))
    }
}

fn compute() -> Result<Option<PathBuf>, String> {
    let Some(python) = interpreter() else { return Ok(None) };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("parity");
    run(&python, "main.py", &folder).map(|_| Some(folder))
}
