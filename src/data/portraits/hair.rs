//! The outlines of the hair: what hangs behind the body, the mass on the head, the fringe and the locks
//! beside the face.

use super::canvas::Point;
use super::curve::{Path, smooth, smooth_closed};
use super::layout::Head;
use super::palette::{Fringe, HairStyle};
use super::person::Person;

/// The hair of one person, in portrait coordinates, from back to front.
pub struct Hair {
    /// Behind neck and body.
    pub back: Vec<Vec<Point>>,
    /// On the head, over the forehead: cap and fringe in one.
    pub front: Vec<Vec<Point>>,
    /// Single lines within the front hair that ink follows: partings and the gaps between locks.
    pub lines: Vec<Vec<Point>>,
}

impl Hair {
    /// The hair of a person on a placed head.
    pub fn new(person: &Person, head: &Head) -> Self {
        let style = person.hair_style;
        let mirror = if person.mirrored { -1.0 } else { 1.0 };
        let place = |p: Point| head.place(p);
        let mut back: Vec<Vec<Point>> =
            back(style, mirror).into_iter().map(|shape| shape.into_iter().map(place).collect()).collect();
        // A turned head shows more hair on the side that it turns away from.
        let drift = -0.12 * head.turn_shift();
        for point in back.iter_mut().flatten() {
            point[0] += drift;
        }
        let (cap, lines) = cap(person, head, mirror);
        let mut front = vec![cap];
        front.extend(locks(style).into_iter().flat_map(|lock| {
            [-1.0, 1.0].map(|side: f32| {
                lock.iter().map(|&[x, y]| head.place(head.turned([side * x, y], 0.35))).collect::<Vec<_>>()
            })
        }));
        Self { back, front, lines }
    }
}

/// The shapes behind the body, in head coordinates.
fn back(style: HairStyle, mirror: f32) -> Vec<Vec<Point>> {
    let mirrored = |half: &[Point]| {
        let left = half.iter().rev().map(|&[x, y]| [-x, y]);
        smooth_closed(&half.iter().copied().chain(left).collect::<Vec<_>>())
    };
    let nape = mirrored(&[[0.2, -0.5], [0.46, -0.2], [0.43, 0.12], [0.33, 0.36], [0.12, 0.44]]);
    match style {
        HairStyle::Short => vec![nape],
        HairStyle::Bob => vec![mirrored(&[
            [0.2, -0.6],
            [0.53, -0.25],
            [0.575, 0.1],
            [0.575, 0.36],
            [0.5, 0.52],
            [0.2, 0.52],
        ])],
        HairStyle::Long => vec![mirrored(&[
            [0.2, -0.6],
            [0.53, -0.25],
            [0.58, 0.15],
            [0.62, 0.6],
            [0.66, 1.0],
            [0.6, 1.5],
            [0.2, 1.6],
        ])],
        HairStyle::TwinTails => vec![nape, twin_tail(-1.0), twin_tail(1.0)],
        HairStyle::Ponytail => vec![nape, ponytail(mirror)],
        HairStyle::Spiky => vec![spikes(&[
            (0.40, 0.52),
            (0.30, 0.40),
            (0.52, 0.34),
            (0.42, 0.2),
            (0.60, 0.12),
            (0.47, 0.0),
            (0.45, -0.2),
        ])],
    }
}

/// A mirrored zigzag: tips and notches of the right half from bottom to top.
fn spikes(half: &[(f32, f32)]) -> Vec<Point> {
    let right = half.iter().map(|&(x, y)| [x, y]);
    let left = half.iter().rev().map(|&(x, y)| [-x, y]);
    right.chain(left).collect()
}

fn twin_tail(side: f32) -> Vec<Point> {
    Path::from([side * 0.40, -0.46])
        .quad([side * 0.58, -0.66], [side * 0.73, -0.36])
        .quad([side * 0.92, 0.1], [side * 0.81, 0.6])
        .quad([side * 0.77, 0.82], [side * 0.87, 0.98])
        .quad([side * 0.63, 0.92], [side * 0.58, 0.68])
        .quad([side * 0.62, 0.2], [side * 0.44, -0.18])
        .placed(|p| p)
}

fn ponytail(side: f32) -> Vec<Point> {
    Path::from([side * 0.18, -0.62])
        .quad([side * 0.42, -0.92], [side * 0.70, -0.66])
        .quad([side * 0.98, -0.32], [side * 0.86, 0.22])
        .quad([side * 0.80, 0.5], [side * 0.90, 0.72])
        .quad([side * 0.60, 0.6], [side * 0.60, 0.2])
        .quad([side * 0.62, -0.2], [side * 0.36, -0.36])
        .placed(|p| p)
}

/// The outer edge of the hair on the head, from the left temple over the crown to the right one, head
/// coordinates.
fn crown(style: HairStyle) -> Vec<Point> {
    if style == HairStyle::Spiky {
        return spiky_crown();
    }
    let wide = match style {
        HairStyle::Bob | HairStyle::Long => 1.07,
        _ => 1.0,
    };
    let half = [[0.475, 0.16], [0.505, -0.06], [0.49, -0.3], [0.39, -0.53], [0.21, -0.67], [0.0, -0.71]];
    let left = half.iter().map(|&[x, y]| [-x * wide, y]);
    let right = half.iter().rev().skip(1).map(|&[x, y]| [x * wide, y]);
    smooth(&left.chain(right).collect::<Vec<_>>())
}

fn spiky_crown() -> Vec<Point> {
    let notches = [
        [-0.47, 0.12],
        [-0.49, -0.12],
        [-0.47, -0.34],
        [-0.33, -0.55],
        [-0.12, -0.64],
        [0.10, -0.65],
        [0.31, -0.57],
        [0.46, -0.36],
        [0.49, -0.12],
        [0.47, 0.12],
    ];
    let tips = [
        [-0.61, 0.06],
        [-0.67, -0.22],
        [-0.62, -0.52],
        [-0.36, -0.80],
        [-0.02, -0.86],
        [0.30, -0.83],
        [0.58, -0.58],
        [0.68, -0.25],
        [0.61, 0.05],
    ];
    let mut path = Path::from(notches[0]);
    for (i, &tip) in tips.iter().enumerate() {
        let (from, to) = (notches[i], notches[i + 1]);
        let bulge = |a: Point, b: Point, out: f32| {
            let middle = [f32::midpoint(a[0], b[0]), f32::midpoint(a[1], b[1])];
            [middle[0] * out, (middle[1] + 0.1) * out - 0.1]
        };
        path = path.quad(bulge(from, tip, 1.04), tip).quad(bulge(tip, to, 0.97), to);
    }
    path.placed(|p| p)
}

/// Cap with fringe, and the ink lines within it.
fn cap(person: &Person, head: &Head, mirror: f32) -> (Vec<Point>, Vec<Vec<Point>>) {
    let crown: Vec<Point> = crown(person.hair_style).into_iter().map(|p| head.place(p)).collect();
    let on_brow = |[x, y]: Point| head.place(head.turned([x, y], 0.9));
    let locks = fringe(person.fringe);
    let flip = |[x, y]: Point| [x * mirror, y];
    // The fringe runs from the right temple to the left one; mirrored, its locks come in the other order.
    let mut path = Path::from([0.475, 0.16]).quad([0.43, 0.14], [0.405, 0.2]);
    let mut gaps: Vec<Point> = locks.notches.iter().map(|&p| flip(p)).collect();
    let mut tips: Vec<Point> = locks.tips.iter().map(|&p| flip(p)).collect();
    if mirror < 0.0 {
        gaps.reverse();
        tips.reverse();
    }
    let mut from = [0.405, 0.2];
    for (&notch, &tip) in gaps.iter().zip(&tips) {
        path = path
            .quad([notch[0] + 0.25 * (from[0] - notch[0]), notch[1] + 0.35 * (from[1] - notch[1])], notch);
        path = path.quad([notch[0] + 0.1 * (tip[0] - notch[0]), f32::midpoint(notch[1], tip[1])], tip);
        from = tip;
    }
    if let Some(&notch) = gaps.last().filter(|_| gaps.len() > tips.len()) {
        path = path
            .quad([notch[0] + 0.25 * (from[0] - notch[0]), notch[1] + 0.35 * (from[1] - notch[1])], notch);
    }
    path = path.quad([-0.40, 0.0], [-0.405, 0.2]).quad([-0.43, 0.14], [-0.475, 0.16]);
    let lower = path.placed(on_brow);
    let lines = gaps
        .iter()
        .map(|&[x, y]| {
            let top = [x * 0.8 + 0.02 * mirror, y - 0.16];
            smooth(&[on_brow([x, y]), on_brow([x * 0.92, y - 0.08]), on_brow(top)])
        })
        .collect();
    (crown.into_iter().chain(lower).collect(), lines)
}

/// The lower edge of a fringe, from right to left: locks between notches.
struct Edge {
    notches: &'static [Point],
    tips: &'static [Point],
}

fn fringe(kind: Fringe) -> Edge {
    match kind {
        Fringe::Straight => Edge {
            notches: &[
                [0.335, -0.12],
                [0.2, -0.16],
                [0.05, -0.17],
                [-0.1, -0.17],
                [-0.24, -0.15],
                [-0.35, -0.1],
            ],
            tips: &[[0.26, -0.075], [0.12, -0.085], [-0.03, -0.085], [-0.17, -0.08], [-0.3, -0.06]],
        },
        Fringe::Swept => Edge {
            notches: &[[0.2, -0.42], [0.03, -0.22], [-0.13, -0.17], [-0.3, -0.08]],
            tips: &[[0.02, -0.13], [-0.14, -0.08], [-0.3, -0.0]],
        },
        Fringe::Parted => Edge { notches: &[[0.02, -0.44]], tips: &[] },
        Fringe::Choppy => Edge {
            notches: &[[0.32, -0.15], [0.17, -0.24], [0.0, -0.24], [-0.15, -0.23], [-0.32, -0.15]],
            tips: &[[0.24, -0.02], [0.06, -0.06], [-0.09, -0.02], [-0.25, -0.04]],
        },
    }
}

/// Locks beside the face, right side, head coordinates.
fn locks(style: HairStyle) -> Vec<Vec<Point>> {
    let lock = |outer: f32, inner: f32, bottom: f32| {
        Path::from([outer - 0.03, -0.2])
            .quad([outer + 0.03, bottom * 0.4], [outer - 0.01, bottom * 0.8])
            .quad([outer - 0.02, bottom * 0.95], [outer - 0.08, bottom])
            .quad([inner - 0.01, bottom * 0.7], [inner, 0.15])
            .quad([inner, 0.0], [inner - 0.06, -0.22])
            .placed(|p| p)
    };
    match style {
        HairStyle::Short | HairStyle::Spiky => vec![lock(0.47, 0.40, 0.26)],
        HairStyle::Ponytail => vec![lock(0.46, 0.39, 0.42)],
        HairStyle::Bob => vec![lock(0.56, 0.375, 0.52)],
        HairStyle::Long => vec![lock(0.57, 0.375, 0.92)],
        HairStyle::TwinTails => vec![lock(0.47, 0.38, 0.56)],
    }
}
