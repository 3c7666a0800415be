//! Images on disk and on their way to the network: finding, reading, writing, resizing and sampling them, what is said of
//! them (classes and captions), and the renderer of the demo portraits.

pub mod condition;
pub mod convert;
pub mod dataset;
pub mod decode;
pub mod encode;
pub mod fingerprint;
pub mod grid;
pub mod left_out;
pub mod loader;
pub mod noise;
pub mod pairs;
pub mod portraits;
pub mod resize;
pub mod scan;
