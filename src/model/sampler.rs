//! A generator of a model that draws pictures from noise.

use image::RgbImage;
use tch::{Device, Kind, Tensor};

use super::{Model, ModelError};
use crate::data::condition::Known;
use crate::data::convert::to_images;
use crate::data::noise::{noise, truncated_noise};
use crate::device;
use crate::nets::{GeneratorNode, Network};
use crate::random::Purpose;
use crate::recipe::{Arithmetic, Space, did_you_mean};
use crate::torch::{TorchError, guard};
use crate::words::quoted;

/// Pictures drawn in one call of the network.
const BATCH: usize = 64;

/// Classes or words that a message names.
const SHOWN: usize = 12;

/// What is asked of a model.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// Nothing in particular.
    Nothing,
    /// Classes.
    Labels(&'a [String]),
    /// What texts say.
    Texts(&'a [String]),
}

/// A thing that was asked for, as the network is told it: a class's number, a text's words, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told(Vec<i64>);

/// One generator of a model, from noise, on its device.
#[derive(Debug)]
pub struct Sampler<'m> {
    net: &'m Network,
    domain: &'m str,
    /// What it can be asked for.
    known: Option<&'m Known>,
    /// Numbers of noise in a sample.
    width: i64,
    device: Device,
}

impl Model {
    /// The generator that draws from noise.
    ///
    /// # Errors
    /// The model has none.
    pub fn sampler(&self, device: Device) -> Result<Sampler<'_>, ModelError> {
        let (_, node, width) = self.drawer()?;
        let known = self.conditions.get(&node.to);
        Ok(Sampler { net: &node.net, domain: &self.domains[&node.to], known, width, device })
    }

    /// Makes the generator of [`Self::sampler`] ready for many pictures, see [`Network::prepare`].
    ///
    /// # Errors
    /// The model has none, or libtorch's.
    pub fn prepare_sampler(&mut self, precision: Arithmetic, device: Device) -> Result<(), ModelError> {
        let name = self.drawer()?.0.to_string();
        self.prepare_generator(&name, precision, device)
    }

    /// The name of the generator that draws from noise, itself, and its numbers of noise in a sample.
    fn drawer(&self) -> Result<(&str, &GeneratorNode, i64), ModelError> {
        let found = self.graph.generators.iter().find(|(_, node)| node.from == Space::Z);
        let found = found.zip(self.recipe.noise()).map(|((name, node), width)| (name.as_str(), node, width));
        found.ok_or_else(|| ModelError::NoSampler { domains: quoted(self.domains.values(), " and ") })
    }
}

impl Sampler<'_> {
    /// The domain that it draws.
    pub fn domain(&self) -> &str {
        self.domain
    }

    /// Noise for pictures 0 to `count` − 1 of `seed`, `[count, width]`. With `truncate` every number is drawn again until
    /// it lies within ±`truncate`: likelier pictures, less different from each other (Brock et al. 2019,
    /// <https://arxiv.org/abs/1809.11096>).
    pub fn noise(&self, seed: u64, count: usize, truncate: Option<f64>) -> Tensor {
        match truncate {
            None => noise(seed, Purpose::Sample, 0, count, self.width, Device::Cpu),
            Some(most) => truncated_noise(seed, Purpose::Sample, count, self.width, most),
        }
    }

    /// Noise for `rows` ways of `steps` pictures each, `[rows · steps, width]`, each from one random sample to another.
    pub fn ways(&self, seed: u64, rows: usize, steps: usize, truncate: Option<f64>) -> Tensor {
        let ends = self.noise(seed, 2 * rows, truncate).reshape([rows as i64, 2, -1]);
        let (from, to) = (ends.select(1, 0), ends.select(1, 1));
        let part = |step: usize| step as f64 / (steps.max(2) - 1) as f64;
        let all: Vec<Tensor> = (0..steps).map(|step| between(&from, &to, part(step))).collect();
        Tensor::stack(&all, 1).flatten(0, 1)
    }

    /// What the network is to be told for each thing asked for: one for nothing in particular, or of a model of classes
    /// all of them.
    ///
    /// # Errors
    /// The model does not know what is asked for, or has to be asked for something.
    pub fn understand(&self, asked: &Asked<'_>) -> Result<Vec<Told>, ModelError> {
        match (self.known, asked) {
            (Some(known), asked) => Ok(numbered(known, asked)?.into_iter().map(Told).collect()),
            (None, Asked::Nothing) => Ok(vec![Told(Vec::new())]),
            (None, _) => {
                let hint =
                    "leave `--label` and `--text` away; a recipe with `conditions` can be asked for more";
                let knows = format!("draws `{}` and knows no classes or words", self.domain);
                Err(ModelError::Condition { knows, hint: hint.into() })
            }
        }
    }

    /// Draws a picture for each row of `noise` `[things · each, width]`, `each` for one thing after another, in batches.
    ///
    /// # Errors
    /// libtorch's, such as memory that does not suffice.
    pub fn draw<'a>(
        &'a self,
        noise: &'a Tensor,
        things: &'a [Told],
    ) -> impl Iterator<Item = Result<Vec<RgbImage>, TorchError>> + 'a {
        let rows = noise.size()[0] as usize;
        let each = (rows / things.len()).max(1);
        let batch = move |first: usize| {
            let count = BATCH.min(rows - first);
            let noise = noise.narrow(0, first as i64, count as i64).to_device(self.device);
            let told: Vec<Vec<i64>> =
                (first..first + count).map(|row| things[row / each].0.clone()).collect();
            let condition = self.known.map(|known| known.tensor(&told).to_device(self.device));
            to_images(&self.net.forward_given(&noise, condition.as_ref(), false))
        };
        let name = device::name(self.device);
        (0..rows).step_by(BATCH).map(move |first| guard(&name, || tch::no_grad(|| batch(first))))
    }
}

/// The numbers of each thing asked for: a class's place, a text's words.
fn numbered(known: &Known, asked: &Asked<'_>) -> Result<Vec<Vec<i64>>, ModelError> {
    let refuse = |knows: String, hint: &str| Err(ModelError::Condition { knows, hint: hint.into() });
    match (known, asked) {
        (Known::Classes(names), Asked::Nothing) => Ok((0..names.len() as i64).map(|i| vec![i]).collect()),
        (Known::Classes(names), Asked::Labels(labels)) => {
            let place = |label| names.iter().position(|name| name == label).map(|place| vec![place as i64]);
            labels.iter().map(|label| place(label).ok_or_else(|| unknown_label(label, names))).collect()
        }
        (Known::Classes(names), Asked::Texts(_)) => {
            refuse(format!("knows classes, not words: {}", some(names)), "`--label NAME`")
        }
        (Known::Words(vocabulary), Asked::Texts(texts)) => {
            for text in *texts {
                vocabulary.check(text)?;
            }
            Ok(texts.iter().map(|text| vocabulary.tokens(text)).collect())
        }
        (Known::Words(vocabulary), _) => {
            let words = &vocabulary.words()[..vocabulary.words().len().min(SHOWN)];
            refuse(
                format!("draws what a text says, in words such as {}", quoted(words, ", ")),
                "`--text \"…\"`",
            )
        }
    }
}

fn unknown_label(asked: &str, names: &[String]) -> ModelError {
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint = "`--label NAME` with one of them; without `--label` every class is drawn";
    ModelError::Label {
        asked: asked.into(),
        known: some(names),
        closest: did_you_mean(asked, &all),
        hint: hint.into(),
    }
}

/// The first names, and how many there are.
fn some(names: &[String]) -> String {
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => quoted(names, ", "),
        Some(more) => format!("{} and {more} more", quoted(&names[..SHOWN], ", ")),
    }
}

/// The point that lies `part` of the way along the great circle from `a` to `b` `[rows, width]` (White 2016,
/// <https://arxiv.org/abs/1609.04468>): a straight line would pass nearer to the origin than normal noise ever lies.
fn between(a: &Tensor, b: &Tensor, part: f64) -> Tensor {
    let length = |xs: &Tensor| xs.square().sum_dim_intlist(1i64, true, Kind::Float).sqrt();
    let cosine = (a * b).sum_dim_intlist(1i64, true, Kind::Float) / (length(a) * length(b));
    // Clamped, since opposite or equal ends have no circle of their own.
    let angle = cosine.clamp(-0.9999, 0.9999).acos();
    ((&angle * (1.0 - part)).sin() * a + (&angle * part).sin() * b) / angle.sin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_class_is_told_with_some_known_ones_and_the_one_that_is_meant() {
        let mut names: Vec<String> = (1..=12).map(|i| format!("k{i:02}")).collect();
        let told = |asked: &str, names: &[String]| {
            let labels = [asked.to_string()];
            let known = Known::Classes(names.to_vec());
            numbered(&known, &Asked::Labels(&labels)).unwrap_err().to_string()
        };
        let all = "`k01`, `k02`, `k03`, `k04`, `k05`, `k06`, `k07`, `k08`, `k09`, `k10`, `k11`, `k12`";
        let hint = "\nhint: `--label NAME` with one of them; without `--label` every class is drawn";
        assert_eq!(told("zebra", &names), format!("the model knows no class `zebra`; it draws {all}{hint}"));
        names.extend(["Longhair", "short"].map(String::from));
        assert_eq!(
            told("LONGHAIRS", &names),
            format!(
                "the model knows no class `LONGHAIRS`; it draws {all} and 2 more; did you mean `Longhair`?{hint}"
            )
        );
    }

    #[test]
    fn the_way_begins_and_ends_at_its_ends_and_keeps_the_length() {
        let a = Tensor::from_slice(&[3.0f32, 0.0, 0.0, 2.0]).reshape([2, 2]);
        let b = Tensor::from_slice(&[0.0f32, 3.0, 2.0, 0.0]).reshape([2, 2]);
        let off = |x: &Tensor, y: &Tensor| (x - y).abs().max().double_value(&[]);
        assert!(off(&between(&a, &b, 0.0), &a) < 1e-6);
        assert!(off(&between(&a, &b, 1.0), &b) < 1e-6);
        let half = 0.5f32.sqrt();
        let middle = Tensor::from_slice(&[3.0 * half, 3.0 * half, 2.0 * half, 2.0 * half]).reshape([2, 2]);
        assert!(off(&between(&a, &b, 0.5), &middle) < 1e-5);
    }
}
