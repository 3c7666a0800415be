//! Processes that train together, each on its share of every batch, so that all of them hold the same networks after each
//! step: those of one process that is shown the whole batch.

use tch::{Device, TchError, Tensor};

use crate::share::Share;
use crate::torch::{Group, Meeting};

/// Another rank is gone, or did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("a rank is gone or does not answer: {0}")]
pub struct RankLost(String);

impl From<TchError> for RankLost {
    fn from(error: TchError) -> Self {
        let text = error.to_string();
        // Behind the first line comes a C++ stack trace.
        Self(text.lines().next().unwrap_or_default().to_string())
    }
}

/// This process and the ones that it trains together with. All of them make the same calls in the same order.
#[derive(Debug)]
pub struct Ranks {
    share: Share,
    group: Option<Group>,
}

impl Ranks {
    /// One process.
    pub const ALONE: Self = Self { share: Share::WHOLE, group: None };

    /// Waits for the others, which train on devices of the same kind.
    ///
    /// # Errors
    /// They did not come in time.
    pub fn join(meeting: &Meeting, device: Device) -> Result<Self, RankLost> {
        let share = Share { rank: meeting.rank, ranks: meeting.ranks };
        let group = if meeting.ranks > 1 { Some(Group::join(meeting, device)?) } else { None };
        Ok(Self { share, group })
    }

    /// This rank's part of every batch.
    pub const fn share(&self) -> Share {
        self.share
    }

    /// Whether this is the rank that writes the run's files and speaks to the user.
    pub const fn is_first(&self) -> bool {
        self.share.rank == 0
    }

    /// Whether this is the only process.
    pub const fn is_alone(&self) -> bool {
        self.group.is_none()
    }

    /// The mean of each tensor over the ranks.
    ///
    /// # Errors
    /// A rank is gone.
    pub fn mean(&self, tensors: Vec<Tensor>) -> Result<Vec<Tensor>, RankLost> {
        match &self.group {
            Some(group) => Ok(group.mean(&tensors)?),
            None => Ok(tensors),
        }
    }

    /// Puts rank 0's values in place of each tensor's.
    ///
    /// # Errors
    /// A rank is gone.
    pub fn broadcast(&self, tensors: &[Tensor]) -> Result<(), RankLost> {
        Ok(self.group.as_ref().map_or(Ok(()), |group| group.broadcast(tensors))?)
    }

    /// What rank 0 says to all; the others pass nothing.
    ///
    /// # Errors
    /// A rank is gone.
    pub fn hear_first(&self, key: &str, said: &[u8]) -> Result<Vec<u8>, RankLost> {
        match &self.group {
            Some(group) if self.is_first() => group.tell(key, said)?,
            Some(group) => return Ok(group.told(key)?),
            None => (),
        }
        Ok(said.to_vec())
    }

    /// The largest of the ranks' numbers.
    ///
    /// # Errors
    /// A rank is gone.
    pub fn largest(&self, number: i64) -> Result<i64, RankLost> {
        let Some(group) = &self.group else { return Ok(number) };
        Ok(group.gather(&Tensor::from(number))?.max().int64_value(&[]))
    }

    /// The samples of the whole batch `[parts · batch, ...]`, of this rank's `[parts · share, ...]`: every part is in the
    /// order of the ranks.
    ///
    /// # Errors
    /// A rank is gone.
    pub fn whole(&self, own: &Tensor, parts: i64) -> Result<Tensor, RankLost> {
        let Some(group) = &self.group else { return Ok(own.shallow_clone()) };
        let all = group.gather(own)?;
        let rest = &own.size()[1..];
        let shape = [&[i64::from(self.share.ranks), parts, -1], rest].concat();
        Ok(all.reshape(shape).transpose(0, 1).flatten(0, 2))
    }

    /// This rank's samples of [`Self::whole`].
    pub fn own(&self, whole: &Tensor, parts: i64) -> Tensor {
        let rest = &whole.size()[1..];
        let shape = [&[parts, i64::from(self.share.ranks), -1], rest].concat();
        whole.reshape(shape).select(1, i64::from(self.share.rank)).flatten(0, 1)
    }
}
