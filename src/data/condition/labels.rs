//! Classes: `X/<class>/image.png`, where the first folder names the class and all below it belong to it.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::ConditionError;
use crate::data::left_out::LeftOut;
use crate::data::scan::ImageFolder;

/// The classes of a folder's images.
#[derive(Debug, Clone)]
pub struct Labels {
    /// The classes that have images, sorted by the bytes of their names; at least two.
    pub names: Vec<String>,
    /// The class of each image, as a place in `names`, by its path relative to the folder.
    pub of: HashMap<PathBuf, u32>,
    /// Images right in the folder, which have no class, in the folder's order.
    pub alone: Vec<LeftOut>,
}

/// The classes of the images of `folder`; class folders without images do not count.
///
/// # Errors
/// There are fewer than two classes, or one has a name that is not UTF-8.
pub fn labels(folder: &ImageFolder) -> Result<Labels, ConditionError> {
    let mut classes: BTreeMap<&str, Vec<&Path>> = BTreeMap::new();
    let mut alone = Vec::new();
    for file in &folder.files {
        let path = folder.root.join(file);
        match class_folder(file) {
            None => {
                let reason = "in no class folder, expected `<class>/<image>`";
                alone.push(LeftOut { what: format!("`{}`", path.display()), reason: reason.into() });
            }
            Some(class) => {
                let path = folder.root.join(class);
                let name = class.to_str().ok_or(ConditionError::ClassName { path })?;
                classes.entry(name).or_default().push(file);
            }
        }
    }
    let names: Vec<String> = classes.keys().map(ToString::to_string).collect();
    match &names[..] {
        [] => Err(ConditionError::NoClasses { root: folder.root.clone(), images: alone.len() }),
        [class] => Err(ConditionError::OneClass { root: folder.root.clone(), class: class.clone() }),
        _ => {
            let numbered = classes.values().zip(0..);
            let of =
                numbered.flat_map(|(files, class)| files.iter().map(move |file| (file.to_path_buf(), class)));
            Ok(Labels { of: of.collect(), names, alone })
        }
    }
}

fn class_folder(file: &Path) -> Option<&OsStr> {
    let mut parts = file.components();
    let first = parts.next()?;
    parts.next().map(|_| first.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::super::folder_of;
    use super::*;

    const ANIMALS: [(&str, &[u8]); 6] = [
        ("cat/1.png", b""),
        ("cat/young/deep/2.png", b""),
        ("Dog/1.png", b""),
        ("émeu/1.png", b""),
        ("cat-like/1.png", b""),
        ("empty/notes.txt", b""),
    ];

    #[test]
    fn the_first_folder_is_the_class() {
        let (_dir, folder) = folder_of(&ANIMALS);
        let labels = labels(&folder).unwrap();
        assert_eq!(labels.names, ["Dog", "cat", "cat-like", "émeu"]);
        let expected = [
            ("Dog/1.png", 0),
            ("cat/1.png", 1),
            ("cat/young/deep/2.png", 1),
            ("cat-like/1.png", 2),
            ("émeu/1.png", 3),
        ];
        assert_eq!(labels.of, expected.map(|(file, class)| (PathBuf::from(file), class)).into());
        assert_eq!(labels.alone, []);
    }

    #[test]
    fn images_beside_class_folders_are_named() {
        let (_dir, folder) = folder_of(&[("b/1.png", b""), ("z.png", b""), ("a/1.png", b""), ("c.jpg", b"")]);
        let labels = labels(&folder).unwrap();
        assert_eq!((labels.names.len(), labels.of.len()), (2, 2));
        let alone: Vec<String> = labels.alone.iter().map(ToString::to_string).collect();
        let at = folder.root.display();
        let expected = ["c.jpg", "z.png"]
            .map(|file| format!("`{at}/{file}`: in no class folder, expected `<class>/<image>`"));
        assert_eq!(alone, expected);
    }

    #[test]
    fn fewer_than_two_classes_are_refused() {
        let (_dir, folder) = folder_of(&[("1.png", b""), ("2.png", b""), ("empty/notes.txt", b"")]);
        let at = folder.root.display();
        assert_eq!(
            labels(&folder).unwrap_err().to_string(),
            format!(
                "no class folders in `{at}`, its 2 images lie right in it: expected `{at}/<class>/<image>`, so move \
                 the images of each class into a folder of that name"
            )
        );
        let (_dir, folder) = folder_of(&[("1.png", b""), ("cat/1.png", b""), ("empty/notes.txt", b"")]);
        assert_eq!(
            labels(&folder).unwrap_err().to_string(),
            format!(
                "only one class folder with images in `{}`, `cat`: expected at least two, so add a folder of another \
                 class beside it or train without classes",
                folder.root.display()
            )
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_class_that_cannot_be_named_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let (_dir, mut folder) = folder_of(&ANIMALS);
        folder.files.push(Path::new(OsStr::from_bytes(b"caf\xe9")).join("1.png"));
        let message = labels(&folder).unwrap_err().to_string();
        assert!(message.ends_with("caf\u{fffd}` has a name that is not UTF-8: rename it"), "{message}");
    }
}
