//! The parts of a recipe's graph: spaces, conditions on them, the generators between them and their discriminators.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nets::augment::Augmentation;
use crate::nets::encoder::TextEncoder;
use crate::nets::{dcgan, mobile_resnet, patch, pixel, residual, resnet, unet};

/// Where samples come from: the first folder is `x`, the second is `y`, and `z` is noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// Images of the first folder.
    X,
    /// Images of the second folder.
    Y,
    /// Noise: independent normal numbers of mean 0 and variance 1.
    Z,
}

impl Space {
    /// Its number, from 0: for a space of images the position of its folder on the command line.
    pub const fn side(self) -> usize {
        match self {
            Self::X => 0,
            Self::Y => 1,
            Self::Z => 2,
        }
    }

    /// `x`, `y` or `z`, as in a recipe.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X => "x",
            Self::Y => "y",
            Self::Z => "z",
        }
    }
}

/// A condition on the images of a space, and how networks read it. Each has an encoder of its own, trained with it.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Condition {
    /// The class of an image: the folder inside the data folder that it lies in.
    Label {
        /// Numbers that stand for a class inside a network.
        #[serde(default = "label_width")]
        width: i64,
        /// Whether real images with the condition of another count as fakes too.
        #[serde(default)]
        matching_aware: bool,
    },
    /// A caption.
    Text {
        /// The network that reads it.
        encoder: TextEncoder,
        /// Whether real images with the caption of another count as fakes too (Reed et al. 2016).
        #[serde(default = "yes")]
        matching_aware: bool,
    },
}

impl Condition {
    /// Whether real images with the condition of another count as fakes too.
    pub const fn is_matching_aware(&self) -> bool {
        match self {
            Self::Label { matching_aware, .. } | Self::Text { matching_aware, .. } => *matching_aware,
        }
    }
}

/// A generator: an arrow from one space to another.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrow {
    /// The space it reads.
    pub from: Space,
    /// The space it writes.
    pub to: Space,
    /// Its network.
    pub net: GeneratorNet,
}

/// A discriminator of one space.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discriminator {
    /// Its network.
    pub net: DiscriminatorNet,
    /// Whether it sees the image's source beside it, which wants paired data (Isola et al. 2017).
    #[serde(default)]
    pub sees_source: bool,
    /// Whether every convolution and matrix is divided by its largest singular value, so that the network's slope by the
    /// image stays bounded (Miyato et al. 2018). The encoder of a condition is left as it is.
    #[serde(default)]
    pub spectral_norm: bool,
    /// Changes at random to all that it sees (Zhao et al. 2020), for small folders.
    #[serde(default)]
    pub augment: Vec<Augmentation>,
}

/// The networks that a generator can be.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum GeneratorNet {
    /// Residual blocks between two strided convolutions and their inverses.
    Resnet(resnet::Config),
    /// The same with separable residual blocks, and widths that need not be even.
    MobileResnet(mobile_resnet::Config),
    /// An encoder and a decoder with a skip at every size.
    Unet(unet::Config),
    /// From noise, by transposed convolutions.
    Dcgan(dcgan::GeneratorConfig),
    /// From noise, by residual blocks.
    Residual(residual::GeneratorConfig),
}

/// The networks that a discriminator can be.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum DiscriminatorNet {
    /// Judges overlapping patches.
    Patch(patch::Config),
    /// Judges single pixels.
    Pixel(pixel::Config),
    /// Judges whole images, by strided convolutions.
    Dcgan(dcgan::DiscriminatorConfig),
    /// Judges whole images, by residual blocks.
    Residual(residual::DiscriminatorConfig),
}

const fn label_width() -> i64 {
    32
}

const fn yes() -> bool {
    true
}

impl GeneratorNet {
    /// Numbers of noise that it reads; none where it reads images.
    pub const fn noise(&self) -> Option<i64> {
        match self {
            Self::Resnet(_) | Self::MobileResnet(_) | Self::Unet(_) => None,
            Self::Dcgan(config) => Some(config.noise),
            Self::Residual(config) => Some(config.noise),
        }
    }

    /// Whether an image's result depends on that image alone.
    pub const fn is_per_image(&self) -> bool {
        match self {
            Self::Resnet(config) => config.norm.is_per_image(),
            Self::MobileResnet(_) => mobile_resnet::NORM.is_per_image(),
            Self::Unet(config) => config.norm.is_per_image(),
            Self::Dcgan(config) => config.norm.is_per_image(),
            Self::Residual(config) => config.norm.is_per_image(),
        }
    }

    /// Whether it has residual blocks that compute the same whenever they are asked.
    pub const fn can_recompute(&self) -> bool {
        match self {
            Self::Resnet(config) => config.can_recompute(),
            Self::MobileResnet(_) => true,
            Self::Unet(_) | Self::Dcgan(_) | Self::Residual(_) => false,
        }
    }

    /// Heights and widths must be multiples of this.
    pub const fn stride(&self) -> u32 {
        match self {
            Self::Resnet(_) | Self::MobileResnet(_) => resnet::STRIDE,
            Self::Unet(config) => config.stride(),
            Self::Dcgan(_) | Self::Residual(_) => 1,
        }
    }

    /// The least height and width that the network can take.
    pub const fn least_size(&self) -> u32 {
        match self {
            Self::Resnet(_) | Self::MobileResnet(_) => resnet::LEAST_SIZE,
            Self::Unet(config) => config.least_size(),
            Self::Dcgan(_) | Self::Residual(_) => *dcgan::SIZES.start(),
        }
    }
}

impl From<DiscriminatorNet> for Discriminator {
    /// The network with nothing else.
    fn from(net: DiscriminatorNet) -> Self {
        Self { net, sees_source: false, spectral_norm: false, augment: Vec::new() }
    }
}

impl DiscriminatorNet {
    /// Its `kind` in a recipe.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Patch(_) => "patch",
            Self::Pixel(_) => "pixel",
            Self::Dcgan(_) => "dcgan",
            Self::Residual(_) => "residual",
        }
    }

    /// Whether an image's verdicts depend on that image alone.
    pub const fn is_per_image(&self) -> bool {
        match self {
            Self::Patch(config) => config.norm.is_per_image(),
            Self::Pixel(config) => config.norm.is_per_image(),
            Self::Dcgan(config) => config.norm.is_per_image(),
            Self::Residual(_) => true,
        }
    }

    /// Whether it judges whole images: it goes down to a 4×4 map, takes powers of two only, and can be given a condition.
    pub const fn judges_whole(&self) -> bool {
        matches!(self, Self::Dcgan(_) | Self::Residual(_))
    }

    /// The least height and width that leave at least one judgement.
    pub const fn least_size(&self) -> u32 {
        match self {
            Self::Patch(config) => config.least_size(),
            Self::Pixel(_) => 1,
            Self::Dcgan(_) | Self::Residual(_) => *dcgan::SIZES.start(),
        }
    }
}
