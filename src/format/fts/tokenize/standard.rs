//! The `standard` tokenizer: words by Unicode's rules (UAX 29) with departures of zvec's.
//!
//! - An ideograph and a hiragana are a word each; Hangul and the scripts of South-East Asia are cut only where they end.
//! - Emoji, with what modifies and joins them, flags and keycaps are words. Spaces and punctuation are not.
//! - A word of more code points than the limit is cut: a new piece begins at the first code point behind the limit that can
//!   begin a word, so marks stay with their letter.

use super::Token;
use super::unicode::{Point, WordBreak, WordBreak::*, points};

const VARIATION_SELECTOR_16: char = '\u{fe0f}';
const KEYCAP: char = '\u{20e3}';

/// Cuts a text into words of at most `limit` code points, but for marks.
pub fn tokenize(text: &[u8], limit: usize) -> Vec<Token> {
    let points = points(text);
    let mut words = Words { text, points: &points, limit, tokens: Vec::new() };
    let mut at = 0;
    while at < points.len() {
        at = words.step(at);
    }
    words.tokens
}

struct Words<'a> {
    text: &'a [u8],
    points: &'a [Point],
    limit: usize,
    tokens: Vec<Token>,
}

impl Words<'_> {
    fn class(&self, at: usize) -> Option<WordBreak> {
        self.points.get(at).map(|point| point.word_break)
    }

    fn is(&self, at: usize, what: impl Fn(&Point) -> bool) -> bool {
        self.points.get(at).is_some_and(what)
    }

    fn is_char(&self, at: usize, char: char) -> bool {
        self.is(at, |point| point.char == Some(char))
    }

    /// The first index from `at` on where `what` does not hold.
    fn skip(&self, at: usize, what: impl Fn(WordBreak) -> bool) -> usize {
        let rest = self.points.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|point| what(point.word_break)).count()
    }

    /// Emits the word that begins at `at`, if one does; where to go on.
    fn step(&mut self, at: usize) -> usize {
        let Some(class) = self.class(at) else { return at + 1 };
        let end = match class {
            Ideographic | Hiragana => self.skip(at + 1, is_ignored),
            Hangul | SoutheastAsian => self.word(at),
            RegionalIndicator => self.flag(at),
            _ => match self.keycap(at) {
                Some(end) => end,
                None if class == Pictographic => self.emoji(at),
                None => {
                    let joined = if class == Zwj { self.joined_emoji(at) } else { None };
                    match joined.or_else(|| self.modified(at)) {
                        Some(end) => end,
                        None if class == ExtendNumLet => {
                            let end = self.word(at);
                            if !self.has_core(at, end) {
                                return end;
                            }
                            end
                        }
                        None if begins_word(class) => self.word(at),
                        None => return at + 1,
                    }
                }
            },
        };
        self.emit(at, end);
        end
    }

    /// Two regional indicators, or one.
    fn flag(&self, at: usize) -> usize {
        let end = self.skip(at + 1, is_ignored);
        if self.class(end) == Some(RegionalIndicator) { self.skip(end + 1, is_ignored) } else { end }
    }

    /// A digit, `#` or `*` in a keycap.
    fn keycap(&self, at: usize) -> Option<usize> {
        if !self.is(at, |point| matches!(point.char, Some('0'..='9' | '#' | '*'))) {
            return None;
        }
        let cap = at + 1 + usize::from(self.is_char(at + 1, VARIATION_SELECTOR_16));
        self.is_char(cap, KEYCAP).then(|| self.skip(cap + 1, |class| class == Extend))
    }

    /// A skin tone alone, or a base with one; the base need not be a pictograph.
    fn modified(&self, at: usize) -> Option<usize> {
        if self.is(at, Point::is_modifier) {
            return Some(self.skip(at + 1, |class| class == Extend));
        }
        if !self.is(at, Point::is_modifier_base) {
            return None;
        }
        let mut tone = at + 1;
        while self.is(tone, |point| point.word_break == Extend && !point.is_modifier()) {
            tone += 1;
        }
        self.is(tone, Point::is_modifier).then(|| self.skip(tone + 1, |class| class == Extend))
    }

    fn joined_emoji(&self, at: usize) -> Option<usize> {
        self.is(at + 1, Point::is_pictographic).then(|| self.emoji(at + 1))
    }

    /// A pictograph with its marks and skin tone, and all that are joined to it.
    fn emoji(&self, at: usize) -> usize {
        let mut end = self.decorations(at + 1);
        while self.class(end) == Some(Zwj) {
            end = self.skip(end + 1, |class| class == Extend);
            if !self.is(end, Point::is_pictographic) {
                break;
            }
            end = self.decorations(end + 1);
        }
        end
    }

    fn decorations(&self, at: usize) -> usize {
        let end = self.skip(at, |class| class == Extend);
        if self.is(end, Point::is_modifier) { self.skip(end + 1, |class| class == Extend) } else { end }
    }

    /// The end of the word that begins at `at`.
    fn word(&self, at: usize) -> usize {
        let mut end = at + 1;
        let mut last = at;
        while let Some(class) = self.class(end) {
            let Some(left) = self.class(last) else { break };
            if is_ignored(class) {
                end += 1;
                continue;
            }
            if class == SingleQuote && left == Hebrew {
                last = end;
                end += 1;
                continue;
            }
            let after_joiner = end.checked_sub(1).and_then(|before| self.class(before)) == Some(Zwj);
            if class != ExtendNumLet && after_joiner && self.is(end, Point::is_pictographic) {
                end = self.emoji(end);
                last = end - 1;
                continue;
            }
            if class != ExtendNumLet
                && (matches!(class, Ideographic | Pictographic | RegionalIndicator) || !begins_word(class))
            {
                let right = self.skip(end + 1, is_ignored);
                if !self.class(right).is_some_and(|right| bridges(left, class, right)) {
                    break;
                }
                end = right + 1;
                last = right;
                continue;
            }
            if !connects(left, class) {
                break;
            }
            last = end;
            end += 1;
        }
        end
    }

    fn has_core(&self, start: usize, end: usize) -> bool {
        self.points.get(start..end).unwrap_or_default().iter().any(|point| begins_word(point.word_break))
    }

    /// `end` without what can neither begin a word nor be ignored.
    fn trimmed(&self, start: usize, mut end: usize) -> usize {
        while end > start && self.class(end - 1).is_some_and(|class| !begins_word(class) && !is_ignored(class)) {
            end -= 1;
        }
        end
    }

    fn emit(&mut self, start: usize, end: usize) {
        if end - start <= self.limit {
            self.push(start, end);
            return;
        }
        let mut from = start;
        for at in start..end {
            if at - from >= self.limit && self.class(at).is_some_and(begins_word) {
                self.push_core(from, self.trimmed(from, at));
                from = at;
            }
        }
        let end = if end - from > self.limit { self.trimmed(from, end) } else { end };
        self.push_core(from, end);
    }

    fn push_core(&mut self, start: usize, end: usize) {
        if start < end && self.has_core(start, end) {
            self.push(start, end);
        }
    }

    fn push(&mut self, start: usize, end: usize) {
        let first = self.points.get(start).map(|point| point.start);
        let last = end.checked_sub(1).and_then(|last| self.points.get(last)).map(|point| point.end);
        if let (Some(first), Some(last)) = (first, last) {
            super::push(&mut self.tokens, self.text.get(first..last).unwrap_or_default());
        }
    }
}

fn is_letter(class: WordBreak) -> bool {
    matches!(class, Letter | Hebrew)
}

fn is_ignored(class: WordBreak) -> bool {
    matches!(class, Extend | Zwj)
}

fn begins_word(class: WordBreak) -> bool {
    is_letter(class)
        || matches!(
            class,
            Numeric | Katakana | RegionalIndicator | Hiragana | Hangul | SoutheastAsian | Ideographic | Pictographic
        )
}

/// Whether a word goes on from `left` to `right`.
fn connects(left: WordBreak, right: WordBreak) -> bool {
    let alphanumeric = |class| is_letter(class) || class == Numeric;
    let connector = |class| alphanumeric(class) || matches!(class, Katakana | ExtendNumLet);
    alphanumeric(left) && alphanumeric(right)
        || connector(left) && right == ExtendNumLet
        || left == ExtendNumLet && connector(right)
        || left == right && matches!(left, Katakana | Hangul | SoutheastAsian)
}

/// Whether punctuation in the midst of a word does not end it.
fn bridges(left: WordBreak, middle: WordBreak, right: WordBreak) -> bool {
    match middle {
        MidLetter => is_letter(left) && is_letter(right),
        MidNum => left == Numeric && right == Numeric,
        MidNumLet | SingleQuote => is_letter(left) && is_letter(right) || left == Numeric && right == Numeric,
        DoubleQuote => left == Hebrew && right == Hebrew,
        _ => false,
    }
}
