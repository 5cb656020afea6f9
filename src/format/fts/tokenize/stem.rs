//! The `stemmer` filter: Snowball stemmers, as far as theirs and zvec's were found to agree on every word tried.
//!
//! zvec 0.8.0 embeds a newer Snowball for Czech, Danish, Finnish, Persian and Sesotho; it also takes the languages' ISO 639 codes.

use std::fmt;

use serde_json::{Map, Value};
use snowball_stemmers_rs::{Algorithm, Stemmer};

use super::unsupported;
use crate::format::Result;

/// Languages whose stems are those of zvec.
const LANGUAGES: [(&str, Algorithm); 31] = [
    ("arabic", Algorithm::Arabic),
    ("armenian", Algorithm::Armenian),
    ("basque", Algorithm::Basque),
    ("catalan", Algorithm::Catalan),
    ("dutch", Algorithm::Dutch),
    ("dutch_porter", Algorithm::DutchPorter),
    ("english", Algorithm::English),
    ("esperanto", Algorithm::Esperanto),
    ("estonian", Algorithm::Estonian),
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
    ("norwegian", Algorithm::Norwegian),
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
        Stemmer::create(self.0).stem(word).into_owned()
    }
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
