//! A pull reader over JSON text that hands out numbers as text.
//!
//! serde_json gives a number as an f64 at best, which costs the last bit of some f32 values and the low bits of large
//! integers given as floats. Strings, with their escapes, are serde_json's.

use std::borrow::Cow;

use crate::format::{FormatError, Result};

/// Most levels of nesting that [`JsonReader::skip_value`] follows.
const MAX_DEPTH: usize = 128;

/// Reads JSON from the front of a slice; errors (`json.syntax`) carry the offset in the text.
#[derive(Debug, Clone)]
pub struct JsonReader<'a> {
    text: &'a [u8],
    position: usize,
}

impl<'a> JsonReader<'a> {
    /// A reader over `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, position: 0 }
    }

    /// Offset of the next byte.
    pub fn offset(&self) -> u64 {
        self.position as u64
    }

    /// The next byte that is no white space, not taken; `None` at the end.
    pub fn peek(&mut self) -> Option<u8> {
        let rest = self.text.get(self.position..)?;
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.position = self.position.saturating_add(space);
        self.text.get(self.position).copied()
    }

    /// Fails unless nothing but white space is left.
    pub fn finish(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end of the text")),
        }
    }

    /// Takes the byte `token` if it comes next.
    pub fn take(&mut self, token: u8) -> bool {
        let found = self.peek() == Some(token);
        self.position = self.position.saturating_add(usize::from(found));
        found
    }

    /// Takes the byte `token`, which must come next.
    pub fn require(&mut self, token: u8) -> Result<()> {
        if self.take(token) { Ok(()) } else { Err(self.expected(&format!("'{}'", token.escape_ascii()))) }
    }

    /// Takes the literal `word` if it comes next.
    pub fn take_word(&mut self, word: &str) -> bool {
        self.peek();
        let found = self.text.get(self.position..).is_some_and(|rest| rest.starts_with(word.as_bytes()));
        self.position = self.position.saturating_add(if found { word.len() } else { 0 });
        found
    }

    /// The text of the number that comes next.
    pub fn number(&mut self) -> Result<&'a str> {
        self.peek();
        let rest = self.text.get(self.position..).unwrap_or_default();
        let len = number_len(rest).ok_or_else(|| self.expected("a number"))?;
        let text = rest.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        self.position = self.position.saturating_add(len);
        Ok(text)
    }

    /// The string that comes next.
    pub fn string(&mut self) -> Result<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a string"));
        }
        let rest = self.text.get(self.position..).unwrap_or_default();
        let mut escaped = false;
        let body = rest.iter().skip(1).position(|byte| match (escaped, byte) {
            (true, _) => {
                escaped = false;
                false
            }
            (false, b'\\') => {
                escaped = true;
                false
            }
            (false, byte) => *byte == b'"',
        });
        let token =
            body.and_then(|body| rest.get(..body.saturating_add(2))).ok_or_else(|| self.expected("a string's end"))?;
        let plain = token.iter().all(|byte| *byte >= b' ' && *byte != b'\\');
        let text = match std::str::from_utf8(token) {
            Ok(token) if plain => Cow::Borrowed(token.trim_matches('"')),
            _ => {
                Cow::Owned(serde_json::from_slice(token).map_err(|error| self.syntax(format!("bad string: {error}")))?)
            }
        };
        self.position = self.position.saturating_add(token.len());
        Ok(text)
    }

    /// Calls `element` in front of every element of the array that comes next.
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.require(b'[')?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.take(b']') {
                return Ok(());
            }
            self.require(b',')?;
        }
    }

    /// Calls `member` in front of every value of the object that comes next, with its key.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<()>) -> Result<()> {
        self.require(b'{')?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.require(b':')?;
            member(self, key)?;
            if self.take(b'}') {
                return Ok(());
            }
            self.require(b',')?;
        }
    }

    /// Takes any value and gives its text.
    pub fn skip_value(&mut self) -> Result<&'a [u8]> {
        self.peek();
        let start = self.position;
        self.skip(MAX_DEPTH)?;
        Ok(self.text.get(start..self.position).unwrap_or_default())
    }

    fn skip(&mut self, depth: usize) -> Result<()> {
        let Some(deeper) = depth.checked_sub(1) else {
            return Err(self.syntax(format!("more than {MAX_DEPTH} levels of nesting")));
        };
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'[') => self.array(|reader| reader.skip(deeper)),
            Some(b'{') => self.object(|reader, _| reader.skip(deeper)),
            Some(b't' | b'f' | b'n') if ["true", "false", "null"].into_iter().any(|word| self.take_word(word)) => {
                Ok(())
            }
            _ => self.number().map(drop),
        }
    }

    /// An error at the next byte.
    pub fn syntax(&self, detail: impl Into<String>) -> FormatError {
        FormatError::malformed("json.syntax", self.offset(), detail)
    }

    /// "… expected, … found" at the next byte.
    pub fn expected(&mut self, what: &str) -> FormatError {
        let found = self.peek().map_or_else(|| "the end".to_owned(), |byte| format!("'{}'", byte.escape_ascii()));
        self.syntax(format!("{what} expected, {found} found"))
    }
}

/// Length of the JSON number at the front of `text`: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
fn number_len(text: &[u8]) -> Option<usize> {
    let at = |position: usize| text.get(position).copied();
    let digits =
        |from: usize| text.get(from..).map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
    let mut len = usize::from(at(0) == Some(b'-'));
    let whole = digits(len);
    if whole == 0 || (whole > 1 && at(len) == Some(b'0')) {
        return None;
    }
    len = len.saturating_add(whole);
    if at(len) == Some(b'.') {
        let fraction = digits(len.saturating_add(1));
        if fraction == 0 {
            return None;
        }
        len = len.saturating_add(1).saturating_add(fraction);
    }
    if matches!(at(len), Some(b'e' | b'E')) {
        len = len.saturating_add(1);
        len = len.saturating_add(usize::from(matches!(at(len), Some(b'+' | b'-'))));
        let exponent = digits(len);
        if exponent == 0 {
            return None;
        }
        len = len.saturating_add(exponent);
    }
    Some(len)
}
