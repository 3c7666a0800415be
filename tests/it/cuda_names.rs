//! What is called of libtorch's CUDA half by its names in the library is there, and as libtorch's headers have it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use translate::torch::LIBTORCH;

use crate::python;

/// What a command prints.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How the mangled names of what is called begin.
const STARTS: [&str; 2] = ["_ZN2at4cuda9CUDAGraph", "_ZN4c10d16ProcessGroupNCCL"];

/// Those in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| STARTS.iter().any(|start| word.starts_with(start))).map(String::from).collect()
}

#[test]
fn functions_of_libtorch_s_cuda_half_are_called_by_their_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = |name: &str| std::fs::read_to_string(root.join("src/torch").join(name)).unwrap();
    let called = names(&(source("recording.cpp") + &source("group.cpp")));
    assert_eq!(called.len(), 7, "{called:?}");

    let library = Path::new(LIBTORCH).join("libtorch_cuda.so");
    if !library.exists() {
        python::skip("this libtorch has no CUDA half");
        return;
    }
    let there = names(&printed(Command::new("nm").args(["-D", "--defined-only"]).arg(&library)));
    assert!(called.is_subset(&there), "{called:?}");

    let Some(python) = python::interpreter() else { return };
    let packages = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let packages = printed(Command::new(python).args(["-c", packages]));
    let nvidia = Path::new(packages.trim()).join("nvidia");
    let cuda = nvidia.join("cu13/include");
    if !cuda.join("crt").exists() {
        python::skip("the headers of CUDA are not complete (`sh setup.sh tests` gets them)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("cuda_names.o");
    let include = Path::new(LIBTORCH).parent().unwrap().join("include");
    let mut compiler = Command::new("c++");
    // Without the inline functions that nothing calls.
    compiler.args(["-std=c++17", "-O1", "-w", "-DNDEBUG", "-c"]);
    let api = include.join("torch/csrc/api/include");
    for folder in [&include, &api, &cuda, &nvidia.join("nccl/include")] {
        compiler.arg("-I").arg(folder);
    }
    compiler.arg(root.join("tests/parity/cuda_names.cpp")).arg("-o").arg(&object);
    printed(&mut compiler);
    let by_header = names(&printed(Command::new("nm").arg("--undefined-only").arg(&object)));
    assert_eq!(called, by_header);
}
