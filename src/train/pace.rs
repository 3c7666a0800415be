//! How fast training goes: since the last tick, and once, from its first steps, for the time that it will take.

use std::time::Instant;

/// Seconds of steady steps after which the total time is estimated, unless [`ESTIMATE_STEPS`] come first.
const ESTIMATE_SECONDS: f64 = 5.0;
const ESTIMATE_STEPS: u64 = 20;

/// What has passed since the last tick.
pub struct Lap {
    /// When it began.
    pub since: Instant,
    /// Images shown before it.
    pub images: u64,
    /// Seconds waited for images.
    pub waited: f64,
}

impl Lap {
    /// Begins after so many images.
    pub fn new(images: u64) -> Self {
        Self { since: Instant::now(), images, waited: 0.0 }
    }
}

/// The first steps of this start.
#[derive(Default)]
pub struct FirstSteps {
    steps: u64,
    steady: Option<Instant>,
    told: bool,
}

impl FirstSteps {
    /// Takes note of a step; once there were enough of them, how many there are a second. The first one, which warms
    /// caches up, does not count. `wait` waits for what the device has still to do.
    pub fn take(&mut self, wait: impl FnOnce()) -> Option<f64> {
        let steady = *self.steady.get_or_insert_with(Instant::now);
        let long = steady.elapsed().as_secs_f64() > ESTIMATE_SECONDS || self.steps >= ESTIMATE_STEPS;
        let due = !self.told && self.steps > 0 && long;
        self.steps += 1;
        due.then(|| {
            self.told = true;
            wait();
            (self.steps - 1) as f64 / steady.elapsed().as_secs_f64()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_steps_are_measured_once_without_the_very_first() {
        let (mut first, mut waits) = (FirstSteps::default(), 0);
        let mut told = Vec::new();
        for step in 0..60 {
            std::thread::sleep(Duration::from_millis(if step == 0 { 200 } else { 2 }));
            told.extend(first.take(|| waits += 1).map(|rate| (step, rate)));
        }
        assert!(told.len() == 1 && waits == 1, "{told:?}, {waits} waits");
        let (step, rate) = told[0];
        // A sleep is never shorter than asked for; a busy machine makes it longer.
        assert!(step == ESTIMATE_STEPS && (1.0..=500.0).contains(&rate), "{told:?}");
    }
}
