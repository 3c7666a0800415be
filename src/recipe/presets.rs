//! The shipped recipes, embedded so that the binary needs no folder beside it.

/// A shipped recipe.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// What `-r` takes.
    pub name: &'static str,
    /// The YAML text.
    pub yaml: &'static str,
}

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        /// The shipped recipes, largest first within a family.
        pub const PRESETS: &[Preset] = &[
            $(Preset { name: $name, yaml: include_str!(concat!("../../recipes/", $name, ".yaml")) }),*
        ];
    };
}

presets![
    "cyclegan",
    "cyclegan-128",
    "cyclegan-mobile",
    "cyclegan-small",
    "cyclegan-wgan-gp",
    "cyclegan-wgan-gp-tiny",
    "portraits",
    "demo",
    "pix2pix",
    "pix2pix-tiny",
    "gan",
    "gan-tiny",
    "dcgan",
    "dcgan-tiny",
    "wgan",
    "wgan-tiny",
    "wgan-gp",
    "wgan-gp-tiny",
    "sngan",
    "sngan-tiny",
    "cgan",
    "cgan-tiny",
    "text-gan",
    "text-gan-tiny",
    "text-gan-transformer",
    "text-gan-transformer-tiny",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_opens_with_its_data_and_how_long_it_takes() {
        for Preset { name, yaml } in PRESETS {
            let opening: String = yaml.lines().take_while(|line| line.starts_with('#')).collect();
            assert!(opening.contains("Data: "), "{name}");
            assert!(["minute", "hour", "day", "week"].iter().any(|unit| opening.contains(unit)), "{name}");
        }
    }
}
