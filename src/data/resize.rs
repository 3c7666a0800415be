//! Brings images to the size that samples are cropped from, with Pillow's bicubic filter.

pub use fast_image_resize::ResizeError;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A strip longer than this many times its width is cut to its middle before it is scaled by
/// [`Resize::Cover`], so that one very long image cannot take up the memory of a thousand others.
const LONGEST_STRIP: u32 = 8;

/// How an image of any shape comes to the size that samples are cropped from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// Both sides become the load size; the aspect ratio is lost. What the reference `CycleGAN` does.
    #[default]
    Stretch,
    /// The shorter side becomes the load size and the aspect ratio stays; the crop cuts the rest.
    Cover,
}

impl Resize {
    /// The (width, height) that an image of `width` x `height` pixels comes to.
    pub fn target(self, width: u32, height: u32, load_size: u32) -> (u32, u32) {
        let short = u64::from(width.min(height).max(1));
        let side = |length: u32| {
            let scaled = (u64::from(length) * u64::from(load_size) + short / 2) / short;
            scaled.min(u64::from(LONGEST_STRIP) * u64::from(load_size)) as u32
        };
        match self {
            Self::Stretch => (load_size, load_size),
            Self::Cover => (side(width), side(height)),
        }
    }

    /// Resizes `image` to [`target`](Self::target).
    ///
    /// # Errors
    /// See [`resize`].
    pub fn apply(self, image: &RgbImage, load_size: u32) -> Result<RgbImage, ResizeError> {
        let (width, height) = image.dimensions();
        let (to_width, to_height) = self.target(width, height, load_size);
        let longest = width.min(height).saturating_mul(LONGEST_STRIP);
        if self == Self::Cover && width.max(height) > longest {
            let (w, h) = (width.min(longest), height.min(longest));
            let middle = image::imageops::crop_imm(image, (width - w) / 2, (height - h) / 2, w, h);
            return resize(&middle.to_image(), to_width, to_height);
        }
        resize(image, to_width, to_height)
    }
}

/// Resizes to `width` x `height` pixels: bicubic convolution with a = -0.5, its support widened when the
/// image shrinks, as Pillow's `BICUBIC` does. 99 values in 100 are exactly those of Pillow before 13, the
/// others are off by 1 or 2.
///
/// # Errors
/// Only where the filter and the image library disagree on an image's bytes.
pub fn resize(image: &RgbImage, width: u32, height: u32) -> Result<RgbImage, ResizeError> {
    if image.dimensions() == (width, height) {
        return Ok(image.clone());
    }
    let mut resizer = Resizer::new();
    // Each pass rounds and clamps to 8 bits, so their order shows in the result. Rows first is that of
    // Pillow before 13; since then it goes by size.
    let wide = bicubic(&mut resizer, image, width, image.height())?;
    bicubic(&mut resizer, &wide, width, height)
}

/// One pass. The pixel type is spelled out: the crate's untyped way in compiles every other type too, for
/// minutes.
fn bicubic(
    resizer: &mut Resizer,
    image: &RgbImage,
    width: u32,
    height: u32,
) -> Result<RgbImage, ResizeError> {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    let mut result = RgbImage::new(width, height);
    let mismatch = |_| ResizeError::PixelTypesAreDifferent;
    let source = TypedImageRef::<U8x3>::from_buffer(image.width(), image.height(), image.as_raw());
    let mut target = TypedImage::<U8x3>::from_buffer(width, height, &mut result).map_err(mismatch)?;
    resizer.resize_typed(&source.map_err(mismatch)?, &mut target, &options)?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    // What Pillow 12.3 makes of an image with hard edges, where the filter overshoots and each pass is
    // clamped:
    //   y, x, c = np.mgrid[0:7, 0:9, 0:3]
    //   a = np.where((x*x + 3*y + x*y + c) % 3 == 0, 255, (x*37 + y*91 + c*53) % 64).astype(np.uint8)
    //   for size in [(4, 10), (12, 3)]:
    //       print(np.asarray(Image.fromarray(a).resize(size, Image.BICUBIC)).ravel().tolist())
    #[rustfmt::skip]
    const PILLOW_4_X_10: [u8; 120] = [
        115, 40, 181, 101, 33, 177, 107, 25, 182, 60, 34, 218, 129, 86, 92, 152, 76, 99, 155, 62, 104, 116,
        93, 111, 163, 114, 8, 194, 117, 22, 197, 104, 31, 171, 143, 11, 205, 74, 17, 174, 111, 27, 182, 117,
        41, 169, 122, 25, 152, 29, 139, 128, 55, 141, 115, 63, 148, 101, 49, 165, 128, 54, 147, 132, 49,
        138, 117, 58, 143, 102, 51, 172, 158, 129, 37, 180, 96, 21, 182, 108, 27, 172, 125, 41, 206, 101,
        28, 183, 110, 17, 168, 117, 11, 184, 138, 21, 166, 63, 96, 152, 68, 104, 134, 74, 100, 125, 92, 119,
        103, 38, 167, 120, 20, 193, 106, 27, 196, 62, 41, 225,
    ];
    #[rustfmt::skip]
    const PILLOW_12_X_3: [u8; 108] = [
        255, 31, 19, 130, 88, 81, 61, 115, 114, 118, 82, 105, 246, 46, 38, 139, 96, 85, 83, 112, 122, 145,
        68, 122, 249, 26, 35, 127, 99, 76, 75, 125, 110, 124, 84, 118, 255, 20, 37, 158, 74, 85, 84, 110,
        114, 102, 93, 107, 244, 39, 28, 150, 81, 83, 78, 120, 115, 107, 107, 100, 245, 40, 45, 154, 73, 84,
        97, 105, 111, 112, 101, 114, 255, 38, 25, 160, 70, 85, 83, 111, 123, 90, 118, 121, 243, 30, 41, 170,
        50, 78, 85, 96, 111, 73, 111, 111, 242, 49, 35, 173, 68, 89, 100, 108, 125, 72, 129, 121,
    ];

    fn edges() -> RgbImage {
        let value = |x: u32, y: u32, c: u32| {
            if (x * x + 3 * y + x * y + c).is_multiple_of(3) { 255 } else { (x * 37 + y * 91 + c * 53) % 64 }
        };
        RgbImage::from_fn(9, 7, |x, y| Rgb([0, 1, 2].map(|c| value(x, y, c) as u8)))
    }

    #[test]
    fn numbers_are_those_of_pillow() {
        // Passes in the other order would be off by 11 somewhere in the first of these.
        for (width, height, expected) in [(4, 10, &PILLOW_4_X_10[..]), (12, 3, &PILLOW_12_X_3[..])] {
            let ours = resize(&edges(), width, height).unwrap();
            let worst = ours.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(
                worst <= Some(1) && ours.len() == expected.len(),
                "{width} x {height}: {worst:?} {ours:?}"
            );
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        assert_eq!(resize(&edges(), 9, 7).unwrap(), edges());
    }

    #[test]
    fn targets_keep_or_lose_the_aspect_ratio() {
        assert_eq!(Resize::Stretch.target(300, 200, 286), (286, 286));
        assert_eq!(Resize::Cover.target(300, 200, 286), (429, 286));
        assert_eq!(Resize::Cover.target(200, 300, 286), (286, 429));
        // 333 * 64 / 100 = 213.12, 337 * 64 / 100 = 215.68.
        assert_eq!(Resize::Cover.target(333, 100, 64), (213, 64));
        assert_eq!(Resize::Cover.target(100, 337, 64), (64, 216));
        assert_eq!(Resize::Cover.target(1, 1, 64), (64, 64));
    }

    #[test]
    fn a_very_long_strip_is_cut_to_its_middle() {
        assert_eq!(Resize::Cover.target(1000, 1, 10), (80, 10));
        let strip = RgbImage::from_fn(100, 2, |x, _| Rgb([if (42..58).contains(&x) { 200 } else { 10 }; 3]));
        let covered = Resize::Cover.apply(&strip, 4).unwrap();
        assert_eq!(covered, RgbImage::from_pixel(32, 4, Rgb([200; 3])));
        let upright = Resize::Cover.apply(&image::imageops::rotate90(&strip), 4).unwrap();
        assert_eq!(upright, RgbImage::from_pixel(4, 32, Rgb([200; 3])));
    }
}
