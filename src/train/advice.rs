//! What to say where training goes wrong for long: what it means, and what this recipe has not got yet that could help,
//! each with the `--set`s that it takes.

use super::monitor::Failing;
use crate::recipe::{Recipe, Space};

/// What most of the advice needs: it changes what the networks are, which a run keeps.
const ANEW: &str = "Another run takes them: `--run DIR`";

/// The discriminator of `space`, which `domain` names, tells every fake.
pub fn saturated(domain: &str, space: Space, recipe: &Recipe) -> String {
    let mut hints: Vec<String> = wasserstein(recipe).into_iter().collect();
    hints.extend(augment(space, recipe));
    hints.push(slower(recipe));
    let hints = hints.join("; ");
    format!(
        "the Jensen–Shannon divergence of `{domain}` has been at log 2 for long: the discriminator tells every fake, as the \
         fakes and the real images do not overlap, and its gradient says little about where to go\nhint: {hints}. {ANEW}"
    )
}

/// Steps are asked for operator by operator, for this reason.
pub fn no_replays(why: &str) -> String {
    format!(
        "steps cannot be recorded as a CUDA graph, and are slower for it; all else is as it would be ({why})\nhint: `--set \
         train.cuda_graph=false` does not try it"
    )
}

/// What is wrong with the pictures of a generator, which draws `space`.
pub fn failing(kind: Failing, generator: &str, space: Space, recipe: &Recipe) -> String {
    match kind {
        Failing::Collapsed => collapsed(generator, space, recipe),
        Failing::Dropping => dropping(generator, space, recipe),
    }
}

/// It draws few different pictures.
fn collapsed(generator: &str, space: Space, recipe: &Recipe) -> String {
    let mut hints: Vec<String> = augment(space, recipe).into_iter().collect();
    hints.extend(r1(space, recipe));
    hints.extend(wasserstein(recipe));
    hints.extend([larger_batch(recipe), slower(recipe)]);
    let hints = hints.join("; ");
    format!(
        "generator `{generator}` has been drawing few different pictures for long (mode collapse): whatever it is given, it \
         draws what fools the discriminator now\nhint: {hints}. What has collapsed seldom recovers. {ANEW}"
    )
}

/// It leaves a part of the real images out.
fn dropping(generator: &str, space: Space, recipe: &Recipe) -> String {
    let mut hints = vec![larger_batch(recipe)];
    if recipe.discriminators.get(&space).is_some_and(|judge| !judge.spectral_norm) {
        hints.push(format!(
            "a smoother discriminator leaves less out (`--set discriminators.{}.spectral_norm=true`)",
            space.name()
        ));
    }
    if recipe.train.ema == 0.0 {
        hints.push("an average of the generator has what it draws in turn (`--set train.ema=0.999`)".into());
    }
    if recipe.generators.get(generator).is_some_and(|arrow| arrow.from != Space::Z) {
        hints.push("what the sources lack is left out as well: compare the folders".into());
    }
    let hints = hints.join("; ");
    format!(
        "generator `{generator}` has been leaving out a part of the real images for long (mode dropping): what it draws \
         looks real, but much of what is real is never drawn\nhint: {hints}. {ANEW}"
    )
}

fn larger_batch(recipe: &Recipe) -> String {
    format!("a larger batch shows more at a time (`--set train.batch={}`)", 2 * recipe.train.batch)
}

fn slower(recipe: &Recipe) -> String {
    format!("a smaller learning rate (`--set optim.lr={}`)", recipe.optim.lr / 2.0)
}

fn augment(space: Space, recipe: &Recipe) -> Option<String> {
    let judge = recipe.discriminators.get(&space)?;
    let name = space.name();
    judge.augment.is_empty().then(|| {
        format!(
            "with a small folder, let the discriminator see changed images (`--set \
             discriminators.{name}.augment=[color,translation]`)"
        )
    })
}

fn r1(space: Space, recipe: &Recipe) -> Option<String> {
    let judge = recipe.discriminators.get(&space)?;
    let fits = judge.net.is_per_image() && recipe.loss.r1 == 0.0;
    fits.then(|| "hold the discriminator back (`--set loss.r1=1`)".into())
}

/// With a gradient penalty, which is on each image's own slope, so that batch norm has to go; and without a pool, as the
/// distance to fakes of earlier generators says little of this one's.
fn wasserstein(recipe: &Recipe) -> Option<String> {
    if recipe.loss.adversarial.is_wasserstein() {
        return None;
    }
    let judges = recipe.discriminators.iter().filter(|(_, judge)| !judge.net.is_per_image());
    let norms = judges.map(|(space, _)| format!("discriminators.{}.net.norm=none", space.name()));
    let pool = (recipe.loss.pool > 0).then(|| "loss.pool=0".to_string());
    let sets: Vec<String> = ["loss.adversarial.kind=wgan-gp", "train.critic_steps=5"]
        .map(String::from)
        .into_iter()
        .chain(pool)
        .chain(norms)
        .collect();
    Some(format!("take an objective that tells near from far (`--set {}`)", sets.join(" --set ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{PRESETS, resolve};

    /// The `--set`s of each hint, which stand together in backquotes.
    fn sets(text: &str) -> Vec<Vec<String>> {
        let commands = text.split('`').filter(|part| part.starts_with("--set "));
        commands
            .map(|part| part.split("--set ").map(|set| set.trim().to_string()).collect())
            .map(rest)
            .collect()
    }

    fn rest(mut sets: Vec<String>) -> Vec<String> {
        sets.remove(0);
        sets
    }

    #[test]
    fn every_recipe_takes_the_advice_that_it_gets() {
        for preset in PRESETS {
            let recipe = resolve(preset.name, &[]).unwrap();
            for (name, arrow) in &recipe.generators {
                let given = [saturated("d", arrow.to, &recipe), collapsed(name, arrow.to, &recipe)];
                for text in given.into_iter().chain([dropping(name, arrow.to, &recipe)]) {
                    let sets = sets(&text);
                    assert!(!sets.is_empty(), "{text}");
                    for sets in sets {
                        let changed = resolve(preset.name, &sets);
                        assert!(
                            changed.as_ref().is_ok_and(|changed| *changed != recipe),
                            "{sets:?}: {changed:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn each_way_to_fail_is_told_by_its_name() {
        let recipe = resolve("gan-tiny", &[]).unwrap();
        let told = |kind| failing(kind, "z_to_x", Space::X, &recipe);
        let (collapsed, dropping) = (told(Failing::Collapsed), told(Failing::Dropping));
        for text in [&collapsed, &dropping] {
            assert!(text.starts_with("generator `z_to_x` has been ") && text.contains("\nhint: "), "{text}");
        }
        assert!(collapsed.contains("drawing few different pictures for long (mode collapse)"), "{collapsed}");
        assert!(!collapsed.contains("mode dropping"), "{collapsed}");
        let left_out = "leaving out a part of the real images for long (mode dropping)";
        assert!(dropping.contains(left_out) && !dropping.contains("mode collapse"), "{dropping}");
    }

    #[test]
    fn what_a_recipe_has_is_no_advice() {
        let of = |name: &str| resolve(name, &[]).unwrap();
        let x = Space::X;
        assert!(!collapsed("z_to_x", x, &of("wgan-gp-tiny")).contains("kind=wgan-gp"));
        assert!(!collapsed("z_to_x", x, &of("dcgan-tiny")).contains("augment"));
        assert!(!dropping("z_to_x", x, &of("sngan")).contains("spectral_norm"));
        // A penalty on slopes is refused beside batch norm.
        assert!(!collapsed("z_to_x", x, &of("wgan")).contains("r1"));
        assert!(saturated("faces", x, &of("gan-tiny")).contains("--set discriminators.x.net.norm=none"));
        for (name, has_pool) in [("cyclegan", true), ("gan-tiny", false)] {
            let (recipe, text) = (of(name), saturated("d", x, &of(name)));
            assert_eq!(
                (recipe.loss.pool > 0, text.contains("--set loss.pool=0")),
                (has_pool, has_pool),
                "{text}"
            );
        }
        // Noise lacks nothing.
        assert!(!dropping("z_to_x", x, &of("gan-tiny")).contains("sources"));
        assert!(dropping("x_to_y", Space::Y, &of("cyclegan")).contains("sources"));
    }
}
