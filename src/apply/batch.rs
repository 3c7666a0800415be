//! Grouping images of equal padded size into batches, with a bound on how many pixels wait.

use super::pad::Padded;
use super::plan::Item;

/// Images of one size: what the network is given, and what it gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Number of images, at least 1.
    pub count: usize,
    /// Height of each in pixels.
    pub height: u32,
    /// Width of each in pixels.
    pub width: u32,
    /// sRGB bytes, `[count, height, width, 3]`.
    pub pixels: Vec<u8>,
}

impl Batch {
    /// The shape that `pixels` is said to have.
    pub fn shape(&self) -> [usize; 4] {
        [self.count, self.height as usize, self.width as usize, 3]
    }

    /// Its images as batches of one, in order.
    pub(super) fn one_by_one(&self) -> impl Iterator<Item = Self> {
        let one = |pixels: &[u8]| Self { count: 1, pixels: pixels.to_vec(), ..*self };
        self.pixels.chunks_exact(self.pixels.len() / self.count.max(1)).map(one)
    }

    /// Whether `pixels` has as many bytes as the shape says.
    pub(super) fn is_whole(&self) -> bool {
        self.pixels.len() == self.shape().iter().product::<usize>()
    }
}

/// What has to be known of an image after its pixels went into a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'p> {
    pub item: &'p Item,
    /// Pixels counted against the memory bound from decoding to writing.
    pub cost: u64,
}

/// A decoded and padded image.
#[derive(Debug)]
pub(super) struct Decoded {
    /// Before padding, pixels.
    pub width: u32,
    /// Before padding, pixels.
    pub height: u32,
    pub size: Padded,
    /// `[size.height, size.width, 3]`
    pub pixels: Vec<u8>,
}

/// Images of one padded size, in the plan's order.
#[derive(Debug)]
pub(super) struct Group<'p> {
    pub size: Padded,
    pub images: Vec<(Source<'p>, Decoded)>,
}

impl Group<'_> {
    /// The bytes of all images in one batch; those of a single image are moved, since it may be a huge one.
    pub fn take_batch(&mut self) -> Batch {
        let mut images = self.images.iter_mut().map(|(_, image)| std::mem::take(&mut image.pixels));
        let mut pixels = images.next().unwrap_or_default();
        images.for_each(|more| pixels.extend_from_slice(&more));
        Batch { count: self.images.len(), height: self.size.height, width: self.size.width, pixels }
    }
}

/// Bounds of the grouping.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupLimits {
    /// Images in a batch.
    pub batch: usize,
    /// Pixels in a batch; a larger image goes alone.
    pub batch_pixels: u64,
    /// Pixels in all open groups.
    pub waiting_pixels: u64,
    /// Open groups.
    pub open: usize,
}

/// The groups that still wait for images of their size, the oldest first.
///
/// Which images share a batch follows from the order in which they are pushed and from nothing else.
#[derive(Debug)]
pub(super) struct Groups<'p> {
    limits: GroupLimits,
    open: Vec<Group<'p>>,
}

impl<'p> Groups<'p> {
    pub fn new(limits: GroupLimits) -> Self {
        Self { limits, open: Vec::new() }
    }

    pub fn push(&mut self, source: Source<'p>, image: Decoded) {
        match self.open.iter_mut().find(|group| group.size == image.size) {
            Some(group) => group.images.push((source, image)),
            None => self.open.push(Group { size: image.size, images: vec![(source, image)] }),
        }
    }

    /// The next group to translate: a full one, or the oldest where too much waits or nothing more will come
    /// (`last`).
    pub fn ready(&mut self, last: bool) -> Option<Group<'p>> {
        let full = self.open.iter().position(|group| group.images.len() >= self.capacity(group.size));
        let waiting: u64 =
            self.open.iter().map(|group| group.images.len() as u64 * group.size.pixels()).sum();
        let crowded = waiting > self.limits.waiting_pixels || self.open.len() > self.limits.open;
        let oldest = (!self.open.is_empty() && (crowded || last)).then_some(0);
        full.or(oldest).map(|index| self.open.remove(index))
    }

    /// Images of `size` in a batch.
    fn capacity(&self, size: Padded) -> usize {
        let by_pixels = self.limits.batch_pixels / size.pixels().max(1);
        self.limits.batch.min(by_pixels as usize).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::encode::Format;

    const LIMITS: GroupLimits = GroupLimits { batch: 3, batch_pixels: 200, waiting_pixels: 400, open: 2 };

    fn item() -> Item {
        Item { input: "a.png".into(), output: "out/a.png".into(), format: Format::Png }
    }

    fn square(side: u32, value: u8) -> Decoded {
        let size = Padded { width: side, height: side };
        Decoded { width: side, height: side, size, pixels: vec![value; size.bytes()] }
    }

    /// The values of the images in each group, in the order in which groups come out.
    fn grouped(limits: GroupLimits, images: &[(u32, u8)]) -> Vec<Vec<u8>> {
        let item = item();
        let mut groups = Groups::new(limits);
        let mut out = Vec::new();
        let mut record =
            |group: Group| out.push(group.images.iter().map(|(_, image)| image.pixels[0]).collect());
        for &(side, value) in images {
            groups.push(Source { item: &item, cost: 0 }, square(side, value));
            while let Some(group) = groups.ready(false) {
                record(group);
            }
        }
        while let Some(group) = groups.ready(true) {
            record(group);
        }
        out
    }

    #[test]
    fn a_group_goes_when_full_and_the_rest_go_at_the_end() {
        let images = [(4, 1), (5, 2), (4, 3), (4, 4), (4, 5), (5, 6)];
        assert_eq!(grouped(LIMITS, &images), [vec![1, 3, 4], vec![2, 6], vec![5]]);
    }

    #[test]
    fn the_oldest_group_goes_when_too_many_are_open() {
        // The third size sends the first away, so that 5 finds none of its own size left.
        let images = [(4, 1), (5, 2), (4, 3), (6, 4), (4, 5)];
        assert_eq!(grouped(LIMITS, &images), [vec![1, 3], vec![2], vec![4], vec![5]]);
    }

    #[test]
    fn the_oldest_group_goes_when_too_many_pixels_wait() {
        let limits = GroupLimits { waiting_pixels: 50, ..LIMITS };
        // 16 + 25 pixels wait, and 16 more pass the bound.
        assert_eq!(grouped(limits, &[(4, 1), (5, 2), (4, 3), (4, 4)]), [vec![1, 3], vec![2], vec![4]]);
    }

    #[test]
    fn a_batch_holds_no_more_pixels_than_its_bound() {
        // Two images of 100 pixels fit into 200, one of 225 goes alone.
        let images = [(10, 1), (10, 2), (10, 3), (15, 4)];
        assert_eq!(grouped(LIMITS, &images), [vec![1, 2], vec![4], vec![3]]);
    }

    #[test]
    fn a_batch_is_its_images_one_after_another() {
        let item = item();
        let source = Source { item: &item, cost: 0 };
        let size = Padded { width: 2, height: 2 };
        let mut group = Group { size, images: vec![(source, square(2, 7)), (source, square(2, 9))] };
        let batch = group.take_batch();
        assert_eq!(batch.shape(), [2, 2, 2, 3]);
        assert_eq!(batch.pixels, [[7; 12], [9; 12]].concat());
        assert!(batch.is_whole());
    }
}
