//! Letting time pass where there is nothing to listen to: between two looks at a file, before another try.

use std::time::Duration;

/// Waits this long, or now and then a little less: whoever calls looks again anyway.
pub(crate) fn pause(time: Duration) {
    // Nobody unparks our threads; the kernel may.
    std::thread::park_timeout(time);
}
