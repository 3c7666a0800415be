//! Finds the images of a folder: nested, in a fixed order, by file name extension.
//!
//! Whether a file really is an image is for [`decode`](super::decode) to say; here only names are looked at.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// File name extensions that make a file a candidate, in lower case; compared without regard to case.
pub const EXTENSIONS: [&str; 9] = ["jpg", "jpeg", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff"];

/// A folder and the images in it.
#[derive(Debug, Clone)]
pub struct ImageFolder {
    /// The folder as the user named it.
    pub root: PathBuf,
    /// The folder's own name, also for `.`, `..` and `photos/`; what a domain is called after.
    pub name: String,
    /// The candidate files, relative to `root`, sorted by the bytes of their paths; never empty after
    /// [`scan`].
    pub files: Vec<PathBuf>,
    /// Folders and links inside that were not followed: links in a circle, broken links, unreadable folders.
    pub warnings: Vec<Skipped>,
}

/// Something that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}`: {reason}", path.display())]
pub struct Skipped {
    /// The file or folder, as a path that can be opened.
    pub path: PathBuf,
    /// The reason in plain words, lower case, without a full stop.
    pub reason: String,
}

/// Why a folder of images cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Nothing is there.
    #[error("folder `{}` does not exist{}", path.display(), suggest(similar.as_deref()))]
    Missing {
        /// The folder asked for.
        path: PathBuf,
        /// An existing path that differs by little.
        similar: Option<PathBuf>,
    },
    /// A file (or device) has that name.
    #[error("`{}` is a file, expected a folder of images: name the folder that holds it", path.display())]
    NotAFolder {
        /// The path asked for.
        path: PathBuf,
    },
    /// The folder may not be listed.
    #[error(
        "no permission to list folder `{}`: allow reading it (`chmod u+rx`) or name another",
        path.display()
    )]
    NoPermission {
        /// The folder asked for.
        path: PathBuf,
    },
    /// No file in it has the extension of an image.
    #[error(
        "no images in folder `{}` ({others} other files): expected files ending in {}",
        path.display(),
        EXTENSIONS.join(", ")
    )]
    NoImages {
        /// The folder asked for.
        path: PathBuf,
        /// Visible files in it that have another extension.
        others: usize,
    },
    /// The system failed in another way.
    #[error("cannot list folder `{}`: {source}", path.display())]
    Io {
        /// The folder asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Finds the images of `root` and of the folders in it.
///
/// Hidden files and folders (names that start with a dot) are passed over, `root` itself may be hidden. Links
/// are followed, but not in circles.
///
/// # Errors
/// See [`ScanError`]; an unreadable folder inside `root` is only a warning in the result.
pub fn scan(root: &Path) -> Result<ImageFolder, ScanError> {
    check_folder(root)?;
    let mut files = Vec::new();
    let mut warnings = Vec::new();
    let mut others = 0;
    let visible = |entry: &DirEntry| entry.depth() == 0 || !is_hidden(entry.file_name());
    for entry in WalkDir::new(root).follow_links(true).into_iter().filter_entry(visible) {
        match entry {
            Ok(entry) if !entry.file_type().is_file() => {}
            Ok(entry) if !has_image_extension(entry.path()) => others += 1,
            Ok(entry) => files.extend(entry.path().strip_prefix(root).map(Path::to_path_buf)),
            Err(error) if error.depth() == 0 => return Err(io_error(root, error.into())),
            Err(error) => warnings.push(unvisited(root, &error)),
        }
    }
    if files.is_empty() {
        return Err(ScanError::NoImages { path: root.to_path_buf(), others });
    }
    files.sort_unstable_by(|a, b| path_bytes(a).cmp(path_bytes(b)));
    warnings.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(ImageFolder { root: root.to_path_buf(), name: folder_name(root), files, warnings })
}

/// True where the extension is that of an image format that can be read.
pub fn has_image_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// The bytes that order files: the same on every machine, unlike the order of a locale or of path components.
pub(crate) fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// Where `path` leads, links followed; itself where nothing is there.
pub fn real_path(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn check_folder(root: &Path) -> Result<(), ScanError> {
    let path = root.to_path_buf();
    match root.metadata() {
        Ok(metadata) if !metadata.is_dir() => Err(ScanError::NotAFolder { path }),
        Ok(_) => root.read_dir().map(drop).map_err(|error| io_error(root, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(ScanError::Missing { similar: similar_path(root), path })
        }
        Err(error) => Err(io_error(root, error)),
    }
}

fn io_error(root: &Path, source: io::Error) -> ScanError {
    let path = root.to_path_buf();
    match source.kind() {
        io::ErrorKind::PermissionDenied => ScanError::NoPermission { path },
        _ => ScanError::Io { path, source },
    }
}

fn unvisited(root: &Path, error: &walkdir::Error) -> Skipped {
    let path = error.path().unwrap_or(root).to_path_buf();
    let reason = match (error.loop_ancestor(), error.io_error()) {
        (Some(ancestor), _) => format!("links back to `{}`, not followed", ancestor.display()),
        (None, Some(io)) if io.kind() == io::ErrorKind::NotFound => "a link to nothing".to_owned(),
        (None, Some(io)) => io.to_string(),
        (None, None) => error.to_string(),
    };
    Skipped { path, reason }
}

/// A link's own name is kept; only paths without a name (`.`, `..`) ask the file system for it.
fn folder_name(root: &Path) -> String {
    let resolved = || root.canonicalize().ok()?.file_name().map(OsStr::to_owned);
    let name = root.file_name().map(OsStr::to_owned).or_else(resolved);
    name.map_or_else(|| "images".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn suggest(similar: Option<&Path>) -> String {
    match similar {
        Some(path) => format!(", did you mean `{}`?", path.display()),
        None => ": check the path, or make the folder and put images into it".to_owned(),
    }
}

/// The existing path that differs from `missing` in one misspelt component only.
fn similar_path(missing: &Path) -> Option<PathBuf> {
    let mut rest = PathBuf::new();
    for ancestor in missing.ancestors() {
        let (parent, name) = (ancestor.parent()?, ancestor.file_name()?);
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        if parent.is_dir() {
            let close = closest_entry(parent, name)?;
            let found = ancestor.with_file_name(close).join(&rest);
            return found.exists().then_some(found.components().collect());
        }
        rest = if rest.as_os_str().is_empty() { name.into() } else { Path::new(name).join(rest) };
    }
    None
}

fn closest_entry(parent: &Path, name: &OsStr) -> Option<String> {
    let wanted = name.to_string_lossy();
    let distance =
        |entry: &String| strsim::damerau_levenshtein(&wanted.to_lowercase(), &entry.to_lowercase());
    let entries = parent.read_dir().ok()?.flatten();
    entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .min_by_key(|entry| (distance(entry), entry.clone()))
        .filter(|entry| distance(entry) <= (wanted.chars().count() / 3).max(1))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn touch(root: &Path, names: &[&str]) {
        for name in names {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
    }

    #[test]
    fn files_are_found_by_extension_and_sorted_by_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("photos");
        touch(&root, &["b.PNG", "a/z.jpeg", "a.jpg", "a-1.tif", "B.webp", "é.gif", "a/deep/er/x.JFIF"]);
        touch(&root, &["notes.txt", "png", ".hidden.png", ".cache/thumb.png", "a/.x/y.png", "x.png.part"]);
        let folder = scan(&root).unwrap();
        // `-` < `.` < `/` in ASCII; components alone would put everything in `a` first.
        let expected = ["B.webp", "a-1.tif", "a.jpg", "a/deep/er/x.JFIF", "a/z.jpeg", "b.PNG", "é.gif"];
        assert_eq!(folder.files, expected.map(PathBuf::from));
        assert_eq!(folder.name, "photos");
        assert_eq!(folder.warnings, []);
    }

    #[test]
    fn the_name_is_found_for_dots_and_trailing_slashes() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("anime");
        touch(&root, &["1.png", "in/2.png"]);
        for spelling in ["", ".", "in/..", "./"] {
            assert_eq!(scan(&root.join(spelling)).unwrap().name, "anime", "{spelling}");
        }
        let hidden = dir.path().join(".anime");
        touch(&hidden, &["1.png"]);
        assert_eq!(scan(&hidden).unwrap().files.len(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("in");
        touch(&root, &["1.png", "sub/2.png"]);
        touch(dir.path(), &["elsewhere/3.png"]);
        symlink(dir.path().join("elsewhere"), root.join("linked")).unwrap();
        symlink(dir.path().join("elsewhere/3.png"), root.join("sub/one.png")).unwrap();
        symlink(&root, root.join("sub/round")).unwrap();
        symlink(dir.path().join("gone"), root.join("broken.png")).unwrap();

        let folder = scan(&root).unwrap();
        assert_eq!(folder.files, ["1.png", "linked/3.png", "sub/2.png", "sub/one.png"].map(PathBuf::from));
        let warnings: Vec<String> = folder.warnings.iter().map(ToString::to_string).collect();
        let (at, back) = (root.display(), root.join("sub/round"));
        let circle = format!("`{}`: links back to `{at}`, not followed", back.display());
        assert_eq!(warnings, [format!("`{at}/broken.png`: a link to nothing"), circle]);

        let link = dir.path().join("alias");
        symlink(&root, &link).unwrap();
        let aliased = scan(&link).unwrap();
        assert_eq!((aliased.name.as_str(), aliased.files), ("alias", folder.files));
    }

    #[test]
    fn a_missing_folder_suggests_the_close_one() {
        let dir = tempfile::tempdir().unwrap();
        touch(dir.path(), &["photos/train/1.png", "anime/1.png", "phooto.txt"]);
        let message = |path: &str| scan(&dir.path().join(path)).unwrap_err().to_string();
        let at = dir.path().display();
        assert_eq!(
            message("phtos"),
            format!("folder `{at}/phtos` does not exist, did you mean `{at}/photos`?")
        );
        assert_eq!(
            message("Photo/train"),
            format!("folder `{at}/Photo/train` does not exist, did you mean `{at}/photos/train`?")
        );
        let unlike = message("zebras");
        assert!(unlike.ends_with("check the path, or make the folder and put images into it"), "{unlike}");
        assert!(!message("phtos/test").contains("did you mean"));
    }

    #[test]
    fn what_is_no_folder_of_images_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        touch(dir.path(), &["a.png", "docs/a.txt", "docs/in/b.pdf", "docs/.x.png"]);
        let message = |path: &str| scan(&dir.path().join(path)).unwrap_err().to_string();
        assert!(message("a.png").contains("a.png` is a file, expected a folder of images"));
        let none = message("docs");
        assert!(none.contains("docs` (2 other files): expected files ending in jpg, jpeg,"), "{none}");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_without_permission_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("locked");
        touch(&root, &["1.png"]);
        fs::set_permissions(&root, fs::Permissions::from_mode(0o000)).unwrap();
        // The superuser is refused nothing, so for him the answer is taken as it would come.
        let open_to_root = root.read_dir().is_ok();
        let result = if open_to_root {
            Err(io_error(&root, io::Error::from_raw_os_error(libc::EACCES)))
        } else {
            scan(&root)
        };
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
        let text = result.unwrap_err().to_string();
        assert!(text.contains("no permission to list") && text.contains("chmod u+rx"), "{text}");
        assert!(text.contains(&root.display().to_string()), "{text}");
    }
}
