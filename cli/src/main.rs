//! nexusctl.
fn main() {}
