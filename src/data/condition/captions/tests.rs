use super::super::folder_of;
use super::*;

const NO_TEXT_FILE: &str =
    "no caption, expected one beside it in a text file of the same name, as `a.txt` for `a.png`";

fn problems(captions: &Captions) -> Vec<String> {
    captions.problems.iter().map(ToString::to_string).collect()
}

fn expected_of<const N: usize>(of: [(&str, &[&str]); N]) -> HashMap<PathBuf, Vec<String>> {
    of.map(|(file, texts)| (PathBuf::from(file), texts.iter().map(ToString::to_string).collect())).into()
}

fn error_of(files: &[(&str, &[u8])]) -> String {
    let (_dir, folder) = folder_of(files);
    let message = captions(&folder).unwrap_err().to_string();
    message.replace(&folder.root.display().to_string(), "X")
}

#[test]
fn jsonl_gives_each_image_its_captions() {
    let lines = "\u{feff}{\"file_name\": \"a.png\", \"text\": \" a red car \", \"wheels\": 4}\r\n\
                 \n  \n\
                 {\"text\": \"été\", \"file_name\": \"./in/b.png\"}\n\
                 {\"file_name\": \"in/../a.png\", \"text\": \"a car\"}\n\
                 {\"file_name\": \"in\\\\b.png\", \"text\": \"an odd name\"}";
    // The other sources are there too, and are not looked at.
    let (_dir, folder) = folder_of(&[
        ("a.png", b""),
        ("in/b.png", b""),
        ("in\\b.png", b""),
        ("metadata.jsonl", lines.as_bytes()),
        ("metadata.csv", b"nonsense"),
        ("a.txt", b"from a text file"),
    ]);
    let captions = captions(&folder).unwrap();
    let expected: [(&str, &[&str]); 3] =
        [("a.png", &["a red car", "a car"]), ("in/b.png", &["été"]), ("in\\b.png", &["an odd name"])];
    assert_eq!(captions.of, expected_of(expected));
    assert_eq!(captions.problems, []);
}

#[test]
fn problems_of_metadata_are_named_with_their_lines() {
    let lines = r#"
{"file_name": "gone.png", "text": "lost"}
{"file_name": "a.png", "text": "a red car"}
{"file_name": "b.png", "text": " - "}
{"file_name": "a.png", "text": ""}
{"file_name": "../OUT/a.png", "text": "outside"}
{"file_name": "in/../../a.png", "text": "outside"}
{"file_name": "in\\c.png", "text": "no separator"}
{"file_name": "notes.pdf", "text": "no image"}
{"file_name": "/a.png", "text": "absolute"}
"#;
    let (_dir, folder) = folder_of(&[
        ("a.png", b""),
        ("b.png", b""),
        ("in/c.png", b""),
        ("d.png", b""),
        ("notes.pdf", b""),
        ("metadata.jsonl", lines.as_bytes()),
    ]);
    let captions = captions(&folder).unwrap();
    assert_eq!(captions.of, expected_of([("a.png", &["a red car"])]));
    let at = folder.root.display();
    let missing = |line, name| {
        format!(
            "line {line} of `{at}/metadata.jsonl` (`{name}`): no such image, expected a path relative to this folder in \
             `file_name`"
        )
    };
    let wordless = |line, name| {
        format!("line {line} of `{at}/metadata.jsonl` (`{name}`): no words, expected a caption in `text`")
    };
    let nameless =
        |name| format!("`{at}/{name}`: no caption, expected a line in `metadata.jsonl` with its `file_name`");
    let expected = [
        missing(2, "gone.png"),
        wordless(4, "b.png"),
        wordless(5, "a.png"),
        missing(6, "../OUT/a.png"),
        missing(7, "in/../../a.png"),
        missing(8, "in\\c.png"),
        missing(9, "notes.pdf"),
        missing(10, "/a.png"),
        nameless("d.png"),
        nameless("in/c.png"),
    ];
    assert_eq!(problems(&captions), expected);
}

#[cfg(unix)]
#[test]
fn an_absolute_path_into_the_folder_is_missing_too() {
    let (_dir, folder) = folder_of(&[("a.png", b""), ("b.png", b"")]);
    let path = folder.root.join("metadata.csv");
    let inner = folder.root.join("b.png").display().to_string();
    fs::write(&path, format!("file_name,text\na.png,a red car\n{inner},absolute\n")).unwrap();
    let captions = captions(&folder).unwrap();
    assert_eq!(captions.of, expected_of([("a.png", &["a red car"])]));
    assert_eq!(captions.problems.len(), 2);
    let (first, path) = (&captions.problems[0], path.display());
    assert_eq!(first.what, format!("line 3 of `{path}` (`{inner}`)"));
}

#[test]
fn csv_is_read_by_its_header_and_its_quotes() {
    let table = "\u{feff}id, text ,file_name\r\n\
                 1,\"red, \"\"very\"\" red\",a.png\r\n\
                 \r\n\
                 2,\"two\r\nlines\",./in/b.png\r\n\
                 3,a car,a.png\r\n\
                 4,lost,gone.png\r\n\
                 5, ,c.png\r\n";
    let (_dir, folder) = folder_of(&[
        ("a.png", b""),
        ("in/b.png", b""),
        ("c.png", b""),
        ("d.png", b""),
        ("metadata.csv", table.as_bytes()),
        ("d.txt", b"from a text file"),
    ]);
    let captions = captions(&folder).unwrap();
    let expected: [(&str, &[&str]); 2] =
        [("a.png", &["red, \"very\" red", "a car"]), ("in/b.png", &["two\r\nlines"])];
    assert_eq!(captions.of, expected_of(expected));
    let at = folder.root.display();
    let expected = [
        format!(
            "line 7 of `{at}/metadata.csv` (`gone.png`): no such image, expected a path relative to this folder in \
             `file_name`"
        ),
        format!("line 8 of `{at}/metadata.csv` (`c.png`): no words, expected a caption in `text`"),
        format!("`{at}/d.png`: no caption, expected a line in `metadata.csv` with its `file_name`"),
    ];
    assert_eq!(problems(&captions), expected);
}

#[test]
fn text_files_have_a_caption_a_line() {
    let (_dir, folder) = folder_of(&[
        ("a.png", b""),
        ("a.txt", b"\xef\xbb\xbf a red car \r\n\n  \r\na car\n"),
        ("b.png", b""),
        ("c.png", b""),
        ("c.txt", b" \n\n"),
        ("d.png", b""),
        ("d.txt", b"caf\xe9"),
        ("in/e.two.jpg", b""),
        ("in/e.two.txt", "été".as_bytes()),
    ]);
    let captions = captions(&folder).unwrap();
    let expected: [(&str, &[&str]); 2] = [("a.png", &["a red car", "a car"]), ("in/e.two.jpg", &["été"])];
    assert_eq!(captions.of, expected_of(expected));
    let at = folder.root.display();
    let expected = [
        format!("`{at}/b.png`: {NO_TEXT_FILE}"),
        format!("`{at}/c.txt`: no words in it, expected one caption a line"),
        format!("`{at}/d.txt`: not UTF-8 text, save it as UTF-8"),
    ];
    assert_eq!(problems(&captions), expected);
}

#[test]
fn a_folder_without_captions_is_told_how_to_have_them() {
    assert_eq!(
        error_of(&[("a.png", b""), ("other.txt", b"text"), ("in/metadata.jsonl", b"{}")]),
        "no captions in folder `X`: expected in it a `metadata.jsonl` with lines like `{\"file_name\": \"a.png\", \
         \"text\": \"a red car\"}`, a `metadata.csv` with the columns `file_name` and `text`, or beside each image \
         `a.png` a text file `a.txt` with one caption a line; write one of these"
    );
}

#[test]
fn captions_of_no_image_are_refused() {
    let none = "none of the 2 images in folder `X` has a caption; the first of";
    let images: [(&str, &[u8]); 2] = [("a.png", b""), ("b.png", b"")];
    let message = |name, content: &[u8]| error_of(&[images[0], images[1], (name, content)]);
    assert_eq!(
        message("metadata.jsonl", br#"{"file_name": "c.png", "text": "lost"}"#),
        format!(
            "{none} 3 problems: line 1 of `X/metadata.jsonl` (`c.png`): no such image, expected a path relative to this \
             folder in `file_name`"
        )
    );
    let empty = format!("{none} 2 problems: `X/a.png`: no caption, expected a line in `metadata.");
    assert_eq!(message("metadata.jsonl", b"\n"), format!("{empty}jsonl` with its `file_name`"));
    assert_eq!(message("metadata.csv", b"file_name,text\n"), format!("{empty}csv` with its `file_name`"));
    assert_eq!(message("b.txt", b""), format!("{none} 2 problems: `X/a.png`: {NO_TEXT_FILE}"));
}

#[test]
fn a_line_that_is_no_entry_is_refused() {
    let message = |line: &str| {
        let lines = format!("{{\"file_name\": \"a.png\", \"text\": \"a car\"}}\n\n{line}\n");
        error_of(&[("a.png", b""), ("metadata.jsonl", lines.as_bytes())])
    };
    let cases = [
        (r#"{"file_name": "a.png", text"#, "not JSON from column 24 on"),
        (r#"{"file_name": "a.png"}"#, "there is no `text`"),
        (r#"{"text": "a car"}"#, "there is no `file_name`"),
        (r#"["a.png", "a car"]"#, "there is no `file_name`"),
        (r#"{"file_name": "a.png", "text": null}"#, "`text` is `null`, which is not a string"),
        (r#"{"file_name": 7, "text": "a car"}"#, "`file_name` is `7`, which is not a string"),
    ];
    for (line, reason) in cases {
        let expected = format!(
            "`X/metadata.jsonl`, line 3: {reason}; expected an object like `{{\"file_name\": \"a.png\", \"text\": \"a \
             red car\"}}`"
        );
        assert_eq!(message(line), expected, "{line}");
    }
}

#[test]
fn a_table_that_has_no_entries_is_refused() {
    let message = |table: &[u8]| error_of(&[("a.png", b""), ("metadata.csv", table)]);
    let header = "a first line with the columns `file_name` and `text`, separated by commas";
    let cases: [(&[u8], &str); 3] = [
        (b"", "file_name"),
        (b"file_name;text\na.png;a car\n", "file_name"),
        (b"file_name,caption\n", "text"),
    ];
    for (table, column) in cases {
        let expected = format!("`X/metadata.csv`, line 1: there is no column `{column}`; expected {header}");
        assert_eq!(message(table), expected);
    }
    assert_eq!(
        message(b"file_name,text\r\na.png,a car\r\n\r\na.png,a car, red\r\n"),
        "`X/metadata.csv`, line 4: the number of columns is 3, but 2 in the header; expected as many columns as the \
         header has, with text that has commas in double quotes"
    );
}

#[test]
fn metadata_that_cannot_be_read_is_refused() {
    let not_text = "not UTF-8 text, save it as UTF-8";
    for name in ["metadata.jsonl", "metadata.csv"] {
        let message =
            error_of(&[("a.png", b""), ("a.txt", b"a car"), (name, b"file_name,text\na.png,caf\xe9")]);
        assert_eq!(message, format!("cannot read captions from `X/{name}`: {not_text}"));
    }
    let folder = error_of(&[("a.png", b""), ("a.txt", b"a car"), ("metadata.csv/in.txt", b"")]);
    assert!(folder.starts_with("cannot read captions from `X/metadata.csv`: "), "{folder}");
}
