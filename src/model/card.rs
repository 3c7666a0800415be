//! What a model file says of itself: `translate model show`, and the note and licence that its owner adds.

use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{ModelError, Training, locate, open};
use crate::data::condition::Known;
use crate::recipe::{Recipe, Space};
use crate::torch::store;
use crate::words::{plain, quoted};

/// The metadata key of [`Notes`].
const KEY: &str = "notes";

/// What the owner of a model adds for those who get it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notes {
    /// The terms under which it may be used, such as `CC-BY-4.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Notes {
    /// Those in a file's metadata; none where there are none.
    pub(super) fn of(metadata: &store::Metadata) -> Self {
        metadata.get(KEY).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Puts them into a file's metadata.
    pub(super) fn put(&self, metadata: &mut store::Metadata) {
        metadata.insert(KEY.into(), serde_json::to_string(self).unwrap_or_default());
    }

    /// Those of the model at `path`; none where there is no model yet.
    pub fn at(path: &Path) -> Self {
        store::metadata(path).map(|metadata| Self::of(&metadata)).unwrap_or_default()
    }

    /// With those of `newer` that are there in the place of its own; an empty text takes one away.
    fn with(self, newer: Self) -> Self {
        let one = |new: Option<String>, old| new.map_or(old, |text| (!text.is_empty()).then_some(text));
        Self { licence: one(newer.licence, self.licence), note: one(newer.note, self.note) }
    }
}

/// A generator of a model.
#[derive(Debug, Serialize)]
pub struct Translation {
    /// Its name in the recipe.
    pub name: String,
    /// The domain that it reads, or `noise`.
    pub from: String,
    /// The domain that it writes.
    pub to: String,
    /// Its network's fields.
    pub net: serde_json::Value,
    /// Weights.
    pub parameters: usize,
}

/// All that a model file says of itself.
#[derive(Debug, Serialize)]
pub struct Card {
    /// The file.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The recipe's one line.
    pub about: String,
    /// The names of its domains by space.
    pub domains: IndexMap<Space, String>,
    /// What a domain can be asked for: its classes, or the words of its captions.
    pub conditions: IndexMap<String, Vec<String>>,
    /// Its generators.
    pub generators: Vec<Translation>,
    /// Files of `PyTorch` that it was imported from; not told where it was trained here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub imported_from: Vec<String>,
    /// How it was trained; not told where it was trained elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// What its owner adds.
    #[serde(flatten)]
    pub notes: Notes,
    /// The complete recipe.
    pub recipe: Recipe,
}

/// Reads the card of a model file, or of the model of a run folder.
///
/// # Errors
/// As [`open`].
pub fn card(path: &Path) -> Result<Card, ModelError> {
    let file = locate(path)?;
    let model = open(&file, tch::Device::Cpu)?;
    let domain = |space: &Space| model.domains.get(space).cloned().unwrap_or_else(|| "noise".into());
    let generators = model.graph.generators.iter().map(|(name, node)| Translation {
        name: name.clone(),
        from: domain(&node.from),
        to: domain(&node.to),
        net: serde_json::to_value(&model.recipe.generators[name].net).unwrap_or_default(),
        parameters: node.net.parameter_count(),
    });
    let known = |known: &Known| match known {
        Known::Classes(names) => names.clone(),
        Known::Words(vocabulary) => vocabulary.words().to_vec(),
    };
    Ok(Card {
        bytes: std::fs::metadata(&file).map_or(0, |file| file.len()),
        file: file.display().to_string(),
        about: model.recipe.about.clone(),
        conditions: model.conditions.iter().map(|(space, it)| (domain(space), known(it))).collect(),
        generators: generators.collect(),
        domains: model.domains,
        imported_from: model.training.imported_from.clone(),
        training: (!model.training.was_elsewhere()).then_some(model.training),
        notes: Notes::at(&file),
        recipe: model.recipe,
    })
}

/// Changes the notes of a model file, or of the model of a run folder; all else stays as it is. A run that goes on keeps
/// them.
///
/// # Errors
/// It is no model, or cannot be written; it is untouched then.
pub fn set_notes(path: &Path, notes: Notes) -> Result<(), ModelError> {
    let file = locate(path)?;
    // So that only models are changed.
    open(&file, tch::Device::Cpu)?;
    Ok(store::change_metadata(&file, |metadata| Notes::of(metadata).with(notes).put(metadata))?)
}

impl Card {
    /// The card as a table: what, and its value, each on one line.
    pub fn rows(&self) -> Vec<(String, String)> {
        let mut rows = vec![
            ("file".to_string(), format!("{} ({:.2} MB)", self.file, self.bytes as f64 / 1e6)),
            ("about".into(), self.about.clone()),
            ("recipe".into(), format!("`translate recipe show {}` prints it", self.file)),
        ];
        for it in &self.generators {
            let kind = it.net.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default();
            let value = format!("{} to {}, {kind}, {} parameters", it.from, it.to, it.parameters);
            rows.push((format!("generator {}", it.name), value));
        }
        for (domain, names) in &self.conditions {
            let shown: Vec<&str> = names.iter().take(12).map(String::as_str).collect();
            let more = if names.len() > shown.len() {
                format!(", … ({} in all)", names.len())
            } else {
                String::new()
            };
            rows.push((format!("{domain} can be"), format!("{}{more}", shown.join(", "))));
        }
        rows.extend(self.origin());
        let told = |text: &Option<String>| text.clone().unwrap_or_else(|| "not told".into());
        rows.push(("licence".into(), told(&self.notes.licence)));
        rows.push(("note".into(), told(&self.notes.note)));
        // Most of it is whatever the file's maker wrote.
        rows.iter().map(|(what, value)| (plain(what), plain(value))).collect()
    }

    /// How it was trained, or where it comes from.
    fn origin(&self) -> Vec<(String, String)> {
        let Some(Training { images, of_images, minutes, seed, device, data, program, .. }) = &self.training
        else {
            let files = quoted(&self.imported_from, " and ");
            let files = if files.is_empty() { "not told".into() } else { files };
            return vec![("imported from".into(), files)];
        };
        let size = self.recipe.data.size;
        let data: Vec<String> = data.iter().map(|(name, count)| format!("{count} of {name}")).collect();
        let data = if data.is_empty() { "not told".into() } else { data.join(", ") };
        let training = format!(
            "{images} of {of_images} images at {size}×{size}, {minutes} minutes on {device}, seed {seed}"
        );
        [("trained on", data), ("training", training), ("made by", program.clone())]
            .map(|(what, value)| (what.to_string(), value))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_changed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/models/portraits.safetensors"), &path).unwrap();
        let before = store::read(&path).unwrap();
        assert_eq!(card(&path).unwrap().notes, Notes::default());
        let text = |text: &str| Some(text.to_string());
        set_notes(&path, Notes { licence: text("CC0"), note: text("mine, \"all\" of it") }).unwrap();
        set_notes(&path, Notes { licence: text("CC-BY-4.0"), note: None }).unwrap();
        let notes = Notes { licence: text("CC-BY-4.0"), note: text("mine, \"all\" of it") };
        assert_eq!(card(&path).unwrap().notes, notes);
        let after = store::read(&path).unwrap();
        assert!(after.tensors.iter().all(|(name, tensor)| before.tensors[name] == *tensor));
        assert_eq!(after.tensors.len(), before.tensors.len());
        let mut metadata = after.metadata;
        metadata.remove(KEY);
        assert_eq!(metadata, before.metadata);
        set_notes(&path, Notes { note: text(""), licence: None }).unwrap();
        assert_eq!(card(&path).unwrap().notes, Notes { note: None, ..notes });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_model_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        store::write(&path, &[], store::Metadata::new()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(set_notes(&path, Notes { note: Some("x".into()), licence: None }).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
