//! Points in time, as reports show them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// RFC 3339 in UTC, whole seconds: `2026-11-22T16:41:00Z`.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// The same for Unix seconds out of a file; `None` for a time that no calendar holds.
pub fn from_unix(seconds: u64) -> Option<String> {
    /// The last second of the year 9999.
    const LAST: u64 = 253_402_300_799;
    (seconds <= LAST).then(|| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).map(rfc3339))?
}
