//! Sample grids: the same fixed inputs again and again. An image stands beside its translation, its reconstruction and
//! its pair, as far as there are any; what is drawn from noise fills a square, or has one row a class or caption.

use std::path::Path;

use image::RgbImage;
use indexmap::IndexMap;
use tch::{Device, Tensor};

use crate::data::condition::Conditioned;
use crate::data::convert::{from_bytes, to_images};
use crate::data::encode::{EncodeError, Format, encode};
use crate::data::grid::grid;
use crate::data::noise::noise;
use crate::nets::{GeneratorNode, Graph};
use crate::random::Purpose;
use crate::recipe::{Recipe, Space};
use crate::words::plain;

/// What every grid of a run shows.
#[derive(Debug)]
pub struct Inputs {
    /// By space: images in [-1, 1], `[count, 3, size, size]`, or noise `[columns · columns, width]`.
    samples: IndexMap<Space, Tensor>,
    /// By conditioned space: the condition of each row.
    conditions: IndexMap<Space, Tensor>,
    /// What each row is of, where rows have conditions: that of each conditioned space, with a tab between.
    pub rows: Vec<String>,
    /// Whether image n of both spaces is a pair.
    paired: bool,
    /// Columns of what is drawn from noise.
    columns: usize,
}

/// Puts fixed crops (of each image space, `[size, size, 3]` bytes each) on the device, and draws noise.
pub fn inputs(
    recipe: &Recipe,
    conditioned: &IndexMap<Space, Conditioned>,
    crops: &[Vec<Vec<u8>>],
    device: Device,
) -> Inputs {
    let (size, columns) = (recipe.data.size, recipe.sample.count);
    let tensor = |crops: &Vec<Vec<u8>>| from_bytes(&crops.concat(), crops.len(), size, size, device);
    let mut samples: IndexMap<Space, Tensor> =
        recipe.spaces().into_iter().zip(crops.iter().map(tensor)).collect();
    if let Some(width) = recipe.noise() {
        let drawn = noise(recipe.train.seed, Purpose::Sample, 0, columns * columns, width, device);
        samples.insert(Space::Z, drawn);
    }
    let fixed: IndexMap<Space, Vec<Vec<i64>>> =
        conditioned.iter().map(|(space, side)| (*space, side.fixed(columns))).collect();
    let rows =
        |(space, side): (&Space, &Conditioned)| (*space, side.known.tensor(&fixed[space]).to_device(device));
    Inputs {
        samples,
        conditions: conditioned.iter().map(rows).collect(),
        rows: in_words(conditioned, &fixed),
        paired: recipe.data.paired,
        columns,
    }
}

/// One line a row, whatever the classes' folders are called.
fn in_words(
    conditioned: &IndexMap<Space, Conditioned>,
    fixed: &IndexMap<Space, Vec<Vec<i64>>>,
) -> Vec<String> {
    let count = fixed.values().map(Vec::len).max().unwrap_or(0);
    let one = |side: &Conditioned, row: Option<&Vec<i64>>| {
        row.map(|row| plain(&side.known.in_words(row))).unwrap_or_default()
    };
    let row = |i: usize| {
        conditioned.iter().map(|(space, side)| one(side, fixed[space].get(i))).collect::<Vec<_>>().join("\t")
    };
    (0..count).map(row).collect()
}

/// Draws the grid, one group of columns a generator.
pub fn draw(graph: &Graph, inputs: &Inputs) -> RgbImage {
    let mut columns: Vec<Vec<RgbImage>> = Vec::new();
    let mut starts = Vec::new();
    tch::no_grad(|| {
        for node in graph.generators.values() {
            starts.push(columns.len());
            columns.extend(match node.from {
                Space::Z => drawn(node, inputs),
                _ => translated(graph, node, inputs),
            });
        }
    });
    grid(&columns, &starts)
}

/// What is drawn from noise, row by row: a square; or for each condition the same noise again.
fn drawn(node: &GeneratorNode, inputs: &Inputs) -> Vec<Vec<RgbImage>> {
    let noise = &inputs.samples[&Space::Z];
    let pictures = match inputs.conditions.get(&node.to) {
        None => node.net.forward(noise, false),
        Some(rows) => {
            let (columns, count) = (inputs.columns as i64, rows.size()[0]);
            let noise = noise.narrow(0, 0, columns).repeat([count, 1]);
            node.net.forward_given(&noise, Some(&rows.repeat_interleave_self_int(columns, 0, None)), false)
        }
    };
    let pictures = to_images(&pictures);
    let column = |i: usize| pictures.iter().skip(i).step_by(inputs.columns).cloned().collect();
    (0..inputs.columns).map(column).collect()
}

/// Columns of sources, translations, reconstructions where another generator leads back, and pairs; one row an image.
fn translated(graph: &Graph, node: &GeneratorNode, inputs: &Inputs) -> Vec<Vec<RgbImage>> {
    let source = &inputs.samples[&node.from];
    let translation = node.net.forward(source, false);
    let mut columns = vec![to_images(source), to_images(&translation)];
    let back = graph.generators.values().find(|back| back.from == node.to && back.to == node.from);
    columns.extend(back.map(|back| to_images(&back.net.forward(&translation, false))));
    columns.extend(inputs.paired.then(|| to_images(&inputs.samples[&node.to])));
    columns
}

/// Draws the grid into `folder/<images>.png`.
///
/// # Errors
/// The file cannot be written.
pub fn write(folder: &Path, images: u64, graph: &Graph, inputs: &Inputs) -> Result<(), EncodeError> {
    encode(&draw(graph, inputs), Format::Png, &folder.join(format!("{images:09}.png")))
}
