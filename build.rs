//! Compiles the C++ files of `src/torch/` against libtorch's headers and tells the linker where libtorch is.

use std::env;
use std::path::PathBuf;

const KERNELS: &str = "src/torch/kernels.cpp";

fn main() {
    let sources = ["shim", "program", "group", "measure", "recompute", "recording", "stream", "strided"]
        .map(|name| format!("src/torch/{name}.cpp"));
    let others = [KERNELS, "src/torch/guarded.h", "src/torch/cuda_half.h", "src/torch/include"];
    for source in sources.iter().map(String::as_str).chain(others) {
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

    let build = || {
        let mut build = cc::Build::new();
        build.cpp(true).std("c++17").warnings(false);
        // As libtorch was compiled: without it some of its classes are laid out otherwise.
        build.define("NDEBUG", None);
        build.include("src/torch/include").include(root.join("include"));
        build.include(root.join("include/torch/csrc/api/include"));
        build
    };
    build().files(&sources).compile("translate_shim");
    // Loops over numbers, which a debug build must not make slow; in parallel by the OpenMP that libtorch brings.
    build().file(KERNELS).opt_level(3).flag("-fopenmp").compile("translate_kernels");
    println!("cargo:rustc-link-lib=gomp");
}
