//! Upgrades, end to end: the real program, real processes, a real disk.

mod upgrade {
    mod basics;
}
