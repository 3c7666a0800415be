//! Why training cannot begin or stops short.

use std::path::{Path, PathBuf};

use super::ranks::RankLost;
use super::run::RunError;
use super::state::RestoreError;
use crate::data::condition::ConditionError;
use crate::data::dataset::DatasetError;
use crate::data::encode::EncodeError;
use crate::data::loader::LoaderError;
use crate::data::scan::ScanError;
use crate::recipe::RecipeError;
use crate::torch::TorchError;
use crate::torch::store::StoreError;

/// Why training cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The recipe's.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A folder's.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A folder's images'.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A folder's classes' or captions'.
    #[error("the recipe has conditions: {0}")]
    Condition(#[from] ConditionError),
    /// The run folder's.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A checkpoint's.
    #[error(
        "cannot go on from the newest checkpoint: {0}\nhint: remove that file to go on from the one before"
    )]
    Checkpoint(#[from] StoreError),
    /// A checkpoint that does not fit.
    #[error("cannot go on from the checkpoint: {0}\nhint: begin another run with `--run DIR`")]
    Restore(#[from] RestoreError),
    /// More or fewer folders than the recipe has spaces.
    #[error(
        "the recipe needs {needed} folder(s), one for each of {spaces}; {given} given\nhint: two folders are for \
         `-r cyclegan` and `-r pix2pix`, one is for `-r dcgan` and the like; `translate recipe list` has all"
    )]
    FolderCount {
        /// How many it needs.
        needed: usize,
        /// Its spaces.
        spaces: String,
        /// How many were named.
        given: usize,
    },
    /// Paired data without a pair.
    #[error(
        "no image of `{x}` has a partner of the same stem in `{y}`\nhint: the recipe wants pairs, as in `{x}/1.jpg` and \
         `{y}/1.png`, or one folder of images that hold both side by side; unpaired folders are for `cyclegan`",
        x = x.display(), y = y.display()
    )]
    NoPairs {
        /// The first folder.
        x: PathBuf,
        /// The second folder.
        y: PathBuf,
    },
    /// A batch that the ranks cannot share.
    #[error(
        "`train.batch` is {batch}, which {ranks} ranks cannot share equally{in_parts}\nhint: a batch is all ranks' together: \
         `--set train.batch={next}` gives each {each}",
        in_parts = in_parts(*accumulate),
        next = batch.next_multiple_of(*ranks as usize * accumulate),
        each = batch.next_multiple_of(*ranks as usize * accumulate) / *ranks as usize,
    )]
    Batch {
        /// Images a step.
        batch: usize,
        /// Processes that share them.
        ranks: u32,
        /// Parts of each rank's share.
        accumulate: usize,
    },
    /// A rank that sees other images than the first.
    #[error(
        "rank {rank} does not see the same images of `{domain}` as the first rank\nhint: give every machine the same folders, \
         or share them over the network"
    )]
    RankData {
        /// The domain.
        domain: String,
        /// The rank.
        rank: u32,
    },
    /// The first rank cannot begin.
    #[error("the first rank cannot begin; its own message says why")]
    FirstRank,
    /// The other ranks.
    #[error(transparent)]
    Ranks(#[from] RankLost),
    /// One folder for both sides.
    #[error(
        "`{x}` and `{y}` share images: one is the other, or lies inside it\nhint: the two sides need a folder each"
    )]
    SharedFolder {
        /// The first folder.
        x: PathBuf,
        /// The second folder.
        y: PathBuf,
    },
    /// A run whose own pictures would be taken for images of the data.
    #[error(
        "the run folder `{run}` lies inside the data folder `{folder}`: its samples would be taken for images\nhint: \
         name a folder outside with `--run DIR`"
    )]
    RunInside {
        /// The run.
        run: PathBuf,
        /// The data folder.
        folder: PathBuf,
    },
    /// Names that cannot be told apart or used.
    #[error("domain names {names} cannot be used: {reason}\nhint: `--names photo,anime` gives others")]
    Names {
        /// The names.
        names: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A run that has shown all its images.
    #[error(
        "the run `{path}` is finished ({images} images)\nhint: `--set train.images=N` with a larger N trains it on; \
         `--run DIR` begins another"
    )]
    Finished {
        /// The run.
        path: PathBuf,
        /// Images shown.
        images: u64,
    },
    /// A run that has a model and nothing to go on from.
    #[error(
        "the run `{path}` has a model but no checkpoint: training would begin anew and replace the model\nhint: name \
         another folder with `--run DIR`, or move the model away"
    )]
    NoCheckpoint {
        /// The run.
        path: PathBuf,
    },
    /// A run of other images, which was not asked for by name.
    #[error(
        "the run `{path}` was trained on other images in folders of these names\nhint: name another folder with `--run \
         DIR`; `--run {path}` goes on there with these images all the same"
    )]
    OtherImages {
        /// The run.
        path: PathBuf,
    },
    /// A run of other domains.
    #[error(
        "the run `{path}` is of the domains `{before}`, not `{after}`\nhint: `--names {before}` calls these folders so, \
         or begin another run with `--run DIR`"
    )]
    OtherDomains {
        /// The run.
        path: PathBuf,
        /// Its domain names.
        before: String,
        /// The names now.
        after: String,
    },
    /// A run of other classes or captions.
    #[error(
        "the run `{path}` was trained on other classes, or on captions of other words\nhint: begin another run with `--run \
         DIR`"
    )]
    OtherConditions {
        /// The run.
        path: PathBuf,
    },
    /// A run of other networks.
    #[error(
        "the run `{path}` cannot go on with this recipe: `{field}` was {before}, and is {after}\nhint: leave `-r` and \
         `--set` away to go on as before, or begin another run with `--run DIR`"
    )]
    Changed {
        /// The run.
        path: PathBuf,
        /// The field.
        field: String,
        /// Its value in the run.
        before: String,
        /// Its value now.
        after: String,
    },
}

/// Why training stopped short.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Before the first step.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The run folder's.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file of the run's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sample grid's.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The data's.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// libtorch's.
    #[error("{0}{hint}", hint = memory_hint(.0))]
    Torch(#[from] TorchError),
    /// What [`StepError::Unrecorded`](super::step::StepError::Unrecorded) says.
    #[error("{0}")]
    Unrecorded(String),
    /// A process that trained along.
    #[error("{lost}\nhint: {next}", next = after_lost(*images, *saved))]
    Lost {
        /// What was seen of it.
        lost: RankLost,
        /// Images shown.
        images: u64,
        /// Whether this process saves the run.
        saved: bool,
    },
    /// The others, before the first step.
    #[error(transparent)]
    Ranks(#[from] RankLost),
    /// A loss or a weight that is no number any more.
    #[error(
        "{term} is {value} after {images} images: training has diverged\nhint: a smaller `--set optim.lr=…`{rest}",
        rest = go_on(.run, *.saved)
    )]
    Diverged {
        /// The loss term in backquotes, or `a weight`.
        term: String,
        /// Its mean over the tick.
        value: f64,
        /// Images shown.
        images: u64,
        /// The run folder.
        run: PathBuf,
        /// Whether there is a checkpoint to go on from.
        saved: bool,
    },
    /// The metrics file's.
    #[error(
        "cannot write `{path}`: {source}\nhint: check the permissions and the space left there; the same command then goes \
         on"
    )]
    Metrics {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

fn go_on(run: &Path, saved: bool) -> String {
    if !saved {
        return String::new();
    }
    format!("; the run in `{}` can go on from its last checkpoint", run.display())
}

fn in_parts(accumulate: usize) -> String {
    if accumulate == 1 { String::new() } else { format!(" in {accumulate} parts each (`train.accumulate`)") }
}

fn after_lost(images: u64, saved: bool) -> String {
    if saved {
        return format!(
            "everything up to image {images} is saved; the same command on all ranks goes on from there"
        );
    }
    "its own message says why; the first rank saves what has been done".into()
}

fn memory_hint(error: &TorchError) -> &'static str {
    match error {
        TorchError::OutOfMemory { .. } => {
            "\nhint: a smaller `--set train.batch=…` or `--set data.size=…` needs less"
        }
        TorchError::Failed { .. } => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_spoken_of_where_there_is_one() {
        let message = |saved| {
            let (term, run) = ("`cycle.x`".to_string(), PathBuf::from("models/r"));
            TrainError::Diverged { term, value: f64::NAN, images: 7, run, saved }.to_string()
        };
        assert!(
            message(true)
                .ends_with("`--set optim.lr=…`; the run in `models/r` can go on from its last checkpoint")
        );
        assert!(message(false).ends_with("hint: a smaller `--set optim.lr=…`"));
    }
}
