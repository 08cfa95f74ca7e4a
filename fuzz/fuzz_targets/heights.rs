//! Any bytes as the files in which a node that does not run keeps its height: manifest, logs and tables of its databases,
//! and the log of its consensus. Refused, or read without an end to it.
//!
//! Random bytes never match a checksum, so when the first byte is odd each file gets its right ones, and the fuzzer reaches
//! what stands behind those.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ov_chains::shape::HeightFiles;
use ov_sys::RealDisk;

/// The readers take files, so there is one folder for all inputs.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("omnivisor-fuzz-heights-{}", std::process::id()));
    for inside in ["blockstore.db", "cs.wal"] {
        std::fs::create_dir_all(folder.join(inside)).expect("a folder of our own");
    }
    std::fs::write(folder.join("blockstore.db/CURRENT"), "MANIFEST-000001\n").expect("a file of our own");
    folder
});

fn checksum(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// One record of a log.
fn framed(record: &[u8]) -> Vec<u8> {
    let record = &record[..record.len().min(30_000)];
    let covered = [&[1], record].concat();
    let length = u16::try_from(record.len()).unwrap_or_default().to_le_bytes();
    [&checksum(&covered)[..], &length, &covered].concat()
}

/// A table of one block, which is its index as well.
fn table(block: &[u8]) -> Vec<u8> {
    let block = &block[..block.len().min(120)];
    let covered = [block, &[0]].concat();
    let handle = [0, u8::try_from(block.len()).unwrap_or_default()];
    let mut footer = [handle, handle].concat();
    footer.resize(40, 0);
    [&covered[..], &checksum(&covered), &footer, &0xdb47_7524_8b80_fb57_u64.to_le_bytes()].concat()
}

/// One message of the log of the consensus.
fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes();
    [&crc32c::crc32c(bytes).to_be_bytes()[..], &length, bytes].concat()
}

fuzz_target!(|bytes: &[u8]| {
    let (mode, rest) = bytes.split_first().unwrap_or((&0, bytes));
    let mut parts = rest.split(|&byte| byte == b'\n');
    let mut next = || parts.next().unwrap_or_default().to_vec();
    let plain = [next(), next(), next(), next()];
    let [manifest, log, tables, consensus] = if mode % 2 == 1 {
        let [manifest, log, tables, consensus] = plain;
        [framed(&manifest), framed(&log), table(&tables), message(&consensus)]
    } else {
        plain
    };
    for (name, bytes) in [
        ("blockstore.db/MANIFEST-000001", manifest),
        ("blockstore.db/000002.log", log),
        ("blockstore.db/000003.ldb", tables),
        ("cs.wal/wal", consensus),
    ] {
        std::fs::write(FOLDER.join(name), bytes).expect("a file of our own");
    }
    let files = HeightFiles { databases: FOLDER.clone(), consensus_log: FOLDER.join("cs.wal/wal") };
    if let Ok(Some(height)) = ov_chains::height_at_rest(&RealDisk, &files) {
        assert!(height.at_most.is_none_or(|at_most| at_most >= height.at_least));
    }
});
