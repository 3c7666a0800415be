//! The safe side of `group.cpp`: processes that train together.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::time::Duration;

use tch::{TchError, Tensor};
use torch_sys::C_tensor;

use super::shim::{Sink, append, checked, collected, pointers};

/// A group on the other side.
#[repr(C)]
struct CGroup {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn translate_group_free(group: *mut CGroup);
    fn translate_group_join(
        out: *mut *mut CGroup,
        host: *const c_char,
        port: u16,
        serves: bool,
        name: *const c_char,
        rank: c_int,
        ranks: c_int,
        timeout_ms: i64,
    ) -> *mut c_char;
    fn translate_group_use_nccl(group: *mut CGroup, timeout_ms: i64) -> *mut c_char;
    fn translate_group_set(
        group: *mut CGroup,
        key: *const c_char,
        bytes: *const c_char,
        count: usize,
    ) -> *mut c_char;
    fn translate_group_get(
        group: *mut CGroup,
        key: *const c_char,
        sink: Sink,
        context: *mut c_void,
    ) -> *mut c_char;
    fn translate_group_mean(
        out: *mut *mut C_tensor,
        group: *mut CGroup,
        tensors: *const *mut C_tensor,
        count: usize,
    ) -> *mut c_char;
    fn translate_group_broadcast(
        group: *mut CGroup,
        tensors: *const *mut C_tensor,
        count: usize,
    ) -> *mut c_char;
    fn translate_group_gather(
        out: *mut *mut C_tensor,
        group: *mut CGroup,
        tensor: *mut C_tensor,
    ) -> *mut c_char;
}

/// Where the ranks of a group meet, and which one this process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// The host that serves the store.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether this process serves the store, or a rank or launcher elsewhere does.
    pub serves: bool,
    /// A name that no other group has at the same store.
    pub name: String,
    /// This process among the ranks, from 0.
    pub rank: u32,
    /// Processes in all.
    pub ranks: u32,
    /// How long one waits for another.
    pub timeout: Duration,
}

#[cfg(test)]
impl Meeting {
    /// Of this rank among `ranks` in one process.
    pub(crate) fn of_test(port: u16, rank: u32, ranks: u32) -> Self {
        let (host, name, timeout) = ("127.0.0.1".into(), "test".into(), Duration::from_secs(20));
        Self { host, port, serves: rank == 0, name, rank, ranks, timeout }
    }
}

/// A joined group. Every rank has to make the same calls in the same order; each waits for the others' for as long as the
/// meeting says, and fails where one of them is gone.
#[derive(Debug)]
pub struct Group(NonNull<CGroup>);

// SAFETY: libtorch's groups may be used from any thread; this type is not `Sync`, so from one at a time.
unsafe impl Send for Group {}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `translate_group_join` and is freed here alone.
        unsafe { translate_group_free(self.0.as_ptr()) };
    }
}

impl Group {
    /// Waits for all ranks.
    ///
    /// # Errors
    /// libtorch's: nobody serves the store, or a rank did not come in time.
    pub fn join(meeting: &Meeting) -> Result<Self, TchError> {
        let (host, name) = (text(&meeting.host)?, text(&meeting.name)?);
        let mut group = std::ptr::null_mut();
        // SAFETY: both strings live through the call; on success `group` is a new group that is ours.
        checked(unsafe {
            translate_group_join(
                &raw mut group,
                host.as_ptr(),
                meeting.port,
                meeting.serves,
                name.as_ptr(),
                meeting.rank as c_int,
                meeting.ranks as c_int,
                meeting.timeout.as_millis() as i64,
            )
        })?;
        NonNull::new(group).map(Self).ok_or_else(|| TchError::Torch("no group was made".into()))
    }

    /// Exchanges tensors on GPUs by NCCL from here on, where Gloo would copy them to the CPU. All ranks do so.
    ///
    /// # Errors
    /// libtorch's: it has none.
    pub fn use_nccl(&self, timeout: Duration) -> Result<(), TchError> {
        // SAFETY: the group is live.
        checked(unsafe { translate_group_use_nccl(self.0.as_ptr(), timeout.as_millis() as i64) })
    }

    /// Says something to all ranks, for [`Self::told`].
    ///
    /// # Errors
    /// libtorch's.
    pub fn tell(&self, key: &str, bytes: &[u8]) -> Result<(), TchError> {
        let key = text(key)?;
        // SAFETY: the group is live; key and bytes live through the call.
        checked(unsafe {
            translate_group_set(self.0.as_ptr(), key.as_ptr(), bytes.as_ptr().cast(), bytes.len())
        })
    }

    /// What a rank told under `key`, waited for.
    ///
    /// # Errors
    /// libtorch's: nobody told it in time.
    pub fn told(&self, key: &str) -> Result<Vec<u8>, TchError> {
        let key = text(key)?;
        // SAFETY: the group is live and the key lives through the call; `append` takes the context that it is passed with.
        collected(|context| unsafe { translate_group_get(self.0.as_ptr(), key.as_ptr(), append, context) })
    }

    /// The mean of each tensor over all ranks, which give tensors of one kind, of the same shapes in the same order.
    ///
    /// # Errors
    /// libtorch's.
    pub fn mean(&self, tensors: &[Tensor]) -> Result<Vec<Tensor>, TchError> {
        let tensors = pointers(tensors);
        let mut out = vec![std::ptr::null_mut(); tensors.len()];
        // SAFETY: the group and the tensors live through the call; `out` has as many places as there are tensors.
        checked(unsafe {
            translate_group_mean(out.as_mut_ptr(), self.0.as_ptr(), tensors.as_ptr(), tensors.len())
        })?;
        // SAFETY: on success every place holds a new tensor that is ours.
        Ok(out.into_iter().map(|mean| unsafe { Tensor::from_ptr(mean) }).collect())
    }

    /// Puts rank 0's values in place of every rank's.
    ///
    /// # Errors
    /// libtorch's.
    pub fn broadcast(&self, tensors: &[Tensor]) -> Result<(), TchError> {
        let tensors = pointers(tensors);
        // SAFETY: the group and the tensors live through the call, which writes into the tensors' own memory.
        checked(unsafe { translate_group_broadcast(self.0.as_ptr(), tensors.as_ptr(), tensors.len()) })
    }

    /// The ranks' tensors, all of one shape, in the order of the ranks: `[ranks, ...]`.
    ///
    /// # Errors
    /// libtorch's.
    pub fn gather(&self, tensor: &Tensor) -> Result<Tensor, TchError> {
        let mut out = std::ptr::null_mut();
        // SAFETY: the group and the tensor live through the call; on success `out` is a new tensor that is ours.
        checked(unsafe {
            translate_group_gather(&raw mut out, self.0.as_ptr(), tensor.as_ptr().cast_mut())
        })?;
        // SAFETY: as above.
        Ok(unsafe { Tensor::from_ptr(out) })
    }
}

fn text(text: &str) -> Result<CString, TchError> {
    CString::new(text).map_err(|_| TchError::Convert(format!("`{text}` has a zero byte in it")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// What each of `ranks` threads makes of its group, in the order of the ranks.
    fn together<T: Send + 'static>(ranks: u32, work: fn(u32, &Group) -> T) -> Vec<T> {
        // Free at this moment.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let rank = move |rank| work(rank, &Group::join(&Meeting::of_test(port, rank, ranks)).unwrap());
        let threads: Vec<_> = (0..ranks).map(|i| thread::spawn(move || rank(i))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten(0, -1).try_into().unwrap()
    }

    #[test]
    fn means_are_those_of_all_ranks() {
        let found = together(3, |rank, group| {
            let rank = rank as f32;
            let (a, b) = (Tensor::from_slice(&[rank, 3.0]), Tensor::from_slice(&[rank * rank]));
            // Not in the order of its addresses, as gradients may be.
            let turned = Tensor::from_slice(&[0.0f32, 1.0, 2.0, 3.0, 4.0, rank]).reshape([2, 3]).tr();
            let means = group.mean(&[a, b, turned]).unwrap();
            means.iter().map(values).collect::<Vec<_>>().concat()
        });
        let expected = vec![1.0, 3.0, 5.0 / 3.0, 0.0, 3.0, 1.0, 4.0, 2.0, 1.0];
        for found in found {
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        }
    }

    #[test]
    fn tensors_go_round_and_words_too() {
        let found = together(2, |rank, group| {
            let mine = Tensor::from_slice(&[rank as f32, 10.0]);
            let all = group.gather(&mine).unwrap();
            group.broadcast(&[mine.shallow_clone()]).unwrap();
            if rank == 1 {
                group.tell("word", b"from 1").unwrap();
            }
            (values(&all), values(&mine), String::from_utf8(group.told("word").unwrap()).unwrap())
        });
        for (all, mine, word) in found {
            assert_eq!((all, mine), (vec![0.0, 10.0, 1.0, 10.0], vec![0.0, 10.0]));
            assert_eq!(word, "from 1");
        }
    }

    #[test]
    fn a_rank_that_is_gone_is_an_error_for_the_others() {
        let found = together(2, |rank, group| {
            // Both have met before one goes.
            group.mean(&[Tensor::from(1.0f32)]).unwrap();
            (rank == 0).then(|| group.mean(&[Tensor::from(1.0f32)]).unwrap_err().to_string())
        });
        assert!(found[0].as_ref().is_some_and(|error| !error.is_empty()), "{found:?}");
    }
}
