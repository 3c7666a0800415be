//! Halving and doubling by fixed low-pass filters (Zhang 2019, <https://arxiv.org/abs/1904.11486>), so that no detail is
//! left between the pixels that stay. The filters are rows of Pascal's triangle, times themselves.
//!
//! They are stored as the original has them, one a channel under the name `filt`, though nothing changes them.

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::layers::reflect;

/// A filter `[channels, 1, n, n]` at `p` that adds up to `sum`.
fn filter(p: &Path, channels: i64, row: &[f32], sum: f64) -> Tensor {
    let n = row.len() as i64;
    let row = Tensor::from_slice(row);
    let outer = row.outer(&row);
    let outer = &outer / outer.sum(Kind::Float) * sum;
    let mut filter = p.zeros_no_train("filt", &[channels, 1, n, n]);
    tch::no_grad(|| filter.copy_(&outer));
    filter
}

/// Halves height and width.
#[derive(Debug)]
pub(super) struct BlurDown {
    filter: Tensor,
    channels: i64,
}

impl BlurDown {
    /// Builds it at `p`.
    pub(super) fn new(p: &Path, channels: i64) -> Self {
        Self { filter: filter(p, channels, &[1.0, 2.0, 1.0], 1.0), channels }
    }

    /// `[batch, channels, height, width]` to `[batch, channels, height/2, width/2]`.
    pub(super) fn forward(&self, xs: &Tensor) -> Tensor {
        reflect(xs, 1).conv2d(&self.filter, None::<&Tensor>, [2, 2], [0, 0], [1, 1], self.channels)
    }
}

/// Doubles height and width.
#[derive(Debug)]
pub(super) struct BlurUp {
    filter: Tensor,
    channels: i64,
}

impl BlurUp {
    /// Builds it at `p`.
    pub(super) fn new(p: &Path, channels: i64) -> Self {
        // Three of four pixels between which it filters are zeros.
        Self { filter: filter(p, channels, &[1.0, 3.0, 3.0, 1.0], 4.0), channels }
    }

    /// `[batch, channels, height, width]` to `[batch, channels, 2·height, 2·width]`.
    pub(super) fn forward(&self, xs: &Tensor) -> Tensor {
        let ys = xs.replication_pad2d([1, 1, 1, 1]).conv_transpose2d(
            &self.filter,
            None::<&Tensor>,
            [2, 2],
            [2, 2],
            [0, 0],
            self.channels,
            [1, 1],
        );
        // One pixel too many on every side, which stems from the repeated border.
        ys.slice(2, 1, -1, 1).slice(3, 1, -1, 1)
    }
}
