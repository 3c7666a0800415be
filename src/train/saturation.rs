//! Notices a Jensen–Shannon divergence that stays at log 2, where it tells the generators nothing.

use std::f64::consts::LN_2;

use indexmap::IndexMap;

/// The share of log 2 from which an estimate counts as saturated.
const HIGH: f64 = 0.97;

/// Ticks in a row after which it is worth a word.
const LONG: u32 = 10;

/// Counts the ticks at which an estimate was saturated.
#[derive(Debug, Default)]
pub struct Saturation {
    /// By loss term: ticks in a row.
    rows: IndexMap<String, u32>,
    told: bool,
}

impl Saturation {
    /// Takes in the means of a tick, of an objective that saturates. The name of the space whose estimate has been
    /// saturated for long, once.
    pub fn take(&mut self, losses: &IndexMap<String, f64>) -> Option<String> {
        let mut found = None;
        for (name, estimate) in losses {
            let Some(space) = name.strip_prefix("divergence.") else { continue };
            let row = self.rows.entry(name.clone()).or_default();
            *row = if *estimate >= HIGH * LN_2 { *row + 1 } else { 0 };
            if *row >= LONG && !self.told {
                self.told = true;
                found = Some(space.to_string());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_told_once_and_only_after_long() {
        let tick = |x: f64, y: f64| {
            IndexMap::from([
                ("divergence.x".to_string(), x),
                ("divergence.y".to_string(), y),
                ("cycle.x".into(), 1.0),
            ])
        };
        let mut saturation = Saturation::default();
        for _ in 0..LONG - 1 {
            assert_eq!(saturation.take(&tick(0.3, LN_2)), None);
        }
        // A dip begins the row anew.
        assert_eq!(saturation.take(&tick(0.3, 0.6)), None);
        for _ in 0..LONG - 1 {
            assert_eq!(saturation.take(&tick(0.3, 0.69)), None);
        }
        assert_eq!(saturation.take(&tick(0.3, 0.69)), Some("y".to_string()));
        for _ in 0..2 * LONG {
            assert_eq!(saturation.take(&tick(LN_2, LN_2)), None);
        }
    }
}
