//! How fast the program is on this machine: training steps (`train`) and translating images (`apply`). Time, memory, and
//! the products that are multiplied, beside those that the device manages at most (`peak`).
//!
//! Nothing here is a second copy of what is measured: it is the code that trains and translates, given images that the
//! program makes itself.

pub mod apply;
mod peak;
pub mod train;

use std::time::Duration;

use serde::Serialize;
use tch::{Device, TchError};

use crate::device;
use crate::model::ModelError;
use crate::recipe::Arithmetic;
use crate::torch::{self, TorchError, cuda_peak_memory};

pub use peak::Peaks;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// libtorch's.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// The model's.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The files to translate, or the folder that they lie in.
    #[error("cannot write the images to translate: {0}\nhint: TMPDIR names another folder for them")]
    Files(String),
    /// Some images were not translated.
    #[error("could not translate {0}")]
    Failed(String),
}

/// What was measured, on what, how often.
#[derive(Debug, Clone, Serialize)]
pub struct Setting {
    /// Program and version.
    pub program: &'static str,
    /// The libtorch that the program was built against.
    pub libtorch: String,
    /// The recipe's or the model's name, as it was given.
    pub recipe: String,
    /// The device, as `--device` takes it.
    pub device: String,
    /// Its model name; of a machine with several GPUs all names.
    pub hardware: String,
    /// CPU threads of a network.
    pub threads: i32,
    /// Side of the images in pixels.
    pub size: u32,
    /// Images of each space in a step of training, or that go through the network together.
    pub batch: usize,
    /// How many steps or batches.
    #[serde(flatten)]
    pub repeats: Repeats,
}

impl Setting {
    /// Of `recipe` on `device`, at `size` in batches of `batch`.
    pub fn new(recipe: &str, device: Device, size: u32, batch: usize, repeats: Repeats) -> Self {
        let mut names = match device {
            Device::Cuda(_) => device::gpu_names(),
            _ => device::cpu_name().into_iter().collect(),
        };
        names.dedup();
        Self {
            program: crate::PROGRAM,
            libtorch: torch::version(),
            recipe: recipe.into(),
            device: device::name(device),
            hardware: if names.is_empty() { "unknown".into() } else { names.join(", ") },
            threads: tch::get_num_threads(),
            size,
            batch,
            repeats,
        }
    }
}

/// How often something is done.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Repeats {
    /// Times that are measured.
    pub steps: u64,
    /// Times before, which are not.
    pub warm_up: u64,
}

/// Times in milliseconds, of which one in two lies between the quartiles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// One in four is below.
    pub lower_quartile: f64,
    /// One in two is below.
    pub median: f64,
    /// Three in four are below.
    pub upper_quartile: f64,
    /// All of the time by the number of times.
    pub mean: f64,
}

impl Spread {
    /// Of at least one time; what lies between two of them is interpolated.
    fn of(times: &[Duration]) -> Self {
        let mut sorted: Vec<f64> = times.iter().copied().map(milliseconds).collect();
        sorted.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let place = share * (sorted.len() - 1) as f64;
            let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            below + place.fract() * (above - below)
        };
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        Self { lower_quartile: quantile(0.25), median: quantile(0.5), upper_quartile: quantile(0.75), mean }
    }
}

/// In milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

/// How much of what the device can do was done.
#[derive(Debug, Clone, Serialize)]
pub struct Work {
    /// TFLOP/s of the convolutions and matrix products that were asked for, two operations a product.
    pub tflops: f64,
    /// What the device managed in one large matrix product.
    pub peak_tflops: Peaks,
    /// The first by the second, in the numbers that the networks computed with.
    pub share_of_peak: f64,
}

impl Work {
    /// `products` in `seconds`, on a device whose peak is still to be measured.
    fn new(products: f64, seconds: f64, device: Device, precision: Arithmetic) -> Result<Self, TorchError> {
        let tflops = 2.0 * products / seconds / 1e12;
        let peak_tflops = peak::measure(device)?;
        let share_of_peak = tflops / peak_tflops.of_networks(precision, precision.is_bf16(device));
        Ok(Self { tflops, peak_tflops, share_of_peak })
    }
}

/// The most memory that was taken so far, in bytes: of a GPU by tensors, of a CPU by the whole process. 0 where the system
/// does not say.
///
/// # Errors
/// libtorch's.
pub fn peak_memory(device: Device) -> Result<u64, TorchError> {
    if let Device::Cuda(index) = device {
        return cuda_peak_memory(index).map_err(|error| failed(device, &error));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(1024 * kilobytes.unwrap_or(0))
}

fn failed(device: Device, error: &TchError) -> TorchError {
    TorchError::from_text(&device::name(device), &error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_by_hand() {
        let times = [4, 1, 3, 2, 10].map(Duration::from_millis);
        let expected = Spread { lower_quartile: 2.0, median: 3.0, upper_quartile: 4.0, mean: 4.0 };
        assert_eq!(Spread::of(&times), expected);
        let expected = Spread { lower_quartile: 1.75, median: 2.5, upper_quartile: 3.25, mean: 2.5 };
        assert_eq!(Spread::of(&times[..4]), expected);
        let alone = Spread { lower_quartile: 4.0, median: 4.0, upper_quartile: 4.0, mean: 4.0 };
        assert_eq!(Spread::of(&times[..1]), alone);
    }

    #[test]
    fn memory_of_a_process_is_never_less_than_before() {
        let before = peak_memory(Device::Cpu).unwrap();
        let taken = std::hint::black_box(vec![1u8; 64 << 20]);
        let after = peak_memory(Device::Cpu).unwrap();
        assert!(after >= before && after >= taken.len() as u64, "{before}, then {after}");
    }
}
