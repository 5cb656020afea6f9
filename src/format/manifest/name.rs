//! File names of manifests.

use std::fmt;

/// Which of the two names a collection's manifests bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// `manifest.<N>`: what every zvec release writes and reads.
    Release,
    /// `MANIFEST_<N>`: what the published description of zvec calls them.
    Article,
}

impl Style {
    /// File name of version `number`.
    pub fn file_name(self, number: u64) -> String {
        match self {
            Self::Release => format!("manifest.{number}"),
            Self::Article => format!("MANIFEST_{number}"),
        }
    }
}

/// A file name that is a manifest's, or that of one left half written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ManifestName {
    /// Which kind of name.
    pub style: Style,
    /// The version number.
    pub number: u64,
    /// The name ends in `.tmp`: written but never published. zvec ignores such a file.
    pub temporary: bool,
    /// Zeros that stand before the number. zvec accepts them when it looks for the newest manifest (its pattern is
    /// `^manifest\.(\d+)$`), but never writes them.
    pub leading_zeros: usize,
}

impl ManifestName {
    /// The published manifest `number` in the given style.
    pub fn new(style: Style, number: u64) -> Self {
        Self { style, number, temporary: false, leading_zeros: 0 }
    }

    /// Reads a file name; `None` if it is no manifest's. The `MANIFEST-000005` of RocksDB is not one.
    pub fn parse(name: &str) -> Option<Self> {
        let (style, rest) = name
            .strip_prefix("manifest.")
            .map(|rest| (Style::Release, rest))
            .or_else(|| name.strip_prefix("MANIFEST_").map(|rest| (Style::Article, rest)))?;
        let (digits, temporary) = rest.strip_suffix(".tmp").map_or((rest, false), |digits| (digits, true));
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = digits.parse().ok()?;
        let significant = digits.trim_start_matches('0').len().max(1);
        Some(Self { style, number, temporary, leading_zeros: digits.len().saturating_sub(significant) })
    }
}

impl fmt::Display for ManifestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stem, separator) = match self.style {
            Style::Release => ("manifest", '.'),
            Style::Article => ("MANIFEST", '_'),
        };
        let tmp = if self.temporary { ".tmp" } else { "" };
        write!(f, "{stem}{separator}{}{}{tmp}", "0".repeat(self.leading_zeros), self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str) -> Option<(Style, u64, bool, usize)> {
        ManifestName::parse(name).map(|n| (n.style, n.number, n.temporary, n.leading_zeros))
    }

    #[test]
    fn both_styles_and_leftovers() {
        assert_eq!(parsed("manifest.0"), Some((Style::Release, 0, false, 0)));
        assert_eq!(parsed("MANIFEST_17"), Some((Style::Article, 17, false, 0)));
        assert_eq!(parsed("manifest.77.tmp"), Some((Style::Release, 77, true, 0)));
        assert_eq!(parsed("manifest.007"), Some((Style::Release, 7, false, 2)));
        assert_eq!(parsed("manifest.000"), Some((Style::Release, 0, false, 2)));
        assert_eq!(parsed("manifest.18446744073709551615"), Some((Style::Release, u64::MAX, false, 0)));
    }

    #[test]
    fn strangers() {
        for name in [
            "MANIFEST-000005",
            "manifest",
            "manifest.",
            "manifest.-1",
            "manifest.+1",
            "manifest.1x",
            "manifest.1.tmp.tmp",
            "manifest_1",
            "MANIFEST.1",
            "Manifest.1",
            " manifest.1",
            "manifest.18446744073709551616",
            "manifest.tmp",
            "manifest.٣",
        ] {
            assert_eq!(parsed(name), None, "{name}");
        }
    }

    #[test]
    fn prints_what_it_read() {
        for name in ["manifest.0", "manifest.0012", "manifest.00", "MANIFEST_9.tmp", "MANIFEST_18446744073709551615"] {
            assert_eq!(ManifestName::parse(name).unwrap().to_string(), name);
        }
        assert_eq!(Style::Release.file_name(3), ManifestName::new(Style::Release, 3).to_string());
        assert_eq!(Style::Article.file_name(3), ManifestName::new(Style::Article, 3).to_string());
    }
}
