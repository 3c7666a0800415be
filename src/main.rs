//! The `translate` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match translate::cli::run() {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            translate::cli::tell(format_args!("error: {failure}"));
            ExitCode::from(failure.status)
        }
    }
}
