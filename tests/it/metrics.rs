//! The metrics against `scikit-image` and `NumPy` on the same images, patches and directions.

use crate::python;
use std::collections::HashMap;
use tch::{Kind, Tensor};
use translate::eval::pyramid::laplacian_pyramid;
use translate::eval::swd::{Collector, Descriptors, Positions, distance};
use translate::eval::{MetricError, PairScores, l1, psnr, ssim};

const TOLERANCE: f64 = 1e-5;

/// What `tests/parity/metrics.py` wrote; its head says what is in it.
struct Reference(HashMap<String, Tensor>);

impl Reference {
    fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("`metrics.py` wrote no `{name}`"))
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        self.get(name).try_into().unwrap()
    }

    /// How many cases of this kind there are: `pair0_a`, `pair1_a`, and so on.
    fn cases(&self, kind: &str) -> usize {
        self.0.keys().filter(|name| name.starts_with(kind) && name.ends_with("_a")).count()
    }

    fn positions(&self, set: &str, level: usize) -> Positions {
        let at = self.get(&format!("{set}_at{level}"));
        Positions { image: at.get(0), top: at.get(1), left: at.get(2) }
    }

    /// The descriptors of a set at the reference's positions.
    fn descriptors(&self, set: &str, levels: usize) -> Descriptors {
        let positions: Vec<_> = (0..levels).map(|level| self.positions(set, level)).collect();
        let mut collector = Collector::default();
        collector.add_at(self.get(set), &positions).unwrap();
        collector.finish().unwrap()
    }
}

fn assert_close(what: &str, got: f64, expected: f64) {
    let difference = ((got - expected) / expected).abs();
    assert!(
        difference <= TOLERANCE,
        "{what}: {got}, expected {expected}, relative difference {difference:.1e}"
    );
}

#[test]
fn metrics_agree_with_scikit_image_and_numpy() {
    let Some(folder) = python::reference() else { return };
    let reference = Reference(python::arrays(&folder.join("metrics.npz")));
    pairs_agree(&reference);
    sets_agree(&reference);
}

/// L1, PSNR and SSIM.
fn pairs_agree(reference: &Reference) {
    type Metric = fn(&Tensor, &Tensor) -> Result<f64, MetricError>;
    let metrics: [(&str, Metric); 3] = [("l1", l1), ("psnr", psnr), ("ssim", ssim)];
    let cases = reference.cases("pair");
    assert!(cases > 0);

    let mut scores = PairScores::default();
    let mut sums = [0.0; 3];
    for case in (0..cases).map(|i| format!("pair{i}")) {
        let (a, b) = (reference.get(&format!("{case}_a")), reference.get(&format!("{case}_b")));
        scores.add(a, b).unwrap();
        for ((name, metric), sum) in metrics.iter().zip(&mut sums) {
            let expected = reference.numbers(&format!("{case}_{name}"));
            for (i, &expected) in expected.iter().enumerate() {
                let image = |batch: &Tensor| batch.narrow(0, i as i64, 1);
                assert_close(
                    &format!("{name} of {case}, image {i}"),
                    metric(&image(a), &image(b)).unwrap(),
                    expected,
                );
            }
            let total: f64 = expected.iter().sum();
            assert_close(&format!("{name} of {case}"), metric(a, b).unwrap(), total / expected.len() as f64);
            *sum += total;
        }
    }
    for ((name, sum), got) in
        ["l1", "psnr", "ssim"].iter().zip(sums).zip([scores.l1(), scores.psnr(), scores.ssim()])
    {
        assert_close(&format!("{name} of all"), got, sum / scores.images() as f64);
    }
}

/// The sliced Wasserstein distance and its pyramid.
fn sets_agree(reference: &Reference) {
    let cases = reference.cases("sets");
    assert!(cases > 0);
    for case in (0..cases).map(|i| format!("sets{i}")) {
        let expected = reference.numbers(&format!("{case}_swd"));
        for set in ["a", "b"].map(|side| format!("{case}_{side}")) {
            let pyramid = laplacian_pyramid(reference.get(&set));
            assert_eq!(pyramid.len(), expected.len(), "levels of {set}");
            for (level, got) in pyramid.iter().enumerate() {
                let expected = reference.get(&format!("{set}_level{level}"));
                assert_eq!(got.size(), expected.size(), "level {level} of {set}");
                let error = (got.to_kind(Kind::Double) - expected).abs().max().double_value(&[]);
                assert!(error < 1e-6, "level {level} of {set} is off by {error:.1e}");
            }
        }
        let levels = expected.len();
        let set = |side: &str| reference.descriptors(&format!("{case}_{side}"), levels);
        let directions: Vec<_> = (0..levels)
            .map(|level| reference.get(&format!("{case}_directions{level}")).shallow_clone())
            .collect();
        let swd = distance(&set("a"), &set("b"), &directions).unwrap();
        for (level, &expected) in swd.levels.iter().zip(&expected) {
            assert_close(&format!("{case} at height {}", level.height), level.distance, expected);
        }
        assert_close(&format!("mean of {case}"), swd.mean(), expected.iter().sum::<f64>() / levels as f64);
    }
}
