//! Giving memory back: a shim or daemon that waits needs a few pages, whatever program it is a part of.
//!
//! The kernel maps 16 pages of a program file for each that is touched, so that start-up leaves
//! megabytes mapped that are never used again. They are given back while nothing happens; what is
//! needed again comes back from the page cache by itself. Owns no state.

use std::fs::File;
use std::io::{self, BufReader};

use rustix::mm::{Advice, madvise};

/// A mapping of this process, as `/proc/self/smaps` describes it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Mapping {
    start: usize,
    end: usize,
    /// Read-only, and of a file.
    is_constant: bool,
}

/// Unmaps the pages of program files that nobody has written to, in a process of one thread.
/// Failing only costs memory.
pub(crate) fn give_back() {
    give_back_where(|_| true);
}

/// The same where there may be other threads: of the program's own file only, whose mappings stay
/// where they are for as long as the process lives.
pub fn give_back_program() {
    let program = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let Some(program) = program.to_str() else { return };
    // A path may have spaces, but is the last thing in its line.
    give_back_where(|line| line.strip_suffix(program).is_some_and(|before| before.ends_with(' ')));
}

fn give_back_where(is_wanted: impl Fn(&str) -> bool) {
    let smaps = File::open("/proc/self/smaps");
    let mappings = smaps.and_then(|smaps| untouched(BufReader::with_capacity(1024, smaps), is_wanted));
    // All at once at the end: whatever runs in between would be mapped again. Without `/proc` the
    // shim works as well, and is only larger.
    mappings.unwrap_or_default().into_iter().for_each(release);
}

/// The constant mappings of files that have no page of their own, if their first line is wanted.
fn untouched(mut smaps: impl io::BufRead, is_wanted: impl Fn(&str) -> bool) -> io::Result<Vec<Mapping>> {
    let mut found = Vec::with_capacity(32);
    let mut line = String::with_capacity(256);
    let mut mapping = Mapping::default();
    while smaps.read_line(&mut line)? > 0 {
        if let Some(next) = Mapping::parse(&line) {
            mapping = next;
            mapping.is_constant &= is_wanted(line.trim_end());
        } else if mapping.is_constant && line.strip_prefix("Anonymous:").is_some_and(|rest| rest.trim() == "0 kB") {
            found.push(mapping);
        }
        line.clear();
    }
    Ok(found)
}

impl Mapping {
    /// Reads the first line of an entry: range, permissions, offset, device, inode, path.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let permissions = words.next()?;
        let is_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
        Some(Self {
            start: usize::from_str_radix(start, 16).ok()?,
            end: usize::from_str_radix(end, 16).ok()?,
            is_constant: is_file && matches!(permissions, "r-xp" | "r--p"),
        })
    }
}

#[expect(unsafe_code, reason = "there is no safe way to give back pages of the program file")]
fn release(mapping: Mapping) {
    let start = std::ptr::with_exposed_provenance_mut(mapping.start);
    // SAFETY: the range is a read-only private mapping of a file without a single private page, and
    // it is still there, because this is the only thread or nobody ever unmaps the program itself:
    // every page reads the same when it is mapped again at its next use, by whichever thread.
    let _ = unsafe { madvise(start, mapping.end - mapping.start, Advice::LinuxDontNeed) };
}

/// Gives back the memory of bytes that nobody needs any more; they may read as zero then.
#[expect(unsafe_code, reason = "there is no safe way to give back pages of a buffer")]
pub(crate) fn clear(bytes: &mut [u8]) {
    let page_bytes = rustix::param::page_size();
    let range = bytes.as_mut_ptr_range();
    let start = range.start.map_addr(|address| address.next_multiple_of(page_bytes));
    let length = (range.end.addr() / page_bytes * page_bytes).saturating_sub(start.addr());
    // SAFETY: the pages lie whole within bytes that are ours alone, in memory that is no file's: they read as zero from
    // now on, which is a value like any other.
    let _ = unsafe { madvise(start.cast(), length, Advice::LinuxDontNeed) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
5581-5582 r--p 00000000 fe:00 12  /bin/a b
Rss:                   4 kB
Anonymous:             0 kB
VmFlags: rd mr mw me sd
5582-5583 r-xp 00001000 fe:00 12  /bin/a b
Anonymous:             0 kB
5583-5584 r--p 00002000 fe:00 12  /bin/a b
Anonymous:             4 kB
5584-5585 rw-p 00003000 fe:00 12  /bin/a b
Anonymous:             0 kB
5585-5586 rw-p 00000000 00:00 0  [heap]
Anonymous:             0 kB
5586-5587 r-xp 00000000 00:00 0  [vdso]
Anonymous:             0 kB
5588-5589 r--p 00000000 00:00 0
Anonymous:             0 kB
";

    #[test]
    fn only_constant_pages_of_files_are_given_back() {
        let ranges = |is_wanted: fn(&str) -> bool| -> Vec<_> {
            let found = untouched(SMAPS.as_bytes(), is_wanted).unwrap();
            found.iter().map(|mapping| (mapping.start, mapping.end)).collect()
        };
        assert_eq!(ranges(|_| true), [(0x5581, 0x5582), (0x5582, 0x5583)]);
        assert_eq!(ranges(|line| line.contains("r-xp")), [(0x5582, 0x5583)]);
    }

    #[test]
    fn what_is_beside_cleared_bytes_stays() {
        let mut bytes = vec![7_u8; 64 * 1024];
        clear(bytes.get_mut(10_000..50_000).unwrap());
        assert!(bytes[..10_000].iter().chain(&bytes[50_000..]).all(|byte| *byte == 7));
        assert!(bytes[16_384..45_056].iter().all(|byte| *byte == 0));
        clear(bytes.get_mut(1..2).unwrap());
        assert_eq!(bytes[1], 7);
    }

    #[test]
    fn giving_back_harms_nobody() {
        let before = crate::clock::compact_utc(0);
        give_back();
        // Other tests run beside this one.
        give_back_program();
        assert_eq!(crate::clock::compact_utc(0), before);
    }
}
