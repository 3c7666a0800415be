//! Tensors in safetensors files, with metadata, written so that a file is complete or absent.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, View};
use tch::{Device, Kind, TchError, Tensor};

use crate::words::plain;
use crate::{atomic, file};

/// Bytes of a file's header, at most, as the format has it.
const LONGEST_HEADER: u64 = 100_000_000;

/// Why a file of tensors cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system's.
    #[error("cannot {action} `{path}`: {source}\nhint: check the permissions and the space left there")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("cannot read `{path}`: {source}")]
    NoFile {
        /// What was named.
        path: PathBuf,
        /// What it is.
        source: std::io::Error,
    },
    /// Bytes that are no safetensors file.
    #[error("`{path}` is no safetensors file, or a truncated one: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the parser found.
        reason: String,
    },
    /// A number format that no file of ours has.
    #[error("tensor `{name}` in `{path}` has the number format {found}; expected F32, F16 or I64")]
    Kind {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its format.
        found: String,
    },
    /// libtorch's.
    #[error("libtorch failed on `{path}`: {source}")]
    Torch {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: TchError,
    },
}

/// A file of another program that `translate model import` takes.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{path}` is a PyTorch file by its name, and no model of this program\nhint: `translate model import {path} --from photo \
     --to anime -o model.safetensors` makes one of it"
)]
pub struct IsCheckpoint {
    path: PathBuf,
}

/// A file's metadata: strings by key.
pub type Metadata = HashMap<String, String>;

/// A file's tensors by name, on the CPU, and its metadata.
#[derive(Debug)]
pub struct Stored {
    /// Tensors by name.
    pub tensors: HashMap<String, Tensor>,
    /// The metadata's strings by key.
    pub metadata: Metadata,
}

/// A tensor's bytes as safetensors wants them.
struct Bytes {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl View for Bytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }
    fn data_len(&self) -> usize {
        self.data.len()
    }
}

fn dtype(kind: Kind) -> Option<Dtype> {
    match kind {
        Kind::Float => Some(Dtype::F32),
        Kind::Half => Some(Dtype::F16),
        Kind::Int64 => Some(Dtype::I64),
        _ => None,
    }
}

fn kind(dtype: Dtype) -> Option<Kind> {
    [Kind::Float, Kind::Half, Kind::Int64].into_iter().find(|kind| self::dtype(*kind) == Some(dtype))
}

fn bytes(path: &Path, name: &str, tensor: &Tensor) -> Result<Bytes, StoreError> {
    let torch = |source| StoreError::Torch { path: path.into(), source };
    let found = tensor.f_kind().map_err(torch)?;
    let dtype = dtype(found).ok_or_else(|| StoreError::Kind {
        path: path.into(),
        name: name.into(),
        found: format!("{found:?}"),
    })?;
    let tensor = tensor.detach().f_to_device(Device::Cpu).and_then(|t| t.f_contiguous()).map_err(torch)?;
    let mut data = vec![0; tensor.numel() * found.elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut data, tensor.numel()).map_err(torch)?;
    Ok(Bytes { dtype, shape: tensor.size().iter().map(|&n| n as usize).collect(), data })
}

/// Writes `tensors` and `metadata` to `path`, replacing what is there in one move once all is on disk.
///
/// # Errors
/// The file cannot be written, or a tensor is of a kind that is not stored.
pub fn write(path: &Path, tensors: &[(String, Tensor)], metadata: Metadata) -> Result<(), StoreError> {
    save(path, &to_bytes(path, tensors, metadata)?)
}

/// Reads the metadata of `path`.
///
/// # Errors
/// The file cannot be read, or is no safetensors file.
pub fn metadata(path: &Path) -> Result<Metadata, StoreError> {
    let (_, header) = SafeTensors::read_metadata(&load(path)?).map_err(|error| no_format(path, &error))?;
    Ok(header.metadata().clone().unwrap_or_default())
}

/// Whether a file begins as one of tensors does: with the length of its header, which is JSON.
pub fn is_safetensors(path: &Path) -> bool {
    let mut start = [0; 9];
    let is_read =
        path.is_file() && std::fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok());
    let [length @ .., brace] = start;
    is_read && brace == b'{' && u64::from_le_bytes(length) <= LONGEST_HEADER
}

/// Refuses a file that is called as `PyTorch`'s are, unless it is no such file for all that.
///
/// # Errors
/// It is one.
pub fn refuse_checkpoint(path: &Path) -> Result<(), IsCheckpoint> {
    let is = |extension: &OsStr| ["pth", "pt", "ckpt"].iter().any(|it| extension.eq_ignore_ascii_case(it));
    let is_called_so = path.extension().is_some_and(is) && path.is_file();
    if is_called_so && !is_safetensors(path) { Err(IsCheckpoint { path: path.into() }) } else { Ok(()) }
}

/// Changes the metadata of `path`, and nothing else, in one move once all is on disk.
///
/// # Errors
/// As [`metadata`], or the file cannot be written.
pub fn change_metadata(path: &Path, change: impl FnOnce(&mut Metadata)) -> Result<(), StoreError> {
    let data = load(path)?;
    let mut metadata = metadata(path)?;
    change(&mut metadata);
    let file = SafeTensors::deserialize(&data).map_err(|error| no_format(path, &error))?;
    let data =
        safetensors::serialize(file.tensors(), Some(metadata)).map_err(|error| no_format(path, &error))?;
    atomic::rewrite(path, &data).map_err(|source| unwritten(path, source))
}

fn load(path: &Path) -> Result<Vec<u8>, StoreError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::InvalidInput => StoreError::NoFile { path: path.into(), source },
        _ => StoreError::Io { action: "read", path: path.into(), source },
    };
    let mut data = Vec::new();
    file::open(path).and_then(|mut file| file.read_to_end(&mut data)).map_err(failed)?;
    Ok(data)
}

fn save(path: &Path, data: &[u8]) -> Result<(), StoreError> {
    atomic::write_durably(path, data).map_err(|source| unwritten(path, source))
}

fn unwritten(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { action: "write", path: path.into(), source }
}

fn no_format(path: &Path, error: &safetensors::SafeTensorError) -> StoreError {
    StoreError::Format { path: path.into(), reason: plain(&error.to_string()) }
}

/// The bytes of such a file, which is called `path` in messages.
///
/// # Errors
/// A tensor is of a kind that is not stored.
pub fn to_bytes(
    path: &Path,
    tensors: &[(String, Tensor)],
    metadata: Metadata,
) -> Result<Vec<u8>, StoreError> {
    let views = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), bytes(path, name, tensor)?)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    safetensors::serialize(views, Some(metadata)).map_err(|error| no_format(path, &error))
}

/// Reads every tensor of `path` to the CPU.
///
/// # Errors
/// The file cannot be read, is no safetensors file, or holds number formats that ours never have.
pub fn read(path: &Path) -> Result<Stored, StoreError> {
    let data = load(path)?;
    let (_, header) = SafeTensors::read_metadata(&data).map_err(|error| no_format(path, &error))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(&data).map_err(|error| no_format(path, &error))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        let kind = kind(view.dtype()).ok_or_else(|| StoreError::Kind {
            path: path.into(),
            name: plain(&name),
            found: format!("{:?}", view.dtype()),
        })?;
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)
            .map_err(|source| StoreError::Torch { path: path.into(), source })?;
        tensors.insert(name, tensor);
    }
    Ok(Stored { tensors, metadata })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let floats = Tensor::from_slice(&[1.5f32, -0.0, f32::MIN_POSITIVE, 3.0e38]).reshape([2, 2]);
        let tensors = vec![
            ("f".to_string(), floats.transpose(0, 1)),
            ("i".to_string(), Tensor::from_slice(&[7i64, -1])),
        ];
        write(&path, &tensors, HashMap::from([("k".to_string(), "v: \"é\"".to_string())])).unwrap();
        let stored = read(&path).unwrap();
        assert_eq!(stored.metadata["k"], "v: \"é\"");
        assert_eq!(stored.tensors["f"], floats.transpose(0, 1));
        assert_eq!(stored.tensors["i"], tensors[1].1);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file may stay");
    }

    #[test]
    fn a_truncated_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        write(&path, &[("f".to_string(), Tensor::from_slice(&[1.0f32; 64]))], HashMap::new()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 4, 20, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let text = read(&path).unwrap_err().to_string();
            assert!(text.contains("a.safetensors") && text.contains("truncated"), "{length}: {text}");
        }
    }
}
