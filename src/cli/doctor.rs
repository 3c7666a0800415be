//! `translate doctor`: what the program found to run on, and what to do about what it did not find.

use std::path::Path;

use clap::Parser;
use tch::Cuda;

use super::{Failure, print};
use crate::device::{cuda_devices, gpu_names};
use crate::torch::{LIBTORCH, NoCuda, version};

/// Where the kernel's side of the driver says its version.
const KERNEL_DRIVER: &str = "/proc/driver/nvidia/version";

/// Show libtorch, devices and threads, and what to do when something is missing
#[derive(Debug, Parser)]
pub struct Args {}

/// Prints the report.
#[allow(clippy::unnecessary_wraps, reason = "every subcommand has this shape")]
pub fn run() -> Result<u8, Failure> {
    let cuda = cuda_devices();
    print(crate::PROGRAM);
    print(format!("libtorch     {}, built against `{LIBTORCH}`", version()));
    let loaded = loaded_libtorch();
    match &loaded {
        Some(path) if path != &format!("{LIBTORCH}/libtorch_cpu.so") => {
            print(format!("loaded from  `{path}`"));
        }
        _ => {}
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    print(format!("CPU          {cores} cores, {} threads for a network", tch::get_num_threads()));
    if (tch::get_num_threads() as usize) < cores && std::env::var_os("OMP_NUM_THREADS").is_some() {
        print("             hint: OMP_NUM_THREADS is set; without it, all cores are used");
    }
    print(format!("CUDA driver  {}", driver_version().unwrap_or_else(|| "none found".into())));
    match cuda {
        Ok(count) => {
            let cudnn = if Cuda::cudnn_is_available() { "with cuDNN" } else { "without cuDNN" };
            print(format!("CUDA         {count} device(s), {cudnn}; `--device auto` takes cuda:0"));
            for name in gpu_names() {
                print(format!("             {name}"));
            }
        }
        Err(reason) => {
            print(format!("CUDA         none: {reason}; `--device auto` takes the CPU"));
            print(format!("             hint: {}", cuda_hint(&reason)));
        }
    }
    Ok(0)
}

/// Where the running process has libtorch from: `LD_LIBRARY_PATH` may point elsewhere than the build did.
fn loaded_libtorch() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so"))?;
    Some(line[line.find('/')?..].to_string())
}

/// The version line of the NVIDIA kernel driver.
fn driver_version() -> Option<String> {
    let text = std::fs::read_to_string(KERNEL_DRIVER).ok()?;
    text.lines().next().map(|line| line.trim_start_matches("NVRM version: ").to_string())
}

fn cuda_hint(missing: &NoCuda) -> &'static str {
    match missing {
        NoCuda::Driver if Path::new(KERNEL_DRIVER).exists() => {
            "the kernel has the driver, and its libraries are not here: start the container with its GPUs (`docker run \
             --gpus all`)"
        }
        NoCuda::Driver => {
            "with an NVIDIA GPU, install its driver (580 or newer for CUDA 13); without one, the recipes `demo` and \
             `cyclegan-small` are made for a CPU"
        }
        NoCuda::Libtorch(_) => "set LIBTORCH to a libtorch with CUDA, or unset it, then `make` again",
        NoCuda::Gpu => {
            "the driver is there: see `nvidia-smi`, and whether CUDA_VISIBLE_DEVICES hides the GPU; CUDA 13 wants driver \
             580 or newer"
        }
    }
}
