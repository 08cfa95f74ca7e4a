//! The `fakenode` program: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    fakenode::main(std::env::args().skip(1).collect())
}
