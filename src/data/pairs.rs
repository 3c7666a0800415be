//! Which images of two datasets belong together: those of one stem, `photos/a/1.jpg` and `drawings/a/1.png`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;

use super::dataset::{Dataset, DatasetError};

/// The pairs of two datasets, in the order of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairs {
    of: Vec<[usize; 2]>,
}

/// An image and its number in its dataset.
type Numbered = (usize, Arc<RgbImage>);

impl Pairs {
    /// Finds the pairs, and the files, with their paths, that have no partner. Where several files of a folder share a
    /// stem, the first of them has the partner.
    pub fn find(x: &Dataset, y: &Dataset) -> (Self, Vec<PathBuf>) {
        let stem = |file: &Path| file.with_extension("");
        let mut partners: HashMap<PathBuf, usize> = HashMap::new();
        for (i, file) in y.files().enumerate() {
            partners.entry(stem(file)).or_insert(i);
        }
        let mut alone = Vec::new();
        let mut of = Vec::new();
        let mut taken = vec![false; y.len()];
        for (i, file) in x.files().enumerate() {
            match partners.remove(&stem(file)) {
                Some(partner) => {
                    taken[partner] = true;
                    of.push([i, partner]);
                }
                None => alone.push(x.path(i)),
            }
        }
        let left = taken.iter().enumerate().filter(|(_, taken)| !**taken);
        alone.extend(left.map(|(i, _)| y.path(i)));
        (Self { of }, alone)
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Both images of pair `i`, counted round the end. Where one has become unreadable, the next whole pair takes its
    /// place.
    ///
    /// # Errors
    /// Where no pair is whole any more.
    pub fn fetch(&self, i: usize, [x, y]: [&Dataset; 2]) -> Result<[Numbered; 2], DatasetError> {
        let candidates = (i..i + self.len()).map(|i| self.of[i % self.len()]);
        let mut whole = candidates.filter_map(|[i, j]| Some([(i, x.try_fetch(i)?), (j, y.try_fetch(j)?)]));
        whole.next().ok_or_else(|| x.all_failed())
    }
}
