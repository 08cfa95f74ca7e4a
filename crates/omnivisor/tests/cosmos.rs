//! Native use of a Cosmos node, end to end: `chain = "cosmos"` in `omnivisor.toml`, the real program, a fake node.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cosmos {
    mod exact;
    mod handover;
    mod history;
    mod life;
    mod support;
    mod upgrades;
    mod validator;
}
