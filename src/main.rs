//! The `zvecctl` binary: parse, dispatch, exit code.

fn main() {}
