//! What light does on head and hair, as plain functions of head coordinates that both styles read: the photo
//! as smooth shading, anime through a threshold.

use super::canvas::{Point, distance};
use super::color::smoothstep;

/// The direction towards the light; z points at the viewer.
#[derive(Clone, Copy)]
pub struct Light([f32; 3]);

impl Light {
    /// A light above the person, `angle` radians to the right of straight above.
    pub fn new(angle: f32) -> Self {
        let (x, y, z) = (angle.sin(), -0.45_f32, 0.62_f32);
        let length = (x * x + y * y + z * z).sqrt();
        Self([x / length, y / length, z / length])
    }

    /// Lambert's cosine on an ellipsoid seen from the front, from 0 to 1.
    pub fn on_ellipsoid(self, p: Point, centre: Point, radius: Point) -> f32 {
        let (mut x, mut y) = ((p[0] - centre[0]) / radius[0], (p[1] - centre[1]) / radius[1]);
        let length = distance([x, y], [0.0, 0.0]);
        if length > 0.98 {
            (x, y) = (0.98 * x / length, 0.98 * y / length);
        }
        let z = (1.0 - x * x - y * y).sqrt();
        let Self(light) = self;
        (x * light[0] + y * light[1] + z * light[2]).max(0.0)
    }

    /// Where a shadow falls that something lifted off the surface throws, for each unit of its height.
    pub fn throw(self) -> Point {
        [-self.0[0], -self.0[1]]
    }

    /// The light's sideways part, from -1 to 1.
    pub fn side(self) -> f32 {
        self.0[0]
    }
}

/// The place of a point among the strands of hair: which strand, and how far along it from the crown.
pub fn strand(p: Point) -> (f32, f32) {
    let along = (p[1] + 0.78).max(0.05);
    // Strands fan out from the crown and hang straight below the ears.
    let fan = 0.12 + along / (1.0 + along * along).sqrt();
    (p[0] / fan, along)
}

/// Waves over the strands, about -1 to 1, the same on every head.
pub fn locks(strand: f32) -> f32 {
    // Tails hang too far out to show as strands of the crown.
    let reach = smoothstep(0.72, 0.5, strand.abs());
    let waves =
        0.5 * wave(strand * 2.7 + 0.11) + 0.3 * wave(strand * 4.9 + 0.33) + 0.2 * wave(strand * 9.4 + 0.64);
    waves * reach
}

/// Near a sine of an angle in turns, from parabolas: this runs for every pixel of hair.
fn wave(turns: f32) -> f32 {
    let x = 2.0 * (turns - turns.floor()) - 1.0;
    -4.0 * x * (1.0 - x.abs())
}

/// The glossy band around the head: 1 at its middle, 0 off it.
pub fn gloss(strand: f32, along: f32, light: Light) -> f32 {
    // Most hair lies off the band wherever it bends to.
    if !(0.2..0.7).contains(&along) {
        return 0.0;
    }
    let middle = 0.34 + 0.1 * (strand * 1.3 - 0.6 * light.side()).powi(2) + 0.035 * locks(strand);
    let width = 0.045 + 0.02 * locks(strand * 1.7 + 1.0);
    let sideways = smoothstep(0.95, 0.35, (strand - 0.6 * light.side()).abs());
    (1.0 - ((along - middle) / width).powi(2)).max(0.0) * sideways
}

/// Smooth noise from -1 to 1 with a feature size of 1.
pub fn noise(x: f32, y: f32) -> f32 {
    let (column, row) = (x.floor(), y.floor());
    let (fx, fy) = (smoothstep(0.0, 1.0, x - column), smoothstep(0.0, 1.0, y - row));
    let (column, row) = (column as i32, row as i32);
    let top = hash(column, row) + fx * (hash(column + 1, row) - hash(column, row));
    let bottom = hash(column, row + 1) + fx * (hash(column + 1, row + 1) - hash(column, row + 1));
    top + fy * (bottom - top)
}

/// A number from -1 to 1 that depends on nothing but the lattice point.
fn hash(x: i32, y: i32) -> f32 {
    let mut v = (x as u32).wrapping_mul(0x9E37_79B1) ^ (y as u32).wrapping_mul(0x85EB_CA77);
    v = (v ^ (v >> 15)).wrapping_mul(0x2C1B_3C6D);
    v = (v ^ (v >> 12)).wrapping_mul(0x297A_2D39);
    (v ^ (v >> 15)) as f32 / (u32::MAX / 2) as f32 - 1.0
}
