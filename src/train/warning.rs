//! What the user should know before training begins.

use std::path::PathBuf;

use crate::data::left_out::LeftOut;

/// Something that the user should know before training begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// What the recipe's text has to be told of, with what to do.
    Recipe(String),
    /// A file or folder that cannot be read.
    Skipped {
        /// Where it is.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something that can be read but not used.
    LeftOut(LeftOut),
    /// A side with a single image.
    OneImage {
        /// Its domain.
        domain: String,
    },
    /// One folder of what may be no pairs side by side.
    UprightHalves {
        /// The folder.
        root: PathBuf,
        /// How many images have halves higher than wide.
        count: usize,
        /// Of how many.
        of: usize,
    },
    /// Classes that a generator can only learn by heart.
    SmallClasses {
        /// Their domain.
        domain: String,
        /// Their names.
        classes: String,
    },
    /// Images that were enlarged.
    Small {
        /// Their domain.
        domain: String,
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
        /// The crop's side.
        size: u32,
    },
    /// A resumed run whose schedule or weights of terms differ now.
    RecipeChanged {
        /// The field.
        field: String,
        /// Its value in the run.
        before: String,
        /// Its value now.
        after: String,
    },
    /// A resumed run whose images differ now, or their classes or captions.
    DataChanged {
        /// The domain.
        domain: String,
        /// Whether it has classes or captions.
        is_conditioned: bool,
    },
    /// Ranks that each know their own images' statistics only.
    BatchNorm {
        /// The recipe's fields that say so.
        fields: String,
        /// Processes that train together.
        ranks: u32,
        /// Images of each in a batch.
        each: usize,
    },
    /// A resumed run that another number of processes train now.
    RanksChanged {
        /// Ranks of the run.
        before: u32,
        /// Ranks now.
        after: u32,
    },
    /// A resumed run whose networks run on another number of CPU threads now.
    ThreadsChanged {
        /// Threads of the run.
        before: i64,
        /// Threads now.
        after: i64,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Recipe(text) => f.write_str(text),
            Self::Skipped { path, reason } => write!(f, "skipped `{}`: {reason}", path.display()),
            Self::LeftOut(left) => write!(f, "left out {left}"),
            Self::OneImage { domain } => write!(
                f,
                "`{domain}` has one image only: its discriminator can learn it by heart\nhint: a hundred or more work \
                 better"
            ),
            Self::UprightHalves { root, count, of } => write!(
                f,
                "each image of `{root}` is taken for a pair side by side, but {count} of {of} are narrower than two \
                 squares\nhint: where pairs lie in two folders, name both: `translate train {root} OTHER`",
                root = root.display()
            ),
            Self::SmallClasses { domain, classes } => write!(
                f,
                "classes of `{domain}` with no more than one image that can be read: {classes}\nhint: a class of one \
                 image is learnt by heart; add more, or take its folder away"
            ),
            Self::Small { domain, count, of, size } => write!(
                f,
                "{count} of {of} images of `{domain}` are smaller than {size} pixels and were enlarged\nhint: a smaller \
                 `--set data.size=…` keeps them sharp"
            ),
            Self::RecipeChanged { field, before, after } => {
                write!(f, "`{field}` was {before} at the run's last start, and is {after} from here on")
            }
            Self::DataChanged { domain, is_conditioned } => {
                let said = if *is_conditioned { ", or what is said of them," } else { "" };
                write!(
                    f,
                    "the images of `{domain}`{said} have changed since the run's last start: it goes on, but not bit for \
                     bit as it would have"
                )
            }
            Self::BatchNorm { fields, ranks, each } => write!(
                f,
                "batch norm ({fields}) goes by each rank's own images, {each} of a batch on each of {ranks} ranks\nhint: with \
                 `norm: instance` the number of ranks does not matter; a larger `--set train.batch=…` gives each rank more \
                 images"
            ),
            Self::RanksChanged { before, after } => write!(
                f,
                "the run was on {before} rank(s) at its last start, and is on {after} now: it goes on, but not bit for bit as \
                 it would have\nhint: {before} rank(s) bring that back"
            ),
            Self::ThreadsChanged { before, after } => write!(
                f,
                "the run was on {before} CPU threads at its last start, and is on {after} now: it goes on, but not bit for \
                 bit as it would have\nhint: OMP_NUM_THREADS={before} brings that back"
            ),
        }
    }
}
