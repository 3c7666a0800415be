//! A 3×3 convolution of stride 1 behind a mirrored border, which generators are mostly made of.

use tch::nn::{Conv2D, Module as _};
use tch::{TchError, Tensor};

use super::layers::reflect;
use crate::torch::Winograd;

/// Channels in and out from which on tiles pay: 1.5 times as fast on an AVX-512 core at 32, 1.1 times at 16.
const LEAST_CHANNELS: i64 = 32;

/// A built one.
#[derive(Debug)]
pub(super) struct Mirrored {
    layer: Conv2D,
    /// The same by tiles, once [`prepare`](Self::prepare)d.
    tiles: Option<Winograd>,
}

impl Mirrored {
    /// Takes over a convolution that adds no border of its own.
    pub(super) const fn new(layer: Conv2D) -> Self {
        Self { layer, tiles: None }
    }

    /// Makes it ready to be applied to many images, with the weights as they are now.
    pub(super) fn prepare(&mut self) -> Result<(), TchError> {
        let [to, from, ..] = self.layer.ws.size()[..] else { return Ok(()) };
        if from.min(to) >= LEAST_CHANNELS {
            self.tiles = Some(Winograd::new(&self.layer.ws, self.layer.bs.as_ref())?);
        }
        Ok(())
    }

    /// Its weights.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &Tensor> {
        std::iter::once(&self.layer.ws).chain(&self.layer.bs)
    }

    /// `[batch, from, height, width]` to `[batch, to, height, width]`.
    pub(super) fn forward(&self, xs: &Tensor) -> Tensor {
        match &self.tiles {
            Some(tiles) => tiles.forward(xs),
            None => self.layer.forward(&reflect(xs, 1)),
        }
    }
}
