//! One choice for the linker: on Linux the program is linked to a fixed address.
//!
//! See `runbooks/decisions/` on start-up: the loader would otherwise adjust some seventy thousand pointers at every start.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    if of("CARGO_CFG_TARGET_OS") == "linux" && of("CARGO_CFG_TARGET_ENV") == "gnu" && of("PROFILE") == "release" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
