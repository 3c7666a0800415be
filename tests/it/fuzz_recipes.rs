//! Recipes damaged at random: the reader gives a recipe or says what is wrong, soon, and never panics.

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use translate::recipe::{PRESETS, from_yaml_fully, origins, to_yaml, upgrade};

/// How long one text may take: a hundred times what it does take, without optimisation.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of a text, at most: what a link may lead to.
const MOST: usize = 64 << 10;

/// What YAML or a recipe has a meaning for, or a reader may stumble over.
const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "? ",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "!x ",
    "|\n",
    ">-\n",
    "#",
    "\"",
    "'",
    "\n",
    "\n  ",
    "\t",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    ",",
    "@",
    "`",
    "\\",
    "\r",
    "\0",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "ü",
    "🎨",
    "null",
    "~",
    "yes",
    "1_000",
    "1e400",
    "-1",
    "99999999999999999999",
    ".nan",
    ".inf",
    "0x10",
    "''",
    "kind: ",
    "kind: wgan-gp",
    "kind: residual",
    "extends: cyclegan\n",
    "extends: ./x.yaml\n",
    "extends: mine.yaml\n",
    "format: 2\n",
    "netG: 3\n",
    "from: z",
    "data: ",
    "conditions: ",
    "generators: ",
];

/// The texts that are damaged. There are no links in them, so that nothing is fetched.
fn texts() -> Vec<String> {
    let shipped = PRESETS.iter().map(|preset| preset.yaml.replace("://", " "));
    let small = PRESETS.iter().map(|preset| {
        format!(
            "extends: {}\ntrain:\n  batch: 2\ngenerators: {{ x_to_y: {{ net: {{ width: 8 }} }} }}\n",
            preset.name
        )
    });
    shipped.chain(small).collect()
}

/// The last position up to `at` at which a text can be cut.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// A byte position at which a text can be cut.
fn cut(text: &str, rng: &mut ChaCha8Rng) -> usize {
    floor(text, rng.random_range(0..=text.len()))
}

/// A few damages to one text.
fn damaged(texts: &[String], rng: &mut ChaCha8Rng) -> String {
    let mut text = texts.choose(rng).cloned().unwrap_or_default();
    // Most often one or two, after which there may be a recipe still.
    let most = rng.random_range(1..=6);
    for _ in 0..rng.random_range(1..=most) {
        text = damage(&text, texts, rng);
    }
    text.truncate(floor(&text, MOST));
    text
}

/// One damage, for which pieces may be taken from `texts`.
pub fn damage(text: &str, texts: &[String], rng: &mut ChaCha8Rng) -> String {
    let (a, b) = (cut(text, rng), cut(text, rng));
    let (from, to) = (a.min(b), a.max(b));
    let short = floor(text, from + rng.random_range(0..12)).max(from);
    let token = *TOKENS.choose(rng).unwrap_or(&"");
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let line = |rng: &mut ChaCha8Rng| rng.random_range(0..lines.len().max(1));
    let (one, other) = (line(rng), line(rng));
    match rng.random_range(0..9) {
        // Bytes flipped; what is then no UTF-8 is refused before it is read.
        0 => {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..rng.random_range(1..4) {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
            String::from_utf8_lossy(&bytes).into_owned()
        }
        1 => [&text[..from], token, &text[from..]].concat(),
        2 => [&text[..from], token, &text[short..]].concat(),
        3 => [&text[..from], &text[to..]].concat(),
        4 => [&text[..to], &text[from..]].concat(),
        5 => [&text[..from], &token.repeat(rng.random_range(1..3000)), &text[from..]].concat(),
        6 if !lines.is_empty() => {
            lines.swap(one, other);
            lines.concat()
        }
        7 if !lines.is_empty() => {
            lines.insert(other, lines[one]);
            lines.concat()
        }
        _ => {
            let donor = texts.choose(rng).map_or("", String::as_str);
            [&text[..from], &donor[cut(donor, rng)..]].concat()
        }
    }
}

/// Reads a text, and prints all that is said of it.
fn read(text: &str, sets: &[String]) -> bool {
    let upgraded = upgrade("mine.yaml", text).map(|upgraded| upgraded.text);
    match from_yaml_fully("mine.yaml", text, sets) {
        Ok(resolved) => {
            assert!(!origins(&resolved).unwrap().is_empty());
            let yaml = to_yaml(&resolved.recipe).unwrap();
            assert_eq!(from_yaml_fully("again", &yaml, &[]).unwrap().recipe, resolved.recipe);
            assert_eq!(upgraded.unwrap(), text);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// Reads damaged texts until `is_over`. How many, and how many of them were recipes still.
fn read_damaged(seed: u64, mut is_over: impl FnMut(usize) -> bool) -> (usize, usize) {
    let texts = texts();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut count, mut good) = (0, 0);
    while !is_over(count) {
        let text = damaged(&texts, &mut rng);
        let set = damage("train.batch=4", &texts, &mut rng);
        // A damaged text that is a link by chance would be fetched.
        if text.contains("://") {
            continue;
        }
        let sets = if rng.random_bool(0.2) { vec![set] } else { Vec::new() };
        let start = Instant::now();
        let read = catch_unwind(|| read(&text, &sets));
        let took = start.elapsed();
        let case = || format!("text {count} of the seed {seed}, with {sets:?}:\n{text:?}");
        good += usize::from(read.unwrap_or_else(|_| panic!("a panic by {}", case())));
        assert!(took < PATIENCE, "{took:?} for {}", case());
        count += 1;
    }
    (count, good)
}

#[test]
fn some_damaged_recipes_are_read_or_refused() {
    let (count, good) = read_damaged(1, |count| count == 150);
    assert!(good > 0 && good < count, "{good} of {count} were recipes");
}

#[test]
#[ignore = "runs for minutes; `make soak`"]
fn damaged_recipes_are_read_or_refused_for_minutes() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let (seconds, seed) = (number("SOAK_SECONDS").unwrap_or(300), number("SOAK_SEED").unwrap_or(7));
    let start = Instant::now();
    let (count, good) = read_damaged(seed, |_| start.elapsed() >= Duration::from_secs(seconds));
    println!("{count} damaged recipes in {seconds} seconds, {good} of them recipes still; seed {seed}");
}
