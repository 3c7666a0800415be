//! Which part of a training step takes how long.

use std::time::{Duration, Instant};

use tch::Device;

use crate::device::synchronize;

/// The parts of a step, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Making the step's input of what was loaded.
    Load,
    /// The generators' fakes, their loss and its gradients.
    Generators,
    /// What the replay pools show, the discriminators' loss and its gradients.
    Discriminators,
    /// The averages over the ranks, and Adam.
    Optimizer,
    /// The average of the generators, and the sums for the log.
    Rest,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Load, Self::Generators, Self::Discriminators, Self::Optimizer, Self::Rest];

    /// In a table and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Generators => "generators",
            Self::Discriminators => "discriminators",
            Self::Optimizer => "optimizer",
            Self::Rest => "rest",
        }
    }
}

/// Adds up the time of each part. It waits for the device at every border, which lets a GPU run dry there: a step is a
/// little slower under it.
#[derive(Debug)]
pub struct Stopwatch {
    device: Device,
    border: Instant,
    spent: [Duration; Part::ALL.len()],
}

impl Stopwatch {
    /// Nothing spent; the first part begins now.
    pub fn start(device: Device) -> Self {
        synchronize(device);
        Self { device, border: Instant::now(), spent: [Duration::ZERO; Part::ALL.len()] }
    }

    /// Ends `part`, which began at the border before.
    pub fn border(&mut self, part: Part) {
        synchronize(self.device);
        let now = Instant::now();
        self.spent[part as usize] += now - self.border;
        self.border = now;
    }

    /// Time spent on `part` so far.
    pub const fn spent(&self, part: Part) -> Duration {
        self.spent[part as usize]
    }
}
