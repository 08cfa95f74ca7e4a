//! fakenode
fn main() {}
