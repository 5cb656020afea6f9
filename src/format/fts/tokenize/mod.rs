//! Tokenizers and token filters: how zvec 0.8.0 makes terms of a text, bit for bit.
//!
//! A text goes through one tokenizer and then through the filters in their order. zvec takes any combination.
//!
//! | tokenizer | `extra_params` |
//! |---|---|
//! | `standard`, or no name | `max_token_length`, 1 to 1048576, default 255 |
//! | `whitespace` | none |
//! | `ngram` | `ngram_min` and `ngram_max`, from 1, default 2 each, at most 1 apart; `token_chars` |
//! | `jieba` | not reproduced: its words come from a dictionary that zvec embeds |
//!
//! | filter | `extra_params` |
//! |---|---|
//! | `lowercase` | none |
//! | `ascii_folding` | none |
//! | `stemmer` | `stemmer_lang`, a Snowball language, default `english`; see `stem` for those that are reproduced |
//!
//! `extra_params` is a JSON object or empty. Keys that nothing asks for are ignored, `null` stands for the default.
//!
//! zvec 0.5 knew no more than `standard`, `whitespace`, `jieba` and `lowercase`, and these for ASCII alone; the releases since 0.6.0 agree.

mod filter;
mod ngram;
mod standard;
mod stem;
mod unicode;

use std::fmt;

use filter::Filter;
use ngram::Ngram;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::format::{FormatError, Result};

const DEFAULT_LIMIT: usize = 255;
const MAX_LIMIT: i64 = 1 << 20;
const DEFAULT_NGRAM: u32 = 2;

/// A term at a place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The term, UTF-8 unless the text was not.
    pub text: Vec<u8>,
    /// Number of tokens in front of it, before filters dropped any.
    pub position: u32,
}

/// Makes tokens of texts, as a column's settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokenizer {
    kind: Kind,
    filters: Vec<Filter>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Standard {
        limit: usize,
    },
    /// `standard` of zvec 0.5.
    Ascii {
        limit: usize,
    },
    Whitespace,
    Ngram(Ngram),
}

impl Tokenizer {
    /// A tokenizer by the three settings of a full-text column.
    ///
    /// # Errors
    /// `fts.bad-settings`: zvec 0.8.0 refuses them; `fts.unsupported-tokenizer`: zvec takes them, but its terms cannot be
    /// reproduced here.
    pub fn new(name: &str, filters: &[impl AsRef<str>], extra_params: &str) -> Result<Self> {
        let extra = parse(extra_params)?;
        let kind = match name {
            "" | "standard" => Kind::Standard { limit: limit(&extra)? },
            "whitespace" => Kind::Whitespace,
            "ngram" => Kind::Ngram(ngram(&extra)?),
            "jieba" => return Err(unsupported("tokenizer jieba: its dictionary is not part of this program")),
            _ => return Err(bad(format!("unknown tokenizer {name:?}"))),
        };
        let filters = filters.iter().map(|filter| Filter::new(filter.as_ref(), &extra)).collect::<Result<_>>()?;
        Ok(Self { kind, filters })
    }

    /// The tokenizer that zvec 0.5 had for the same settings, if it had one that is reproduced here.
    ///
    /// Words were runs of ASCII letters and digits; one longer than the limit was left out, its position was not given to another. Only
    /// ASCII letters became lower case.
    pub fn of_0_5(name: &str, filters: &[impl AsRef<str>], extra_params: &str) -> Option<Self> {
        let kind = match name {
            "" | "standard" => Kind::Ascii { limit: parse(extra_params).and_then(|extra| limit(&extra)).ok()? },
            "whitespace" => Kind::Whitespace,
            _ => return None,
        };
        let filter = |name: &str| (name == "lowercase").then_some(Filter::AsciiLowercase);
        let filters = filters.iter().map(|name| filter(name.as_ref())).collect::<Option<_>>()?;
        Some(Self { kind, filters })
    }

    /// The tokens of a text, in its order. A text may have none.
    pub fn tokenize(&self, text: &[u8]) -> Vec<Token> {
        let tokens = match &self.kind {
            Kind::Standard { limit } => standard::tokenize(text, *limit),
            Kind::Ascii { limit } => ascii(text, *limit),
            Kind::Whitespace => whitespace(text),
            Kind::Ngram(ngram) => ngram.tokenize(text),
        };
        self.filters.iter().fold(tokens, |tokens, filter| filter.apply(tokens))
    }
}

/// Cuts at ASCII white space alone: tab to carriage return, and the space.
fn whitespace(text: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    for word in text.split(|byte| matches!(byte, b'\t'..=b'\r' | b' ')).filter(|word| !word.is_empty()) {
        push(&mut tokens, word);
    }
    tokens
}

/// Runs of ASCII letters and digits, but for those longer than the limit.
fn ascii(text: &[u8], limit: usize) -> Vec<Token> {
    let words = text.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let tokens = (0u32..).zip(words).filter(|(_, word)| word.len() <= limit);
    tokens.map(|(position, word)| Token { text: word.to_vec(), position }).collect()
}

/// Adds a token behind the others. Positions wrap, as zvec's do, past any text that fits in memory.
fn push(tokens: &mut Vec<Token>, text: &[u8]) {
    tokens.push(Token { text: text.to_vec(), position: tokens.len() as u32 });
}

fn bad(detail: impl Into<String>) -> FormatError {
    FormatError::malformed("fts.bad-settings", 0, detail)
}

fn unsupported(detail: impl Into<String>) -> FormatError {
    FormatError::unsupported("fts.unsupported-tokenizer", 0, detail)
}

/// The object in `extra_params`. zvec's parser takes some texts that are not JSON, such as trailing commas and leading zeros; what
/// it makes of them and of escapes is not known, so those are unsupported.
fn parse(text: &str) -> Result<Map<String, Value>> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Extra::Members(_)) if text.contains('\\') => Err(unsupported("extra_params with escapes")),
        Ok(Extra::Members(members)) => {
            let mut object = Map::new();
            for (key, value) in members {
                // Map would take the last.
                if object.contains_key(&key) {
                    return Err(bad(format!("extra_params has {key:?} twice")));
                }
                object.insert(key, value);
            }
            Ok(object)
        }
        Ok(Extra::Other(_)) => Err(bad(format!("extra_params is not a JSON object: {text}"))),
        Err(error) => Err(unsupported(format!("extra_params is not valid JSON: {error}: {text}"))),
    }
}

/// A JSON text, with all members of an object, also those of the same name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Extra {
    Members(#[serde(deserialize_with = "members")] Vec<(String, Value)>),
    Other(#[allow(dead_code, reason = "only that it is something else counts")] Value),
}

fn members<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<(String, Value)>, D::Error> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, Value)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    deserializer.deserialize_map(Members)
}

/// A whole number; `None` if it is absent or null.
fn integer(extra: &Map<String, Value>, key: &str) -> Result<Option<i64>> {
    match extra.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| bad(format!("{key} is not an integer: {value}"))),
    }
}

fn limit(extra: &Map<String, Value>) -> Result<usize> {
    let Some(limit) = integer(extra, "max_token_length")? else { return Ok(DEFAULT_LIMIT) };
    usize::try_from(limit)
        .ok()
        .filter(|_| (1..=MAX_LIMIT).contains(&limit))
        .ok_or_else(|| bad(format!("max_token_length is {limit}, expected 1 to {MAX_LIMIT}")))
}

fn ngram(extra: &Map<String, Value>) -> Result<Ngram> {
    let bound = |key| {
        let Some(bound) = integer(extra, key)? else { return Ok(DEFAULT_NGRAM) };
        let positive = u32::try_from(bound).ok().filter(|bound| *bound > 0);
        positive.ok_or_else(|| bad(format!("{key} is {bound}, expected 1 to {}", u32::MAX)))
    };
    let (min, max) = (bound("ngram_min")?, bound("ngram_max")?);
    if max.checked_sub(min).is_none_or(|difference| difference > 1) {
        return Err(bad(format!("ngram_min {min} and ngram_max {max}: the second is the first or one more")));
    }
    let mut classes = 0;
    match extra.get("token_chars") {
        None | Some(Value::Null) => {}
        Some(Value::Array(names)) => {
            for name in names {
                classes |= match name.as_str() {
                    Some("letter") => ngram::LETTER,
                    Some("digit") => ngram::DIGIT,
                    Some("whitespace") => ngram::WHITESPACE,
                    Some("punctuation") => ngram::PUNCTUATION,
                    Some("symbol") => ngram::SYMBOL,
                    _ => return Err(bad(format!("token_chars has no class {name}"))),
                };
            }
        }
        Some(other) => return Err(bad(format!("token_chars is not an array: {other}"))),
    }
    Ok(Ngram { min, max, classes })
}

#[cfg(test)]
mod tests;
