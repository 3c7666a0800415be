//! Applying a network to folders of images of any sizes and formats.
//!
//! `plan` decides before any work starts which file becomes which (`case`: on what file systems two are one),
//! `shard` which of them are this process's where several translate,
//! `pad` brings an image to a size the network takes and back, `batch` groups images of equal size, `worker`
//! decodes and writes one image, `pipeline` runs it all at once. Nothing here knows a tensor: the network is a
//! closure over bytes.

pub mod batch;
mod case;
pub mod pad;
pub mod pipeline;
pub mod plan;
pub mod shard;
mod worker;
