//! The most that a device does: one large matrix product, the fastest of several.

use std::time::Instant;

use serde::Serialize;
use tch::{Device, Kind, TchError, Tensor};

use crate::device::{self, synchronize};
use crate::recipe::Arithmetic;
use crate::torch::{TorchError, guard, with_tf32_products};

/// TFLOP/s of a square matrix product, two operations a product.
#[derive(Debug, Clone, Serialize)]
pub struct Peaks {
    /// In float32.
    pub f32: f64,
    /// In float32 of which a GPU multiplies 11 bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tf32: Option<f64>,
    /// In bfloat16 on a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bf16: Option<f64>,
}

impl Peaks {
    /// In the numbers that networks compute with, as far as they were measured.
    pub fn of_networks(&self, precision: Arithmetic, is_bf16: bool) -> f64 {
        let rounded = match precision {
            _ if is_bf16 => self.bf16,
            Arithmetic::Fp32 => None,
            _ => self.tf32,
        };
        rounded.unwrap_or(self.f32)
    }
}

/// Rows, columns and repeats.
const ON_CPU: (i64, usize) = (2048, 5);
const ON_GPU: (i64, usize) = (8192, 20);

/// Measures the device's peaks; on a CPU that takes about a second.
pub fn measure(device: Device) -> Result<Peaks, TorchError> {
    let work = || -> Result<Peaks, TchError> {
        let at = |tf32, kind| with_tf32_products(tf32, || tflops(device, kind));
        let f32 = at(false, Kind::Float)?;
        if device == Device::Cpu {
            return Ok(Peaks { f32, tf32: None, bf16: None });
        }
        Ok(Peaks { f32, tf32: Some(at(true, Kind::Float)?), bf16: Some(at(false, Kind::BFloat16)?) })
    };
    guard(&device::name(device), work)?.map_err(|error| super::failed(device, &error))
}

fn tflops(device: Device, kind: Kind) -> f64 {
    let (side, repeats) = if device == Device::Cpu { ON_CPU } else { ON_GPU };
    let [a, b] = [0, 1].map(|_| Tensor::randn([side, side], (kind, device)));
    let out = Tensor::zeros([side, side], (kind, device));
    let product = || {
        let start = Instant::now();
        let _ = tch::no_grad(|| a.matmul_out(&out, &b));
        synchronize(device);
        start.elapsed().as_secs_f64()
    };
    synchronize(device);
    let fastest = (0..=repeats).map(|_| product()).fold(f64::INFINITY, f64::min);
    2.0 * (side as f64).powi(3) / fastest / 1e12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_the_numbers_computed_with() {
        let gpu = Peaks { f32: 1.0, tf32: Some(2.0), bf16: Some(3.0) };
        let cpu = Peaks { f32: 1.0, tf32: None, bf16: None };
        for (peaks, precision, is_bf16, expected) in [
            (&gpu, Arithmetic::Fp32, false, 1.0),
            // Of a GPU without bfloat16, and of one with it.
            (&gpu, Arithmetic::Auto, false, 2.0),
            (&gpu, Arithmetic::Auto, true, 3.0),
            (&cpu, Arithmetic::Auto, false, 1.0),
            (&cpu, Arithmetic::Bf16, true, 1.0),
        ] {
            assert!(
                (peaks.of_networks(precision, is_bf16) - expected).abs() < 1e-9,
                "{peaks:?}, {precision:?}"
            );
        }
    }
}
