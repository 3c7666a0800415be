//! Ranks that train together on shares of each batch come to what one process comes to alone; where one of them is gone,
//! the others save and end, and a new start goes on. They meet on loopback.

use std::collections::HashMap;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};
use translate::nets::Graph;
use translate::recipe::{Recipe, from_yaml, to_yaml};
use translate::torch::Meeting;
use translate::train::checkpoint;
use translate::train::metrics::Tick;
use translate::train::pool::Pool;
use translate::train::ranks::Ranks;
use translate::train::step::{Step, StepInput};

use crate::python;
use crate::recipes::{known, share_of_input, small_with};

const STEPS: u64 = 5;

/// One of each kind.
const RECIPES: [&str; 11] = [
    "cyclegan",
    "cyclegan-small",
    "cyclegan-wgan-gp",
    "pix2pix",
    "gan",
    "wgan",
    "wgan-gp",
    "sngan",
    "cgan",
    "text-gan",
    "text-gan-transformer",
];

/// Free at this moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn copies(tensors: &[(String, Tensor)]) -> Vec<(String, Tensor)> {
    tensors.iter().map(|(name, tensor)| (name.clone(), tensor.copy())).collect()
}

/// The recipe without batch norm, which knows of its own rank's images only.
fn per_image(recipe: &Recipe) -> Recipe {
    let yaml = to_yaml(recipe).unwrap().replace("norm: batch", "norm: instance");
    from_yaml("per image", &yaml, &[]).unwrap()
}

/// Networks with these values, in float64.
pub fn exact_graph(recipe: &Recipe, values: &[(String, Tensor)]) -> Graph {
    let graph = Graph::build(recipe, &known(recipe), Device::Cpu);
    for ((name, mut tensor), (of, value)) in graph.tensors().into_iter().zip(values) {
        assert_eq!(&name, of);
        tensor.set_data(&value.to_kind(Kind::Double));
    }
    graph
}

/// In float64.
pub fn exact(mut input: StepInput) -> StepInput {
    let tensors = input.samples.values_mut().chain(input.mixes.values_mut());
    let augments = input.augments.values_mut();
    let augments = augments.flat_map(|it| [&mut it.current, &mut it.real, &mut it.shown]);
    tensors.chain(augments).for_each(|tensor| *tensor = tensor.to_kind(Kind::Double));
    input
}

/// Everything that has changed after five steps, and the terms of the last.
fn trained(recipe: &Recipe, values: &[(String, Tensor)], ranks: &Ranks) -> Vec<(String, Tensor)> {
    let mut step = Step::new(recipe, exact_graph(recipe, values));
    let mut terms = Vec::new();
    for index in 0..STEPS {
        let count = recipe.train.accumulate;
        let part = |part| exact(share_of_input(recipe, index, ranks.share().part(part, count)));
        let parts: Vec<_> = (0..count).map(part).collect();
        terms = step.run(&parts, ranks).unwrap().into_iter().collect();
    }
    let pool = |pool: &Pool| pool.contents().map(|images| ("pool".to_string(), images));
    step.graph.tensors().into_iter().chain(terms).chain(step.pools.values().filter_map(pool)).collect()
}

/// What each of `ranks` threads comes to.
fn trained_together(recipe: &Recipe, values: &[(String, Tensor)], ranks: u32) -> Vec<Vec<(String, Tensor)>> {
    let port = free_port();
    let work = |rank| {
        let (recipe, values) = (recipe.clone(), copies(values));
        let (host, name, timeout) = ("127.0.0.1".into(), "test".into(), Duration::from_secs(60));
        let meeting = Meeting { host, port, serves: rank == 0, name, rank, ranks, timeout };
        thread::spawn(move || trained(&recipe, &values, &Ranks::join(&meeting, Device::Cpu).unwrap()))
    };
    let threads: Vec<_> = (0..ranks).map(work).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn furthest(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

/// In float64, since Adam's first steps are as long for the least of gradients as for the largest: where a float32 gradient
/// is rounding, or a rounded pixel is on the other side of a rectifier, one step is another one.
#[test]
fn five_steps_on_several_ranks_and_in_parts_are_those_of_one_whole() {
    for name in RECIPES {
        let recipe = per_image(&small_with(name, 4, &[]));
        let graph = Graph::build(&recipe, &known(&recipe), Device::Cpu);
        let values = copies(&graph.tensors());
        let alone = trained(&recipe, &values, &Ranks::ALONE);
        let mut in_parts = recipe.clone();
        in_parts.train.accumulate = 2;
        let moved =
            alone.iter().zip(&values).filter(|((_, after), (_, before))| furthest(after, before) > 1e-5);
        assert!(2 * moved.count() > values.len(), "{name}: training does nothing");
        // Its power iteration goes on with every call, of which parts take more.
        let is_iterated = recipe.discriminators.values().any(|judge| judge.spectral_norm);
        let in_parts = [(&in_parts, 1), (&in_parts, 2)].into_iter().filter(|_| !is_iterated);
        for (recipe, ranks) in [(&recipe, 2), (&recipe, 4)].into_iter().chain(in_parts) {
            for (rank, found) in trained_together(recipe, &values, ranks).into_iter().enumerate() {
                assert_eq!(found.len(), alone.len());
                for ((tensor, expected), (_, found)) in alone.iter().zip(&found) {
                    let off = furthest(expected, found);
                    assert!(off < 1e-5, "{name}, rank {rank} of {ranks}: {tensor} is {off:e} off");
                }
            }
        }
    }
}

/// Folders of images to train on.
fn faces() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let faces = folder.path().join("faces");
    let arguments = ["translate", "demo-data", faces.to_str().unwrap(), "--count", "12", "--size", "40"];
    assert_eq!(translate::cli::run_on(arguments).unwrap(), 0);
    folder
}

/// `translate train` of small translators, with a pool that is soon full.
fn training(root: &Path, run: &str, images: u64) -> Vec<String> {
    let sets = [
        "train.batch=4",
        "data.size=32",
        "data.load_size=36",
        "loss.pool=5",
        "monitor.count=0",
        "log.every=4",
        "checkpoint.every=16",
        "generators.x_to_y.net.width=4",
        "generators.y_to_x.net.width=4",
    ];
    let folders = ["photos", "anime"].map(|side| root.join("faces").join(side).display().to_string());
    let run = root.join(run).display().to_string();
    let options =
        ["-r", "cyclegan-small", "--device", "cpu", "--threads", "1", "--run", &run].map(String::from);
    let images = format!("train.images={images}");
    let sets = sets.map(String::from).into_iter().chain([images]);
    let sets = sets.flat_map(|set| ["--set".to_string(), set]);
    [vec!["train".to_string()], folders.to_vec(), options.to_vec(), sets.collect()].concat()
}

/// Starts so many ranks of `training`, whose messages go to `<run>.<rank>`.
fn start(root: &Path, run: &str, images: u64, ranks: u32) -> Vec<Child> {
    let port = free_port().to_string();
    let rank = |rank: u32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
        command.args(training(root, run, images));
        if ranks > 1 {
            command.envs([("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", &port)]);
            command.envs([("RANK", rank.to_string()), ("WORLD_SIZE", ranks.to_string())]);
        }
        let log = File::create(root.join(format!("{run}.{rank}"))).unwrap();
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    };
    (0..ranks).map(rank).collect()
}

fn said(root: &Path, run: &str, rank: usize) -> String {
    std::fs::read_to_string(root.join(format!("{run}.{rank}"))).unwrap_or_default()
}

/// Waits for all ranks, whose exit status is to be this.
fn wait(root: &Path, run: &str, ranks: Vec<Child>, status: i32) {
    for (rank, mut child) in ranks.into_iter().enumerate() {
        let found = child.wait().unwrap().code();
        assert_eq!(found, Some(status), "{run}, rank {rank}: {}", said(root, run, rank));
    }
}

fn state(root: &Path, run: &str) -> (u64, HashMap<String, Tensor>) {
    let (images, stored) = checkpoint::newest(&root.join(run).join("checkpoints")).unwrap().unwrap();
    (images, stored.tensors)
}

/// Images at the newest checkpoint.
fn saved(root: &Path, run: &str) -> u64 {
    let all = checkpoint::list(&root.join(run).join("checkpoints")).unwrap_or_default();
    all.last().map_or(0, |(images, _)| *images)
}

fn wait_for_checkpoint(root: &Path, run: &str) {
    let start = Instant::now();
    while saved(root, run) == 0 {
        assert!(start.elapsed() < Duration::from_secs(300), "{run}: {}", said(root, run, 0));
        thread::sleep(Duration::from_millis(5));
    }
}

fn send(child: &Child, signal: i32) {
    // SAFETY: a plain system call, to a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

/// From the folders on: what each rank loads, the gradients (of which Adam's first moment is half) and the loss terms.
#[test]
fn a_run_of_several_processes_is_that_of_one() {
    let folder = faces();
    let root = folder.path();
    wait(root, "one", start(root, "one", 4, 1), 0);
    let (_, one) = state(root, "one");
    let moments = || one.iter().filter(|(name, _)| name.starts_with("adam.exp_avg."));
    let largest = moments().map(|(_, moment)| moment.abs().max().double_value(&[])).fold(0.0, f64::max);
    assert!(moments().count() > 20 && largest > 0.1);
    let ticks = |run: &str| -> Tick {
        serde_json::from_str(&std::fs::read_to_string(root.join(run).join("metrics.jsonl")).unwrap()).unwrap()
    };
    for ranks in [2, 4] {
        let run = format!("{ranks}");
        wait(root, &run, start(root, &run, 4, ranks), 0);
        let (_, found) = state(root, &run);
        assert_eq!(one.len(), found.len());
        for (name, expected) in moments() {
            let off = furthest(expected, &found[name]);
            assert!(off < 1e-5 * largest, "{ranks} ranks: {name} is {off:e} off");
        }
        assert!(furthest(&one["pool.x"], &found["pool.x"]) < 1e-5);
        for (term, expected) in ticks("one").losses {
            let off = (ticks(&run).losses[&term] - expected).abs();
            assert!(off < 1e-5 * expected.abs().max(1.0), "{ranks} ranks: {term} is {off:e} off");
        }
        let info = std::fs::read_to_string(root.join(&run).join("run.json")).unwrap();
        assert!(info.contains(&format!("\"ranks\": {ranks},")), "{info}");
        assert!(!said(root, &run, 0).contains("batch norm"));
        // Only the first rank speaks.
        assert!((1..ranks as usize).all(|rank| said(root, &run, rank).is_empty()));
    }
}

#[test]
fn where_a_rank_is_gone_the_first_one_saves_and_a_new_start_goes_on() {
    let folder = faces();
    let root = folder.path();
    wait(root, "whole", start(root, "whole", 240, 2), 0);

    let mut ranks = start(root, "broken", 240, 2);
    wait_for_checkpoint(root, "broken");
    ranks[1].kill().unwrap();
    ranks[1].wait().unwrap();
    wait(root, "broken", vec![ranks.remove(0)], 1);
    let text = said(root, "broken", 0);
    let images = saved(root, "broken");
    assert!(text.contains("error: a rank is gone or does not answer: "), "{text}");
    assert!(text.contains(&format!("everything up to image {images} is saved")), "{text}");
    assert!((16..240).contains(&images), "{images}");

    wait(root, "broken", start(root, "broken", 240, 2), 0);
    let ((_, whole), (_, broken)) = (state(root, "whole"), state(root, "broken"));
    for (name, expected) in whole {
        assert_eq!(expected, broken[&name], "{name}");
    }
}

#[test]
fn a_signal_to_one_rank_stops_all_at_the_same_step() {
    let folder = faces();
    let root = folder.path();
    let ranks = start(root, "run", 1_000_000, 2);
    wait_for_checkpoint(root, "run");
    send(&ranks[1], libc::SIGTERM);
    wait(root, "run", ranks, 143);
    assert!(said(root, "run", 0).contains("stopped: everything is saved"));
    let (images, state) = state(root, "run");
    assert_eq!(state["steps"].int64_value(&[]) as u64 * 4, images);
}

#[test]
fn what_ranks_cannot_share_or_do_not_share_is_said() {
    let folder = faces();
    let root = folder.path();
    wait(root, "three", start(root, "three", 4, 3), 2);
    let text = said(root, "three", 0);
    assert!(text.contains("`train.batch` is 4, which 3 ranks cannot share equally"), "{text}");
    assert!(text.contains("`--set train.batch=6` gives each 2"), "{text}");
    assert!(said(root, "three", 2).contains("error: the first rank cannot begin; its own message says why"));
    assert!(!root.join("three").exists());
}

/// The first rank says it, before the first step.
#[test]
fn ranks_are_warned_of_batch_norm() {
    let folder = faces();
    let root = folder.path();
    let port = free_port().to_string();
    let rank = |rank: u32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
        command.current_dir(root).args([
            "train",
            "faces/anime",
            "-r",
            "dcgan-tiny",
            "--device",
            "cpu",
            "--dry-run",
        ]);
        command.args(["--set", "train.batch=8"]);
        command.envs([("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", &port)]);
        command.envs([("RANK", rank.to_string()), ("WORLD_SIZE", "2".into())]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let told: Vec<String> = [rank(0), rank(1)]
        .into_iter()
        .map(|child| String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap())
        .collect();
    let line = told[0].lines().find(|line| line.starts_with("warning: batch norm (")).unwrap_or_default();
    assert!(line.contains("`generators.z_to_x.net.norm`"), "{told:?}");
    assert!(line.ends_with("each rank's own images, 4 of a batch on each of 2 ranks"), "{told:?}");
    assert_eq!(told[1], "");
}

/// Its agent serves the store, starts ranks again where one has failed, and tells them so.
#[test]
fn torchrun_starts_again_where_a_rank_fails() {
    let Some(python) = python::interpreter() else { return };
    let folder = faces();
    let root = folder.path();
    let mut command = Command::new(&python);
    command.args([
        "-m",
        "torch.distributed.run",
        "--no-python",
        "--nproc-per-node",
        "2",
        "--max-restarts",
        "1",
    ]);
    command.args(["--master-addr", "127.0.0.1", "--master-port", &free_port().to_string()]);
    command.args(["--monitor-interval", "0.1"]);
    // The second rank's first process is one that fails as soon as there is a checkpoint.
    let script = "if [ $RANK = 1 ] && [ $TORCHELASTIC_RESTART_COUNT = 0 ]; then \
                  timeout -s KILL 300 \"$@\" & p=$!; \
                  while [ -z \"$(ls $WATCHED 2>/dev/null)\" ]; do sleep 0.05; done; kill -KILL $p; exit 1; \
                  else exec \"$@\"; fi";
    command.args(["--", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_translate")]);
    command.args(training(root, "run", 240)).env("WATCHED", root.join("run/checkpoints"));
    let output = command.stdout(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("resuming  after ") && text.contains("done: model"), "{text}");
    wait(root, "whole", start(root, "whole", 240, 2), 0);
    assert_eq!(state(root, "whole").0, state(root, "run").0);
}
