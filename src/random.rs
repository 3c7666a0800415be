//! Randomness without state: every random choice is a function of (seed, purpose, counter).
//!
//! Nothing is drawn from a generator that lives on between choices. So a result does not depend on which
//! thread made a choice, nor on the order in which choices were made, and a resumed run draws what the
//! uninterrupted one would have.
//!
//! The numbers are part of what a run means, so they must never change. Only the raw `ChaCha8` words are
//! taken from a crate (the cipher fixes them); everything made of them (bounded integers, coins,
//! permutations) is written here instead of taken from `rand`, whose distributions may give other numbers in
//! another version.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a random number is for. Choices for different purposes are independent, even with equal counters.
///
/// The discriminants are part of every run's numbers: add new ones at the end, never renumber, never reuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The order in which an epoch shows its images. Counter: the epoch.
    Order = 1,
    /// Which image of the second domain goes with a sample. Counter: the sample.
    Partner = 2,
    /// Where a sample is cropped. Counter: 2 × sample + side.
    Crop = 3,
    /// Whether a sample is mirrored. Counter: 2 × sample + side.
    Flip = 4,
    /// The replay pool's coin and slot. Counter: 2 × image + space.
    Pool = 5,
    /// Where the sliced Wasserstein distance cuts its patches. Counter: 2 × image + set.
    SwdPatches = 9,
    /// The directions that the sliced Wasserstein distance projects on. Counter: the pyramid level.
    SwdDirections = 10,
    /// The person that a rendered portrait shows. Counter: the person's number.
    Identity = 11,
    /// Dropout masks. Counter: the step.
    Dropout = 12,
    /// The grain of a rendered photo. Counter: the person's number.
    Grain = 13,
    /// How much of the points at which a gradient penalty is taken is real. Counter: 2 × image + space.
    Mix = 14,
    /// Noise `z` of a training sample. Counter: the sample.
    Noise = 15,
    /// The augmentation of what a discriminator sees. Counter: 3 × (2 × image + space) + use.
    Augment = 16,
    /// Noise `z` of a picture that is asked for, in sample grids too. Counter: the picture.
    Sample = 17,
    /// Which of its captions an image is shown with. Counter: the sample.
    Caption = 18,
    /// The condition of another image that goes with a sample. Counter: the sample.
    Mismatch = 19,
    /// Noise of the pictures that are compared with real images.
    Watch = 20,
    /// The images that a benchmark trains on. Counter: 2 × batch + side.
    Bench = 21,
}

/// The generator for one choice: `ChaCha8` under a key made of `seed`, `purpose` and `counter`.
///
/// The key holds the three as little-endian 64-bit words and a fourth word of zeros, so different triples
/// never share a stream. Making one costs about as much as drawing a few hundred bytes from it.
pub fn stream(seed: u64, purpose: Purpose, counter: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&counter.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// The next 64 bits: two words of the stream, low one first.
fn next_u64(rng: &mut ChaCha8Rng) -> u64 {
    let low = u64::from(rng.next_u32());
    low | u64::from(rng.next_u32()) << 32
}

/// A whole number from 0 to `n` - 1, each exactly equally likely; 0 where `n` is 0 or 1.
///
/// Multiply and shift, with rejection of the few values that would be favoured (Lemire 2019,
/// <https://arxiv.org/abs/1805.10941>).
pub fn uniform_below(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    if n < 2 {
        return 0;
    }
    let favoured = n.wrapping_neg() % n;
    loop {
        let product = u128::from(next_u64(rng)) * u128::from(n);
        if product as u64 >= favoured {
            return (product >> 64) as u64;
        }
    }
}

/// True with probability one half: the top bit of the next word.
pub fn coin(rng: &mut ChaCha8Rng) -> bool {
    rng.next_u32() >> 31 == 1
}

/// A number in [0, 1) with 24 random bits, each of which an `f32` holds exactly.
pub fn unit_f32(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1_u32 << 24) as f32
}

/// A number in [0, 1) with 53 random bits, each of which an `f64` holds exactly.
pub fn unit_f64(rng: &mut ChaCha8Rng) -> f64 {
    (next_u64(rng) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A normal number of mean 0 and variance 1 (Box & Muller 1958, the cosine half).
pub fn normal_f64(rng: &mut ChaCha8Rng) -> f64 {
    // 1 - u lies in (0, 1], where the logarithm is finite.
    let (radius, angle) = (1.0 - unit_f64(rng), unit_f64(rng));
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// As [`normal_f64`], rounded.
pub fn normal_f32(rng: &mut ChaCha8Rng) -> f32 {
    normal_f64(rng) as f32
}

/// The numbers 0 to `n` - 1 in an order that is a function of the other three arguments (Fisher and Yates's
/// shuffle, from the end). `n` is at most 2³².
pub fn permutation(seed: u64, purpose: Purpose, counter: u64, n: usize) -> Vec<u32> {
    let mut rng = stream(seed, purpose, counter);
    let mut order: Vec<u32> = (0..n).map(|i| i as u32).collect();
    for i in (1..n).rev() {
        order.swap(i, uniform_below(&mut rng, i as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected numbers of this module come from a ChaCha8 written in Python from RFC 8439's description:
    //
    //   def rotl(v, c): return ((v << c) | (v >> (32 - c))) & 0xffffffff
    //   def quarter(s, a, b, c, d):
    //       s[a] = (s[a] + s[b]) & 0xffffffff; s[d] = rotl(s[d] ^ s[a], 16)
    //       s[c] = (s[c] + s[d]) & 0xffffffff; s[b] = rotl(s[b] ^ s[c], 12)
    //       s[a] = (s[a] + s[b]) & 0xffffffff; s[d] = rotl(s[d] ^ s[a], 8)
    //       s[c] = (s[c] + s[d]) & 0xffffffff; s[b] = rotl(s[b] ^ s[c], 7)
    //   def words(seed, purpose, counter):
    //       key = struct.unpack('<8I', struct.pack('<4Q', seed, purpose, counter, 0))
    //       block = 0
    //       while True:
    //           s = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, *key, block & 0xffffffff, block >> 32, 0, 0]
    //           t = s[:]
    //           for _ in range(4):
    //               for q in [(0,4,8,12),(1,5,9,13),(2,6,10,14),(3,7,11,15),
    //                         (0,5,10,15),(1,6,11,12),(2,7,8,13),(3,4,9,14)]: quarter(t, *q)
    //           yield from ((a + b) & 0xffffffff for a, b in zip(s, t))
    //           block += 1
    //   def below(w, n):
    //       while True:
    //           p = (next(w) | next(w) << 32) * n
    //           if p % 2**64 >= 2**64 % n: return p >> 64

    #[test]
    fn a_stream_is_chacha8_under_the_documented_key() {
        let mut rng = stream(42, Purpose::Partner, 7);
        let words: Vec<u32> = (0..70).map(|_| rng.next_u32()).collect();
        assert_eq!(words[..3], [0xfc69_3655, 0xcf54_a56c, 0x3f2a_ba4d]);
        assert_eq!((words[16], words[69]), (0xdc58_54c3, 0x5bf8_30c8));
    }

    #[test]
    fn derived_numbers_are_those_of_the_python_reference() {
        let mut rng = stream(42, Purpose::Crop, 7);
        let drawn: Vec<u64> = (0..8).map(|_| uniform_below(&mut rng, 100)).collect();
        assert_eq!(drawn, [59, 74, 84, 4, 37, 55, 23, 73]);

        // A bound that rejects a quarter of all words.
        let mut rng = stream(42, Purpose::Crop, 8);
        let drawn: Vec<u64> = (0..4).map(|_| uniform_below(&mut rng, 3 << 62)).collect();
        let expected = [
            2_330_824_494_961_458_240,
            9_160_227_980_690_236_723,
            7_365_194_733_132_665_616,
            13_725_654_293_313_009_254,
        ];
        assert_eq!(drawn, expected);

        let mut rng = stream(42, Purpose::Flip, 7);
        let coins: Vec<u8> = (0..12).map(|_| u8::from(coin(&mut rng))).collect();
        assert_eq!(coins, [0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1]);

        let mut rng = stream(42, Purpose::Grain, 9);
        assert!((f64::from(unit_f32(&mut rng)) - 0.603_805_661_201_477).abs() < 1e-15);
        assert!((unit_f64(&mut rng) - 0.119_511_393_003_838_84).abs() < 1e-15);

        assert_eq!(permutation(42, Purpose::Order, 3, 10), [9, 2, 4, 7, 6, 1, 3, 0, 8, 5]);
        assert!(permutation(42, Purpose::Order, 3, 0).is_empty());
    }

    #[test]
    fn bounded_numbers_are_uniform() {
        let mut rng = stream(1, Purpose::Grain, 0);
        let mut seen = [0_u32; 6];
        for _ in 0..60_000 {
            seen[uniform_below(&mut rng, 6) as usize] += 1;
        }
        // Chi-square with 5 degrees of freedom; 20.5 is passed once in a thousand seeds, and the seed is
        // fixed.
        let chi: f64 = seen.iter().map(|&k| (f64::from(k) - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi < 20.5, "{seen:?}");
        assert_eq!(uniform_below(&mut rng, 0), 0);
        assert_eq!(uniform_below(&mut rng, 1), 0);
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let word = |seed, purpose, counter| stream(seed, purpose, counter).next_u32();
        let here = word(7, Purpose::Crop, 5);
        assert_eq!(here, word(7, Purpose::Crop, 5));
        assert_ne!(here, word(8, Purpose::Crop, 5));
        assert_ne!(here, word(7, Purpose::Flip, 5));
        assert_ne!(here, word(7, Purpose::Crop, 6));
        assert_ne!(word(1 << 63, Purpose::Crop, 0), word(0, Purpose::Crop, 1 << 63));
    }

    #[test]
    fn unit_numbers_stay_below_one() {
        let mut rng = stream(3, Purpose::Grain, 1);
        let numbers: Vec<f64> = (0..10_000).map(|_| unit_f64(&mut rng)).collect();
        assert!(numbers.iter().all(|x| (0.0..1.0).contains(x)));
        let mean = numbers.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.015, "{mean}");
    }
}
