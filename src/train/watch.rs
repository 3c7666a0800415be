//! How the generators' pictures stand to real images: the same sources, noise and conditions again and again, and what
//! [`features`] of the pictures say beside those of real images.

use indexmap::IndexMap;
use tch::{Device, Kind, Tensor};

use crate::data::condition::Conditioned;
use crate::data::convert::from_bytes;
use crate::data::loader::{LoaderError, Sides, fixed_samples, spread};
use crate::data::noise::noise;
use crate::eval::fidelity::NEIGHBOURS;
use crate::eval::{Fidelity, features, fidelity};
use crate::nets::{GeneratorNode, Graph};
use crate::random::Purpose;
use crate::recipe::{Recipe, Space};

/// Pictures made in one call of a network.
const BATCH: i64 = 16;

/// A score of one generator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The score.
    pub fidelity: Fidelity,
    /// The pictures, or the real images where those are fewer.
    pub images: usize,
}

/// What stays the same for a whole run.
#[derive(Debug)]
pub struct Watch {
    /// By space, in the main memory: images in [-1, 1], `[count, 3, size, size]`, or noise `[count, width]`.
    samples: IndexMap<Space, Tensor>,
    /// By conditioned space: the conditions of its images.
    conditions: IndexMap<Space, Tensor>,
    /// By space of images: their features.
    real: IndexMap<Space, Tensor>,
    device: Device,
}

impl Watch {
    /// Takes real images spread over the data, with their conditions, and noise.
    ///
    /// # Errors
    /// An image cannot be read. Libtorch's failures panic, see [`crate::torch::guard`].
    pub fn new(
        recipe: &Recipe,
        sides: &Sides,
        conditioned: &IndexMap<Space, Conditioned>,
        device: Device,
    ) -> Result<Self, LoaderError> {
        let (size, count) = (recipe.data.size, recipe.monitor.count);
        let crops = if count == 0 { Vec::new() } else { fixed_samples(sides, count, size)? };
        let tensor = |crops: &Vec<Vec<u8>>| from_bytes(&crops.concat(), crops.len(), size, size, Device::Cpu);
        let mut samples: IndexMap<Space, Tensor> =
            recipe.spaces().into_iter().zip(crops.iter().map(tensor)).collect();
        let drawn =
            |space: &Space| recipe.generators.values().any(|it| it.from == Space::Z && it.to == *space);
        let of_images = |(space, images): (&Space, &Tensor)| {
            let mirrored = (recipe.data.flip && drawn(space)).then(|| every_other_mirrored(images));
            Some((*space, features(mirrored.as_ref().unwrap_or(images)).ok()?))
        };
        let real = samples.iter().filter_map(of_images).collect();
        let most = samples.values().map(|images| images.size()[0]).max().unwrap_or(0);
        if let Some(width) = recipe.noise() {
            let drawn = noise(recipe.train.seed, Purpose::Watch, 0, most as usize, width, Device::Cpu);
            samples.insert(Space::Z, drawn);
        }
        // As many as there is noise; those of a smaller folder come again.
        let told = |(space, side): (&Space, &Conditioned)| {
            let items: Vec<usize> = spread(side.of.len(), count).collect();
            let items: Vec<usize> =
                (0..most as usize).map(|i| items[i * items.len() / most as usize]).collect();
            (*space, side.draw(recipe.train.seed, 0, &items))
        };
        let conditions = if count == 0 { IndexMap::new() } else { conditioned.iter().map(told).collect() };
        Ok(Self { samples, conditions, real, device })
    }

    /// Scores by generator; none where there are too few images, or where a picture is no number.
    pub fn scores(&self, graph: &Graph) -> IndexMap<String, Score> {
        let score = |(name, node): (&String, &GeneratorNode)| {
            let (source, real) = (self.samples.get(&node.from)?, self.real.get(&node.to)?);
            let made = tch::no_grad(|| self.made(node, source));
            let fidelity = fidelity(real, &made?, NEIGHBOURS).ok()?;
            let images = source.size()[0].min(real.size()[0]) as usize;
            Some((name.clone(), Score { fidelity, images }))
        };
        graph.generators.iter().filter_map(score).collect()
    }

    /// Features of what a generator makes of `source`.
    fn made(&self, node: &GeneratorNode, source: &Tensor) -> Option<Tensor> {
        let conditions = self.conditions.get(&node.to);
        let part = |first: i64| {
            let count = BATCH.min(source.size()[0] - first);
            let part = |all: &Tensor| all.narrow(0, first, count).to_device(self.device);
            let picture = node.net.forward_given(&part(source), conditions.map(part).as_ref(), false);
            features(&picture.to_device(Device::Cpu)).ok()
        };
        let parts: Option<Vec<Tensor>> = (0..source.size()[0]).step_by(BATCH as usize).map(part).collect();
        parts.map(|parts| Tensor::cat(&parts, 0))
    }
}

/// What a generator that has seen mirrored images too should draw: the images `[count, 3, size, size]`, of which each
/// second one is mirrored.
fn every_other_mirrored(images: &Tensor) -> Tensor {
    let count = images.size()[0];
    let is_odd = Tensor::arange(count, (Kind::Int64, images.device())).remainder(2).to_kind(Kind::Bool);
    images.flip([3]).where_self(&is_odd.reshape([count, 1, 1, 1]), images)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::condition::Known;
    use crate::data::convert::to_images;
    use crate::data::dataset::{CacheBudget, Dataset, LoadOptions};
    use crate::data::portraits::Person;
    use crate::data::portraits::{Style, draw};
    use crate::data::resize::Resize;
    use crate::data::scan::scan;
    use crate::recipe::resolve;
    use crate::train::monitor::{Failing, Monitor};
    use std::sync::Arc;

    const COUNT: usize = 128;

    /// A folder of portraits as a data set.
    fn portraits(folder: &std::path::Path) -> Sides {
        sides(folder, (0..COUNT as u64).map(|index| draw(&Person::sample(1, index), Style::Anime, 16)))
    }

    /// Pictures of 16 pixels, as files of a data set.
    fn sides(folder: &std::path::Path, pictures: impl Iterator<Item = image::RgbImage>) -> Sides {
        for (index, picture) in pictures.enumerate() {
            picture.save(folder.join(format!("{index:03}.png"))).unwrap();
        }
        let options = LoadOptions { load_size: 16, resize: Resize::Cover, half: None };
        let dataset =
            Dataset::open(scan(folder).unwrap(), options, &CacheBudget::new(1 << 20), &|| ()).unwrap();
        Sides { datasets: vec![Arc::new(dataset)], pairs: None }
    }

    /// A generator whose last layer passes nothing on draws one picture whatever it is given.
    #[test]
    fn a_generator_made_to_collapse_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let sides = portraits(folder.path());
        let sets = ["data.size=16", "data.load_size=16"].map(String::from);
        let recipe = resolve("gan-tiny", &sets).unwrap();
        let watch = Watch::new(&recipe, &sides, &IndexMap::new(), Device::Cpu).unwrap();
        let graph = Graph::build(&recipe, &IndexMap::new(), Device::Cpu);
        let fresh = watch.scores(&graph)["z_to_x"];
        assert_eq!(fresh.images, COUNT);
        assert_eq!(watch.scores(&graph)["z_to_x"], fresh, "the same noise again");
        for (name, mut tensor) in graph.tensors() {
            if name.starts_with("generators.z_to_x.main.") && tensor.dim() == 4 {
                let _ = tch::no_grad(|| tensor.zero_());
            }
        }
        let collapsed = watch.scores(&graph)["z_to_x"].fidelity;
        assert_eq!((collapsed.diversity, collapsed.near_duplicates), (0.0, 1.0));
        assert_eq!(Failing::of(&collapsed, COUNT), Some(Failing::Collapsed));
    }

    /// A perfect generator is one whose pictures, for other noise, are the real images.
    #[test]
    fn a_generator_made_to_drop_half_of_the_classes_is_seen() {
        let sets = ["data.size=16", "data.load_size=16", "data.flip=false"].map(String::from);
        let recipe = resolve("cgan-tiny", &sets).unwrap();
        let known = Known::Classes((0..10).map(|class| class.to_string()).collect());
        let graph = Graph::build(&recipe, &[(Space::X, known.clone())].into(), Device::Cpu);
        let tensors: IndexMap<String, Tensor> = graph.tensors().into_iter().collect();
        let normal = |seed: u64, rows: i64, columns: i64| {
            noise(seed, Purpose::Noise, 0, rows as usize, columns, Device::Cpu)
        };
        // Of such a size that pictures have contrast, and differ by class as much as by noise.
        let weights = tensors.iter().filter(|(name, _)| name.starts_with("generators.z_to_x.main."));
        for (seed, (_, weight)) in weights.filter(|(_, weight)| weight.dim() == 4).enumerate() {
            let size = weight.size();
            let columns = weight.numel() as i64 / size[0];
            let drawn = normal(seed as u64, size[0], columns).reshape(&size) / (size[0] as f64 * 2.0).sqrt();
            tch::no_grad(|| weight.shallow_clone().copy_(&drawn));
        }
        let mut table = tensors["generators.z_to_x.encoder.weight"].shallow_clone();
        tch::no_grad(|| table.copy_(&(normal(9, 10, 32) * 8.0)));

        let side = Conditioned { known, of: (0..COUNT as i64).map(|i| vec![vec![i % 10]]).collect() };
        let told = side.draw(0, 0, &(0..COUNT).collect::<Vec<_>>());
        let node = &graph.generators["z_to_x"];
        let source = normal(20, COUNT as i64, 64);
        let made = tch::no_grad(|| node.net.forward_given(&source, Some(&told), false));
        let folder = tempfile::tempdir().unwrap();
        let sides = sides(folder.path(), to_images(&made).into_iter());
        let watch = Watch::new(&recipe, &sides, &[(Space::X, side)].into(), Device::Cpu).unwrap();
        let said = || {
            let (mut monitor, score) = (Monitor::default(), watch.scores(&graph)["z_to_x"]);
            println!("{score:.3?}");
            (0..10).filter_map(|_| monitor.take("z_to_x", &score)).collect::<Vec<_>>()
        };
        assert_eq!(said(), []);
        tch::no_grad(|| table.narrow(0, 5, 5).copy_(&table.narrow(0, 0, 5)));
        assert_eq!(said(), [Failing::Dropping]);
        tch::no_grad(|| table.copy_(&table.get(0).copy()));
        let _ = tch::no_grad(|| tensors["generators.z_to_x.main.0.weight"].narrow(0, 0, 64).zero_());
        assert_eq!(said(), [Failing::Collapsed]);
    }

    #[test]
    fn pictures_are_made_for_the_conditions_of_the_real_images() {
        let folder = tempfile::tempdir().unwrap();
        let sides = portraits(folder.path());
        let sets = ["data.size=16", "data.load_size=16", "monitor.count=32"].map(String::from);
        let recipe = resolve("cgan-tiny", &sets).unwrap();
        let known = Known::Classes(vec!["a".into(), "b".into()]);
        let side = Conditioned { known, of: (0..COUNT as i64).map(|i| vec![vec![i / 64]]).collect() };
        let conditioned = IndexMap::from([(Space::X, side)]);
        let watch = Watch::new(&recipe, &sides, &conditioned, Device::Cpu).unwrap();
        let expected: Vec<i64> = (0..32).map(|i| i / 16).collect();
        assert_eq!(Vec::<i64>::try_from(&watch.conditions[&Space::X]).unwrap(), expected);
    }

    #[test]
    fn nothing_is_measured_where_nothing_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let sides = portraits(folder.path());
        let sets = ["data.size=16", "data.load_size=16", "monitor.count=0"].map(String::from);
        let recipe = resolve("gan-tiny", &sets).unwrap();
        let watch = Watch::new(&recipe, &sides, &IndexMap::new(), Device::Cpu).unwrap();
        assert!(watch.scores(&Graph::build(&recipe, &IndexMap::new(), Device::Cpu)).is_empty());
    }
}
