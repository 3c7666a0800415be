//! What libtorch has and tch does not bind (`shim.cpp`, `program.cpp` for networks as programs, `group.cpp` for processes
//! that train together, `measure.cpp` for benchmarks, `recompute.cpp` for results that are not kept, `recording.cpp` for work that is done again and again, `stream.cpp` for the order of a GPU's work, `strided.cpp` for layers
//! in any memory order; each with its safe side), the one place where a libtorch failure inside
//! plain tch calls becomes an error (`guard`), when its CUDA half is loaded (`cuda`), and how the memory it frees is kept
//! (`memory`).

use tch::{Kind, Tensor};

mod arithmetic;
mod cuda;
mod group;
mod guard;
mod kernels;
mod measure;
mod memory;
mod program;
mod recompute;
mod recording;
mod shim;
pub mod store;
mod stream;
pub mod strided;

pub use arithmetic::{Bf16, set_arithmetic};
pub use cuda::{NoCuda, compute_capability, load_cuda};
pub use group::{Group, Meeting};
pub use guard::{TorchError, guard};
pub use kernels::{Winograd, channels_last, instance_norm};
pub use measure::{count_products, cuda_peak_memory, with_tf32_products};
pub use memory::keep_freed_memory;
pub use program::{Program, pickle};
pub use recompute::recomputed;
pub use recording::{RecordError, Recording};
pub use shim::{AdamRates, fused_adam, leaky_relu, lerp, version};
pub use stream::{own_stream, upload};

/// The kind in which sums over `xs` are taken: float32, or wider where `xs` is.
pub fn sum_kind(xs: &Tensor) -> Kind {
    if xs.kind() == Kind::Double { Kind::Double } else { Kind::Float }
}

/// The folder of the libtorch that the program was built against.
pub const LIBTORCH: &str = env!("TRANSLATE_LIBTORCH");
