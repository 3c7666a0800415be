//! How several ranks come to one plan: the first one makes it, as a process alone would, and tells the others what to train.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::plan::{Plan, Request};
use super::problems::PlanError;
use super::ranks::Ranks;
use super::run::DataInfo;
use crate::model::Domains;
use crate::recipe::{from_yaml, to_yaml};

/// What the first rank tells the others.
#[derive(Debug, Serialize, Deserialize)]
enum Orders {
    /// Train this.
    Train {
        /// The resolved recipe.
        recipe: String,
        /// Domain names by space.
        domains: Domains,
        /// What the first rank's folders hold, by domain.
        data: IndexMap<String, DataInfo>,
    },
    /// The run is finished.
    Finished,
    /// The first rank says why.
    Refused,
}

/// The plan of all ranks; `read` is called after each image. The first rank's warnings are the only ones.
///
/// # Errors
/// Whatever keeps training from beginning.
pub fn plan(request: &Request, ranks: &Ranks, read: &(dyn Fn() + Sync)) -> Result<Plan, PlanError> {
    if ranks.is_first() {
        let plan = Plan::new(request, read).and_then(|plan| divided(plan, ranks));
        let orders = match &plan {
            Ok(plan) => Orders::Train {
                recipe: yaml(plan)?,
                domains: plan.domains.clone(),
                data: plan.info(Vec::new()).data,
            },
            Err(PlanError::Finished { .. }) => Orders::Finished,
            Err(_) => Orders::Refused,
        };
        ranks.hear_first("orders", &serde_json::to_vec(&orders).unwrap_or_default())?;
        return plan;
    }
    match serde_json::from_slice(&ranks.hear_first("orders", &[])?) {
        Ok(Orders::Train { recipe, domains, data }) => {
            let recipe = from_yaml("the first rank's recipe", &recipe, &[])?;
            let plan = Plan::following(request, recipe, domains, read)?;
            let info = plan.info(Vec::new());
            match info.data.iter().find(|(domain, found)| data.get(*domain) != Some(found)) {
                Some((domain, _)) => {
                    Err(PlanError::RankData { domain: domain.clone(), rank: ranks.share().rank })
                }
                None => Ok(plan),
            }
        }
        Ok(Orders::Finished) => {
            Err(PlanError::Finished { path: request.run.clone().unwrap_or_default(), images: 0 })
        }
        Ok(Orders::Refused) | Err(_) => Err(PlanError::FirstRank),
    }
}

fn divided(plan: Plan, ranks: &Ranks) -> Result<Plan, PlanError> {
    let (train, ranks) = (&plan.recipe.train, ranks.share().ranks);
    let (batch, accumulate) = (train.batch, train.accumulate);
    if batch.is_multiple_of(ranks as usize * accumulate) {
        return Ok(plan);
    }
    Err(PlanError::Batch { batch, ranks, accumulate })
}

fn yaml(plan: &Plan) -> Result<String, PlanError> {
    let name = plan.root.join("recipe.yaml").display().to_string();
    to_yaml(&plan.recipe).map_err(|source| crate::recipe::RecipeError::Yaml { name, source }.into())
}
