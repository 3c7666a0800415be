//! What libtorch has and tch does not bind (`shim.cpp`, with the safe side here), and the one place where a libtorch
//! failure inside plain tch calls becomes an error (`guard`).

mod guard;
mod shim;
pub mod store;

pub use guard::{TorchError, guard};
pub use shim::{AdamRates, fused_adam, leaky_relu};

/// The folder of the libtorch that the program was built against.
pub const LIBTORCH: &str = env!("TRANSLATE_LIBTORCH");

/// The version of libtorch that tch is bound to.
pub const VERSION: &str = "2.11";
