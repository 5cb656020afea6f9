//! The `ngram` tokenizer: every run of neighbouring characters of a length between two bounds.

use super::Token;
use super::unicode::{Category, category, chars};

/// Tokens of one text at most; what comes behind is left out.
const MAX_TOKENS: usize = 262_144;
/// Bytes of all tokens of one text at most.
const MAX_BYTES: usize = 16 << 20;

/// Classes of characters that are kept, as bits; 0 keeps all.
pub const LETTER: u8 = 1;
/// Decimal digits.
pub const DIGIT: u8 = 2;
/// White space but for no-break spaces.
pub const WHITESPACE: u8 = 4;
/// Punctuation.
pub const PUNCTUATION: u8 = 8;
/// Symbols.
pub const SYMBOL: u8 = 16;

/// Bounds and classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ngram {
    /// Least length in characters.
    pub min: u32,
    /// Greatest length in characters.
    pub max: u32,
    /// Classes of characters that are kept.
    pub classes: u8,
}

impl Ngram {
    /// The runs of a text: by their first character, the shorter first. A run does not span a character that is not kept.
    pub fn tokenize(&self, text: &[u8]) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut bytes = 0;
        let mut run: Vec<(usize, usize)> = Vec::new();
        for (char, start, end) in chars(text) {
            if char.is_some_and(|char| self.classes == 0 || class(char) & self.classes != 0) {
                run.push((start, end));
                continue;
            }
            if !self.cut(text, &run, &mut tokens, &mut bytes) {
                return tokens;
            }
            run.clear();
        }
        self.cut(text, &run, &mut tokens, &mut bytes);
        tokens
    }

    /// Whether there is room for more.
    fn cut(&self, text: &[u8], run: &[(usize, usize)], tokens: &mut Vec<Token>, bytes: &mut usize) -> bool {
        let (min, max) = (self.min as usize, self.max as usize);
        for (index, (start, _)) in run.iter().enumerate() {
            for length in min..=max.min(run.len() - index) {
                let last = index.saturating_add(length).saturating_sub(1);
                let Some((_, end)) = run.get(last) else { continue };
                let token = text.get(*start..*end).unwrap_or_default();
                if tokens.len() >= MAX_TOKENS || token.len() > MAX_BYTES - *bytes {
                    return false;
                }
                *bytes += token.len();
                super::push(tokens, token);
            }
        }
        true
    }
}

fn class(char: char) -> u8 {
    match char {
        '\t'..='\r' | '\u{1c}'..='\u{1f}' => return WHITESPACE,
        '\u{a0}' | '\u{2007}' | '\u{202f}' => return 0,
        _ => {}
    }
    match category(char) {
        Category::Separator => WHITESPACE,
        Category::Digit => DIGIT,
        Category::Letter => LETTER,
        Category::Punctuation => PUNCTUATION,
        Category::Symbol => SYMBOL,
        Category::Other | Category::Mark | Category::Unassigned => 0,
    }
}
