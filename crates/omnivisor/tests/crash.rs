//! The crash matrix: the real program kills itself at every edge where something becomes durable, visible or known,
//! and whoever comes next must get everything right.
//!
//! Here each scenario meets each of its points once; `cargo xtask crash` has more, in pairs and at every visit.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod crash {
    mod case;
    mod full;
    mod matrix;
    mod scenario;
}
