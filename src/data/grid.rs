//! Pictures side by side on one canvas.

use image::RgbImage;

/// White pixels between pictures, and twice as many between groups.
const GAP: u32 = 2;

/// Lays columns of equal-sized pictures side by side, with a wider gap before each of `starts`.
pub fn grid(columns: &[Vec<RgbImage>], starts: &[usize]) -> RgbImage {
    let (width, height) = columns.iter().flatten().next().map_or((1, 1), RgbImage::dimensions);
    let rows = columns.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let groups = starts.len() as u32;
    let size = (columns.len() as u32 * (width + GAP) + groups * GAP, (rows * (height + GAP) + GAP).max(1));
    let mut canvas = RgbImage::from_pixel(size.0, size.1, image::Rgb([255; 3]));
    let mut left = 0;
    for (i, column) in columns.iter().enumerate() {
        left += if starts.contains(&i) { GAP } else { 0 };
        for (row, picture) in (0..).zip(column) {
            let top = GAP + row * (height + GAP);
            image::imageops::replace(&mut canvas, picture, i64::from(left), i64::from(top));
        }
        left += width + GAP;
    }
    canvas
}
