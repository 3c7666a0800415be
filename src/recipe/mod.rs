//! Recipes: what is trained, as a small graph in YAML that people share. This room reads them (`resolve`, which words
//! mistakes by `wording`), defines their fields (`schema`, and `graph` for its graph), checks ranges and combinations
//! (`validate`), and holds the shipped ones (`presets`).
//!
//! A recipe names no path, so the same file trains on anybody's folders.

mod aliases;
mod check;
mod diff;
mod file;
mod graph;
mod held;
mod json_schema;
mod judge;
mod link;
mod mend;
mod origin;
mod parents;
mod parse;
mod presets;
mod problem;
#[cfg(test)]
mod properties;
mod rename;
mod resolve;
mod rules;
mod schema;
mod starter;
mod tree;
mod validate;
mod version;
mod wording;

pub use diff::{Difference, diff};
pub use file::{is_yaml, read_file};
pub use graph::{Arrow, Condition, Discriminator, DiscriminatorNet, GeneratorNet, Space};
pub use held::{FILE_NAME, KEY};
pub use json_schema::for_editors;
pub use link::LinkError;
pub use origin::{Valued, origins};
pub use parents::Origin;
pub use presets::{PRESETS, Preset};
pub use problem::{Problem, Problems};
pub use rename::{Upgraded, upgrade};
pub use resolve::{RecipeError, Resolved, from_yaml, from_yaml_fully, resolve, resolve_fully, to_yaml};
pub use rules::Invalid;
pub use schema::{
    Arithmetic, Checkpoint, Data, Log, Loss, MemoryFormat, Model, Monitor, Optim, Precision, Recipe, Sample,
    Train,
};
pub use starter::{SCHEMA_FILE, starter};
pub use wording::did_you_mean;
