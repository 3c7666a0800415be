//! The replay pool (Shrivastava et al. 2017): discriminators also see fakes of earlier steps, which damps oscillation.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use crate::random::{Purpose, coin, stream, uniform_below};
use crate::recipe::Space;

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

/// What a pool gives for fakes.
#[derive(Debug)]
pub struct Exchange {
    /// For the discriminator, in the shape of the fakes.
    pub shown: Tensor,
    /// By slot, what the pool shall hold from now on.
    stored: BTreeMap<usize, Tensor>,
}

/// A pool of up to `capacity` fakes of one space. Until it is full, every fake is stored and returned.
#[derive(Debug)]
pub struct Pool {
    capacity: usize,
    filled: usize,
    /// `[capacity, channels, height, width]`, made when the first fake shows its size.
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

    /// Exchanges `fakes` `[batch, channels, height, width]`, detached, for what the discriminator shall see. One choice an
    /// image. The pool stays as it is until it is told to [keep](Self::keep) the exchange.
    pub fn exchange(&self, fakes: &Tensor, choices: &[Choice]) -> Exchange {
        if self.is_idle() {
            return Exchange { shown: fakes.shallow_clone(), stored: BTreeMap::new() };
        }
        let mut stored = BTreeMap::new();
        let mut shown = Vec::with_capacity(choices.len());
        let mut filled = self.filled;
        for (fake, choice) in fakes.unbind(0).into_iter().zip(choices) {
            if filled < self.capacity {
                shown.push(fake.shallow_clone());
                stored.insert(filled, fake);
                filled += 1;
            } else if choice.swap {
                let newer = stored.insert(choice.slot, fake);
                let older = || self.images.as_ref().map(|images| images.get(choice.slot as i64));
                shown.extend(newer.or_else(older));
            } else {
                shown.push(fake);
            }
        }
        Exchange { shown: Tensor::stack(&shown, 0), stored }
    }

    /// Stores what the exchange put in.
    pub fn keep(&mut self, exchange: Exchange) {
        for (slot, fake) in exchange.stored {
            let shape = [&[self.capacity as i64], &fake.size()[..]].concat();
            let new = || Tensor::zeros(&shape, (fake.kind(), fake.device()));
            self.images.get_or_insert_with(new).get(slot as i64).copy_(&fake);
            self.filled = self.filled.max(slot + 1);
        }
    }

    /// The stored images `[filled, channels, height, width]`, if any.
    pub fn contents(&self) -> Option<Tensor> {
        let images = self.images.as_ref()?;
        (self.filled > 0).then(|| images.narrow(0, 0, self.filled as i64))
    }

    /// Puts `contents` of a pool of the same capacity back.
    pub fn restore(&mut self, contents: &Tensor, device: Device) {
        let (filled, channels, height, width) = contents.size4().unwrap_or_default();
        let images = Tensor::zeros([self.capacity as i64, channels, height, width], (Kind::Float, device));
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
        let exchange = pool.exchange(&fake(values), choices);
        let shown = exchange.shown.shallow_clone();
        pool.keep(exchange);
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

    #[test]
    fn an_exchange_that_is_not_kept_changes_nothing() {
        let mut pool = Pool::new(2);
        let _ = exchanged(&mut pool, &[1.0], &[Choice { swap: false, slot: 0 }]);
        let before = pool.contents().unwrap().copy();
        drop(pool.exchange(&fake(&[2.0, 3.0]), &[Choice { swap: true, slot: 0 }; 2]));
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
    fn without_a_pool_the_current_fakes_are_shown() {
        assert_eq!(shown(&mut Pool::new(0), 4.0, true, 0), 4.0);
    }
}
