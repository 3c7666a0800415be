//! Reads one image file into 8-bit RGB, whatever its format and depth, or says in plain words why not.
//!
//! A file is recognised by its content, never by its name. The EXIF orientation is applied, transparency is
//! laid over white, 16 bits are scaled to 8, and grayscale becomes three equal channels. Colour profiles are
//! ignored.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{
    DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Pixel, RgbImage,
};

use crate::panics::catch;

/// Larger images are refused: a file of a few bytes can claim any size, and 200 megapixels are 600 MB.
pub const MAX_PIXELS: u64 = 200_000_000;

/// Bytes that a decoder may allocate: [`MAX_PIXELS`] of its widest pixel, four 32-bit floats.
const MAX_DECODER_BYTES: u64 = MAX_PIXELS * 16;

/// How much of a file [`probe`] looks at first: nearly every JPEG's header, preview image included, fits.
const HEAD_BYTES: u64 = 512 * 1024;

const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// A file that could not be read as an image.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`: {problem}", path.display())]
pub struct DecodeError {
    /// The file.
    pub path: PathBuf,
    /// What is the matter with it; fit to stand alone beside the path.
    pub problem: Problem,
}

/// What is the matter with a file, in plain words.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The system could not open or read it.
    #[error("{0}")]
    Io(io::Error),
    /// No bytes.
    #[error("the file is empty")]
    Empty,
    /// The stand-in that git leaves where large files were not fetched.
    #[error("a git-LFS pointer, not the image itself: run `git lfs pull`")]
    LfsPointer,
    /// HTML, as a failed download leaves it.
    #[error("a web page, not an image: download the image itself")]
    WebPage,
    /// The first bytes are those of no image.
    #[error("no known image format, expected JPEG, PNG, WebP, BMP, GIF or TIFF")]
    UnknownFormat,
    /// An image, but of a kind that is not read.
    #[error("not supported ({0}): convert it to PNG or JPEG")]
    Unsupported(String),
    /// The file ends before the image does.
    #[error("the file is truncated: copy or download it again")]
    Truncated,
    /// The content contradicts its format.
    #[error("the file is damaged ({0})")]
    Corrupt(String),
    /// More than [`MAX_PIXELS`].
    #[error(
        "{width} x {height} pixels is above the limit of {} million: scale it down",
        MAX_PIXELS / 1_000_000
    )]
    TooLarge {
        /// In pixels, as the header claims.
        width: u32,
        /// In pixels, as the header claims.
        height: u32,
    },
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        if is_early_end(&error) { Self::Truncated } else { Self::Io(error) }
    }
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::IoError(error) => error.into(),
            error if is_early_end(&error) => Self::Truncated,
            ImageError::Unsupported(error) => Self::Unsupported(error.to_string().trim().to_owned()),
            error => Self::Corrupt(error.to_string().trim().to_owned()),
        }
    }
}

/// The decoders wrap the end of the file in errors of their own, most of which only tell it in words.
fn is_early_end(error: &(dyn Error + 'static)) -> bool {
    let by_kind =
        error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof);
    by_kind || error.to_string().to_ascii_lowercase().contains("unexpected end of file")
}

/// Reads an image as 8-bit RGB, upright.
///
/// Of an animation the first frame is taken. A truncated file is refused, also a JPEG that only misses its
/// end, as Pillow does: half a picture would be trained on in silence.
///
/// # Errors
/// Names the file and the [`Problem`]; an image above [`MAX_PIXELS`] is refused before memory is taken for
/// it.
pub fn decode(path: &Path) -> Result<RgbImage, DecodeError> {
    // A decoder's panic on a file made to break it must not end a run over thousands of good ones.
    let decoded = fs::read(path).map_err(Problem::from).and_then(|bytes| {
        catch(|| decode_bytes(&bytes)).unwrap_or_else(|_| Err(Problem::Corrupt("its decoder failed".into())))
    });
    decoded.map_err(|problem| DecodeError { path: path.to_path_buf(), problem })
}

/// The upright (width, height) of an image, in pixels, from its header alone.
///
/// # Errors
/// As [`decode`], but damage behind the header goes unnoticed.
pub fn probe(path: &Path) -> Result<(u32, u32), DecodeError> {
    let probed =
        catch(|| probe_file(path)).unwrap_or_else(|_| Err(Problem::Corrupt("its decoder failed".into())));
    probed.map_err(|problem| DecodeError { path: path.to_path_buf(), problem })
}

fn decode_bytes(bytes: &[u8]) -> Result<RgbImage, Problem> {
    let format = recognise(bytes)?;
    let complete = match format {
        ImageFormat::Jpeg => jpeg_has_end(bytes),
        ImageFormat::WebP => webp_has_end(bytes),
        _ => true,
    };
    let mut decoder = open(Cursor::new(bytes), format).map_err(|problem| match problem {
        Problem::Corrupt(_) if !complete => Problem::Truncated,
        other => other,
    })?;
    if !complete {
        return Err(Problem::Truncated);
    }
    let orientation = orientation(&mut decoder);
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(to_rgb(image))
}

fn probe_file(path: &Path) -> Result<(u32, u32), Problem> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    let format = recognise(&head)?;
    if format != ImageFormat::Jpeg {
        file.rewind()?;
        return Ok(upright_size(&mut open(BufReader::new(file), format)?));
    }
    // The JPEG decoder takes in the whole file before it looks at the header, so it is given the head only.
    if let Ok(mut decoder) = open(Cursor::new(&head), format) {
        return Ok(upright_size(&mut decoder));
    }
    file.read_to_end(&mut head)?;
    Ok(upright_size(&mut open(Cursor::new(&head), format)?))
}

/// The format that the first bytes stand for, of those that are read.
fn recognise(bytes: &[u8]) -> Result<ImageFormat, Problem> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | WebP | Bmp | Gif | Tiff)) => Ok(format),
        Ok(format) => Err(Problem::Unsupported(format!("{format:?} format"))),
        Err(_) if bytes.is_empty() => Err(Problem::Empty),
        Err(_) if bytes.starts_with(LFS_POINTER) => Err(Problem::LfsPointer),
        Err(_) if is_web_page(bytes) => Err(Problem::WebPage),
        Err(_) if is_heic(bytes) => Err(Problem::Unsupported("HEIC format".to_owned())),
        Err(_) => Err(Problem::UnknownFormat),
    }
}

fn is_web_page(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(1024)];
    let text = String::from_utf8_lossy(start).to_ascii_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with("<!doctype html")
        || text.starts_with("<html")
        || (text.starts_with('<') && text.contains("<html"))
}

/// What phones write: an ISO media file whose brand is HEIF's.
fn is_heic(bytes: &[u8]) -> bool {
    let brands: [&[u8]; 5] = [b"heic", b"heix", b"hevc", b"mif1", b"msf1"];
    bytes.get(4..8) == Some(b"ftyp") && bytes.get(8..12).is_some_and(|brand| brands.contains(&brand))
}

fn open<'a, R: BufRead + Seek + 'a>(
    reader: R,
    format: ImageFormat,
) -> Result<impl ImageDecoder + 'a, Problem> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let mut reader = ImageReader::with_format(reader, format);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    match u64::from(width) * u64::from(height) {
        0 => Err(Problem::Corrupt(format!("it claims {width} x {height} pixels"))),
        pixels if pixels > MAX_PIXELS => Err(Problem::TooLarge { width, height }),
        _ => Ok(decoder),
    }
}

/// Where the metadata itself is unreadable the pixels are still good, so that counts as upright.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    let upright = Orientation::NoTransforms;
    match decoder.exif_metadata() {
        // Some writers of WebP and PNG keep the prefix that the block has in a JPEG.
        Ok(Some(exif)) => {
            let block = exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif);
            Orientation::from_exif_chunk(block).unwrap_or(upright)
        }
        _ => decoder.orientation().unwrap_or(upright),
    }
}

fn upright_size(decoder: &mut impl ImageDecoder) -> (u32, u32) {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    let (width, height) = decoder.dimensions();
    match orientation(decoder) {
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => (height, width),
        _ => (width, height),
    }
}

/// True where the end-of-image marker is found; the decoder itself paints what is missing gray and reports
/// success.
///
/// Segments are jumped over by their length, so that the end of a preview image inside one does not count. In
/// the compressed data that follows a scan's header, markers are told from data by the byte after 0xff (ITU
/// T.81, B.1.1).
fn jpeg_has_end(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xd9;
    let mut at = 2;
    while let Some(&[byte, marker]) = bytes.get(at..at + 2) {
        at += match (byte, marker) {
            (0xff, END_OF_IMAGE) => return true,
            // Fill bytes: the marker's code may be the next byte.
            (0xff, 0xff) => 1,
            // Stuffed data, restart markers and others without a length.
            (0xff, 0x00 | 0x01 | 0xd0..=0xd8) => 2,
            (0xff, _) => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
            _ => 1,
        };
    }
    false
}

/// True where the file is as long as its outermost chunk says, give or take the byte that pads odd lengths.
fn webp_has_end(bytes: &[u8]) -> bool {
    let length = bytes.get(4..8).and_then(|length| length.try_into().ok()).map_or(0, u32::from_le_bytes);
    bytes.len() as u64 + 1 >= u64::from(length) + 8
}

fn to_rgb(image: DynamicImage) -> RgbImage {
    match image {
        DynamicImage::ImageRgb8(image) => image,
        DynamicImage::ImageLuma8(image) => map(&image, |p| [p.0[0]; 3]),
        DynamicImage::ImageLumaA8(image) => map(&image, |p| [over_white_8(p.0[0], p.0[1]); 3]),
        DynamicImage::ImageRgba8(image) => map(&image, |p| {
            let [r, g, b, alpha] = p.0;
            [r, g, b].map(|v| over_white_8(v, alpha))
        }),
        DynamicImage::ImageLuma16(image) => map(&image, |p| [over_white_16(p.0[0], u16::MAX); 3]),
        DynamicImage::ImageLumaA16(image) => map(&image, |p| [over_white_16(p.0[0], p.0[1]); 3]),
        DynamicImage::ImageRgb16(image) => map(&image, |p| p.0.map(|v| over_white_16(v, u16::MAX))),
        DynamicImage::ImageRgba16(image) => map(&image, |p| {
            let [r, g, b, alpha] = p.0;
            [r, g, b].map(|v| over_white_16(v, alpha))
        }),
        other => map(&other.into_rgba32f(), |p| {
            let [r, g, b, alpha] = p.0.map(|v| v.clamp(0.0, 1.0));
            [r, g, b].map(|v| ((v * alpha + 1.0 - alpha) * 255.0).round() as u8)
        }),
    }
}

fn map<P: Pixel>(image: &ImageBuffer<P, Vec<P::Subpixel>>, rgb: impl Fn(&P) -> [u8; 3]) -> RgbImage {
    let mut result = RgbImage::new(image.width(), image.height());
    for (to, from) in result.pixels_mut().zip(image.pixels()) {
        to.0 = rgb(from);
    }
    result
}

fn over_white_8(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// Laid over white in 16 bits, then scaled to 8 (v × 255 / 65535), rounded once.
fn over_white_16(value: u16, alpha: u16) -> u8 {
    const MAX: u64 = u16::MAX as u64;
    let (value, alpha) = (u64::from(value), u64::from(alpha));
    let laid = value * alpha + MAX * (MAX - alpha);
    ((laid * 255 + MAX * MAX / 2) / (MAX * MAX)) as u8
}

#[cfg(test)]
mod tests;
