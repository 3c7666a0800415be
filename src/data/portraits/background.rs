//! What is behind the person. One level from 0 to 1 at each point, shared by the styles, says how far the
//! scene is from its first to its second colour: the photo shows it out of focus, anime in flat steps and
//! lighter, purer colours.

use super::canvas::{Point, distance};
use super::color::{Rgb, luma, mix, saturate, scale, smoothstep};
use super::palette::Scene;
use super::person::Backdrop;

/// Half the width of an edge in the photo, in portrait units: the lens is focused on the person.
const PHOTO_BLUR: f32 = 0.13;

/// The backdrop's colour in the photo.
pub fn photo(backdrop: &Backdrop, p: Point) -> Rgb {
    let color = mix(backdrop.colors[0], backdrop.colors[1], level(backdrop, p, PHOTO_BLUR));
    scale(color, 1.04 - 0.1 * p[1])
}

/// The backdrop's colour in anime, a fixed function of the photo's two colours; edges are `blur` wide to each
/// side.
pub fn anime(backdrop: &Backdrop, p: Point, blur: f32) -> Rgb {
    let [low, high] = backdrop.colors.map(flatten);
    mix(low, high, level(backdrop, p, blur))
}

/// The anime colour of a photo's background colour: lighter, purer.
fn flatten(color: Rgb) -> Rgb {
    let bright = 0.52 + 0.45 * luma(color);
    let pure = saturate(color, 1.35);
    let lift = bright - luma(pure);
    pure.map(|v| (v + lift).clamp(0.0, 1.0))
}

/// 0 to 1 across an edge at `distance` 0, `blur` wide to each side.
fn edge(distance: f32, blur: f32) -> f32 {
    smoothstep(-blur, blur, distance)
}

fn level(backdrop: &Backdrop, p: Point, blur: f32) -> f32 {
    let places = &backdrop.places;
    match backdrop.scene {
        Scene::Studio => studio(places, p, blur),
        Scene::Lights => lights(places, p, blur),
        Scene::Hills => hills(places, p, blur),
        Scene::Curtain => curtain(places, p, blur),
        Scene::Leaves => leaves(places, p, blur),
        Scene::Window => window(places, p, blur),
    }
}

/// A pool of light on a wall, in two rings.
fn studio(places: &[f32], p: Point, blur: f32) -> f32 {
    let away = distance(p, [0.8 * (places[0] - 0.5), 0.4 * places[1] - 0.1]);
    let inner = 0.7 + 0.2 * places[2];
    0.55 * edge(inner - away, blur) + 0.45 * edge(inner + 0.35 - away, blur)
}

/// Round lights, some brighter.
fn lights(places: &[f32], p: Point, blur: f32) -> f32 {
    let mut level = 0.0_f32;
    for (i, light) in places.chunks_exact(3).enumerate() {
        // Around the border, where the person does not hide them.
        let angle = (i as f32 + light[0]) / 8.0 * std::f32::consts::TAU;
        let away = 0.72 + 0.2 * light[1];
        let (sin, cos) = angle.sin_cos();
        let inside = 0.13 + 0.13 * light[2] - distance(p, [away * cos, away * sin - 0.25]);
        let strength = if i % 2 == 0 { 1.0 } else { 0.55 };
        level = level.max(strength * edge(inside, 0.5 * blur));
    }
    level
}

/// A bright sky over two ranges of hills.
fn hills(places: &[f32], p: Point, blur: f32) -> f32 {
    let ridge = |base: f32, phase: f32, waves: f32, height: f32| {
        base + height * (p[0] * waves + phase * std::f32::consts::TAU).sin()
    };
    let far = ridge(-0.25 + 0.3 * places[0], places[1], 2.0 + 2.0 * places[2], 0.14);
    let near = ridge(0.2 + 0.25 * places[3], places[4], 1.5 + 2.0 * places[5], 0.12);
    0.5 * edge(far - p[1], blur) + 0.5 * edge(near - p[1], blur)
}

/// Hanging folds.
fn curtain(places: &[f32], p: Point, blur: f32) -> f32 {
    let (count, lean) = (2.5 + 2.0 * places[0], 0.5 * (places[1] - 0.5));
    let wave = ((p[0] + lean * p[1]) * count + places[2]).rem_euclid(1.0);
    edge((0.25 - (wave - 0.5).abs()) / count, blur)
}

/// Leaves, as two heights of smooth noise.
fn leaves(places: &[f32], p: Point, blur: f32) -> f32 {
    let mut height = 0.0;
    for wave in places.chunks_exact(3) {
        let (sin, cos) = (wave[0] * std::f32::consts::TAU).sin_cos();
        let frequency = 4.0 + 5.0 * wave[1];
        height += ((p[0] * cos + p[1] * sin) * frequency + wave[2] * std::f32::consts::TAU).sin();
    }
    // One unit of height is passed in about an eighth of the width.
    let distance = height * 0.07;
    0.55 * edge(distance + 0.05, blur) + 0.45 * edge(distance - 0.1, blur)
}

/// A wall with a bright window to one side.
fn window(places: &[f32], p: Point, blur: f32) -> f32 {
    let side = if places[0] < 0.5 { -1.0 } else { 1.0 };
    let centre = [side * (0.55 + 0.2 * places[1]), -0.35 - 0.2 * places[2]];
    let (x, y) = ((p[0] - centre[0]).abs(), (p[1] - centre[1]).abs());
    let frame = edge(0.34 + 0.1 * places[3] - x, 0.7 * blur) * edge(0.42 + 0.15 * places[4] - y, 0.7 * blur);
    let bars = edge(x - 0.035, 0.4 * blur) * edge(y - 0.035, 0.4 * blur);
    0.12 + 0.88 * frame * (0.4 + 0.6 * bars)
}
