//! Names of column families.

use std::fmt;

/// A column family of a scalar index directory, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family<'a> {
    /// `<c>$TERMS`: term to rows.
    Terms(&'a str),
    /// `<c>$SMRET`: reversed term to rows.
    ReversedTerms(&'a str),
    /// `<c>$ARRAY_LEN`: number of elements to rows.
    ArrayLength(&'a str),
    /// `<c>$RANGES`: range of terms to rows.
    Ranges(&'a str),
    /// `$CDF`: column to histogram.
    Histograms,
    /// `default`: what is stored once per column.
    Default,
    /// No family that a scalar index has.
    Unknown(&'a str),
}

impl<'a> Family<'a> {
    /// Reads a name from the right, because a column name may hold a `$` itself.
    pub fn parse(name: &'a str) -> Self {
        match name {
            "default" => return Self::Default,
            "$CDF" => return Self::Histograms,
            _ => {}
        }
        let column = |suffix: &str| name.strip_suffix(suffix).filter(|column| !column.is_empty());
        column("$TERMS")
            .map(Self::Terms)
            .or_else(|| column("$SMRET").map(Self::ReversedTerms))
            .or_else(|| column("$ARRAY_LEN").map(Self::ArrayLength))
            .or_else(|| column("$RANGES").map(Self::Ranges))
            .unwrap_or(Self::Unknown(name))
    }

    /// The column, for the families that belong to one.
    pub fn column(&self) -> Option<&'a str> {
        match self {
            Self::Terms(column) | Self::ReversedTerms(column) | Self::ArrayLength(column) | Self::Ranges(column) => {
                Some(column)
            }
            Self::Histograms | Self::Default | Self::Unknown(_) => None,
        }
    }

    /// Whether the values are postings.
    pub fn holds_postings(&self) -> bool {
        self.column().is_some()
    }
}

impl fmt::Display for Family<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terms(column) => write!(f, "{column}$TERMS"),
            Self::ReversedTerms(column) => write!(f, "{column}$SMRET"),
            Self::ArrayLength(column) => write!(f, "{column}$ARRAY_LEN"),
            Self::Ranges(column) => write!(f, "{column}$RANGES"),
            Self::Histograms => f.write_str("$CDF"),
            Self::Default => f.write_str("default"),
            Self::Unknown(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_right() {
        assert_eq!(Family::parse("year$TERMS"), Family::Terms("year"));
        assert_eq!(Family::parse("a$TERMS$SMRET"), Family::ReversedTerms("a$TERMS"));
        assert_eq!(Family::parse("a$b$ARRAY_LEN"), Family::ArrayLength("a$b"));
        assert_eq!(Family::parse("x$RANGES").column(), Some("x"));
        assert_eq!(Family::parse("$CDF"), Family::Histograms);
        assert_eq!(Family::parse("default"), Family::Default);
        for stranger in ["", "year", "$TERMS", "year$CDF", "year$TERM"] {
            assert_eq!(Family::parse(stranger), Family::Unknown(stranger));
        }
    }

    #[test]
    fn display_is_the_stored_name() {
        for name in ["c$TERMS", "c$SMRET", "c$ARRAY_LEN", "c$RANGES", "$CDF", "default", "what"] {
            assert_eq!(Family::parse(name).to_string(), name);
        }
        assert!(Family::parse("c$RANGES").holds_postings() && !Family::parse("$CDF").holds_postings());
    }
}
