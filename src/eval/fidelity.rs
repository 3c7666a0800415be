//! Whether samples look real, whether they cover what is real, and whether they differ from each other: from nearest
//! neighbours among features, whatever the features are.
//!
//! Improved precision and recall: Kynkäänniemi, Karras, Laine, Lehtinen, Aila, "Improved Precision and Recall Metric
//! for Assessing Generative Models" (2019), <https://arxiv.org/abs/1904.06991>. Density and coverage: Naeem, Oh, Uh,
//! Choi, Yoo, "Reliable Fidelity and Diversity Metrics for Generative Models" (2020),
//! <https://arxiv.org/abs/2002.09797>.
//!
//! The ball of a point reaches to its k-th nearest neighbour in its own set, itself not counted, and does not contain
//! its surface: a point is inside where its distance is *less* than the radius, for all four, as in the public code of
//! Naeem et al. (the paper of 2019 says "at most"). The two differ where distances are equal, as with copies: a set of
//! equal samples has balls of radius 0, which so contain nothing.

use super::MetricError;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Neighbours that make a ball, as Naeem et al. take them.
pub const NEIGHBOURS: usize = 5;
/// The part of the real images' typical distance to their nearest neighbour below which two samples are
/// near-duplicates. Among 192 drawn portraits no two were nearer than 0.59 of it, among blurred ones 0.45; copies of
/// one that differ by a noise of 0.02 were at 0.05.
pub const NEAR: f64 = 0.25;

/// How samples stand to real images.
///
/// Two samples of one distribution have precision, recall and coverage a little below 1, the rest near 1 and no
/// near-duplicates; coverage is then 1 - (n - 1)…(n - k) / (m + n - 1)…(m + n - k) on average, 0.97 for as many samples
/// as real images and k = 5. The numbers move with n, m and k: compare what was measured alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// Share of the samples that lie in the ball of a real image, 0 to 1: how many look real.
    pub precision: f64,
    /// Share of the real images that lie in the ball of a sample, 0 to 1: how many could have been drawn.
    pub recall: f64,
    /// In how many real images' balls a sample lies, on average, over k: 0 to n / k. Unlike precision it is not raised
    /// by a single odd real image with a wide ball.
    pub density: f64,
    /// Share of the real images whose ball contains a sample, 0 to 1. Unlike recall it is not raised by odd samples.
    pub coverage: f64,
    /// Mean distance of two samples over that of two real images, at least 0. NaN or infinite where all real images are
    /// equal, which JSON writes as null.
    #[serde(deserialize_with = "or_nan")]
    pub diversity: f64,
    /// Share of the samples whose nearest other sample is nearer than [`NEAR`] times the median distance of a real
    /// image to its nearest other, 0 to 1. It sees a handful of pictures drawn again and again, which diversity does
    /// not.
    pub near_duplicates: f64,
}

fn or_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Compares the features of samples `[m, d]` with those of real images `[n, d]`, on one device; counted in float64.
/// Takes memory for n² + m² + nm distances.
///
/// # Errors
/// [`MetricError::Features`] where they are no two tables of one width; [`MetricError::TooFew`] where n or m is not
/// above `k`, or `k` is 0; [`MetricError::NotFinite`] where a feature is NaN or infinite.
pub fn fidelity(real: &Tensor, samples: &Tensor, k: usize) -> Result<Fidelity, MetricError> {
    if real.dim() != 2 || samples.dim() != 2 || real.size()[1] != samples.size()[1] {
        return Err(MetricError::Features { real: real.size(), samples: samples.size() });
    }
    for (side, set) in [("real", real), ("sampled", samples)] {
        let images = set.size()[0];
        if k == 0 || images <= k as i64 {
            return Err(MetricError::TooFew { side, images, k });
        }
        if set.isfinite().all().int64_value(&[]) == 0 {
            return Err(MetricError::NotFinite { side });
        }
    }
    Ok(tch::no_grad(|| measure(&real.to_kind(Kind::Double), &samples.to_kind(Kind::Double), k as i64)))
}

fn measure(real: &Tensor, samples: &Tensor, k: i64) -> Fidelity {
    let [among_real, among_samples] = [real, samples].map(|set| distances(set, set));
    // Row: real image; column: sample.
    let between = distances(real, samples);
    let in_real = between.lt_tensor(&neighbour(&among_real, k).unsqueeze(1));
    let in_sample = between.lt_tensor(&neighbour(&among_samples, k).unsqueeze(0));
    let near = neighbour(&among_real, 1).quantile_scalar(0.5, 0, false, "linear") * NEAR;
    Fidelity {
        precision: mean(&in_real.any_dim(0, false)),
        recall: mean(&in_sample.any_dim(1, false)),
        density: mean(&in_real) * real.size()[0] as f64 / k as f64,
        coverage: mean(&in_real.any_dim(1, false)),
        diversity: spread(&among_samples) / spread(&among_real),
        near_duplicates: mean(&neighbour(&among_samples, 1).lt_tensor(&near)),
    }
}

/// Euclidean distances `[rows of a, rows of b]`. Summed over squared differences: by way of a matrix product, equal
/// points would not be at 0.
fn distances(a: &Tensor, b: &Tensor) -> Tensor {
    const WITHOUT_PRODUCT: i64 = 2;
    Tensor::cdist(a, b, 2.0, WITHOUT_PRODUCT)
}

/// Each point's distance to its k-th nearest neighbour; the smallest entry of its row, at 0, is the point itself.
fn neighbour(among: &Tensor, k: i64) -> Tensor {
    among.kthvalue(k + 1, 1, false).0
}

/// Mean distance of two different points.
fn spread(among: &Tensor) -> f64 {
    let points = among.size()[0] as f64;
    among.sum(Kind::Double).double_value(&[]) / (points * (points - 1.0))
}

fn mean(of: &Tensor) -> f64 {
    of.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // quotients of small counts
mod tests {
    use super::*;
    use tch::Device;

    /// Points on a line.
    fn line(places: &[f64]) -> Tensor {
        Tensor::from_slice(places).reshape([-1, 1])
    }

    #[test]
    fn hand_counted_points() {
        // Radii with k = 1: real 1, 1, 2, 7; samples 0.25, 0.25, 18.75.
        let (real, samples) = (line(&[0.0, 1.0, 3.0, 10.0]), line(&[1.0, 1.25, 20.0]));
        let got = fidelity(&real, &samples, 1).unwrap();
        // 1 lies in the ball of 1 alone (0 and 3 are exactly a radius away), 1.25 in those of 1 and 3; 10 reaches down to 3.
        assert_eq!(got.precision, 2.0 / 3.0);
        assert_eq!(got.density, 3.0 / 3.0);
        assert_eq!(got.coverage, 2.0 / 4.0);
        // 1 is in the balls of 1 and 1.25, 3 and 10 in that of 20; 0 in none.
        assert_eq!(got.recall, 3.0 / 4.0);
        let pairs = |gaps: &[f64]| gaps.iter().sum::<f64>() / gaps.len() as f64;
        let expected = pairs(&[0.25, 19.0, 18.75]) / pairs(&[1.0, 3.0, 10.0, 2.0, 9.0, 7.0]);
        assert!((got.diversity - expected).abs() < 1e-12);
        // The median of 1, 1, 2, 7 is 1.5: nearer than 0.375 are 1 and 1.25.
        assert_eq!(got.near_duplicates, 2.0 / 3.0);
    }

    #[test]
    fn copies_contain_nothing() {
        let got = fidelity(&line(&[0.0, 1.0, 3.0]), &line(&[1.0, 1.0, 1.0]), 1).unwrap();
        assert_eq!((got.precision, got.recall, got.diversity, got.near_duplicates), (1.0, 0.0, 0.0, 1.0));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        let error = |real: &Tensor, samples: &Tensor, k| fidelity(real, samples, k).unwrap_err().to_string();
        let few = error(&zeros(&[6, 2]), &zeros(&[5, 2]), 5);
        assert!(few.contains("5 sampled images, expected more than k = 5"), "{few}");
        assert!(error(&zeros(&[5, 2]), &zeros(&[6, 2]), 5).contains("5 real images"));
        assert!(error(&zeros(&[6, 2]), &zeros(&[6, 2]), 0).contains("k = 0"));
        assert!(error(&zeros(&[6, 2]), &zeros(&[6, 3]), 5).contains("[6, 3]"));
        assert!(error(&zeros(&[6]), &zeros(&[6]), 5).contains("[images, features]"));
        for broken in [f64::NAN, f64::INFINITY] {
            let nan = zeros(&[6, 2]);
            let _ = nan.get(3).get(1).fill_(broken);
            assert!(error(&nan, &zeros(&[6, 2]), 5).contains("real images"));
            assert!(error(&zeros(&[6, 2]), &nan, 5).contains("sampled images"));
        }
    }
}
