//! Residual blocks, one after another, most of what a generator computes and keeps for its gradient.

use std::sync::Arc;

use tch::Tensor;

use crate::torch::{Bf16, recomputed};

/// One of them.
pub(super) trait Block: std::fmt::Debug + Send + 'static {
    /// `[batch, channels, height, width]` to the same.
    fn forward(&self, xs: &Tensor, train: bool) -> Tensor;

    /// Its weights.
    fn parameters(&self) -> Vec<Tensor>;
}

/// All of a network's.
#[derive(Debug)]
pub(super) struct Blocks<B> {
    /// Shared with the gradients that still need them.
    blocks: Vec<Arc<B>>,
    recompute: bool,
}

// SAFETY: what shares a block with this is called while the thread that wants the gradient waits, and only reads it, which
// libtorch allows several threads at a time.
unsafe impl<B: Send> Send for Blocks<B> {}

impl<B: Block> Blocks<B> {
    /// In this order.
    pub(super) fn new(blocks: impl Iterator<Item = B>) -> Self {
        #[allow(clippy::arc_with_non_send_sync, reason = "see the implementation of `Send`")]
        let blocks = blocks.map(Arc::new).collect();
        Self { blocks, recompute: false }
    }

    /// Keeps no inner results of a block for gradients from here on. It must compute the same whenever it is asked.
    pub(super) const fn recompute(&mut self) {
        self.recompute = true;
    }

    /// Those that no gradient still needs.
    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut B> {
        self.blocks.iter_mut().filter_map(Arc::get_mut)
    }

    /// All of them on `[batch, channels, height, width]`, to the same.
    pub(super) fn forward(&self, mut xs: Tensor, train: bool) -> Tensor {
        for block in &self.blocks {
            xs = if self.recompute && train {
                let (device, is_bf16) = (xs.device(), Bf16::is_on(xs.device()));
                let shared = Arc::clone(block);
                recomputed(&xs, &block.parameters(), move |xs| {
                    // A second time it is another place of the program that asks, and another thread on a GPU.
                    let _numbers = Bf16::set(device, is_bf16);
                    shared.forward(xs, train)
                })
            } else {
                block.forward(&xs, train)
            };
        }
        xs
    }
}
