//! The project's own commands: test and bench.
fn main() {}
