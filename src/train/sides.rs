//! The data sets of a plan, with their pairs and conditions, and what is odd about them.

use std::sync::Arc;

use indexmap::IndexMap;

use super::problems::PlanError;
use super::warning::Warning;
use crate::data::condition::{Conditioned, Known, Reading};
use crate::data::dataset::{CacheBudget, Dataset, Half, LoadOptions};
use crate::data::pairs::Pairs;
use crate::data::scan::{ImageFolder, Skipped};
use crate::model::Domains;
use crate::recipe::{Recipe, Space};
use crate::words::quoted;

/// The pairs of two sides; what has no partner is told of.
///
/// # Errors
/// There are none.
pub(super) fn find_pairs(
    datasets: &[Arc<Dataset>],
    warnings: &mut Vec<Warning>,
) -> Result<Arc<Pairs>, PlanError> {
    let (x, y) = (&datasets[0], &datasets[datasets.len() - 1]);
    let (pairs, alone) = Pairs::find(x, y);
    if pairs.is_empty() {
        return Err(PlanError::NoPairs { x: x.root().into(), y: y.root().into() });
    }
    warnings.extend(alone.into_iter().map(Warning::LeftOut));
    Ok(Arc::new(pairs))
}

/// The data sets, and the conditions of those that have some.
pub(super) type Opened = (Vec<Arc<Dataset>>, IndexMap<Space, Conditioned>);

/// Opens them, and tells what is odd about them.
///
/// # Errors
/// The folders'.
pub(super) fn open_sides(
    cache: u64,
    recipe: &Recipe,
    folders: Vec<ImageFolder>,
    domains: &Domains,
    read: &(dyn Fn() + Sync),
) -> Result<(Opened, Vec<Warning>), PlanError> {
    let data = &recipe.data;
    let sources: Vec<(ImageFolder, Option<Half>)> = match &folders[..] {
        [both] if domains.len() == 2 => {
            [Half::Left, Half::Right].map(|half| (both.clone(), Some(half))).to_vec()
        }
        _ => folders.into_iter().map(|folder| (folder, None)).collect(),
    };
    let budget = CacheBudget::new(cache);
    let (mut sides, mut conditioned, mut warnings) = (Vec::new(), IndexMap::new(), Vec::new());
    for ((mut folder, half), (space, domain)) in sources.into_iter().zip(domains) {
        let options = LoadOptions { load_size: data.load_size, resize: data.resize, half };
        warnings.extend(skipped(&folder.warnings));
        let mut left_out = Vec::new();
        let condition = recipe.conditions.get(space);
        let reading =
            condition.map(|condition| Reading::new(condition, &mut folder, &mut left_out)).transpose()?;
        let side = Dataset::open(folder, options, &budget, read)?;
        if let Some(reading) = reading {
            let of = reading.of(&side);
            warnings.extend(small_classes(&of, domain));
            conditioned.insert(*space, of);
        }
        warnings.extend(left_out.into_iter().map(Warning::LeftOut));
        warnings.extend(odd_images(&side, half, domain, data.size));
        sides.push(Arc::new(side));
    }
    Ok(((sides, conditioned), warnings))
}

fn skipped(files: &[Skipped]) -> impl Iterator<Item = Warning> {
    files.iter().map(|file| Warning::Skipped { path: file.path.clone(), reason: file.reason.clone() })
}

/// What is odd about the images of a side, of which crops of `size` are taken.
fn odd_images(side: &Dataset, half: Option<Half>, domain: &str, size: u32) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = skipped(side.skipped()).collect();
    let (domain, of) = (domain.to_string(), side.len());
    let upright = side.upright();
    if half == Some(Half::Left) && 2 * upright > of {
        warnings.push(Warning::UprightHalves { root: side.root().into(), count: upright, of });
    }
    if of == 1 {
        warnings.push(Warning::OneImage { domain: domain.clone() });
    }
    let count = side.smaller_than(size);
    if count > 0 {
        warnings.push(Warning::Small { domain, count, of, size });
    }
    warnings
}

/// Classes of which there is one readable image or none.
fn small_classes(side: &Conditioned, domain: &str) -> Option<Warning> {
    let Known::Classes(names) = &side.known else { return None };
    let count = |label: usize| side.of.iter().filter(|of| of[0][0] == label as i64).count();
    let small: Vec<&String> =
        names.iter().enumerate().filter(|(i, _)| count(*i) < 2).map(|(_, name)| name).collect();
    let classes = quoted(&small, ", ");
    (!small.is_empty()).then(|| Warning::SmallClasses { domain: domain.into(), classes })
}
