//! Growing an image to a size that a network accepts, and taking the original window back.

use image::RgbImage;

/// The size in pixels of an image after padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Padded {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Padded {
    /// Number of pixels.
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Number of bytes of one `[height, width, 3]` image.
    pub fn bytes(self) -> usize {
        self.pixels() as usize * 3
    }
}

/// The smallest size that holds a `width` x `height` image, with both sides at least `minimum` and divisible
/// by `multiple` (0 counts as 1).
pub fn padded_size(width: u32, height: u32, multiple: u32, minimum: u32) -> Padded {
    let side = |side: u32| side.max(minimum).max(1).next_multiple_of(multiple.max(1));
    Padded { width: side(width), height: side(height) }
}

/// Grows an image of at least 1x1 to `size` (no smaller than the image) and gives its bytes, `[height, width,
/// 3]`.
///
/// The image lies in the middle (one pixel nearer to the top left where the margin is odd), and the margin
/// mirrors it without repeating the edge, as reflection padding does; a margin wider than the image goes on
/// mirroring.
pub fn pad(image: RgbImage, size: Padded) -> Vec<u8> {
    let (width, height) = image.dimensions();
    if (Padded { width, height }) == size {
        return image.into_raw();
    }
    let columns = sources(width, size.width);
    let mut bytes = Vec::with_capacity(size.bytes());
    for y in sources(height, size.height) {
        let row = &image.as_raw()[y * width as usize * 3..][..width as usize * 3];
        for &x in &columns {
            bytes.extend_from_slice(&row[x * 3..x * 3 + 3]);
        }
    }
    bytes
}

/// Takes the `width` x `height` window that [`pad`] started from back out of its `[height, width, 3]` bytes.
pub fn crop(bytes: &[u8], size: Padded, width: u32, height: u32) -> RgbImage {
    let (left, top) = (offset(width, size.width), offset(height, size.height));
    let mut image = RgbImage::new(width, height);
    let rows = bytes.chunks_exact(size.width as usize * 3).skip(top);
    for (target, source) in image.chunks_exact_mut(width as usize * 3).zip(rows) {
        target.copy_from_slice(&source[left * 3..][..width as usize * 3]);
    }
    image
}

/// Where a side of `length` begins inside one of `padded`.
fn offset(length: u32, padded: u32) -> usize {
    (padded.saturating_sub(length) / 2) as usize
}

/// For each position along a padded side, the position in the image that it shows.
fn sources(length: u32, padded: u32) -> Vec<usize> {
    let first = -(offset(length, padded) as i64);
    (first..first + i64::from(padded)).map(|position| mirror(position, i64::from(length))).collect()
}

/// Position `position` of a line of `length`, reflected at both ends as often as needed: … 2 1 | 0 1 2 | 1 0
/// 1 ….
fn mirror(position: i64, length: i64) -> usize {
    let period = 2 * (length - 1);
    if period == 0 {
        return 0;
    }
    let phase = position.rem_euclid(period);
    phase.min(period - phase) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn gradient(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 7 + 1) as u8, (y * 11 + 2) as u8, (x * y + 3) as u8])
        })
    }

    /// Walks from 0 one pixel at a time and turns round at each end: the mirror without modular arithmetic.
    fn bounce(steps: u64, length: u32) -> u32 {
        let (mut at, mut forward) = (0, true);
        for _ in 0..if length == 1 { 0 } else { steps } {
            forward = if at == 0 { true } else { forward && at + 1 < length };
            at = if forward { at + 1 } else { at - 1 };
        }
        at
    }

    #[test]
    fn sizes_round_up_to_the_multiple_and_the_minimum() {
        let cases = [
            ((256, 256, 4, 0), (256, 256)),
            ((257, 255, 4, 0), (260, 256)),
            ((1, 1, 4, 16), (16, 16)),
            ((1, 40, 4, 18), (20, 40)),
            ((300, 200, 256, 256), (512, 256)),
            ((3, 5, 0, 0), (3, 5)),
        ];
        for ((width, height, multiple, minimum), (padded_width, padded_height)) in cases {
            let size = padded_size(width, height, multiple, minimum);
            assert_eq!((size.width, size.height), (padded_width, padded_height), "{width}x{height}");
        }
    }

    #[test]
    fn a_known_row() {
        let row = RgbImage::from_fn(3, 1, |x, _| Rgb([x as u8 * 10; 3]));
        let bytes = pad(row, Padded { width: 10, height: 1 });
        let shown: Vec<u8> = bytes.chunks_exact(3).map(|pixel| pixel[0]).collect();
        // Three pixels of margin at the left, four at the right.
        assert_eq!(shown, [10, 20, 10, 0, 10, 20, 10, 0, 10, 20]);
    }

    #[test]
    fn margins_mirror_the_image_and_the_window_comes_back() {
        for (width, height) in [(1, 1), (1, 5), (2, 3), (3, 2), (7, 4), (16, 16)] {
            for (padded_width, padded_height) in [(16, 16), (17, 23), (40, 16)] {
                let image = gradient(width, height);
                let size = Padded { width: padded_width, height: padded_height };
                let bytes = pad(image.clone(), size);
                assert_eq!(bytes.len(), size.bytes());
                let (left, top) = ((padded_width - width) / 2, (padded_height - height) / 2);
                for y in 0..padded_height {
                    for x in 0..padded_width {
                        let source =
                            (bounce(x.abs_diff(left).into(), width), bounce(y.abs_diff(top).into(), height));
                        let at = (y * padded_width + x) as usize * 3;
                        assert_eq!(
                            bytes[at..at + 3],
                            image[source].0,
                            "{width}x{height} in {size:?} at {x},{y}"
                        );
                    }
                }
                assert_eq!(crop(&bytes, size, width, height), image);
            }
        }
    }
}
