//! Descriptors that whoever started the daemon left open: a shim would hold them for as long as it lives, and hand
//! them to its unit. Owns no state. Must be called before the shim opens anything of its own.

use std::fs;

/// Closes everything but standard input, output and error.
pub(crate) fn close_foreign() {
    // Listed first and closed then: the list is read through a descriptor too.
    let listed: Vec<i32> = fs::read_dir("/proc/self/fd").map_or_else(
        |_| Vec::new(),
        |entries| entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect(),
    );
    for number in listed.into_iter().filter(|number| *number > 2) {
        // That of the list is closed already.
        let _ = nix::unistd::close(number);
    }
}
