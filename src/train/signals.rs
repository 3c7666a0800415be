//! Ctrl-C and SIGTERM: the first asks for the step in hand to be finished and saved, a second Ctrl-C ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Which signal has come, if any.
#[derive(Debug, Clone)]
pub struct Signals {
    received: Arc<AtomicUsize>,
    any: Arc<AtomicBool>,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// The operating system refuses.
    pub fn listen() -> std::io::Result<Self> {
        let signals = Self { received: Arc::default(), any: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the second signal finds the flag that the first one set, and whoever sees the flag
            // finds which signal it was.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&signals.any))?;
            flag::register_usize(signal, Arc::clone(&signals.received), signal as usize)?;
            flag::register(signal, Arc::clone(&signals.any))?;
        }
        Ok(signals)
    }

    /// The exit status to end with (130 for Ctrl-C, 143 for SIGTERM) once a signal has come.
    pub fn exit_status(&self) -> Option<u8> {
        match self.received.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(128 + signal as u8),
        }
    }

    /// Set once any signal has come.
    pub fn flag(&self) -> &AtomicBool {
        &self.any
    }
}
