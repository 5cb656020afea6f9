//! The `stemmer` filter: Snowball stemmers, as far as these and zvec's were found to agree on every word tried.
//!
//! zvec 0.8.0 embeds Snowball 3.1, which knows apostrophes; the stemmers here are of 3.0. What 3.1 does more is done around them where
//! that is possible ([`Stem::apply`]). It is not for Czech, Danish, Estonian, Finnish, Norwegian, Persian and Sesotho. zvec also takes the
//! languages' ISO 639 codes.

use std::fmt;

use serde_json::{Map, Value};
use snowball_stemmers_rs::{Algorithm, Stemmer};

use super::unsupported;
use crate::format::Result;

/// Languages whose stems are those of zvec.
const LANGUAGES: [(&str, Algorithm); 29] = [
    ("arabic", Algorithm::Arabic),
    ("armenian", Algorithm::Armenian),
    ("basque", Algorithm::Basque),
    ("catalan", Algorithm::Catalan),
    ("dutch", Algorithm::Dutch),
    ("dutch_porter", Algorithm::DutchPorter),
    ("english", Algorithm::English),
    ("esperanto", Algorithm::Esperanto),
    ("french", Algorithm::French),
    ("german", Algorithm::German),
    ("greek", Algorithm::Greek),
    ("hindi", Algorithm::Hindi),
    ("hungarian", Algorithm::Hungarian),
    ("indonesian", Algorithm::Indonesian),
    ("irish", Algorithm::Irish),
    ("italian", Algorithm::Italian),
    ("lithuanian", Algorithm::Lithuanian),
    ("nepali", Algorithm::Nepali),
    ("polish", Algorithm::Polish),
    ("porter", Algorithm::Porter),
    ("portuguese", Algorithm::Portuguese),
    ("romanian", Algorithm::Romanian),
    ("russian", Algorithm::Russian),
    ("serbian", Algorithm::Serbian),
    ("spanish", Algorithm::Spanish),
    ("swedish", Algorithm::Swedish),
    ("tamil", Algorithm::Tamil),
    ("turkish", Algorithm::Turkish),
    ("yiddish", Algorithm::Yiddish),
];

/// What Italian drops in front of a word.
const ELISIONS: [&str; 16] = [
    "all'", "dall'", "dell'", "nell'", "sull'", "quell'", "quest'", "tutt'", "gl'", "un'", "d'", "l'", "m'", "s'",
    "t'", "v'",
];

/// Endings of the Polish conditional. They go before the other endings do, and alone they leave an apostrophe where it is.
const CONDITIONAL: [&str; 5] = ["by", "bym", "byś", "byśmy", "byście"];

/// A language.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Stem(Algorithm);

impl fmt::Debug for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Stem {
    /// The language in `stemmer_lang`; English if that is absent, empty or no string.
    ///
    /// # Errors
    /// `fts.unsupported-tokenizer` if it is not one of those that are reproduced.
    pub fn new(extra: &Map<String, Value>) -> Result<Self> {
        let name =
            extra.get("stemmer_lang").and_then(Value::as_str).filter(|name| !name.is_empty()).unwrap_or("english");
        let known = LANGUAGES.iter().find(|(known, _)| *known == name);
        known
            .map(|(_, algorithm)| Self(*algorithm))
            .ok_or_else(|| unsupported(format!("filter stemmer: its stems for {name:?} are not reproduced")))
    }

    /// The stem of a word, which may be empty.
    pub fn apply(self, word: &str) -> String {
        let stem = |word: &str| Stemmer::create(self.0).stem(word).into_owned();
        match self.0 {
            Algorithm::Italian => {
                let rest = ELISIONS.iter().find_map(|elision| word.strip_prefix(elision));
                stem(rest.filter(|rest| !rest.is_empty()).unwrap_or(word))
            }
            Algorithm::German => {
                let stem = stem(word);
                let rest = ["'", "'s", "'sch"].iter().find_map(|ending| stem.strip_suffix(ending));
                rest.filter(|rest| rest.chars().count() > 1).map(str::to_owned).unwrap_or(stem)
            }
            Algorithm::Lithuanian => without_apostrophe(stem(word)),
            Algorithm::Polish => {
                let stem = stem(word);
                // Only behind an ending that was taken off, and never one of the first two characters.
                let taken = word.strip_prefix(stem.as_str()).unwrap_or_default();
                let goes = !taken.is_empty() && !CONDITIONAL.contains(&taken) && stem.chars().count() > 2;
                if goes { without_apostrophe(stem) } else { stem }
            }
            _ => stem(word),
        }
    }
}

/// A stem without an apostrophe at its end.
fn without_apostrophe(stem: String) -> String {
    stem.strip_suffix('\'').map(str::to_owned).unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_word_is_too_strange(word in "\\PC{0,24}", known in "[a-zäöüßéèñçğışåøæ']{0,24}") {
            for (_, algorithm) in LANGUAGES {
                Stem(algorithm).apply(&word);
                Stem(algorithm).apply(&known);
            }
        }
    }
}
