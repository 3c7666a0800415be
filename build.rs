//! Compiles the C++ files of `src/torch/` against libtorch's headers and tells the linker where libtorch is.

use std::env;
use std::path::PathBuf;

fn main() {
    let sources =
        ["src/torch/shim.cpp", "src/torch/program.cpp", "src/torch/group.cpp", "src/torch/measure.cpp"];
    for source in sources.iter().chain(&["src/torch/guarded.h", "src/torch/include"]) {
        println!("cargo:rerun-if-changed={source}");
    }
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    // torch-sys publishes the folder it linked against; links metadata reaches direct dependents only.
    let lib = PathBuf::from(env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch is"));
    let root = lib.parent().expect("libtorch's lib/ lies in libtorch").to_path_buf();
    // The binary must find libtorch whichever folder it is started from, so no link that is relative to the clone.
    let real = lib.canonicalize().unwrap_or(lib);
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", real.display());
    println!("cargo:rustc-env=TRANSLATE_LIBTORCH={}", real.display());

    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        // As libtorch was compiled: without it some of its classes are laid out otherwise.
        .define("NDEBUG", None)
        .include("src/torch/include")
        .include(root.join("include"))
        .include(root.join("include/torch/csrc/api/include"))
        .files(sources)
        .compile("translate_shim");
}
