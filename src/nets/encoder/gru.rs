//! A caption read word after word by a gated recurrent unit (Cho et al. 2014, <https://arxiv.org/abs/1406.1078>), whose
//! state after the last word is the result.
//!
//! The gates are those of `PyTorch`'s GRU, which forgets after the product with the state's weights, not before it.
//! They are spelled out here because cuDNN's GRU has no second derivative.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, Module, Path};

use super::{are_words, uniform, words};
use crate::nets::Shapes;

/// The fields of an encoder of `kind: gru`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Length of the vector that stands for a word.
    pub words: i64,
    /// Length of the state, and so of the result.
    pub width: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self { words: 64, width: 128 }
    }
}

impl Config {
    /// Its large weights, of `tokens` tokens.
    pub(super) fn large_weights(&self, tokens: i64) -> Shapes {
        let weights = [
            ("embedding.weight", [tokens, self.words]),
            ("gru.weight_ih_l0", [3 * self.width, self.words]),
            ("gru.weight_hh_l0", [3 * self.width, self.width]),
        ];
        weights.map(|(name, shape)| (name.to_string(), shape.to_vec())).into()
    }
}

/// Weights and biases of the three gates, one below the other.
#[derive(Debug)]
struct Gates {
    weight: Tensor,
    bias: Tensor,
}

impl Gates {
    /// The gates' sums: `[…, from]` to `[…, 3·width]`.
    fn forward(&self, xs: &Tensor) -> Tensor {
        xs.linear(&self.weight, Some(&self.bias))
    }
}

/// A built encoder.
#[derive(Debug)]
pub struct Gru {
    embedding: nn::Embedding,
    input: Gates,
    hidden: Gates,
    width: i64,
}

/// Builds the encoder of `tokens` tokens, padding included, below `p`.
pub fn gru(p: &Path, config: &Config, tokens: i64) -> Gru {
    let width = config.width;
    let layer = p / "gru";
    let gates = |name: &str, from: i64| Gates {
        weight: layer.var(&format!("weight_{name}_l0"), &[3 * width, from], uniform(width)),
        bias: layer.var(&format!("bias_{name}_l0"), &[3 * width], uniform(width)),
    };
    Gru {
        embedding: words(&(p / "embedding"), tokens, config.words),
        input: gates("ih", config.words),
        hidden: gates("hh", width),
        width,
    }
}

impl Gru {
    /// int64 tokens `[batch, length]` with padding at the end to the states after the last words, `[batch, width]`, in
    /// [-1, 1]. Without a word that is the first state, zeros.
    pub fn forward(&self, tokens: &Tensor) -> Tensor {
        // What words give does not depend on the state, so all positions are one product.
        let inputs = self.input.forward(&self.embedding.forward(tokens)).unbind(1);
        let words = are_words(tokens).unsqueeze(-1).unbind(1);
        // One row for all samples, made of what is at hand: traced, it holds for any batch on any device.
        let mut state = self.hidden.bias.narrow(0, 0, self.width).zeros_like().unsqueeze(0);
        for (input, is_word) in inputs.iter().zip(&words) {
            state = self.step(input, &state).where_self(is_word, &state);
        }
        state
    }

    /// A word's sums `[batch, 3·width]` and the state before it to the state after it.
    fn step(&self, input: &Tensor, state: &Tensor) -> Tensor {
        let input = input.chunk(3, 1);
        let hidden = self.hidden.forward(state).chunk(3, 1);
        let reset = (&input[0] + &hidden[0]).sigmoid();
        let keep = (&input[1] + &hidden[1]).sigmoid();
        let new = (&input[2] + reset * &hidden[2]).tanh();
        &new + keep * (state - &new)
    }

    /// The length of a vector.
    pub const fn width(&self) -> i64 {
        self.width
    }
}
