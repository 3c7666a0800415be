//! The replay pool (Shrivastava et al. 2017): discriminators also see fakes of earlier steps, which damps oscillation.

use tch::{Device, Kind, Tensor};

use crate::random::{Purpose, coin, stream, uniform_below};
use crate::recipe::Space;
use crate::torch::upload;

/// What happens to one fake at a full pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Return the stored image of `slot` and put the fake in its place; otherwise return the fake, unstored.
    pub swap: bool,
    /// An index into the pool.
    pub slot: usize,
}

impl Choice {
    /// The choice for fake number `image` (counted over the whole training) of `space`; swaps half of the time.
    pub fn draw(seed: u64, space: Space, image: u64, capacity: usize) -> Self {
        let mut rng = stream(seed, Purpose::Pool, image * 2 + space.side() as u64);
        let swap = coin(&mut rng);
        Self { swap, slot: uniform_below(&mut rng, capacity.max(1) as u64) as usize }
    }
}

/// Where what is shown comes from, and where fakes go. One number a fake each, whatever the choices: the work on the device is
/// the same at every step.
#[derive(Debug)]
pub struct Route {
    /// `[4, fakes]`, whole numbers: 1 where a stored image is shown, 0 where a fake of this batch is; the slot to read; the
    /// fake to show; the slot to write.
    pub numbers: Tensor,
    /// Stored images after it.
    filled: usize,
}

impl Route {
    /// The same in a tensor of its own.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self { numbers: self.numbers.copy(), filled: self.filled }
    }
}

/// A pool of up to `capacity` fakes of one space. Until it is full, every fake is stored and returned.
#[derive(Debug)]
pub struct Pool {
    capacity: usize,
    filled: usize,
    /// `[capacity + 1, channels, height, width]`, made when the first fake shows its size. The last place takes what is not
    /// stored.
    images: Option<Tensor>,
}

impl Pool {
    /// An empty pool.
    pub const fn new(capacity: usize) -> Self {
        Self { capacity, filled: 0, images: None }
    }

    /// Whether nothing is ever stored, so that the current fakes are shown.
    pub const fn is_idle(&self) -> bool {
        self.capacity == 0
    }

    /// The choices, one a fake, taken one after another; none where nothing is ever stored.
    pub fn route(&self, choices: &[Choice], device: Device) -> Option<Route> {
        if self.is_idle() {
            return None;
        }
        let (nowhere, count) = (self.capacity as i64, choices.len());
        let (mut stored, mut read, mut write) = (vec![0; count], vec![nowhere; count], vec![nowhere; count]);
        let mut fake: Vec<i64> = (0..count as i64).collect();
        let mut filled = self.filled;
        for (i, choice) in choices.iter().enumerate() {
            if filled < self.capacity {
                write[i] = filled as i64;
                filled += 1;
            } else if choice.swap {
                let slot = choice.slot as i64;
                // An earlier one of this batch may lie there, which then is shown and not stored.
                if let Some(earlier) = write[..i].iter().position(|other| *other == slot) {
                    fake[i] = earlier as i64;
                    write[earlier] = nowhere;
                } else {
                    (stored[i], read[i]) = (1, slot);
                }
                write[i] = slot;
            }
        }
        let numbers = Tensor::from_slice(&[stored, read, fake, write].concat()).reshape([4, count as i64]);
        Some(Route { numbers: upload(numbers, device), filled })
    }

    /// What the discriminator shall see for `fakes` `[batch, channels, height, width]`, detached, in their shape. The pool stays
    /// as it is until it is told to [keep](Self::keep) them.
    pub fn exchange(&mut self, fakes: &Tensor, route: &Route) -> Tensor {
        let shape = [&[self.capacity as i64 + 1], &fakes.size()[1..]].concat();
        let images = self.images.get_or_insert_with(|| Tensor::zeros(shape, (fakes.kind(), fakes.device())));
        let is_stored = route.numbers.get(0).gt(0).reshape([-1, 1, 1, 1]);
        let read = images.index_select(0, &route.numbers.get(1));
        read.where_self(&is_stored, &fakes.index_select(0, &route.numbers.get(2)))
    }

    /// Stores the fakes of an exchange; that they are there is to be [noted](Self::note).
    pub fn keep(&mut self, fakes: &Tensor, route: &Route) {
        if let Some(images) = &mut self.images {
            let _ = images.index_copy_(0, &route.numbers.get(3), fakes);
        }
    }

    /// Counts what an exchange stored.
    pub const fn note(&mut self, route: &Route) {
        self.filled = route.filled;
    }

    /// The stored images `[filled, channels, height, width]`, if any.
    pub fn contents(&self) -> Option<Tensor> {
        let images = self.images.as_ref()?;
        (self.filled > 0).then(|| images.narrow(0, 0, self.filled as i64))
    }

    /// Puts `contents` of a pool of the same capacity back.
    pub fn restore(&mut self, contents: &Tensor, device: Device) {
        let (filled, channels, height, width) = contents.size4().unwrap_or_default();
        let images =
            Tensor::zeros([self.capacity as i64 + 1, channels, height, width], (Kind::Float, device));
        images.narrow(0, 0, filled).copy_(contents);
        self.filled = filled as usize;
        self.images = Some(images);
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values are passed on, never computed with")]
mod tests {
    use super::*;

    fn fake(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).reshape([-1, 1, 1, 1]).repeat([1, 3, 1, 1])
    }

    fn exchanged(pool: &mut Pool, values: &[f32], choices: &[Choice]) -> Tensor {
        let (fakes, route) = (fake(values), pool.route(choices, Device::Cpu).unwrap());
        let shown = pool.exchange(&fakes, &route);
        pool.keep(&fakes, &route);
        pool.note(&route);
        shown
    }

    fn shown(pool: &mut Pool, value: f32, swap: bool, slot: usize) -> f64 {
        exchanged(pool, &[value], &[Choice { swap, slot }]).double_value(&[0, 0, 0, 0])
    }

    #[test]
    fn fills_then_swaps_or_passes() {
        let mut pool = Pool::new(2);
        // Until full the choice does not matter.
        assert_eq!(shown(&mut pool, 1.0, true, 0), 1.0);
        assert_eq!(shown(&mut pool, 2.0, true, 0), 2.0);
        assert_eq!(shown(&mut pool, 3.0, false, 0), 3.0);
        assert_eq!(shown(&mut pool, 4.0, true, 0), 1.0);
        assert_eq!(shown(&mut pool, 5.0, true, 0), 4.0);
        assert_eq!(shown(&mut pool, 6.0, true, 1), 2.0);
        let contents: Vec<f32> = pool.contents().unwrap().select(1, 0).flatten(0, -1).try_into().unwrap();
        assert_eq!(contents, [5.0, 6.0]);
    }

    #[test]
    fn what_was_returned_does_not_change_when_its_slot_does() {
        let mut pool = Pool::new(1);
        let first = exchanged(&mut pool, &[1.0], &[Choice { swap: false, slot: 0 }]);
        let swapped = exchanged(&mut pool, &[2.0], &[Choice { swap: true, slot: 0 }]);
        let _ = exchanged(&mut pool, &[3.0], &[Choice { swap: true, slot: 0 }]);
        assert_eq!((first.double_value(&[0, 0, 0, 0]), swapped.double_value(&[0, 0, 0, 0])), (1.0, 1.0));
    }

    #[test]
    fn a_batch_is_exchanged_image_by_image() {
        let mut pool = Pool::new(3);
        let choices = [Choice { swap: true, slot: 0 }; 4];
        let mut out = |values: &[f32]| -> Vec<f32> {
            exchanged(&mut pool, values, &choices).select(1, 0).flatten(0, -1).try_into().unwrap()
        };
        assert_eq!(out(&[1.0, 2.0, 3.0, 4.0]), [1.0, 2.0, 3.0, 1.0]);
        // Each finds the one before it in its slot.
        assert_eq!(out(&[5.0, 6.0, 7.0, 8.0]), [4.0, 5.0, 6.0, 7.0]);
    }

    /// One image after another, in plain words.
    fn one_by_one(pool: &mut Vec<f32>, capacity: usize, fakes: &[f32], choices: &[Choice]) -> Vec<f32> {
        let mut shown = Vec::new();
        for (&fake, choice) in fakes.iter().zip(choices) {
            if pool.len() < capacity {
                pool.push(fake);
                shown.push(fake);
            } else if choice.swap {
                shown.push(std::mem::replace(&mut pool[choice.slot], fake));
            } else {
                shown.push(fake);
            }
        }
        shown
    }

    #[test]
    fn batches_of_any_size_do_what_one_image_after_another_does() {
        for capacity in [1, 3, 7] {
            let (mut pool, mut plain, mut next) = (Pool::new(capacity), Vec::new(), 0u64);
            for size in [1, 2, 5, 8, 3, 8, 1, 8] {
                let fakes: Vec<f32> = (next..next + size).map(|i| i as f32 + 1.0).collect();
                let choices: Vec<Choice> =
                    (next..next + size).map(|i| Choice::draw(3, Space::X, i, capacity)).collect();
                next += size;
                let expected = one_by_one(&mut plain, capacity, &fakes, &choices);
                let shown = exchanged(&mut pool, &fakes, &choices);
                assert_eq!(Vec::<f32>::try_from(shown.select(1, 0).flatten(0, -1)).unwrap(), expected);
                let stored = pool.contents().unwrap().select(1, 0).flatten(0, -1);
                assert_eq!(Vec::<f32>::try_from(stored).unwrap(), plain);
            }
        }
    }

    #[test]
    fn an_exchange_that_is_not_kept_changes_nothing() {
        let mut pool = Pool::new(2);
        let _ = exchanged(&mut pool, &[1.0], &[Choice { swap: false, slot: 0 }]);
        let before = pool.contents().unwrap().copy();
        let route = pool.route(&[Choice { swap: true, slot: 0 }; 2], Device::Cpu).unwrap();
        let _ = pool.exchange(&fake(&[2.0, 3.0]), &route);
        assert_eq!(pool.contents().unwrap(), before);
    }

    #[test]
    fn restored_contents_go_on_as_before() {
        let mut pool = Pool::new(3);
        let _ = exchanged(&mut pool, &[1.0, 2.0], &[Choice { swap: false, slot: 0 }; 2]);
        let mut copy = Pool::new(3);
        copy.restore(&pool.contents().unwrap(), Device::Cpu);
        for p in [&mut pool, &mut copy] {
            assert_eq!(shown(p, 3.0, true, 0), 3.0);
            assert_eq!(shown(p, 4.0, true, 1), 2.0);
        }
    }

    #[test]
    fn choices_swap_half_of_the_time_and_use_every_slot() {
        let choices: Vec<Choice> = (0..4000).map(|i| Choice::draw(7, Space::X, i, 50)).collect();
        let swaps = choices.iter().filter(|choice| choice.swap).count();
        // Five standard deviations of a fair coin.
        assert!((1842..=2158).contains(&swaps), "{swaps}");
        let slots: std::collections::HashSet<_> = choices.iter().map(|choice| choice.slot).collect();
        assert_eq!((slots.len(), slots.iter().max()), (50, Some(&49)));
        assert_ne!(choices[..50], (0..50).map(|i| Choice::draw(7, Space::Y, i, 50)).collect::<Vec<_>>()[..]);
    }

    #[test]
    fn without_a_pool_nothing_is_exchanged() {
        assert!(Pool::new(0).route(&[Choice { swap: true, slot: 0 }], Device::Cpu).is_none());
    }
}
