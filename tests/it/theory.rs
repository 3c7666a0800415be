//! What a discriminator measures: a small one is trained on two distributions whose distance is known.

use std::f64::consts::{LN_2, PI};

use tch::{Kind, Tensor};
use translate::loss::{Objective, gradient_penalty};
use translate::random::{Purpose, stream, unit_f64};
use translate::train::adam::Adam;

/// So heavy that the best slope, 1 + distance / (2 · weight), is 1 within 1 percent at the distances here.
const PENALTY: f64 = 200.0;
const CROSS_ENTROPY: Objective = Objective::NonSaturating {};
const WASSERSTEIN: Objective = Objective::WganGp { penalty: PENALTY };

/// Numbers that no other test can disturb.
struct Draws(u64);

impl Draws {
    /// `count` numbers from 0 to below 1.
    fn uniform(&mut self, count: i64) -> Tensor {
        self.0 += 1;
        let mut rng = stream(7, Purpose::Mix, self.0);
        Tensor::from_slice(&(0..count).map(|_| unit_f64(&mut rng) as f32).collect::<Vec<_>>()).unsqueeze(1)
    }

    /// `count` numbers of N(mean, 1), by Box and Muller's transform.
    fn normal(&mut self, count: i64, mean: f64) -> Tensor {
        let radius = ((-self.uniform(count) + 1.0).log() * -2.0).sqrt();
        radius * (self.uniform(count) * (2.0 * PI)).cos() + mean
    }
}

/// Numbers `[batch, 1]` to verdicts `[batch, 1]` by two hidden layers of 32.
struct Critic {
    weights: Vec<Tensor>,
    adam: Adam,
}

impl Critic {
    fn new(draws: &mut Draws) -> Self {
        let mut weights = Vec::new();
        for (from, to) in [(1, 32), (32, 32), (32, 1)] {
            let width = 1.0 / (from as f64).sqrt();
            let weight = (draws.uniform(from * to) * 2.0 - 1.0) * width;
            weights.push(weight.reshape([from, to]).set_requires_grad(true));
            weights.push(Tensor::zeros([to], (Kind::Float, tch::Device::Cpu)).set_requires_grad(true));
        }
        let named = weights.iter().enumerate().map(|(i, w)| (i.to_string(), w.shallow_clone())).collect();
        Self { adam: Adam::new(named, [0.5, 0.999]), weights }
    }

    fn judge(&self, xs: &Tensor) -> Tensor {
        let layer = |xs: &Tensor, i: usize| xs.matmul(&self.weights[2 * i]) + &self.weights[2 * i + 1];
        layer(&layer(&layer(xs, 0).tanh(), 1).tanh(), 2)
    }
}

/// What `objective` says of two distributions, drawn from by `sample(draws, how many)`, after so many steps.
fn estimate(
    objective: Objective,
    steps: usize,
    batch: i64,
    sample: impl Fn(&mut Draws, i64) -> [Tensor; 2],
) -> f64 {
    let mut draws = Draws(0);
    let mut critic = Critic::new(&mut draws);
    for step in 0..steps {
        let [real, fake] = sample(&mut draws, batch);
        let mut loss = objective.discriminator(&critic.judge(&real), &critic.judge(&fake));
        if let Objective::WganGp { penalty } = objective {
            let mix = draws.uniform(batch);
            loss += gradient_penalty(|xs| critic.judge(xs), &real, &fake, &mix) * penalty;
        }
        let lr = 0.01 * (1.0 - step as f64 / steps as f64);
        let gradients = critic.adam.gradients(&loss).unwrap();
        critic.adam.update(&gradients, &Tensor::from(lr)).unwrap();
    }
    let [real, fake] = sample(&mut draws, 100_000);
    let loss = tch::no_grad(|| objective.discriminator(&critic.judge(&real), &critic.judge(&fake)));
    objective.divergence(&loss).unwrap().double_value(&[])
}

/// Arjovsky et al. 2017, example 1: as two point masses move apart, the Jensen–Shannon divergence is log 2 at every
/// distance and says nothing, while the Wasserstein distance is the distance.
#[test]
fn point_masses_saturate_one_divergence_and_not_the_other() {
    for distance in [0.5, 1.0, 2.0, 4.0] {
        let sample = |_: &mut Draws, count: i64| {
            let at = |x: f64| Tensor::full([count.min(64), 1], x, (Kind::Float, tch::Device::Cpu));
            [at(0.0), at(distance)]
        };
        let js = estimate(CROSS_ENTROPY, 300, 1, sample);
        assert!((js - LN_2).abs() < 0.01, "at {distance}: {js} nats, not log 2");
        let w = estimate(WASSERSTEIN, 300, 16, sample);
        assert!((w / distance - 1.0).abs() < 0.05, "at {distance}: {w}");
    }
}

/// The Jensen–Shannon divergence of N(0, 1) and N(mean, 1) in nats, by the trapezoidal rule.
fn js_of_gaussians(mean: f64) -> f64 {
    const STEP: f64 = 1e-3;
    let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * PI).sqrt();
    let at = |i: i32| {
        let x = f64::from(i) * STEP;
        let (p, q) = (density(x), density(x - mean));
        let middle = f64::midpoint(p, q);
        f64::midpoint(p * (p / middle).ln(), q * (q / middle).ln())
    };
    (-10_000..=10_000).map(at).sum::<f64>() * STEP
}

/// Within 0.01 nats and 3 percent: what 100 000 samples and the penalty's bias leave.
#[test]
fn gaussians_give_the_divergences_that_are_computed() {
    for mean in [0.5, 1.5] {
        let sample = |draws: &mut Draws, count: i64| [draws.normal(count, 0.0), draws.normal(count, mean)];
        let (js, expected) = (estimate(CROSS_ENTROPY, 400, 512, sample), js_of_gaussians(mean));
        assert!((js - expected).abs() < 0.01, "mean {mean}: {js} nats, computed {expected}");
        // Equal variances: the distance of the means.
        let w = estimate(WASSERSTEIN, 400, 512, sample);
        assert!((w / mean - 1.0).abs() < 0.03, "mean {mean}: {w}");
    }
}
