//! Runs the Python side of a comparison.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Runs `tests/parity/<script>` in the environment that set-up made. `None`, with a line that says so, where there is
/// none; a script that fails is a failed test.
pub fn run(script: &str, args: &[&OsStr]) -> Option<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".venv/bin/python");
    if !python.exists() {
        assert!(std::env::var_os("CI").is_none(), "{script} cannot be run: no `{}`", python.display());
        // Not `eprintln!`, which the test runner hides where a test passes.
        let python = python.display();
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {script}: no `{python}` (`make setup` without LIBTORCH makes it)"
        );
        return None;
    }
    let output = Command::new(&python)
        .arg("-B")
        .arg(root.join("tests/parity").join(script))
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", python.display()));
    assert!(output.status.success(), "{script} failed: {}", String::from_utf8_lossy(&output.stderr));
    Some(())
}
