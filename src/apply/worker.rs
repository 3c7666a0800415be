//! What the threads beside the network do with one image: decode and pad it, crop and write it.

use std::fs;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::batch::{Batch, Decoded, Source};
use super::pad::{Padded, crop, pad};
use super::pipeline::PipelineOptions;
use super::plan::Item;
use crate::data::decode::{decode, probe};
use crate::data::encode::encode;
use crate::panics::catch;

/// An image to decode, and where the run waits for it.
pub(super) struct Read<'p> {
    pub item: &'p Item,
    pub reply: Sender<Result<Decoded, String>>,
}

impl Read<'_> {
    pub fn perform(self, options: &PipelineOptions) {
        // Nobody waits any more when the run was stopped.
        let _ = self.reply.send(read(self.item, options));
    }
}

fn read(item: &Item, options: &PipelineOptions) -> Result<Decoded, String> {
    let image = decode(&item.input).map_err(|error| error.problem.to_string())?;
    let (width, height) = image.dimensions();
    let size = options.padded_size(width, height);
    Ok(Decoded { width, height, size, pixels: pad(image, size) })
}

/// What an image will cost in memory, in padded pixels, by its header. One whose header cannot be read costs
/// nothing: decoding will say why.
pub(super) fn cost(item: &Item, options: &PipelineOptions) -> u64 {
    probe(&item.input).map_or(0, |(width, height)| options.padded_size(width, height).pixels())
}

/// One image of a translated batch, to be cropped and written.
pub(super) struct Write<'p> {
    pub source: Source<'p>,
    pub width: u32,
    pub height: u32,
    pub batch: Arc<Batch>,
    pub position: usize,
}

impl<'p> Write<'p> {
    pub fn perform(self) -> Written<'p> {
        // A report that never comes would leave the run waiting, so even an encoder's panic has to become
        // one.
        let result = catch(|| self.write())
            .unwrap_or_else(|_| Err("its encoder failed: choose another format".into()));
        Written { source: self.source, result }
    }

    fn write(&self) -> Result<(), String> {
        let Item { output, format, .. } = self.source.item;
        if let Some(folder) = output.parent() {
            fs::create_dir_all(folder).map_err(|error| {
                format!("cannot make folder `{}` ({error}): check its permissions", folder.display())
            })?;
        }
        let size = Padded { width: self.batch.width, height: self.batch.height };
        let image = crop(&self.batch.pixels[self.position * size.bytes()..], size, self.width, self.height);
        encode(&image, *format, output).map_err(|error| error.to_string())
    }
}

/// What became of a [`Write`].
pub(super) struct Written<'p> {
    pub source: Source<'p>,
    pub result: Result<(), String>,
}
