//! The integration tests, in one binary: the numbers against `PyTorch`, and the program from its command line.

#![allow(clippy::unwrap_used, reason = "clippy lets tests unwrap, but not their helpers")]

mod bad_input;
mod bench;
mod cuda_names;
mod drawing;
mod encoders;
mod export;
mod fidelity;
mod fuzz_models;
mod fuzz_recipes;
mod generators;
mod https;
mod import;
mod interrupt;
mod links;
mod metrics;
mod model;
mod networks;
mod objectives;
mod precision;
mod printed;
mod python;
mod ranks;
mod recipe_commands;
mod recipe_files;
mod recipes;
mod replays;
mod resume;
mod runs;
mod sampling;
mod scale;
mod shards;
mod sharing;
mod shipped;
mod step;
mod theory;
mod wrong_recipes;
