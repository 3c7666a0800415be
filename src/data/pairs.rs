//! Which images of two datasets belong together: those of one stem, `photos/a/1.jpg` and `drawings/a/1.png`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;

use super::dataset::{Dataset, DatasetError};
use super::left_out::LeftOut;

/// The pairs of two datasets, in the order of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairs {
    of: Vec<[usize; 2]>,
}

/// An image and its number in its dataset.
type Numbered = (usize, Arc<RgbImage>);

/// The first file of each stem, by its number.
type Stems = HashMap<PathBuf, usize>;

fn first_of_each_stem(side: &Dataset) -> Stems {
    let mut stems = Stems::new();
    for (i, file) in side.files().enumerate() {
        stems.entry(file.with_extension("")).or_insert(i);
    }
    stems
}

/// The files of `side`, whose stems are `own`, that no file of the `other` side belongs to.
fn without_partner(side: &Dataset, own: &Stems, other: &Stems) -> Vec<LeftOut> {
    let files: Vec<&Path> = side.files().collect();
    let alone = |(i, file): (usize, &&Path)| {
        let path = side.path(i);
        let stem = file.with_extension("");
        let first = *own.get(&stem)?;
        if !other.contains_key(&stem) {
            let reason = "no image of the same stem on the other side to pair it with, expected names as in \
                          `photos/1.jpg` and `drawings/1.png`";
            return Some(LeftOut { what: format!("`{}`", path.display()), reason: reason.into() });
        }
        let what = format!("`{}` (its partner is taken by `{}`)", path.display(), files[first].display());
        let reason = "a second image of one stem, expected one: rename it and give it a partner of its own";
        (first != i).then(|| LeftOut { what, reason: reason.into() })
    };
    files.iter().enumerate().filter_map(alone).collect()
}

impl Pairs {
    /// Finds the pairs, and the files that have no partner. Where several files of a folder share a stem, the first of
    /// them has the partner.
    pub fn find(x: &Dataset, y: &Dataset) -> (Self, Vec<LeftOut>) {
        let (of_x, of_y) = (first_of_each_stem(x), first_of_each_stem(y));
        let pair = |(i, file): (usize, &Path)| {
            let stem = file.with_extension("");
            let partner = of_y.get(&stem).filter(|_| of_x.get(&stem) == Some(&i))?;
            Some([i, *partner])
        };
        let of = x.files().enumerate().filter_map(pair).collect();
        let mut alone = without_partner(x, &of_x, &of_y);
        alone.extend(without_partner(y, &of_y, &of_x));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::dataset::{CacheBudget, LoadOptions};
    use crate::data::resize::Resize;
    use crate::data::scan::scan;

    fn dataset(root: &Path, files: &[&str]) -> Dataset {
        std::fs::create_dir(root).unwrap();
        for file in files {
            RgbImage::new(8, 8).save(root.join(file)).unwrap();
        }
        let options = LoadOptions { load_size: 8, resize: Resize::Cover, half: None };
        Dataset::open(scan(root).unwrap(), options, &CacheBudget::new(1 << 20), &|| ()).unwrap()
    }

    #[test]
    fn files_without_a_partner_are_told_why() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let x = dataset(&root.join("x"), &["1.bmp", "1.png", "2.png", "4.png"]);
        let y = dataset(&root.join("y"), &["1.png", "3.png", "4.bmp", "4.png"]);
        let (pairs, alone) = Pairs::find(&x, &y);
        assert_eq!(pairs.of, [[0, 0], [3, 2]]);
        let told: Vec<String> =
            alone.iter().map(|left| left.what.replace(&root.display().to_string(), "")).collect();
        let expected = [
            "`/x/1.png` (its partner is taken by `1.bmp`)",
            "`/x/2.png`",
            "`/y/3.png`",
            "`/y/4.png` (its partner is taken by `4.bmp`)",
        ];
        assert_eq!(told, expected);
        let reason = |i: usize| alone[i].reason.as_str();
        assert!(reason(0) == reason(3) && reason(1) == reason(2) && reason(0) != reason(1));
    }
}
