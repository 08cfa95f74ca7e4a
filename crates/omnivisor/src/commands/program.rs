//! Commands about the program itself: `completions`, `man`, `schema`, `exit-codes`.

use std::fmt::Write as _;
use std::path::Path;

use ov_sys::{RealDisk, durable};
use ov_types::ExitCode;

use crate::args;
use crate::failure::Failure;
use crate::output::{Console, Tone};
use crate::session::Session;

pub(super) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "omnivisor", &mut script);
    Console::write(&script)
}

/// One page per command: `omnivisor.1`, `omnivisor-plan.1`, `omnivisor-plan-add.1`, …
pub(super) fn man(session: &Session, directory: &Path) -> Result<(), Failure> {
    let absolute = std::path::absolute(directory).map_err(|error| Failure::file("find", directory, &error))?;
    durable::make_directories(&RealDisk, &absolute, 0o755)
        .map_err(|error| Failure::file("make the folder", &absolute, &error))?;
    // Built, so that names, usage and global options are those that `--help` shows.
    let mut command = args::command().help_template(clap::builder::StyledStr::new());
    command.build();
    let count = man_pages(&command, "omnivisor", &absolute)?;
    session.console.say(Tone::Plain, &format!("{count} pages are in {}", absolute.display()));
    Ok(())
}

fn man_pages(command: &clap::Command, name: &str, directory: &Path) -> Result<usize, Failure> {
    let mut page = Vec::new();
    let path = directory.join(format!("{name}.1"));
    clap_mangen::Man::new(command.clone().name(name.to_owned()))
        .render(&mut page)
        .and_then(|()| durable::replace(&RealDisk, &path, &page, 0o644))
        .map_err(|error| Failure::file("write", &path, &error))?;
    let mut count = 1;
    for below in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        count += man_pages(below, &format!("{name}-{}", below.get_name()), directory)?;
    }
    Ok(count)
}

pub(super) fn schema() -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(&ov_chains::schema()).map_err(|error| Failure::output(&error))?;
    text.push('\n');
    Console::write(text.as_bytes())
}

pub(super) fn exit_codes() -> Result<(), Failure> {
    Console::write(exit_code_page().as_bytes())
}

/// `docs/exit-codes.md`.
fn exit_code_page() -> String {
    let mut page = "# Exit codes\n\nHow every command of `omnivisor` ends. Scripts may rely on these numbers.\n\n\
                    | code | name | meaning |\n|---:|---|---|\n"
        .to_owned();
    for (code, name, meaning) in ExitCode::TABLE {
        let _ = writeln!(page, "| {} | {name} | {meaning} |", code.number());
    }
    page.push_str("\nMade by `omnivisor exit-codes`; a test compares the two.\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_exit_codes_is_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/exit-codes.md");
        let page = std::fs::read_to_string(path).unwrap();
        assert_eq!(page, exit_code_page(), "write it anew: omnivisor exit-codes > docs/exit-codes.md");
    }
}
