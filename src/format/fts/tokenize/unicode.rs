//! Unicode as zvec 0.8.0 knows it, frozen: its tables do not change with the next release of Unicode, so neither may these.
//!
//! Each table is a list of u32, little endian: first code point << 8 | value, ascending. A value holds up to the next entry.
//!
//! - `word_breaks_17.bin`, Unicode 17.0: word-break class, refined by script and line break, in bits 0 to 4; bit 5
//!   Extended_Pictographic, bit 6 Emoji_Modifier_Base, bit 7 Emoji_Modifier.
//! - `categories_16.bin`, Unicode 16.0: group of the general category.

/// What a code point does at word boundaries. Line ends and spaces are `Other`: nothing tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordBreak {
    Other,
    /// Extend or Format: belongs to what is in front of it.
    Extend,
    Zwj,
    Letter,
    Hebrew,
    Numeric,
    Katakana,
    ExtendNumLet,
    RegionalIndicator,
    MidLetter,
    MidNum,
    MidNumLet,
    SingleQuote,
    DoubleQuote,
    Hiragana,
    Hangul,
    /// Line break Complex_Context: Thai, Lao, Khmer, Burmese and others.
    SoutheastAsian,
    Ideographic,
    Pictographic,
}

use WordBreak::*;

const WORD_BREAKS: [WordBreak; 19] = [
    Other,
    Extend,
    Zwj,
    Letter,
    Hebrew,
    Numeric,
    Katakana,
    ExtendNumLet,
    RegionalIndicator,
    MidLetter,
    MidNum,
    MidNumLet,
    SingleQuote,
    DoubleQuote,
    Hiragana,
    Hangul,
    SoutheastAsian,
    Ideographic,
    Pictographic,
];

/// General category, as coarse as is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    Other,
    Letter,
    /// Nd alone.
    Digit,
    Punctuation,
    Symbol,
    Mark,
    Separator,
    /// Cn: not in Unicode 16.
    Unassigned,
}

const CATEGORIES: [Category; 8] = [
    Category::Other,
    Category::Letter,
    Category::Digit,
    Category::Punctuation,
    Category::Symbol,
    Category::Mark,
    Category::Separator,
    Category::Unassigned,
];

/// A code point of a text with what the word-break table says of it.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// `None` for a byte that is not UTF-8.
    pub char: Option<char>,
    /// First byte in the text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Class.
    pub word_break: WordBreak,
    flags: u8,
}

impl Point {
    /// Extended_Pictographic, whatever the class.
    pub fn is_pictographic(&self) -> bool {
        self.flags & 0x20 != 0
    }

    /// Emoji_Modifier_Base.
    pub fn is_modifier_base(&self) -> bool {
        self.flags & 0x40 != 0
    }

    /// Emoji_Modifier: a skin tone.
    pub fn is_modifier(&self) -> bool {
        self.flags & 0x80 != 0
    }
}

/// The code points of a text; a byte that is not UTF-8 stands for itself, with class `Other`.
pub fn points(text: &[u8]) -> Vec<Point> {
    chars(text)
        .map(|(char, start, end)| {
            let value = char.map_or(0, |char| look_up(WORD_BREAK_TABLE, char));
            let word_break = WORD_BREAKS.get(usize::from(value & 0x1f)).copied().unwrap_or(Other);
            Point { char, start, end, word_break, flags: value }
        })
        .collect()
}

/// The characters of a text with their first byte and the one past the last; `None` for each byte that is not UTF-8.
pub fn chars(text: &[u8]) -> impl Iterator<Item = (Option<char>, usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let char = first_char(rest);
        let start = at;
        at += char.map_or(1, char::len_utf8);
        Some((char, start, at))
    })
}

fn first_char(text: &[u8]) -> Option<char> {
    let length = match text.first()? {
        0..0x80 => 1,
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => return None,
    };
    std::str::from_utf8(text.get(..length)?).ok()?.chars().next()
}

/// Category of a character in Unicode 16.
pub fn category(char: char) -> Category {
    CATEGORIES.get(usize::from(look_up(CATEGORY_TABLE, char))).copied().unwrap_or(Category::Other)
}

static WORD_BREAK_TABLE: &[u8] = include_bytes!("word_breaks_17.bin");
static CATEGORY_TABLE: &[u8] = include_bytes!("categories_16.bin");

fn look_up(table: &[u8], char: char) -> u8 {
    let (entries, _) = table.as_chunks::<4>();
    let behind = entries.partition_point(|entry| u32::from_le_bytes(*entry) >> 8 <= char as u32);
    behind.checked_sub(1).and_then(|index| entries.get(index)).map_or(0, |entry| entry[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_ascend_and_name_only_known_values() {
        for (table, mask, count) in
            [(WORD_BREAK_TABLE, 0x1f, WORD_BREAKS.len()), (CATEGORY_TABLE, 0xff, CATEGORIES.len())]
        {
            let (entries, rest) = table.as_chunks::<4>();
            assert!(rest.is_empty());
            let entries: Vec<u32> = entries.iter().map(|entry| u32::from_le_bytes(*entry)).collect();
            assert_eq!(entries[0] >> 8, 0);
            assert!(entries.windows(2).all(|pair| pair[0] >> 8 < pair[1] >> 8));
            assert!(entries.iter().all(|entry| ((entry & mask) as usize) < count));
        }
    }

    #[test]
    fn looks_up_first_and_last_of_a_range() {
        let class = |char: char| points(char.to_string().as_bytes())[0].word_break;
        assert_eq!(['@', 'A', 'Z', '['].map(class), [Other, Letter, Letter, Other]);
        assert_eq!(['\0', '\u{10ffff}', '\u{3042}', '\u{30a2}'].map(class), [Other, Other, Hiragana, Katakana]);
        assert_eq!(
            ['\u{4e00}', '\u{e01}', '\u{ac00}', '\u{1f600}'].map(class),
            [Ideographic, SoutheastAsian, Hangul, Pictographic]
        );
        assert_eq!(
            [' ', 'ß', '٣', '½'].map(category),
            [Category::Separator, Category::Letter, Category::Digit, Category::Other]
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_stand_alone() {
        let found: Vec<_> = chars(b"a\xff\xc3\xa9\xc3 \xed\xa0\x80").collect();
        let expected = [(Some('a'), 0, 1), (None, 1, 2), (Some('é'), 2, 4), (None, 4, 5), (Some(' '), 5, 6)];
        assert_eq!(found[..5], expected);
        assert!(found[5..].iter().all(|(char, ..)| char.is_none()) && found.len() == 8);
    }
}
