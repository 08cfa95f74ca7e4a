//! The machine: processor, kernel, cgroups, clock, limits, memory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ov_sys::host::host_facts;
use ov_sys::process::{Program, run};
use ov_types::ByteSize;
use rustix::process::{Resource, geteuid, getrlimit};

use super::{DoctorInput, Verdict};

/// Enough of any file of `/proc` that is read here.
pub(super) const PROC_BYTES_MAX: u64 = 1 << 20;
/// How long a program of the system may take to answer.
pub(super) const PROGRAM_TIMEOUT: Duration = Duration::from_secs(2);
/// The oldest kernel that can wait for a process without racing for its number.
const KERNEL_NEEDED: (u32, u32) = (5, 4);
/// The oldest kernel that ends a whole cgroup in one step.
const KERNEL_WANTED: (u32, u32) = (5, 14);
/// Fewer open files than this, and a node that has grown fails at night.
const DESCRIPTORS_WANTED: u64 = 8192;
/// Less available memory than this, and a migration is likely to be killed.
const MEMORY_WANTED_BYTES: u64 = 512 << 20;

pub(super) fn arch(_: &DoctorInput<'_>) -> Vec<Verdict> {
    vec![judge_arch(&host_facts().machine, std::env::consts::ARCH)]
}

pub(super) fn judge_arch(host: &str, ours: &str) -> Verdict {
    // The kernel's name for it and the compiler's differ only here.
    let same = host == ours || (ours == "x86" && matches!(host, "i386" | "i586" | "i686"));
    if same {
        return Verdict::good("host", host);
    }
    let message = format!("the processor is {host}, omnivisor is built for {ours}");
    Verdict::warning("host", message, format!("install the omnivisor that is built for {host}"))
}

pub(super) fn kernel(_: &DoctorInput<'_>) -> Vec<Verdict> {
    vec![judge_kernel(&host_facts().kernel_release)]
}

pub(super) fn judge_kernel(release: &str) -> Verdict {
    match kernel_version(release) {
        None => Verdict::unknown("host", format!("kernel {release}: no version that can be compared")),
        Some(version) if version < KERNEL_NEEDED => {
            let message = format!("kernel {release} cannot wait for processes safely");
            Verdict::error("host", message, "use kernel 5.4 or later, better 5.14")
        }
        Some(version) if version < KERNEL_WANTED => {
            let message = format!("kernel {release} cannot end a cgroup in one step");
            Verdict::warning("host", message, "use kernel 5.14 or later")
        }
        Some(_) => Verdict::good("host", format!("kernel {release}")),
    }
}

pub(super) fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

pub(super) fn cgroup(input: &DoctorInput<'_>) -> Vec<Verdict> {
    const FIX: &str = "let a service manager start omnivisor with `Delegate=yes`";
    let Some(own) = own_cgroup(input) else {
        let message = "no cgroup v2: processes that a unit leaves behind are found by their parent alone";
        return vec![Verdict::warning("host", message, "boot with the unified cgroup hierarchy")];
    };
    let folder = Path::new("/sys/fs/cgroup").join(own.strip_prefix("/").unwrap_or(&own));
    let read_only = input.disk.room(&folder).is_ok_and(|room| room.read_only);
    vec![match input.disk.facts(&folder) {
        Ok(Some(facts)) if !read_only && (geteuid().is_root() || facts.uid == geteuid().as_raw()) => {
            Verdict::good(folder.display(), "units get cgroups of their own")
        }
        Ok(_) => Verdict::warning(folder.display(), "it is not ours: units get no cgroup of their own", FIX),
        Err(error) => Verdict::unknown(folder.display(), format!("cannot look: {error}")),
    }]
}

/// The cgroup v2 that we are in.
pub(super) fn own_cgroup(input: &DoctorInput<'_>) -> Option<PathBuf> {
    let bytes = input.disk.read(Path::new("/proc/self/cgroup"), PROC_BYTES_MAX).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(PathBuf::from)
}

pub(super) fn time(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let exists = |path: &str| matches!(input.disk.facts(Path::new(path)), Ok(Some(_)));
    if exists("/run/systemd/timesync/synchronized") {
        return vec![Verdict::good("host", "systemd-timesyncd keeps the time")];
    }
    if !exists("/run/systemd/system") {
        return vec![Verdict::unknown("host", "nobody here knows whether the clock is kept (no systemd)")];
    }
    let asked = Program {
        timeout: PROGRAM_TIMEOUT,
        ..Program::new("timedatectl").arguments(["show", "--property=NTPSynchronized", "--value"])
    };
    vec![match run(&asked) {
        Ok(output) => judge_time(output.stdout.trim_ascii()),
        Err(error) => Verdict::unknown("host", format!("timedatectl cannot be asked: {error}")),
    }]
}

pub(super) fn judge_time(answer: &[u8]) -> Verdict {
    const FIX: &str = "run chrony or systemd-timesyncd: votes with a wrong time are late votes";
    match answer {
        b"yes" => Verdict::good("host", "the clock is kept in time"),
        b"no" => Verdict::warning("host", "the clock is not kept in time", FIX),
        _ => Verdict::unknown("host", "timedatectl does not say whether the clock is kept"),
    }
}

pub(super) fn descriptors(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let inherited = getrlimit(Resource::Nofile).current;
    let mut verdicts = Vec::new();
    for (unit, shape) in &input.shape.units {
        let own = shape.launch.limits.iter().find(|limit| limit.resource == "nofile").map(|limit| limit.soft);
        let subject = format!("unit {unit}");
        verdicts.push(match own.unwrap_or(inherited) {
            Some(limit) if unit.is_main() && limit < DESCRIPTORS_WANTED => {
                let message = format!("it may open {limit} files");
                let fix = format!(
                    "set the unit's limit `nofile`, or LimitNOFILE= of the service: {DESCRIPTORS_WANTED} or more"
                );
                Verdict::warning(subject, message, fix)
            }
            Some(limit) => Verdict::good(subject, format!("it may open {limit} files")),
            None => Verdict::good(subject, "it may open any number of files"),
        });
    }
    verdicts
}

pub(super) fn memory(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let bytes = input.disk.read(Path::new("/proc/meminfo"), PROC_BYTES_MAX);
    let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let field = |name| memory_field(&text, name);
    let (Some(total), Some(available)) = (field("MemTotal"), field("MemAvailable")) else {
        return vec![Verdict::unknown("host", "/proc/meminfo does not say how much memory there is")];
    };
    let swap = field("SwapFree").unwrap_or(0);
    let [available_text, total, free_swap] = [available, total, swap].map(|bytes| ByteSize(bytes).rounded());
    let message = format!("{available_text} of {total} available, {free_swap} of swap free");
    vec![if available + swap < MEMORY_WANTED_BYTES {
        Verdict::warning("host", message, "free memory or add swap before an upgrade migrates data")
    } else {
        Verdict::good("host", message)
    }]
}

/// A line such as `MemTotal:  16303428 kB`, in bytes.
pub(super) fn memory_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
