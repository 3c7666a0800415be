//! The conditions of one data set: what its networks can be asked for, and what is said of each of its images.

use std::collections::HashMap;
use std::iter;
use std::path::PathBuf;

use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{ConditionError, Vocabulary, captions, labels};
use crate::data::dataset::Dataset;
use crate::data::fingerprint::fingerprint;
use crate::data::left_out::LeftOut;
use crate::data::loader::spread;
use crate::data::scan::ImageFolder;
use crate::random::{Purpose, stream, uniform_below};
use crate::recipe::{Condition, Space};

/// Draws after which a mismatched condition may be equal to the right one, where nearly all images share one.
const TRIES: usize = 32;

/// Wrong conditions of which the nearest to the truth is shown.
const NEAR: usize = 6;

/// Most classes that a run is watched by.
const CLASSES: usize = 16;

/// What can be asked of a space: its classes, or the words of its captions. Part of a run and of a model, since the shapes
/// of networks and the meaning of their inputs depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Known {
    /// Class i has the label i.
    Classes(Vec<String>),
    /// The words of the training captions.
    Words(Vocabulary),
}

impl Known {
    /// Rows of the table that a network reads conditions by.
    pub fn rows(&self) -> i64 {
        match self {
            Self::Classes(names) => names.len() as i64,
            Self::Words(vocabulary) => vocabulary.len_with_padding(),
        }
    }

    /// Conditions, of numbers each, as networks take them: labels `[batch]`, or tokens `[batch, length]`.
    pub fn tensor(&self, conditions: &[Vec<i64>]) -> Tensor {
        let numbers = Tensor::from_slice(&conditions.concat());
        match self {
            Self::Classes(_) => numbers,
            Self::Words(vocabulary) => numbers.reshape([-1, vocabulary.length() as i64]),
        }
    }

    /// What the numbers of a condition mean: the class's name, or the words that a network is told of a text.
    pub fn in_words(&self, condition: &[i64]) -> String {
        let (names, first) = match self {
            Self::Classes(names) => (&names[..], 0),
            // 0 is the padding.
            Self::Words(vocabulary) => (vocabulary.words(), 1),
        };
        let name = |number: &i64| names.get(usize::try_from(number - first).ok()?);
        condition.iter().filter_map(name).map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// What can be asked of each conditioned space.
pub type Conditions = IndexMap<Space, Known>;

/// What can be asked of the spaces that have these conditions.
pub fn known(conditioned: &IndexMap<Space, Conditioned>) -> Conditions {
    conditioned.iter().map(|(space, side)| (*space, side.known.clone())).collect()
}

/// What was read of a folder's conditions, before its images are.
#[derive(Debug)]
pub struct Reading {
    known: Known,
    of: HashMap<PathBuf, Vec<Vec<i64>>>,
}

impl Reading {
    /// Reads the conditions of `folder`, and leaves only the files there that have one; the others go to `left_out`.
    ///
    /// # Errors
    /// The folder has none of this kind, or only one for all of its images.
    pub fn new(
        condition: &Condition,
        folder: &mut ImageFolder,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<Self, ConditionError> {
        let reading = match condition {
            Condition::Label { .. } => {
                let found = labels(folder)?;
                left_out.extend(found.alone);
                let of = found.of.into_iter().map(|(file, label)| (file, vec![vec![i64::from(label)]]));
                Self { known: Known::Classes(found.names), of: of.collect() }
            }
            Condition::Text { .. } => {
                let found = captions(folder)?;
                left_out.extend(found.problems);
                let vocabulary = Vocabulary::new(found.of.values().flatten().map(String::as_str));
                let tokens = |texts: &Vec<String>| texts.iter().map(|text| vocabulary.tokens(text)).collect();
                let of: HashMap<_, Vec<_>> =
                    found.of.iter().map(|(file, texts)| (file.clone(), tokens(texts))).collect();
                let mut all = of.values().flatten();
                let first = all.next();
                if all.all(|other| Some(other) == first) {
                    let caption = found.of.into_values().flatten().min().unwrap_or_default();
                    return Err(ConditionError::OneCaption { root: folder.root.clone(), caption });
                }
                Self { known: Known::Words(vocabulary), of }
            }
        };
        folder.files.retain(|file| reading.of.contains_key(file));
        Ok(reading)
    }

    /// The conditions of the images that could be read.
    pub fn of(mut self, dataset: &Dataset) -> Conditioned {
        let of = dataset.files().map(|file| self.of.remove(file).unwrap_or_default()).collect();
        Conditioned { known: self.known, of }
    }
}

/// The conditions of a data set's images.
#[derive(Debug, Clone)]
pub struct Conditioned {
    /// What can be asked for.
    pub known: Known,
    /// By image: its conditions (several, where it has several captions), as numbers.
    pub of: Vec<Vec<Vec<i64>>>,
}

impl Conditioned {
    /// For training samples from number `first` on, which show the images `items`: a condition of each, as networks take
    /// them. Of several captions a random one.
    pub fn draw(&self, seed: u64, first: u64, items: &[usize]) -> Tensor {
        self.known.tensor(&self.chosen(seed, first, items))
    }

    /// Likewise, but of other images, so that each says something else than is true (Reed et al. 2016,
    /// <https://arxiv.org/abs/1605.05396>). Of some random ones that which is the fewest words away from the truth, as a
    /// caption that is wrong in everything can be told by its plainest word alone (hard negatives, Faghri et al. 2018,
    /// <https://arxiv.org/abs/1707.05612>). One class is as far as another. Where nearly all images share their captions
    /// the true one may be drawn.
    pub fn draw_mismatched(&self, seed: u64, first: u64, items: &[usize]) -> Tensor {
        let mismatched = |((sample, item), right): ((u64, &usize), Vec<i64>)| {
            let mut rng = stream(seed, Purpose::Mismatch, sample);
            let mut draw = || {
                let other = &self.of[uniform_below(&mut rng, self.of.len() as u64) as usize];
                other[uniform_below(&mut rng, other.len() as u64) as usize].clone()
            };
            let first = draw();
            let all = iter::once(first.clone()).chain((1..TRIES).map(|_| draw()));
            let mut wrong = all.filter(|condition| !self.of[*item].contains(condition));
            let found = match self.known {
                Known::Classes(_) => wrong.next(),
                // Of equals the first.
                Known::Words(_) => {
                    wrong.take(NEAR).min_by_key(|wrong| strsim::generic_levenshtein(wrong, &right))
                }
            };
            found.unwrap_or(first)
        };
        let drawn = (first..).zip(items).zip(self.chosen(seed, first, items)).map(mismatched);
        self.known.tensor(&drawn.collect::<Vec<_>>())
    }

    /// Changes when an image's conditions do: over all of their numbers.
    pub fn fingerprint(&self) -> String {
        let conditions =
            self.of.iter().enumerate().flat_map(|(image, all)| all.iter().map(move |of| (image, of)));
        fingerprint(conditions.flat_map(|(image, numbers)| {
            let head = [image as u64, numbers.len() as u64];
            head.into_iter().chain(numbers.iter().map(|number| *number as u64))
        }))
    }

    fn chosen(&self, seed: u64, first: u64, items: &[usize]) -> Vec<Vec<i64>> {
        let choose = |(sample, item): (u64, &usize)| {
            let all = &self.of[*item];
            let mut rng = stream(seed, Purpose::Caption, sample);
            all[uniform_below(&mut rng, all.len() as u64) as usize].clone()
        };
        (first..).zip(items).map(choose).collect()
    }

    /// Conditions to watch a run by, one a row of its sample grids and each once: up to 16 classes spread over all, or up
    /// to `count` captions spread over the different ones, of an image with several its first.
    pub fn fixed(&self, count: usize) -> Vec<Vec<i64>> {
        match &self.known {
            Known::Classes(names) => spread(names.len(), CLASSES).map(|label| vec![label as i64]).collect(),
            Known::Words(_) => {
                let captions: IndexSet<&Vec<i64>> = self.of.iter().map(|all| &all[0]).collect();
                spread(captions.len(), count).map(|i| captions[i].clone()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::folder_of;
    use super::*;

    fn classes(of: &[i64]) -> Conditioned {
        let known = Known::Classes(vec!["a".into(), "b".into(), "c".into()]);
        Conditioned { known, of: of.iter().map(|label| vec![vec![*label]]).collect() }
    }

    fn numbers(tensor: &Tensor) -> Vec<i64> {
        tensor.flatten(0, -1).try_into().unwrap()
    }

    #[test]
    fn a_sample_gets_its_images_condition_and_a_mismatched_one_never_does() {
        let of = [0, 0, 1, 2, 0, 0];
        let side = classes(&of);
        let items: Vec<usize> = (0..600).map(|i| i % 6).collect();
        let right = numbers(&side.draw(3, 10, &items));
        assert!(items.iter().zip(&right).all(|(item, label)| of[*item] == *label));
        let wrong = numbers(&side.draw_mismatched(3, 10, &items));
        assert!(right.iter().zip(&wrong).all(|(right, wrong)| right != wrong));
        // Of class 1 both other classes come, as often as they are there: four times as many 0 as 2.
        let of_b: Vec<i64> = (0..600).filter(|i| i % 6 == 2).map(|i| wrong[i]).collect();
        let zeros = of_b.iter().filter(|label| **label == 0).count();
        assert!((65..95).contains(&zeros), "{zeros} of {}", of_b.len());
        // Samples are counted over the whole training, so that a batch may begin anywhere.
        assert_eq!(numbers(&side.draw_mismatched(3, 12, &items[2..])), wrong[2..]);
        assert_eq!(side.fixed(1), [[0], [1], [2]]);
    }

    #[test]
    fn every_caption_of_an_image_is_shown() {
        let vocabulary = Vocabulary::new(["red car", "blue car", "old car"].into_iter());
        let captions = |texts: &[&str]| texts.iter().map(|text| vocabulary.tokens(text)).collect::<Vec<_>>();
        let of = vec![captions(&["red car", "old car"]), captions(&["blue car"])];
        let side = Conditioned { known: Known::Words(vocabulary.clone()), of };
        let drawn = side.draw(0, 0, &[0; 40]);
        assert_eq!(drawn.size(), [40, 2]);
        let drawn = numbers(&drawn);
        let count = |text: &str| drawn.chunks(2).filter(|row| *row == vocabulary.tokens(text)).count();
        assert!(count("red car") + count("old car") == 40 && (8..33).contains(&count("red car")));
        let wrong = numbers(&side.draw_mismatched(0, 0, &[0; 40]));
        assert!(wrong.chunks(2).all(|row| row == vocabulary.tokens("blue car")));
        assert_eq!(side.fixed(2), [vocabulary.tokens("red car"), vocabulary.tokens("blue car")]);
    }

    #[test]
    fn many_classes_are_watched_from_the_first_to_the_last() {
        let names: Vec<String> = (1..=20).map(|i| format!("k{i:02}")).collect();
        let side = Conditioned { known: Known::Classes(names), of: Vec::new() };
        let watched: Vec<String> = side.fixed(3).iter().map(|row| side.known.in_words(row)).collect();
        assert_eq!(watched.len(), 16);
        assert!(watched.windows(2).all(|pair| pair[0] < pair[1]), "{watched:?}");
        let between = watched.iter().filter(|name| ("k06".."k16").contains(&name.as_str())).count();
        assert!(watched[0] == "k01" && watched[15].as_str() >= "k19" && between == 8, "{watched:?}");
    }

    #[test]
    fn a_caption_of_many_images_is_watched_once() {
        let texts = ["red car", "Red car!", "old red car", "blue car", "red car", "old blue car", "old car"];
        let vocabulary = Vocabulary::new(texts.into_iter());
        let of = texts.iter().map(|text| vec![vocabulary.tokens(text)]).collect();
        let side = Conditioned { known: Known::Words(vocabulary), of };
        let watched =
            |count| side.fixed(count).iter().map(|row| side.known.in_words(row)).collect::<Vec<_>>();
        assert_eq!(watched(8), ["red car", "old red car", "blue car", "old blue car", "old car"]);
        assert_eq!(watched(2), ["red car", "blue car"]);
    }

    #[test]
    fn captions_that_all_say_the_same_are_refused() {
        let condition = Condition::Text {
            encoder: serde_json::from_value(serde_json::json!({ "kind": "gru" })).unwrap(),
            matching_aware: true,
        };
        let read = |texts: [&str; 2]| {
            let [a, b] = texts.map(str::as_bytes);
            let (_dir, mut folder) = folder_of(&[("a.png", b""), ("b.png", b""), ("a.txt", a), ("b.txt", b)]);
            let read = Reading::new(&condition, &mut folder, &mut Vec::new());
            read.map_err(|error| error.to_string().replace(&folder.root.display().to_string(), "X"))
        };
        let refused = read(["A red car!", "a red car\na  red car"]).unwrap_err();
        assert!(refused.starts_with("all captions in folder `X` say the same, `A red car!`: "), "{refused}");
        assert!(read(["a red car", "red a car"]).is_ok());
        assert!(read(["a red car\na car", "a red car"]).is_ok());
    }

    #[test]
    fn a_wrong_caption_is_often_nearly_right() {
        let colors = ["red", "blue", "green", "gray", "pink"];
        let pairs: Vec<_> = colors.iter().flat_map(|eyes| colors.map(|hair| (*eyes, hair))).collect();
        let texts: Vec<String> =
            pairs.iter().map(|(eyes, hair)| format!("{eyes} eyes {hair} hair")).collect();
        let vocabulary = Vocabulary::new(texts.iter().map(String::as_str));
        let of = texts.iter().map(|text| vec![vocabulary.tokens(text)]).collect();
        let side = Conditioned { known: Known::Words(vocabulary.clone()), of };
        let wrong = numbers(&side.draw_mismatched(1, 0, &[7; 400]));
        let right = vocabulary.tokens(&texts[7]);
        let shared = [0, 2].map(|place| wrong.chunks(4).filter(|row| row[place] == right[place]).count());
        // Four of the 24 others differ in the hair's colour alone, four in the eyes' alone, and (2/3)^6 of the samples
        // are drawn none of them: 182 of each are expected, with a deviation of 10.
        assert!(shared.iter().all(|count| (150..215).contains(count)), "{shared:?}");
        assert!(wrong.chunks(4).all(|row| row != right));
    }
}
