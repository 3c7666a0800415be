//! The device that networks run on, chosen by name.

use tch::{Cuda, Device};

use crate::torch::{NoCuda, compute_capability, load_cuda};

/// A `--device` that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Not a device name.
    #[error("no device `{0}`; expected `auto`, `cpu`, `cuda` or `cuda:N`")]
    Unknown(String),
    /// CUDA asked for and absent.
    #[error(
        "`--device {asked}`: {reason}\nhint: `translate doctor` says what is missing; `--device cpu` works without"
    )]
    NoCuda {
        /// What was asked for.
        asked: String,
        /// What is missing.
        reason: String,
    },
    /// More processes on a machine than GPUs.
    #[error(
        "process {local_rank} of this machine, counted from 0, has no GPU of its own: there are {gpus}\nhint: start {gpus} \
         processes a machine, or name a device for all with `--device`"
    )]
    NoGpuLeft {
        /// This process among those of its machine, from 0.
        local_rank: u32,
        /// The GPUs that it sees.
        gpus: i64,
    },
}

/// Why CUDA cannot be used here, or the number of GPUs.
///
/// # Errors
/// What is missing.
pub fn cuda_devices() -> Result<i64, NoCuda> {
    load_cuda()?;
    if !Cuda::is_available() {
        return Err(NoCuda::Gpu);
    }
    Ok(Cuda::device_count())
}

/// Reads `auto`, `cpu`, `cuda` or `cuda:N`. `auto` takes the first GPU where there is one.
///
/// # Errors
/// Another word, or a GPU that is not there.
pub fn parse(name: &str) -> Result<Device, DeviceError> {
    let no_cuda = |reason: String| DeviceError::NoCuda { asked: name.into(), reason };
    let index = match name {
        "auto" => return Ok(if cuda_devices().is_ok() { Device::Cuda(0) } else { Device::Cpu }),
        "cpu" => return Ok(Device::Cpu),
        "cuda" => 0,
        _ => name
            .strip_prefix("cuda:")
            .and_then(|index| index.parse::<usize>().ok())
            .ok_or_else(|| DeviceError::Unknown(name.into()))?,
    };
    let count = cuda_devices().map_err(|missing| no_cuda(missing.to_string()))?;
    if index as i64 >= count {
        return Err(no_cuda(format!("there are {count} GPUs, counted from 0")));
    }
    Ok(Device::Cuda(index))
}

/// Reads the device of one of a machine's processes that share a work: where no GPU is named by its number, each has its own.
///
/// # Errors
/// As [`parse`]'s, or there are fewer GPUs than processes.
pub fn of_rank(name: &str, local_rank: u32) -> Result<Device, DeviceError> {
    let gpus = if matches!(name, "auto" | "cuda") { cuda_devices().ok() } else { None };
    gpus.map_or_else(|| parse(name), |gpus| gpu_of_rank(local_rank, gpus).map(Device::Cuda))
}

/// The number of a process's GPU. Where it sees a single one, its launcher has chosen it, and all its machine's processes see
/// theirs as number 0.
fn gpu_of_rank(local_rank: u32, gpus: i64) -> Result<usize, DeviceError> {
    match i64::from(local_rank) {
        _ if gpus == 1 => Ok(0),
        rank if rank < gpus => Ok(local_rank as usize),
        _ => Err(DeviceError::NoGpuLeft { local_rank, gpus }),
    }
}

/// Whether a device is a GPU that has instructions for bfloat16.
pub fn has_bf16(device: Device) -> bool {
    match device {
        Device::Cuda(index) => generation_has_bf16(compute_capability(index)),
        _ => false,
    }
}

/// From Ampere on; older ones, where libtorch takes the numbers apart, are slower by it.
const fn generation_has_bf16(compute_capability: Option<i32>) -> bool {
    matches!(compute_capability, Some(8..))
}

/// Waits until a GPU has done all that it was given; a CPU always has.
pub fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}

/// Model names of the GPUs, as the kernel's side of the driver lists them.
pub fn gpu_names() -> Vec<String> {
    let folders = std::fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten();
    let model = |folder: std::fs::DirEntry| {
        let text = std::fs::read_to_string(folder.path().join("information")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Model:"))?;
        Some(line.trim().to_string())
    };
    folders.filter_map(model).collect()
}

/// The model name of the machine's CPU, as the kernel knows it.
pub fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).to_string())
}

/// The name that [`parse`] reads.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        assert_eq!(parse("cpu").unwrap(), Device::Cpu);
        assert_eq!(name(Device::Cpu), "cpu");
        assert_eq!(name(Device::Cuda(3)), "cuda:3");
        for wrong in ["gpu", "cuda:", "cuda:-1", "cuda:x"] {
            assert!(matches!(parse(wrong), Err(DeviceError::Unknown(_))), "{wrong}");
        }
    }
    #[test]
    fn bfloat16_is_for_gpus_from_ampere_on() {
        assert_eq!([7, 8, 9, 12].map(|major| generation_has_bf16(Some(major))), [false, true, true, true]);
        assert!(!generation_has_bf16(None) && !has_bf16(Device::Cpu));
    }
    #[test]
    fn each_process_has_a_gpu_of_its_own() {
        assert_eq!([0, 1, 3].map(|rank| gpu_of_rank(rank, 4).unwrap()), [0, 1, 3]);
        // As `srun --gpus-per-task=1` shows each its own.
        assert_eq!([0, 1, 7].map(|rank| gpu_of_rank(rank, 1).unwrap()), [0, 0, 0]);
        let text = gpu_of_rank(2, 2).unwrap_err().to_string();
        assert_eq!(
            text,
            "process 2 of this machine, counted from 0, has no GPU of its own: there are 2\nhint: start 2 processes a machine, \
             or name a device for all with `--device`"
        );
        assert_eq!(of_rank("cpu", 5).unwrap(), Device::Cpu);
    }
}
