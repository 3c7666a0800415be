//! The portraits set: faces that the program draws itself, each as a photo and as anime, so that unpaired
//! translation can be tried, shown and measured against the true answer.
//!
//! A [`Person`] holds everything that both drawings show and depends on nothing but a seed and an index.
//! [`draw`] draws it in one [`Style`]; the two lie on each other pixel by pixel and hold nothing that the
//! other does not show, apart from the grain of the photo. [`write_dataset`] writes the folders of a training
//! set.

use image::RgbImage;

mod anime;
mod background;
mod canvas;
mod color;
mod curve;
mod dataset;
mod hair;
mod layout;
mod light;
mod palette;
mod person;
mod photo;

pub use color::Rgb;
pub use dataset::{
    DEFAULT_HOLDOUT, DemoError, MAX_COUNT, Options, Summary, write_dataset, write_dataset_unless,
};
pub use palette::{ClothesColor, Expression, EyeColor, Fringe, HairColor, HairStyle, Neckline, Scene, Skin};
pub use person::{Backdrop, Face, Person, Pose};

use canvas::{Mask, Point};
use layout::Layout;
use light::Light;

/// How a person is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    /// Smooth shading, texture, soft edges, grain, small eyes, a background out of focus.
    Photo,
    /// Flat colours with one step of shadow, ink outlines, large eyes, a flat background.
    Anime,
}

/// The smallest image, pixels a side, on which a face can be made out.
pub const MIN_SIZE: u32 = 16;

/// The largest image, pixels a side; the canvas it is drawn on takes about 50 times its number of pixels in
/// bytes.
pub const MAX_SIZE: u32 = 4096;

/// Draws a person as a square image of `size` pixels a side; a size outside [`MIN_SIZE`] to [`MAX_SIZE`] is
/// drawn at the nearest of them.
///
/// Equal arguments give equal pixels.
pub fn draw(person: &Person, style: Style, size: u32) -> RgbImage {
    let size = size.clamp(MIN_SIZE, MAX_SIZE) as usize;
    // Masks are anti-aliased by themselves; the finer canvas serves textures and small features.
    let factor = if size <= 96 { 3 } else { 2 };
    let sitter =
        Sitter { person, layout: Layout::new(person), light: Light::new(person.light), side: size * factor };
    match style {
        Style::Photo => photo::draw(&sitter, factor),
        Style::Anime => anime::draw(&sitter, factor),
    }
}

/// A person with the geometry laid out for a canvas of `side` pixels.
struct Sitter<'a> {
    person: &'a Person,
    layout: Layout,
    light: Light,
    side: usize,
}

impl Sitter<'_> {
    fn fill(&self, outlines: &[Vec<Point>]) -> Mask {
        Mask::fill(self.side, outlines)
    }

    fn line(&self, points: &[Point], half_width: impl Fn(f32) -> f32) -> Mask {
        Mask::stroke(self.side, points, half_width)
    }

    /// The light on hair at a point in head coordinates: on the head, or hanging behind it.
    fn hair_light(&self, p: Point, hangs: bool) -> f32 {
        if hangs {
            self.light.on_ellipsoid(p, [0.0, -0.1], [1.05, 1.5])
        } else {
            self.light.on_ellipsoid([p[0], p[1].min(0.15)], [0.0, -0.12], [0.62, 0.68])
        }
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::canvas::distance;
    use super::*;

    const SIZE: u32 = 64;
    const STYLES: [Style; 2] = [Style::Photo, Style::Anime];

    fn people() -> impl Iterator<Item = Person> {
        (0..12).map(|index| Person::sample(9, index))
    }

    fn sitter(person: &Person) -> Sitter<'_> {
        Sitter { person, layout: Layout::new(person), light: Light::new(person.light), side: SIZE as usize }
    }

    /// The mean colour under a mask.
    fn mean_under(image: &RgbImage, mask: &Mask) -> Rgb {
        let (mut sum, mut count) = ([0.0; 3], 0.0);
        for (x, y, pixel) in image.enumerate_pixels() {
            let weight = mask.at(x as usize, y as usize);
            sum = std::array::from_fn(|c| sum[c] + weight * f32::from(pixel[c]) / 255.0);
            count += weight;
        }
        sum.map(|v| v / count)
    }

    fn nearest<T: Copy>(color: Rgb, all: &[T], paint: impl Fn(T) -> Rgb) -> T {
        let away = |value: T| -> f32 { (0..3).map(|c| (paint(value)[c] - color[c]).powi(2)).sum() };
        *all.iter().min_by(|a, b| away(**a).total_cmp(&away(**b))).unwrap()
    }

    #[test]
    fn equal_persons_have_equal_pixels() {
        for style in STYLES {
            let [once, again] = [0, 0].map(|index| draw(&Person::sample(4, index), style, 40));
            assert_eq!(once, again);
            assert_ne!(once, draw(&Person::sample(4, 1), style, 40));
        }
    }

    #[test]
    fn any_size_is_drawn_at_that_size() {
        let person = Person::sample(0, 0);
        for style in STYLES {
            for size in [16, 17, 63, 97, 130] {
                assert_eq!(draw(&person, style, size).dimensions(), (size, size));
            }
        }
    }

    #[test]
    fn hair_has_its_named_color_in_both_styles() {
        for mut person in people() {
            for &color in HairColor::ALL {
                person.hair_color = color;
                let mask = sitter(&person).fill(&sitter(&person).layout.hair.front);
                for style in STYLES {
                    let mean = mean_under(&draw(&person, style, SIZE), &mask);
                    let seen = nearest(mean, HairColor::ALL, |value| value.color(style));
                    assert_eq!(seen, color, "{style:?} of {}: mean {mean:?}", person.index);
                }
            }
        }
    }

    #[test]
    fn eyes_have_their_named_color_in_both_styles() {
        for mut person in people() {
            // Nothing hangs over the eyes, and the colour between pupil and rim is what is named.
            person.fringe = Fringe::Parted;
            for &color in EyeColor::ALL {
                person.eye_color = color;
                for (style, spot, radius) in
                    [(Style::Photo, [0.0, 0.022], 0.016), (Style::Anime, [0.05, 0.02], 0.014)]
                {
                    let layout = sitter(&person).layout;
                    let size = 128;
                    let image = draw(&person, style, size);
                    let means = [-1.0, 1.0].map(|side| {
                        let centre = layout.eye(side, spot);
                        mean_under(&image, &Mask::fill(size as usize, &[curve::ellipse(centre, [radius; 2])]))
                    });
                    let mean = color::mix(means[0], means[1], 0.5);
                    let seen = nearest(mean, EyeColor::ALL, |value| value.color(style));
                    assert_eq!(seen, color, "{style:?} of {}: mean {mean:?}", person.index);
                }
            }
        }
    }

    /// Which pixels do not change with what is behind the person.
    fn silhouette(person: &Person, style: Style) -> Vec<bool> {
        let [dark, bright] = [0.1, 0.9].map(|level| {
            let mut person = person.clone();
            person.backdrop.colors = [[level; 3]; 2];
            draw(&person, style, SIZE)
        });
        let change: Vec<u8> = dark.pixels().zip(bright.pixels()).map(|(a, b)| a[1].abs_diff(b[1])).collect();
        let most = change.iter().max().copied().unwrap();
        change.into_iter().map(|v| v < most / 2).collect()
    }

    #[test]
    fn both_drawings_of_a_person_lie_on_each_other() {
        for person in people() {
            let [photo, anime] = STYLES.map(|style| silhouette(&person, style));
            let both = photo.iter().zip(&anime).filter(|(a, b)| **a && **b).count();
            let either = photo.iter().zip(&anime).filter(|(a, b)| **a || **b).count();
            // The ink adds about half a pixel all around.
            assert!(both as f32 / either as f32 > 0.93, "{both} of {either} pixels, person {}", person.index);
            assert!((800..3400).contains(&both), "{both} of 4096 pixels show person {}", person.index);
        }
    }

    #[test]
    fn the_styles_are_far_apart() {
        let (mut sum, mut count) = (0.0, 0.0);
        for person in people() {
            let [photo, anime] = STYLES.map(|style| draw(&person, style, SIZE));
            for (a, b) in photo.as_raw().iter().zip(anime.as_raw()) {
                sum += f32::from(a.abs_diff(*b)) / 255.0;
                count += 1.0;
            }
        }
        assert!(sum / count > 0.15, "a mean distance of {}", sum / count);
    }

    #[test]
    fn anime_eyes_are_larger_and_at_the_same_place() {
        // The iris is what changes with the colour: how far from the eye's centre does it reach?
        for mut person in people() {
            person.fringe = Fringe::Parted;
            let reach = STYLES.map(|style| {
                let [red, aqua] = [EyeColor::Red, EyeColor::Aqua].map(|color| {
                    person.eye_color = color;
                    draw(&person, style, 128)
                });
                let centre = sitter(&person).layout.eye(1.0, [0.0, 0.0]);
                let changed =
                    red.enumerate_pixels().filter(|(x, y, p)| p[0].abs_diff(aqua.get_pixel(*x, *y)[0]) > 12);
                changed
                    .map(|(x, y, _)| distance(centre, [x, y].map(|v| (v as f32 + 0.5) / 64.0 - 1.0)))
                    .filter(|&away| away < 0.2)
                    .fold(0.0, f32::max)
            });
            assert!(reach[1] > 1.3 * reach[0], "{reach:?}, person {}", person.index);
        }
    }
}
