//! How files are damaged: anywhere, or inside their form, so that what reads them gets past the first check.

use std::io::{Cursor, Read as _, Write as _};

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::fuzz_recipes;

/// Numbers where a size, a place or a width is expected.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "3",
    "7",
    "64",
    "1024",
    "4096",
    "100000",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "4611686018427387904",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
    "-1",
    "1e400",
    "0.5",
];

/// Number formats of safetensors, those that no file of this program has among them, and one that there is not.
const DTYPES: &[&str] = &["F32", "F16", "I64", "F64", "BF16", "BOOL", "U8", "F8_E4M3", "F4", "C64", "F128"];

/// Operations of a pickle, and what they may be given.
const OPERATIONS: &[&[u8]] = &[
    b"(",
    b")",
    b"}",
    b"]",
    b".",
    b"0",
    b"2",
    b"N",
    b"R",
    b"Q",
    b"b",
    b"s",
    b"u",
    b"a",
    b"e",
    b"t",
    b"l",
    b"d",
    b"\x85",
    b"\x86",
    b"\x87",
    b"\x88",
    b"\x94",
    b"q\x00",
    b"h\x00",
    b"h\x05",
    b"r\xff\xff\xff\x7f",
    b"j\xff\xff\xff\xff",
    b"K\x00",
    b"K\xff",
    b"M\xff\xff",
    b"J\xff\xff\xff\x7f",
    b"J\xff\xff\xff\xff",
    b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40",
    b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00",
    b"\x8b\xff\xff\xff\x7f",
    b"X\xff\xff\xff\x7f",
    b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"X\x03\x00\x00\x00cpu",
    b"X\x04\x00\x00\x00../x",
    b"G\x7f\xf0\x00\x00\x00\x00\x00\x00",
    b"\x80\x05",
    b"ctorch\nFloatStorage\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
    b"cos\nsystem\n",
];

/// A place in something of that length, its end included.
fn place(length: usize, rng: &mut ChaCha8Rng) -> usize {
    rng.random_range(0..=length)
}

/// Bytes flipped, cut, left out, written twice or overwritten.
pub fn bytes(mut bytes: Vec<u8>, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let (a, b) = (place(bytes.len(), rng), place(bytes.len(), rng));
    let (from, to) = (a.min(b), a.max(b));
    match rng.random_range(0..6) {
        0 => bytes.truncate(from),
        1 => drop(bytes.drain(from..to.min(from + 64))),
        2 => {
            let part = bytes[from..to.min(from + 4096)].to_vec();
            drop(bytes.splice(to..to, part));
        }
        3 => bytes[from..to.min(from + 16)].fill(rng.random()),
        _ => {
            for _ in 0..rng.random_range(1..5) {
                let at = place(bytes.len(), rng);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
        }
    }
    bytes
}

/// One of the numbers in a text, another.
fn renumbered(text: &str, rng: &mut ChaCha8Rng) -> String {
    let is_digit = |at: &usize| text.as_bytes()[*at].is_ascii_digit();
    let starts: Vec<usize> =
        (0..text.len()).filter(|at| is_digit(at) && (*at == 0 || !is_digit(&(at - 1)))).collect();
    let (Some(&from), Some(number)) = (starts.choose(rng), NUMBERS.choose(rng)) else { return text.into() };
    let length = text[from..].bytes().take_while(u8::is_ascii_digit).count();
    [&text[..from], number, &text[from + length..]].concat()
}

/// A text of a header or of its metadata.
fn text(text: &str, rng: &mut ChaCha8Rng) -> String {
    if rng.random_bool(0.5) {
        return renumbered(text, rng);
    }
    fuzz_recipes::damage(text, &[text.to_string()], rng)
}

/// A header's length, the header and the data of a safetensors file.
fn parts(file: &[u8]) -> Option<(&str, &[u8])> {
    let length = u64::from_le_bytes(file.get(..8)?.try_into().ok()?);
    let header = file.get(8..8usize.checked_add(usize::try_from(length).ok()?)?)?;
    Some((std::str::from_utf8(header).ok()?, &file[8 + header.len()..]))
}

fn joined(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// The same file with its metadata in order, which a hash map gives in another one each time.
pub fn sorted(file: &[u8]) -> Option<Vec<u8>> {
    let (header, data) = parts(file)?;
    let mut header: Map<String, Value> = serde_json::from_str(header).ok()?;
    header.get_mut("__metadata__")?.as_object_mut()?.sort_keys();
    Some(joined(&Value::from(header).to_string(), data))
}

/// A safetensors file, most often with its form kept.
pub fn safetensors(file: Vec<u8>, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let Some((header, data)) = parts(&file) else { return bytes(file, rng) };
    match rng.random_range(0..10) {
        0 => bytes(file, rng),
        1 => {
            let length = header.len() as u64;
            let lengths =
                [0, 1, length.saturating_sub(1), length + 1, 100_000_001, 1 << 32, 1 << 63, u64::MAX];
            let length = lengths.choose(rng).copied().unwrap_or_default();
            [&length.to_le_bytes(), header.as_bytes(), data].concat()
        }
        2 => joined(&text(header, rng), data),
        3 => joined(header, &bytes(data.to_vec(), rng)),
        _ => match serde_json::from_str(header) {
            Ok(Value::Object(mut map)) => {
                if rng.random_bool(0.6) {
                    metadata(&mut map, rng);
                } else {
                    tensor(&mut map, rng);
                }
                joined(&Value::from(map).to_string(), data)
            }
            _ => bytes(file, rng),
        },
    }
}

/// Most often the recipe, as most is read from there.
fn metadata(header: &mut Map<String, Value>, rng: &mut ChaCha8Rng) {
    let Some(metadata) = header.get_mut("__metadata__").and_then(Value::as_object_mut) else { return };
    let keys: Vec<String> = metadata.keys().cloned().collect();
    let Some(key) = keys.choose(rng) else { return };
    let key = if rng.random_bool(0.4) { "recipe" } else { key };
    let Some(Value::String(old)) = metadata.get(key).cloned() else { return };
    match rng.random_range(0..12) {
        0 => drop(metadata.remove(key)),
        1 => drop(metadata.insert(key.into(), json!(3))),
        2 => {
            let other = keys.choose(rng).and_then(|other| metadata.get(other)).cloned();
            metadata.insert(key.into(), other.unwrap_or_default());
        }
        _ => drop(metadata.insert(key.into(), text(&old, rng).into())),
    }
}

/// A tensor's name, number format, shape or place.
fn tensor(header: &mut Map<String, Value>, rng: &mut ChaCha8Rng) {
    let names: Vec<String> = header.keys().filter(|name| *name != "__metadata__").cloned().collect();
    let (Some(name), Some(other)) = (names.choose(rng), names.choose(rng)) else { return };
    let number = |rng: &mut ChaCha8Rng| {
        let number = NUMBERS.choose(rng).and_then(|number| serde_json::from_str(number).ok());
        number.unwrap_or(Value::Null)
    };
    let (swapped, drawn) = (header[other].clone(), number(rng));
    let entry = &mut header[name];
    let list = if rng.random_bool(0.6) { "shape" } else { "data_offsets" };
    let numbers = entry.get_mut(list).and_then(Value::as_array_mut);
    match (rng.random_range(0..8), numbers) {
        (0, _) => drop(header.remove(name)),
        (1, _) => {
            let entry = header.remove(name).unwrap_or_default();
            header.insert(text(name, rng), entry);
        }
        (2, _) => *entry = swapped,
        (3, _) => entry["dtype"] = json!(DTYPES.choose(rng)),
        (4, Some(numbers)) => numbers.push(drawn),
        (5, Some(numbers)) => numbers.truncate(1),
        (6, Some(numbers)) => {
            // Nothing is stored of such a tensor, whatever its other sizes are.
            numbers.extend([json!(0), drawn]);
            entry["data_offsets"] = json!([0, 0]);
        }
        (_, Some(numbers)) => {
            let at = rng.random_range(0..numbers.len().max(1));
            if let Some(place) = numbers.get_mut(at) {
                *place = drawn;
            }
        }
        (_, None) => {}
    }
}

/// A pickle, at its operations.
fn pickle(mut pickle: Vec<u8>, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let operation = OPERATIONS.choose(rng).copied().unwrap_or_default();
    let numbers: Vec<usize> =
        (0..pickle.len()).filter(|at| matches!(pickle[*at], b'K' | b'M' | b'J')).collect();
    let at = place(pickle.len(), rng);
    match rng.random_range(0..6) {
        0 => bytes(pickle, rng),
        1 => {
            pickle.splice(at..at, operation.repeat(rng.random_range(1..2000)));
            pickle
        }
        2 => {
            pickle.splice(at..(at + operation.len()).min(pickle.len()), operation.iter().copied());
            pickle
        }
        3 => {
            pickle.splice(at..at, operation.iter().copied());
            pickle
        }
        _ => {
            // A number's operation is replaced with what it is given.
            let Some(&at) = numbers.choose(rng) else { return pickle };
            let length = match pickle[at] {
                b'K' => 2,
                b'M' => 3,
                _ => 5,
            };
            pickle.splice(at..(at + length).min(pickle.len()), operation.iter().copied());
            pickle
        }
    }
}

/// A checkpoint of `PyTorch`, in either form: anywhere, or in its pickle with its archive made anew around that.
pub fn checkpoint(file: Vec<u8>, rng: &mut ChaCha8Rng) -> Vec<u8> {
    if rng.random_bool(0.3) {
        return bytes(file, rng);
    }
    if !file.starts_with(b"PK") {
        return pickle(file, rng);
    }
    archive(&file, rng).unwrap_or(file)
}

fn archive(file: &[u8], rng: &mut ChaCha8Rng) -> zip::result::ZipResult<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(file))?;
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let changed = if rng.random_bool(0.8) { 0 } else { rng.random_range(0..archive.len().max(1)) };
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i)?;
        let mut name = entry.name()?.into_owned();
        let mut data = Vec::new();
        entry.read_to_end(&mut data)?;
        if i == changed {
            match rng.random_range(0..12) {
                0 => continue,
                1 => name = text(&name, rng),
                _ if i == 0 => data = pickle(data, rng),
                _ => data = bytes(data, rng),
            }
        }
        writer.start_file(name, options)?;
        writer.write_all(&data)?;
    }
    Ok(writer.finish()?.into_inner())
}
