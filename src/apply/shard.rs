//! Which part of the inputs is this process's, where several translate them: said outright, or told by what started them.

use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::environment::{SLURM, TORCHRUN, Variables, WrongVariable, number};
use crate::share::Share;

/// So many at most say their number by one launcher, so that two launchers inside each other can still be counted.
const MOST: u32 = u16::MAX as u32;

/// Tasks of a step, which `srun` alone sets: in a batch script without it, the number of a task is set as if it were one.
const STEP_TASKS: &str = "SLURM_STEP_NUM_TASKS";
const ARRAY_TASK: &str = "SLURM_ARRAY_TASK_ID";
const ARRAY_MIN: &str = "SLURM_ARRAY_TASK_MIN";
const ARRAY_MAX: &str = "SLURM_ARRAY_TASK_MAX";
const ARRAY_COUNT: &str = "SLURM_ARRAY_TASK_COUNT";
const ARRAY_STEP: &str = "SLURM_ARRAY_TASK_STEP";
const POD: &str = "JOB_COMPLETION_INDEX";

/// What `--shard` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shard {
    /// This one.
    Given(Share),
    /// What the environment says.
    Auto {
        /// The number of parts, where the environment does not say it.
        of: Option<u32>,
    },
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (part, of) = text.split_once('/').map_or((text, None), |(part, of)| (part, Some(of)));
        let of = of.map(|of| of.parse().ok().filter(|of| (1..=MOST).contains(of)));
        let found = match (part, of) {
            ("auto", None) => Some(Self::Auto { of: None }),
            ("auto", Some(Some(of))) => Some(Self::Auto { of: Some(of) }),
            (rank, Some(Some(ranks))) => rank.parse().ok().filter(|rank| *rank < ranks).map(|rank| {
                let share = Share { rank, ranks };
                Self::Given(share)
            }),
            _ => None,
        };
        found.ok_or_else(|| {
            format!("expected `K/N` with K from 0 to N - 1, `auto`, or `auto/N`, N from 1 to {MOST}")
        })
    }
}

/// A process's place among those that translate together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its part of the inputs.
    pub share: Share,
    /// This process among those of its machine, from 0: its GPU.
    pub local_rank: u32,
}

/// Variables that say too little, or what cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// None is set.
    #[error(
        "`--shard auto` finds none of `RANK`, `{ARRAY_TASK}`, `{STEP_TASKS}` and `{POD}` in the environment\nhint: \
         `--shard K/N` says the part outright, K from 0"
    )]
    Unknown,
    /// One without another.
    #[error("`{given}` is set, but `{missing}` is not\nhint: `--shard K/N` says the part outright, K from 0")]
    Missing {
        /// The variable that is set.
        given: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// No such number.
    #[error("{0}\nhint: `--shard K/N` says the part outright, K from 0")]
    Value(#[from] WrongVariable),
    /// A batch script of several tasks, which is none of them.
    #[error(
        "`SLURM_NTASKS` is {tasks}, but `{STEP_TASKS}` is not set: this process is none of the tasks\nhint: `srun translate \
         apply …` starts one as each of them"
    )]
    NotATask {
        /// How many there are to be.
        tasks: u32,
    },
    /// An array of which some tasks are left out.
    #[error(
        "the array's tasks have gaps: from `{ARRAY_MIN}` to `{ARRAY_MAX}` there would be {expected}, `{ARRAY_COUNT}` is \
         {count}\nhint: `--shard auto/N` takes a task's number, from 0, for its part of N"
    )]
    Gaps {
        /// How many there would be without.
        expected: u32,
        /// How many there are.
        count: u32,
    },
    /// A number without a count.
    #[error(
        "`{POD}` says which part is this pod's, and nothing says of how many\nhint: `--shard auto/N` with the Job's \
         `completions` as N"
    )]
    NoCount,
    /// Another count than the environment's.
    #[error(
        "`--shard auto/{of}`, but `{name}` is {found}\nhint: `--shard auto` takes the number of parts from there"
    )]
    Count {
        /// The number asked for.
        of: u32,
        /// The variable.
        name: &'static str,
        /// Its number.
        found: u32,
    },
}

impl Shard {
    /// This process's part, from what `variable` gives for a name in the environment.
    ///
    /// # Errors
    /// See [`ShardError`].
    pub fn part(self, variable: &Variables<'_>) -> Result<Part, ShardError> {
        let share = match self {
            Self::Given(share) => share,
            Self::Auto { of } => told(of, variable)?,
        };
        Ok(Part { share, local_rank: local_rank(variable)? })
    }
}

/// What is to be said where several processes were started and none is given a part of the work: by the first of them, so that
/// it is said once.
pub fn undivided(variable: &Variables<'_>) -> Option<String> {
    let (each, option) = match told(None, variable) {
        Ok(Share { rank: 0, ranks }) if ranks > 1 => {
            (format!("each of the {ranks} processes"), "`--shard auto`")
        }
        Err(ShardError::NoCount) if variable(POD)?.trim() == "0" => {
            ("each pod of the Job".into(), "`--shard auto/N`, with the Job's `completions` as N,")
        }
        _ => return None,
    };
    Some(format!("{each} translates all that it is given\nhint: {option} divides it among them"))
}

fn told(of: Option<u32>, variable: &Variables<'_>) -> Result<Share, ShardError> {
    let ranks = match torchrun(variable)? {
        Some(ranks) => Some((TORCHRUN.ranks, ranks)),
        None => srun(variable)?.map(|ranks| (STEP_TASKS, ranks)),
    };
    match (array_task(of, variable)?, ranks) {
        (Some(task), None) => Ok(task),
        // Each task of an array is a job of its own, in which these are started.
        (Some(task), Some((_, inner))) => {
            Ok(Share { rank: task.rank * inner.ranks + inner.rank, ranks: task.ranks * inner.ranks })
        }
        (None, Some((name, Share { ranks: found, .. }))) if of.is_some_and(|of| of != found) => {
            Err(ShardError::Count { of: of.unwrap_or(found), name, found })
        }
        (None, Some((_, ranks))) => Ok(ranks),
        (None, None) => pod(of, variable),
    }
}

fn required(
    variable: &Variables<'_>,
    given: &'static str,
    name: &'static str,
    range: RangeInclusive<u32>,
) -> Result<u32, ShardError> {
    number(variable, name, range)?.ok_or(ShardError::Missing { given, missing: name })
}

fn torchrun(variable: &Variables<'_>) -> Result<Option<Share>, ShardError> {
    let Some(given) = [TORCHRUN.rank, TORCHRUN.ranks].into_iter().find(|name| variable(name).is_some())
    else {
        return Ok(None);
    };
    let ranks = required(variable, given, TORCHRUN.ranks, 1..=MOST)?;
    Ok(Some(Share { rank: required(variable, given, TORCHRUN.rank, 0..=ranks - 1)?, ranks }))
}

fn srun(variable: &Variables<'_>) -> Result<Option<Share>, ShardError> {
    if let Some(ranks) = number(variable, STEP_TASKS, 1..=MOST)? {
        return Ok(Some(Share { rank: required(variable, STEP_TASKS, SLURM.rank, 0..=ranks - 1)?, ranks }));
    }
    match number(variable, SLURM.ranks, 1..=MOST)? {
        Some(tasks) if tasks > 1 => Err(ShardError::NotATask { tasks }),
        _ => Ok(None),
    }
}

fn array_task(of: Option<u32>, variable: &Variables<'_>) -> Result<Option<Share>, ShardError> {
    if variable(ARRAY_TASK).is_none() {
        return Ok(None);
    }
    let required = |name, range| required(variable, ARRAY_TASK, name, range);
    if let Some(ranks) = of {
        return Ok(Some(Share { rank: required(ARRAY_TASK, 0..=ranks - 1)?, ranks }));
    }
    let first = required(ARRAY_MIN, 0..=u32::MAX)?;
    let last = required(ARRAY_MAX, first..=u32::MAX)?;
    let step = number(variable, ARRAY_STEP, 1..=u32::MAX)?.unwrap_or(1);
    let (count, expected) = (required(ARRAY_COUNT, 1..=MOST)?, ((last - first) / step).saturating_add(1));
    if count != expected {
        return Err(ShardError::Gaps { expected, count });
    }
    let task = required(ARRAY_TASK, first..=last)?;
    if (task - first) % step != 0 {
        let expected = format!("{first} to {last} in steps of {step}");
        return Err(WrongVariable { name: ARRAY_TASK, value: task.to_string(), expected }.into());
    }
    Ok(Some(Share { rank: (task - first) / step, ranks: count }))
}

fn pod(of: Option<u32>, variable: &Variables<'_>) -> Result<Share, ShardError> {
    match (variable(POD), of) {
        (None, _) => Err(ShardError::Unknown),
        (Some(_), None) => Err(ShardError::NoCount),
        (Some(_), Some(ranks)) => Ok(Share { rank: required(variable, POD, POD, 0..=ranks - 1)?, ranks }),
    }
}

fn local_rank(variable: &Variables<'_>) -> Result<u32, WrongVariable> {
    let name = match variable(TORCHRUN.ranks) {
        Some(_) => TORCHRUN.local_rank,
        None if variable(STEP_TASKS).is_some() => SLURM.local_rank,
        None => return Ok(0),
    };
    Ok(number(variable, name, 0..=MOST)?.unwrap_or(0))
}

#[cfg(test)]
mod tests;
