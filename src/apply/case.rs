//! File systems on which `IMG.png` and `img.png` are one file.

use std::ffi::{OsStr, OsString};
use std::fs::symlink_metadata;
use std::path::Path;

use crate::atomic::is_leftover;

/// One key for all paths that a file system which ignores case takes for the same.
pub(super) fn folded(path: &Path) -> OsString {
    path.to_str().map_or_else(|| path.as_os_str().to_ascii_lowercase(), |text| text.to_lowercase().into())
}

/// Whether `folder`, or the nearest folder above it that exists, ignores case. Nothing is written to find out: something
/// that is there is looked for under another spelling. True where nothing tells, as one output would replace another.
pub(super) fn ignores_case(folder: &Path) -> bool {
    let mut above = folder.ancestors().chain([Path::new(".")]).filter_map(|path| path.canonicalize().ok());
    let Some(there) = above.find(|path| path.is_dir()) else { return true };
    let (folder, name) = match (telling_name(&there), there.parent(), there.file_name()) {
        (Some(name), _, _) => (there.as_path(), name),
        // An empty folder's own name tells, unless the folder above belongs to another file system.
        (None, Some(parent), Some(name)) if file_system(parent) == file_system(&there) => {
            (parent, name.into())
        }
        _ => return true,
    };
    let found = |name: &OsStr| identity(&folder.join(name));
    respelt(&name).is_none_or(|other| found(&name).is_none() || found(&name) == found(&other))
}

/// The name of something in the folder that has another spelling. What another process writes at this moment may be gone
/// before it is looked for.
fn telling_name(folder: &Path) -> Option<OsString> {
    let mut names = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.find(|name| respelt(name).is_some() && !is_leftover(name))
}

fn file_system(folder: &Path) -> Option<u64> {
    identity(folder).map(|(file_system, _)| file_system)
}

/// The name with its ASCII letters in the other case, where it has some.
fn respelt(name: &OsStr) -> Option<OsString> {
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    let swapped: String = name.to_str()?.chars().map(swap).collect();
    (swapped.as_str() != name).then(|| swapped.into())
}

/// What no two files share: their file system and their number in it.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_name_found_under_another_spelling_tells() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join("12.3"), "a name without letters tells nothing").unwrap();
        fs::write(root.join("Ab.png"), "").unwrap();
        let before = ignores_case(root);
        // A second name of the same file looks as the file does where case is ignored.
        if fs::hard_link(root.join("Ab.png"), root.join("aB.PNG")).is_ok() {
            assert!(!before);
        }
        assert!(ignores_case(root) && ignores_case(&root.join("new/er")));
        // Another file of that name is another file.
        fs::remove_file(root.join("aB.PNG")).unwrap();
        fs::write(root.join("aB.PNG"), "").unwrap();
        assert_eq!(ignores_case(root), before);
    }

    #[test]
    fn what_is_being_written_tells_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for (name, telling) in [(".translate-abc.part", None), ("12.3", None), ("Ab.png", Some("Ab.png"))] {
            fs::write(folder.path().join(name), "").unwrap();
            assert_eq!(telling_name(folder.path()), telling.map(OsString::from));
        }
    }

    #[test]
    fn an_empty_folder_is_told_by_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, numbers) = (folder.path().join("plain"), folder.path().join("123"));
        fs::create_dir(&plain).unwrap();
        fs::create_dir(&numbers).unwrap();
        assert_eq!(ignores_case(&plain), folder.path().join("PLAIN").exists());
        assert!(ignores_case(&numbers), "nothing tells");
    }
}
