//! Writes images: six formats, and a file is either complete or absent.

use std::ffi::OsStr;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{ImageError, ImageFormat, RgbImage};

use crate::atomic;

/// JPEG quality, 1 to 100: high enough that the files can be trained on again.
const JPEG_QUALITY: u8 = 95;

/// A format that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Lossless.
    Png,
    /// Lossy, at quality 95.
    Jpeg,
    /// Lossless; at most 16383 pixels a side.
    Webp,
    /// Lossless, uncompressed.
    Bmp,
    /// At most 256 colours, chosen for the image.
    Gif,
    /// Lossless, uncompressed.
    Tiff,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] = [Self::Png, Self::Jpeg, Self::Webp, Self::Bmp, Self::Gif, Self::Tiff];

    /// The format that a file name extension (without the dot, in any case) stands for.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" | "jfif" => Some(Self::Jpeg),
            "webp" => Some(Self::Webp),
            "bmp" => Some(Self::Bmp),
            "gif" => Some(Self::Gif),
            "tif" | "tiff" => Some(Self::Tiff),
            _ => None,
        }
    }

    /// The format that a path's extension stands for.
    pub fn from_path(path: &Path) -> Option<Self> {
        path.extension().and_then(OsStr::to_str).and_then(Self::from_extension)
    }

    /// The usual file name extension, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
            Self::Bmp => "bmp",
            Self::Gif => "gif",
            Self::Tiff => "tif",
        }
    }
}

/// Why an image was not written. Nothing is left behind then, and a file that was there is untouched.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The format cannot hold the image, for instance because it is too large.
    #[error("cannot write `{}` as {}: {reason}; choose another format", path.display(), format.extension())]
    Format {
        /// The file that was to be written.
        path: PathBuf,
        /// The format asked for.
        format: Format,
        /// What the encoder said.
        reason: String,
    },
    /// The file system refused.
    #[error("cannot write `{}`: {source}; check the folder's permissions and free space", path.display())]
    Io {
        /// The file that was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes `image` to `path` in `format`, whatever the path's extension, replacing a file that is there.
/// A program killed on the way leaves the old file or the new one, never half of one.
///
/// # Errors
/// See [`EncodeError`].
pub fn encode(image: &RgbImage, format: Format, path: &Path) -> Result<(), EncodeError> {
    let bytes = encode_to_vec(image, format).map_err(|error| EncodeError::Format {
        path: path.to_path_buf(),
        format,
        reason: error.to_string(),
    })?;
    atomic::write(path, &bytes).map_err(|source| EncodeError::Io { path: path.to_path_buf(), source })
}

fn encode_to_vec(image: &RgbImage, format: Format) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Cursor::new(Vec::new());
    let container = match format {
        Format::Jpeg => {
            image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?;
            return Ok(bytes.into_inner());
        }
        Format::Png => ImageFormat::Png,
        Format::Webp => ImageFormat::WebP,
        Format::Bmp => ImageFormat::Bmp,
        Format::Gif => ImageFormat::Gif,
        Format::Tiff => ImageFormat::Tiff,
    };
    image.write_to(&mut bytes, container)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::Rgb;

    use super::*;
    use crate::data::decode::decode;

    fn gradient(width: u32, height: u32) -> RgbImage {
        let at = |v: u32, n: u32| (v * 255 / n) as u8;
        RgbImage::from_fn(width, height, |x, y| Rgb([at(x, width), at(y, height), at(x + y, width + height)]))
    }

    #[test]
    fn every_format_round_trips() {
        let dir = tempfile::tempdir().unwrap();
        // Two colours, so that the 256 of GIF are enough.
        let drawing = RgbImage::from_fn(21, 13, |x, y| Rgb(if x > y { [250, 3, 100] } else { [0, 90, 255] }));
        for format in Format::ALL {
            let path = dir.path().join("image").with_extension(format.extension());
            encode(&drawing, format, &path).unwrap();
            let container = image::guess_format(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(Format::from_extension(container.extensions_str()[0]), Some(format));
            if format != Format::Jpeg {
                assert_eq!(decode(&path).unwrap(), drawing, "{format:?}");
            }
        }
    }

    #[test]
    fn jpeg_is_written_at_high_quality() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jpg");
        let photo = gradient(64, 48);
        encode(&photo, Format::Jpeg, &path).unwrap();
        let back = decode(&path).unwrap();
        let worst = photo.iter().zip(back.iter()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(6), "{worst:?}");
        // The first luminance step of the standard's table is 16; quality 95 makes it (16 * 10 + 50) / 100 =
        // 2.
        let bytes = fs::read(&path).unwrap();
        let table = bytes.windows(5).position(|w| w == [0xff, 0xdb, 0, 67, 0]).unwrap();
        assert_eq!(bytes[table + 5], 2);
    }

    #[test]
    fn extensions_name_formats_in_any_case() {
        assert_eq!(Format::from_extension("JPEG"), Some(Format::Jpeg));
        assert_eq!(Format::from_path(Path::new("a/b.TIFF")), Some(Format::Tiff));
        assert_eq!(Format::from_path(Path::new("a/png")), None);
        for format in Format::ALL {
            assert_eq!(Format::from_extension(format.extension()), Some(format));
        }
        for extension in crate::data::scan::EXTENSIONS {
            assert!(Format::from_extension(extension).is_some(), "{extension}");
        }
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.webp");
        fs::write(&path, "old").unwrap();
        let error = encode(&RgbImage::new(16_385, 1), Format::Webp, &path).unwrap_err();
        assert!(matches!(error, EncodeError::Format { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");

        // A folder of that name cannot be replaced: the write itself fails, after the temporary file was
        // made.
        let folder = dir.path().join("b.png");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("keep"), "").unwrap();
        let error = encode(&gradient(3, 3), Format::Png, &folder).unwrap_err();
        assert!(matches!(error, EncodeError::Io { .. }), "{error}");

        let mut names: Vec<_> = dir.path().read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a.webp", "b.png"]);
        let missing = encode(&gradient(3, 3), Format::Png, &dir.path().join("no/where.png")).unwrap_err();
        assert!(missing.to_string().contains("no/where.png`"), "{missing}");
    }
}
