//! Anti-aliased drawing: coverage masks made from outlines and lines, and a float canvas that they are
//! painted on.
//!
//! Portrait coordinates run from -1 to 1 over the image, x to the right and y down; masks and canvas hold
//! pixels.

use image::{Rgb as Pixel, RgbImage};

use super::color::{Rgb, mix};

/// A point `[x, y]`, in portrait coordinates unless said otherwise.
pub type Point = [f32; 2];

/// Scan lines per pixel row when an outline is filled; columns are exact.
const SCANS: usize = 4;

/// Coverage from 0 to 1 of each pixel of a rectangle; 0 everywhere else.
#[derive(Clone)]
pub struct Mask {
    side: usize,
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    coverage: Vec<f32>,
}

impl Mask {
    fn around(side: usize, points: impl Iterator<Item = Point>, margin: f32) -> Self {
        let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
        for point in points {
            for axis in 0..2 {
                low[axis] = low[axis].min(point[axis]);
                high[axis] = high[axis].max(point[axis]);
            }
        }
        let clamp = |v: f32| v.clamp(0.0, side as f32) as usize;
        let (left, top) = (clamp((low[0] - margin).floor()), clamp((low[1] - margin).floor()));
        let (right, bottom) = (clamp((high[0] + margin).ceil()), clamp((high[1] + margin).ceil()));
        let (width, height) = (right.saturating_sub(left), bottom.saturating_sub(top));
        Self { side, left, top, width, height, coverage: vec![0.0; width * height] }
    }

    /// The union of the insides of closed outlines, on a canvas of `side` pixels.
    pub fn fill(side: usize, outlines: &[Vec<Point>]) -> Self {
        let outlines: Vec<Vec<Point>> = outlines.iter().map(|outline| clockwise(outline, side)).collect();
        let mut mask = Self::around(side, outlines.iter().flatten().copied(), 1.0);
        let mut crossings = Vec::new();
        for scan in 0..mask.height * SCANS {
            let y = mask.top as f32 + (scan as f32 + 0.5) / SCANS as f32;
            crossings.clear();
            for outline in &outlines {
                cross(outline, y, &mut crossings);
            }
            crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut winding = 0;
            for pair in crossings.windows(2) {
                winding += pair[0].1;
                if winding != 0 {
                    mask.add_span(scan / SCANS, pair[0].0, pair[1].0);
                }
            }
        }
        mask
    }

    fn add_span(&mut self, row: usize, from: f32, to: f32) {
        let (from, to) = (from - self.left as f32, to - self.left as f32);
        let (from, to) = (from.max(0.0), to.min(self.width as f32));
        if from >= to {
            return;
        }
        let line = &mut self.coverage[row * self.width..(row + 1) * self.width];
        let (first, last) = (from as usize, (to.ceil() as usize).min(line.len()));
        for (x, value) in line.iter_mut().enumerate().take(last).skip(first) {
            let overlap = to.min(x as f32 + 1.0) - from.max(x as f32);
            *value = (*value + overlap / SCANS as f32).min(1.0);
        }
    }

    /// A line through `points`, whose half width in portrait units is `half_width(t)`, t from 0 to 1 along
    /// the line.
    pub fn stroke(side: usize, points: &[Point], half_width: impl Fn(f32) -> f32) -> Self {
        let scale = side as f32 / 2.0;
        let count = points.len().saturating_sub(1).max(1) as f32;
        let nodes: Vec<(Point, f32)> = points
            .iter()
            .enumerate()
            .map(|(i, &p)| (to_pixel(p, side), half_width(i as f32 / count) * scale))
            .collect();
        let widest = nodes.iter().fold(0.0_f32, |w, node| w.max(node.1));
        let mut mask = Self::around(side, nodes.iter().map(|node| node.0), widest + 1.0);
        for pair in nodes.windows(2) {
            mask.add_capsule(pair[0], pair[1]);
        }
        mask
    }

    fn add_capsule(&mut self, a: (Point, f32), b: (Point, f32)) {
        let reach = a.1.max(b.1) + 1.0;
        let range = |axis: usize, start: usize, length: usize| {
            let low = a.0[axis].min(b.0[axis]) - reach - start as f32;
            let high = a.0[axis].max(b.0[axis]) + reach - start as f32;
            (low.max(0.0) as usize).min(length)..(high.max(0.0).ceil() as usize).min(length)
        };
        let along = [b.0[0] - a.0[0], b.0[1] - a.0[1]];
        let length = (along[0] * along[0] + along[1] * along[1]).max(1e-6);
        for row in range(1, self.top, self.height) {
            for column in range(0, self.left, self.width) {
                let x = (self.left + column) as f32 + 0.5 - a.0[0];
                let y = (self.top + row) as f32 + 0.5 - a.0[1];
                let t = ((x * along[0] + y * along[1]) / length).clamp(0.0, 1.0);
                let away = distance([x, y], [t * along[0], t * along[1]]);
                let half = a.1 + t * (b.1 - a.1);
                // A line thinner than a pixel covers a part of it in proportion to its width.
                let value = (half + 0.5 - away).clamp(0.0, (2.0 * half).min(1.0));
                let cell = &mut self.coverage[row * self.width + column];
                *cell = cell.max(value);
            }
        }
    }

    /// Coverage at a canvas pixel.
    pub fn at(&self, x: usize, y: usize) -> f32 {
        let inside = (self.left..self.left + self.width).contains(&x)
            && (self.top..self.top + self.height).contains(&y);
        if inside { self.coverage[(y - self.top) * self.width + x - self.left] } else { 0.0 }
    }

    /// This mask where `other` covers too.
    pub fn and(mut self, other: &Self) -> Self {
        self.weigh(|x, y| other.at(x, y));
        self
    }

    fn weigh(&mut self, weight: impl Fn(usize, usize) -> f32) {
        for row in 0..self.height {
            for column in 0..self.width {
                self.coverage[row * self.width + column] *= weight(self.left + column, self.top + row);
            }
        }
    }

    /// The mask moved by an offset in portrait units, rounded to whole pixels of the canvas.
    pub fn shifted(&self, offset: Point) -> Self {
        let [dx, dy] = offset.map(|v| (v * self.side as f32 / 2.0).round() as isize);
        self.rebased((self.left as isize + dx, self.top as isize + dy), self.width, self.height, 0)
    }

    /// The mask blurred by two box filters that each reach `radius` portrait units to every side.
    pub fn blurred(&self, radius: f32) -> Self {
        let reach = (radius * self.side as f32 / 2.0).round() as usize;
        let margin = 2 * reach;
        let origin = (self.left as isize - margin as isize, self.top as isize - margin as isize);
        let mut soft = self.rebased(origin, self.width + 2 * margin, self.height + 2 * margin, margin);
        let (width, height) = (soft.width, soft.height);
        for _ in 0..2 * usize::from(reach > 0) {
            for row in 0..height {
                box_filter(&mut soft.coverage, row * width, 1, width, reach);
            }
            for column in 0..width {
                box_filter(&mut soft.coverage, column, width, height, reach);
            }
        }
        soft
    }

    /// The coverage set `margin` into a rectangle of `width` by `height` pixels at `origin`, as far as the
    /// canvas goes.
    fn rebased(&self, origin: (isize, isize), width: usize, height: usize, margin: usize) -> Self {
        let span = |start: isize, length: usize| {
            let limit = |v: isize| v.clamp(0, self.side as isize) as usize;
            (limit(start), limit(start + length as isize))
        };
        let ((left, right), (top, bottom)) = (span(origin.0, width), span(origin.1, height));
        let (width, height) = (right - left, bottom - top);
        let mut coverage = vec![0.0; width * height];
        for row in 0..self.height {
            let y = origin.1 + (margin + row) as isize - top as isize;
            for column in 0..self.width {
                let x = origin.0 + (margin + column) as isize - left as isize;
                if (0..width as isize).contains(&x) && (0..height as isize).contains(&y) {
                    coverage[y as usize * width + x as usize] = self.coverage[row * self.width + column];
                }
            }
        }
        Self { side: self.side, left, top, width, height, coverage }
    }

    /// The share of the canvas that is covered, from 0 to 1.
    #[cfg(test)]
    pub fn area(&self) -> f32 {
        self.coverage.iter().sum::<f32>() / (self.side * self.side) as f32
    }
}

/// The outline in pixels, in one sense of rotation, so that outlines that overlap add up.
fn clockwise(outline: &[Point], side: usize) -> Vec<Point> {
    let mut points: Vec<Point> = outline.iter().map(|&p| to_pixel(p, side)).collect();
    let next = points.iter().cycle().skip(1);
    let area: f32 = points.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum();
    if area < 0.0 {
        points.reverse();
    }
    points
}

/// The distance of two points; `hypot` guards against overflow that cannot happen here, and is slow.
pub fn distance(a: Point, b: Point) -> f32 {
    let (x, y) = (a[0] - b[0], a[1] - b[1]);
    (x * x + y * y).sqrt()
}

fn to_pixel(p: Point, side: usize) -> Point {
    p.map(|v| (v + 1.0) * 0.5 * side as f32)
}

/// Adds where the closed outline crosses the horizontal line at `y`, with +1 for downwards and -1 for
/// upwards.
fn cross(outline: &[Point], y: f32, crossings: &mut Vec<(f32, i32)>) {
    let Some(&last) = outline.last() else { return };
    let mut a = last;
    for &b in outline {
        if (a[1] <= y) != (b[1] <= y) {
            let x = a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]);
            crossings.push((x, if a[1] <= y { 1 } else { -1 }));
        }
        a = b;
    }
}

/// Replaces each of `length` values, `stride` apart, by the mean of its neighbours up to `reach` away.
fn box_filter(values: &mut [f32], start: usize, stride: usize, length: usize, reach: usize) {
    let line: Vec<f32> = (0..length).map(|i| values[start + i * stride]).collect();
    let mut sum: f32 = line.iter().take(reach).sum();
    let norm = 1.0 / (2 * reach + 1) as f32;
    for i in 0..length {
        sum += line.get(i + reach).unwrap_or(&0.0);
        values[start + i * stride] = sum * norm;
        if i >= reach {
            sum -= line[i - reach];
        }
    }
}

/// A square float image that masks are painted on, values from 0 to 1 in sRGB encoding.
pub struct Canvas {
    side: usize,
    pixels: Vec<Rgb>,
}

impl Canvas {
    /// A canvas of `side` pixels that holds `paint` at the centre of each block of `factor` by `factor`
    /// pixels.
    pub fn new(side: usize, factor: usize, paint: impl Fn(Point) -> Rgb) -> Self {
        let blocks = side / factor;
        let colors: Vec<Rgb> =
            (0..blocks * blocks).map(|i| paint(centre(i % blocks, i / blocks, blocks))).collect();
        let pixels =
            (0..side * side).map(|i| colors[i / side / factor * blocks + i % side / factor]).collect();
        Self { side, pixels }
    }

    /// Blends `paint` over the pixels under the mask, as strongly as it covers them times `opacity`.
    pub fn paint(&mut self, mask: &Mask, opacity: f32, paint: impl Fn(Point) -> Rgb) {
        for row in 0..mask.height {
            for column in 0..mask.width {
                let alpha = mask.coverage[row * mask.width + column] * opacity;
                if alpha > 1.0 / 512.0 {
                    let (x, y) = (mask.left + column, mask.top + row);
                    let pixel = &mut self.pixels[y * self.side + x];
                    *pixel = mix(*pixel, paint(centre(x, y, self.side)), alpha);
                }
            }
        }
    }

    /// Multiplies the pixels under the mask by `tint`, as strongly as it covers them.
    pub fn multiply(&mut self, mask: &Mask, tint: Rgb) {
        for row in 0..mask.height {
            for column in 0..mask.width {
                let alpha = mask.coverage[row * mask.width + column];
                let pixel = &mut self.pixels[(mask.top + row) * self.side + mask.left + column];
                for (value, tint) in pixel.iter_mut().zip(tint) {
                    *value *= 1.0 + alpha * (tint - 1.0);
                }
            }
        }
    }

    /// Averages each pixel with its eight neighbours, the nearer ones weighing more: a slightly soft lens.
    pub fn soften(&mut self) {
        let (side, source) = (self.side, self.pixels.clone());
        let average = |from: &[Rgb], at: usize, before: usize, after: usize| -> Rgb {
            std::array::from_fn(|c| 0.25 * (from[before][c] + from[after][c]) + 0.5 * from[at][c])
        };
        let rows: Vec<Rgb> = (0..side * side)
            .map(|i| {
                let x = i % side;
                average(&source, i, i - usize::from(x > 0), i + usize::from(x + 1 < side))
            })
            .collect();
        for (i, pixel) in self.pixels.iter_mut().enumerate() {
            let y = i / side;
            *pixel = average(&rows, i, i - side * usize::from(y > 0), i + side * usize::from(y + 1 < side));
        }
    }

    /// The image with `factor` times fewer pixels a side (box filter), after `finish(point, colour)`.
    pub fn shrink(&self, factor: usize, mut finish: impl FnMut(Point, Rgb) -> Rgb) -> RgbImage {
        let side = self.side / factor;
        let norm = 1.0 / (factor * factor) as f32;
        RgbImage::from_fn(side as u32, side as u32, |x, y| {
            let (x, y) = (x as usize, y as usize);
            let mut sum = [0.0; 3];
            for row in y * factor..(y + 1) * factor {
                for pixel in &self.pixels[row * self.side + x * factor..][..factor] {
                    sum = std::array::from_fn(|c| sum[c] + pixel[c]);
                }
            }
            let color = finish(centre(x, y, side), sum.map(|v| v * norm));
            Pixel(color.map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8))
        })
    }
}

fn centre(x: usize, y: usize, side: usize) -> Point {
    [x, y].map(|v| (v as f32 + 0.5) * 2.0 / side as f32 - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_covers_the_area_of_a_triangle() {
        let triangle = vec![[-0.5, -0.5], [0.7, -0.5], [-0.5, 0.5]];
        // Half of 1.2 by 1.0, out of the 2 by 2 that the canvas spans.
        assert!((Mask::fill(64, &[triangle]).area() - 0.6 / 4.0).abs() < 1e-3);
    }

    #[test]
    fn overlapping_outlines_are_covered_once() {
        let square = |x: f32| vec![[x, 0.0], [x + 0.5, 0.0], [x + 0.5, 0.5], [x, 0.5]];
        let mask = Mask::fill(64, &[square(0.0), square(0.25)]);
        assert!((mask.area() - 0.75 * 0.5 / 4.0).abs() < 1e-3);
    }

    #[test]
    fn stroke_has_the_area_of_its_capsule() {
        let mask = Mask::stroke(128, &[[-0.5, 0.1], [0.5, 0.1]], |_| 0.1);
        let expected = (0.2 + std::f32::consts::PI * 0.01) / 4.0;
        assert!((mask.area() - expected).abs() < 2e-3, "{} against {expected}", mask.area());
    }

    #[test]
    fn blur_keeps_the_sum() {
        let mask = Mask::stroke(64, &[[-0.2, 0.0], [0.2, 0.1]], |_| 0.1);
        assert!((mask.blurred(0.1).area() - mask.area()).abs() < 1e-4);
    }
}
