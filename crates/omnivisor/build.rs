//! Links the program at a fixed address.
//!
//! The shim is this same file, and a host runs one per unit. Linked as position-independent, every relocated page of
//! vtables and string tables becomes private memory of each shim; at a fixed address these pages stay shared with the
//! file. Only this program asks for it: libraries and tests are built as usual.

fn main() {
    println!("cargo:rustc-link-arg-bin=omnivisor=-no-pie");
    println!("cargo:rerun-if-changed=build.rs");
}
