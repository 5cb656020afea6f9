//! The first names of many, and how many there are.

use std::fmt;

/// Counts everything, keeps the first `MOST`: what a sentence about any number of documents needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firsts<const MOST: usize> {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub list: Vec<String>,
}

impl<const MOST: usize> Default for Firsts<MOST> {
    fn default() -> Self {
        Self { count: 0, list: Vec::new() }
    }
}

impl<const MOST: usize> Firsts<MOST> {
    /// One more, whose name is made only if it is kept.
    pub fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.list.len() < MOST {
            self.list.push(name());
        }
    }
}

impl<const MOST: usize> FromIterator<String> for Firsts<MOST> {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        let mut firsts = Self::default();
        names.into_iter().for_each(|name| firsts.add(|| name));
        firsts
    }
}

/// `a, b and 3 more`.
impl<const MOST: usize> fmt::Display for Firsts<MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.list.join(", "))?;
        match self.count.saturating_sub(self.list.len() as u64) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_and_counts_the_rest() {
        let of = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Firsts<2>>().to_string();
        assert_eq!(of(&[]), "");
        assert_eq!(of(&["a", "b"]), "a, b");
        assert_eq!(of(&["a", "b", "c", "d"]), "a, b and 2 more");
    }
}
