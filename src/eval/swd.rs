//! Sliced Wasserstein distance between two sets of images, on patches of their Laplacian pyramids: Karras, Aila,
//! Laine, Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and Variation" (2018), section 5,
//! <https://arxiv.org/abs/1710.10196>, with the constants of the authors' published description.
//!
//! # How to read it
//!
//! Small means that the two sets look alike at that scale: the coarse levels speak of large shapes and lighting,
//! the fine ones of texture and noise. Three things to know:
//!
//! - It compares within this program: two sets against the same third one, at one image size, with about the same
//!   number of images. Filters, resizing, and the number of images all move the value, so numbers from papers and
//!   other programs are no yardstick.
//! - Each set is normalised by its own mean and standard deviation for each colour channel and level. A change of
//!   brightness, contrast or overall tint is therefore invisible to it.
//! - It is never 0 for two samples of one distribution, and the fewer images, the larger it is: chance alone makes a
//!   mean of about 290 / sqrt(images). Photographs of horses at 128x128, measured against other photographs of horses
//!   and against photographs of zebras:
//!
//!   | images a side | horses, horses | horses, zebras |
//!   |--------------:|---------------:|---------------:|
//!   |            10 |             89 |            104 |
//!   |            20 |             66 |             80 |
//!   |            40 |             46 |             58 |
//!   |            80 |             32 |             46 |
//!
//!   Other images of the same folders move the mean by 5 to 10 % from 40 images on (25 % with 10), another seed by 1
//!   to 2 %. So take at least 100 images a side, better some hundreds, and do not read a meaning into less than 10 %.
//!
//! # What is random
//!
//! Patch positions and projection directions, and nothing else. [`Sampler`] draws them as functions of the seed, so
//! that one seed gives one number; every other function takes them as arguments.

mod sampler;

pub use sampler::{DIRECTIONS, PATCHES_PER_IMAGE, Positions, REPEATS, Sampler, Set};

use super::pyramid::{COARSEST, laplacian_pyramid, level_sizes};
use super::{MetricError, image_size};
use rayon::prelude::*;
use tch::{Kind, Tensor};

/// Side of a patch in pixels.
pub const PATCH: i64 = 7;
/// Numbers in a descriptor: a patch with its three channels.
const DESCRIPTOR: i64 = 3 * PATCH * PATCH;
/// Distances are reported in thousandths.
const SCALE: f64 = 1e3;
/// Below this standard deviation a channel is flat, and what varies in it is rounding.
const FLAT: f64 = 1e-6;

/// Gathers the descriptors of one set, batch by batch. It holds 75 kB for each image and level, on the images'
/// device.
#[derive(Debug, Default)]
pub struct Collector {
    size: Option<(i64, i64)>,
    images: u64,
    levels: Vec<Vec<Tensor>>,
}

impl Collector {
    /// Adds a batch with patches that `sampler` chooses.
    ///
    /// # Errors
    /// As [`Collector::add_at`].
    pub fn add(&mut self, images: &Tensor, sampler: &Sampler, set: Set) -> Result<(), MetricError> {
        let (height, width) = image_size("swd", images, COARSEST)?;
        let count = images.size()[0] as u64;
        let positions = sampler.positions(set, self.images, count, &level_sizes(height, width));
        self.add_at(images, &positions)
    }

    /// Adds a batch `[batch, 3, height, width]`, values in [0, 1], with patches at `positions`, one for each of
    /// [`level_sizes`].
    ///
    /// # Errors
    /// [`MetricError::NotImages`]; [`MetricError::TooSmall`] below 16 pixels a side; [`MetricError::SetSizes`] where
    /// the batch differs in size from those before; [`MetricError::Levels`]; [`MetricError::Torch`] where a position
    /// lies outside its level.
    pub fn add_at(&mut self, images: &Tensor, positions: &[Positions]) -> Result<(), MetricError> {
        let second = image_size("swd", images, COARSEST)?;
        let first = self.size.unwrap_or(second);
        if first != second {
            return Err(MetricError::SetSizes { first, second });
        }
        let pyramid = laplacian_pyramid(images);
        if positions.len() != pyramid.len() {
            let (got, expected) = (positions.len(), pyramid.len());
            return Err(MetricError::Levels { what: "patch positions", got, expected });
        }
        let patches =
            pyramid.iter().zip(positions).map(|(xs, at)| patches(xs, at)).collect::<Result<Vec<_>, _>>()?;
        self.levels.resize_with(patches.len(), Vec::new);
        self.levels.iter_mut().zip(patches).for_each(|(level, patches)| level.push(patches));
        self.size = Some(first);
        self.images += images.size()[0] as u64;
        Ok(())
    }

    /// The set's descriptors, normalised to mean 0 and standard deviation 1 for each colour channel and level. A
    /// channel without variation is 0 throughout.
    ///
    /// # Errors
    /// [`MetricError::EmptySet`] where nothing was added.
    pub fn finish(self) -> Result<Descriptors, MetricError> {
        let size = self.size.ok_or(MetricError::EmptySet)?;
        let normalised = |parts: Vec<Tensor>| tch::no_grad(|| normalise(&Tensor::cat(&parts, 0)));
        Ok(Descriptors { size, levels: self.levels.into_iter().map(normalised).collect() })
    }
}

/// The normalised descriptors of one set.
#[derive(Debug)]
pub struct Descriptors {
    size: (i64, i64),
    /// For each level `[descriptors, 3 * PATCH * PATCH]`, in the order of the images.
    levels: Vec<Tensor>,
}

impl Descriptors {
    /// How many levels the pyramid has, which is how many [`Sampler::directions`] a comparison takes.
    pub fn levels(&self) -> usize {
        self.levels.len()
    }
}

/// Distance at one level of the pyramid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelDistance {
    /// The level's height in pixels.
    pub height: i64,
    /// Sliced Wasserstein distance times 1000, in standard deviations of the level.
    pub distance: f64,
}

/// Sliced Wasserstein distances between two sets.
#[derive(Debug, Clone, PartialEq)]
pub struct Swd {
    /// For each level, the images' own size first.
    pub levels: Vec<LevelDistance>,
}

impl Swd {
    /// Mean over the levels.
    pub fn mean(&self) -> f64 {
        self.levels.iter().map(|level| level.distance).sum::<f64>() / self.levels.len() as f64
    }
}

/// Distances between two sets, from the directions of [`Sampler::directions`].
///
/// Sorted projections are compared one by one, so both sides must have the same number of descriptors. Where one set
/// has more, as many as the other has are taken from it, evenly spaced in the order of its images: number `k` of
/// `count` is descriptor `floor(k * len / count)`, which leaves every image about the same share.
///
/// # Errors
/// [`MetricError::SetSizes`] where the sets differ in image size, and [`MetricError::Levels`] where there are not as
/// many directions as levels.
pub fn distance(a: &Descriptors, b: &Descriptors, directions: &[Tensor]) -> Result<Swd, MetricError> {
    if a.size != b.size {
        return Err(MetricError::SetSizes { first: a.size, second: b.size });
    }
    if directions.len() != a.levels.len() {
        let (got, expected) = (directions.len(), a.levels.len());
        return Err(MetricError::Levels { what: "directions", got, expected });
    }
    let sizes = level_sizes(a.size.0, a.size.1);
    let levels = sizes.into_iter().zip(a.levels.iter().zip(&b.levels)).zip(directions);
    let levels = levels.map(|(((height, _), (a, b)), directions)| {
        let count = a.size()[0].min(b.size()[0]);
        let distance = SCALE * sliced_wasserstein(&thin(a, count), &thin(b, count), directions)?;
        Ok(LevelDistance { height, distance })
    });
    Ok(Swd { levels: levels.collect::<Result<_, MetricError>>()? })
}

/// `[batch, 3, height, width]` -> `[positions, 3, PATCH, PATCH]`.
fn patches(level: &Tensor, at: &Positions) -> Result<Tensor, MetricError> {
    let device = level.device();
    let places = level.unfold(2, PATCH, 1).unfold(3, PATCH, 1).permute([0, 2, 3, 1, 4, 5]);
    let index = [&at.image, &at.top, &at.left].map(|index| Some(index.to_device(device)));
    Ok(places.f_index(&index)?)
}

/// `[descriptors, 3, PATCH, PATCH]` -> `[descriptors, 3 * PATCH * PATCH]`. The moments are summed in float64: a set
/// has millions of pixels, and the distances of interest are some thousandths.
fn normalise(patches: &Tensor) -> Tensor {
    let all_but_channels = [0i64, 2, 3];
    let mean = patches.mean_dim(all_but_channels.as_slice(), true, Kind::Double);
    let centred = patches - mean.to_kind(Kind::Float);
    let deviation = centred.square().mean_dim(all_but_channels.as_slice(), true, Kind::Double).sqrt();
    let gain = deviation.reciprocal().masked_fill(&deviation.le(FLAT), 0.0);
    (centred * gain.to_kind(Kind::Float)).reshape([-1, DESCRIPTOR])
}

/// `count` rows of `descriptors`, evenly spaced.
fn thin(descriptors: &Tensor, count: i64) -> Tensor {
    let rows = descriptors.size()[0];
    if rows == count {
        return descriptors.shallow_clone();
    }
    let index: Vec<i64> = (0..count).map(|k| k * rows / count).collect();
    descriptors.index_select(0, &Tensor::from_slice(&index).to_device(descriptors.device()))
}

/// Mean over directions of the one-dimensional Wasserstein distance between two sets of as many points, which is the
/// mean absolute difference of the sorted projections. `[points, dimensions]` twice, and directions
/// `[repeats, directions, dimensions]` of length 1. Unscaled.
fn sliced_wasserstein(a: &Tensor, b: &Tensor, directions: &Tensor) -> Result<f64, MetricError> {
    let directions = directions.to_device(a.device());
    let (repeats, mut sum, mut terms) = (directions.size()[0], 0.0, 0);
    for repeat in 0..repeats {
        let directions = directions.get(repeat);
        let (a, b) = (sorted_projections(a, &directions)?, sorted_projections(b, &directions)?);
        sum += a.par_iter().zip(&b).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>();
        terms += a.len();
    }
    Ok(sum / terms as f64)
}

/// For each direction in turn the points' projections in rising order. Sorted here rather than by libtorch, which
/// sorts indices along and so takes twice as long on a CPU.
fn sorted_projections(points: &Tensor, directions: &Tensor) -> Result<Vec<f32>, MetricError> {
    let mut projections: Vec<f32> =
        tch::no_grad(|| directions.matmul(&points.tr())).reshape([-1]).try_into()?;
    projections
        .par_chunks_mut(points.size()[0] as usize)
        .for_each(|line| line.sort_unstable_by(f32::total_cmp));
    Ok(projections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    /// Fixed images without libtorch's global generator: a different stripe pattern in every image and channel.
    fn stripes(images: i64, height: i64, width: i64) -> Tensor {
        let wave = Tensor::arange(images * 3, CPU).reshape([images, 3, 1, 1]) * 0.37 + 0.5;
        let y = Tensor::arange(height, CPU).reshape([1, 1, height, 1]);
        let x = Tensor::arange(width, CPU).reshape([1, 1, 1, width]);
        ((&wave * y).sin() * (wave.cos() * x).cos() * 0.5) + 0.5
    }

    fn collect(images: &Tensor, set: Set) -> Descriptors {
        let mut collector = Collector::default();
        collector.add(images, &Sampler::new(7), set).unwrap();
        collector.finish().unwrap()
    }

    fn swd(a: &Descriptors, b: &Descriptors) -> Swd {
        distance(a, b, &Sampler::new(7).directions(a.levels())).unwrap()
    }

    #[test]
    fn a_patch_is_cut_where_its_position_says() {
        let image = Tensor::arange(2 * 3 * 16 * 20, CPU).reshape([2, 3, 16, 20]);
        let at = |i: i64| Tensor::from_slice(&[i]);
        let cut = patches(&image, &Positions { image: at(1), top: at(9), left: at(13) }).unwrap();
        assert_eq!(cut, image.narrow(0, 1, 1).narrow(2, 9, 7).narrow(3, 13, 7));
        assert!(patches(&image, &Positions { image: at(1), top: at(10), left: at(13) }).is_err());
    }

    #[test]
    fn descriptors_have_mean_0_and_deviation_1_in_each_channel() {
        let offsets = Tensor::from_slice(&[0.1f32, 0.2, 0.4]).reshape([1, 3, 1, 1]);
        let xs = normalise(&(stripes(40, 7, 7) * &offsets + &offsets)).reshape([-1, 3, PATCH * PATCH]);
        for channel in 0..3 {
            let values = xs.select(1, channel);
            assert!(values.mean(Kind::Double).double_value(&[]).abs() < 1e-6);
            assert!((values.std(false).double_value(&[]) - 1.0).abs() < 1e-5);
        }
        assert_eq!(normalise(&Tensor::full([5, 3, 7, 7], 0.3, CPU)), Tensor::zeros([5, DESCRIPTOR], CPU));
    }

    #[test]
    fn a_shift_by_a_vector_moves_each_projection_by_its_component() {
        let points = stripes(50, 7, 7).reshape([50, DESCRIPTOR]);
        let shift = Tensor::linspace(-0.5, 1.0, DESCRIPTOR, CPU);
        let directions = &Sampler::new(1).directions(1)[0];
        let expected = directions.matmul(&shift).abs().mean(Kind::Double).double_value(&[]);
        for times in [0.5, 1.0, 4.0] {
            let got = sliced_wasserstein(&points, &(&points + &shift * times), directions).unwrap();
            assert!((got - times * expected).abs() < 1e-5 * expected, "{got}, expected {}", times * expected);
        }
    }

    #[test]
    fn distances_of_hand_computed_points() {
        // Along x: {0, 2} and {1, 5}, 1 and 3 apart once sorted. Along y: {0, 0} and {0, 8}.
        let a = Tensor::from_slice(&[2.0f32, 0.0, 0.0, 0.0]).reshape([2, 2]);
        let b = Tensor::from_slice(&[1.0f32, 8.0, 5.0, 0.0]).reshape([2, 2]);
        let axes = Tensor::eye(2, CPU);
        assert!((sliced_wasserstein(&a, &b, &axes.reshape([1, 2, 2])).unwrap() - 3.0).abs() < 1e-6);
        assert!((sliced_wasserstein(&a, &b, &axes.reshape([2, 1, 2])).unwrap() - 3.0).abs() < 1e-6);
    }

    #[test]
    fn a_set_is_at_0_from_its_own_patches_near_its_others_and_far_from_another_set() {
        let images = stripes(24, 32, 32);
        let itself = collect(&images, Set::First);
        assert!(swd(&itself, &itself).levels.iter().all(|level| level.distance == 0.0));
        let chance = swd(&itself, &collect(&images, Set::Second)).mean();
        let coarse = images.avg_pool2d([4, 4], [4, 4], [0, 0], false, true, None).upsample_nearest2d(
            [32, 32],
            None,
            None,
        );
        let far = swd(&collect(&coarse, Set::First), &collect(&images, Set::Second)).mean();
        assert!(chance > 0.0 && far > 3.0 * chance, "chance {chance}, far {far}");
    }

    #[test]
    fn brightness_and_contrast_are_invisible() {
        let images = stripes(6, 32, 32);
        let (a, b) = (collect(&images, Set::First), collect(&(&images * 0.5 + 0.4), Set::First));
        assert!(swd(&a, &b).levels.iter().all(|level| level.distance < 0.1), "{:?}", swd(&a, &b));
    }

    #[test]
    fn batching_changes_nothing_and_the_seed_does() {
        let images = stripes(5, 32, 32);
        let mut parts = Collector::default();
        for (start, length) in [(0, 2), (2, 3)] {
            parts.add(&images.narrow(0, start, length), &Sampler::new(7), Set::First).unwrap();
        }
        let (whole, parts) = (collect(&images, Set::First), parts.finish().unwrap());
        assert!(whole.levels.iter().zip(&parts.levels).all(|(a, b)| a == b));
        let mut other = Collector::default();
        other.add(&images, &Sampler::new(8), Set::First).unwrap();
        assert_ne!(whole.levels[0], other.finish().unwrap().levels[0]);
    }

    #[test]
    fn the_larger_set_is_thinned_evenly() {
        let rows = Tensor::arange(10, CPU).reshape([10, 1]);
        assert_eq!(Vec::<f32>::try_from(thin(&rows, 4).reshape([-1])).unwrap(), [0.0, 2.0, 5.0, 7.0]);
        assert_eq!(thin(&rows, 10), rows);
        let (small, large) =
            (collect(&stripes(3, 16, 16), Set::First), collect(&stripes(8, 16, 16), Set::Second));
        assert_eq!(swd(&small, &large), swd(&large, &small));
    }

    #[test]
    fn sets_that_cannot_be_compared_are_refused() {
        let sampler = Sampler::new(0);
        let mut collector = Collector::default();
        assert!(matches!(Collector::default().finish(), Err(MetricError::EmptySet)));
        let small = collector.add(&stripes(1, 15, 32), &sampler, Set::First).unwrap_err();
        assert!(small.to_string().contains("at least 16x16 pixels, got 32x15"), "{small}");
        collector.add(&stripes(1, 16, 32), &sampler, Set::First).unwrap();
        let mixed = collector.add(&stripes(1, 32, 32), &sampler, Set::First);
        assert!(matches!(mixed, Err(MetricError::SetSizes { first: (16, 32), second: (32, 32) })));
        let (a, b) = (collector.finish().unwrap(), collect(&stripes(1, 32, 32), Set::Second));
        assert!(matches!(distance(&a, &b, &sampler.directions(1)), Err(MetricError::SetSizes { .. })));
        assert!(matches!(distance(&a, &a, &[]), Err(MetricError::Levels { got: 0, expected: 1, .. })));
    }
}
