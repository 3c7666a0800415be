//! The networks, one file each. A file opens with the paper, then has its `Config` (the fields of a recipe's `net`),
//! and builds layers below a [`tch::nn::Path`], so that weights have the names of `PyTorch`'s state dict.

pub mod augment;
mod blocks;
mod blur;
pub mod dcgan;
pub mod encoder;
mod graph;
mod layers;
mod mirrored;
pub mod mobile_resnet;
pub mod patch;
pub mod pixel;
pub mod residual;
pub mod resnet;
pub mod unet;
pub mod upsample;

use std::ops::RangeInclusive;

pub use graph::{DiscriminatorNode, Encoding, GeneratorNode, Graph, Network};
pub use layers::{Judged, Norm};

/// Weights by name, each with its shape. What is called large holds at least a quarter of a network's numbers.
pub type Shapes = Vec<(String, Vec<i64>)>;

/// Widths that a layer of any network can have, in channels or numbers.
pub const WIDTHS: RangeInclusive<i64> = 1..=1024;
