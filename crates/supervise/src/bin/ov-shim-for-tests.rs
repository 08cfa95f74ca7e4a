//! The shim alone in a program, for the tests of this crate; users get it as `omnivisor shim`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ov_shim::main(std::env::args_os().skip(1))
}
