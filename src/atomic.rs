//! Files that are complete or absent: bytes go to a hidden file beside the target, which then takes its name.
//!
//! So a program killed on the way leaves the old file or the new one, never half of one; at worst it leaves a hidden
//! file, which [`remove_leftovers`] knows by its name.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

const PREFIX: &str = ".translate-";
const SUFFIX: &str = ".part";

/// Writes `bytes` to `path`, replacing a file that is there.
///
/// # Errors
/// The file system's; a file that was there is untouched then, and nothing is left behind.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    persist(filled(path, bytes)?, path)
}

/// As [`write`], and the bytes are on the disk before the file takes its name, so that a power cut is no different from a
/// kill. Slower: for what cannot be made again.
///
/// # Errors
/// As [`write`].
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = filled(path, bytes)?;
    file.as_file().sync_all()?;
    persist(file, path)
}

/// As [`write_durably`], for a file that is there: a link to it stays one, and its permissions are kept.
///
/// # Errors
/// As [`write`], or the file is read-only.
pub fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let real = fs::canonicalize(path)?;
    let permissions = fs::metadata(&real)?.permissions();
    // A rename asks the folder alone.
    if permissions.readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    let file = filled(&real, bytes)?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    persist(file, &real)
}

/// As [`write_durably`], where `check` is asked first about the complete file, which still has a hidden name then. Gives
/// what it answers.
///
/// # Errors
/// The file system's, or those of `check`; what was there is untouched then, and nothing is left behind.
pub fn write_checked<T, E: From<io::Error>>(
    path: &Path,
    bytes: &[u8],
    check: impl FnOnce(&Path) -> Result<T, E>,
) -> Result<T, E> {
    let file = filled(path, bytes)?;
    file.as_file().sync_all()?;
    let answer = check(file.path())?;
    persist(file, path)?;
    Ok(answer)
}

/// Finds out whether files can be made in `folder` by making one, which is gone at once: permissions alone do not tell.
///
/// # Errors
/// They cannot.
pub fn try_writing(folder: &Path) -> io::Result<()> {
    hidden_file(folder)?.write_all(b"x").map_err(without_name)
}

/// The folder that a file lies in: `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes what writes that were killed left in `folder`. Only for folders that no other process writes to.
///
/// # Errors
/// The file system's.
pub fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_leftover(&entry.file_name()) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a file of this name is what a killed write left.
pub fn is_leftover(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
}

fn filled(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = hidden_file(folder_of(path))?;
    file.write_all(bytes).map_err(without_name)?;
    Ok(file)
}

/// The same error without the name of the hidden file, of which nobody has heard.
fn without_name(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path \"") {
        Some((reason, _)) => io::Error::new(error.kind(), reason),
        None => error,
    }
}

fn hidden_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // Temporary files are private by default; the result shall have the permissions of any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(without_name)
}

fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_fails_its_check_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old").unwrap();
        let refuse = |hidden: &Path| Err::<(), _>(io::Error::other(fs::read_to_string(hidden).unwrap()));
        assert_eq!(write_checked(&path, b"bad", refuse).unwrap_err().to_string(), "bad");
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"old".to_vec(), vec!["a".into()]));
        assert_eq!(write_checked(&path, b"new", |_| Ok::<_, io::Error>(7)).unwrap(), 7);
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"new".to_vec(), vec!["a".into()]));
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_appears() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old").unwrap();
        write_durably(&path, b"new").unwrap();
        try_writing(folder.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_failure_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        // A folder that holds something cannot be replaced: the last move fails, after the hidden file was made.
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join("b/keep"), "").unwrap();
        for write in [write, write_durably] {
            write(&folder.path().join("b"), b"new").unwrap_err();
            let error = write(&folder.path().join("no/where"), b"new").unwrap_err();
            assert_eq!(error.to_string(), "No such file or directory (os error 2)");
        }
        let error = try_writing(&folder.path().join("no")).unwrap_err();
        assert!(error.kind() == io::ErrorKind::NotFound && !error.to_string().contains(PREFIX), "{error}");
        assert_eq!(names(folder.path()), ["b"]);
    }

    #[test]
    fn leftovers_are_known_by_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let (_, left) = hidden_file(folder.path()).unwrap().keep().unwrap();
        assert!(left.exists());
        for other in [".translate-notes", "translate-a.part", ".part"] {
            fs::write(folder.path().join(other), "").unwrap();
        }
        remove_leftovers(folder.path()).unwrap();
        assert_eq!(names(folder.path()), [".part", ".translate-notes", "translate-a.part"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_rewritten_file_keeps_its_links_and_permissions() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "old").unwrap();
        symlink("file", &link).unwrap();
        let set = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        set(0o640);
        rewrite(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        set(0o440);
        assert_eq!(rewrite(&link, b"newer").unwrap_err().to_string(), "it is read-only");
        assert_eq!(
            (fs::read(&file).unwrap(), names(folder.path())),
            (b"new".to_vec(), vec!["file".into(), "link".into()])
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_is_as_readable_as_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let [ours, plain] = ["ours", "plain"].map(|name| folder.path().join(name));
        write(&ours, b"").unwrap();
        fs::write(&plain, "").unwrap();
        assert_eq!(fs::metadata(ours).unwrap().permissions(), fs::metadata(plain).unwrap().permissions());
    }
}
