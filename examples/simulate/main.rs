//! placeholder
mod sim;
fn main() {}
