//! The signals that ask a program at a terminal to end, heard so that it can tidy up first.

use std::io;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Tells about each of them from now on. From now on they no longer end the program by themselves.
pub(crate) fn hear(tell: impl Fn() + Clone + Send + 'static) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let inside = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()] {
        let (mut signals, tell) = (signal(kind)?, tell.clone());
        drop(runtime.spawn(async move {
            while signals.recv().await.is_some() {
                tell();
            }
        }));
    }
    drop(inside);
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    Ok(())
}

/// Passes what service managers send on to somebody else, from now on. What a terminal sends reaches them by itself,
/// and does not end us any more.
pub(crate) fn pass_on(forward: impl Fn(i32) + Send + Sync + 'static) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let inside = runtime.enter();
    let forward = std::sync::Arc::new(forward);
    for kind in [SignalKind::terminate(), SignalKind::quit()] {
        let (mut signals, forward) = (signal(kind)?, std::sync::Arc::clone(&forward));
        drop(runtime.spawn(async move {
            while signals.recv().await.is_some() {
                forward(kind.as_raw_value());
            }
        }));
    }
    let mut interrupts = signal(SignalKind::interrupt())?;
    drop(runtime.spawn(async move { while interrupts.recv().await.is_some() {} }));
    drop(inside);
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    Ok(())
}
