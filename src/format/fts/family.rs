//! Names of column families, and the keys of the statistics family.

use std::fmt;

/// A column family of a full-text index directory, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family<'a> {
    /// `<c>`: term to posting.
    Postings(&'a str),
    /// `<c>$POSITIONS`: term and row to positions.
    Positions(&'a str),
    /// `<c>$TF`: term and row to number of occurrences.
    TermFrequency(&'a str),
    /// `<c>$MAX_TF`: term to largest number of occurrences.
    MaxTermFrequency(&'a str),
    /// `<c>$DOC_LEN`: row to number of tokens.
    DocumentLength(&'a str),
    /// `$FTS_STAT`: totals of all columns.
    Statistics,
    /// `default`: empty.
    Default,
}

impl<'a> Family<'a> {
    /// Reads a name from the right, because a column name may hold a `$` itself. What has no suffix is a column.
    pub fn parse(name: &'a str) -> Self {
        match name {
            "default" => return Self::Default,
            "$FTS_STAT" => return Self::Statistics,
            _ => {}
        }
        let column = |suffix: &str| name.strip_suffix(suffix).filter(|column| !column.is_empty());
        column("$POSITIONS")
            .map(Self::Positions)
            .or_else(|| column("$MAX_TF").map(Self::MaxTermFrequency))
            .or_else(|| column("$TF").map(Self::TermFrequency))
            .or_else(|| column("$DOC_LEN").map(Self::DocumentLength))
            .unwrap_or(Self::Postings(name))
    }

    /// The column, for the families that belong to one.
    pub fn column(&self) -> Option<&'a str> {
        match self {
            Self::Postings(column)
            | Self::Positions(column)
            | Self::TermFrequency(column)
            | Self::MaxTermFrequency(column)
            | Self::DocumentLength(column) => Some(column),
            Self::Statistics | Self::Default => None,
        }
    }
}

impl fmt::Display for Family<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postings(column) => f.write_str(column),
            Self::Positions(column) => write!(f, "{column}$POSITIONS"),
            Self::TermFrequency(column) => write!(f, "{column}$TF"),
            Self::MaxTermFrequency(column) => write!(f, "{column}$MAX_TF"),
            Self::DocumentLength(column) => write!(f, "{column}$DOC_LEN"),
            Self::Statistics => f.write_str("$FTS_STAT"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A key of the statistics family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatKey<'a> {
    /// `<c>_total_docs`: number of rows with a text.
    TotalDocs(&'a [u8]),
    /// `<c>_total_tokens`: number of tokens in all texts.
    TotalTokens(&'a [u8]),
}

impl<'a> StatKey<'a> {
    /// Reads a key from the right; `None` for a key that no column has.
    pub fn parse(key: &'a [u8]) -> Option<Self> {
        let column = |suffix: &[u8]| key.strip_suffix(suffix).filter(|column| !column.is_empty());
        column(b"_total_docs").map(Self::TotalDocs).or_else(|| column(b"_total_tokens").map(Self::TotalTokens))
    }

    /// The stored key.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::TotalDocs(column) => [column, &b"_total_docs"[..]].concat(),
            Self::TotalTokens(column) => [column, &b"_total_tokens"[..]].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_right() {
        assert_eq!(Family::parse("text"), Family::Postings("text"));
        assert_eq!(Family::parse("text$POSITIONS"), Family::Positions("text"));
        assert_eq!(Family::parse("a$TF$MAX_TF"), Family::MaxTermFrequency("a$TF"));
        assert_eq!(Family::parse("a$MAX_TF$TF"), Family::TermFrequency("a$MAX_TF"));
        assert_eq!(Family::parse("a$DOC_LEN").column(), Some("a"));
        assert_eq!(Family::parse("$TF"), Family::Postings("$TF"));
        for name in ["t", "t$POSITIONS", "t$TF", "t$MAX_TF", "t$DOC_LEN", "$FTS_STAT", "default"] {
            assert_eq!(Family::parse(name).to_string(), name);
        }
    }

    #[test]
    fn statistics_keys() {
        assert_eq!(StatKey::parse(b"t_total_docs_total_tokens"), Some(StatKey::TotalTokens(b"t_total_docs")));
        assert_eq!(StatKey::parse(b"t_total_docs").unwrap().encode(), b"t_total_docs");
        assert_eq!(StatKey::parse(b"_total_docs"), None);
        assert_eq!(StatKey::parse(b"t_conversion_complete"), None);
    }
}
