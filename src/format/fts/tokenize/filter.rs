//! What happens to tokens behind the tokenizer.

use unicode_normalization::char::decompose_compatible;

use super::unicode::{Category, category};
use super::{Token, bad, unsupported};
use crate::format::Result;

/// A token filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// A to Z become a to z; nothing else does.
    Lowercase,
    /// Letters become ASCII where they can, marks go.
    AsciiFolding,
}

impl Filter {
    /// A filter by its name.
    ///
    /// # Errors
    /// As for [`super::Tokenizer::new`].
    pub fn new(name: &str) -> Result<Self> {
        match name {
            "lowercase" => Ok(Self::Lowercase),
            "ascii_folding" => Ok(Self::AsciiFolding),
            "stemmer" => Err(unsupported("filter stemmer: its stems are not reproduced")),
            _ => Err(bad(format!("unknown token filter {name:?}"))),
        }
    }

    /// The tokens behind the filter. One that nothing is left of is dropped; the others keep their positions.
    pub fn apply(self, mut tokens: Vec<Token>) -> Vec<Token> {
        match self {
            Self::Lowercase => tokens.iter_mut().for_each(|token| token.text.make_ascii_lowercase()),
            Self::AsciiFolding => {
                for token in tokens.iter_mut().filter(|token| !token.text.is_ascii()) {
                    // What is not UTF-8 stays as it is.
                    if let Ok(text) = std::str::from_utf8(&token.text) {
                        token.text = fold(text).into_bytes();
                    }
                }
                tokens.retain(|token| !token.text.is_empty());
            }
        }
        tokens
    }
}

/// Compatibility decomposition in Unicode 16 without marks, then [`ascii`].
fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut put = |char| match ascii(char) {
        Some(letters) => out.push_str(letters),
        None => out.push(char),
    };
    for char in text.chars() {
        match category(char) {
            Category::Mark => {}
            // A later Unicode may decompose it.
            Category::Unassigned => put(char),
            _ => decompose_compatible(char, |part| {
                if category(part) != Category::Mark {
                    put(part);
                }
            }),
        }
    }
    out
}

/// Letters and signs that have no decomposition but a look-alike.
fn ascii(char: char) -> Option<&'static str> {
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
