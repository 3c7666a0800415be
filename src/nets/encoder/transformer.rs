//! A caption read by the encoder of Vaswani et al. 2017 (<https://arxiv.org/abs/1706.03762>) with the norms before the
//! layers (Xiong et al. 2020, <https://arxiv.org/abs/2002.04745>), averaged over its words. Without dropout.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::{self, Path};
use tch::{Device, Kind, Tensor};

use super::{are_words, uniform, words};
use crate::nets::Shapes;
use crate::torch::sum_kind;

/// The fields of an encoder of `kind: transformer`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Length of the vector that stands for a word, and of the result.
    pub width: i64,
    /// Attentions side by side in a layer, each to its part of the width; a divisor of it.
    pub heads: i64,
    /// Layers of attention.
    pub layers: usize,
    /// Features between the two linear maps that end a layer.
    pub feed_forward: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self { width: 128, heads: 4, layers: 2, feed_forward: 256 }
    }
}

impl Config {
    /// Its large weights, of `tokens` tokens.
    pub(super) fn large_weights(&self, tokens: i64) -> Shapes {
        let layer = |i: usize| {
            [
                (format!("layers.{i}.self_attn.in_proj_weight"), vec![3 * self.width, self.width]),
                (format!("layers.{i}.linear1.weight"), vec![self.feed_forward, self.width]),
            ]
        };
        let table = ("embedding.weight".to_string(), vec![tokens, self.width]);
        std::iter::once(table).chain((0..self.layers).flat_map(layer)).collect()
    }
}

fn linear(p: &Path, from: i64, to: i64, bias: nn::Init) -> nn::Linear {
    nn::linear(p, from, to, nn::LinearConfig { ws_init: uniform(from), bs_init: Some(bias), bias: true })
}

fn layer_norm(p: &Path, width: i64) -> nn::LayerNorm {
    nn::layer_norm(p, vec![width], nn::LayerNormConfig::default())
}

#[derive(Debug)]
struct Attention {
    weight: Tensor,
    bias: Tensor,
    out: nn::Linear,
    heads: i64,
}

impl Attention {
    fn new(p: &Path, width: i64, heads: i64) -> Self {
        // Xavier's bound for the one matrix of queries, keys and values.
        let bound = (6.0 / (4 * width) as f64).sqrt();
        Self {
            weight: p.var("in_proj_weight", &[3 * width, width], nn::Init::Uniform { lo: -bound, up: bound }),
            bias: p.var("in_proj_bias", &[3 * width], nn::Init::Const(0.0)),
            out: linear(&(p / "out_proj"), width, width, nn::Init::Const(0.0)),
            heads,
        }
    }

    /// `[batch, length, width]` to the same; `hidden`, `[batch, 1, 1, length]`, are the positions that none looks at.
    fn forward(&self, xs: &Tensor, hidden: &Tensor) -> Tensor {
        let part = xs.size()[2] / self.heads;
        // [3, batch, heads, length, part]
        let all = xs.linear(&self.weight, Some(&self.bias)).unflatten(-1, [3, self.heads, part]);
        let all = all.permute([2, 0, 3, 1, 4]);
        let [queries, keys, values] = [0, 1, 2].map(|i| all.get(i));
        let scores = queries.matmul(&keys.transpose(-2, -1)) / (part as f64).sqrt();
        // Not −∞, of which a row without a word would make NaN.
        let shares = scores.masked_fill(hidden, f64::from(f32::MIN)).softmax(-1, sum_kind(&scores));
        shares.matmul(&values).transpose(1, 2).flatten(2, 3).apply(&self.out)
    }
}

#[derive(Debug)]
struct Layer {
    norms: [nn::LayerNorm; 2],
    attention: Attention,
    feed_forward: [nn::Linear; 2],
}

impl Layer {
    fn new(p: &Path, config: &Config) -> Self {
        let (width, inner) = (config.width, config.feed_forward);
        Self {
            norms: ["norm1", "norm2"].map(|name| layer_norm(&(p / name), width)),
            attention: Attention::new(&(p / "self_attn"), width, config.heads),
            feed_forward: [("linear1", width, inner), ("linear2", inner, width)]
                .map(|(name, from, to)| linear(&(p / name), from, to, uniform(from))),
        }
    }

    fn forward(&self, xs: &Tensor, hidden: &Tensor) -> Tensor {
        let [before_attention, before_feed_forward] = &self.norms;
        let [first, second] = &self.feed_forward;
        let xs = xs + self.attention.forward(&xs.apply(before_attention), hidden);
        let change = xs.apply(before_feed_forward).apply(first).relu().apply(second);
        xs + change
    }
}

/// A built encoder.
#[derive(Debug)]
pub struct Transformer {
    embedding: nn::Embedding,
    layers: Vec<Layer>,
    norm: nn::LayerNorm,
    width: i64,
}

/// Builds the encoder of `tokens` tokens, padding included, below `p`.
pub fn transformer(p: &Path, config: &Config, tokens: i64) -> Transformer {
    let layers = p / "layers";
    Transformer {
        embedding: words(&(p / "embedding"), tokens, config.width),
        layers: (0..config.layers).map(|i| Layer::new(&(&layers / i), config)).collect(),
        norm: layer_norm(&(p / "norm"), config.width),
        width: config.width,
    }
}

impl Transformer {
    /// int64 tokens `[batch, length]` with padding at the end to the words' mean, `[batch, width]`. Without a word that
    /// is zeros.
    pub fn forward(&self, tokens: &Tensor) -> Tensor {
        let words = are_words(tokens);
        let hidden = words.logical_not().unsqueeze(1).unsqueeze(1);
        // Both are about 1 in size: words are N(0, 1) here, where the paper multiplies smaller ones by the width's root.
        let words_alone = tokens.apply(&self.embedding);
        // Traced, they are computed where they were traced, and go where the words are.
        let places = positions(tokens.size()[1], self.width, tokens.device()).type_as(&words_alone);
        let mut xs = words_alone + places;
        for layer in &self.layers {
            xs = layer.forward(&xs, &hidden);
        }
        let words = words.unsqueeze(-1).type_as(&xs);
        let sum = (xs.apply(&self.norm) * &words).sum_dim_intlist(1i64, false, sum_kind(&xs));
        sum / words.sum_dim_intlist(1i64, false, sum_kind(&words)).clamp_min(1.0)
    }

    /// The length of a vector.
    pub const fn width(&self) -> i64 {
        self.width
    }
}

/// Sines and cosines by turns, `[length, width]`, of wavelengths from 2π to 10000·2π.
fn positions(length: i64, width: i64, device: Device) -> Tensor {
    let options = (Kind::Float, device);
    let pairs = Tensor::arange((width + 1) / 2, options);
    let speeds = (pairs * (-2.0 * 10000f64.ln() / width as f64)).exp();
    let angles = Tensor::arange(length, options).unsqueeze(-1) * speeds;
    Tensor::stack(&[angles.sin(), angles.cos()], -1).flatten(1, 2).narrow(1, 0, width)
}
