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
    /// caches up, does not count. `now` gives the time, and `wait` waits for what the device has still to do.
    pub fn take(&mut self, now: impl Fn() -> Instant, wait: impl FnOnce()) -> Option<f64> {
        let steady = *self.steady.get_or_insert_with(&now);
        let passed = || now().duration_since(steady).as_secs_f64();
        let long = passed() > ESTIMATE_SECONDS || self.steps >= ESTIMATE_STEPS;
        let due = !self.told && self.steps > 0 && long;
        self.steps += 1;
        due.then(|| {
            self.told = true;
            wait();
            (self.steps - 1) as f64 / passed()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The steps at which the speed is told, each with it and how often the device was waited for, where the first step
    /// takes 9 seconds and each after it `seconds`.
    fn told(seconds: f64) -> Vec<(u64, f64, u32)> {
        let (start, mut first, mut waits) = (Instant::now(), FirstSteps::default(), 0);
        let tell = |step: u64| {
            let now = || start + Duration::from_secs_f64(9.0 + step as f64 * seconds);
            first.take(now, || waits += 1).map(|speed| (step, speed, waits))
        };
        (0..60).filter_map(tell).collect()
    }

    #[test]
    fn the_first_steps_are_measured_once_without_the_very_first() {
        assert_eq!(told(0.125), [(ESTIMATE_STEPS, 8.0, 1)]);
        // Slow steps are told sooner.
        assert_eq!(told(2.0), [(3, 0.5, 1)]);
    }
}
