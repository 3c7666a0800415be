//! The ranges of a recipe's fields and the rules between them.

use std::fmt::Display;

use super::graph::{Arrow, Condition, Discriminator, DiscriminatorNet, GeneratorNet, Space};
use super::rules::{Given, Invalid, Rules};
use super::schema::{Checkpoint, Data, FORMAT, Log, Monitor, Optim, Recipe, Sample};
use crate::nets::{WIDTHS, dcgan, mobile_resnet, patch, pixel, residual};

/// More than any memory holds with a network's activations; a batch of bytes of this size still fits.
const MAX_BATCH_PIXELS: u64 = 1 << 28;

/// Most images in a comparison with real ones: its memory grows with their square.
const MAX_MONITORED: usize = 4096;

/// Most images of each side in a sample grid; of pictures from noise it draws the square of this.
const MAX_SAMPLES: i64 = 64;

/// The largest side of a crop.
const LARGEST: u32 = 4096;

/// The largest side that images are resized to.
const LARGEST_LOADED: u32 = 8192;

/// Where the arrows begin and end.
const ENDS: [&str; 2] = ["generators.*.from", "generators.*.to"];

/// All networks.
const NETS: [&str; 2] = ["generators.*.net", "discriminators.*.net"];

impl Recipe {
    /// Checks ranges and combinations: every field that does not fit, with its value and what was expected.
    pub fn validate(&self) -> Vec<Invalid> {
        let mut rules = Rules::default();
        rules.check(self.format == FORMAT, "format", &self.format, "1, the format that this version reads");
        self.validate_graph(&mut rules);
        // Sizes follow from networks, which have to be in their ranges for that.
        let is_of_net = |field: &str| field.split('.').nth(2) == Some("net");
        if !rules.broken.iter().any(|rule| is_of_net(&rule.field)) {
            self.validate_size_of_nets(&mut rules);
        }
        self.validate_data(&mut rules);
        self.validate_penalties(&mut rules);
        self.validate_pairs(&mut rules);
        self.validate_conditions(&mut rules);
        self.validate_training(&mut rules);
        self.validate_records(&mut rules);
        // Some YAML readers and writers take them for the ends of lines, and some for letters.
        let odd = self.about.chars().find(|c| matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}'));
        let shown = odd.map_or_else(String::new, |c| format!("…U+{:04X}…", u32::from(c)));
        rules.check(odd.is_none(), "about", &shown, "a text without this rare line break");
        rules.broken
    }

    fn validate_training(&self, rules: &mut Rules) {
        let loss = &self.loss;
        let has_cycles = self.opposite_arrows().next().is_some();
        rules.weight("loss.cycle", loss.cycle, if has_cycles { 10.0 } else { 0.0 });
        rules.weight("loss.identity", loss.identity, 0.0);
        let cycles = loss.cycle == 0.0 || has_cycles;
        let expected = "0, since no two generators are opposite";
        let also: &[(&str, &dyn Display)] = if loss.identity == 0.0 { &[] } else { &[("loss.identity", &0)] };
        rules.given(&ENDS).ranges(cycles, "loss.cycle", &loss.cycle, expected, &0, also);
        let identity = loss.identity == 0.0 || loss.cycle != 0.0;
        let expected = "0 where `loss.cycle` is 0, of which it is a fraction";
        rules.given(&["loss.cycle"]).range(identity, "loss.identity", &loss.identity, expected, &0);
        let optim = &self.optim;
        let lr = optim.lr > 0.0 && optim.lr <= 1.0;
        let usual = Optim::default();
        rules.range(lr, "optim.lr", &optim.lr, "a number above 0, at most 1", &usual.lr);
        let betas = format!("{:?}", usual.betas);
        for beta in optim.betas {
            let ok = (0.0..1.0).contains(&beta);
            rules.range(ok, "optim.betas", &beta, "two numbers from 0 to below 1", &betas);
        }
        let train = &self.train;
        rules.range(train.images > 0, "train.images", &train.images, "at least 1", &100_000);
        // Of a size that leaves no batch it is the size that has to change.
        let most = (MAX_BATCH_PIXELS / u64::from(self.data.size.max(1)).pow(2)).max(1);
        let expected = format!("1 to {most} at `data.size` {}", self.data.size);
        let batch = train.batch as u64;
        rules.range(batch > 0, "train.batch", &batch, "at least 1", &1);
        rules.given(&["data.size"]).range(batch <= most, "train.batch", &batch, &expected, &most);
        let (accumulate, expected) =
            (train.accumulate, format!("a number that divides `train.batch`, {batch}"));
        rules.range(accumulate > 0, "train.accumulate", &accumulate, "at least 1", &1);
        let divides = accumulate > 0 && train.batch.is_multiple_of(accumulate);
        rules.given(&["train.batch"]).range(divides, "train.accumulate", &accumulate, &expected, &1);
        let part = (0.0..=1.0).contains(&train.decay_after);
        rules.range(part, "train.decay_after", &train.decay_after, "0 to 1", &0.5);
        let can_recompute = self.generators.values().any(|arrow| arrow.net.can_recompute());
        rules.given(&["generators.*.net"]).range(
            can_recompute || !train.activation_checkpointing,
            "train.activation_checkpointing",
            &true,
            "a generator of kind `resnet` without dropout and batch norm, or of kind `mobile-resnet`, whose blocks it is for",
            &false,
        );
        rules.range(train.critic_steps > 0, "train.critic_steps", &train.critic_steps, "at least 1", &1);
        rules.range(train.decay_stairs > 0, "train.decay_stairs", &train.decay_stairs, "at least 1", &100);
        let ema = (0.0..1.0).contains(&train.ema);
        rules.range(ema, "train.ema", &train.ema, "a number from 0 to below 1", &0.999);
    }

    fn validate_records(&self, rules: &mut Rules) {
        let usual =
            (Checkpoint::default(), Log::default().every, Sample::default().every, Monitor::default());
        for (field, every, usual) in [
            ("checkpoint.every", self.checkpoint.every, usual.0.every),
            ("log.every", self.log.every, usual.1),
            ("sample.every", self.sample.every, usual.2),
            ("monitor.every", self.monitor.every, usual.3.every),
        ] {
            rules.range(every > 0, field, &every, "at least 1 image", &usual);
        }
        let keep = self.checkpoint.keep;
        rules.range(keep > 0, "checkpoint.keep", &keep, "at least 1", &usual.0.keep);
        rules.whole("sample.count", self.sample.count as i64, 1..=MAX_SAMPLES);
        let (count, expected) = (self.monitor.count, format!("0 to {MAX_MONITORED}"));
        rules.range(count <= MAX_MONITORED, "monitor.count", &count, &expected, &usual.3.count);
    }

    fn validate_penalties(&self, rules: &mut Rules) {
        let (loss, above) = (&self.loss, "a finite number above 0");
        let (clip, penalty) = (loss.adversarial.clip(), loss.adversarial.penalty());
        for (field, value, usual) in
            [("loss.adversarial.clip", clip, 0.01), ("loss.adversarial.penalty", penalty, 10.0)]
        {
            let value = value.unwrap_or(usual);
            rules.range(value > 0.0 && value.is_finite(), field, &value, above, &usual);
        }
        rules.weight("loss.r1", loss.r1, 0.0);
        let penalised = loss.r1 > 0.0 || penalty.is_some();
        for (space, discriminator) in self.discriminators.iter().filter(|_| penalised) {
            let field = format!("discriminators.{}.net.norm", space.name());
            let expected = "`instance` or `none`: the penalty is on each image's own slope";
            let per_image = discriminator.net.is_per_image();
            let given = ["loss.r1", "loss.adversarial", &format!("discriminators.{}.net.kind", space.name())];
            rules.given(&given).range(per_image, &field, &"batch", expected, &"instance");
        }
    }

    fn validate_graph(&self, rules: &mut Rules) {
        rules.state(!self.generators.is_empty(), "generators", "empty", "at least one generator");
        for (index, (name, arrow)) in self.generators.iter().enumerate() {
            let field = format!("generators.{name}");
            let is_twin = |(_, other): &(&String, &Arrow)| (other.from, other.to) == (arrow.from, arrow.to);
            if let Some((twin, _)) = self.generators.iter().take(index).find(is_twin) {
                let state = format!("from `{}` to `{}` as `{twin}` is", arrow.from.name(), arrow.to.name());
                let expected = "one generator a way, as `--to` tells them apart by what they write";
                let hint =
                    format!("take one of them out; what is to differ in `{twin}` is written under that name");
                rules.given(&ENDS).refuse(&field, &state, expected, hint);
            }
            let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            rules.check(plain, &field, name, "a name of letters, digits and `_`");
            let to = format!("{field}.to");
            rules.check(arrow.to != Space::Z, &to, &"z", "`x` or `y`, a space of images");
            let from = format!("{field}.from");
            let moves = arrow.from != arrow.to;
            rules.given(&[&from]).check(moves, &to, &arrow.to.name(), "another space than `from`");
            self.validate_source(&field, arrow, rules);
            let judged = self.discriminators.contains_key(&arrow.to);
            let without = format!("without `{}`", arrow.to.name());
            let expected = "one for each space that a generator writes";
            rules.given(&[&to]).state(judged, "discriminators", &without, expected);
            arrow.net.validate(&field, rules);
        }
        for (space, discriminator) in &self.discriminators {
            let field = format!("discriminators.{}", space.name());
            let used = self.generators.values().any(|arrow| arrow.to == *space);
            rules.given(&ENDS).state(used, &field, "of no use", "a space that a generator writes");
            discriminator.validate(&field, rules);
        }
    }

    /// Noise is read by the networks that are made for it, and all of them read the same.
    fn validate_source(&self, field: &str, arrow: &Arrow, rules: &mut Rules) {
        let (from, kind) = (format!("{field}.from"), format!("{field}.net.kind"));
        let Some(noise) = arrow.net.noise() else {
            let expected = "`x` or `y`: a network from images; from noise draw `dcgan` and `residual`";
            let reads = arrow.from != Space::Z;
            return rules.given(&[&kind]).check(reads, &from, &"z", expected);
        };
        let expected = "`z`: the network draws from noise";
        rules.given(&[&kind]).range(arrow.from == Space::Z, &from, &arrow.from.name(), expected, &"z");
        let all = self.noise().unwrap_or(noise);
        let (own, expected) = (format!("{field}.net.noise"), format!("{all}, as the other generators'"));
        rules.given(&["generators.*.net"]).range(noise == all, &own, &noise, &expected, &all);
    }

    /// Terms and discriminators that want pairs.
    fn validate_pairs(&self, rules: &mut Rules) {
        let (paired, weight) = (self.data.paired, self.loss.paired);
        let both = self.spaces().len() == 2;
        let expected = "`false`: there is one space of images only";
        let also: &[(&str, &dyn Display)] = if weight == 0.0 { &[] } else { &[("loss.paired", &0)] };
        rules.given(&ENDS).ranges(!paired || both, "data.paired", &paired, expected, &false, also);
        rules.weight("loss.paired", weight, 0.0);
        let (fits, expected) = (weight == 0.0 || paired, "0 where `data.paired` is not `true`");
        rules.given(&["data.paired"]).range(fits, "loss.paired", &weight, expected, &0);
        for (space, discriminator) in self.discriminators.iter().filter(|(_, judge)| judge.sees_source) {
            let field = format!("discriminators.{}.sees_source", space.name());
            let expected = "`false` where `data.paired` is not `true`";
            rules.given(&["data.paired"]).range(paired, &field, &true, expected, &false);
            let sources: Vec<Space> =
                self.generators.values().filter(|arrow| arrow.to == *space).map(|arrow| arrow.from).collect();
            let one = matches!(sources[..], [source] if source != Space::Z);
            let (sees, expected) =
                (discriminator.sees_source, "`false`: not one translation alone lands there");
            rules.given(&ENDS).range(one, &field, &sees, expected, &false);
        }
    }

    /// Conditions go to networks that can take them: from noise, and to whole images.
    fn validate_conditions(&self, rules: &mut Rules) {
        for (space, condition) in &self.conditions {
            let (field, name) = (format!("conditions.{}", space.name()), space.name());
            let Some(judge) = self.discriminators.get(space) else {
                let expected = "a space that a generator writes";
                rules.given(&["discriminators"]).state(false, &field, "of no use", expected);
                continue;
            };
            let whole = judge.net.judges_whole();
            let expected = "`dcgan` or `residual`: only discriminators of whole images take a condition";
            let kind = format!("discriminators.{name}.net.kind");
            rules.given(&[&field]).check(whole, &kind, &judge.net.kind(), expected);
            for (generator, arrow) in self.generators.iter().filter(|(_, arrow)| arrow.to == *space) {
                let expected = format!("`z`: `{field}` is for what is drawn from noise");
                let from = format!("generators.{generator}.from");
                let given = [field.as_str(), &format!("generators.{generator}.to")];
                rules.given(&given).check(arrow.from == Space::Z, &from, &arrow.from.name(), &expected);
            }
            let (pool, expected) = (self.loss.pool, "0: older fakes would be shown with new conditions");
            rules.given(&[&field]).range(pool == 0, "loss.pool", &pool, expected, &0);
            match condition {
                Condition::Label { width, .. } => {
                    rules.whole(&format!("{field}.width"), *width, WIDTHS);
                }
                Condition::Text { encoder, .. } => {
                    if let Some((part, value, expected)) = encoder.problem() {
                        rules.check(false, &format!("{field}.encoder.{part}"), &value, &expected);
                    }
                }
            }
        }
    }

    /// The sizes that the networks take.
    fn validate_size_of_nets(&self, rules: &mut Rules) {
        let data = &self.data;
        let mut rules = rules.given(&NETS);
        // First, as it says more than a stride of 1 does.
        let whole = self.generators.values().any(|arrow| arrow.net.noise().is_some())
            || self.discriminators.values().any(|judge| judge.net.judges_whole());
        let power = data.size.is_power_of_two() && dcgan::SIZES.contains(&data.size);
        let expected = "16, 32, 64, 128 or 256, which `dcgan` and `residual` take";
        let below = 1 << data.size.max(1).ilog2();
        let works = below.clamp(*dcgan::SIZES.start(), *dcgan::SIZES.end());
        check_size(&mut rules, !whole || power, data, expected, works);
        let stride = self.generators.values().map(|arrow| arrow.net.stride()).max().unwrap_or(1);
        let least = self.generators.values().map(|arrow| arrow.net.least_size()).max().unwrap_or(1);
        let fits = data.size.is_multiple_of(stride) && data.size >= least && data.size <= LARGEST;
        let expected = format!("a multiple of {stride} (the generators' stride) from {least} to {LARGEST}");
        let judged = self.discriminators.values().map(|judge| judge.net.least_size()).max().unwrap_or(1);
        let low = least.max(judged).next_multiple_of(stride);
        let high = data.load_size.min(LARGEST) / stride * stride;
        let works = data.size.min(LARGEST).next_multiple_of(stride).min(high).max(low);
        check_size(&mut rules, fits, data, &expected, works);
        for (space, discriminator) in &self.discriminators {
            let least = discriminator.net.least_size();
            let expected =
                format!("at least {least}, below which the discriminator of `{}` sees nothing", space.name());
            check_size(&mut rules, data.size >= least, data, &expected, works);
        }
    }

    /// What holds of sizes whatever the networks are.
    fn validate_data(&self, rules: &mut Rules) {
        let data = &self.data;
        let fits = (1..=LARGEST).contains(&data.size);
        check_size(&mut rules.given(&[]), fits, data, &format!("1 to {LARGEST}"), 256);
        let fits = (1..=LARGEST_LOADED).contains(&data.load_size);
        let (expected, works) =
            (format!("`data.size` to {LARGEST_LOADED}"), data.size.clamp(1, LARGEST_LOADED));
        rules.range(fits, "data.load_size", &data.load_size, &expected, &works);
        // Of a size that is wrong itself nothing follows.
        let is_wrong = rules.broken.iter().any(|rule| rule.field == "data.size");
        let load = is_wrong || data.load_size >= data.size;
        let expected = format!("from `data.size` ({}) to {LARGEST_LOADED}", data.size);
        rules.given(&["data.size"]).range(load, "data.load_size", &data.load_size, &expected, &data.size);
    }
}

/// A rule on the size of crops, with one that works, which images must not be smaller than.
fn check_size(rules: &mut Given<'_>, ok: bool, data: &Data, expected: &str, works: u32) {
    let also: &[(&str, &dyn Display)] =
        if data.load_size >= works { &[] } else { &[("data.load_size", &works)] };
    rules.ranges(ok, "data.size", &data.size, expected, &works, also);
}

/// The lists of uneven widths. They reach as far as four times [`WIDTHS`], as the even ones do.
fn check_widths(field: &str, config: &mobile_resnet::Config, rules: &mut Rules) {
    let lists = [("down", &config.down, 3), ("inner", &config.inner, config.blocks), ("up", &config.up, 2)];
    for (part, widths, count) in lists {
        let Some(widths) = widths else { continue };
        let range = *WIDTHS.start()..=4 * WIDTHS.end();
        let fits = widths.len() == count && widths.iter().all(|width| range.contains(width));
        let expected = format!("{count} widths from {} to {}", range.start(), range.end());
        let value = serde_json::to_value(widths).unwrap_or_default();
        rules.check(fits, &format!("{field}.net.{part}"), &value, &expected);
    }
}

impl GeneratorNet {
    fn validate(&self, field: &str, rules: &mut Rules) {
        match self {
            Self::Resnet(c) => {
                rules.net(field, "width", c.width, WIDTHS);
                rules.net(field, "blocks", c.blocks as i64, 1..=64);
            }
            Self::MobileResnet(c) => {
                rules.net(field, "width", c.width, WIDTHS);
                rules.net(field, "blocks", c.blocks as i64, 1..=64);
                check_widths(field, c, rules);
            }
            Self::Unet(c) => {
                rules.net(field, "width", c.width, WIDTHS);
                rules.net(field, "downs", i64::from(c.downs), 2..=12);
            }
            Self::Dcgan(dcgan::GeneratorConfig { width, noise, .. })
            | Self::Residual(residual::GeneratorConfig { width, noise, .. }) => {
                rules.net(field, "width", *width, WIDTHS);
                rules.net(field, "noise", *noise, 1..=4096);
            }
        }
    }
}

impl Discriminator {
    fn validate(&self, field: &str, rules: &mut Rules) {
        for (i, kind) in self.augment.iter().enumerate() {
            let value = serde_json::to_value(kind).unwrap_or_default();
            let once = !self.augment[..i].contains(kind);
            rules.check(once, &format!("{field}.augment"), &value, "each kind once");
        }
        self.net.validate(field, rules);
    }
}

impl DiscriminatorNet {
    fn validate(&self, field: &str, rules: &mut Rules) {
        match self {
            Self::Patch(c) => {
                rules.net(field, "width", c.width, WIDTHS);
                let layers = c.layers;
                let usual = patch::Config::default().layers;
                rules.range(
                    (1..=8).contains(&layers),
                    &format!("{field}.net.layers"),
                    &layers,
                    "1 to 8",
                    &usual,
                );
            }
            Self::Pixel(pixel::Config { width, .. })
            | Self::Dcgan(dcgan::DiscriminatorConfig { width, .. })
            | Self::Residual(residual::DiscriminatorConfig { width }) => {
                rules.net(field, "width", *width, WIDTHS);
            }
        }
    }
}

#[cfg(test)]
mod tests;
