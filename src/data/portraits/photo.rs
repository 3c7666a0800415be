//! The photo style: smooth shading from the light, soft edges, strands of hair, small eyes, grain.

use image::RgbImage;

use super::background;
use super::canvas::{Canvas, Mask, Point, distance};
use super::color::{Rgb, luma, mix, rgb, saturate, scale, smoothstep, times};
use super::curve::{Path, ellipse};
use super::{Sitter, Style, light};
use crate::random::{Purpose, stream, unit_f32};

/// What unlit skin keeps of each channel: light scattered in the skin reddens its shadows.
const SKIN_SHADOW: Rgb = [0.64, 0.50, 0.46];
/// Half the range of the sensor noise, which is uniform.
const GRAIN: f32 = 0.017;
/// Half the width of the eye in head units; anime's is larger.
const EYE_WIDTH: f32 = 0.098;
/// Half the height of the open eye.
const EYE_HEIGHT: f32 = 0.054;
/// Radius of the iris.
const IRIS: f32 = 0.054;

/// Draws the photo of a person, `factor` times smaller than the sitter's canvas.
pub fn draw(sitter: &Sitter, factor: usize) -> RgbImage {
    let mut canvas = Canvas::new(sitter.side, factor, |p| background::photo(&sitter.person.backdrop, p));
    sitter.paint_back(&mut canvas);
    sitter.paint_body(&mut canvas);
    let face = sitter.paint_face(&mut canvas);
    sitter.paint_nose(&mut canvas);
    sitter.paint_mouth(&mut canvas);
    for side in [-1.0, 1.0] {
        sitter.paint_eye(&mut canvas, side);
        sitter.paint_brow(&mut canvas, side);
    }
    sitter.paint_front(&mut canvas, &face);
    sitter.develop(canvas, factor)
}

impl Sitter<'_> {
    /// Hair as seen at a portrait point; hair that hangs behind is darker and hardly shines.
    fn hair_tone(&self, p: Point, hangs: bool) -> Rgb {
        let q = self.layout.head.local(p);
        let (depth, luster) = if hangs { (0.76, 0.1) } else { (1.0, 0.5) };
        let lambert = self.hair_light(q, hangs);
        let (strand, along) = light::strand(q);
        let fine = light::noise(strand * 44.0, along * 2.0) + 0.8 * light::noise(strand * 97.0, along * 3.0);
        let tone = 0.66 + 0.55 * lambert + 0.10 * light::locks(strand) + 0.08 * fine;
        let base = self.person.hair_color.color(Style::Photo);
        let shine = luster * light::gloss(strand, along, self.light);
        let glint = mix(base, [1.0, 0.97, 0.92], 0.45);
        mix(scale(base, tone * depth), glint, (shine * (1.0 + 0.5 * fine)).clamp(0.0, 1.0))
    }

    /// Skin that gets `lit` of the light, from 0 to 1.
    fn skin_tone(&self, lit: f32) -> Rgb {
        let base = self.person.skin.color(Style::Photo);
        mix(times(base, SKIN_SHADOW), scale(base, 1.1), lit)
    }

    fn paint_back(&self, canvas: &mut Canvas) {
        let mask = self.fill(&self.layout.hair.back);
        canvas.paint(&mask, 1.0, |p| self.hair_tone(p, true));
    }

    fn paint_body(&self, canvas: &mut Canvas) {
        let head = &self.layout.head;
        let chin = head.place([0.0, 0.53]);
        let skin = self.fill(std::slice::from_ref(&self.layout.body));
        canvas.paint(&skin, 1.0, |p| {
            let lambert = self.light.on_ellipsoid([p[0] - chin[0], -0.2], [0.0, 0.0], [0.5, 1.0]);
            // The head keeps the light from the neck.
            let below = smoothstep(-0.05, 0.3, p[1] - chin[1]);
            self.skin_tone((lambert * (0.3 + 0.7 * below)).clamp(0.0, 1.0))
        });
        let base = self.person.clothes_color.color(Style::Photo);
        let weave = |p: Point| {
            let lambert = self.light.on_ellipsoid([p[0] - chin[0], p[1] - 1.2], [0.0, 0.0], [1.1, 0.9]);
            let folds = (p[0] * 9.0 + 2.5 * (p[1] * 5.0).sin()).sin() * smoothstep(0.6, 1.0, p[1]);
            let threads = light::noise(p[0] * 60.0, p[1] * 60.0);
            scale(base, 0.62 + 0.5 * lambert + 0.05 * folds + 0.02 * threads)
        };
        let clothes = self.fill(std::slice::from_ref(&self.layout.clothes));
        canvas.multiply(&clothes.blurred(0.02).and(&skin), [0.8, 0.74, 0.72]);
        canvas.paint(&clothes, 1.0, weave);
        let collar = self.fill(&self.layout.collar);
        canvas.multiply(&collar.shifted([0.0, 0.025]).blurred(0.02), [0.72; 3]);
        canvas.paint(&collar, 1.0, |p| scale(weave(p), 1.1));
    }

    /// Paints the bare face with the ears and returns the mask of the face.
    fn paint_face(&self, canvas: &mut Canvas) -> Mask {
        let layout = &self.layout;
        let ears = self.fill(&layout.ears);
        canvas.paint(&ears, 1.0, |_| times(self.skin_tone(0.45), [1.04, 0.94, 0.92]));
        let face = self.fill(std::slice::from_ref(&layout.face));
        let turn = layout.head.turn_shift();
        let blush = [-1.0, 1.0].map(|side| layout.head.local(layout.eye(side, [0.05, 0.155])));
        let sockets = [-1.0, 1.0].map(|side| layout.head.local(layout.eye(side, [-0.01, -0.045])));
        let lips = layout.head.local(layout.mouth([0.0, 0.075]));
        canvas.paint(&face, 1.0, |p| {
            let q = layout.head.local(p);
            let lambert = self.light.on_ellipsoid(q, [turn * 0.5, -0.02], [0.56, 0.86]);
            let hollow = 0.16 * (spot(q, sockets[0], [0.15, 0.09]) + spot(q, sockets[1], [0.15, 0.09]))
                + 0.13 * spot(q, lips, [0.12, 0.035]);
            let color = self.skin_tone((1.25 * lambert - hollow).clamp(0.0, 1.0));
            let flush = 0.5 * (spot(q, blush[0], [0.15, 0.1]) + spot(q, blush[1], [0.15, 0.1]));
            mix(color, times(color, [1.02, 0.78, 0.78]), flush)
        });
        face
    }

    fn paint_nose(&self, canvas: &mut Canvas) {
        let head = &self.layout.head;
        let at = |x: f32, y: f32| head.place(head.turned([x, y], 1.25));
        let dark = self.light.throw()[0].signum();
        let shade = self.skin_tone(0.12);
        let flank = Path::from(at(dark * 0.03, 0.06))
            .line(at(dark * 0.045, 0.2))
            .quad(at(dark * 0.06, 0.245), at(dark * 0.01, 0.255));
        let flank = self.line(&flank.placed(|p| p), |t| 0.012 + 0.018 * t).blurred(0.02);
        canvas.paint(&flank, 0.5 * self.light.side().abs().sqrt(), |_| shade);
        for side in [-1.0, 1.0] {
            let nostril = self.fill(&[ellipse(at(side * 0.028, 0.258), [0.016, 0.009])]);
            canvas.paint(&nostril, 0.75, |_| scale(shade, 0.7));
        }
        let ridge = [at(-dark * 0.008, 0.07), at(-dark * 0.008, 0.17), at(-dark * 0.012, 0.215)];
        let ridge = self.line(&ridge, |t| 0.01 + 0.014 * t).blurred(0.015);
        canvas.paint(&ridge, 0.4, |_| mix(self.skin_tone(1.0), [1.0; 3], 0.35));
    }

    fn paint_mouth(&self, canvas: &mut Canvas) {
        let layout = &self.layout;
        let color = times(self.person.skin.color(Style::Photo), [0.88, 0.56, 0.56]);
        let half = 0.105;
        let middle = layout.lips(half);
        let lower: Vec<Point> = middle.iter().map(|p| [p[0], p[1] + 0.016]).collect();
        let upper = self.line(&middle, |t| 0.017 * arch(t));
        let lower = self.line(&lower, |t| 0.022 * arch(t));
        canvas.paint(&lower, 0.9, |_| scale(color, 1.08));
        canvas.paint(&upper, 0.9, |_| scale(color, 0.88));
        if let Some(opening) = layout.mouth_opening(half * 0.9) {
            let opening_mask = self.fill(std::slice::from_ref(&opening));
            canvas.paint(&self.line(&close(&opening), |_| 0.017), 0.9, |_| color);
            canvas.paint(&opening_mask, 1.0, |_| rgb(92, 34, 34));
            let teeth = self.line(&layout.lips(half * 0.7), |_| 0.017);
            canvas.paint(&teeth.and(&opening_mask), 0.9, |_| rgb(232, 226, 216));
        } else {
            canvas.paint(&self.line(&middle, |t| 0.006 * arch(t)), 0.85, |_| scale(color, 0.5));
        }
    }

    fn paint_eye(&self, canvas: &mut Canvas, side: f32) {
        let layout = &self.layout;
        let at = |x: f32, y: f32| layout.eye(side, [x, y]);
        let (w, h) = (EYE_WIDTH, EYE_HEIGHT * layout.eye_opening());
        let upper = Path::from(at(-w, 0.018)).quad(at(-0.035, -1.9 * h), at(w, -0.008)).placed(|p| p);
        let white = Path::from(at(-w, 0.018))
            .join(upper.iter().copied())
            .quad(at(0.03, 1.75 * h), at(-w, 0.018))
            .placed(|p| p);
        let white = self.fill(&[white]);
        canvas.paint(&white.blurred(0.02), 0.35, |_| self.skin_tone(0.1));
        canvas.paint(&white, 1.0, |_| rgb(226, 222, 220));
        let centre = at(0.0, -0.004);
        let scale_head = layout.head.scale();
        let disc = |radius: f32| ellipse(centre, [radius * scale_head; 2]);
        let color = self.person.eye_color.color(Style::Photo);
        let iris = self.fill(&[disc(IRIS)]).and(&white);
        canvas.paint(&iris, 1.0, |p| {
            let away = distance(p, centre) / (IRIS * scale_head);
            let down = (p[1] - centre[1]) / (IRIS * scale_head);
            scale(color, (1.0 + 0.3 * down) * (1.0 - 0.55 * smoothstep(0.72, 1.0, away)))
        });
        canvas.paint(&self.fill(&[disc(0.019)]).and(&white), 0.95, |_| rgb(14, 12, 14));
        let shade: Vec<Point> = upper.iter().map(|p| [p[0], p[1] + 0.008]).collect();
        canvas.multiply(&self.line(&shade, |_| 0.014).and(&white), [0.55, 0.5, 0.5]);
        let glint = [centre[0] + 0.016 * self.light.side(), centre[1] - 0.016];
        canvas.paint(&self.fill(&[ellipse(glint, [0.010; 2])]), 0.9, |_| [1.0; 3]);
        let lash = rgb(34, 26, 26);
        canvas.paint(&self.line(&upper, |t| 0.006 + 0.008 * t), 0.9, |_| lash);
        let crease: Vec<Point> = upper.iter().map(|p| [p[0], p[1] - 0.028]).collect();
        canvas.paint(&self.line(&crease, |t| 0.007 * arch(t)), 0.45, |_| self.skin_tone(0.0));
        let lower = Path::from(at(w, -0.008)).quad(at(0.03, 1.8 * h), at(-w * 0.6, 0.03)).placed(|p| p);
        canvas.paint(&self.line(&lower, |_| 0.004), 0.4, |_| mix(lash, self.skin_tone(0.2), 0.4));
    }

    fn paint_brow(&self, canvas: &mut Canvas, side: f32) {
        let brow = self.line(&self.layout.brow(side), |t| 0.008 + 0.014 * (1.0 - t) * (0.3 + t).min(1.0));
        let hair = self.person.hair_color.color(Style::Photo);
        canvas.paint(&brow.blurred(0.008), 0.8, |_| mix(scale(hair, 0.6), self.skin_tone(0.0), 0.2));
    }

    fn paint_front(&self, canvas: &mut Canvas, face: &Mask) {
        let mask = self.fill(&self.layout.hair.front);
        let [x, y] = self.light.throw();
        let shadow = mask.shifted([0.05 * x, 0.06 * y]).blurred(0.025).and(face);
        canvas.multiply(&shadow, [0.66, 0.56, 0.54]);
        canvas.paint(&mask, 1.0, |p| self.hair_tone(p, false));
        for line in &self.layout.hair.lines {
            let gap = self.line(line, |t| 0.016 * (1.0 - t)).blurred(0.01);
            canvas.multiply(&gap, [0.72; 3]);
        }
    }

    /// Lens and sensor: soft focus, muted colours, darker corners, grain.
    fn develop(&self, mut canvas: Canvas, factor: usize) -> RgbImage {
        canvas.soften();
        let mut grain = stream(self.person.seed, Purpose::Grain, self.person.index);
        canvas.shrink(factor, |p, color| {
            let muted = saturate(color, 0.94);
            let vignette = 1.02 - 0.09 * (p[0] * p[0] + p[1] * p[1]);
            let common = 2.0 * unit_f32(&mut grain) - 1.0;
            let bright = GRAIN * (0.6 + 0.4 * luma(color));
            muted.map(|v| {
                let own = 2.0 * unit_f32(&mut grain) - 1.0;
                0.02 + 0.95 * v * vignette + bright * (0.75 * common + 0.4 * own)
            })
        })
    }
}

/// 1 at `centre`, falling smoothly to 0 on the ellipse with half axes `radius`.
fn spot(p: Point, centre: Point, radius: Point) -> f32 {
    let (x, y) = ((p[0] - centre[0]) / radius[0], (p[1] - centre[1]) / radius[1]);
    (1.0 - x * x - y * y).max(0.0).powi(2)
}

/// 0 at both ends of a line, 1 in its middle.
fn arch(t: f32) -> f32 {
    (4.0 * t * (1.0 - t)).sqrt()
}

/// An outline with its first point again at the end.
fn close(outline: &[Point]) -> Vec<Point> {
    outline.iter().chain(outline.first()).copied().collect()
}
