use super::*;

type Set = [(&'static str, &'static str)];

const TORCH: &Set = &[("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")];
const STEP: &Set = &[("SLURM_PROCID", "2"), ("SLURM_NTASKS", "4"), (STEP_TASKS, "4"), ("SLURM_LOCALID", "1")];
const ARRAY: &Set =
    &[(ARRAY_TASK, "3"), (ARRAY_MIN, "1"), (ARRAY_MAX, "4"), (ARRAY_COUNT, "4"), (ARRAY_STEP, "1")];

/// This process's number, of how many, and that on its machine.
fn read(shard: &str, variables: &[(&str, &str)]) -> Result<(u32, u32, u32), String> {
    let find = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_string())
    };
    let part = shard.parse::<Shard>()?.part(&find).map_err(|error| error.to_string())?;
    Ok((part.share.rank, part.share.ranks, part.local_rank))
}

/// The variables with other values for some.
fn with(variables: &Set, others: &Set) -> Vec<(&'static str, &'static str)> {
    others.iter().chain(variables).copied().collect()
}

fn without(variables: &Set, name: &str) -> Vec<(&'static str, &'static str)> {
    variables.iter().copied().filter(|(known, _)| *known != name).collect()
}

#[test]
fn a_part_said_outright_is_taken() {
    assert_eq!(read("0/1", &[]), Ok((0, 1, 0)));
    assert_eq!(read("2/3", &[]), Ok((2, 3, 0)));
    // Whatever the launcher counts; which GPU is free, it alone knows.
    assert_eq!(read("2/3", TORCH), Ok((2, 3, 1)));
    assert_eq!(read("2/3", STEP), Ok((2, 3, 1)));
    for wrong in ["", "1", "3/3", "-1/3", "1/0", "0/65536", "x/3", "1/x", "1/3/4", "auto/0", "auto/", "Auto"]
    {
        let error = read(wrong, &[]).unwrap_err();
        assert!(
            error.starts_with("expected `K/N` with K from 0 to N - 1, `auto`, or `auto/N`"),
            "{wrong}: {error}"
        );
    }
}

#[test]
fn torchrun_says_part_and_gpu() {
    assert_eq!(read("auto", TORCH), Ok((5, 8, 1)));
    assert_eq!(read("auto/8", TORCH), Ok((5, 8, 1)));
    // As Kubernetes' training operators start one process in each pod.
    assert_eq!(read("auto", &without(TORCH, "LOCAL_RANK")), Ok((5, 8, 0)));
    assert_eq!(read("auto", &with(TORCH, &[(POD, "5")])), Ok((5, 8, 1)));
    // In a batch script of several tasks, and as each of `srun`'s tasks.
    assert_eq!(read("auto", &with(TORCH, &[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "2")])), Ok((5, 8, 1)));
    assert_eq!(read("auto", &with(TORCH, STEP)), Ok((5, 8, 1)));
}

#[test]
fn srun_says_part_and_gpu() {
    assert_eq!(read("auto", STEP), Ok((2, 4, 1)));
    assert_eq!(read("auto", &without(STEP, "SLURM_LOCALID")), Ok((2, 4, 0)));
}

#[test]
fn an_array_may_begin_anywhere_and_go_in_steps() {
    assert_eq!(read("auto", ARRAY), Ok((2, 4, 0)));
    assert_eq!(read("auto", &without(ARRAY, ARRAY_STEP)), Ok((2, 4, 0)));
    let by_four =
        |task| with(ARRAY, &[(ARRAY_TASK, task), (ARRAY_MIN, "2"), (ARRAY_MAX, "14"), (ARRAY_STEP, "4")]);
    let parts: Vec<_> = ["2", "6", "10", "14"].map(by_four).iter().map(|all| read("auto", all)).collect();
    assert_eq!(parts, [0, 1, 2, 3].map(|rank| Ok((rank, 4, 0))));
    // Some tasks of a larger array once more.
    assert_eq!(read("auto/8", &with(ARRAY, &[(ARRAY_COUNT, "2")])), Ok((3, 8, 0)));
}

#[test]
fn in_the_task_of_an_array_several_processes_share_its_part() {
    let array = with(ARRAY, STEP);
    assert_eq!(read("auto", &array), Ok((2 * 4 + 2, 16, 1)));
    assert_eq!(read("auto", &with(ARRAY, TORCH)), Ok((2 * 8 + 5, 32, 1)));
    assert_eq!(read("auto/5", &array), Ok((3 * 4 + 2, 20, 1)));
}

#[test]
fn a_pod_says_its_number_and_the_option_of_how_many() {
    assert_eq!(read("auto/8", &[(POD, "0")]), Ok((0, 8, 0)));
    assert_eq!(read("auto/8", &[(POD, "7")]), Ok((7, 8, 0)));
    let error = read("auto", &[(POD, "7")]).unwrap_err();
    assert!(error.starts_with("`JOB_COMPLETION_INDEX` says which part is this pod's"), "{error}");
    assert!(error.contains("hint: `--shard auto/N` with the Job's `completions`"), "{error}");
}

#[test]
fn what_is_missing_is_named() {
    for (all, given, missing) in [
        (TORCH, "RANK", "WORLD_SIZE"),
        (TORCH, "WORLD_SIZE", "RANK"),
        (STEP, STEP_TASKS, "SLURM_PROCID"),
        (ARRAY, ARRAY_TASK, ARRAY_MIN),
        (ARRAY, ARRAY_TASK, ARRAY_MAX),
        (ARRAY, ARRAY_TASK, ARRAY_COUNT),
    ] {
        let error = read("auto", &without(all, missing)).unwrap_err();
        assert!(error.starts_with(&format!("`{given}` is set, but `{missing}` is not\nhint: ")), "{error}");
    }
    for variables in [&[][..], &[("SLURM_NTASKS", "1"), ("SLURM_PROCID", "0")]] {
        let error = read("auto", variables).unwrap_err();
        assert!(error.starts_with("`--shard auto` finds none of `RANK`, "), "{error}");
        assert_eq!(read("auto/4", variables), Err(error));
    }
}

#[test]
fn what_cannot_be_is_named() {
    for (all, name, wrong, expected) in [
        (TORCH, "RANK", "8", "0 to 7"),
        (TORCH, "WORLD_SIZE", "0", "1 to 65535"),
        (TORCH, "LOCAL_RANK", "gpu", "0 to 65535"),
        (STEP, "SLURM_PROCID", "4", "0 to 3"),
        (STEP, STEP_TASKS, "0", "1 to 65535"),
        (STEP, "SLURM_LOCALID", "-1", "0 to 65535"),
        (ARRAY, ARRAY_TASK, "5", "1 to 4"),
        (ARRAY, ARRAY_TASK, "0", "1 to 4"),
        (ARRAY, ARRAY_MIN, "x", "0 to 4294967295"),
        (ARRAY, ARRAY_MAX, "0", "1 to 4294967295"),
        (ARRAY, ARRAY_COUNT, "many", "1 to 65535"),
        (ARRAY, ARRAY_STEP, "0", "1 to 4294967295"),
    ] {
        let mut variables = without(all, name);
        variables.push((name, wrong));
        let error = read("auto", &variables).unwrap_err();
        let named = format!("the environment variable `{name}` is `{wrong}`; expected {expected}\nhint: ");
        assert!(error.starts_with(&named), "{error}");
    }
    for (variables, name, expected) in [
        (
            with(ARRAY, &[(ARRAY_TASK, "4"), (ARRAY_MAX, "7"), (ARRAY_STEP, "2")]),
            ARRAY_TASK,
            "1 to 7 in steps of 2",
        ),
        (vec![(POD, "8")], POD, "0 to 7"),
    ] {
        let shard = if name == POD { "auto/8" } else { "auto" };
        let error = read(shard, &variables).unwrap_err();
        assert!(error.contains(&format!("`{name}` is `")) && error.contains(expected), "{error}");
    }
}

#[test]
fn gaps_counts_that_differ_and_scripts_without_srun_are_refused() {
    let error = read("auto", &with(ARRAY, &[(ARRAY_MAX, "9")])).unwrap_err();
    assert!(
        error.contains("there would be 9, `SLURM_ARRAY_TASK_COUNT` is 4\nhint: `--shard auto/N`"),
        "{error}"
    );
    let error = read("auto/4", TORCH).unwrap_err();
    assert!(error.starts_with("`--shard auto/4`, but `WORLD_SIZE` is 8\nhint: "), "{error}");
    let error = read("auto/8", STEP).unwrap_err();
    assert!(error.starts_with("`--shard auto/8`, but `SLURM_STEP_NUM_TASKS` is 4\nhint: "), "{error}");
    // A batch script is given the number 0, as if it were the first task.
    let error = read("auto", &without(STEP, STEP_TASKS)).unwrap_err();
    assert!(error.starts_with("`SLURM_NTASKS` is 4, but `SLURM_STEP_NUM_TASKS` is not set"), "{error}");
    assert!(error.contains("\nhint: `srun translate apply …`"), "{error}");
}

#[test]
fn the_first_of_several_processes_without_a_part_says_so() {
    let said = |variables: &[(&str, &str)]| {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_string())
        };
        undivided(&find)
    };
    let text =
        "each of the 8 processes translates all that it is given\nhint: `--shard auto` divides it among them";
    assert_eq!(said(&with(TORCH, &[("RANK", "0")])).as_deref(), Some(text));
    assert!(said(&with(STEP, &[("SLURM_PROCID", "0")])).unwrap().starts_with("each of the 4 processes "));
    assert!(said(&with(ARRAY, &[(ARRAY_TASK, "1")])).unwrap().starts_with("each of the 4 processes "));
    let text = "each pod of the Job translates all that it is given\nhint: `--shard auto/N`, with the Job's `completions` as N, \
                divides it among them";
    assert_eq!(said(&[(POD, "0")]).as_deref(), Some(text));
    // The others, one that is alone, one that is started before the others are, and variables of something else.
    let alone = [("RANK", "0"), ("WORLD_SIZE", "1")];
    for variables in
        [TORCH, STEP, ARRAY, &[(POD, "1")], &[], &alone, &[("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0")]]
    {
        assert_eq!(said(variables), None, "{variables:?}");
    }
    assert_eq!(said(&[("RANK", "first")]), None);
}
