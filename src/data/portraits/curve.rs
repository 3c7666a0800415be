//! Outlines of the shapes: quadratic curves with corners, and smooth curves through points.

use super::canvas::Point;

/// Straight pieces per curve.
const PIECES: usize = 8;

/// A line made of straight and quadratic pieces.
#[derive(Clone)]
pub struct Path(Vec<Point>);

impl Path {
    /// A path that begins at a point.
    pub fn from(start: Point) -> Self {
        Self(vec![start])
    }

    /// Goes straight to `end`.
    pub fn line(mut self, end: Point) -> Self {
        self.0.push(end);
        self
    }

    /// Goes to `end` in a quadratic Bézier curve with the control point `control`.
    pub fn quad(mut self, control: Point, end: Point) -> Self {
        if let Some(&start) = self.0.last() {
            self.0.extend((1..=PIECES).map(|i| {
                let t = i as f32 / PIECES as f32;
                let (a, b, c) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
                std::array::from_fn(|axis| a * start[axis] + b * control[axis] + c * end[axis])
            }));
        }
        self
    }

    /// Goes on through the points of another path.
    pub fn join(mut self, points: impl IntoIterator<Item = Point>) -> Self {
        self.0.extend(points);
        self
    }

    /// The points of the path, each moved by `place`.
    pub fn placed(self, place: impl Fn(Point) -> Point) -> Vec<Point> {
        self.0.into_iter().map(place).collect()
    }
}

/// A smooth curve (Catmull-Rom) through the points, from the first to the last.
pub fn smooth(points: &[Point]) -> Vec<Point> {
    let Some(last) = points.len().checked_sub(1) else { return Vec::new() };
    let mut curve = Vec::with_capacity(last * PIECES + 1);
    for i in 0..last {
        let neighbours = [points[i.saturating_sub(1)], points[i], points[i + 1], points[(i + 2).min(last)]];
        curve.extend((0..PIECES).map(|k| catmull_rom(neighbours, k as f32 / PIECES as f32)));
    }
    curve.push(points[last]);
    curve
}

/// A smooth closed curve (Catmull-Rom) through the points.
pub fn smooth_closed(points: &[Point]) -> Vec<Point> {
    let n = points.len();
    let piece = |i: usize| [points[(i + n - 1) % n], points[i], points[(i + 1) % n], points[(i + 2) % n]];
    (0..n * PIECES).map(|k| catmull_rom(piece(k / PIECES), (k % PIECES) as f32 / PIECES as f32)).collect()
}

fn catmull_rom([a, b, c, d]: [Point; 4], t: f32) -> Point {
    std::array::from_fn(|axis| {
        let (a, b, c, d) = (a[axis], b[axis], c[axis], d[axis]);
        let slope = c - a;
        let bend = 2.0 * a - 5.0 * b + 4.0 * c - d;
        let twist = 3.0 * (b - c) + d - a;
        b + 0.5 * t * (slope + t * (bend + t * twist))
    })
}

/// An ellipse with half axes `radius` around `centre`.
pub fn ellipse(centre: Point, radius: Point) -> Vec<Point> {
    (0..32)
        .map(|i| {
            let (sin, cos) = (i as f32 / 32.0 * std::f32::consts::TAU).sin_cos();
            [centre[0] + radius[0] * cos, centre[1] + radius[1] * sin]
        })
        .collect()
}
