//! `translate` learns a mapping between two folders of images that nobody paired, and applies it to any folder.
//!
//! ARCHITECTURE.md has the map of the rooms. The way in is `cli`; the heart is [`train::step`].

pub mod apply;
pub mod atomic;
pub mod bench;
pub mod cli;
pub mod data;
pub mod device;
pub mod environment;
pub mod eval;
pub mod file;
pub mod loss;
pub mod model;
pub mod nets;
pub mod panics;
pub mod random;
pub mod recipe;
pub mod share;
pub mod torch;
pub mod train;
pub mod words;

/// Program and version, as written into what it makes.
pub const PROGRAM: &str = concat!("translate ", env!("CARGO_PKG_VERSION"));
