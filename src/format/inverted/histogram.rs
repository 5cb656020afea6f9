//! Values of `$CDF`: how the documents of a column spread over its terms.
//!
//! ```text
//! {"total_doc_count":n,"field_value_histogram":[{"key":<term>,"doc_count":<documents up to and including it>}, …]}
//! ```
//!
//! This is not JSON by the letter: a term's bytes stand raw between the quotes, so the text is not UTF-8; only quote,
//! backslash and control bytes are escaped (`\u00XX`). Hence a reader of its own.

use crate::format::{FormatError, Result};

/// The histogram of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Number of (term, document) pairs.
    pub total: u64,
    /// Slots in term order.
    pub slots: Vec<Slot>,
}

/// One slot: documents whose term is at most `term`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Last term of the slot.
    pub term: Vec<u8>,
    /// (term, document) pairs up to here.
    pub cumulative: u64,
}

impl Histogram {
    /// Reads a value; `base` is its file offset.
    ///
    /// # Errors
    /// `histogram.malformed` at the first byte that does not fit.
    pub fn decode(value: &[u8], base: u64) -> Result<Self> {
        let mut reader = Reader { bytes: value, position: 0, base };
        let (mut total, mut slots) = (None, None);
        reader.members(|reader, name| {
            match name {
                b"total_doc_count" => total = Some(reader.number()?),
                b"field_value_histogram" => slots = Some(reader.slots()?),
                _ => return Err(reader.fault("an unknown member")),
            }
            Ok(())
        })?;
        if reader.position != value.len() {
            return Err(reader.fault("bytes behind the end"));
        }
        match (total, slots) {
            (Some(total), Some(slots)) => Ok(Self { total, slots }),
            _ => Err(reader.fault("the end, members are missing")),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    base: u64,
}

impl Reader<'_> {
    fn fault(&self, found: &str) -> FormatError {
        let offset = self.base.saturating_add(self.position as u64);
        FormatError::malformed("histogram.malformed", offset, format!("the histogram's text has {found} here"))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn next(&mut self) -> Result<u8> {
        let byte = self.peek().ok_or_else(|| self.fault("its end"))?;
        self.position += 1;
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(self.fault("another byte than expected"));
        }
        self.position += 1;
        Ok(())
    }

    /// Items up to `close`, separated by commas; the opening bracket has been read.
    fn items(&mut self, close: u8, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        if self.peek() == Some(close) {
            return self.expect(close);
        }
        loop {
            item(self)?;
            if self.peek() != Some(b',') {
                return self.expect(close);
            }
            self.position += 1;
        }
    }

    fn members(&mut self, mut member: impl FnMut(&mut Self, &[u8]) -> Result<()>) -> Result<()> {
        self.expect(b'{')?;
        self.items(b'}', |reader| {
            let name = reader.string()?;
            reader.expect(b':')?;
            member(reader, &name)
        })
    }

    fn slots(&mut self) -> Result<Vec<Slot>> {
        let mut slots = Vec::new();
        self.expect(b'[')?;
        self.items(b']', |reader| {
            let (mut term, mut cumulative) = (None, None);
            reader.members(|reader, name| {
                match name {
                    b"key" => term = Some(reader.string()?),
                    b"doc_count" => cumulative = Some(reader.number()?),
                    _ => return Err(reader.fault("an unknown member")),
                }
                Ok(())
            })?;
            let (Some(term), Some(cumulative)) = (term, cumulative) else {
                return Err(reader.fault("a slot with members missing"));
            };
            slots.push(Slot { term, cumulative });
            Ok(())
        })?;
        Ok(slots)
    }

    fn number(&mut self) -> Result<u64> {
        let mut value = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            let next = value.unwrap_or(0u64).checked_mul(10).and_then(|tens| tens.checked_add(u64::from(digit - b'0')));
            value = Some(next.ok_or_else(|| self.fault("a number beyond 64 bits"))?);
            self.position += 1;
        }
        value.ok_or_else(|| self.fault("no number"))
    }

    fn string(&mut self) -> Result<Vec<u8>> {
        self.expect(b'"')?;
        let mut out = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Ok(out),
                b'\\' => {
                    let escape = self.next()?;
                    out.push(match escape {
                        b'b' => 8,
                        b'f' => 12,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'"' | b'\\' | b'/' => escape,
                        b'u' => self.escaped_byte()?,
                        _ => return Err(self.fault("an unknown escape")),
                    });
                }
                byte => out.push(byte),
            }
        }
    }

    /// `00XX` of a `\u00XX`; zvec escapes bytes, never characters.
    fn escaped_byte(&mut self) -> Result<u8> {
        let mut value = 0u32;
        for _ in 0..4 {
            let digit = char::from(self.next()?).to_digit(16).ok_or_else(|| self.fault("no hexadecimal digit"))?;
            value = value << 4 | digit;
        }
        u8::try_from(value).map_err(|_| self.fault("an escape beyond one byte"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terms_are_raw_bytes() {
        let text = b"{\"total_doc_count\":7,\"field_value_histogram\":[{\"key\":\";\x88@\\u0000\",\"doc_count\":3},\
            {\"key\":\"\\\\\\\"\\b\",\"doc_count\":7}]}";
        let histogram = Histogram::decode(text, 0).unwrap();
        assert_eq!(histogram.total, 7);
        assert_eq!(histogram.slots[0], Slot { term: b";\x88@\0".to_vec(), cumulative: 3 });
        assert_eq!(histogram.slots[1], Slot { term: b"\\\"\x08".to_vec(), cumulative: 7 });
        let empty = b"{\"field_value_histogram\":[],\"total_doc_count\":0}";
        assert_eq!(Histogram::decode(empty, 0).unwrap(), Histogram { total: 0, slots: vec![] });
    }

    #[test]
    fn histogram_of_zvec() {
        let text = include_bytes!("../testdata/inverted/double_range.histogram");
        let histogram = Histogram::decode(text, 0).unwrap();
        assert_eq!((histogram.total, histogram.slots.len()), (181, 61));
        assert!(histogram.slots.is_sorted_by(|a, b| a.term < b.term && a.cumulative < b.cumulative));
        assert!(histogram.slots.iter().all(|slot| slot.term.len() == 8));
        assert_eq!(histogram.slots.last().unwrap().cumulative, 181);
    }

    #[test]
    fn the_first_wrong_byte_is_named() {
        for (text, offset) in [
            (&b""[..], 50),
            (b"[", 50),
            (b"{\"total_doc_count\":x", 69),
            (b"{\"total_doc_count\":99999999999999999999}", 88),
            (b"{\"total_doc_count\":1}", 71),
            (b"{\"other\":1}", 59),
            (b"{\"\\x", 54),
            (b"{\"\\u01ff", 58),
            (b"{\"total_doc_count\":1,\"field_value_histogram\":[]}x", 98),
        ] {
            let error = Histogram::decode(text, 50).unwrap_err();
            assert_eq!((error.code, error.offset), ("histogram.malformed", offset), "{error}");
        }
    }

    proptest! {
        #[test]
        fn mutated_text_never_panics(at in 0usize..90, byte: u8, keep in 0usize..100) {
            let mut text = b"{\"total_doc_count\":7,\"field_value_histogram\":[{\"key\":\";\x88@\\u0000\",\"doc_count\":3}]}".to_vec();
            if let Some(slot) = text.get_mut(at) { *slot = byte; }
            text.truncate(keep);
            let _ = Histogram::decode(&text, 0);
        }
    }
}
