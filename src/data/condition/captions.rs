//! Captions: from `metadata.jsonl` or `metadata.csv` in the folder, as Hugging Face's `ImageFolder` has them, else from
//! text files beside the images. The first of the three that is there is the only one that is read.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::ConditionError;
use crate::data::left_out::LeftOut;
use crate::data::scan::ImageFolder;

const JSONL_LINE: &str = r#"an object like `{"file_name": "a.png", "text": "a red car"}`"#;
const CSV_HEADER: &str = "a first line with the columns `file_name` and `text`, separated by commas";
const CSV_LINE: &str = "as many columns as the header has, with text that has commas in double quotes";

/// The captions of a folder's images.
#[derive(Debug, Clone, Default)]
pub struct Captions {
    /// The captions of each image, at least one, by its path relative to the folder. Each has a letter or a digit, and
    /// no white space around it.
    pub of: HashMap<PathBuf, Vec<String>>,
    /// Entries that were left out, in their order, then images that no entry names, in the folder's order. Without a
    /// metadata file both are in the folder's order.
    pub problems: Vec<LeftOut>,
}

impl Captions {
    fn leave_out(&mut self, path: &Path, reason: impl Into<String>) {
        self.problems.push(LeftOut { what: format!("`{}`", path.display()), reason: reason.into() });
    }

    fn leave_line_out(&mut self, path: &Path, entry: &Entry, reason: &str) {
        let what = format!("line {} of `{}` (`{}`)", entry.line, path.display(), entry.file_name);
        self.problems.push(LeftOut { what, reason: reason.into() });
    }
}

/// One line of a metadata file.
struct Entry {
    /// Counted from 1.
    line: u64,
    file_name: String,
    text: String,
}

type Parse = fn(&Path, &str) -> Result<Vec<Entry>, ConditionError>;

const METADATA: [(&str, Parse); 2] = [("metadata.jsonl", parse_jsonl), ("metadata.csv", parse_csv)];

/// The captions of the images of `folder`, from the first of these that is there:
///
/// - `metadata.jsonl` in it: a JSON object a line, with the strings `file_name` and `text`;
/// - `metadata.csv` in it: a header with the columns `file_name` and `text`;
/// - beside each image, under its name but with the ending `txt`, a text file with one caption a line.
///
/// An image that is named more than once has all those captions. `file_name` is relative to the folder.
///
/// # Errors
/// There is none of these, a metadata file cannot be read or has a line that is not as above, or not one image has a
/// caption. An entry or image that is of no use is only a problem in the result.
pub fn captions(folder: &ImageFolder) -> Result<Captions, ConditionError> {
    let captions = match metadata(folder)? {
        Some(captions) => captions,
        None => text_files(folder)?,
    };
    match captions.problems.first() {
        Some(first) if captions.of.is_empty() => Err(ConditionError::NoneCaptioned {
            root: folder.root.clone(),
            images: folder.files.len(),
            problems: captions.problems.len(),
            first: first.clone(),
        }),
        _ => Ok(captions),
    }
}

/// None where there is no metadata file.
fn metadata(folder: &ImageFolder) -> Result<Option<Captions>, ConditionError> {
    for (name, parse) in METADATA {
        let path = folder.root.join(name);
        match read(&path) {
            Ok(Some(text)) => return parse(&path, &text).map(|entries| Some(gather(folder, name, entries))),
            Ok(None) => {}
            Err(source) => return Err(ConditionError::Read { path, source }),
        }
    }
    Ok(None)
}

fn gather(folder: &ImageFolder, name: &str, entries: Vec<Entry>) -> Captions {
    let path = folder.root.join(name);
    let files: HashSet<&Path> = folder.files.iter().map(PathBuf::as_path).collect();
    let mut captions = Captions::default();
    for entry in entries {
        let Some(file) = inside(&entry.file_name).filter(|file| files.contains(file.as_path())) else {
            let reason = "no such image, expected a path relative to this folder in `file_name`";
            captions.leave_line_out(&path, &entry, reason);
            continue;
        };
        // An image whose only text is empty counts as named, so that one mistake is told once.
        let texts = captions.of.entry(file).or_default();
        if has_words(&entry.text) {
            texts.push(entry.text.trim().to_owned());
        } else {
            captions.leave_line_out(&path, &entry, "no words, expected a caption in `text`");
        }
    }
    for file in &folder.files {
        if !captions.of.contains_key(file) {
            let reason = format!("no caption, expected a line in `{name}` with its `file_name`");
            captions.leave_out(&folder.root.join(file), reason);
        }
    }
    captions.of.retain(|_, texts| !texts.is_empty());
    captions
}

fn parse_jsonl(path: &Path, text: &str) -> Result<Vec<Entry>, ConditionError> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    lines.map(|(text, line)| parse_object(path, text, line)).collect()
}

fn parse_object(path: &Path, text: &str, line: u64) -> Result<Entry, ConditionError> {
    let bad = |reason| ConditionError::Entry { path: path.into(), line, reason, expected: JSONL_LINE };
    let object: Value = serde_json::from_str(text)
        .map_err(|error| bad(format!("not JSON from column {} on", error.column())))?;
    let string = |field: &str| match object.get(field) {
        Some(Value::String(value)) => Ok(value.clone()),
        Some(other) => Err(bad(format!("`{field}` is `{other}`, which is not a string"))),
        None => Err(bad(format!("there is no `{field}`"))),
    };
    Ok(Entry { line, file_name: string("file_name")?, text: string("text")? })
}

fn parse_csv(path: &Path, text: &str) -> Result<Vec<Entry>, ConditionError> {
    let bad = |line, reason, expected| ConditionError::Entry { path: path.into(), line, reason, expected };
    let failed = |error: csv::Error| {
        let line = error.position().map_or(1, |start| csv_line(text, start));
        let reason = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("the number of columns is {len}, but {expected_len} in the header")
            }
            _ => error.to_string(),
        };
        bad(line, reason, CSV_LINE)
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(failed)?.clone();
    let column = |name: &str| {
        let missing = || bad(1, format!("there is no column `{name}`"), CSV_HEADER);
        headers.iter().position(|header| header == name).ok_or_else(missing)
    };
    let (file_name, caption) = (column("file_name")?, column("text")?);
    let entry = |record: csv::StringRecord| Entry {
        line: record.position().map_or(1, |start| csv_line(text, start)),
        file_name: record[file_name].to_owned(),
        text: record[caption].to_owned(),
    };
    reader.records().map(|record| record.map(entry).map_err(failed)).collect()
}

/// The line on which a record begins. `csv` has its position end the record before, so line ends between the two are
/// still to be counted.
fn csv_line(text: &str, start: &csv::Position) -> u64 {
    let rest = text.as_bytes().get(start.byte() as usize..).unwrap_or_default();
    let between = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    start.line() + between.filter(|byte| **byte == b'\n').count() as u64
}

fn text_files(folder: &ImageFolder) -> Result<Captions, ConditionError> {
    let mut captions = Captions::default();
    let mut found = false;
    for file in &folder.files {
        let image = folder.root.join(file);
        let path = image.with_extension("txt");
        let text = read(&path);
        found |= !matches!(text, Ok(None));
        match text {
            Ok(Some(text)) => {
                let lines = text.lines().filter(|line| has_words(line));
                let texts: Vec<String> = lines.map(|line| line.trim().to_owned()).collect();
                if texts.is_empty() {
                    captions.leave_out(&path, "no words in it, expected one caption a line");
                } else {
                    captions.of.insert(file.clone(), texts);
                }
            }
            Ok(None) => {
                let reason = "no caption, expected one beside it in a text file of the same name, as `a.txt` for `a.png`";
                captions.leave_out(&image, reason);
            }
            Err(error) => captions.leave_out(&path, error.to_string()),
        }
    }
    if found { Ok(captions) } else { Err(ConditionError::NoCaptions { root: folder.root.clone() }) }
}

/// The text without its byte order mark, or none where there is no such file.
fn read(path: &Path) -> io::Result<Option<String>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).to_vec();
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text, save it as UTF-8");
    String::from_utf8(bytes).map(Some).map_err(not_text)
}

/// True where [`Vocabulary`](super::Vocabulary) finds a word.
fn has_words(text: &str) -> bool {
    text.contains(char::is_alphanumeric)
}

/// The path without `.` and `..`, or none where it leaves the folder that it is relative to.
fn inside(file_name: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in Path::new(file_name).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests;
