//! What launchers of several processes tell each of them: numbers in environment variables.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// What the environment has under a name.
pub type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A variable that cannot be what it says.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable `{name}` is `{value}`; expected {expected}")]
pub struct WrongVariable {
    /// The variable.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What it should be.
    pub expected: String,
}

/// Names of the variables that one kind of launcher sets.
pub struct Names {
    /// This process among all, from 0.
    pub rank: &'static str,
    /// Processes in all.
    pub ranks: &'static str,
    /// This process among those of its machine, from 0.
    pub local_rank: &'static str,
}

/// `torchrun`'s, which Kubernetes' training operators set too.
pub const TORCHRUN: Names = Names { rank: "RANK", ranks: "WORLD_SIZE", local_rank: "LOCAL_RANK" };

/// Slurm's.
pub const SLURM: Names = Names { rank: "SLURM_PROCID", ranks: "SLURM_NTASKS", local_rank: "SLURM_LOCALID" };

/// Reads a number; none where the variable is not set.
///
/// # Errors
/// No number of `range`.
pub fn number<T: FromStr + PartialOrd + Display>(
    variable: &Variables<'_>,
    name: &'static str,
    range: RangeInclusive<T>,
) -> Result<Option<T>, WrongVariable> {
    let Some(value) = variable(name) else { return Ok(None) };
    let number = value.trim().parse().ok().filter(|number| range.contains(number));
    let expected = || format!("{} to {}", range.start(), range.end());
    number.map(Some).ok_or_else(|| WrongVariable { name, value, expected: expected() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_or_its_variable_named() {
        let read = |value: &'static str| number(&|_| Some(value.into()), "RANK", 0..=3u32);
        assert_eq!(number(&|_| None, "RANK", 0..=3u32).unwrap(), None);
        assert_eq!(read(" 3\n").unwrap(), Some(3));
        for wrong in ["4", "-1", "x", "", "1.0"] {
            let text = read(wrong).unwrap_err().to_string();
            assert_eq!(text, format!("the environment variable `RANK` is `{wrong}`; expected 0 to 3"));
        }
    }
}
