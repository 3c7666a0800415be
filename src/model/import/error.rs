//! Why a checkpoint cannot be imported.

use std::path::PathBuf;

use crate::recipe::{Invalid, RecipeError};
use crate::torch::TorchError;

/// Why a checkpoint cannot be imported. Each message names the file, what it is, what was expected, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file system's.
    #[error(
        "cannot read `{path}`: {source}\nhint: name the file of a PyTorch generator, as in `latest_net_G_A.pth`"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something else than a checkpoint.
    #[error("`{path}` is {found}; expected a state dict of PyTorch (`.pth`)\nhint: {hint}")]
    Other {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What to do.
        hint: String,
    },
    /// A checkpoint that ends early or contradicts itself.
    #[error(
        "`{path}` is a truncated or damaged PyTorch file: {reason}; expected a whole state dict\nhint: copy or download \
         it again and compare the sizes"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What its reader says.
        reason: String,
    },
    /// Tensors that are no generator's, or no known one's.
    #[error("`{path}` holds {found}; expected {expected}\nhint: {hint}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What a generator holds.
        expected: String,
        /// What to do.
        hint: &'static str,
    },
    /// A generator with tensors that it should not have, or without some.
    #[error(
        "`{path}` begins like a {net} but is none: {misfits}\nhint: the generators of CycleGAN, pix2pix, CUT and GAN \
         Compression can be imported, for RGB images"
    )]
    Misfits {
        /// The file.
        path: PathBuf,
        /// What it was taken for.
        net: String,
        /// The first tensors that do not fit.
        misfits: String,
    },
    /// A network larger than any that a recipe can have.
    #[error("{paths} cannot be a model: {source}\nhint: a smaller generator can be imported")]
    Invalid {
        /// The files.
        paths: String,
        /// The recipe's field.
        source: Box<Invalid>,
    },
    /// Weights that are none: whole numbers, or such as a training that went wrong leaves.
    #[error(
        "`{name}` in `{path}` holds {found}; expected finite numbers of F32, F64, F16 or BF16\nhint: take a checkpoint from \
         earlier in that training"
    )]
    Numbers {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What is in it.
        found: String,
    },
    /// Domain names that cannot be used.
    #[error("the domains cannot be called {names}: {reason}\nhint: `--from photo --to anime`")]
    Names {
        /// Both.
        names: String,
        /// Why.
        reason: &'static str,
    },
    /// The shipped recipe that the model's is made of.
    #[error(transparent)]
    Recipe(Box<RecipeError>),
    /// libtorch's.
    #[error(transparent)]
    Torch(#[from] TorchError),
}
