//! Model files and `PyTorch` checkpoints damaged at random: each is opened or refused in words, soon, without a panic, and
//! in no more memory than a file of its size is worth. A run is a process of its own, as its memory is bounded and its
//! panics are counted, those of other threads included.

mod damage;

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tch::Device;
use translate::apply::batch::Batch;
use translate::model::export::{Check, Format, export};
use translate::model::import::{Request, import};
use translate::model::{Asked, ModelError, card, open};

use crate::{generators, python};

/// How long one file may be computed on: a hundred times what it does take, without optimisation.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes that may be claimed beyond what an undamaged file needs. The files have some 10 KB; a reader's own limits, and
/// what its threads begin with, are far below this, and a network of the largest widths far above.
const MEMORY: u64 = 256 << 20;

/// Set in the process of a run.
const APART: &str = "TRANSLATE_FUZZ_APART";

/// How a run's counts begin.
const COUNTED: &str = "damaged files: ";

/// What a run has counted.
#[derive(Debug, Default)]
struct Counts {
    files: usize,
    /// Of them those that were still what they had been.
    good: usize,
    slowest: Duration,
}

/// What is damaged, how, and what the program does with it.
struct Target {
    /// How its files end.
    extension: &'static str,
    /// Undamaged files, made with the help of a folder.
    whole: fn(&Path) -> Vec<Vec<u8>>,
    damage: fn(Vec<u8>, &mut ChaCha8Rng) -> Vec<u8>,
    /// All that the program does with such a file; a refusal in words, or nothing.
    work: fn(&Path) -> Result<(), String>,
}

const MODELS: Target =
    Target { extension: "safetensors", whole: models, damage: damage::safetensors, work: use_model };
const CHECKPOINTS: Target =
    Target { extension: "pth", whole: checkpoints, damage: damage::checkpoint, work: use_checkpoint };

/// Shows a model and draws with it.
fn use_model(path: &Path) -> Result<(), String> {
    let told = |error: ModelError| error.to_string();
    let card = card(path).map_err(told)?;
    let plain = |text: &String| !text.contains(char::is_control);
    assert!(card.rows().iter().all(|(what, value)| plain(what) && plain(value)), "{:?}", card.rows());
    assert!(serde_json::to_string(&card).is_ok());
    let model = open(path, Device::Cpu).map_err(told)?;
    if let Ok(translator) = model.translator(None, Device::Cpu) {
        let side = translator.stride().max(translator.least_size());
        if side <= 64 {
            let pixels = vec![100; 3 * (side * side) as usize];
            let batch = Batch { count: 1, height: side, width: side, pixels };
            translator.translate(&batch).map_err(|error| error.to_string())?;
        }
        return Ok(());
    }
    let sampler = model.sampler(Device::Cpu).map_err(told)?;
    let text = ["a red car".to_string()];
    let things = sampler.understand(&Asked::Nothing).or_else(|_| sampler.understand(&Asked::Texts(&text)));
    let things = things.map_err(told)?;
    let noise = sampler.noise(0, things.len(), None);
    let drawn = sampler.draw(&noise, &things).try_for_each(|drawn| drawn.map(drop));
    drawn.map_err(|error| error.to_string())
}

fn use_checkpoint(path: &Path) -> Result<(), String> {
    let request = Request { forward: path, inverse: None, from: "photo", to: "anime" };
    import(&request).map(drop).map_err(|error| error.to_string())
}

/// Model files of every kind of generator and encoder.
fn models(folder: &Path) -> Vec<Vec<u8>> {
    let nets = [
        json!({ "kind": "resnet", "width": 1, "blocks": 1 }),
        json!({ "kind": "unet", "width": 1, "downs": 3, "norm": "batch" }),
        json!({ "kind": "mobile-resnet", "width": 2, "blocks": 1 }),
    ];
    let mut models: Vec<_> = nets.iter().map(generators::translator).collect();
    let kinds = ["dcgan", "residual"].map(|kind| json!({ "kind": kind, "noise": 3, "width": 2 }));
    models.extend(kinds.iter().map(|net| generators::sampler(net, true)));
    models.extend(generators::captioned().into_iter().map(|(_, model)| model));
    let file = folder.join("whole.safetensors");
    let bytes = |model| {
        generators::write(model, &file);
        damage::sorted(&std::fs::read(&file).unwrap()).unwrap()
    };
    models.iter().map(bytes).collect()
}

/// Checkpoints in both forms: those that `PyTorch` wrote, where it is there, and what this program exports.
fn checkpoints(folder: &Path) -> Vec<Vec<u8>> {
    let file = folder.join("whole.pth");
    let net = json!({ "kind": "resnet", "width": 1, "blocks": 1, "norm": "batch" });
    let model = generators::translator(&net);
    export(&model.subject(None).unwrap(), Format::Pth, &file, Check::Never).unwrap();
    let names = ["tiny.legacy", "tiny.zip", "unet_2.legacy", "unet_2.zip"];
    let theirs = python::reference().into_iter().flat_map(|folder| {
        names.map(|name| std::fs::read(folder.join(format!("checkpoints/{name}.pth"))).unwrap())
    });
    std::iter::once(std::fs::read(&file).unwrap()).chain(theirs).collect()
}

/// Panics that nobody caught and would have printed: [`translate::panics`] hides those that it makes errors of.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Works on damaged files until `is_over`.
fn work_on_damaged(
    target: &Target,
    whole: &[Vec<u8>],
    folder: &Path,
    seed: u64,
    mut is_over: impl FnMut(usize) -> bool,
) -> Counts {
    // Before the program sets its own, which lets through what it does not catch.
    let before = take_hook();
    set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    let path = folder.join("damaged").with_extension(target.extension);
    for bytes in whole {
        std::fs::write(&path, bytes).unwrap();
        (target.work)(&path).unwrap();
    }
    bound_memory();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut counts = Counts::default();
    while !is_over(counts.files) {
        let mut bytes = whole.choose(&mut rng).unwrap().clone();
        // Most often one or two, after which the file may do still.
        let most = rng.random_range(1..=4);
        for _ in 0..rng.random_range(1..=most) {
            bytes = (target.damage)(bytes, &mut rng);
        }
        std::fs::write(&path, &bytes).unwrap();
        let start = computed();
        let worked = catch_unwind(AssertUnwindSafe(|| (target.work)(&path)));
        let took = computed().saturating_sub(start);
        let case = || format!("file {} of the seed {seed}, left as {}", counts.files, path.display());
        let worked = worked.unwrap_or_else(|_| panic!("a panic by {}", case()));
        assert_eq!(PANICS.load(Ordering::Relaxed), 0, "a panic by {}", case());
        assert!(took < PATIENCE, "{took:?} for {}", case());
        if let Err(refusal) = &worked {
            assert!(!refusal.is_empty() && !refusal.contains("out of memory"), "{refusal}: {}", case());
            assert!(!refusal.contains(|c: char| c != '\n' && c.is_control()), "{refusal:?}: {}", case());
        }
        counts.good += usize::from(worked.is_ok());
        counts.slowest = counts.slowest.max(took);
        counts.files += 1;
    }
    counts
}

/// How long this process has computed: what others do on the machine at the time does not count.
fn computed() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written, and the place for it not kept.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A line of `/proc/self/status`, in bytes.
#[cfg(target_os = "linux")]
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// From now on nothing claims more than [`MEMORY`] beyond what is claimed, whether it is touched or not.
#[cfg(target_os = "linux")]
fn bound_memory() {
    let most = status("VmData:") + MEMORY;
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: the limit is read and not kept.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) }, 0);
}

#[cfg(not(target_os = "linux"))]
fn bound_memory() {}

/// Runs `work` on whole files in a process of its own, which is the test called `test` again, and gives what it counted.
fn apart(test: &str, target: &Target, work: impl FnOnce(&[Vec<u8>], &Path) -> String) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    let file = |i: usize| folder.join(format!("whole.{i}"));
    if std::env::var_os(APART).is_some() {
        let whole: Vec<_> = (0..).map_while(|i| std::fs::read(file(i)).ok()).collect();
        return work(&whole, &folder);
    }
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    // Here, as Python's side is run once a process.
    for (i, bytes) in (target.whole)(&folder).iter().enumerate() {
        std::fs::write(file(i), bytes).unwrap();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("fuzz_models::{test}"), "--exact", "--include-ignored", "--nocapture"]);
    let ended = command.env(APART, "1").output().unwrap();
    let [said, failed] = [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    // An allocation that is refused ends the process, and the file is left there.
    assert!(ended.status.success(), "{}, a file left in {}: {said}{failed}", ended.status, folder.display());
    let counted = said.lines().find_map(|line| line.split_once(COUNTED)).unwrap();
    format!("{COUNTED}{}", counted.1)
}

/// A short run; some files are still good, and most are not.
fn run_some(test: &str, target: &Target) -> String {
    apart(test, target, |whole, folder| {
        let counts = work_on_damaged(target, whole, folder, 1, |files| files == 300);
        assert!(counts.good > 0 && 2 * counts.good < counts.files, "{counts:?}");
        format!("{COUNTED}{counts:?}")
    })
}

/// A run of `SOAK_SECONDS` from `SOAK_SEED` on.
fn run_for_minutes(test: &str, target: &Target) -> String {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let (seconds, seed) = (number("SOAK_SECONDS").unwrap_or(300), number("SOAK_SEED").unwrap_or(7));
    apart(test, target, |whole, folder| {
        let start = Instant::now();
        let is_over = |_| start.elapsed() >= Duration::from_secs(seconds);
        let Counts { files, good, slowest } = work_on_damaged(target, whole, folder, seed, is_over);
        let kind = target.extension;
        format!(
            "{COUNTED}{files} (`.{kind}`) in {seconds} seconds, {good} of them still good, each within {slowest:?}; seed {seed}"
        )
    })
}

#[test]
fn some_damaged_models_are_opened_or_refused() {
    println!("{}", run_some("some_damaged_models_are_opened_or_refused", &MODELS));
}

#[test]
fn some_damaged_checkpoints_are_imported_or_refused() {
    println!("{}", run_some("some_damaged_checkpoints_are_imported_or_refused", &CHECKPOINTS));
}

#[test]
#[ignore = "runs for minutes; `make soak`"]
fn damaged_models_are_opened_or_refused_for_minutes() {
    println!("{}", run_for_minutes("damaged_models_are_opened_or_refused_for_minutes", &MODELS));
}

#[test]
#[ignore = "runs for minutes; `make soak`"]
fn damaged_checkpoints_are_imported_or_refused_for_minutes() {
    println!("{}", run_for_minutes("damaged_checkpoints_are_imported_or_refused_for_minutes", &CHECKPOINTS));
}
