//! The ready files of `docs/scale.md`: each is well formed, and those that translate do so by the variables that their
//! launcher sets.

use std::path::Path;
use std::process::Command;

use translate::data::portraits::{Options, write_dataset};

const GUIDE: &str = include_str!("../../docs/scale.md");

/// The blocks of one language that hold `part`.
fn blocks(language: &str, part: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let blocks = GUIDE.split(&begin).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains(part)).collect()
}

/// A folder with a model and images where the guide has them.
fn work() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (root, run) = (folder.path(), folder.path().join("models/photos-anime"));
    write_dataset(&root.join("faces"), &Options { count: 10, size: 32, seed: 4, holdout: None }).unwrap();
    std::fs::rename(root.join("faces/photos"), root.join("photos")).unwrap();
    std::fs::create_dir_all(&run).unwrap();
    crate::model::write_model(&run.join("model.safetensors"));
    crate::model::write_model(&root.join("model.safetensors"));
    folder
}

/// Runs it where the program is on the path.
fn run(root: &Path, mut command: Command, variables: &[(&str, String)]) {
    let program = Path::new(env!("CARGO_BIN_EXE_translate")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    command.current_dir(root).env("PATH", path).envs(variables.iter().map(|(name, value)| (name, value)));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn drawn(root: &Path) -> usize {
    std::fs::read_dir(root.join("drawn")).unwrap().count()
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-ec", script]);
    command
}

#[test]
fn the_shell_takes_every_script() {
    let scripts = blocks("sh", "");
    assert!(scripts.len() > 6, "{}", scripts.len());
    for script in scripts {
        let checked = Command::new("sh").args(["-nc", script]).output().unwrap();
        assert!(checked.status.success(), "{script}: {}", String::from_utf8_lossy(&checked.stderr));
    }
}

#[test]
fn an_array_s_script_translates_all() {
    let folder = work();
    let root = folder.path();
    let script = blocks("sh", "--array=0-7")[0];
    for task in 0..8 {
        let all = [("MIN", 0), ("MAX", 7), ("COUNT", 8), ("STEP", 1), ("ID", task)];
        let all = all.map(|(name, value)| (format!("SLURM_ARRAY_TASK_{name}"), value.to_string()));
        let variables: Vec<(&str, String)> =
            all.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        run(root, shell(script), &variables);
    }
    assert_eq!(drawn(root), 10);
}

#[test]
fn a_job_s_pods_translate_all() {
    let folder = work();
    let root = folder.path();
    let yaml = blocks("yaml", "completionMode")[0].replace("/data", &root.display().to_string());
    let job: serde_json::Value = serde_yaml::from_str(&yaml).unwrap();
    let command = &job["spec"]["template"]["spec"]["containers"][0]["command"];
    let words: Vec<&str> = command.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(job["spec"]["completions"], 8);
    for pod in 0..8 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
        command.args(&words[1..]);
        run(root, command, &[("JOB_COMPLETION_INDEX", pod.to_string())]);
    }
    assert_eq!(drawn(root), 10);
}

#[test]
fn two_processes_said_outright_translate_all() {
    let folder = work();
    run(folder.path(), shell(blocks("sh", "--shard 0/2")[0]), &[]);
    assert_eq!(drawn(folder.path()), 10);
}

#[test]
fn the_training_job_s_pods_are_alike() {
    let job: serde_json::Value = serde_yaml::from_str(blocks("yaml", "PyTorchJob")[0]).unwrap();
    let replicas = &job["spec"]["pytorchReplicaSpecs"];
    assert_eq!(replicas["Master"]["template"], replicas["Worker"]["template"]);
    let container = &replicas["Worker"]["template"]["spec"]["containers"][0];
    assert_eq!(container["name"], "pytorch");
    let ranks = ["Master", "Worker"].map(|kind| replicas[kind]["replicas"].as_u64().unwrap());
    let batch = container["args"][1].as_str().unwrap().trim_start_matches("train.batch=");
    assert_eq!(batch.parse::<u64>().unwrap() % ranks.iter().sum::<u64>(), 0);
}
