//! Processes that train together, each on its share of every batch, so that all of them hold the same networks after each
//! step: those of one process that is shown the whole batch.

use tch::{Device, Kind, TchError, Tensor};

use crate::share::Share;
use crate::torch::{Group, Meeting};

/// Another rank is gone, did not answer in time, or cannot be trained with.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RankLost(String);

impl From<TchError> for RankLost {
    fn from(error: TchError) -> Self {
        let text = error.to_string();
        // Behind the first line comes a C++ stack trace.
        let line = text.lines().next().unwrap_or_default();
        Self(format!("a rank is gone or does not answer: {line}"))
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

    /// Waits for the others.
    ///
    /// # Errors
    /// They did not come in time, or some train on a GPU and some on a CPU.
    pub fn join(meeting: &Meeting, device: Device) -> Result<Self, RankLost> {
        let share = Share { rank: meeting.rank, ranks: meeting.ranks };
        if meeting.ranks == 1 {
            return Ok(Self { share, group: None });
        }
        let group = Group::join(meeting)?;
        let gpus =
            group.gather(&Tensor::from(i64::from(device.is_cuda())))?.sum(Kind::Int64).int64_value(&[]);
        if gpus == i64::from(meeting.ranks) {
            group.use_nccl(meeting.timeout)?;
        } else if gpus > 0 {
            let message =
                format!("{gpus} of {} ranks train on a GPU, and the others on a CPU", meeting.ranks);
            return Err(RankLost(format!(
                "{message}\nhint: name `--device cpu`, or `--device cuda`, to all"
            )));
        }
        Ok(Self { share, group: Some(group) })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    #[test]
    fn ranks_on_a_gpu_and_on_a_cpu_are_refused() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let join = move |rank| {
            let meeting = Meeting::of_test(port, rank, 2);
            let device = if rank == 0 { Device::Cpu } else { Device::Cuda(0) };
            Ranks::join(&meeting, device).map(drop).unwrap_err().to_string()
        };
        for rank in [0, 1].map(|rank| thread::spawn(move || join(rank))) {
            let text = rank.join().unwrap();
            assert!(
                text.starts_with("1 of 2 ranks train on a GPU") && text.contains("--device cpu"),
                "{text}"
            );
        }
    }
}
