//! A description of an image in numbers that needs no trained network: where which colours are, where the edges are,
//! and how much of each colour there is.
//!
//! Distances between descriptions serve [`fidelity()`](super::fidelity()). They see layout, colours, sharpness and
//! noise. They do not see what a picture shows: two faces of one colour in one place are the same to them, a shift by a
//! cell of the grid is not. Features of a trained network see more, and are no part of this program.

use super::{MetricError, image_size};
use tch::{Kind, Tensor};

/// Cells along each side of the grid that an image is divided into, and so its least height and width.
pub const CELLS: i64 = 8;
/// Levels of each channel in the colour histogram.
const LEVELS: i64 = 3;
/// Numbers in a description: three colours and two directions of edges for each cell, and the histogram.
pub const FEATURES: i64 = (3 + 2) * CELLS * CELLS + LEVELS * LEVELS * LEVELS;
/// Scale of the edges beside the colours, see [`features`].
const EDGES: f64 = 3.0;
/// Scale of the histogram beside the colours.
const HISTOGRAM: f64 = 11.0;
/// Images described at a time: the histogram takes 36 bytes a pixel meanwhile.
const CHUNK: i64 = 16;

/// Describes images `[n, 3, height, width]` with values in [-1, 1], the range of training (elsewhere in
/// [`eval`](super) it is [0, 1]), of at least [`CELLS`] pixels a side: `[n, FEATURES]` float32 on their device. An
/// image's description depends on that image alone. A NaN in an image is a NaN in its description.
///
/// - The mean colour of each cell, 192 numbers.
/// - The root of the mean difference of neighbouring pixels in each cell, across and down, 128 numbers. The root keeps
///   one hard outline from outweighing all the rest; the fourth root of the cell's side makes up for edges being a
///   smaller part of a larger image, and leaves noise, which is not, far away.
/// - A colour histogram of the whole image, 27 numbers: each pixel is shared linearly between the nearest of 3 levels a
///   channel, and the shares' roots are taken. Unlike the cells it does not mind where a colour is.
///
/// Constants, not statistics of the images, make the groups weigh about the same. Sums of variances of the three groups
/// over portraits drawn at 32 and 64 pixels a side: anime 20, 24, 19 and 21, 27, 19; photos 15, 14, 11 and 15, 8, 11;
/// and photographs of horses at 64 pixels: 26, 28, 13.
///
/// # Errors
/// [`MetricError::NotImages`], [`MetricError::TooSmall`].
pub fn features(images: &Tensor) -> Result<Tensor, MetricError> {
    image_size("features", images, CELLS)?;
    Ok(tch::no_grad(|| {
        let parts: Vec<Tensor> = images.split(CHUNK, 0).iter().map(describe).collect();
        Tensor::cat(&parts, 0)
    }))
}

fn describe(images: &Tensor) -> Tensor {
    let images = images.to_kind(Kind::Float);
    let groups = [cells(&images), edges(&images, 3), edges(&images, 2), histogram(&images) * HISTOGRAM];
    Tensor::cat(&groups, 1)
}

/// The mean of each cell and channel, `[n, channels * CELLS * CELLS]`.
fn cells(images: &Tensor) -> Tensor {
    images.adaptive_avg_pool2d([CELLS, CELLS]).flatten(1, -1)
}

/// How much neighbouring pixels differ along a dimension, in each cell.
fn edges(images: &Tensor, dim: i64) -> Tensor {
    let side = images.size()[dim as usize];
    let steps = images.narrow(dim, 1, side - 1) - images.narrow(dim, 0, side - 1);
    let steps = steps.abs().mean_dim([1i64].as_slice(), true, Kind::Float);
    (cells(&steps) * (side as f64 / CELLS as f64).sqrt()).sqrt() * EDGES
}

/// The root of each colour's share of the image, `[n, LEVELS^3]`; an image's squares add up to 1.
fn histogram(images: &Tensor) -> Tensor {
    let (n, pixels) = (images.size()[0], images.size()[2] * images.size()[3]);
    let place = (images.clamp(-1.0, 1.0) + 1.0) * ((LEVELS - 1) as f64 / 2.0);
    let levels = Tensor::arange(LEVELS, (Kind::Float, images.device())).reshape([1, LEVELS, 1, 1]);
    let shares = (-(place.reshape([n, 1, 3, pixels]) - levels).abs() + 1.0).relu();
    let [red, green, blue] = [0, 1, 2].map(|channel| shares.select(2, channel));
    let both = (red.unsqueeze(2) * green.unsqueeze(1)).flatten(1, 2);
    (both.bmm(&blue.transpose(1, 2)) / pixels as f64).sqrt().flatten(1, -1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn list(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap()
    }

    #[test]
    fn a_flat_image_is_its_colour_without_edges() {
        let colour = Tensor::from_slice(&[0.5f32, -1.0, 0.0]).reshape([1, 3, 1, 1]);
        let row = features(&colour.expand([2, 3, 24, 17], false)).unwrap().get(1);
        assert_eq!(row.size(), [FEATURES]);
        let row = list(&row);
        assert!((0..192).all(|i| (row[i] - [0.5, -1.0, 0.0][i / 64]).abs() < 1e-6));
        assert!(row[192..320].iter().all(|edge| *edge == 0.0));
        // Red lies between the levels 1 and 2, green at level 0, blue at level 1.
        for (i, share) in row[320..].iter().enumerate() {
            let expected = if [9 + 1, 18 + 1].contains(&i) { HISTOGRAM * 0.5_f64.sqrt() } else { 0.0 };
            assert!((share - expected).abs() < 1e-5, "{i}: {share}");
        }
    }

    #[test]
    fn an_edge_is_told_by_its_cell_and_its_direction() {
        let images = Tensor::full([1, 3, 32, 32], -1.0, CPU);
        // Between the pixels 9 and 10 of every row.
        let _ = images.narrow(3, 10, 22).fill_(1.0);
        let row = list(&features(&images).unwrap());
        let (across, down) = (&row[192..256], &row[256..320]);
        assert!(down.iter().all(|edge| *edge == 0.0));
        for (i, edge) in across.iter().enumerate() {
            // One difference of 2 among the 5 that the third cell averages, of a cell of 4 pixels.
            let expected = if i % 8 == 2 { EDGES * (2.0_f64 / 5.0 * 4.0_f64.sqrt()).sqrt() } else { 0.0 };
            assert!((edge - expected).abs() < 1e-5, "{i}: {edge}");
        }
    }

    #[test]
    fn rows_do_not_depend_on_each_other() {
        let images = Tensor::linspace(0.0, 300.0, 37 * 3 * 8 * 9, CPU).sin().reshape([37, 3, 8, 9]);
        let all = features(&images).unwrap();
        assert_eq!(all.size(), [37, FEATURES]);
        let last = features(&images.narrow(0, 36, 1)).unwrap();
        assert!((all.narrow(0, 36, 1) - last).abs().max().double_value(&[]) < 1e-5);
    }

    #[test]
    fn a_nan_is_not_hidden() {
        let images = Tensor::zeros([2, 3, 16, 16], CPU);
        let _ = images.get(1).get(2).get(3).get(4).fill_(f64::NAN);
        let rows = features(&images).unwrap();
        let finite = |i: i64| rows.get(i).isfinite().all().int64_value(&[]) == 1;
        assert!(finite(0) && !finite(1));
        assert!(rows.get(1).narrow(0, 320, 27).isnan().any().int64_value(&[]) == 1);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let zeros = |shape: &[i64]| features(&Tensor::zeros(shape, CPU)).unwrap_err();
        assert!(matches!(zeros(&[3, 16, 16]), MetricError::NotImages { metric: "features", .. }));
        assert!(matches!(zeros(&[1, 3, 7, 16]), MetricError::TooSmall { least: 8, height: 7, .. }));
    }
}
