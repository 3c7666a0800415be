//! Sample grids: the same fixed inputs at every tick, each beside its translation and its reconstruction.

use std::path::Path;

use image::RgbImage;
use indexmap::IndexMap;
use tch::Tensor;

use crate::data::convert::{from_bytes, to_images};
use crate::data::encode::{EncodeError, Format, encode};
use crate::nets::Graph;
use crate::recipe::Space;

/// White pixels between pictures, and twice as many between directions.
const GAP: u32 = 2;

/// The fixed inputs of every space: images in [-1, 1], `[count, 3, size, size]`.
pub type Inputs = IndexMap<Space, Tensor>;

/// Puts fixed crops (`[size, size, 3]` bytes each) on the device.
pub fn inputs(crops: &[(Space, Vec<Vec<u8>>)], size: u32, device: tch::Device) -> Inputs {
    let tensor = |crops: &Vec<Vec<u8>>| from_bytes(&crops.concat(), crops.len(), size, size, device);
    crops.iter().map(|(space, crops)| (*space, tensor(crops))).collect()
}

/// Draws the grid: for each generator, columns of sources, translations and, where another one leads back,
/// reconstructions; one row an image.
pub fn draw(graph: &Graph, inputs: &Inputs) -> RgbImage {
    let mut columns: Vec<Vec<RgbImage>> = Vec::new();
    let mut starts = Vec::new();
    tch::no_grad(|| {
        for node in graph.generators.values() {
            let source = &inputs[&node.from];
            let translation = node.net.forward(source, false);
            starts.push(columns.len());
            columns.push(to_images(source));
            columns.push(to_images(&translation));
            let back = graph.generators.values().find(|back| back.from == node.to && back.to == node.from);
            if let Some(back) = back {
                columns.push(to_images(&back.net.forward(&translation, false)));
            }
        }
    });
    grid(&columns, &starts)
}

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

/// Draws the grid into `folder/<images>.png`.
///
/// # Errors
/// The file cannot be written.
pub fn write(folder: &Path, images: u64, graph: &Graph, inputs: &Inputs) -> Result<(), EncodeError> {
    encode(&draw(graph, inputs), Format::Png, &folder.join(format!("{images:09}.png")))
}
