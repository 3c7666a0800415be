//! What the C allocator does with the memory that libtorch frees on a CPU.

/// Makes the C allocator keep freed memory for the next request instead of handing it back to the system. To be called
/// once, before the work.
///
/// A training step frees hundreds of megabytes and the next one asks for the same again. By default glibc gives blocks of
/// some megabytes back at once, so that every page of them has to be faulted in and zeroed anew at each step. The price
/// is that the process stays as large as its largest moment. Elsewhere than with glibc, and for CUDA's memory, which
/// libtorch keeps by itself, this does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const STEP: libc::c_int = 64 << 20;
        // SAFETY: mallopt takes two numbers and may be called at any time; where it refuses one, the default stays.
        unsafe {
            libc::mallopt(libc::M_MMAP_MAX, 0);
            // -1 is never.
            libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
            libc::mallopt(libc::M_TOP_PAD, STEP);
        }
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Pages that the system had to give this process so far.
    fn faults() -> i64 {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: getrusage fills the struct, which is plain numbers.
        unsafe {
            libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
            usage.assume_init().ru_minflt
        }
    }

    /// Faults of taking, touching and freeing 48 MiB: the fewest of ten rounds, as a test beside this one may take the
    /// memory in between.
    fn fewest_faults() -> i64 {
        let round = || {
            let before = faults();
            drop(std::hint::black_box(vec![1u8; 48 << 20]));
            faults() - before
        };
        (0..10).map(|_| round()).fold(i64::MAX, i64::min)
    }

    #[test]
    fn memory_that_was_freed_does_not_fault_in_again() {
        let pages = (48 << 20) / 4096;
        keep_freed_memory();
        let anew = fewest_faults();
        assert!(anew < pages / 10, "{anew} of {pages} pages came anew");
    }
}
