//! What a run that goes on must have in common with what it was, and what is told where it differs.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use tch::Device;

use super::checkpoint;
use super::plan::Checkpoint;
use super::problems::PlanError;
use super::run::Existing;
use super::sides::Opened;
use super::warning::Warning;
use crate::data::condition::{Conditioned, known};
use crate::data::dataset::Dataset;
use crate::model::Domains;
use crate::recipe::{Recipe, RecipeError, Space, diff};
use crate::torch::store::StoreError;

/// Sections and fields that decide the shapes of saved tensors, or how many images a saved step stands for.
const FIXED_FIELDS: &[&str] =
    &["conditions.", "generators.", "discriminators.", "data.size", "loss.pool", "train.batch"];

/// What differs in the recipe.
///
/// # Errors
/// The domains are others, or the networks.
pub(super) fn check_same_run(
    root: &Path,
    existing: &Existing,
    recipe: &Recipe,
    domains: &Domains,
) -> Result<Vec<Warning>, PlanError> {
    if existing.info.domains != *domains {
        let text = |domains: &Domains| domains.values().cloned().collect::<Vec<_>>().join(",");
        let (before, after) = (text(&existing.info.domains), text(domains));
        return Err(PlanError::OtherDomains { path: root.into(), before, after });
    }
    let differences = diff(&existing.recipe, recipe).map_err(|source| RecipeError::Yaml {
        name: root.join("recipe.yaml").display().to_string(),
        source,
    })?;
    let mut warnings = Vec::new();
    for difference in differences {
        let (field, before, after) = (difference.field, difference.before, difference.after);
        if FIXED_FIELDS.iter().any(|fixed| field.starts_with(fixed)) {
            return Err(PlanError::Changed { path: root.into(), field, before, after });
        }
        warnings.push(Warning::RecipeChanged { field, before, after });
    }
    Ok(warnings)
}

/// What differs in the data. `named` tells whether the run was asked for by name.
///
/// # Errors
/// The conditions are others, or all the images of a run that was found by its folders' names alone.
pub(super) fn check_same_data(
    root: &Path,
    existing: &Existing,
    domains: &Domains,
    (sides, conditioned): &Opened,
    named: bool,
) -> Result<Vec<Warning>, PlanError> {
    if existing.info.conditions != known(conditioned) {
        return Err(PlanError::OtherConditions { path: root.into() });
    }
    let changed = changed_domains(existing, domains, sides, conditioned);
    if changed.len() == domains.len() && !named {
        return Err(PlanError::OtherImages { path: root.into() });
    }
    Ok(changed)
}

/// The domains whose files or conditions are not those of the run's last start.
fn changed_domains(
    existing: &Existing,
    domains: &Domains,
    sides: &[Arc<Dataset>],
    conditioned: &IndexMap<Space, Conditioned>,
) -> Vec<Warning> {
    let is_changed = |((space, name), side): &((&Space, &String), &Arc<Dataset>)| {
        let now = fingerprint(side, conditioned.get(*space));
        existing.info.data.get(*name).is_some_and(|before| before.fingerprint != now)
    };
    let warning = |((space, name), _): ((&Space, &String), _)| Warning::DataChanged {
        domain: name.clone(),
        is_conditioned: conditioned.contains_key(space),
    };
    domains.iter().zip(sides).filter(is_changed).map(warning).collect()
}

/// Sums over another number of threads round differently.
pub(super) fn changed_threads(existing: &Existing, device: Device) -> Option<Warning> {
    let (before, after) = (existing.info.threads, i64::from(tch::get_num_threads()));
    (device == Device::Cpu && before != after).then_some(Warning::ThreadsChanged { before, after })
}

/// So do sums over another number of ranks, wherever their networks run.
pub(super) fn changed_ranks(existing: &Existing, after: u32) -> Option<Warning> {
    let before = existing.info.ranks;
    (before != after).then_some(Warning::RanksChanged { before, after })
}

/// Of the images, and of their conditions where they have some.
pub(super) fn fingerprint(side: &Dataset, conditioned: Option<&Conditioned>) -> String {
    let conditions = conditioned.map_or_else(String::new, |side| format!("-{}", side.fingerprint()));
    side.fingerprint() + &conditions
}

/// The state to go on from.
///
/// # Errors
/// It cannot be read.
pub(super) fn newest_checkpoint(root: &Path) -> Result<Option<Checkpoint>, StoreError> {
    let newest = checkpoint::newest(&root.join("checkpoints"))?;
    Ok(newest.map(|(images, stored)| {
        let seconds = stored.metadata.get("seconds").and_then(|text| text.parse().ok()).unwrap_or(0.0);
        Checkpoint { images, tensors: stored.tensors, seconds }
    }))
}
