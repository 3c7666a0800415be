//! `metrics.jsonl`: one JSON object a tick, flushed; the means of the losses since the tick before.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::step::Terms;
use crate::atomic;
use crate::eval::Fidelity;
use crate::torch::store::StoreError;

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Images shown so far.
    pub images: u64,
    /// Steps done so far.
    pub step: u64,
    /// Passes over the larger folder so far.
    pub epoch: f64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Images a second since the tick before.
    pub images_per_second: f64,
    /// Share of the time since the tick before in which training waited for images, 0 to 1.
    pub waiting: f64,
    /// Mean of each loss term since the tick before, without its weight.
    pub losses: IndexMap<String, f64>,
    /// By generator, how its pictures stand to real images, where that was measured since the tick before.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub fidelity: IndexMap<String, Fidelity>,
}

/// Sums of the loss terms since the last tick, kept on the device until they are asked for.
#[derive(Debug, Default)]
pub struct Meter {
    /// Sum of each term, and the steps that had it.
    pub sums: IndexMap<String, (Tensor, u64)>,
}

impl Meter {
    /// Takes in a step's terms.
    pub fn add(&mut self, terms: &Terms) {
        for (name, term) in terms {
            match self.sums.get_mut(name) {
                Some((sum, count)) => {
                    *sum += term;
                    *count += 1;
                }
                None => {
                    self.sums.insert(name.clone(), (term.copy(), 1));
                }
            }
        }
    }

    /// The mean of each term. Waits for the device.
    pub fn means(&self) -> IndexMap<String, f64> {
        let mean = |(sum, count): &(Tensor, u64)| sum.double_value(&[]) / *count as f64;
        self.sums.iter().map(|(name, sum)| (name.clone(), mean(sum))).collect()
    }

    /// The mean of each term, after which the meter is empty. Waits for the device.
    pub fn take(&mut self) -> IndexMap<String, f64> {
        std::mem::take(self).means()
    }
}

/// The open file of metrics.
#[derive(Debug)]
pub struct Metrics {
    file: File,
}

impl Metrics {
    /// Opens `path` to append, without the lines of steps past `step`: a run that was killed repeats those.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path, step: u64) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io { action: "write", path: path.into(), source };
        if path.exists() {
            let mut kept = String::new();
            for line in BufReader::new(File::open(path).map_err(io)?).lines() {
                let line = line.map_err(io)?;
                // A line cut off by a kill does not parse, and its step is repeated.
                if serde_json::from_str::<Tick>(&line).is_ok_and(|tick| tick.step <= step) {
                    kept.push_str(&line);
                    kept.push('\n');
                }
            }
            atomic::write(path, kept.as_bytes()).map_err(io)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(io)?;
        Ok(Self { file })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&mut self, tick: &Tick) -> std::io::Result<()> {
        let mut line = serde_json::to_string(tick)?;
        line.push('\n');
        self.file.write_all(line.as_bytes())?;
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(step: u64) -> Tick {
        let losses = IndexMap::from([("cycle.x".to_string(), 0.25)]);
        Tick {
            images: step,
            step,
            epoch: 0.5,
            lr: 1e-4,
            images_per_second: 2.0,
            waiting: 0.0,
            losses,
            fidelity: IndexMap::new(),
        }
    }

    #[test]
    fn repeated_steps_do_not_stand_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut metrics = Metrics::open(&path, 0).unwrap();
        for step in [10, 20, 30] {
            metrics.write(&tick(step)).unwrap();
        }
        drop(metrics);
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + "{\"images\": 40, \"st").unwrap();
        // What JSON has no number for is no broken line.
        let equal = Fidelity {
            precision: 0.0,
            recall: 0.0,
            density: 0.0,
            coverage: 0.0,
            diversity: f64::INFINITY,
            near_duplicates: 0.0,
        };
        let odd = Tick { fidelity: [("z_to_x".to_string(), equal)].into(), ..tick(25) };
        Metrics::open(&path, 20).unwrap().write(&odd).unwrap();
        drop(Metrics::open(&path, 25).unwrap());
        let lines = std::fs::read_to_string(&path).unwrap();
        let steps: Vec<u64> = lines.lines().map(|l| serde_json::from_str::<Tick>(l).unwrap().step).collect();
        assert_eq!(steps, [10, 20, 25]);
    }

    #[test]
    fn the_meter_gives_means_and_starts_again() {
        let mut meter = Meter::default();
        for value in [1.0f32, 2.0, 6.0] {
            meter.add(&Terms::from([("a".to_string(), Tensor::from(value))]));
        }
        // A term that not every step has.
        meter.add(&Terms::from([("b".to_string(), Tensor::from(5.0f32))]));
        assert_eq!(meter.take(), IndexMap::from([("a".to_string(), 3.0), ("b".to_string(), 5.0)]));
        assert!(meter.take().is_empty());
    }
}
