//! Parses, runs, exits: everything else is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    weighbridge::cli::main(std::env::args_os()).into()
}
