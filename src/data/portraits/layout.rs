//! Where everything of a portrait is: the geometry that both styles draw, so that their drawings lie on each
//! other.
//!
//! Head coordinates have their origin between the eyes' outer level and the nose bridge: the face spans about
//! ±0.42 in x, the crown is at y = -0.7 and the chin at y = 0.53. [`Head`] takes them to portrait
//! coordinates.

use super::canvas::Point;
use super::color::smoothstep;
use super::curve::{Path, ellipse, smooth, smooth_closed};
use super::hair::Hair;
use super::palette::{Expression, HairStyle, Neckline};
use super::person::{Person, Pose};

/// The point that the head tilts about, in head coordinates.
const PIVOT: Point = [0.0, 0.5];
/// Where the head's origin lies in an image of an unmoved person.
const HOME: Point = [0.0, 0.01];
/// Portrait units per head unit of an average person.
const HEAD_SCALE: f32 = 1.07;

/// The map from head coordinates to portrait coordinates.
#[derive(Clone)]
pub struct Head {
    centre: Point,
    sin: f32,
    cos: f32,
    scale: f32,
    turn: (f32, f32),
    nod: f32,
}

impl Head {
    fn new(pose: &Pose) -> Self {
        let (sin, cos) = pose.tilt.sin_cos();
        Self {
            centre: [HOME[0] + pose.shift[0], HOME[1] + pose.shift[1]],
            sin,
            cos,
            scale: HEAD_SCALE * pose.scale,
            turn: pose.turn.sin_cos(),
            nod: pose.nod,
        }
    }

    /// A point of the head's silhouette.
    pub fn place(&self, p: Point) -> Point {
        let (x, y) = (p[0] - PIVOT[0], p[1] - PIVOT[1]);
        let (x, y) = (x * self.cos - y * self.sin, x * self.sin + y * self.cos);
        [self.centre[0] + self.scale * (x + PIVOT[0]), self.centre[1] + self.scale * (y + PIVOT[1])]
    }

    /// A point on the front of the face, which turns and nods as on an ellipsoid.
    pub fn on_face(&self, p: Point) -> Point {
        self.place(self.turned(p, 1.0))
    }

    /// As [`Head::on_face`], with the depth that turning moves scaled by `weight`.
    pub fn turned(&self, p: Point, weight: f32) -> Point {
        let depth = weight * 0.3 * (1.0 - (p[0] / 0.5).powi(2)).max(0.0).sqrt();
        let (sin, cos) = self.turn;
        [p[0] * (1.0 + weight * (cos - 1.0)) + depth * sin, p[1] + depth * self.nod / 0.3]
    }

    /// The head coordinates of a portrait point, without the turn.
    pub fn local(&self, p: Point) -> Point {
        let (x, y) = ((p[0] - self.centre[0]) / self.scale, (p[1] - self.centre[1]) / self.scale);
        let (x, y) = (x - PIVOT[0], y - PIVOT[1]);
        [x * self.cos + y * self.sin + PIVOT[0], y * self.cos - x * self.sin + PIVOT[1]]
    }

    /// The angle that the face is turned by, as a share of its greatest depth: the move of the nose bridge.
    pub fn turn_shift(&self) -> f32 {
        0.3 * self.turn.0
    }

    /// Portrait units per head unit.
    pub fn scale(&self) -> f32 {
        self.scale
    }
}

/// The outlines of one person, in portrait coordinates.
pub struct Layout {
    /// The map that places the head.
    pub head: Head,
    /// The face with the chin.
    pub face: Vec<Point>,
    /// The ears that the hair leaves to be seen.
    pub ears: Vec<Vec<Point>>,
    /// Neck, chest and shoulders.
    pub body: Vec<Point>,
    /// The clothes over the body.
    pub clothes: Vec<Point>,
    /// Flaps over the clothes, with a neckline that has them.
    pub collar: Vec<Vec<Point>>,
    /// The hair.
    pub hair: Hair,
    face_eyes: f32,
    brow_slant: f32,
    expression: Expression,
}

impl Layout {
    /// The layout of a person.
    pub fn new(person: &Person) -> Self {
        let head = Head::new(&person.pose);
        let body = Body { origin: head.place([0.0, 0.62]), scale: head.scale };
        Self {
            face: face(person, &head),
            ears: ears(person, &head),
            body: body.skin(),
            clothes: body.clothes(person.neckline),
            collar: if person.neckline == Neckline::Collar { body.collar() } else { Vec::new() },
            hair: Hair::new(person, &head),
            face_eyes: person.face.eyes,
            brow_slant: person.face.brows,
            expression: person.expression,
            head,
        }
    }

    /// A point of an eye; `side` is -1 for the left of the image and 1 for the right, `p` has its origin at
    /// the eye's centre and x towards the temple.
    pub fn eye(&self, side: f32, p: Point) -> Point {
        self.head.on_face([side * (0.195 + p[0]), 0.075 + p[1]])
    }

    /// How far the eyes are open, around 1.
    pub fn eye_opening(&self) -> f32 {
        self.face_eyes
    }

    /// The brow over an eye, from its inner to its outer end.
    pub fn brow(&self, side: f32) -> Vec<Point> {
        let slant = self.brow_slant;
        let at = |x: f32, rise: f32| self.head.on_face([side * x, -0.125 - rise + (0.195 - x) * slant]);
        smooth(&[at(0.085, -0.005), at(0.155, 0.022), at(0.235, 0.028), at(0.305, 0.0)])
    }

    /// A point relative to the middle of the mouth.
    pub fn mouth(&self, p: Point) -> Point {
        self.head.on_face([p[0], 0.355 + p[1]])
    }

    /// The line between the lips, `half` wide to each side.
    pub fn lips(&self, half: f32) -> Vec<Point> {
        let curl = match self.expression {
            Expression::Smile => 0.035,
            Expression::Open => 0.02,
            Expression::Neutral => 0.004,
            Expression::Frown => -0.028,
        };
        let at = |t: f32| self.mouth([t * half, curl * (0.5 - t * t)]);
        smooth(&[at(-1.0), at(-0.5), at(0.0), at(0.5), at(1.0)])
    }

    /// The opening between the lips, if the mouth is open.
    pub fn mouth_opening(&self, half: f32) -> Option<Vec<Point>> {
        let at = |x: f32, y: f32| self.mouth([x * half, y]);
        (self.expression == Expression::Open).then(|| {
            Path::from(at(-1.0, -0.012))
                .quad(at(0.0, 0.012), at(1.0, -0.012))
                .quad(at(0.75, 0.085), at(0.0, 0.085))
                .quad(at(-0.75, 0.085), at(-1.0, -0.012))
                .placed(|p| p)
        })
    }
}

/// The face; its lower part follows the turn of the head more than its sides do.
fn face(person: &Person, head: &Head) -> Vec<Point> {
    let shape = &person.face;
    let half = [
        (0.0, -0.62),
        (0.27, -0.52),
        (0.40, -0.25),
        (0.415, 0.02),
        (0.385, 0.20),
        (0.275 * shape.jaw, 0.385),
        (0.12 * shape.jaw, 0.505),
    ];
    let right = half.iter().map(|&(x, y)| [x, y]);
    let left = half.iter().skip(1).rev().map(|&(x, y)| [-x, y]);
    let points: Vec<Point> = right
        .chain([[0.0, 0.535]])
        .chain(left)
        .map(|[x, y]: Point| {
            let y = if y > 0.1 { 0.1 + (y - 0.1) * shape.chin } else { y };
            head.place(head.turned([x * shape.width, y], 0.8 * smoothstep(0.0, 0.55, y)))
        })
        .collect();
    smooth_closed(&points)
}

fn ears(person: &Person, head: &Head) -> Vec<Vec<Point>> {
    if matches!(person.hair_style, HairStyle::Bob | HairStyle::Long | HairStyle::Spiky) {
        return Vec::new();
    }
    let ear = |side: f32| {
        // Ears lie behind the middle of the head, so that turning moves them the other way.
        let x = side * 0.42 * person.face.width - 0.1 * head.turn.0;
        ellipse([x, 0.06], [0.065, 0.105]).into_iter().map(|p| head.place(p)).collect()
    };
    vec![ear(-1.0), ear(1.0)]
}

/// Neck and shoulders; upright whatever the head does.
struct Body {
    origin: Point,
    scale: f32,
}

impl Body {
    fn place(&self, p: Point) -> Point {
        [self.origin[0] + self.scale * p[0], self.origin[1] + self.scale * p[1]]
    }

    /// Both halves of an outline whose right half is given from the top down to the image's border.
    fn mirrored(&self, right: &[Point]) -> Vec<Point> {
        let right = smooth(right);
        let left: Vec<Point> = right.iter().rev().map(|&[x, y]| [-x, y]).collect();
        right.into_iter().chain(left).map(|p| self.place(p)).collect()
    }

    fn skin(&self) -> Vec<Point> {
        self.mirrored(&[[0.155, -0.45], [0.155, -0.12], [0.18, 0.03], [0.33, 0.14], [0.58, 0.24], [0.7, 0.9]])
    }

    fn clothes(&self, neckline: Neckline) -> Vec<Point> {
        let sleeve = [[0.40, 0.135], [0.62, 0.19], [0.76, 0.34], [0.84, 0.62], [0.88, 1.0]];
        let (neck, drop): (&[Point], Point) = match neckline {
            Neckline::Round => (&[[0.21, 0.055]], [0.17, 0.19]),
            Neckline::Open => (&[[0.30, 0.095]], [0.24, 0.34]),
            Neckline::High => (&[[0.168, -0.10], [0.18, 0.03]], [0.08, -0.075]),
            Neckline::Collar => (&[[0.20, 0.045]], [0.08, 0.22]),
        };
        let right: Vec<Point> = smooth(&neck.iter().copied().chain(sleeve).collect::<Vec<_>>());
        let [x, y] = neck[0];
        let left: Vec<Point> = right.iter().rev().map(|&[x, y]| [-x, y]).collect();
        Path::from([-x, y])
            .quad([-drop[0], drop[1]], [0.0, drop[1]])
            .quad([drop[0], drop[1]], [x, y])
            .join(right)
            .join(left)
            .placed(|p| self.place(p))
    }

    fn collar(&self) -> Vec<Vec<Point>> {
        [-1.0, 1.0]
            .map(|side: f32| {
                Path::from([side * 0.165, -0.05])
                    .line([side * 0.25, 0.06])
                    .line([side * 0.27, 0.24])
                    .line([side * 0.02, 0.235])
                    .quad([side * 0.13, 0.12], [side * 0.165, -0.05])
                    .placed(|p| self.place(p))
            })
            .to_vec()
    }
}
