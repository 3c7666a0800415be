//! Recipes: what is trained, as a small graph in YAML that people share. This room reads them (`resolve`, which words
//! mistakes by `wording`), defines their fields (`schema`, and `graph` for its graph), checks ranges and combinations
//! (`validate`), and holds the shipped ones (`presets`).
//!
//! A recipe names no path, so the same file trains on anybody's folders.

mod diff;
mod graph;
mod presets;
mod resolve;
mod schema;
mod validate;
mod wording;

pub use diff::{Difference, diff};
pub use graph::{Arrow, Condition, Discriminator, DiscriminatorNet, GeneratorNet, Space};
pub use presets::{PRESETS, Preset};
pub use resolve::{RecipeError, did_you_mean, from_yaml, load, resolve, to_yaml};
pub use schema::{Checkpoint, Data, Log, Loss, Model, Monitor, Optim, Precision, Recipe, Sample, Train};
