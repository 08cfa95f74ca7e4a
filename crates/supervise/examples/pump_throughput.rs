//! How fast a unit's output goes through the shim into a file, beside the same bytes through `cat`.
//!
//! `cargo run --release -p ov-supervise --example pump_throughput -- <directory> <megabytes>`, after
//! `cargo build --release -p ov-supervise`, whose shim it uses.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ov_supervise::{LogSettings, Output, Scope, Shim, ShimEvent, ShimProgram, Spec};
use ov_types::UnitName;
use tokio::sync::mpsc;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args_os().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("which directory?")?);
    let megabytes: u64 = arguments.next().ok_or("how many megabytes?")?.to_string_lossy().parse()?;
    let writer = format!("exec dd if=/dev/zero bs=1M count={megabytes} status=none");
    for _ in 0..3 {
        let shim = through_the_shim(&directory, &writer).await?;
        let cat = through_cat(&directory, &writer)?;
        print(&format!("shim {:.2} GB/s, cat {:.2} GB/s\n", rate(megabytes, shim), rate(megabytes, cat)))?;
    }
    Ok(())
}

fn rate(megabytes: u64, elapsed: Duration) -> f64 {
    let bytes = u32::try_from(megabytes).map_or(f64::NAN, f64::from) * 1_048_576.0;
    bytes / 1e9 / elapsed.as_secs_f64()
}

fn print(text: &str) -> std::io::Result<()> {
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())
}

async fn through_the_shim(directory: &Path, writer: &str) -> Outcome<Duration> {
    let unit_dir = directory.join("unit");
    let log = unit_dir.join("main.log");
    let program = std::env::current_exe()?.with_file_name("../ov-shim-for-tests").canonicalize()?;
    let program = ShimProgram { program, arguments: Vec::new(), inherit_stdin: false, inherit_output: false };
    let (sender, mut events) = mpsc::channel(16);
    let (shim, _) = Shim::open(UnitName::new("main")?, &unit_dir, &program, sender).await?;
    let begin = Instant::now();
    let spec = Spec {
        run: 1,
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), writer.into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        output: Output::Pump(LogSettings { path: log, bytes_max: 256 << 20, keep: 2, rotate_every_seconds: 0 }),
        ..Spec::default()
    };
    shim.launch(spec).await?;
    while let Some((_, event)) = events.recv().await {
        if let ShimEvent::Empty { .. } = event {
            break;
        }
    }
    let elapsed = begin.elapsed();
    shim.stop(9, Duration::ZERO, Scope::Group).await?;
    shim.quit().await?;
    while events.recv().await.is_some() {}
    std::fs::remove_dir_all(unit_dir)?;
    Ok(elapsed)
}

fn through_cat(directory: &Path, writer: &str) -> Outcome<Duration> {
    let file = directory.join("cat.log");
    let begin = Instant::now();
    Command::new("/bin/sh").args(["-c", &format!("({writer}) | cat > \"$0\"")]).arg(&file).status()?;
    let elapsed = begin.elapsed();
    std::fs::remove_file(file)?;
    Ok(elapsed)
}
