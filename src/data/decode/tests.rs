use std::fmt::Debug;

use image::codecs::gif::GifEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{EncodableLayout, Frame, ImageBuffer, ImageEncoder, Luma, LumaA, PixelWithColorType, Rgb, Rgba};

use super::*;
use crate::data::encode::{Format, encode};

/// Writes `bytes` under a name that says nothing of the format, and decodes that.
fn decode_as_file(bytes: &[u8]) -> Result<RgbImage, Problem> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let decoded = decode(file.path()).map_err(|error| error.problem);
    if let Ok(image) = &decoded {
        assert_eq!(probe(file.path()).unwrap(), image.dimensions());
    }
    decoded
}

fn encoded<P>(image: &ImageBuffer<P, Vec<P::Subpixel>>, format: ImageFormat) -> Vec<u8>
where
    P: Pixel + PixelWithColorType,
    [P::Subpixel]: EncodableLayout,
{
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// One row of `pixels` comes back as the RGB values `expected` from each of `formats`.
fn assert_row<P>(formats: &[ImageFormat], pixels: &[P], expected: &[[u8; 3]])
where
    P: Pixel + PixelWithColorType + Debug,
    [P::Subpixel]: EncodableLayout,
{
    let row = ImageBuffer::from_fn(pixels.len() as u32, 1, |x, _| pixels[x as usize]);
    for &format in formats {
        let read = decode_as_file(&encoded(&row, format)).unwrap();
        let colours: Vec<[u8; 3]> = read.pixels().map(|p| p.0).collect();
        assert_eq!(colours, expected, "{format:?} {pixels:?}");
    }
}

fn noise(width: u32, height: u32) -> RgbImage {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    RgbImage::from_fn(width, height, |_, _| Rgb([next(), next(), next()]))
}

#[test]
fn grayscale_becomes_three_equal_channels() {
    use ImageFormat::{Bmp, Png, Tiff};
    assert_row(&[Png, Tiff, Bmp], &[Luma([7_u8]), Luma([200])], &[[7; 3], [200; 3]]);
}

#[test]
fn sixteen_bits_are_scaled_and_rounded() {
    use ImageFormat::{Png, Tiff};
    // v * 255 / 65535 = v / 257: 128 -> 0.498, 129 -> 0.502, 32767 -> 127.498, 32768 -> 127.502, 65406 ->
    // 254.498, 65407 -> 254.502. Dropping the low byte would give 0, 0, 127, 128, 255, 255.
    let values = [128_u16, 129, 32_767, 32_768, 65_406, 65_407, 65_535];
    let scaled = [0, 1, 127, 128, 254, 255, 255_u8];
    assert_row(&[Png, Tiff], &values.map(|v| Luma([v])), &scaled.map(|v| [v; 3]));
    assert_row(&[Png, Tiff], &[Rgb([129_u16, 32_767, 65_406])], &[[1, 127, 254]]);
}

#[test]
fn transparency_is_laid_over_white() {
    use ImageFormat::{Png, Tiff, WebP};
    // 100 * 0.2 + 255 * 0.8 = 224, 0 * 0.2 + 255 * 0.8 = 204; alpha 51 is one fifth.
    let colours = [Rgba([100_u8, 0, 255, 51]), Rgba([9, 8, 7, 255]), Rgba([9, 8, 7, 0])];
    assert_row(&[Png, Tiff, WebP], &colours, &[[224, 204, 255], [9, 8, 7], [255; 3]]);
    assert_row(&[Png], &[LumaA([100_u8, 51]), LumaA([100, 255])], &[[224; 3], [100; 3]]);
    // 10000 * 30000/65535 + 65535 - 30000 = 40112.73 of 65535, which is 156.08 of 255; alpha 13107 is one
    // fifth.
    assert_row(&[Png], &[LumaA([10_000_u16, 30_000])], &[[156; 3]]);
    let deep = [Rgba([25_700_u16, 0, 65_535, 13_107])];
    assert_row(&[Png, Tiff], &deep, &[[224, 204, 255]]);
}

#[test]
fn floats_are_clamped() {
    let pixel = [Rgb([0.5_f32, -1.0, 1.5])];
    assert_row(&[ImageFormat::Tiff], &pixel, &[[128, 0, 255]]);
}

#[test]
fn the_first_frame_of_an_animation_is_read() {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    let frame = |colour: [u8; 4]| Frame::new(ImageBuffer::from_pixel(5, 3, Rgba(colour)));
    encoder.encode_frames([frame([250, 0, 0, 255]), frame([0, 0, 250, 255])]).unwrap();
    drop(encoder);
    let read = decode_as_file(&bytes).unwrap();
    assert_eq!(read, RgbImage::from_pixel(5, 3, Rgb([250, 0, 0])));
}

/// An EXIF block that holds one entry, the orientation.
fn exif_block(orientation: u8) -> Vec<u8> {
    let mut block = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0]);
    block
}

fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let block = [b"Exif\0\0", &exif_block(orientation)[..]].concat();
    let length = (block.len() + 2) as u16;
    [&jpeg[..2], &[0xff, 0xe1], &length.to_be_bytes(), &block, &jpeg[2..]].concat()
}

#[test]
fn exif_orientation_is_applied() {
    const COLOURS: [(char, [u8; 3]); 4] =
        [('r', [255, 0, 0]), ('g', [0, 255, 0]), ('b', [0, 0, 255]), ('w', [255, 255, 255])];
    let stored = RgbImage::from_fn(64, 32, |x, y| Rgb(COLOURS[(x / 32 + y / 16 * 2) as usize].1));
    let jpeg = encoded(&stored, ImageFormat::Jpeg);
    // Corners of the upright image (top left, top right, bottom left, bottom right) by the definition of each
    // value in EXIF 2.32, 4.6.4: 6, for instance, says that row 0 is the right side and column 0 the top.
    let corners = ["rgbw", "grwb", "wbgr", "bwrg", "rbgw", "brwg", "wgbr", "gwrb"];
    for (orientation, expected) in (1..=8).zip(corners) {
        let upright = decode_as_file(&with_orientation(&jpeg, orientation)).unwrap();
        let (w, h) = upright.dimensions();
        assert_eq!((w, h), if orientation < 5 { (64, 32) } else { (32, 64) });
        let name = |x, y| {
            let pixel = upright.get_pixel(x, y).0;
            let near = |(_, c): &&(char, [u8; 3])| pixel.iter().zip(c).all(|(a, b)| a.abs_diff(*b) < 40);
            COLOURS.iter().find(near).map_or('?', |(name, _)| *name)
        };
        let seen: String =
            [name(2, 2), name(w - 3, 2), name(2, h - 3), name(w - 3, h - 3)].into_iter().collect();
        assert_eq!(seen, expected, "orientation {orientation}");
    }
    // A value outside the definition leaves the image as it is stored.
    assert_eq!(decode_as_file(&with_orientation(&jpeg, 9)).unwrap().dimensions(), (64, 32));
}

/// A TIFF of RGB pixels, uncompressed, with its orientation.
fn tiff_with_orientation(image: &RgbImage, orientation: u32) -> Vec<u8> {
    const SHORT: u16 = 3;
    const LONG: u16 = 4;
    let bytes = image.len() as u32;
    let bits_at = 8 + bytes;
    let directory_at = bits_at + 6;
    let mut file = b"II\x2a\0".to_vec();
    file.extend(directory_at.to_le_bytes());
    file.extend(image.as_raw());
    file.extend([8, 0, 8, 0, 8, 0]);
    let (width, height) = image.dimensions();
    let entries = [
        (256, LONG, 1, width),
        (257, LONG, 1, height),
        (258, SHORT, 3, bits_at),
        (259, SHORT, 1, 1),
        (262, SHORT, 1, 2),
        (273, LONG, 1, 8),
        (274, SHORT, 1, orientation),
        (277, SHORT, 1, 3),
        (278, LONG, 1, height),
        (279, LONG, 1, bytes),
    ];
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        file.extend(u16::to_le_bytes(tag));
        file.extend(kind.to_le_bytes());
        file.extend(u32::to_le_bytes(count));
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file
}

#[test]
fn orientation_is_applied_in_png_webp_and_tiff_too() {
    let (red, blue) = (Rgb([250, 0, 0]), Rgb([0, 0, 250]));
    let stored = RgbImage::from_fn(2, 2, |x, _| if x == 0 { red } else { blue });
    // 6: row 0 is the right side, so what is stored at the left lies at the top.
    let upright = RgbImage::from_fn(2, 2, |_, y| if y == 0 { red } else { blue });
    let mut files = vec![tiff_with_orientation(&stored, 6)];
    // Some writers keep the prefix that the block has in a JPEG.
    for prefix in [&b""[..], b"Exif\0\0"] {
        let block = [prefix, &exif_block(6)].concat();
        let (mut png, mut webp) = (Vec::new(), Vec::new());
        let mut encoder = PngEncoder::new(&mut png);
        encoder.set_exif_metadata(block.clone()).unwrap();
        stored.write_with_encoder(encoder).unwrap();
        let mut encoder = WebPEncoder::new_lossless(&mut webp);
        encoder.set_exif_metadata(block).unwrap();
        stored.write_with_encoder(encoder).unwrap();
        files.extend([png, webp]);
    }
    for (index, file) in files.iter().enumerate() {
        assert_eq!(decode_as_file(file).unwrap(), upright, "file {index}");
    }
}

/// An 8 x 8 JPEG of one colour with four components, as Adobe writes it (inverted: 255 is no ink).
fn cmyk_jpeg(stored: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8];
    let mut segment = |marker: u8, body: &[u8]| {
        bytes.extend([0xff, marker]);
        bytes.extend((body.len() as u16 + 2).to_be_bytes());
        bytes.extend(body);
    };
    segment(0xee, b"Adobe\0\x64\0\0\0\0\0");
    // Every step is 8, so that a block of equal samples v is the one coefficient v - 128.
    segment(0xdb, &[&[0][..], &[8; 64]].concat());
    segment(0xc0, &[8, 0, 8, 0, 8, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0]);
    // First coefficients: eight codes of 4 bits, code k for k further bits. Others: the one-bit code 0 for
    // "no more".
    let dc: [u8; 25] = [0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7];
    segment(0xc4, &dc);
    segment(0xc4, &[0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    segment(0xda, &[4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0]);
    let code = |sample: u8| {
        let level = i32::from(sample) - 128;
        let length = (32 - level.unsigned_abs().leading_zeros()) as usize;
        let coded = if level < 0 { level + (1 << length) - 1 } else { level };
        let further = if length > 0 { format!("{coded:0length$b}") } else { String::new() };
        format!("{length:04b}{further}0")
    };
    let mut bits: String = stored.into_iter().map(code).collect();
    bits += &"1".repeat((8 - bits.len() % 8) % 8);
    let packed = (0..bits.len()).step_by(8).map(|i| u8::from_str_radix(&bits[i..i + 8], 2).unwrap());
    bytes.extend(packed);
    bytes.extend([0xff, 0xd9]);
    bytes
}

#[test]
fn cmyk_jpegs_become_rgb() {
    // Stored values are inverted, so red is C * K / 255: 200 * 250 / 255 = 196.1, 100 * 250 / 255 = 98.0, and
    // 30 * 250 / 255 = 29.4. The inverse transform and the product may each round.
    let read = decode_as_file(&cmyk_jpeg([200, 100, 30, 250])).unwrap();
    assert_eq!(read.dimensions(), (8, 8));
    for pixel in read.pixels() {
        let close = pixel.0.iter().zip([196, 98, 29]).all(|(a, b)| a.abs_diff(b) <= 1);
        assert!(close, "{pixel:?}");
    }
    let white = decode_as_file(&cmyk_jpeg([255; 4])).unwrap();
    assert!(white.iter().all(|&v| v >= 254), "{:?}", white.get_pixel(0, 0));
}

#[test]
fn truncated_files_of_every_format_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    for format in Format::ALL {
        encode(&noise(67, 45), format, &path).unwrap();
        let whole = fs::read(&path).unwrap();
        for percent in [1, 10, 50, 90, 99] {
            let length = (whole.len() * percent / 100).max(12);
            let result = decode_as_file(&whole[..length]);
            assert!(matches!(result, Err(Problem::Truncated)), "{format:?} {percent}% {result:?}");
        }
    }
    // A JPEG without its last two bytes holds every pixel, but nobody can know that.
    encode(&noise(67, 45), Format::Jpeg, &path).unwrap();
    let whole = fs::read(&path).unwrap();
    assert!(matches!(decode_as_file(&whole[..whole.len() - 2]), Err(Problem::Truncated)));
    // Nor does the end of a preview inside the header count, nor a tail of zeros.
    let preview =
        [&whole[..2], &[0xff, 0xe0, 0, 4, 0xff, 0xd9], &whole[2..whole.len() / 2], &[0; 999]].concat();
    assert!(matches!(decode_as_file(&preview), Err(Problem::Truncated)));
    // Bytes behind the end do no harm.
    assert!(decode_as_file(&[&whole[..], &[1, 2, 3]].concat()).is_ok());
}

#[test]
fn a_long_header_does_not_hide_the_size() {
    let jpeg = with_orientation(&encoded(&noise(40, 24), ImageFormat::Jpeg), 6);
    let comment = [&[0xff, 0xfe, 0xff, 0xff][..], &vec![b' '; 65_533]].concat();
    let long = [&jpeg[..2], &comment.repeat(9), &jpeg[2..]].concat();
    assert!(long.len() as u64 > HEAD_BYTES + 65_536);
    assert_eq!(decode_as_file(&long).unwrap().dimensions(), (24, 40));
}

#[test]
fn what_is_no_image_is_told_in_plain_words() {
    let reason = |bytes: &[u8]| decode_as_file(bytes).unwrap_err().to_string();
    assert_eq!(reason(b""), "the file is empty");
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    assert_eq!(reason(pointer), "a git-LFS pointer, not the image itself: run `git lfs pull`");
    for page in ["<!DOCTYPE html><p>", "\u{feff}\n <html>", "<?xml version='1.0'?>\n<HTML lang=en>"] {
        assert_eq!(reason(page.as_bytes()), "a web page, not an image: download the image itself");
    }
    let unknown = "no known image format, expected JPEG, PNG, WebP, BMP, GIF or TIFF";
    assert_eq!(reason(b"hello"), unknown);
    assert_eq!(reason(b"\x89PNG\n\x1a\n, line ends changed on the way"), unknown);
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    assert_eq!(reason(heic), "not supported (HEIC format): convert it to PNG or JPEG");
    assert_eq!(reason(b"P6 1 1 255 abc"), "not supported (Pnm format): convert it to PNG or JPEG");
}

#[test]
fn a_file_that_claims_too_many_pixels_is_refused_from_its_header() {
    let mut jpeg = encoded(&noise(9, 9), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), jpeg).unwrap();
    let path = file.path();
    for error in [decode(path).unwrap_err(), probe(path).unwrap_err()] {
        let claim = "65535 x 65535 pixels is above the limit of 200 million: scale it down";
        assert_eq!(error.to_string(), format!("cannot read `{}`: {claim}", path.display()));
    }
}

#[test]
fn damage_inside_is_an_error() {
    let mut png = encoded(&noise(30, 30), ImageFormat::Png);
    let middle = png.len() / 2;
    png[middle] ^= 0x10;
    assert!(matches!(decode_as_file(&png), Err(Problem::Corrupt(_))));
    let missing = decode(Path::new("no/such/file.png")).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read `no/such/file.png`: No such file"), "{missing}");
}
