//! Encoders: a condition, which is a class label or a caption's tokens, as one vector a sample. They are trained together
//! with the generator or discriminator that owns them.
//!
//! A gradient penalty differentiates the owner's gradient once more, so everything here is made of operators that have a
//! second derivative on every device: cuDNN's GRU and the fused attention and encoder layers have none.

mod label;

pub mod gru;
pub mod transformer;

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, Path};

use super::{Shapes, WIDTHS};

pub use gru::Gru;
pub use label::Label;
pub use transformer::Transformer;

/// The token that fills a caption up to the batch's length; at the end only.
pub const PADDING: i64 = 0;

/// Widths of a caption's vector: normalised, one number is always 0, and two have no slope.
const NORMALIZED: RangeInclusive<i64> = 3..=*WIDTHS.end();

/// The networks that can read captions.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TextEncoder {
    /// Reads word after word.
    Gru(gru::Config),
    /// Looks at all words at once.
    Transformer(transformer::Config),
}

impl TextEncoder {
    /// The length of a vector.
    pub const fn width(&self) -> i64 {
        match self {
            Self::Gru(config) => config.width,
            Self::Transformer(config) => config.width,
        }
    }

    /// Its large weights, of `tokens` tokens.
    pub(super) fn large_weights(&self, tokens: i64) -> Shapes {
        match self {
            Self::Gru(config) => config.large_weights(tokens),
            Self::Transformer(config) => config.large_weights(tokens),
        }
    }

    /// The first field that does not fit: its name, its value and what it can be, without quotes.
    pub fn problem(&self) -> Option<(&'static str, String, String)> {
        let fields = match self {
            Self::Gru(c) => vec![("words", c.words, WIDTHS), ("width", c.width, NORMALIZED)],
            Self::Transformer(c) => vec![
                ("width", c.width, NORMALIZED),
                ("heads", c.heads, WIDTHS),
                ("layers", c.layers as i64, 1..=16),
                ("feed_forward", c.feed_forward, 1..=4096),
            ],
        };
        for (field, value, range) in fields {
            if !range.contains(&value) {
                return Some((field, value.to_string(), format!("{} to {}", range.start(), range.end())));
            }
        }
        match self {
            Self::Transformer(c) if c.width % c.heads != 0 => {
                Some(("heads", c.heads.to_string(), format!("a divisor of `width` ({})", c.width)))
            }
            _ => None,
        }
    }
}

/// A built encoder.
#[derive(Debug)]
pub enum Encoder {
    /// Of class labels.
    Label(Label),
    /// Of captions, word after word.
    Gru(Gru),
    /// Of captions, all words at once.
    Transformer(Transformer),
}

impl Encoder {
    /// Conditions to one vector each, `[batch, width]`, captions' of length 1 and labels' of about 1 at first: int64 labels
    /// `[batch]` from 0, or int64 tokens `[batch, length]` with [`PADDING`] at the end. A caption's vector does not depend
    /// on how much padding it has, and one of padding alone gives zeros.
    ///
    /// What reads a caption is normalised over its width (Ba et al. 2016, <https://arxiv.org/abs/1607.06450>, without
    /// learned scale): untrained, a GRU of width 64 gives vectors of length 0.27 that are 0.09 apart, which the noise
    /// drowns. A label's row is N(0, 1), so its length begins at about 1, and it stays free to grow.
    ///
    /// The numbers are divided by the root of their count: at full length (digits at 32², the recipe `cgan-tiny`) the
    /// projection drowned the rest of the verdict, and the cross-entropy of the first steps was at 10.
    pub fn forward(&self, condition: &Tensor) -> Tensor {
        let vectors = match self {
            Self::Label(encoder) => encoder.forward(condition),
            Self::Gru(encoder) => self.normalized(&encoder.forward(condition)),
            Self::Transformer(encoder) => self.normalized(&encoder.forward(condition)),
        };
        vectors / (self.width() as f64).sqrt()
    }

    /// Vectors at mean 0 and variance 1; zeros stay zeros.
    fn normalized(&self, vectors: &Tensor) -> Tensor {
        let none = None::<&Tensor>;
        vectors.layer_norm([self.width()], none, none, 1e-5, false)
    }

    /// The length of a vector.
    pub fn width(&self) -> i64 {
        match self {
            Self::Label(encoder) => encoder.width(),
            Self::Gru(encoder) => encoder.width(),
            Self::Transformer(encoder) => encoder.width(),
        }
    }
}

/// Builds an encoder of `classes` labels below `p`.
pub fn label(p: &Path, classes: i64, width: i64) -> Encoder {
    Encoder::Label(label::label(p, classes, width))
}

/// Builds an encoder of captions below `p`; `tokens` is how many there are, padding included.
pub fn text(p: &Path, config: &TextEncoder, tokens: i64) -> Encoder {
    match config {
        TextEncoder::Gru(config) => Encoder::Gru(gru::gru(p, config, tokens)),
        TextEncoder::Transformer(config) => Encoder::Transformer(transformer::transformer(p, config, tokens)),
    }
}

/// A table of words, N(0, 1), whose row for [`PADDING`] is zero and stays so, as it gets no gradient.
fn words(p: &Path, tokens: i64, width: i64) -> nn::Embedding {
    let config = nn::EmbeddingConfig { padding_idx: PADDING, ..nn::EmbeddingConfig::default() };
    let table = nn::embedding(p, tokens, width, config);
    let _ = tch::no_grad(|| table.ws.get(PADDING).zero_());
    table
}

/// Which tokens are words, `[batch, length]`.
fn are_words(tokens: &Tensor) -> Tensor {
    tokens.ne(PADDING)
}

/// U(±1/√`fan_in`), `PyTorch`'s initialisation of linear and recurrent layers.
fn uniform(fan_in: i64) -> nn::Init {
    let bound = 1.0 / (fan_in as f64).sqrt();
    nn::Init::Uniform { lo: -bound, up: bound }
}

#[cfg(test)]
mod tests {
    use tch::nn::VarStore;
    use tch::{Device, Kind};

    use super::*;

    const TOKENS: i64 = 9;

    fn configs() -> [TextEncoder; 2] {
        let transformer = transformer::Config { width: 8, heads: 2, layers: 2, feed_forward: 12 };
        [TextEncoder::Gru(gru::Config { words: 6, width: 8 }), TextEncoder::Transformer(transformer)]
    }

    /// Both encoders of captions, with weights of any value.
    fn encoders() -> [(VarStore, Encoder); 2] {
        configs().map(|config| {
            let vars = VarStore::new(Device::Cpu);
            let encoder = text(&vars.root(), &config, TOKENS);
            (vars, encoder)
        })
    }

    fn tokens(rows: &[&[i64]]) -> Tensor {
        Tensor::from_slice2(rows)
    }

    fn largest(tensor: &Tensor) -> f64 {
        tensor.abs().max().double_value(&[])
    }

    fn difference(a: &Tensor, b: &Tensor) -> f64 {
        largest(&(a - b))
    }

    #[test]
    fn the_amount_of_padding_changes_nothing() {
        for (_, encoder) in encoders() {
            let bare = encoder.forward(&tokens(&[&[3, 5, 1]]));
            assert_eq!(bare.size(), [1, encoder.width()]);
            let padded = encoder.forward(&tokens(&[&[3, 5, 1, 0, 0], &[1, 2, 3, 4, 5]]));
            let off = difference(&bare.get(0), &padded.get(0));
            assert!(off < 1e-6, "{off:e}");
        }
    }

    #[test]
    fn order_and_choice_of_words_matter() {
        for (_, encoder) in encoders() {
            let vectors = encoder.forward(&tokens(&[&[3, 5, 1], &[1, 5, 3], &[3, 5, 2]]));
            for other in [1, 2] {
                let off = difference(&vectors.get(0), &vectors.get(other));
                assert!(off > 1e-4, "{off:e}");
            }
        }
    }

    /// At the widths of recipes, where noise is about as long as the root of its count: a GRU's states are as short as a
    /// quarter of that, and nearly equal.
    #[test]
    fn vectors_begin_at_length_1_and_apart() {
        let gru = TextEncoder::Gru(gru::Config { words: 32, width: 64 });
        let transformer = TextEncoder::Transformer(transformer::Config { width: 64, ..Default::default() });
        let captions =
            tokens(&[&[1, 2, 3, 4, 0, 0], &[1, 2, 5, 4, 0, 0], &[6, 7, 8, 3, 2, 1], &[5, 0, 0, 0, 0, 0]]);
        for config in [gru, transformer] {
            let vars = VarStore::new(Device::Cpu);
            let vectors = text(&vars.root(), &config, TOKENS).forward(&captions);
            let length = |vector: &Tensor| vector.norm().double_value(&[]);
            for i in 0..4 {
                let (vector, next) = (vectors.get(i), vectors.get((i + 1) % 4));
                assert!((length(&vector) - 1.0).abs() < 1e-3, "{config:?}: {}", length(&vector));
                assert!(largest(&vector.mean(Kind::Float)) < 1e-6, "{config:?}");
                let apart = length(&(&vector - next));
                println!("{config:?}: {apart}");
                assert!(apart > 0.15, "{config:?}: {apart}");
            }
        }
        let vars = VarStore::new(Device::Cpu);
        let labels = label(&vars.root(), 500, 64).forward(&Tensor::arange(500, (Kind::Int64, Device::Cpu)));
        let length = labels.square().sum_dim_intlist(1i64, false, Kind::Float).mean(Kind::Float).sqrt();
        assert!((length.double_value(&[]) - 1.0).abs() < 0.05, "{length}");
    }

    #[test]
    fn padding_alone_gives_zeros() {
        for (vars, encoder) in encoders() {
            let vectors = encoder.forward(&tokens(&[&[0, 0, 0], &[4, 0, 0]]));
            assert!(largest(&vectors.get(0)) == 0.0);
            vectors.sum(Kind::Float).backward();
            for (name, weight) in vars.variables() {
                assert!(weight.grad().isfinite().all().int64_value(&[]) == 1, "{name}");
            }
        }
    }

    #[test]
    fn the_row_of_padding_is_zero_and_gets_no_gradient() {
        for (vars, encoder) in encoders() {
            let table = &vars.variables()["embedding.weight"];
            assert!(largest(&table.get(PADDING)) == 0.0);
            let weights = Tensor::arange(encoder.width(), (Kind::Float, Device::Cpu));
            let vectors = encoder.forward(&tokens(&[&[3, 5, 0], &[4, 0, 0], &[0, 0, 0]]));
            (vectors * weights).sum(Kind::Float).backward();
            let gradient = table.grad();
            for token in 0..TOKENS {
                let read = [3, 4, 5].contains(&token);
                assert_eq!(largest(&gradient.get(token)) > 0.0, read, "token {token}");
            }
        }
    }

    #[test]
    fn weights_begin_as_those_of_pytorch() {
        let vars = VarStore::new(Device::Cpu);
        let config =
            TextEncoder::Transformer(transformer::Config { layers: 1, ..transformer::Config::default() });
        text(&(vars.root() / "transformer"), &config, 500);
        text(&(vars.root() / "gru"), &TextEncoder::Gru(gru::Config::default()), 500);
        label(&(vars.root() / "label"), 500, 64);
        let all = vars.variables();
        let deviation = |name: &str| all[name].std(true).double_value(&[]);
        // A uniform distribution's bound is √3 standard deviations.
        let uniform = |bound: f64| bound / 3f64.sqrt();
        for (name, expected) in [
            ("transformer.embedding.weight", 1.0),
            ("transformer.layers.0.self_attn.in_proj_weight", uniform((6.0f64 / (128.0 + 384.0)).sqrt())),
            ("transformer.layers.0.self_attn.out_proj.weight", uniform(1.0 / 128f64.sqrt())),
            ("transformer.layers.0.linear1.weight", uniform(1.0 / 128f64.sqrt())),
            ("transformer.layers.0.linear1.bias", uniform(1.0 / 128f64.sqrt())),
            ("transformer.layers.0.linear2.weight", uniform(1.0 / 256f64.sqrt())),
            ("transformer.layers.0.linear2.bias", uniform(1.0 / 256f64.sqrt())),
            ("gru.embedding.weight", 1.0),
            ("gru.gru.weight_ih_l0", uniform(1.0 / 128f64.sqrt())),
            ("gru.gru.weight_hh_l0", uniform(1.0 / 128f64.sqrt())),
            ("gru.gru.bias_ih_l0", uniform(1.0 / 128f64.sqrt())),
            ("gru.gru.bias_hh_l0", uniform(1.0 / 128f64.sqrt())),
            ("label.weight", 1.0),
        ] {
            let ratio = deviation(name) / expected;
            assert!((0.8..1.2).contains(&ratio), "{name}: {ratio}");
        }
        for (name, expected) in [
            ("transformer.layers.0.self_attn.in_proj_bias", 0.0),
            ("transformer.layers.0.self_attn.out_proj.bias", 0.0),
            ("transformer.layers.0.norm1.weight", 1.0),
            ("transformer.norm.bias", 0.0),
        ] {
            let weight = &all[name];
            assert_eq!(weight, &(weight.zeros_like() + expected), "{name}");
        }
    }

    #[test]
    fn recipes_name_the_kind_and_what_differs_from_its_defaults() {
        let read = |text: &str| serde_yaml::from_str::<TextEncoder>(text);
        let short = read("{ kind: gru, words: 32 }").unwrap();
        assert_eq!(short, TextEncoder::Gru(gru::Config { words: 32, width: 128 }));
        assert!(read("{ kind: gru, heads: 2 }").is_err());
        let long = TextEncoder::Transformer(transformer::Config::default());
        assert_eq!(read(&serde_yaml::to_string(&long).unwrap()).unwrap(), long);
        assert_eq!(long.problem(), None);

        let field = |text: &str| read(text).unwrap().problem().unwrap().0;
        assert_eq!(field("{ kind: gru, words: 0 }"), "words");
        assert_eq!(field("{ kind: gru, width: 2 }"), "width");
        assert_eq!(field("{ kind: transformer, layers: 0 }"), "layers");
        assert_eq!(field("{ kind: transformer, heads: 0 }"), "heads");
        let uneven = read("{ kind: transformer, heads: 5 }").unwrap().problem();
        assert_eq!(uneven, Some(("heads", "5".into(), "a divisor of `width` (128)".into())));
    }
}
