//! One direction of a model, ready to translate batches of bytes.

use tch::Device;

use super::{Model, ModelError};
use crate::apply::batch::Batch;
use crate::data::convert::{from_bytes, to_bytes};
use crate::device;
use crate::nets::Network;
use crate::recipe::Arithmetic;
use crate::torch::{TorchError, guard};

/// One generator of a model on its device.
#[derive(Debug)]
pub struct Translator<'m> {
    net: &'m Network,
    domain: &'m str,
    stride: u32,
    least_size: u32,
    device: Device,
}

impl Model {
    /// Makes the generator of [`Self::translator`] ready for many images, see [`Network::prepare`].
    ///
    /// # Errors
    /// The model does not make it, or libtorch's.
    pub fn prepare(
        &mut self,
        to: Option<&str>,
        precision: Arithmetic,
        device: Device,
    ) -> Result<(), ModelError> {
        let name = self.generator_to(to)?.0.to_string();
        self.prepare_generator(&name, precision, device)
    }

    /// The way to the domain called `to`, by default the last one's (the second folder).
    ///
    /// # Errors
    /// The model does not make it.
    pub fn translator(&self, to: Option<&str>, device: Device) -> Result<Translator<'_>, ModelError> {
        let (name, node) = self.generator_to(to)?;
        let net = &self.recipe.generators[name].net;
        let domain = &self.domains[&node.to];
        Ok(Translator { net: &node.net, domain, stride: net.stride(), least_size: net.least_size(), device })
    }
}

impl Translator<'_> {
    /// The domain that it makes.
    pub fn domain(&self) -> &str {
        self.domain
    }

    /// What both sides of a batch must be divisible by.
    pub fn stride(&self) -> u32 {
        self.stride
    }

    /// The shortest side that the network takes.
    pub fn least_size(&self) -> u32 {
        self.least_size
    }

    /// Translates a batch whose sides [`Self::stride`] divides.
    ///
    /// # Errors
    /// libtorch's, such as memory that does not suffice.
    pub fn translate(&self, batch: &Batch) -> Result<Batch, TorchError> {
        let pixels = guard(&device::name(self.device), || {
            tch::no_grad(|| {
                let images = from_bytes(&batch.pixels, batch.count, batch.height, batch.width, self.device);
                to_bytes(&self.net.forward(&images, false))
            })
        })?;
        Ok(Batch { pixels, count: batch.count, height: batch.height, width: batch.width })
    }
}
