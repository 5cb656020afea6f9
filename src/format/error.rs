//! The one error of `format`: what is wrong, and at which byte.

/// A decoder's verdict on bytes that are not what the format says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail} (at byte {offset})")]
pub struct FormatError {
    /// Stable code, `<structure>.<fault>`: `wal.crc-mismatch`, `sst.bad-magic`, …
    pub code: &'static str,
    /// What class of fault this is.
    pub kind: Kind,
    /// Absolute byte offset in the file (or in the byte slice, when that is all there is).
    pub offset: u64,
    /// What was found and what was expected, in words.
    pub detail: String,
}

/// Class of a [`FormatError`]; decides how the fault is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The bytes end before the structure does.
    Truncated,
    /// A stored checksum does not match the bytes.
    Checksum,
    /// A value is impossible: out of range, contradicting another, not decodable.
    Malformed,
    /// Written by a newer format than this build knows: not damage.
    Newer,
    /// A legal feature that this build cannot decode.
    Unsupported,
    /// The bytes could not be read at all.
    Io,
}

/// Result of a decoder.
pub type Result<T> = std::result::Result<T, FormatError>;

impl FormatError {
    /// The bytes at `offset` end early.
    pub fn truncated(code: &'static str, offset: u64, detail: impl Into<String>) -> Self {
        Self::new(code, Kind::Truncated, offset, detail)
    }

    /// A checksum over bytes from `offset` on is wrong.
    pub fn checksum(code: &'static str, offset: u64, detail: impl Into<String>) -> Self {
        Self::new(code, Kind::Checksum, offset, detail)
    }

    /// The value at `offset` is impossible.
    pub fn malformed(code: &'static str, offset: u64, detail: impl Into<String>) -> Self {
        Self::new(code, Kind::Malformed, offset, detail)
    }

    /// The structure at `offset` comes from a newer format.
    pub fn newer(code: &'static str, offset: u64, detail: impl Into<String>) -> Self {
        Self::new(code, Kind::Newer, offset, detail)
    }

    /// The structure at `offset` is legal but not decoded by this build.
    pub fn unsupported(code: &'static str, offset: u64, detail: impl Into<String>) -> Self {
        Self::new(code, Kind::Unsupported, offset, detail)
    }

    fn new(code: &'static str, kind: Kind, offset: u64, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        // Decoders of others explain themselves in paragraphs.
        if detail.contains(char::is_control) {
            detail = detail
                .split(char::is_control)
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ");
        }
        Self { code, kind, offset, detail }
    }

    /// The same error seen from a structure that begins `base` bytes further into the file.
    #[must_use]
    pub fn shifted(mut self, base: u64) -> Self {
        self.offset = self.offset.saturating_add(base);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_stands_in_one_line() {
        let error = FormatError::malformed("a.b", 0, "no flatbuffer: Range [1, 2) is wrong.\n\twhile verifying x\n\n");
        assert_eq!(error.detail, "no flatbuffer: Range [1, 2) is wrong. while verifying x");
        assert_eq!(FormatError::malformed("a.b", 0, "two  words").detail, "two  words");
    }
}
