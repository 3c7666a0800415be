//! The anime style: flat colours with one hard step of shadow, ink outlines, large shining eyes, a flat
//! background.

use image::RgbImage;

use super::background;
use super::canvas::{Canvas, Mask, Point};
use super::color::{Rgb, mix, rgb, scale, times};
use super::curve::{Path, ellipse};
use super::palette::HairStyle;
use super::{Sitter, Style, light};

/// Colour of ink before the tint of what it surrounds.
const INK: Rgb = rgb(44, 30, 48);
/// Half the width of an outline in portrait units.
const OUTLINE: f32 = 0.016;
/// What shadow keeps of each channel.
const SHADOW: Rgb = [0.80, 0.72, 0.84];
/// Shadow on skin is warmer.
const SKIN_SHADOW: Rgb = [0.91, 0.76, 0.76];
/// Half the width of the eye in head units.
const EYE_WIDTH: f32 = 0.112;
/// Half the height of the open eye.
const EYE_HEIGHT: f32 = 0.118;

/// Draws a person as anime, `factor` times smaller than the sitter's canvas.
pub fn draw(sitter: &Sitter, factor: usize) -> RgbImage {
    // An edge takes one pixel of the finished image.
    let blur = factor as f32 / sitter.side as f32;
    let mut canvas =
        Canvas::new(sitter.side, factor, |p| background::anime(&sitter.person.backdrop, p, blur));
    sitter.ink_back(&mut canvas);
    sitter.ink_body(&mut canvas);
    let face = sitter.ink_face(&mut canvas);
    sitter.ink_nose_and_mouth(&mut canvas);
    sitter.ink_fringe_shadow(&mut canvas, &face);
    for side in [-1.0, 1.0] {
        sitter.ink_eye(&mut canvas, side);
    }
    sitter.ink_front(&mut canvas);
    for side in [-1.0, 1.0] {
        sitter.ink_brow(&mut canvas, side);
    }
    canvas.shrink(factor, |_, color| color)
}

impl Sitter<'_> {
    /// Ink around outlines: drawn before they are filled, so that only the outer half of the line stays.
    fn ink(&self, canvas: &mut Canvas, outlines: &[Vec<Point>], color: Rgb) {
        for outline in outlines {
            let closed: Vec<Point> = outline.iter().chain(outline.first()).copied().collect();
            canvas.paint(&self.line(&closed, |_| OUTLINE), 1.0, |_| color);
        }
    }

    fn hair_ink(&self) -> Rgb {
        mix(INK, scale(self.person.hair_color.color(Style::Anime), 0.4), 0.45)
    }

    fn skin_ink(&self) -> Rgb {
        mix(INK, times(self.person.skin.color(Style::Anime), [0.5, 0.3, 0.28]), 0.55)
    }

    /// Hair at a portrait point: lit, in shadow, or, where it does not hang, the shine of the crown.
    fn flat_hair(&self, p: Point, hangs: bool) -> Rgb {
        let base = self.person.hair_color.color(Style::Anime);
        let q = self.layout.head.local(p);
        let (strand, along) = light::strand(q);
        if !hangs && light::gloss(strand, along, self.light) > 0.25 {
            return mix(base, [1.0; 3], 0.55);
        }
        if self.hair_light(q, hangs) + 0.1 * light::locks(strand) < 0.42 { times(base, SHADOW) } else { base }
    }

    fn ink_back(&self, canvas: &mut Canvas) {
        let back = &self.layout.hair.back;
        self.ink(canvas, back, self.hair_ink());
        let base = times(self.person.hair_color.color(Style::Anime), SHADOW);
        canvas.paint(&self.fill(back), 1.0, |_| base);
        // Tails are not in the shadow of the head.
        if matches!(self.person.hair_style, HairStyle::TwinTails | HairStyle::Ponytail) {
            let tails = self.fill(&back[1..]);
            canvas.paint(&tails, 1.0, |p| self.flat_hair(p, true));
        }
    }

    fn ink_body(&self, canvas: &mut Canvas) {
        let layout = &self.layout;
        let base = self.person.skin.color(Style::Anime);
        self.ink(canvas, std::slice::from_ref(&layout.body), self.skin_ink());
        let skin = self.fill(std::slice::from_ref(&layout.body));
        canvas.paint(&skin, 1.0, |_| base);
        let [x, _] = self.light.throw();
        let shadow = self.fill(std::slice::from_ref(&layout.face)).shifted([0.05 * x, 0.09]).and(&skin);
        canvas.paint(&shadow, 1.0, |_| times(base, SKIN_SHADOW));

        let cloth = self.person.clothes_color.color(Style::Anime);
        let ink = mix(INK, scale(cloth, 0.35), 0.4);
        let chin = layout.head.place([0.0, 0.53]);
        let tone = |p: Point| {
            let lambert = self.light.on_ellipsoid([p[0] - chin[0], p[1] - 1.2], [0.0, 0.0], [1.1, 0.9]);
            if lambert < 0.45 { times(cloth, SHADOW) } else { cloth }
        };
        self.ink(canvas, std::slice::from_ref(&layout.clothes), ink);
        canvas.paint(&self.fill(std::slice::from_ref(&layout.clothes)), 1.0, tone);
        self.ink(canvas, &layout.collar, ink);
        canvas.paint(&self.fill(&layout.collar), 1.0, |p| mix(tone(p), [1.0; 3], 0.25));
    }

    /// Paints the bare face with the ears and returns the mask of the face.
    fn ink_face(&self, canvas: &mut Canvas) -> Mask {
        let layout = &self.layout;
        let base = self.person.skin.color(Style::Anime);
        self.ink(canvas, &layout.ears, self.skin_ink());
        canvas.paint(&self.fill(&layout.ears), 1.0, |_| times(base, SKIN_SHADOW));
        self.ink(canvas, std::slice::from_ref(&layout.face), self.skin_ink());
        let face = self.fill(std::slice::from_ref(&layout.face));
        let turn = layout.head.turn_shift();
        canvas.paint(&face, 1.0, |p| {
            let q = layout.head.local(p);
            let lambert = self.light.on_ellipsoid(q, [turn * 0.5, -0.02], [0.56, 1.4]);
            if lambert < 0.3 { times(base, SKIN_SHADOW) } else { base }
        });
        for side in [-1.0, 1.0] {
            let cheek = ellipse([0.05, 0.155], [0.075, 0.036]);
            let cheek = cheek.into_iter().map(|p| layout.eye(side, p)).collect();
            canvas.paint(&self.fill(&[cheek]), 0.5, |_| times(base, [1.0, 0.66, 0.66]));
        }
        face
    }

    fn ink_nose_and_mouth(&self, canvas: &mut Canvas) {
        let layout = &self.layout;
        let ink = self.skin_ink();
        let at = |x: f32, y: f32| layout.head.place(layout.head.turned([x, y], 1.25));
        let dark = self.light.throw()[0].signum();
        let nose = Path::from(at(dark * 0.004, 0.205)).quad(at(dark * 0.03, 0.24), at(-dark * 0.006, 0.25));
        canvas.paint(&self.line(&nose.placed(|p| p), |t| 0.009 * (0.4 + t)), 0.85, |_| ink);
        let half = 0.072;
        if let Some(opening) = layout.mouth_opening(half) {
            self.ink(canvas, std::slice::from_ref(&opening), ink);
            let opening = self.fill(&[opening]);
            canvas.paint(&opening, 1.0, |_| rgb(176, 62, 74));
            let tongue = self.fill(&[ellipse(layout.mouth([0.0, 0.085]), [0.05, 0.035])]).and(&opening);
            canvas.paint(&tongue, 1.0, |_| rgb(240, 130, 130));
        } else {
            canvas.paint(&self.line(&layout.lips(half), |_| 0.011), 1.0, |_| ink);
        }
    }

    fn ink_fringe_shadow(&self, canvas: &mut Canvas, face: &Mask) {
        let [x, y] = self.light.throw();
        let shadow = self.fill(&self.layout.hair.front).shifted([0.05 * x, 0.055 * y]).and(face);
        canvas.paint(&shadow, 1.0, |_| times(self.person.skin.color(Style::Anime), SKIN_SHADOW));
    }

    fn ink_eye(&self, canvas: &mut Canvas, side: f32) {
        let layout = &self.layout;
        let at = |x: f32, y: f32| layout.eye(side, [x, y]);
        let (w, h) = (EYE_WIDTH, EYE_HEIGHT * layout.eye_opening());
        let upper = Path::from(at(-w, -0.02))
            .quad(at(-0.8 * w, -h), at(0.0, -h))
            .quad(at(0.85 * w, -h), at(w, 0.01))
            .placed(|p| p);
        let white = Path::from(at(-w, -0.02))
            .join(upper.iter().copied())
            .quad(at(0.8 * w, h), at(0.1 * w, h))
            .quad(at(-0.75 * w, h), at(-w, -0.02))
            .placed(|p| p);
        let white = self.fill(&[white]);
        canvas.paint(&white, 1.0, |_| rgb(252, 250, 252));

        let disc = |x: f32, y: f32, rx: f32, ry: f32| {
            let outline = ellipse([x, y], [rx, ry]).into_iter().map(|p| at(p[0], p[1])).collect();
            self.fill(&[outline]).and(&white)
        };
        let color = self.person.eye_color.color(Style::Anime);
        canvas.paint(&disc(0.0, 0.0, 0.086, h * 0.98), 1.0, |_| scale(color, 0.42));
        canvas.paint(&disc(0.0, 0.004, 0.072, h * 0.86), 1.0, |_| color);
        canvas.paint(&disc(0.0, -0.5 * h, 0.075, h * 0.42), 0.75, |_| scale(color, 0.5));
        canvas.paint(&disc(0.0, 0.0, 0.032, h * 0.42), 1.0, |_| scale(color, 0.25));
        canvas.paint(&disc(0.0, 0.58 * h, 0.045, h * 0.24), 0.6, |_| mix(color, [1.0; 3], 0.6));
        let lid: Vec<Point> = upper.iter().map(|p| [p[0], p[1] + 0.02]).collect();
        canvas.multiply(&self.line(&lid, |_| 0.016).and(&white), [0.72, 0.7, 0.8]);

        // The glint lies towards the light, on the same side of both eyes.
        let glint = self.light.side() * side;
        canvas.paint(&disc(0.03 * glint.signum(), -0.36 * h, 0.027, h * 0.25), 1.0, |_| [1.0; 3]);
        canvas.paint(&disc(-0.035 * glint.signum(), 0.4 * h, 0.014, h * 0.12), 1.0, |_| [1.0; 3]);

        canvas.paint(&self.line(&upper, |t| 0.010 + 0.022 * t.sqrt()), 1.0, |_| INK);
        let wing =
            Path::from(at(0.9 * w, -0.035)).quad(at(1.1 * w, -0.03), at(1.32 * w, -0.075)).placed(|p| p);
        canvas.paint(&self.line(&wing, |t| 0.02 * (1.0 - t)), 1.0, |_| INK);
        let lower = Path::from(at(0.75 * w, 0.75 * h))
            .quad(at(0.3 * w, 1.06 * h), at(-0.4 * w, 0.9 * h))
            .placed(|p| p);
        canvas.paint(&self.line(&lower, |_| 0.008), 0.9, |_| self.skin_ink());
        let crease = Path::from(at(-0.6 * w, -1.12 * h)).quad(at(0.3 * w, -1.5 * h), at(0.98 * w, -0.85 * h));
        canvas.paint(&self.line(&crease.placed(|p| p), |_| 0.006), 0.7, |_| self.skin_ink());
    }

    fn ink_front(&self, canvas: &mut Canvas) {
        let hair = &self.layout.hair;
        self.ink(canvas, &hair.front, self.hair_ink());
        canvas.paint(&self.fill(&hair.front), 1.0, |p| self.flat_hair(p, false));
        for line in &hair.lines {
            canvas.paint(&self.line(line, |t| 0.011 * (1.0 - t)), 1.0, |_| self.hair_ink());
        }
    }

    /// Brows show through the fringe, as anime draws them.
    fn ink_brow(&self, canvas: &mut Canvas, side: f32) {
        let brow = self.line(&self.layout.brow(side), |t| 0.006 + 0.010 * (1.0 - t));
        canvas.paint(&brow, 0.9, |_| self.hair_ink());
    }
}
