//! A run that was killed, went on, was interrupted and went on again ends with the bits of one that never stopped.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use tch::Kind;
use translate::eval::Fidelity;
use translate::torch::store::{Stored, read};
use translate::train::checkpoint;
use translate::train::metrics::Tick;

const SETS: [&str; 9] = [
    "train.images=40",
    "train.batch=2",
    "checkpoint.every=6",
    "log.every=4",
    "monitor.every=10",
    "loss.pool=3",
    "data.size=32",
    "data.load_size=36",
    "generators.x_to_y.net.dropout=true",
];

/// Starts training in `root/run`; a run that exists goes on with its own recipe.
fn train(root: &Path, run: &str, threads: usize) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
    command.current_dir(root).args(["train", "faces/photos", "faces/anime", "--device", "cpu", "--run", run]);
    command.args(["--threads", &threads.to_string()]);
    if !root.join(run).exists() {
        command.args(["-r", "cyclegan-small"]);
        command.args(SETS.iter().flat_map(|set| ["--set", set]));
    }
    let log = File::options().create(true).append(true).open(root.join(format!("{run}.log"))).unwrap();
    command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// What the starts of `run` said.
fn said(root: &Path, run: &str) -> String {
    std::fs::read_to_string(root.join(format!("{run}.log"))).unwrap_or_default()
}

/// Images at the newest checkpoint; 0 without one.
fn saved(root: &Path, run: &str) -> u64 {
    checkpoint::list(&root.join(run).join("checkpoints")).unwrap().last().map_or(0, |(images, _)| *images)
}

/// Waits until `child` has saved once more, so that it is at work.
fn wait_for_checkpoint(root: &Path, run: &str, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(900);
    let before = saved(root, run);
    while saved(root, run) == before {
        let running = child.try_wait().unwrap().is_none() && Instant::now() < deadline;
        assert!(running, "{run} did not go on from {before} images: {}", said(root, run));
        sleep(Duration::from_millis(2));
    }
}

/// As `kill` does, of which a bare machine has no program.
fn send(child: &Child, signal: i32) {
    // SAFETY: a plain system call, to a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

fn last(root: &Path, run: &str) -> Stored {
    let (images, stored) = checkpoint::newest(&root.join(run).join("checkpoints")).unwrap().unwrap();
    assert_eq!(images, 40, "{run}");
    stored
}

fn assert_equal_bits(root: &Path, expected: &str, run: &str) {
    let (a, b) = (last(root, expected), last(root, run));
    assert_eq!(a.tensors.len(), b.tensors.len());
    for (name, tensor) in &a.tensors {
        assert_eq!(tensor.kind(), b.tensors[name].kind(), "{name}");
        let bits = |t: &tch::Tensor| {
            t.flatten(0, -1).view_dtype(if t.kind() == Kind::Float { Kind::Int } else { t.kind() })
        };
        assert_eq!(bits(tensor), bits(&b.tensors[name]), "{run}: {name} differs");
    }
    let model = |run| read(&root.join(run).join("model.safetensors")).unwrap().tensors;
    let (a, b) = (model(expected), model(run));
    assert!(!a.is_empty() && a.iter().all(|(name, tensor)| *tensor == b[name]), "{run}: the model differs");
}

type Said = (u64, u64, f64, IndexMap<String, f64>, IndexMap<String, Fidelity>);

/// What `metrics.jsonl` says beside times.
fn ticks(root: &Path, run: &str) -> Vec<Said> {
    let text = std::fs::read_to_string(root.join(run).join("metrics.jsonl")).unwrap();
    let parts = |tick: Tick| (tick.images, tick.step, tick.lr, tick.losses, tick.fidelity);
    text.lines().map(|line| parts(serde_json::from_str(line).unwrap())).collect()
}

#[test]
fn killed_and_interrupted_runs_end_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let options = translate::data::portraits::Options { count: 8, size: 32, seed: 1, holdout: None };
    translate::data::portraits::write_dataset(&root.join("faces"), &options).unwrap();
    assert!(train(root, "straight", 1).wait().unwrap().success(), "{}", said(root, "straight"));

    for (threads, signal, status) in [(1, libc::SIGINT, 130), (4, libc::SIGTERM, 143), (4, libc::SIGINT, 130)]
    {
        let run = format!("stopped-{threads}-{status}");
        let mut child = train(root, &run, threads);
        wait_for_checkpoint(root, &run, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();

        let mut child = train(root, &run, threads);
        wait_for_checkpoint(root, &run, &mut child);
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(status), "{}", said(root, &run));

        assert!(train(root, &run, threads).wait().unwrap().success(), "{}", said(root, &run));
        assert_equal_bits(root, "straight", &run);
        assert_eq!(ticks(root, &run), ticks(root, "straight"), "{run}");
        let kept = checkpoint::list(&root.join(&run).join("checkpoints")).unwrap();
        assert_eq!(kept.len(), 3, "the last three checkpoints stay");
    }
}
