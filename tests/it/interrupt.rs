//! A translation that is interrupted writes what it has and says so by its exit status.

#![cfg(unix)]

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::RgbImage;

/// A file that nothing can be read of until somebody has opened it to write.
fn make_pipe(path: &Path) {
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a plain system call on a string that ends in a zero byte.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

/// Waits for the end of `child`, to which the pipe is an empty file each time that it opens it.
fn release(child: &mut Child, pipe: &Path) -> Option<i32> {
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < Duration::from_secs(300), "it does not end");
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        // Refused as long as nobody reads.
        drop(OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(pipe));
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_interrupted_translation_ends_with_the_signal_s_status() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    crate::model::write_model(&root.join("m.safetensors"));
    RgbImage::new(8, 8).save(root.join("a.png")).unwrap();
    RgbImage::new(8, 8).save(root.join("c.png")).unwrap();
    // The work cannot pass it, so the signal comes before the end, whatever the machine's speed.
    make_pipe(&root.join("b.png"));
    for (signal, status) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_translate"));
        command.current_dir(root).args(["apply", "m.safetensors", "a.png", "b.png", "c.png", "-o", "out"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        // It listens to signals when it says so.
        stderr.read_line(&mut line).unwrap();
        assert!(line.starts_with("translating 3 images to anime"), "{line}");
        // SAFETY: a plain system call, to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
        std::thread::sleep(Duration::from_millis(100));
        let ended = release(&mut child, &root.join("b.png"));
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(ended, Some(status), "{said}");
        assert!(said.contains(" translated, ") && !root.join("out/c.png").exists(), "{said}");
    }
}
