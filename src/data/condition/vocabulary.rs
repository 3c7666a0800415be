//! The words of captions and their tokens, and the check that a text has known words only.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::words::quoted;

/// Words of a caption that are used; those after them are cut off.
pub const MAX_WORDS: usize = 64;

/// Known words that are offered in place of an unknown one.
const CLOSE: usize = 3;

/// Frequent words that are shown where no known word is close.
const EXAMPLES: usize = 8;

/// The words of the training captions.
///
/// A word is a run of letters and digits (as Unicode has them) in lower case; an apostrophe or a hyphen between two of
/// them belongs to it. A typographic apostrophe (’) is taken for a plain one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Vocabulary {
    words: Vec<String>,
    length: usize,
    token_of: HashMap<String, i64>,
}

/// A vocabulary as it is written: the rest follows from it.
#[derive(Serialize, Deserialize)]
struct Stored {
    words: Vec<String>,
    length: usize,
}

/// Why a text cannot be used with a vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Not one word.
    #[error("the text `{text}` has no words: expected 1 to {most}, for instance {}", quoted(examples, ", "))]
    Empty {
        /// The text.
        text: String,
        /// The most words that it may have.
        most: usize,
        /// The most frequent words.
        examples: Vec<String>,
    },
    /// More words than any caption had.
    #[error(
        "the text has {count} words: expected 1 to {most}, as the captions of the training have; leave out {}",
        count - most
    )]
    TooLong {
        /// How many words it has.
        count: usize,
        /// The most that it may have.
        most: usize,
    },
    /// Words that no caption had.
    #[error("{}", unknown_message(words, examples))]
    Unknown {
        /// Each such word once, in the order of the text.
        words: Vec<UnknownWord>,
        /// The most frequent words; empty where each unknown word has close ones.
        examples: Vec<String>,
    },
}

/// A word that a vocabulary does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    /// The word, in lower case.
    pub word: String,
    /// Up to three known words that it may be a misspelling of, the closest first.
    pub close: Vec<String>,
}

impl Vocabulary {
    /// The words of `captions`, of each its first [`MAX_WORDS`]: those that occur most often first, and of those that
    /// occur equally often the one with the smaller bytes.
    pub fn new<'a>(captions: impl Iterator<Item = &'a str>) -> Self {
        let mut counts: HashMap<String, u64> = HashMap::new();
        let mut length = 0;
        for caption in captions {
            let words = split(caption);
            length = length.max(words.len().min(MAX_WORDS));
            for word in words.into_iter().take(MAX_WORDS) {
                *counts.entry(word).or_default() += 1;
            }
        }
        let mut counted: Vec<(String, u64)> = counts.into_iter().collect();
        counted.sort_unstable_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
        Self::from_words(counted.into_iter().map(|(word, _)| word).collect(), length)
    }

    fn from_words(words: Vec<String>, length: usize) -> Self {
        let token_of = words.iter().cloned().zip(1..).collect();
        Self { words, length, token_of }
    }

    /// How many tokens there are: one a word, and 0, the padding.
    pub fn len_with_padding(&self) -> i64 {
        self.words.len() as i64 + 1
    }

    /// How many tokens a text has, padding included: the words of the longest caption, at most [`MAX_WORDS`].
    pub fn length(&self) -> usize {
        self.length
    }

    /// The words; word `i` has token `i + 1`.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The tokens of `text`, then zeros up to [`length`](Self::length). Unknown words are left out, and words beyond
    /// that length; [`check`](Self::check) refuses texts with either.
    pub fn tokens(&self, text: &str) -> Vec<i64> {
        let words = split(text);
        let mut tokens: Vec<i64> =
            words.iter().filter_map(|word| self.token_of.get(word).copied()).take(self.length).collect();
        tokens.resize(self.length, 0);
        tokens
    }

    /// Whether every word of `text` has its token.
    ///
    /// # Errors
    /// The text has no words, or unknown ones, or known ones but more than [`length`](Self::length).
    pub fn check(&self, text: &str) -> Result<(), TextError> {
        let words = split(text);
        let (count, most) = (words.len(), self.length);
        let examples = || self.words.iter().take(EXAMPLES).cloned().collect();
        if count == 0 {
            return Err(TextError::Empty { text: text.into(), most, examples: examples() });
        }
        let mut told = HashSet::new();
        let unknown: Vec<UnknownWord> = words
            .into_iter()
            .filter(|word| !self.token_of.contains_key(word) && told.insert(word.clone()))
            .map(|word| UnknownWord { close: self.close_to(&word), word })
            .collect();
        if unknown.is_empty() {
            return if count > most { Err(TextError::TooLong { count, most }) } else { Ok(()) };
        }
        // Of a text with both faults: once they are left out or replaced, it may be short enough.
        let unlike_all = unknown.iter().any(|unknown| unknown.close.is_empty());
        Err(TextError::Unknown { words: unknown, examples: if unlike_all { examples() } else { Vec::new() } })
    }

    /// One edit for each three characters, and at least one; but any other letter is one edit from a letter.
    fn close_to(&self, word: &str) -> Vec<String> {
        let characters = word.chars().count();
        let cutoff = if characters == 1 { 0 } else { (characters / 3).max(1) };
        let distances = self.words.iter().map(|known| (strsim::damerau_levenshtein(word, known), known));
        let mut close: Vec<(usize, &String)> =
            distances.filter(|(distance, _)| *distance <= cutoff).collect();
        close.sort_by_key(|(distance, _)| *distance);
        close.into_iter().take(CLOSE).map(|(_, known)| known.clone()).collect()
    }
}

impl TryFrom<Stored> for Vocabulary {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { words, length } = stored;
        if length > MAX_WORDS {
            return Err(format!("`length` is {length}; expected 0 to {MAX_WORDS}"));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = words.iter().find(|word| !seen.insert(*word)) {
            return Err(format!("`words` has `{twice}` twice; expected each word once"));
        }
        Ok(Self::from_words(words, length))
    }
}

impl From<Vocabulary> for Stored {
    fn from(Vocabulary { words, length, .. }: Vocabulary) -> Self {
        Self { words, length }
    }
}

/// The words of a text. Lower case comes first, so that a word as it is shown is split as itself.
fn split(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.to_lowercase().replace('’', "'").chars().collect();
    let letter = |i: usize| chars.get(i).is_some_and(|c| c.is_alphanumeric());
    let joins = |i: usize| matches!(chars[i], '\'' | '-') && i > 0 && letter(i - 1) && letter(i + 1);
    let kept: String =
        chars.iter().enumerate().map(|(i, c)| if letter(i) || joins(i) { *c } else { ' ' }).collect();
    kept.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn unknown_message(words: &[UnknownWord], examples: &[String]) -> String {
    let described: Vec<String> = words
        .iter()
        .map(|UnknownWord { word, close }| match &close[..] {
            [] => format!("`{word}`"),
            close => format!("`{word}` (did you mean {}?)", quoted(close, ", ")),
        })
        .collect();
    let examples = if examples.is_empty() {
        String::new()
    } else {
        format!(", for instance {}", quoted(examples, ", "))
    };
    format!(
        "not in the captions of the training: {}; expected only words of them{examples}",
        described.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary::new(
            ["Red hair, green eyes", "red HAIR; blue eyes!", "a red-haired woman's red hat"].into_iter(),
        )
    }

    #[test]
    fn words_are_split_at_all_but_letters_digits_and_inner_marks() {
        let cases: [(&str, &[&str]); 7] = [
            ("A red, RED car (1970s)", &["a", "red", "red", "car", "1970s"]),
            ("rock-n-roll - well-", &["rock-n-roll", "well"]),
            ("it's dogs' 'quoted' don’t", &["it's", "dogs", "quoted", "don't"]),
            ("hair--long a'-b -- '", &["hair", "long", "a", "b"]),
            ("Élan\tÜBER\nΟΔΟΣ 赤い髪", &["élan", "über", "οδος", "赤い髪"]),
            ("snake_case/slash.dot", &["snake", "case", "slash", "dot"]),
            (" .,;!? ", &[]),
        ];
        for (text, words) in cases {
            assert_eq!(split(text), words, "{text}");
        }
    }

    #[test]
    fn frequent_words_come_first_and_ties_by_bytes() {
        let vocabulary = vocabulary();
        // red 3, eyes 2, hair 2, the others once.
        let words = ["red", "eyes", "hair", "a", "blue", "green", "hat", "red-haired", "woman's"];
        assert_eq!(vocabulary.words(), words);
        assert_eq!(vocabulary.len_with_padding(), 10);
        assert_eq!(vocabulary.length(), 5);
    }

    #[test]
    fn tokens_are_padded_and_cut_to_the_length() {
        let vocabulary = vocabulary();
        assert_eq!(vocabulary.tokens("a red-haired woman's red hat"), [4, 8, 9, 1, 7]);
        assert_eq!(vocabulary.tokens("Green EYES"), [6, 2, 0, 0, 0]);
        assert_eq!(vocabulary.tokens("one green, two hair"), [6, 3, 0, 0, 0]);
        assert_eq!(vocabulary.tokens("red red red red red hat"), [1, 1, 1, 1, 1]);
        assert_eq!(vocabulary.tokens(""), [0; 5]);
    }

    #[test]
    fn a_long_caption_is_cut() {
        let long: Vec<String> = (0..70).map(|i| format!("w{i:02}")).collect();
        let long = long.join(" ");
        let vocabulary = Vocabulary::new([long.as_str()].into_iter());
        assert_eq!((vocabulary.length(), vocabulary.len_with_padding()), (64, 65));
        assert_eq!(vocabulary.words()[63], "w63");
        assert_eq!(vocabulary.tokens(&long), (1..=64).collect::<Vec<i64>>());
    }

    #[test]
    fn known_words_pass() {
        for text in ["red", "RED-haired eyes.", "hat hat hat hat hat"] {
            assert_eq!(vocabulary().check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_text_of_no_or_too_many_words_is_refused() {
        let message = |text| vocabulary().check(text).unwrap_err().to_string();
        let examples = "`red`, `eyes`, `hair`, `a`, `blue`, `green`, `hat`, `red-haired`";
        assert_eq!(
            message(""),
            format!("the text `` has no words: expected 1 to 5, for instance {examples}")
        );
        assert!(message(" - ").starts_with("the text ` - ` has no words"));
        assert_eq!(
            message("red red red red red red hat"),
            "the text has 7 words: expected 1 to 5, as the captions of the training have; leave out 2"
        );
    }

    #[test]
    fn unknown_words_are_all_named_with_the_close_ones() {
        let vocabulary = vocabulary();
        let unknown = |word: &str, close: &[&str]| UnknownWord {
            word: word.into(),
            close: close.iter().map(ToString::to_string).collect(),
        };
        let error = vocabulary.check("Rde hair, haat grene rde").unwrap_err();
        let words = vec![unknown("rde", &["red"]), unknown("haat", &["hat"]), unknown("grene", &["green"])];
        assert_eq!(error, TextError::Unknown { words, examples: vec![] });
        assert_eq!(
            error.to_string(),
            "not in the captions of the training: `rde` (did you mean `red`?), `haat` (did you mean `hat`?), `grene` \
             (did you mean `green`?); expected only words of them"
        );
        assert_eq!(
            vocabulary.check("z eyse zebra").unwrap_err().to_string(),
            "not in the captions of the training: `z`, `eyse` (did you mean `eyes`?), `zebra`; expected only words \
             of them, for instance `red`, `eyes`, `hair`, `a`, `blue`, `green`, `hat`, `red-haired`"
        );
    }

    #[test]
    fn of_a_text_that_is_too_long_too_the_unknown_words_are_told() {
        let error = vocabulary().check("a woman with rde hair and green eyes").unwrap_err();
        let TextError::Unknown { words, .. } = &error else { panic!("{error}") };
        let words: Vec<&str> = words.iter().map(|unknown| unknown.word.as_str()).collect();
        assert_eq!(words, ["woman", "with", "rde", "and"]);
        let known = vocabulary().check("a red-haired woman's red hair and eyes").unwrap_err().to_string();
        assert!(known.contains("`and`") && !known.contains("7 words"), "{known}");
    }

    #[test]
    fn up_to_three_close_words_are_offered_by_closeness_then_frequency() {
        let vocabulary =
            Vocabulary::new(["chair charm chains choir", "chains choir charm", "choir"].into_iter());
        assert_eq!(vocabulary.words(), ["choir", "chains", "charm", "chair"]);
        // Distances from `chaiir`: choir 2, chains 2, charm 3 (beyond 6 / 3), chair 1.
        assert_eq!(vocabulary.close_to("chaiir"), ["chair", "choir", "chains"]);
        // Five characters allow one edit.
        assert_eq!(vocabulary.close_to("chaim"), ["charm", "chair"]);
        let tied = Vocabulary::new(["bad dad dad lad lad lad mad mad mad mad"].into_iter());
        assert_eq!(tied.close_to("sad"), ["mad", "lad", "dad"]);
    }

    #[test]
    fn it_is_written_as_words_and_length_and_read_back() {
        let vocabulary = Vocabulary::new(["red hair", "red"].into_iter());
        let json = serde_json::to_string(&vocabulary).unwrap();
        assert_eq!(json, r#"{"words":["red","hair"],"length":2}"#);
        let back: Vocabulary = serde_json::from_str(&json).unwrap();
        assert_eq!(back, vocabulary);
        assert_eq!(back.tokens("hair"), [2, 0]);
        let refused = |json: &str| serde_json::from_str::<Vocabulary>(json).unwrap_err().to_string();
        let twice = refused(r#"{"words":["red","hair","red"],"length":2}"#);
        assert!(twice.contains("`words` has `red` twice; expected each word once"), "{twice}");
        let long = refused(r#"{"words":[],"length":65}"#);
        assert!(long.contains("`length` is 65; expected 0 to 64"), "{long}");
    }
}
