//! The clock of tables.

use std::time::SystemTime;

/// Unix seconds now; 0, which RocksDB takes for "unknown", before 1970.
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
