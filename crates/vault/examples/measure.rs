//! Measures taking, sealing and restoring a snapshot in a given directory, by every method that works there.
//!
//!     cargo run --release -p ov-vault --example measure -- <directory> [megabytes]
//!
//! Makes 64 MB write-once files with a 16 MB log beside them, flushes them, and removes everything afterwards.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ov_sys::{Disk, RealDisk};
use ov_types::SnapshotId;
use ov_vault::{
    About, DataRules, Globs, Method, RestoreRequest, TakeRequest, delete, discard_old, restore, seal, take,
};

const FILE_MB: usize = 64;
const LOG_MB: usize = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("which directory?")?);
    let megabytes: usize = arguments.next().map_or(Ok(2048), |text| text.parse())?;
    let home = directory.join("measure-vault");
    let data = home.join("data");
    fs::create_dir_all(data.join("db"))?;
    fill(&data, megabytes / FILE_MB)?;
    println!("{} MB in {} files, {}", megabytes + LOG_MB, megabytes / FILE_MB + 1, directory.display());
    println!("{:<10} {:>9} {:>9} {:>9} {:>9}  cloned/linked/copied", "method", "take", "seal", "restore", "discard");
    for method in [Method::Auto, Method::Reflink, Method::HardLink, Method::Copy] {
        match measure(&home, &data, method) {
            Ok(line) => println!("{:<10} {line}", format!("{method:?}")),
            Err(error) => println!("{:<10} {error}", format!("{method:?}")),
        }
    }
    fs::remove_dir_all(&home)?;
    Ok(())
}

fn measure(home: &Path, data: &Path, method: Method) -> Result<String, Box<dyn Error>> {
    let rules = DataRules { write_once: Globs::new(["*.sst"])?, ..DataRules::default() };
    let snapshots = home.join("snapshots");
    let id = SnapshotId::new("measured")?;
    let about = About::default();
    RealDisk.sync_file_system(home)?;
    let request = TakeRequest {
        data,
        snapshots: &snapshots,
        id: id.clone(),
        outside: None,
        rules: &rules,
        method,
        about,
        now_ms: 0,
    };
    let (take_time, snapshot) = timed(|| take(&RealDisk, &request, &mut |_| {}))?;
    let (seal_time, _) = timed(|| seal(&RealDisk, &snapshots, &id, &mut |_| {}))?;
    let request = RestoreRequest {
        snapshots: &snapshots,
        id: id.clone(),
        data,
        rules: &rules,
        recorded: None,
        is_foreign: false,
    };
    let (restore_time, restored) = timed(|| restore(&RealDisk, &request, &mut |_| {}))?;
    let kept = restored.kept.ok_or("nothing was kept")?;
    let (discard_time, ()) = timed(|| discard_old(&RealDisk, data, &kept))?;
    delete(&RealDisk, &snapshots, &id)?;
    let [cloned, linked, copied] = snapshot.files;
    let times = [take_time, seal_time, restore_time, discard_time].map(milliseconds).join(" ");
    Ok(format!("{times}  {cloned}/{linked}/{copied}"))
}

fn timed<T, E>(act: impl FnOnce() -> Result<T, E>) -> Result<(Duration, T), E> {
    let start = Instant::now();
    let value = act()?;
    Ok((start.elapsed(), value))
}

fn milliseconds(time: Duration) -> String {
    format!("{:>6.1} ms", time.as_secs_f64() * 1000.0)
}

fn fill(data: &Path, count: usize) -> Result<(), std::io::Error> {
    let mut number = 1_u64;
    let mut block = vec![0; 1 << 20];
    for index in 0..count {
        let mut file = File::create(data.join(format!("db/{index:06}.sst")))?;
        for _ in 0..FILE_MB {
            // Half of it compressible, as databases are; different everywhere, so that nothing is deduplicated.
            for bytes in block.chunks_exact_mut(16) {
                number = number.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                bytes[..8].copy_from_slice(&number.to_le_bytes());
            }
            file.write_all(&block)?;
        }
        file.sync_all()?;
    }
    let mut log = File::create(data.join("db/LOG"))?;
    for _ in 0..LOG_MB {
        log.write_all(&block)?;
    }
    log.sync_all()
}
