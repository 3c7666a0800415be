//! Calls of one network on several tensors, joined where that changes nothing.

use tch::Tensor;

use crate::nets::Network;

/// What a network is given: samples, and their conditions where there are any.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    samples: &'a Tensor,
    condition: Option<&'a Tensor>,
}

impl<'a> Shown<'a> {
    pub(super) const fn new(samples: &'a Tensor, condition: Option<&'a Tensor>) -> Self {
        Self { samples, condition }
    }
}

/// The network on samples of the same size, in their order: in one call where images do not influence each other. Either
/// all have conditions or none.
pub(super) fn forward_all(net: &Network, first: Shown<'_>, others: &[Shown<'_>]) -> Vec<Tensor> {
    let all = || std::iter::once(&first).chain(others);
    if others.is_empty() || !net.is_per_image() {
        return all().map(|shown| net.forward_given(shown.samples, shown.condition, true)).collect();
    }
    let samples: Vec<&Tensor> = all().map(|shown| shown.samples).collect();
    let conditions: Vec<&Tensor> = all().filter_map(|shown| shown.condition).collect();
    let condition = (!conditions.is_empty()).then(|| Tensor::cat(&conditions, 0));
    let sizes: Vec<i64> = samples.iter().map(|samples| samples.size()[0]).collect();
    let joined = net.forward_given(&Tensor::cat(&samples, 0), condition.as_ref(), true);
    joined.split_with_sizes(sizes, 0)
}
