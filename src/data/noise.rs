//! Noise, the source of generators that draw from nothing.

use std::ops::Range;

use tch::{Device, Tensor};

use crate::random::{Purpose, normal_f32, stream};
use crate::torch::upload;

/// Samples number `first` to `first` + `count` − 1 of `z`, `[count, width]`: independent normal numbers of mean 0 and
/// variance 1, a function of the seed, the purpose and the sample's number.
pub fn noise(seed: u64, purpose: Purpose, first: u64, count: usize, width: i64, device: Device) -> Tensor {
    upload(drawn(seed, purpose, first..first + count as u64, width, f64::INFINITY), device)
}

/// As [`noise`] for samples 0 to `count` − 1, with every number drawn again until it lies within ±`most`, which is above
/// 0.
pub fn truncated_noise(seed: u64, purpose: Purpose, count: usize, width: i64, most: f64) -> Tensor {
    drawn(seed, purpose, 0..count as u64, width, most)
}

fn drawn(seed: u64, purpose: Purpose, samples: Range<u64>, width: i64, most: f64) -> Tensor {
    let count = (samples.end - samples.start) as i64;
    let sample = |number| {
        let mut rng = stream(seed, purpose, number);
        (0..width).map(move |_| {
            loop {
                let number = normal_f32(&mut rng);
                if f64::from(number.abs()) <= most {
                    break number;
                }
            }
        })
    };
    let numbers: Vec<f32> = samples.flat_map(sample).collect();
    Tensor::from_slice(&numbers).reshape([count, width])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_depends_on_its_number_alone() {
        let all = noise(5, Purpose::Noise, 0, 6, 3, Device::Cpu);
        assert_eq!(all.narrow(0, 2, 4), noise(5, Purpose::Noise, 2, 4, 3, Device::Cpu));
        assert_ne!(all, noise(6, Purpose::Noise, 0, 6, 3, Device::Cpu));
        assert_ne!(all, noise(5, Purpose::Sample, 0, 6, 3, Device::Cpu));
    }

    #[test]
    fn truncated_numbers_stay_inside_and_wide_bounds_change_nothing() {
        let all = truncated_noise(5, Purpose::Noise, 100, 10, 0.5);
        let most = all.abs().max().double_value(&[]);
        assert!((0.45..=0.5).contains(&most), "{most}");
        assert_eq!(
            truncated_noise(5, Purpose::Noise, 6, 3, 10.0),
            noise(5, Purpose::Noise, 0, 6, 3, Device::Cpu)
        );
    }

    #[test]
    fn numbers_are_normal() {
        let mut all: Vec<f64> = noise(1, Purpose::Noise, 0, 200, 50, Device::Cpu)
            .to_kind(tch::Kind::Double)
            .flatten(0, -1)
            .try_into()
            .unwrap();
        all.sort_by(f64::total_cmp);
        // Quantiles of the standard normal distribution; the fifth decimal of 10 000 numbers' quantiles is luck, and a
        // deviation of 0.06 is four standard errors or more.
        for (part, expected) in [(0.02275, -2.0), (0.15866, -1.0), (0.5, 0.0), (0.84134, 1.0), (0.97725, 2.0)]
        {
            let got = all[(part * 10_000.0) as usize];
            let allowed = if f64::abs(expected) > 1.5 { 0.11 } else { 0.06 };
            assert!((got - expected).abs() < allowed, "{got}, not {expected}");
        }
    }
}
