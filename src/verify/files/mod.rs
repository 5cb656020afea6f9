//! Level 1: the file set, and every checksum that exists, file by file.

pub(super) mod database;
pub(super) mod forward;
pub(super) mod log;
pub(super) mod set;
pub(super) mod snapshot;
pub(super) mod vectors;
