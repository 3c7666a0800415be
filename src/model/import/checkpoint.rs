//! A `PyTorch` checkpoint's tensors by name. The pickle inside is parsed by `pytorch-reader`, which knows how tensors are
//! written and runs nothing; what is no state dict is told apart by its first bytes, so that the message can say what it is.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use pytorch_reader::{DType, PickleError, PickleValue, PytorchError, PytorchReader};
use tch::{Kind, Tensor};

use super::error::ImportError;
use crate::panics::catch;
use crate::words::{natural, plain};

/// Larger than any generator that a recipe can have in use; the reference's has 45 MB.
const MOST_BYTES: u64 = 4 << 30;
/// Bytes at the start that tell what a file is: in every form the pickle comes before the weights.
const HEAD: u64 = 1 << 16;
/// A number that every legacy file begins with, 0x1950a86a20f9469cfc6c.
const LEGACY: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// A checkpoint's tensors, not yet read, in the order of their layers.
#[derive(Debug)]
pub(in crate::model) struct Checkpoint {
    /// The file.
    pub path: PathBuf,
    tensors: IndexMap<String, pytorch_reader::Tensor>,
}

/// Reads what tensors `path` holds: names without `module.`, and without what an old instance norm left.
pub(in crate::model) fn read(path: &Path) -> Result<Checkpoint, ImportError> {
    let (head, length) = head(path)?;
    if let Some((found, hint)) = other(&head, length) {
        return Err(ImportError::Other { path: path.into(), found: found.into(), hint: hint.into() });
    }
    let tensors = catch(|| open(path))
        .map_err(|reason| ImportError::Damaged { path: path.into(), reason })?
        .map_err(|error| explain(path, &head, error))?;
    let bytes = tensors.iter().fold(0u64, |sum, (_, tensor)| sum.saturating_add(tensor.byte_len() as u64));
    if bytes > length {
        let reason = format!("its tensors claim {bytes} bytes of a file of {length}");
        return Err(ImportError::Damaged { path: path.into(), reason });
    }
    let mut tensors: Vec<_> = without_leftovers(without_module(tensors));
    tensors.sort_by(|(a, _), (b, _)| natural(a).cmp(&natural(b)));
    Ok(Checkpoint { path: path.into(), tensors: tensors.into_iter().collect() })
}

/// The first bytes of a file that is neither too large nor a folder, and its length.
fn head(path: &Path) -> Result<(Vec<u8>, u64), ImportError> {
    let cannot = |source| ImportError::Read { path: path.into(), source };
    let about = std::fs::metadata(path).map_err(cannot)?;
    let length = about.len();
    let no = |found: String, hint: &str| ImportError::Other { path: path.into(), found, hint: hint.into() };
    if !about.is_file() {
        return Err(no("a folder or a device".into(), "name a file in it, as in `latest_net_G_A.pth`"));
    }
    if length > MOST_BYTES {
        let found = format!("a file of {length} bytes, above the {MOST_BYTES} of any generator");
        return Err(no(found, "name the checkpoint of one generator alone"));
    }
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head)).map_err(cannot)?;
    Ok((head, length))
}

/// What a file that begins so is, where that is no state dict, and what to do then.
fn other(head: &[u8], length: u64) -> Option<(&'static str, &'static str)> {
    let has = |text: &[u8]| head.windows(text.len()).any(|window| window == text);
    let text = head.trim_ascii_start();
    let opens = |tag: &[u8]| text.get(..tag.len()).is_some_and(|text| text.eq_ignore_ascii_case(tag));
    if length == 0 {
        return Some(("an empty file", "copy or download it again"));
    }
    if opens(b"version https://git-lfs") {
        return Some(("a git-LFS pointer, which only names the real file", "`git lfs pull` fetches that"));
    }
    if opens(b"<!doctype") || opens(b"<html") || opens(b"<?xml") {
        let hint = "a download that needs a login or a confirmation gives such a page; download the file in a browser";
        return Some(("an HTML page", hint));
    }
    if head.get(8) == Some(&b'{') && has(b"\"dtype\"") {
        return Some((
            "a safetensors file",
            "a model of this program needs no import: `translate apply` takes it",
        ));
    }
    if has(b"__torch__") {
        return Some(("a TorchScript program", "import the state dict that it was made of"));
    }
    if has(b"_modules") && has(b"_parameters") {
        let hint = "only if you trust it, as this runs what is in it, in Python, where its code is: \
                    `torch.save(torch.load(FILE, weights_only=False).state_dict(), \"G.pth\")`";
        return Some(("a whole pickled module, which only its own code can make again", hint));
    }
    None
}

fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK")
}

fn is_legacy(head: &[u8]) -> bool {
    head.windows(LEGACY.len()).take(64).any(|window| window == LEGACY)
}

type Tensors = Vec<(String, pytorch_reader::Tensor)>;

fn open(path: &Path) -> Result<Tensors, Failure> {
    let root = PytorchReader::read_pickle_data(path, None)?;
    if !matches!(root, PickleValue::Dict(_)) {
        return Err(Failure::NoDict(kind_of(&root)));
    }
    Ok(PytorchReader::new(path)?.into_tensors().into_iter().collect())
}

/// Why a file that begins like a checkpoint is none.
enum Failure {
    /// It holds something else than a dictionary.
    NoDict(String),
    Reader(PytorchError),
}

impl From<PytorchError> for Failure {
    fn from(error: PytorchError) -> Self {
        Self::Reader(error)
    }
}

fn kind_of(value: &PickleValue) -> String {
    match value {
        PickleValue::Unsupported(name) => format!("a `{}`", plain(name)),
        PickleValue::List(_) => "a list".into(),
        _ => "a plain value".into(),
    }
}

fn explain(path: &Path, head: &[u8], failure: Failure) -> ImportError {
    let hint = "save the state dict of a generator: `torch.save(net.state_dict(), \"G.pth\")`";
    let other = |found: String| ImportError::Other { path: path.into(), found, hint: hint.into() };
    let error = match failure {
        Failure::NoDict(kind) => return other(format!("a PyTorch file that holds {kind}")),
        Failure::Reader(error) => error,
    };
    match error {
        PytorchError::Pickle(PickleError::UnsupportedType(name)) => {
            other(format!("a PyTorch file that holds a `{}`, which is no plain tensor", plain(&name)))
        }
        error if is_zip(head) || is_legacy(head) => {
            ImportError::Damaged { path: path.into(), reason: plain(&error.to_string()) }
        }
        _ => other("no file of PyTorch".into()),
    }
}

/// `DataParallel` puts its one child, `module`, before every name.
fn without_module(mut tensors: Tensors) -> Tensors {
    const PREFIX: &str = "module.";
    while !tensors.is_empty() && tensors.iter().all(|(name, _)| name.starts_with(PREFIX)) {
        for (name, _) in &mut tensors {
            name.drain(..PREFIX.len());
        }
    }
    tensors
}

/// Instance norms of old versions kept running statistics that nothing used; batch norm's have a scale beside them. What
/// counts batches is of use in training alone.
fn without_leftovers(tensors: Tensors) -> Tensors {
    let names: std::collections::HashSet<String> = tensors.iter().map(|(name, _)| name.clone()).collect();
    let stays = |name: &str| match name.rsplit_once('.') {
        Some((_, "num_batches_tracked")) => false,
        Some((layer, "running_mean" | "running_var")) => names.contains(&format!("{layer}.weight")),
        _ => true,
    };
    tensors.into_iter().filter(|(name, _)| stays(name)).collect()
}

impl Checkpoint {
    /// The file's name without its folder, to be kept in the model.
    pub fn file_name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// All names, in the order of their layers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor's shape, where there is such a tensor.
    pub fn shape(&self, name: &str) -> Option<Vec<i64>> {
        Some(self.tensors.get(name)?.shape().iter().map(|&n| n as i64).collect())
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor's numbers, where there is such a tensor.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor>, ImportError> {
        let (Some(tensor), Some(shape)) = (self.tensors.get(name), self.shape(name)) else { return Ok(None) };
        let damaged =
            |reason: String| ImportError::Damaged { path: self.path.clone(), reason: plain(&reason) };
        let kind = match tensor.dtype() {
            DType::F32 => Kind::Float,
            DType::F64 => Kind::Double,
            DType::F16 => Kind::Half,
            DType::BF16 => Kind::BFloat16,
            kind => {
                let (path, found) = (self.path.clone(), format!("{kind:?} numbers"));
                return Err(ImportError::Numbers { path, name: name.into(), found });
            }
        };
        let bytes = catch(|| tensor.read()).map_err(damaged)?.map_err(|error| damaged(error.to_string()))?;
        Tensor::f_from_data_size(&bytes, &shape, kind).map(Some).map_err(|error| damaged(error.to_string()))
    }
}
