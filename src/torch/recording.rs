//! The safe side of `recording.cpp`: work of a device that is done once as it is asked for, and then again as a whole.

use std::ffi::{c_char, c_void};
use std::marker::PhantomData;

use tch::{Device, TchError};

use super::shim::checked;
use crate::panics::catch;

unsafe extern "C" {
    fn translate_record_begin(recording: *mut *mut c_void, is_entered: *mut bool, cuda: bool) -> *mut c_char;
    fn translate_record_end(recording: *mut c_void) -> *mut c_char;
    fn translate_record_finish(recording: *mut c_void) -> *mut c_char;
    fn translate_replay(recording: *mut c_void) -> *mut c_char;
    fn translate_record_free(recording: *mut c_void);
}

/// Work that was recorded: every operator with the tensors that it reads and writes, which live as long as this does. On a
/// GPU it is a CUDA graph, which is launched at once; on a CPU a list of libtorch's operators, by which tests see that a work
/// can be recorded.
#[derive(Debug)]
pub struct Recording {
    raw: *mut c_void,
    /// It belongs to its thread.
    thread: PhantomData<*mut c_void>,
}

/// Why work was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It asks for something that cannot be, above all for a value of a tensor, or it failed by itself. A GPU has done nothing,
    /// and can be asked for the work as before; a CPU has done what came before.
    #[error(transparent)]
    Refused(TchError),
    /// The recording could not be brought to its end, and the GPU is of no use to this process any more.
    #[error(transparent)]
    Broken(TchError),
}

impl Recording {
    /// Does `work` on this thread, once, and records what it asks of `device`. On a GPU the thread must have a
    /// [stream of its own](super::own_stream), and whatever is done for the first time only (choosing algorithms) has to be done
    /// before.
    ///
    /// # Errors
    /// See [`RecordError`]; panics of `work`, as plain tch calls have them where libtorch fails, are among them.
    pub fn of<T>(
        device: Device,
        work: impl FnOnce() -> Result<T, TchError>,
    ) -> Result<(Self, T), RecordError> {
        let mut raw = std::ptr::null_mut();
        let mut is_entered = false;
        // SAFETY: on success `raw` is a recording that is ours.
        let begun =
            checked(unsafe { translate_record_begin(&raw mut raw, &raw mut is_entered, device.is_cuda()) });
        begun.map_err(if is_entered { RecordError::Broken } else { RecordError::Refused })?;
        let recording = Self { raw, thread: PhantomData };
        let done = catch(work).map_err(TchError::Torch).flatten();
        // SAFETY: `raw` was begun on this thread and has not been ended.
        let ended = checked(unsafe { translate_record_end(recording.raw) });
        let done = match (done, ended) {
            (Ok(done), Ok(())) => done,
            (Err(error), Ok(())) => return Err(RecordError::Refused(error)),
            // The work's own failure says more than that the recording is no good for it.
            (Err(error), Err(_)) | (Ok(_), Err(error)) => return Err(RecordError::Broken(error)),
        };
        // SAFETY: `raw` has ended.
        checked(unsafe { translate_record_finish(recording.raw) }).map_err(RecordError::Broken)?;
        Ok((recording, done))
    }

    /// Does the work again, on what its tensors hold now.
    ///
    /// # Errors
    /// libtorch's.
    pub fn replay(&self) -> Result<(), TchError> {
        // SAFETY: `raw` is a recording that has ended.
        checked(unsafe { translate_replay(self.raw) })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // SAFETY: `raw` is ours.
        unsafe { translate_record_free(self.raw) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten(0, -1).try_into().unwrap()
    }

    #[test]
    fn a_replay_is_the_work_on_what_its_tensors_hold_now() {
        let mut xs = Tensor::from_slice(&[1.0f32, 2.0]);
        let mut sum = Tensor::zeros([2], (Kind::Float, Device::Cpu));
        let work = || {
            let doubled = &xs * 2.0;
            // A look at a tensor, something in place, and several results at once.
            let parts = Tensor::cat(&[doubled.view([1, 2]), xs.view([1, 2])], 0).unbind(0);
            let _ = sum.f_add_(&parts[0])?;
            Ok(&sum + &parts[1])
        };
        let (recording, out) = Recording::of(Device::Cpu, work).unwrap();
        assert_eq!(values(&out), [3.0, 6.0]);
        xs.copy_(&Tensor::from_slice(&[10.0f32, 20.0]));
        recording.replay().unwrap();
        assert_eq!((values(&sum), values(&out)), (vec![22.0, 44.0], vec![32.0, 64.0]));
        recording.replay().unwrap();
        assert_eq!(values(&out), [52.0, 104.0]);
    }

    #[test]
    fn gradients_are_recorded_too() {
        let weight = Tensor::from_slice(&[3.0f32]).set_requires_grad(true);
        let mut xs = Tensor::from_slice(&[2.0f32]);
        let slope = || {
            Ok(Tensor::f_run_backward(
                &[(&weight * &xs).square().sum(Kind::Float)],
                &[&weight],
                false,
                false,
            )?
            .remove(0))
        };
        let (recording, slope) = Recording::of(Device::Cpu, slope).unwrap();
        assert_eq!(values(&slope), [24.0]);
        xs.copy_(&Tensor::from_slice(&[5.0f32]));
        recording.replay().unwrap();
        assert_eq!(values(&slope), [150.0]);
    }

    #[test]
    fn what_the_host_brings_in_or_reads_is_not_in_a_recording() {
        let (recording, out) =
            Recording::of(Device::Cpu, || Ok(Tensor::from_slice(&[7.0f32]) * 1.0)).unwrap();
        assert_eq!(values(&out), [7.0]);
        recording.replay().unwrap();
        assert_ne!(
            values(&out),
            [7.0],
            "as on a GPU, whose copies from the host's memory are of the first time"
        );
        let read = Recording::of(Device::Cpu, || {
            Ok(Tensor::ones([1], (Kind::Float, Device::Cpu)).double_value(&[0]))
        });
        assert!(read.unwrap_err().to_string().contains("cannot be recorded"));
        // It has ended with that.
        let (_, one) =
            Recording::of(Device::Cpu, || Ok(Tensor::ones([1], (Kind::Float, Device::Cpu)))).unwrap();
        assert_eq!(values(&one), [1.0]);
        assert!(Recording::of(Device::Cpu, || -> Result<(), TchError> { panic!("stopped") }).is_err());
        assert_eq!(values(&one), [1.0]);
    }
}
