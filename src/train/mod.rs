//! Training: the step, the loop around it, and all that a run leaves behind.
//!
//! Read `step` first; it is the paper. `trainer` is the loop, `state` what has to be saved to go on bit for bit, and
//! `run` the folder, and `record` what is written there. `replay` has a GPU do a step as a whole, and `ranks` are the processes that train together.

pub mod adam;
pub mod advice;
pub mod checkpoint;
pub mod draw;
pub mod ema;
mod joined;
pub mod launch;
pub mod metrics;
pub mod monitor;
pub mod orders;
pub mod pace;
pub mod plan;
pub mod pool;
pub mod problems;
pub mod ranks;
pub mod record;
pub mod replay;
mod resume;
pub mod run;
pub mod samples;
pub mod saturation;
pub mod schedule;
mod sides;
pub mod signals;
pub mod state;
pub mod step;
pub mod step_input;
pub mod stopwatch;
mod terms;
pub mod trainer;
pub mod warning;
pub mod watch;
