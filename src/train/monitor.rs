//! Notices a generator that draws few different pictures, or leaves a part of the real ones out, from its scores alone.
//!
//! It holds no more than how the last scores in a row went, so a resumed run may begin with a new one: what lasts is
//! found again.

use indexmap::IndexMap;

use super::watch::Score;
use crate::eval::Fidelity;

/// Scores in a row, none of them better than before, after which it is worth a word. Chance moves them from one to the
/// next.
const LONG: u32 = 5;
/// How much the number that fails rises where training mends it by itself: every generator begins with pictures that are
/// all alike, and then learns one part of the real ones after the other.
const BETTER: f64 = 0.02;
/// Images from which a score says what is left out. With fewer, chance alone leaves out as much.
const ENOUGH: usize = 100;

// The thresholds are for `eval::features` and k = 5, with as many samples as real images, 128 at least. What was
// measured on drawn anime portraits of 32 pixels, 128 a side, over 8 draws:
//
//                                      precision  density    recall     coverage   diversity  near-duplicates
// other portraits                      0.91-0.99  0.82-1.15  0.95-0.98  0.93-0.98  0.97-1.03  0
// one portrait, noise of 0.02          1          0.4-4.0    0          0.02-0.16  0.02       1
// eight portraits, noise of 0.02       1          1.2-2.6    0          0.28-0.59  0.78-0.87  1
// half of hair, clothes and scenes     0.92-1     0.81-1.02  0.64-0.74  0.69-0.80  0.94-0.98  0
// half of the hair colours alone       0.90-0.99  0.81-1.12  0.80-0.92  0.83-0.91  0.96-0.99  0
// half of the hair styles alone        0.93-0.98  0.91-1.11  0.86-0.96  0.92-0.98  0.98-1.01  0
// one of ten hair colours              0.95-1     0.83-1.09  0.23-0.33  0.48-0.62  0.85-0.89  0
// other portraits, blurred (3×3)       0.91-0.98  0.66-0.89  0.08-0.15  0.80-0.89  0.82-0.86  0
// other portraits, muted to 0.6        0.92-0.98  0.80-1.08  0-0.02     0.72-0.83  0.68-0.72  0
// random pixels                        0          0          0          0          0.36-0.37  0
//
// and on 80 photographs a side at 64 pixels: horses against other horses 0.86, 1.03, 0.88, 0.99, 1.04, 0; horses against
// horses and zebras 0.86, 1.12, 0.82, 0.96, 0.98, 0.
//
// In training, digits drawn by class (`cgan-tiny`, 2000 digits) ended at a recall of 0.40 and a coverage of 0.93.

/// Below this diversity the pictures are few. Random pixels, of which one looks like another, stay above.
const FEW: f64 = 0.25;
/// From this share of near-duplicates the pictures are few, however different those few are.
const REPEATED: f64 = 0.5;
/// From this precision the pictures look real. Below, what is drawn is not yet good enough to say what it leaves out.
const REAL: f64 = 0.8;
/// From this density they do. Pictures between the real ones are precise, but in few of their balls.
const DENSE: f64 = 0.5;
/// Below this coverage a part of the real pictures is left out. Recall, which asks for the real pictures' detail too, is
/// low for generators that draw all kinds. Leaving half of the colours of hair out is at the edge of what it tells; half of
/// the styles of hair, or a share of zebras among horses, it does not tell; and pictures as soft as the blurred ones, which
/// lack all that is sharp, are at the edge too.
const COVERED: f64 = 0.85;

/// What is wrong with a generator's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failing {
    /// It draws few different pictures, whether they look real or not.
    Collapsed,
    /// What it draws looks real, and a part of the real pictures is never drawn.
    Dropping,
}

impl Failing {
    /// What a score of `images` pictures and real images says by itself. A score with a NaN says nothing where the NaN is.
    pub fn of(score: &Fidelity, images: usize) -> Option<Self> {
        let looks_real = images >= ENOUGH && score.precision >= REAL && score.density >= DENSE;
        if score.diversity < FEW || score.near_duplicates >= REPEATED {
            Some(Self::Collapsed)
        } else if looks_real && score.coverage < COVERED {
            Some(Self::Dropping)
        } else {
            None
        }
    }

    /// A number that rises when this is mended.
    fn measured(self, score: &Fidelity) -> f64 {
        match self {
            Self::Collapsed => score.diversity - score.near_duplicates,
            Self::Dropping => score.coverage,
        }
    }
}

/// Counts the scores in a row by which a generator failed without getting better.
#[derive(Debug, Default)]
pub struct Monitor {
    /// By generator and kind.
    rows: IndexMap<(String, Failing), Row>,
}

#[derive(Debug)]
struct Row {
    scores: u32,
    best: f64,
    told: bool,
}

impl Row {
    const NEW: Self = Self { scores: 0, best: f64::NEG_INFINITY, told: false };

    /// Counts a score that failed by the number `measured`.
    fn add(&mut self, measured: f64) {
        if measured > self.best + BETTER {
            (self.best, self.scores) = (measured, 0);
        }
        self.scores += 1;
    }
}

impl Monitor {
    /// Takes in a generator's next score. What has been wrong with it for long, once for each kind.
    pub fn take(&mut self, generator: &str, score: &Score) -> Option<Failing> {
        let now = Failing::of(&score.fidelity, score.images);
        let mut found = None;
        for kind in [Failing::Collapsed, Failing::Dropping] {
            let row = self.rows.entry((generator.to_string(), kind)).or_insert(Row::NEW);
            if now == Some(kind) {
                row.add(kind.measured(&score.fidelity));
            } else {
                *row = Row { told: row.told, ..Row::NEW };
            }
            if row.scores >= LONG && !row.told {
                row.told = true;
                found = Some(kind);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::convert::from_bytes;
    use crate::data::portraits::{ClothesColor, HairColor, Person, Scene, Style, draw};
    use crate::eval::fidelity::NEIGHBOURS;
    use crate::eval::{features, fidelity};
    use tch::{Device, Kind, Tensor};

    #[test]
    fn every_recipe_is_compared_often_enough_for_a_word() {
        for preset in crate::recipe::PRESETS {
            let recipe = crate::recipe::resolve(preset.name, &[]).unwrap();
            let every = recipe.monitor.every.max(recipe.log.every);
            assert!(recipe.train.images / every >= 2 * u64::from(LONG), "{}", preset.name);
        }
    }

    const HEALTHY: Fidelity = Fidelity {
        precision: 0.97,
        recall: 0.96,
        density: 1.0,
        coverage: 0.97,
        diversity: 1.0,
        near_duplicates: 0.0,
    };
    const COLLAPSED: Fidelity = Fidelity { diversity: 0.04, near_duplicates: 1.0, recall: 0.0, ..HEALTHY };
    const DROPPING: Fidelity = Fidelity { recall: 0.7, coverage: 0.8, ..HEALTHY };

    fn of(fidelity: &Fidelity) -> Score {
        Score { fidelity: *fidelity, images: COUNT }
    }

    /// All that a new monitor says of a score that stays.
    fn said(score: &Fidelity) -> Vec<Failing> {
        let mut monitor = Monitor::default();
        (0..3 * LONG).filter_map(|_| monitor.take("g", &of(score))).collect()
    }

    #[test]
    fn each_kind_is_told_once_for_each_generator_and_only_after_long() {
        let mut monitor = Monitor::default();
        let mut take = |score: &Fidelity, times: u32| -> Vec<_> {
            (0..times).map(|_| monitor.take("x_to_y", &of(score))).collect()
        };
        assert!(take(&COLLAPSED, LONG - 1).iter().all(Option::is_none));
        // A good score, or one of the other kind, begins the row anew.
        assert!(take(&HEALTHY, 1).iter().all(Option::is_none));
        assert!(take(&COLLAPSED, LONG - 1).iter().all(Option::is_none));
        assert!(take(&DROPPING, LONG - 1).iter().all(Option::is_none));
        assert!(take(&COLLAPSED, LONG - 1).iter().all(Option::is_none));
        assert_eq!(take(&COLLAPSED, 1), [Some(Failing::Collapsed)]);
        assert!(take(&COLLAPSED, 2 * LONG).iter().all(Option::is_none));
        assert_eq!(take(&DROPPING, LONG).last(), Some(&Some(Failing::Dropping)));
        assert!(take(&COLLAPSED, LONG).iter().chain(&take(&DROPPING, LONG)).all(Option::is_none));
        let other: Vec<_> = (0..LONG).filter_map(|_| monitor.take("y_to_x", &of(&DROPPING))).collect();
        assert_eq!(other, [Failing::Dropping]);
    }

    #[test]
    fn what_gets_better_is_not_told() {
        let mut monitor = Monitor::default();
        let mut covers = |coverage: f64| monitor.take("g", &of(&Fidelity { coverage, ..DROPPING }));
        assert!((10..28).all(|step| covers(f64::from(step) * 0.03).is_none()));
        // After a good score it begins anew.
        assert!([0.9, 0.5, 0.56, 0.62, 0.68, 0.74].iter().all(|coverage| covers(*coverage).is_none()));
        // Chance is no improvement.
        let said: Vec<_> = (0..LONG - 1).map(|i| covers(0.74 + f64::from(i % 2) * 0.01)).collect();
        assert_eq!(said, [None, None, None, Some(Failing::Dropping)]);

        let mut differs = |generator: &str, diversity: f64, near_duplicates: f64| {
            monitor.take(generator, &of(&Fidelity { diversity, near_duplicates, ..COLLAPSED }))
        };
        assert!((0..8).all(|step| differs("a", f64::from(step) * 0.03, 0.0).is_none()));
        assert!((0..8).all(|step| differs("b", 0.8, 0.9 - f64::from(step) * 0.05).is_none()));
        let said: Vec<_> = (0..LONG - 1).map(|_| differs("b", 0.8, 0.55)).collect();
        assert_eq!(said, [None, None, None, Some(Failing::Collapsed)]);
    }

    #[test]
    fn a_score_says_what_it_can() {
        assert!(said(&HEALTHY).is_empty());
        // A few pictures that differ, and pictures that differ little without being copies.
        assert_eq!(said(&Fidelity { near_duplicates: 0.9, ..HEALTHY }), [Failing::Collapsed]);
        assert_eq!(said(&Fidelity { diversity: 0.2, ..HEALTHY }), [Failing::Collapsed]);
        // Early in training: unlike anything real, so no word on what is left out.
        assert!(said(&Fidelity { precision: 0.0, density: 0.0, ..DROPPING }).is_empty());
        assert!(said(&Fidelity { density: 0.4, ..DROPPING }).is_empty());
        // Of a handful of images, so few that chance leaves as much out.
        assert_eq!(Failing::of(&DROPPING, COUNT), Some(Failing::Dropping));
        assert_eq!(Failing::of(&DROPPING, 60), None);
        assert_eq!(Failing::of(&COLLAPSED, 60), Some(Failing::Collapsed));
        let nan = f64::NAN;
        let nans = Fidelity {
            precision: nan,
            recall: nan,
            density: nan,
            coverage: nan,
            diversity: nan,
            near_duplicates: nan,
        };
        assert!(said(&nans).is_empty());
        assert_eq!(said(&Fidelity { diversity: nan, ..COLLAPSED }), [Failing::Collapsed]);
    }

    /// `COUNT` images of 32 pixels, `[COUNT, 3, 32, 32]` in [-1, 1].
    const COUNT: usize = 128;

    /// Anime portraits of the seed's first persons that `keep` lets through.
    fn portraits(seed: u64, keep: impl Fn(&Person) -> bool) -> Tensor {
        let people = (0..).map(|index| Person::sample(seed, index)).filter(keep).take(COUNT);
        let bytes: Vec<u8> = people.flat_map(|person| draw(&person, Style::Anime, 32).into_raw()).collect();
        from_bytes(&bytes, COUNT, 32, 32, Device::Cpu)
    }

    /// Numbers in [-1, 1] without pattern, and without libtorch's generator, which other tests share.
    fn noise(count: usize) -> Tensor {
        let mut state = 1_u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        from_bytes(&(0..count * 32 * 32 * 3).map(next).collect::<Vec<u8>>(), count, 32, 32, Device::Cpu)
    }

    #[test]
    fn portraits_collapsed_dropped_healthy_and_none() {
        let half = |person: &Person| {
            use {ClothesColor as C, HairColor as H};
            matches!(person.hair_color, H::Black | H::Brown | H::Purple | H::Blue | H::Green)
                && matches!(person.clothes_color, C::Black | C::Navy | C::Green | C::Teal)
                && matches!(person.backdrop.scene, Scene::Leaves | Scene::Hills | Scene::Window)
        };
        let real = portraits(1, |_| true);
        let others = portraits(2, |_| true);
        let [one, eight] = [1, 8]
            .map(|few| others.narrow(0, 0, few).repeat([COUNT as i64 / few, 1, 1, 1]) + noise(COUNT) * 0.03);
        let described = features(&real).unwrap();
        let check = |name: &str, samples: &Tensor, expected: &[Failing]| {
            let score = fidelity(&described, &features(samples).unwrap(), NEIGHBOURS).unwrap();
            println!("{name}: {score:.3?}");
            assert_eq!(said(&score), expected, "{name}: {score:?}");
        };
        check("healthy", &others, &[]);
        check("one", &one, &[Failing::Collapsed]);
        check("eight", &eight, &[Failing::Collapsed]);
        check("half of hair, clothes and scenes", &portraits(3, half), &[Failing::Dropping]);
        check("noise", &noise(COUNT), &[]);
        let nan = others.copy();
        let _ = nan.get(5).get(1).get(8).get(8).fill_(f64::NAN);
        assert!(fidelity(&described, &features(&nan).unwrap(), NEIGHBOURS).is_err());
        assert_eq!(real.kind(), Kind::Float);
    }
}
