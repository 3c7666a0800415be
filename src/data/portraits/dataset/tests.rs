use std::collections::{BTreeMap, HashSet};

use super::*;

const SMALL: Options = Options { count: 4, size: 16, seed: 7, holdout: Some(2) };

/// The bytes of all files under a folder by their path in it.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn metadata(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("metadata.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn equal_seeds_give_equal_bytes_on_any_number_of_threads() {
    let parent = tempfile::tempdir().unwrap();
    let write = |name: &str, threads, options: &Options| {
        let folder = parent.path().join(name);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| write_dataset(&folder, options)).unwrap();
        contents(&folder)
    };
    let alone = write("a", 1, &SMALL);
    assert_eq!(alone.len(), 2 * (4 + 1) + 2 * (2 + 1));
    assert_eq!(alone, write("b", 3, &SMALL));
    assert_ne!(alone, write("c", 1, &Options { seed: 8, ..SMALL }));
}

#[test]
fn an_image_does_not_depend_on_how_many_there_are() {
    let parent = tempfile::tempdir().unwrap();
    let (few, many) = (parent.path().join("few"), parent.path().join("many"));
    write_dataset(&few, &SMALL).unwrap();
    write_dataset(&many, &Options { count: 9, holdout: Some(5), ..SMALL }).unwrap();
    let many = contents(&many);
    for (path, bytes) in contents(&few).iter().filter(|(path, _)| path.extension().unwrap() == "png") {
        assert_eq!(Some(bytes), many.get(path), "{}", path.display());
    }
}

#[test]
fn the_holdout_is_paired_and_everything_else_is_not() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new/set");
    let options = Options { count: 40, size: 16, seed: 3, holdout: None };
    let summary = write_dataset(&folder, &options).unwrap();
    assert_eq!(summary, Summary { folder: folder.clone(), count: 40, holdout: 32, size: 16 });
    let lines = |name: &str| metadata(&folder.join(name));
    assert_eq!(lines("holdout/photos"), lines("holdout/anime"));
    let anonymous = |name: &str| {
        let mut lines = lines(name);
        for line in &mut lines {
            line["file_name"] = Value::Null;
        }
        lines.iter().map(Value::to_string).collect::<HashSet<_>>()
    };
    let (photos, anime, holdout) = (anonymous("photos"), anonymous("anime"), anonymous("holdout/photos"));
    assert_eq!((photos.len(), anime.len(), holdout.len()), (40, 40, 32));
    assert!(photos.is_disjoint(&anime) && photos.is_disjoint(&holdout) && anime.is_disjoint(&holdout));
}

#[test]
fn metadata_describes_the_person_that_the_image_shows() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("set");
    write_dataset(&folder, &SMALL).unwrap();
    for (number, line) in metadata(&folder.join("anime")).iter().enumerate() {
        let person = Group::Anime.person(SMALL.seed, number);
        let name = line["file_name"].as_str().unwrap();
        let file = image::open(folder.join("anime").join(name)).unwrap().into_rgb8();
        assert_eq!(file, draw(&person, Style::Anime, SMALL.size));
        let (eyes, hair) = (line["eye_color"].as_str().unwrap(), line["hair_color"].as_str().unwrap());
        assert_eq!((eyes, hair), (person.eye_color.name(), person.hair_color.name()));
        assert_eq!(line["text"], format!("{eyes} eyes, {hair} hair"));
    }
}

#[test]
fn an_occupied_folder_is_refused_and_left_as_it_was() {
    let parent = tempfile::tempdir().unwrap();
    fs::write(parent.path().join("mine.txt"), "keep").unwrap();
    let error = write_dataset(parent.path(), &SMALL).unwrap_err();
    let name = parent.path().display().to_string();
    assert_eq!(
        error.to_string(),
        format!(
            "`{name}` is not empty, expected a new or empty folder; name another folder or remove this one"
        )
    );
    let file = parent.path().join("mine.txt");
    assert!(matches!(write_dataset(&file, &SMALL), Err(DemoError::NotAFolder(path)) if path == file));
    assert_eq!(contents(parent.path()), BTreeMap::from([("mine.txt".into(), b"keep".to_vec())]));
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn an_empty_folder_is_filled_and_nothing_else_is_left() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("empty");
    fs::create_dir(&folder).unwrap();
    write_dataset(&folder, &SMALL).unwrap();
    assert_eq!(names(&folder), ["anime", "holdout", "photos"].map(Into::into).into());
    assert_eq!(names(parent.path()), ["empty".into()].into());
}

#[test]
fn numbers_out_of_range_are_refused_before_anything_is_made() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("set");
    for (options, message) in [
        (Options { count: 0, ..SMALL }, "`count` is 0, expected 1 to 1000000; give a number in that range"),
        (Options { size: 15, ..SMALL }, "`size` is 15, expected 16 to 4096; give a number in that range"),
        (Options { size: 5000, ..SMALL }, "`size` is 5000, expected 16 to 4096; give a number in that range"),
    ] {
        assert_eq!(write_dataset(&folder, &options).unwrap_err().to_string(), message);
    }
    assert!(!folder.exists());
}

/// The names in a folder.
fn names(folder: &Path) -> HashSet<std::ffi::OsString> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next_one() {
    let parent = tempfile::tempdir().unwrap();
    let (inside, beside) = (parent.path().join("inside"), parent.path().join("beside"));
    fs::create_dir(&inside).unwrap();
    for base in [&inside, parent.path()] {
        let draft = Draft::new(base).unwrap();
        fs::create_dir(draft.folder.path().join("set")).unwrap();
        // As a kill does: the folder stays, and the lock goes.
        let _ = draft.folder.keep();
    }
    let at_work = Draft::new(parent.path()).unwrap();
    fs::write(parent.path().join(".portraits-mine"), "a file").unwrap();
    fs::create_dir(parent.path().join(".portraits-folder")).unwrap();
    let names_of_set = HashSet::from(["anime", "holdout", "photos"].map(Into::into));
    for folder in [&inside, &beside] {
        write_dataset(folder, &SMALL).unwrap();
        assert_eq!(names(folder), names_of_set);
    }
    let of_others = [".portraits-mine", ".portraits-folder", "inside", "beside"].map(Into::into);
    let at_work = at_work.folder.path().file_name().unwrap().to_owned();
    assert_eq!(names(parent.path()), of_others.into_iter().chain([at_work]).collect());
}

#[test]
fn a_stop_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let (empty, new) = (parent.path().join("empty"), parent.path().join("new"));
    fs::create_dir(&empty).unwrap();
    for folder in [&empty, &new] {
        let stopped = write_dataset_unless(folder, &SMALL, &AtomicBool::new(true));
        assert!(matches!(stopped, Err(DemoError::Interrupted(path)) if path == *folder));
    }
    assert_eq!(names(parent.path()), HashSet::from(["empty".into()]));
    assert!(names(&empty).is_empty());
}
