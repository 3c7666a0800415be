//! The terms of the losses, and sums over the parts of a batch.

use indexmap::IndexMap;
use tch::Tensor;

use crate::torch::sum_kind;

/// The loss terms of a step by name, scalars on the device, without weights: `adversarial.<generator>`,
/// `cycle.<space>`, `identity.<generator>`, `paired.<generator>`, `discriminator.<space>`, `penalty.<space>`, `r1.<space>`; and
/// `divergence.<space>`, what the discriminator's loss says of the distance between real images and fakes.
pub type Terms = IndexMap<String, Tensor>;

/// Sums of tensors over the parts of a batch.
#[derive(Default)]
pub(super) struct Sums(pub(super) Vec<Tensor>);

impl Sums {
    pub(super) fn add(&mut self, tensors: Vec<Tensor>) {
        if self.0.is_empty() {
            self.0 = tensors;
        } else {
            self.0.iter_mut().zip(tensors).for_each(|(sum, tensor)| *sum += tensor);
        }
    }

    /// Divided by the number of parts.
    pub(super) fn means(self, parts: usize) -> Vec<Tensor> {
        if parts == 1 { self.0 } else { self.0.into_iter().map(|sum| sum / parts as f64).collect() }
    }
}

/// Adds a part's term to those of the parts before it.
pub(super) fn add_term(terms: &mut Terms, name: String, term: &Tensor) {
    let term = term.detach();
    match terms.get_mut(&name) {
        Some(sum) => *sum = &*sum + term,
        None => _ = terms.insert(name, term),
    }
}

/// The sum of scalars.
pub(super) fn sum(terms: &[Tensor]) -> Tensor {
    Tensor::stack(terms, 0).sum(sum_kind(&terms[0]))
}
