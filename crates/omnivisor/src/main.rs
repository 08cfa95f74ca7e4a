//! omnivisor
fn main() {}
