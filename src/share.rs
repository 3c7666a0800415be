//! Which part of a piece of work is this process's, where several share it.

use std::ops::Range;

/// One of equal parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// This process among those that share the work, from 0.
    pub rank: u32,
    /// Processes that share it.
    pub ranks: u32,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { rank: 0, ranks: 1 };

    /// One of `parts` equal parts of this one.
    #[must_use]
    pub const fn part(self, part: usize, parts: usize) -> Self {
        let (part, parts) = (part as u32, parts as u32);
        Self { rank: self.rank * parts + part, ranks: self.ranks * parts }
    }

    /// How many of `batch` samples, which the ranks divide.
    pub const fn of(self, batch: usize) -> usize {
        batch / self.ranks as usize
    }

    /// The numbers of the samples, of a batch that begins with number `first`: the ranks take theirs in their order.
    pub const fn range(self, first: u64, batch: usize) -> Range<u64> {
        let count = self.of(batch) as u64;
        let begin = first + self.rank as u64 * count;
        begin..begin + count
    }

    /// Whether the item of this number is this process's. Items are dealt in turn, so that every length of a list is divided
    /// equally up to one, and what lies beside each other in it, and may take as long, is not all one process's.
    pub const fn takes(self, index: usize) -> bool {
        index % self.ranks as usize == self.rank as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_the_batch_in_order() {
        let ranges: Vec<_> = (0..3).map(|rank| Share { rank, ranks: 3 }.range(20, 6)).collect();
        assert_eq!(ranges, [20..22, 22..24, 24..26]);
        assert_eq!(Share::WHOLE.range(20, 6), 20..26);
        let second = Share { rank: 1, ranks: 2 };
        assert_eq!([0, 1].map(|part| second.part(part, 2).range(20, 8)), [24..26, 26..28]);
    }

    #[test]
    fn items_are_dealt_in_turn() {
        let dealt = |rank| (0..7).filter(|i| Share { rank, ranks: 3 }.takes(*i)).collect::<Vec<_>>();
        assert_eq!([dealt(0), dealt(1), dealt(2)], [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
        assert!((0..7).all(|i| Share::WHOLE.takes(i)));
    }
}
