//! What happens to tokens behind the tokenizer.

use serde_json::{Map, Value};
use unicode_normalization::char::decompose_compatible;

use super::stem::Stem;
use super::unicode::{Category, category, chars};
use super::{Token, bad};
use crate::format::Result;

/// A token filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Each character becomes its lower case, by itself: a sigma is never final.
    Lowercase,
    /// Each ASCII letter becomes its lower case: `lowercase` of zvec 0.5.
    AsciiLowercase,
    /// Each word becomes its stem, which may be empty.
    Stemmer(Stem),
    /// Each character becomes ASCII where it can, by itself: marks on their own stay.
    AsciiFolding,
}

impl Filter {
    /// A filter by its name.
    ///
    /// # Errors
    /// As for [`super::Tokenizer::new`].
    pub fn new(name: &str, extra: &Map<String, Value>) -> Result<Self> {
        match name {
            "lowercase" => Ok(Self::Lowercase),
            "ascii_folding" => Ok(Self::AsciiFolding),
            "stemmer" => Stem::new(extra).map(Self::Stemmer),
            _ => Err(bad(format!("unknown token filter {name:?}"))),
        }
    }

    /// The tokens behind the filter, as many as before.
    pub fn apply(self, mut tokens: Vec<Token>) -> Vec<Token> {
        for token in &mut tokens {
            match self {
                Self::AsciiLowercase => token.text.make_ascii_lowercase(),
                Self::Lowercase if token.text.is_ascii() => token.text.make_ascii_lowercase(),
                Self::Lowercase => token.text = mapped(&token.text, lower),
                // Words are UTF-8, unless the text was not.
                Self::Stemmer(stem) => {
                    if let Ok(word) = std::str::from_utf8(&token.text) {
                        token.text = stem.apply(word).into_bytes();
                    }
                }
                Self::AsciiFolding if token.text.is_ascii() => {}
                Self::AsciiFolding => token.text = mapped(&token.text, fold),
            }
        }
        tokens
    }
}

/// Each character by `map`, which adds what stands for it; bytes that are not UTF-8 stay.
fn mapped(text: &[u8], map: impl Fn(char, &mut String)) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut part = String::new();
    for (char, start, end) in chars(text) {
        match char {
            Some(char) => {
                part.clear();
                map(char, &mut part);
                out.extend_from_slice(part.as_bytes());
            }
            None => out.extend_from_slice(text.get(start..end).unwrap_or_default()),
        }
    }
    out
}

/// The simple lower case of Unicode 16.
fn lower(char: char, out: &mut String) {
    match char {
        // The full mapping, as Rust has it, adds a dot.
        'İ' => out.push('i'),
        _ if category(char) == Category::Unassigned => out.push(char),
        _ => out.extend(char.to_lowercase()),
    }
}

/// A look-alike, or the compatibility decomposition without marks if that is ASCII and not empty; else the character.
fn fold(char: char, out: &mut String) {
    if let Some(letters) = look_alike(char) {
        out.push_str(letters);
        return;
    }
    let before = out.len();
    let mut is_ascii = category(char) != Category::Unassigned;
    decompose_compatible(char, |part| match category(part) {
        Category::Mark => {}
        _ if part.is_ascii() => out.push(part),
        _ => is_ascii = false,
    });
    if !is_ascii || out.len() == before {
        out.truncate(before);
        out.push(char);
    }
}

/// ASCII for letters and signs that no decomposition leads to.
fn look_alike(char: char) -> Option<&'static str> {
    Some(match char {
        'Æ' => "AE",
        'æ' => "ae",
        'Ð' | 'Đ' | 'Ɖ' | 'Ɗ' | 'Ƌ' => "D",
        'ð' | 'đ' | 'ƌ' | 'ȡ' | 'ɖ' | 'ɗ' | 'ᵭ' => "d",
        'Ø' => "O",
        'ø' | 'ɵ' => "o",
        'Þ' => "TH",
        'þ' => "th",
        'ß' => "ss",
        'ẞ' => "SS",
        'Ħ' => "H",
        'ħ' | 'ɥ' | 'ɦ' => "h",
        'ı' | 'ɨ' => "i",
        'ĸ' | 'ƙ' | 'ʞ' => "k",
        'Ƙ' => "K",
        'Ł' => "L",
        'ł' | 'ƚ' | 'ȴ' | 'ɫ' | 'ɬ' | 'ɭ' | 'ᶅ' => "l",
        'Ŋ' | 'Ɲ' | 'ɴ' => "N",
        'ŋ' | 'ƞ' | 'ȵ' | 'ɲ' | 'ɳ' | 'ᶇ' => "n",
        'Œ' => "OE",
        'œ' => "oe",
        'Ŧ' | 'Ƭ' | 'Ʈ' | 'Ⱦ' => "T",
        'ŧ' | 'ƫ' | 'ƭ' | 'ȶ' | 'ʈ' | 'ᵲ' => "t",
        'Ɓ' | 'Ƃ' | 'Ƀ' => "B",
        'ƀ' | 'ƃ' | 'ɓ' => "b",
        'Ƈ' | 'Ȼ' => "C",
        'ƈ' | 'ȼ' | 'ɕ' => "c",
        'Ǝ' | 'Ɛ' | 'Ɇ' => "E",
        'ɇ' | 'ɘ' | 'ə' | 'ɛ' | 'ɜ' => "e",
        'Ə' | 'Ⱥ' => "A",
        'ɐ' | 'ɑ' => "a",
        'Ƒ' => "F",
        'ƒ' | 'ᵮ' => "f",
        'Ɠ' | 'Ǥ' | 'ɢ' => "G",
        'ǥ' | 'ɠ' | 'ɡ' | 'ᵯ' => "g",
        'ƕ' => "hv",
        'Ɩ' | 'Ɨ' | 'ɪ' => "I",
        'Ɉ' => "J",
        'ɉ' | 'ʝ' => "j",
        'ɱ' | 'ᶆ' => "m",
        'Ȣ' => "OU",
        'ȣ' => "ou",
        'ᵽ' | 'ᶈ' => "p",
        'Ʀ' | 'Ɍ' => "R",
        'ɍ' | 'ɽ' | 'ᵰ' | 'ᶉ' => "r",
        'Ʃ' => "S",
        'ʂ' | 'ʃ' | 'ᵱ' | 'ᶊ' => "s",
        'Ʋ' => "V",
        'ʋ' | 'ᶌ' => "v",
        'Ƴ' | 'Ɏ' => "Y",
        'ƴ' | 'ɏ' => "y",
        'Ƶ' => "Z",
        'ƶ' | 'ʐ' | 'ʑ' | 'ʒ' | 'ᶎ' => "z",
        '‹' => "<",
        '›' => ">",
        '←' => "<-",
        '→' => "->",
        _ => return None,
    })
}
