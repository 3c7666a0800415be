//! Laplacian pyramids: Burt, Adelson, "The Laplacian pyramid as a compact image code" (1983),
//! <https://doi.org/10.1109/TCOM.1983.1095851>.

use super::separable_filter;
use tch::{Kind, Tensor};

/// The pyramid ends before a level whose shorter side would be below this, in pixels.
pub const COARSEST: i64 = 16;
/// Burt and Adelson's filter along one axis, for their a = 3/8.
const BINOMIAL: [f64; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];

/// Height and width of every level for images of this size, their own first: each side halves, rounded up, until the
/// shorter one would fall below [`COARSEST`].
pub fn level_sizes(height: i64, width: i64) -> Vec<(i64, i64)> {
    let half = |&(height, width): &(i64, i64)| Some(((height + 1) / 2, (width + 1) / 2));
    std::iter::successors(Some((height, width)), half)
        .take_while(|&(height, width)| height.min(width) >= COARSEST)
        .collect()
}

/// The Laplacian pyramid, finest level first: each level is what the next coarser one, enlarged, leaves out; the last
/// is the low-pass rest. Levels have the sizes of [`level_sizes`]; Burt and Adelson's 5x5 binomial filter, borders
/// mirrored about the outermost pixel.
pub fn laplacian_pyramid(images: &Tensor) -> Vec<Tensor> {
    let size = images.size();
    tch::no_grad(|| {
        let mut levels = vec![images.to_kind(Kind::Float)];
        for _ in 1..level_sizes(size[2], size[3]).len() {
            let fine = &levels[levels.len() - 1];
            let coarse = smooth(fine, 1.0).slice(2, 0, None, 2).slice(3, 0, None, 2);
            let detail = fine - enlarge(&coarse, fine);
            levels.pop();
            levels.extend([detail, coarse]);
        }
        levels
    })
}

/// Doubles `coarse` to the size of `like`: zeros between the pixels, then the filter with its weight quadrupled.
fn enlarge(coarse: &Tensor, like: &Tensor) -> Tensor {
    let spread = like.zeros_like();
    spread.slice(2, 0, None, 2).slice(3, 0, None, 2).copy_(coarse);
    smooth(&spread, 2.0)
}

/// The binomial filter with its gain along each axis; the size stays.
fn smooth(xs: &Tensor, gain: f64) -> Tensor {
    separable_filter(&xs.reflection_pad2d([2, 2, 2, 2]), &BINOMIAL.map(|tap| gain * tap))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    #[test]
    fn levels_halve_down_to_16() {
        assert_eq!(level_sizes(64, 64), [(64, 64), (32, 32), (16, 16)]);
        assert_eq!(level_sizes(31, 50), [(31, 50), (16, 25)]);
        assert_eq!(level_sizes(16, 400), [(16, 400)]);
    }

    #[test]
    fn the_pyramid_of_an_even_surface_is_flat() {
        let levels = laplacian_pyramid(&Tensor::full([1, 3, 64, 32], 0.25, CPU));
        assert_eq!(levels.len(), 2);
        assert!(levels[0].abs().max().double_value(&[]) < 1e-6);
        assert!((&levels[1] - 0.25).abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn the_pyramid_adds_up_to_the_images() {
        let images = Tensor::linspace(0.0, 900.0, 2 * 3 * 37 * 70, CPU).sin().reshape([2, 3, 37, 70]);
        let mut levels = laplacian_pyramid(&images).into_iter().rev();
        let rest = levels.next().unwrap();
        let sum = levels.fold(rest, |coarse, detail| enlarge(&coarse, &detail) + detail);
        assert!((sum - images).abs().max().double_value(&[]) < 1e-6);
    }
}
