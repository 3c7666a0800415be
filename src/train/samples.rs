//! Sample grids: the same fixed inputs again and again, each beside its translation and its reconstruction.

use std::path::Path;

use image::RgbImage;
use indexmap::IndexMap;
use tch::Tensor;

use crate::data::convert::{from_bytes, to_images};
use crate::data::encode::{EncodeError, Format, encode};
use crate::data::grid::grid;
use crate::nets::Graph;
use crate::recipe::Space;

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

/// Draws the grid into `folder/<images>.png`.
///
/// # Errors
/// The file cannot be written.
pub fn write(folder: &Path, images: u64, graph: &Graph, inputs: &Inputs) -> Result<(), EncodeError> {
    encode(&draw(graph, inputs), Format::Png, &folder.join(format!("{images:09}.png")))
}
