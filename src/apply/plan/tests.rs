use image::RgbImage;
use tempfile::TempDir;

use super::*;

/// A folder with a 1x1 image of the real format at each path (png where it has none).
fn folder(paths: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for path in paths {
        write(&folder.path().join(path));
    }
    folder
}

fn write(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let format = image::ImageFormat::from_path(path).unwrap_or(image::ImageFormat::Png);
    let mut bytes = io::Cursor::new(Vec::new());
    RgbImage::new(1, 1).write_to(&mut bytes, format).unwrap();
    fs::write(path, bytes.into_inner()).unwrap();
}

fn options(inputs: &[&Path], output: &Path) -> PlanOptions {
    let inputs = inputs.iter().map(|path| path.to_path_buf()).collect();
    PlanOptions { inputs, output: output.to_path_buf(), format: None, overwrite: false, share: Share::WHOLE }
}

/// Outputs below the output folder, in the plan's order.
fn outputs<'p>(plan: &'p Plan, output: &Path) -> Vec<&'p str> {
    plan.items.iter().map(|item| item.output.strip_prefix(output).unwrap().to_str().unwrap()).collect()
}

#[test]
fn a_tree_is_mirrored_and_a_file_lands_at_the_top() {
    let (images, output) = (folder(&["a.png", "deep/er/B.JPG", "deep/c.webp", "alone/d.bmp"]), folder(&[]));
    let file = images.path().join("deep/er/B.JPG");
    let plan = Plan::new(&options(&[images.path(), &file], output.path())).unwrap();
    assert_eq!(
        outputs(&plan, output.path()),
        ["a.png", "alone/d.bmp", "deep/c.webp", "deep/er/B.JPG", "B.JPG"]
    );
    let formats: Vec<Format> = plan.items.iter().map(|item| item.format).collect();
    assert_eq!(formats, [Format::Png, Format::Bmp, Format::Webp, Format::Jpeg, Format::Jpeg]);
    assert_eq!(plan.items[4].input, file);
}

#[test]
fn a_format_replaces_every_extension_and_png_stands_in_for_one_that_cannot_be_written() {
    let (images, output) = (folder(&["A.JPG", "b.v2.png"]), folder(&[]));
    let odd = images.path().join("scan.xyz");
    write(&odd);
    let mut options = options(&[images.path(), &odd], output.path());
    let plan = Plan::new(&options).unwrap();
    assert_eq!(outputs(&plan, output.path()), ["A.JPG", "b.v2.png", "scan.png"]);
    assert_eq!(plan.items[2].format, Format::Png);
    options.format = Some(Format::Webp);
    let plan = Plan::new(&options).unwrap();
    assert_eq!(outputs(&plan, output.path()), ["A.webp", "b.v2.webp", "scan.webp"]);
    assert!(plan.items.iter().all(|item| item.format == Format::Webp));
}

/// The two inputs and the number of others that a collision names.
fn collision(options: &PlanOptions) -> (PathBuf, PathBuf, usize) {
    let error = Plan::new(options).unwrap_err();
    let message = error.to_string();
    let PlanError::Collision { first, second, output, more } = error else { panic!("{message}") };
    for path in [&first, &second, &output] {
        assert!(message.contains(&format!("`{}`", path.display())), "{message}");
    }
    (first, second, more)
}

#[test]
fn one_stem_in_two_formats_collides_under_one_format() {
    let (images, output) = (folder(&["a.jpg", "a.png", "b.bmp", "b.jpg", "b.png"]), folder(&[]));
    let mut options = options(&[images.path()], output.path());
    assert_eq!(Plan::new(&options).unwrap().items.len(), 5);
    options.format = Some(Format::Png);
    let (first, second, more) = collision(&options);
    assert_eq!((first, second), (images.path().join("a.jpg"), images.path().join("a.png")));
    assert_eq!(more, 2);
}

#[test]
fn one_name_in_two_folders_collides() {
    let (left, right) = (folder(&["sub/a.png"]), folder(&["sub/a.png", "sub/b.png"]));
    let output = folder(&[]);
    let (first, second, more) = collision(&options(&[left.path(), right.path()], output.path()));
    assert_eq!((first, second), (left.path().join("sub/a.png"), right.path().join("sub/a.png")));
    assert_eq!(more, 0);
}

#[test]
fn names_that_differ_in_case_only_collide_where_the_output_folder_ignores_it() {
    let (left, right) = (folder(&["Ä/Face.PNG"]), folder(&["ä/face.png"]));
    let output = folder(&[]);
    let options = options(&[left.path(), right.path()], output.path());
    let apart = refuse_collisions(find(&options).unwrap().0, false).unwrap();
    assert_eq!(apart.len(), 2);
    let error = refuse_collisions(find(&options).unwrap().0, true).map(drop).unwrap_err();
    assert!(matches!(error, PlanError::Collision { .. }), "{error}");
    assert_eq!(Plan::new(&options).is_err(), ignores_case(output.path()));
}

#[test]
fn an_input_named_twice_is_done_once() {
    let (images, output) = (folder(&["a.png", "b.png"]), folder(&[]));
    let file = images.path().join("b.png");
    let plan = Plan::new(&options(&[images.path(), &file, &file], output.path())).unwrap();
    assert_eq!(outputs(&plan, output.path()), ["a.png", "b.png"]);
}

#[test]
fn writing_over_an_input_is_refused_whatever_the_path_looks_like() {
    let images = folder(&["a.png", "deep/a.png"]);
    let (top, deep) = (images.path(), images.path().join("deep"));
    let roundabout = deep.join("..");
    let before = fs::read(top.join("a.png")).unwrap();
    for (inputs, output) in [
        (vec![top], top),
        (vec![top], roundabout.as_path()),
        (vec![top.join("a.png").as_path()], roundabout.as_path()),
        // `deep/a.png` would land on `a.png`, which is an input too.
        (vec![deep.as_path(), top.join("a.png").as_path()], top),
    ] {
        let mut options = options(&inputs, output);
        options.overwrite = true;
        let error = Plan::new(&options).unwrap_err();
        assert!(matches!(error, PlanError::OverInput { .. } | PlanError::Collision { .. }), "{error}");
    }
    assert_eq!(fs::read(top.join("a.png")).unwrap(), before);
}

#[cfg(unix)]
#[test]
fn a_link_to_an_input_is_not_written_through() {
    let (images, output) = (folder(&["a.png"]), folder(&[]));
    std::os::unix::fs::symlink(images.path().join("a.png"), output.path().join("a.png")).unwrap();
    let error = Plan::new(&options(&[images.path()], output.path())).unwrap_err();
    assert!(matches!(error, PlanError::OverInput { .. }), "{error}");
}

#[test]
fn an_output_folder_inside_the_input_is_no_input() {
    let images = folder(&["a.png", "out/a.png", "out/old.png", "outer/b.png"]);
    let output = images.path().join("out");
    let mut options = options(&[images.path()], &output);
    options.overwrite = true;
    assert_eq!(outputs(&Plan::new(&options).unwrap(), &output), ["a.png", "outer/b.png"]);
    fs::remove_file(images.path().join("a.png")).unwrap();
    fs::remove_file(images.path().join("outer/b.png")).unwrap();
    let error = Plan::new(&options).unwrap_err();
    assert!(matches!(error, PlanError::NoImages { excluded: Some(_), .. }), "{error}");
}

#[test]
fn what_exists_is_skipped_unless_overwriting() {
    let (images, output) = (folder(&["a.png", "deep/b.png", "c.png"]), folder(&["deep/b.png", "c.png"]));
    let mut options = options(&[images.path()], output.path());
    let plan = Plan::new(&options).unwrap();
    assert_eq!((outputs(&plan, output.path()), plan.existing), (vec!["a.png"], 2));
    options.overwrite = true;
    let plan = Plan::new(&options).unwrap();
    assert_eq!((plan.items.len(), plan.existing), (3, 0));
}

#[test]
fn missing_and_empty_inputs_are_named() {
    let (images, output) = (folder(&["a.png"]), folder(&[]));
    let (one, two) = (images.path().join("nope"), images.path().join("nada.png"));
    let message = Plan::new(&options(&[&one, images.path(), &two], output.path())).unwrap_err().to_string();
    assert!(message.contains(&listed(&[one, two])), "{message}");
    let empty = folder(&[]);
    let message = Plan::new(&options(&[empty.path()], output.path())).unwrap_err().to_string();
    assert!(message.contains(&format!("`{}`", empty.path().display())), "{message}");
}

#[test]
fn an_output_that_cannot_be_a_folder_is_refused() {
    let images = folder(&["a.png"]);
    let file = images.path().join("a.png");
    let error = Plan::new(&options(&[images.path()], &file)).unwrap_err();
    assert!(matches!(error, PlanError::OutputIsFile { .. }), "{error}");
    let below = file.join("below");
    let error = Plan::new(&options(&[images.path()], &below)).unwrap_err();
    assert!(error.to_string().contains(&format!("`{}` (not a directory)", below.display())), "{error}");
}

#[test]
fn planning_makes_the_output_folder_and_leaves_nothing_in_it() {
    let (images, output) = (folder(&["a.png"]), folder(&[]));
    let output = output.path().join("new/er");
    Plan::new(&options(&[images.path()], &output)).unwrap();
    assert_eq!(fs::read_dir(&output).unwrap().count(), 0);
}

/// The outputs of each of `ranks` processes.
fn dealt(options: &PlanOptions, ranks: u32) -> Vec<Vec<PathBuf>> {
    let plan = |rank| Plan::new(&PlanOptions { share: Share { rank, ranks }, ..options.clone() }).unwrap();
    (0..ranks).map(|rank| plan(rank).items.into_iter().map(|item| item.output).collect()).collect()
}

#[test]
fn the_parts_of_several_processes_are_disjoint_equal_and_together_all() {
    let (images, output) =
        (folder(&["a.png", "b.png", "c/d.png", "c/e.jpg", "f.png", "g.bmp", "h.png"]), folder(&[]));
    let options = options(&[images.path(), &images.path().join("a.png")], output.path());
    let whole = dealt(&options, 1).remove(0);
    assert_eq!(whole.len(), 7);
    for ranks in 1..10 {
        let parts = dealt(&options, ranks);
        let lengths = parts.iter().map(Vec::len);
        assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1, "{parts:?}");
        let mut all = parts.concat();
        all.sort();
        let mut expected = whole.clone();
        expected.sort();
        assert_eq!(all, expected);
    }
}

#[test]
fn parts_stay_the_same_as_outputs_come_into_being() {
    let (images, output) = (folder(&["a.png", "b.png", "c.png", "d.png", "e.png"]), folder(&[]));
    let options = options(&[images.path()], output.path());
    let before = dealt(&options, 2);
    write(&before[0][0]);
    write(&before[1][1]);
    let after = dealt(&options, 2);
    assert_eq!(after, [before[0][1..].to_vec(), before[1][..1].to_vec()]);
    let second = Plan::new(&PlanOptions { share: Share { rank: 1, ranks: 2 }, ..options.clone() }).unwrap();
    assert_eq!((second.items.len(), second.existing), (1, 1));
    assert_eq!(dealt(&PlanOptions { overwrite: true, ..options }, 2), before);
}

#[test]
fn every_process_sees_that_two_inputs_become_one_file() {
    let (images, output) = (folder(&["a.jpg", "a.png", "b.png", "c.png"]), folder(&[]));
    for rank in 0..4 {
        let share = Share { rank, ranks: 4 };
        let all =
            PlanOptions { share, format: Some(Format::Png), ..options(&[images.path()], output.path()) };
        assert_eq!(collision(&all).2, 0);
    }
}

#[test]
fn what_another_process_would_take_for_an_input_is_refused() {
    let images = folder(&["a.jpg", "sub/b.jpg", "in/in/c.jpg"]);
    let (top, below) = (images.path(), images.path().join("sub/drawn"));
    let refused = |input: &Path, output: &Path| {
        let share = Share { rank: 0, ranks: 2 };
        let all = PlanOptions { share, format: Some(Format::Png), ..options(&[input], output) };
        match Plan::new(&all) {
            Ok(_) => false,
            Err(PlanError::AmongInputs { .. }) => true,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(refused(top, top) && refused(top, &top.join("sub/..")));
    // `in/in/c.jpg` of `in` becomes `in/c.png`.
    assert!(refused(&top.join("in"), top));
    assert!(!refused(&top.join("sub"), top));
    for _ in 0..2 {
        // What lies below is passed over, as soon as it is there.
        assert!(!refused(top, &below));
        write(&below.join("a.png"));
    }
}
