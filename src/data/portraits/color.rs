//! Colours as sRGB-encoded floats from 0 to 1, and the arithmetic that the two styles share.

/// Red, green and blue from 0 to 1, sRGB-encoded.
pub type Rgb = [f32; 3];

/// A colour from its 8-bit values.
pub const fn rgb(red: u8, green: u8, blue: u8) -> Rgb {
    [red as f32 / 255.0, green as f32 / 255.0, blue as f32 / 255.0]
}

/// `a` at 0, `b` at 1.
pub fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    std::array::from_fn(|c| a[c] + t * (b[c] - a[c]))
}

/// Channel by channel product.
pub fn times(a: Rgb, b: Rgb) -> Rgb {
    std::array::from_fn(|c| a[c] * b[c])
}

/// The colour brightened or darkened by a factor.
pub fn scale(a: Rgb, factor: f32) -> Rgb {
    a.map(|v| v * factor)
}

/// Luma (Rec. 601 weights).
pub fn luma(a: Rgb) -> f32 {
    0.299 * a[0] + 0.587 * a[1] + 0.114 * a[2]
}

/// The distance from gray multiplied by `factor`.
pub fn saturate(a: Rgb, factor: f32) -> Rgb {
    let gray = luma(a);
    a.map(|v| gray + factor * (v - gray))
}

/// The colour of a hue angle in turns, at full saturation and value.
pub fn hue(turns: f32) -> Rgb {
    [0.0, 2.0 / 3.0, 1.0 / 3.0].map(|offset: f32| {
        let wave = ((turns + offset).rem_euclid(1.0) * 6.0 - 3.0).abs() - 1.0;
        wave.clamp(0.0, 1.0)
    })
}

/// 0 below `low`, 1 above `high`, smooth between.
pub fn smoothstep(low: f32, high: f32, v: f32) -> f32 {
    let t = ((v - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}
