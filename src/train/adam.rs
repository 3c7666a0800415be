//! Adam (Kingma & Ba 2015) over our own moment tensors, so that they can be saved and restored exactly.

use tch::{Device, Kind, TchError, Tensor};

use crate::torch::{AdamRates, fused_adam, upload};

const EPS: f64 = 1e-8;

/// One optimizer over a list of parameters.
#[derive(Debug)]
pub struct Adam {
    names: Vec<String>,
    params: Vec<Tensor>,
    exp_avgs: Vec<Tensor>,
    exp_avg_sqs: Vec<Tensor>,
    steps: Vec<Tensor>,
    betas: [f64; 2],
}

impl Adam {
    /// Zero moments for the named `params`, which stay shared with their network.
    pub fn new(params: Vec<(String, Tensor)>, betas: [f64; 2]) -> Self {
        let (names, params): (Vec<_>, Vec<_>) = params.into_iter().unzip();
        let zeros =
            || params.iter().map(Tensor::zeros_like).map(|m| m.set_requires_grad(false)).collect::<Vec<_>>();
        let steps = params.iter().map(|p| Tensor::zeros([], (Kind::Float, p.device()))).collect();
        Self { exp_avgs: zeros(), exp_avg_sqs: zeros(), steps, names, params, betas }
    }

    /// Differentiates the scalar `loss` by every parameter. Parameters of networks that are not this optimizer's get no
    /// gradient, so nothing has to be frozen.
    ///
    /// # Errors
    /// libtorch's.
    pub fn gradients(&self, loss: &Tensor) -> Result<Vec<Tensor>, TchError> {
        Tensor::f_run_backward(&[loss], &self.params, false, false)
    }

    /// The learning rate as [`Self::update`] takes it: where kernels read it themselves, in their kind of number.
    pub fn rate(lr: f64, device: Device) -> Tensor {
        let kind = if device == Device::Cpu { Kind::Double } else { Kind::Float };
        upload(Tensor::from(lr).to_kind(kind), device)
    }

    /// Updates every parameter by its gradient, at the learning rate of [`Self::rate`]. It is a tensor, so that an update can be
    /// recorded and done again at another.
    ///
    /// # Errors
    /// libtorch's.
    pub fn update(&mut self, grads: &[Tensor], lr: &Tensor) -> Result<(), TchError> {
        tch::no_grad(|| {
            let rates = AdamRates { lr, betas: self.betas, eps: EPS };
            fused_adam(&self.params, grads, &self.exp_avgs, &self.exp_avg_sqs, &self.steps, rates)
        })
    }

    /// Brings every parameter within ±`most`.
    pub fn clamp(&self, most: f64) {
        for parameter in &self.params {
            let _ = parameter.shallow_clone().clamp_(-most, most);
        }
    }

    /// The moments and counters for a checkpoint: `exp_avg.<parameter>`, `exp_avg_sq.<parameter>`, `step.<parameter>`.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let lists = [("exp_avg", &self.exp_avgs), ("exp_avg_sq", &self.exp_avg_sqs), ("step", &self.steps)];
        let named = |(name, list): (&'static str, &Vec<Tensor>)| {
            let one = move |(of, t): (&String, &Tensor)| (format!("{name}.{of}"), t.shallow_clone());
            self.names.iter().zip(list).map(one).collect::<Vec<_>>()
        };
        lists.into_iter().flat_map(named).collect()
    }
}
