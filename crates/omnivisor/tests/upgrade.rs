//! Upgrades, end to end: the real program, real processes, a real disk.

mod upgrade {
    mod basics;
    mod halt;
    mod history;
    mod hold;
    mod hook;
    mod keep;
    mod plans;
    mod rollback;
    mod sign_state;
    mod support;
    mod triggers;
}
