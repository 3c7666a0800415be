//! One identity: everything that both of its drawings show, sampled from a seed and an index.

use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};

use super::color::{Rgb, hue, mix, scale};
use super::palette::{
    ClothesColor, Expression, EyeColor, Fringe, HairColor, HairStyle, Neckline, Scene, Skin,
};
use crate::random::{Purpose, coin, stream, uniform_below, unit_f32};

/// Where the head is and which way it faces. Lengths are in portrait units: the image spans -1 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Pose {
    /// Rotation in the image plane, radians, clockwise.
    pub tilt: f32,
    /// Rotation to the side, radians; positive faces the right border of the image.
    pub turn: f32,
    /// The features' move downwards over the face.
    pub nod: f32,
    /// The move of the whole person.
    pub shift: [f32; 2],
    /// Size factor of the whole person.
    pub scale: f32,
}

/// Proportions of the face, as factors around 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    /// Width of the whole face.
    pub width: f32,
    /// Width of the jaw.
    pub jaw: f32,
    /// Height of the chin.
    pub chin: f32,
    /// How far the eyes are open.
    pub eyes: f32,
    /// Rotation of the brows, radians; positive lowers their inner ends (stern).
    pub brows: f32,
}

/// What is behind the person: a scene between two colours, which are the photo's.
#[derive(Debug, Clone, PartialEq)]
pub struct Backdrop {
    /// The kind of scene.
    pub scene: Scene,
    /// The colours of the scene in the photo.
    pub colors: [Rgb; 2],
    /// The scene's free numbers, each from 0 to 1: places and sizes.
    pub places: [f32; 24],
}

/// One identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// The seed of the set that this person belongs to.
    pub seed: u64,
    /// The number of the person under that seed.
    pub index: u64,
    /// Skin tone.
    pub skin: Skin,
    /// Hair colour.
    pub hair_color: HairColor,
    /// Hair outline.
    pub hair_style: HairStyle,
    /// Hair over the forehead.
    pub fringe: Fringe,
    /// True where one-sided hair (swept fringe, ponytail) is mirrored.
    pub mirrored: bool,
    /// Eye colour.
    pub eye_color: EyeColor,
    /// What the mouth does.
    pub expression: Expression,
    /// Head pose.
    pub pose: Pose,
    /// Proportions of the face.
    pub face: Face,
    /// Colour of the clothes.
    pub clothes_color: ClothesColor,
    /// Cut of the clothes.
    pub neckline: Neckline,
    /// Direction of the light over the image, radians from straight above; positive comes from the right.
    pub light: f32,
    /// What is behind the person.
    pub backdrop: Backdrop,
}

impl Person {
    /// The person with this number under this seed; no other person has a part in it.
    pub fn sample(seed: u64, index: u64) -> Self {
        let mut rng = stream(seed, Purpose::Identity, index);
        Self {
            seed,
            index,
            skin: pick(&mut rng, Skin::ALL),
            hair_color: pick(&mut rng, HairColor::ALL),
            hair_style: pick(&mut rng, HairStyle::ALL),
            fringe: pick(&mut rng, Fringe::ALL),
            mirrored: coin(&mut rng),
            eye_color: pick(&mut rng, EyeColor::ALL),
            expression: pick(&mut rng, Expression::ALL),
            pose: Pose {
                tilt: spread(&mut rng, 0.14),
                turn: spread(&mut rng, 0.42),
                nod: spread(&mut rng, 0.035),
                shift: [spread(&mut rng, 0.08), spread(&mut rng, 0.04)],
                scale: 1.0 + spread(&mut rng, 0.07),
            },
            face: Face {
                width: 1.0 + spread(&mut rng, 0.06),
                jaw: 1.0 + spread(&mut rng, 0.12),
                chin: 1.0 + spread(&mut rng, 0.06),
                eyes: 1.0 + spread(&mut rng, 0.14),
                brows: spread(&mut rng, 0.24),
            },
            clothes_color: pick(&mut rng, ClothesColor::ALL),
            neckline: pick(&mut rng, Neckline::ALL),
            light: spread(&mut rng, 1.0),
            backdrop: backdrop(&mut rng),
        }
    }

    /// The short description, such as `red eyes, black hair`.
    pub fn caption(&self) -> String {
        format!("{} eyes, {} hair", self.eye_color.name(), self.hair_color.name())
    }

    /// The attributes by name, as they stand in the metadata.
    pub fn attributes(&self) -> Map<String, Value> {
        [
            ("hair_color", self.hair_color.name()),
            ("hair_style", self.hair_style.name()),
            ("fringe", self.fringe.name()),
            ("eye_color", self.eye_color.name()),
            ("skin", self.skin.name()),
            ("expression", self.expression.name()),
            ("clothes_color", self.clothes_color.name()),
            ("neckline", self.neckline.name()),
            ("background", self.backdrop.scene.name()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect()
    }
}

fn pick<T: Copy>(rng: &mut ChaCha8Rng, values: &[T]) -> T {
    values[uniform_below(rng, values.len() as u64) as usize]
}

/// A number from `-reach` to `reach`.
fn spread(rng: &mut ChaCha8Rng, reach: f32) -> f32 {
    reach * (2.0 * unit_f32(rng) - 1.0)
}

fn backdrop(rng: &mut ChaCha8Rng) -> Backdrop {
    let scene = pick(rng, Scene::ALL);
    // Leaves are of a green to a golden hue, everything else of any.
    let turns = unit_f32(rng);
    let turns = if scene == Scene::Leaves { 0.12 + 0.3 * turns } else { turns };
    let second = turns + spread(rng, 0.16);
    let muted = |turns: f32, gray: f32, value: f32| scale(mix(hue(turns), [gray; 3], 0.62), value);
    let (dark, bright) = (0.36 + 0.2 * unit_f32(rng), 0.7 + 0.2 * unit_f32(rng));
    let colors = [muted(turns, 0.6, dark), muted(second, 0.75, bright)];
    Backdrop { scene, colors, places: std::array::from_fn(|_| unit_f32(rng)) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const COUNT: u64 = 500;

    /// That each of `all` values comes up as often as chance allows: within 5 standard deviations of its
    /// share.
    fn check_uniform(attribute: &str, all: impl ExactSizeIterator<Item = &'static str>) {
        let mut counts: HashMap<String, u32> = HashMap::new();
        for index in 0..COUNT {
            let value = Person::sample(11, index).attributes()[attribute].as_str().unwrap().to_owned();
            *counts.entry(value).or_default() += 1;
        }
        let share = 1.0 / all.len() as f64;
        let (mean, spread) = (COUNT as f64 * share, (COUNT as f64 * share * (1.0 - share)).sqrt());
        for name in all {
            let count = f64::from(counts.remove(name).unwrap_or(0));
            assert!((count - mean).abs() < 5.0 * spread, "{attribute} {name}: {count} of {COUNT}");
        }
        assert!(counts.is_empty(), "{attribute} has unnamed values: {counts:?}");
    }

    #[test]
    fn every_value_of_every_attribute_occurs_about_equally_often() {
        check_uniform("hair_color", HairColor::ALL.iter().map(|v| v.name()));
        check_uniform("hair_style", HairStyle::ALL.iter().map(|v| v.name()));
        check_uniform("fringe", Fringe::ALL.iter().map(|v| v.name()));
        check_uniform("eye_color", EyeColor::ALL.iter().map(|v| v.name()));
        check_uniform("skin", Skin::ALL.iter().map(|v| v.name()));
        check_uniform("expression", Expression::ALL.iter().map(|v| v.name()));
        check_uniform("clothes_color", ClothesColor::ALL.iter().map(|v| v.name()));
        check_uniform("neckline", Neckline::ALL.iter().map(|v| v.name()));
        check_uniform("background", Scene::ALL.iter().map(|v| v.name()));
    }

    #[test]
    fn pose_and_light_go_to_both_sides() {
        let people: Vec<Person> = (0..COUNT).map(|index| Person::sample(5, index)).collect();
        let numbers: [fn(&Person) -> f32; 5] =
            [|p| p.pose.tilt, |p| p.pose.turn, |p| p.pose.nod, |p| p.pose.shift[0], |p| p.light];
        for number in numbers {
            let right = people.iter().filter(|person| number(person) > 0.0).count();
            // Half of 500, give or take 5 standard deviations of 11.2.
            assert!((194..=306).contains(&right), "{right} of {COUNT}");
        }
    }

    #[test]
    fn a_person_depends_on_seed_and_index_alone() {
        let forwards: Vec<Person> = (0..20).map(|index| Person::sample(1, index)).collect();
        let backwards: Vec<Person> = (0..20).rev().map(|index| Person::sample(1, index)).collect();
        assert!(forwards.iter().eq(backwards.iter().rev()));
        assert_ne!(forwards[0].pose, forwards[1].pose);
        assert_ne!(forwards[0].pose, Person::sample(2, 0).pose);
    }
}
