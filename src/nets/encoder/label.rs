//! A class label as a vector: a learned row for each class, as Mirza & Osindero 2014
//! (<https://arxiv.org/abs/1411.1784>) map theirs.

use tch::Tensor;
use tch::nn::{self, Module, Path};

/// A built encoder of labels.
#[derive(Debug)]
pub struct Label {
    table: nn::Embedding,
}

/// Builds the table below `p`: `weight`, `[classes, width]`, N(0, 1).
pub fn label(p: &Path, classes: i64, width: i64) -> Label {
    Label { table: nn::embedding(p, classes, width, nn::EmbeddingConfig::default()) }
}

impl Label {
    /// int64 labels `[batch]`, each from 0 to below `classes`, to `[batch, width]`.
    pub fn forward(&self, labels: &Tensor) -> Tensor {
        self.table.forward(labels)
    }

    /// The length of a vector.
    pub fn width(&self) -> i64 {
        self.table.ws.size()[1]
    }
}
