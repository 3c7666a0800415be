//! How a launcher tells each of several processes which one it is: by the variables of `torchrun`, which Kubernetes'
//! training operators set too, or by Slurm's.

use std::time::Duration;

use crate::environment::{SLURM, TORCHRUN, Variables, WrongVariable, number};
use crate::torch::Meeting;

/// How long ranks wait for each other; as long as `PyTorch`'s.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// One of the processes of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Where all meet.
    pub meeting: Meeting,
    /// This process among those of its machine, from 0: its GPU.
    pub local_rank: u32,
}

/// Variables that say too little, or what cannot be.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Not set.
    #[error(
        "`{given}` says that several processes train together, but `{missing}` is not set\nhint: `torchrun` sets all that is \
         needed; under `srun`, export MASTER_ADDR (the first task's host) and MASTER_PORT (a free port there)"
    )]
    Missing {
        /// The variable that is set.
        given: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// No such number.
    #[error(transparent)]
    Value(#[from] WrongVariable),
}

/// This process's place, from what `variable` gives for a name in the environment; none where it trains alone.
///
/// # Errors
/// See [`LaunchError`].
pub fn launch(variable: &Variables<'_>) -> Result<Option<Launch>, LaunchError> {
    let is_meeting = variable("MASTER_ADDR").is_some();
    let names = match (variable(TORCHRUN.ranks), variable(SLURM.ranks)) {
        (Some(_), _) => TORCHRUN,
        // Without a place to meet it is a job of one task, or of tasks that have nothing to do with each other.
        (None, Some(_)) if is_meeting => SLURM,
        _ => return Ok(None),
    };
    let ranks: u32 = number(variable, names.ranks, 1..=u32::MAX)?.unwrap_or(1);
    if ranks == 1 {
        return Ok(None);
    }
    let missing = |name| LaunchError::Missing { given: names.ranks, missing: name };
    let rank = number(variable, names.rank, 0..=ranks - 1)?.ok_or_else(|| missing(names.rank))?;
    // One process a machine is its first.
    let local_rank = number(variable, names.local_rank, 0..=ranks - 1)?.unwrap_or(0);
    let is_served = variable("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|value| value == "True");
    let attempt = variable("TORCHELASTIC_RESTART_COUNT").unwrap_or_else(|| "0".into());
    let meeting = Meeting {
        host: variable("MASTER_ADDR").ok_or_else(|| missing("MASTER_ADDR"))?,
        port: number(variable, "MASTER_PORT", 1..=u16::MAX)?.ok_or_else(|| missing("MASTER_PORT"))?,
        serves: rank == 0 && !is_served,
        name: format!("translate/{attempt}"),
        rank,
        ranks,
        timeout: PATIENCE,
    };
    Ok(Some(Launch { meeting, local_rank }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Launch>, LaunchError> {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_string())
        };
        launch(&find)
    }

    #[test]
    fn torchrun_says_all() {
        let common = [("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1"), ("MASTER_ADDR", "node0")];
        let all = [&common[..], &[("MASTER_PORT", "29500")]].concat();
        let found = read(&all).unwrap().unwrap();
        let meeting = Meeting {
            host: "node0".into(),
            port: 29500,
            serves: false,
            name: "translate/0".into(),
            rank: 3,
            ranks: 4,
            timeout: PATIENCE,
        };
        assert_eq!(found, Launch { meeting: meeting.clone(), local_rank: 1 });

        let first = [("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "1")];
        assert!(read(&first).unwrap().unwrap().meeting.serves);
        // Its agent serves the store, which outlives a restart.
        let agent = [("TORCHELASTIC_USE_AGENT_STORE", "True"), ("TORCHELASTIC_RESTART_COUNT", "2")];
        let served = read(&[&first[..], &agent].concat()).unwrap().unwrap().meeting;
        assert_eq!((served.serves, served.name.as_str()), (false, "translate/2"));
    }

    #[test]
    fn slurm_counts_where_the_tasks_have_a_place_to_meet() {
        let tasks = [("SLURM_PROCID", "1"), ("SLURM_NTASKS", "2"), ("SLURM_LOCALID", "0")];
        assert_eq!(read(&tasks).unwrap(), None);
        let meeting = [&tasks[..], &[("MASTER_ADDR", "node0"), ("MASTER_PORT", "7000")]].concat();
        let found = read(&meeting).unwrap().unwrap();
        assert_eq!((found.meeting.rank, found.meeting.ranks, found.local_rank), (1, 2, 0));
    }

    #[test]
    fn one_process_is_alone() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[("RANK", "0"), ("WORLD_SIZE", "1")]).unwrap(), None);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let error = |variables: &[(&str, &str)]| read(variables).unwrap_err().to_string();
        let text = error(&[("RANK", "0"), ("WORLD_SIZE", "2")]);
        assert!(
            text.starts_with("`WORLD_SIZE` says that several processes train together, but `MASTER_ADDR`")
        );
        let text = error(&[("RANK", "2"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "1")]);
        assert_eq!(text, "the environment variable `RANK` is `2`; expected 0 to 1");
        let text = error(&[("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "x")]);
        assert_eq!(text, "the environment variable `MASTER_PORT` is `x`; expected 1 to 65535");
    }
}
