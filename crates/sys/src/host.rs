//! Facts about the machine and about processes, as the kernel tells them.
//!
//! Reads `/proc` and asks the kernel; changes nothing and remembers nothing.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::system::uname;

/// What distinguishes this boot of this machine from every other.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The environment variable that names another file than `/etc/machine-id`: a container has one of its own, or none,
/// and is given its host's.
pub const MACHINE_ID_VARIABLE: &str = "OMNIVISOR_MACHINE_ID_FILE";

/// What distinguishes this installation from every other; `None` where nothing says so.
pub fn machine_id() -> Option<String> {
    let file = std::env::var_os(MACHINE_ID_VARIABLE).unwrap_or_else(|| "/etc/machine-id".into());
    first_line(file.as_ref())
}

/// What distinguishes this hardware, virtual or not, from every other: a copy of a disk has its original's machine-id,
/// but not its board. `None` where nothing says so, or where only root may know.
pub fn board_id() -> Option<String> {
    first_line("/sys/class/dmi/id/product_uuid".as_ref())
}

fn first_line(file: &std::path::Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().next().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned)
}

/// The kernel and the machine it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Kernel name, `Linux`.
    pub kernel: String,
    /// Kernel release, as `uname -r` prints it.
    pub kernel_release: String,
    /// Machine, as `uname -m` prints it.
    pub machine: String,
    /// Host name.
    pub host_name: String,
}

/// Asks the kernel who it is.
pub fn host_facts() -> HostFacts {
    let names = uname();
    HostFacts {
        kernel: names.sysname().to_string_lossy().into_owned(),
        kernel_release: names.release().to_string_lossy().into_owned(),
        machine: names.machine().to_string_lossy().into_owned(),
        host_name: names.nodename().to_string_lossy().into_owned(),
    }
}

/// What identifies a process beyond its pid, which is used again after its death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Pid of the parent.
    pub parent: u32,
    /// Process group.
    pub group: u32,
    /// Start time in clock ticks since boot: with pid and boot id, unique for ever.
    pub start_ticks: u64,
    /// Whether it is dead and only waits for its parent to ask.
    pub zombie: bool,
}

/// Facts about a process; `None` when there is no such process.
pub fn process_facts(pid: u32) -> io::Result<Option<ProcessFacts>> {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(line) => match parse_stat(&String::from_utf8_lossy(&line)) {
            Some(facts) => Ok(Some(facts)),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat has another form"))),
        },
        // A process that ends between open and read answers ESRCH.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the process that once had this pid and start time still runs.
pub fn is_alive(pid: u32, start_ticks: u64) -> io::Result<bool> {
    Ok(process_facts(pid)?.is_some_and(|facts| facts.start_ticks == start_ticks && !facts.zombie))
}

/// A process that runs now, as far as we may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningProcess {
    /// Its pid.
    pub pid: u32,
    /// Start time in clock ticks since boot.
    pub start_ticks: u64,
    /// Its program file; `None` when that is not for us to know.
    pub program: Option<PathBuf>,
    /// Its arguments, its name first.
    pub arguments: Vec<OsString>,
}

/// Every process that runs now. One that ends meanwhile may be missing.
pub fn running_processes() -> io::Result<Vec<RunningProcess>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        let Some(facts) = process_facts(pid)?.filter(|facts| !facts.zombie) else { continue };
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = line.strip_suffix(b"\0").unwrap_or(&line).split(|byte| *byte == 0);
        found.push(RunningProcess {
            pid,
            start_ticks: facts.start_ticks,
            program: fs::read_link(format!("/proc/{pid}/exe")).ok(),
            arguments: words.map(|word| OsString::from_vec(word.to_owned())).collect(),
        });
    }
    Ok(found)
}

/// The program's name stands in brackets and may hold anything, brackets and blanks included, so the
/// fields are counted from the last bracket.
fn parse_stat(line: &str) -> Option<ProcessFacts> {
    let (_, rest) = line.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(ProcessFacts {
        zombie: matches!(*fields.first()?, "Z" | "X" | "x"),
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_program_name_moves_no_field() {
        let line = "42 (a) Z 1 1) S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 100 200";
        let facts = parse_stat(line).unwrap();
        assert_eq!(facts, ProcessFacts { parent: 7, group: 8, start_ticks: 777, zombie: false });
        assert_eq!(parse_stat("42 (a"), None);
        assert_eq!(parse_stat("42 (a) S 1"), None);
    }

    #[test]
    fn this_process_is_alive_and_no_other_was_it() {
        let pid = std::process::id();
        let facts = process_facts(pid).unwrap().unwrap();
        assert!(is_alive(pid, facts.start_ticks).unwrap());
        assert!(!is_alive(pid, facts.start_ticks + 1).unwrap());
        // Above the largest pid the kernel ever gives.
        assert_eq!(process_facts(1 << 30).unwrap(), None);
    }

    #[test]
    fn this_process_is_among_those_that_run() {
        let own = running_processes().unwrap().into_iter().find(|process| process.pid == std::process::id()).unwrap();
        assert_eq!(own.program, Some(std::env::current_exe().unwrap()));
        assert_eq!(own.arguments, std::env::args_os().collect::<Vec<_>>());
        assert!(is_alive(own.pid, own.start_ticks).unwrap());
    }

    #[test]
    fn the_name_of_a_machine_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("machine-id");
        assert_eq!(first_line(&file), None);
        fs::write(&file, "\n").unwrap();
        assert_eq!(first_line(&file), None, "an empty one names no machine");
        fs::write(&file, "0123abcd \nmore\n").unwrap();
        assert_eq!(first_line(&file).as_deref(), Some("0123abcd"));
    }

    #[test]
    fn the_host_has_a_name_and_a_boot() {
        assert_eq!(host_facts().kernel, "Linux");
        assert_eq!(boot_id().unwrap().len(), 36);
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
    }
}
