//! The program: hands its arguments to the command line.
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Result<Vec<String>, _> = std::env::args_os()
        .skip(1)
        .map(std::ffi::OsString::into_string)
        .collect();
    match arguments {
        Ok(arguments) => ExitCode::from(stonechat::cli::run(&arguments)),
        Err(argument) => {
            let _gone = writeln!(
                std::io::stderr(),
                "stonechat: {} is not UTF-8\n  write names and paths in UTF-8",
                argument.to_string_lossy()
            );
            ExitCode::FAILURE
        }
    }
}
