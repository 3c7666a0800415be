use std::fs;

use super::*;
use crate::data::dataset::tests::{SIDE, folder_of, open};
use crate::data::left_out::LeftOut;

const SIZE: u32 = 20;
/// (image, left, top, mirrored).
type Crop = (u8, u8, u8, bool);

const OPTIONS: SampleOptions =
    SampleOptions { seed: 42, size: SIZE, flip: true, batch: 3, share: Share::WHOLE };

/// What a crop is, read off its pixels: (x, y) of image k is (k, 7 x, 7 y).
fn describe(crop: &[u8]) -> Crop {
    let last = (SIZE as usize - 1) * 3;
    let mirrored = crop[1] > crop[last + 1];
    let (left, top) = (crop[1].min(crop[last + 1]) / 7, crop[2] / 7);
    for (i, pixel) in crop.chunks_exact(3).enumerate() {
        let (x, y) = ((i as u32 % SIZE) as u8, (i as u32 / SIZE) as u8);
        let x = if mirrored { SIZE as u8 - 1 - x } else { x };
        assert_eq!(pixel, [crop[0], 7 * (left + x), 7 * (top + y)]);
    }
    (crop[0], left, top, mirrored)
}

fn samples(loader: &mut Loader, batches: usize, side: usize) -> Vec<Crop> {
    let size = (SIZE * SIZE * 3) as usize;
    let made: Vec<Batch> = (0..batches).map(|_| loader.next().unwrap()).collect();
    made.iter().flat_map(|b| b.sides[side].chunks_exact(size).map(describe).collect::<Vec<_>>()).collect()
}

fn batches(loader: &mut Loader, count: usize) -> Vec<Batch> {
    (0..count).map(|_| loader.next().unwrap()).collect()
}

#[test]
fn samples_are_those_of_the_python_reference() {
    let (x, y) = (folder_of(4), folder_of(7));
    let sides = || Sides::from(vec![Arc::new(open(x.path(), 0)), Arc::new(open(y.path(), u64::MAX))]);
    // With `perm`, `words` and `below` as written in Python beside the tests of `random`:
    //   for n in range(9):
    //       k0 = perm(42, 1, n // 7, 7)[n % 7] % 4
    //       k1 = below(words(42, 2, n), 7)
    //       for side, k in enumerate([k0, k1]):
    //           w = words(42, 3, 2 * n + side)
    //           print(k, below(w, 13), below(w, 13), next(words(42, 4, 2 * n + side)) >> 31)
    let first = [
        (1, 7, 5, false),
        (1, 7, 1, true),
        (0, 4, 1, false),
        (2, 7, 5, false),
        (2, 2, 8, false),
        (0, 9, 12, false),
        (3, 3, 10, true),
        (0, 2, 4, false),
        (1, 7, 2, true),
    ];
    let second = [
        (3, 9, 1, false),
        (4, 4, 3, false),
        (1, 12, 10, true),
        (2, 7, 9, false),
        (1, 12, 2, false),
        (2, 5, 9, true),
        (6, 11, 6, false),
        (5, 10, 12, true),
        (5, 8, 10, false),
    ];
    assert_eq!(samples(&mut Loader::new(sides(), OPTIONS, 2, 0), 3, 0), first);
    assert_eq!(samples(&mut Loader::new(sides(), OPTIONS, 2, 0), 3, 1), second);
    let straight = SampleOptions { flip: false, ..OPTIONS };
    let unmirrored = samples(&mut Loader::new(sides(), straight, 2, 0), 3, 0);
    assert_eq!(unmirrored, first.map(|(k, left, top, _)| (k, left, top, false)));
}

#[test]
fn batches_do_not_depend_on_threads_memory_or_where_one_starts() {
    let (x, y) = (folder_of(5), folder_of(3));
    let loader = |budget: u64, threads: usize, first: u64| {
        let sides = vec![Arc::new(open(x.path(), budget)), Arc::new(open(y.path(), budget))];
        Loader::new(sides.into(), OPTIONS, threads, first)
    };
    let expected = batches(&mut loader(u64::MAX, 1, 0), 12);
    assert_ne!(expected[0].sides, expected[5].sides);
    for (budget, threads) in [(0, 1), (0, 3), (u64::MAX, 3), (4 * 3 * 1024, 4), (0, 0)] {
        assert_eq!(batches(&mut loader(budget, threads, 0), 12), expected, "{threads} threads");
    }
    assert_eq!(batches(&mut loader(0, 3, 7), 5), expected[7..]);
}

#[test]
fn the_shares_of_a_batch_are_the_batch() {
    let (x, y) = (folder_of(5), folder_of(3));
    let sides = || vec![Arc::new(open(x.path(), u64::MAX)), Arc::new(open(y.path(), u64::MAX))];
    let whole = SampleOptions { batch: 6, ..OPTIONS };
    let expected = batches(&mut Loader::new(sides().into(), whole, 2, 3), 4);
    let share = |rank| SampleOptions { share: Share { rank, ranks: 3 }, ..whole };
    let mut shares: Vec<_> = (0..3).map(|rank| Loader::new(sides().into(), share(rank), 2, 3)).collect();
    for batch in expected {
        let parts: Vec<_> = shares.iter_mut().map(|loader| loader.next().unwrap()).collect();
        for side in 0..2 {
            let pixels: Vec<u8> = parts.iter().flat_map(|part| part.sides[side].clone()).collect();
            let items: Vec<usize> = parts.iter().flat_map(|part| part.items[side].clone()).collect();
            assert_eq!((&pixels, &items), (&batch.sides[side], &batch.items[side]));
        }
    }
}

#[test]
fn every_image_is_shown_once_an_epoch_in_a_new_order() {
    let dir = folder_of(7);
    let mut loader = Loader::new(vec![Arc::new(open(dir.path(), u64::MAX))].into(), OPTIONS, 2, 0);
    let shown: Vec<u8> = samples(&mut loader, 14, 0).iter().map(|s| s.0).collect();
    let epochs: Vec<&[u8]> = shown.chunks(7).collect();
    for epoch in &epochs {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
    }
    assert!(epochs.windows(2).all(|pair| pair[0] != pair[1]), "{epochs:?}");
}

#[test]
fn crops_and_flips_are_uniform_and_independent() {
    let dir = folder_of(2);
    let dataset = Arc::new(open(dir.path(), u64::MAX));
    let options = SampleOptions { batch: 100, ..OPTIONS };
    let mut loader = Loader::new(vec![Arc::clone(&dataset), dataset].into(), options, 2, 0);
    let pairs: Vec<_> = {
        let made = batches(&mut loader, 13);
        let crop = (SIZE * SIZE * 3) as usize;
        let describe_all = |side: usize| -> Vec<_> {
            made.iter()
                .flat_map(|b| b.sides[side].chunks_exact(crop).map(describe).collect::<Vec<_>>())
                .collect()
        };
        describe_all(0).into_iter().zip(describe_all(1)).collect()
    };
    // Counts of 1300 draws: expected 650 with a standard deviation of 18, or 100 with one of 9.6.
    let count = |wanted: &dyn Fn(&(Crop, Crop)) -> bool| pairs.iter().filter(|pair| wanted(pair)).count();
    for half in [count(&|(a, _)| a.3), count(&|(_, b)| b.3), count(&|(a, b)| a.3 == b.3)] {
        assert!((580..720).contains(&half), "{half}");
    }
    for offset in 0..=(SIDE - SIZE) as u8 {
        let hits = [count(&|(a, _)| a.1 == offset), count(&|(_, b)| b.2 == offset)];
        assert!(hits.iter().all(|n| (60..140).contains(n)), "{offset} {hits:?}");
    }
    let same_place = count(&|(a, b)| a.1 == b.1);
    assert!((60..140).contains(&same_place), "{same_place}");
}

#[test]
fn a_worker_that_panics_is_told_in_its_turn() {
    let make = |index| match index {
        2 => panic!("broken {index}"),
        _ => Ok(Batch { sides: vec![], items: vec![vec![index as usize]] }),
    };
    let mut loader = Loader::start(3, 0, make);
    assert_eq!(batches(&mut loader, 2).len(), 2);
    let error = loader.next().unwrap_err().to_string();
    assert_eq!(error, "a loader thread failed on batch 2 (broken 2): please report this");
    assert_eq!(loader.next().unwrap().items, [[3]]);
}

#[test]
fn errors_of_the_data_reach_the_caller() {
    let dir = folder_of(3);
    let dataset = Arc::new(open(dir.path(), 0));
    let too_large = SampleOptions { size: SIDE + 1, ..OPTIONS };
    let error =
        Loader::new(vec![Arc::clone(&dataset)].into(), too_large, 2, 0).next().unwrap_err().to_string();
    assert!(error.ends_with(
        "is 32 x 32 pixels after loading, too small for a crop of 33: raise `load_size` to at least 33"
    ));
    assert!(matches!(
        fixed_samples(&vec![Arc::clone(&dataset)].into(), 2, SIDE + 1),
        Err(LoaderError::TooSmall { .. })
    ));
    for entry in fs::read_dir(dir.path()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let error = Loader::new(vec![dataset].into(), OPTIONS, 2, 0).next().unwrap_err();
    assert!(matches!(error, LoaderError::Dataset(DatasetError::AllFailed { .. })), "{error}");
}

#[test]
fn dropping_the_loader_ends_its_threads() {
    let dir = folder_of(3);
    let dataset = Arc::new(open(dir.path(), 0));
    let mut loader = Loader::new(vec![Arc::clone(&dataset)].into(), OPTIONS, 4, 0);
    loader.next().unwrap();
    drop(loader);
    assert_eq!(Arc::strong_count(&dataset), 1);
}

#[test]
fn fixed_samples_are_spread_evenly_and_cut_from_the_middle() {
    let dir = folder_of(10);
    let sides = Sides::from(vec![Arc::new(open(dir.path(), 0))]);
    let described = |count| -> Vec<_> {
        fixed_samples(&sides, count, SIZE).unwrap()[0].iter().map(|crop| describe(crop)).collect()
    };
    assert_eq!(described(4), [0, 2, 5, 7].map(|k| (k, 6, 6, false)));
    assert_eq!(described(99).len(), 10);
    assert_eq!(described(0), []);
}

/// Two folders of six and five images, of which four have a partner: 1 to 4.
fn paired() -> (tempfile::TempDir, tempfile::TempDir, Sides, Vec<std::path::PathBuf>) {
    let (x, y) = (folder_of(6), folder_of(6));
    let files: Vec<_> = open(y.path(), 0).files().map(std::path::Path::to_path_buf).collect();
    fs::remove_file(x.path().join(&files[0])).unwrap();
    fs::remove_file(y.path().join(&files[5])).unwrap();
    let datasets = vec![Arc::new(open(x.path(), 0)), Arc::new(open(y.path(), u64::MAX))];
    let (pairs, alone) = Pairs::find(&datasets[0], &datasets[1]);
    let path = |left: &LeftOut| std::path::PathBuf::from(left.what.trim_matches('`'));
    let alone = alone.iter().map(|left| path(left).file_name().unwrap().into()).collect();
    (x, y, Sides { datasets, pairs: Some(Arc::new(pairs)) }, alone)
}

#[test]
fn pairs_are_shown_once_an_epoch_and_cut_alike() {
    let (_x, _y, sides, alone) = paired();
    let files: Vec<_> = sides.datasets[1].files().map(std::path::Path::to_path_buf).collect();
    let last = sides.datasets[0].files().last().unwrap().to_path_buf();
    assert_eq!(alone, [last, files[0].clone()]);
    assert_eq!(sides.epoch_length(), 4);
    let options = SampleOptions { batch: 4, ..OPTIONS };
    let mut loader = Loader::new(sides.clone(), options, 2, 0);
    for batch in batches(&mut loader, 3) {
        let [x, y] = [0, 1].map(|side: usize| {
            let crop = (SIZE * SIZE * 3) as usize;
            batch.sides[side].chunks_exact(crop).map(describe).collect::<Vec<_>>()
        });
        assert_eq!(x, y);
        let mut shown: Vec<u8> = x.iter().map(|crop| crop.0).collect();
        shown.sort_unstable();
        assert_eq!(shown, [1, 2, 3, 4]);
        // The first folder lacks image 0, so its numbers are one less.
        let numbers = [0, 1].map(|side: usize| batch.items[side].clone());
        assert!(numbers[0].iter().zip(&numbers[1]).all(|(x, y)| x + 1 == *y), "{numbers:?}");
    }
    let fixed = fixed_samples(&sides, 2, SIZE).unwrap();
    let described =
        [0, 1].map(|side: usize| fixed[side].iter().map(|crop| describe(crop).0).collect::<Vec<_>>());
    assert_eq!(described, [[1, 3], [1, 3]]);
}

#[test]
fn a_pair_that_breaks_is_left_out_whole() {
    let (x, _y, sides, _) = paired();
    let file = sides.datasets[0].files().next().unwrap().to_path_buf();
    fs::remove_file(x.path().join(file)).unwrap();
    let mut loader = Loader::new(sides, OPTIONS, 2, 0);
    for side in 0..2 {
        let shown: Vec<u8> = samples(&mut loader, 4, side).iter().map(|crop| crop.0).collect();
        assert!(!shown.contains(&1) && shown.contains(&2), "{shown:?}");
    }
}
