//! A bounds-checked reader over a byte slice that knows where in the file it stands.

use super::{FormatError, Result};

/// Reads little-endian values off the front of a slice; every short read is a [`FormatError`] with the absolute offset.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
    base: u64,
    code: &'static str,
}

macro_rules! fixed {
    ($($name:ident $ty:ty;)*) => {$(
        #[doc = concat!("Next little-endian `", stringify!($ty), "`.")]
        pub fn $name(&mut self) -> Result<$ty> {
            Ok(<$ty>::from_le_bytes(self.array()?))
        }
    )*};
}

impl<'a> Cursor<'a> {
    /// A cursor over `bytes`, which begin at file offset `base`; `code` is the code of its truncation errors.
    pub fn new(bytes: &'a [u8], base: u64, code: &'static str) -> Self {
        Self { bytes, position: 0, base, code }
    }

    /// Absolute offset of the next byte.
    pub fn offset(&self) -> u64 {
        self.base.saturating_add(self.position as u64)
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let taken =
            self.position.checked_add(len).and_then(|end| self.bytes.get(self.position..end)).ok_or_else(|| {
                let detail = format!("{len} bytes expected, {} left", self.remaining());
                FormatError::truncated(self.code, self.offset(), detail)
            })?;
        self.position += len;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(N)?);
        Ok(out)
    }

    /// Skips `len` bytes.
    pub fn skip(&mut self, len: usize) -> Result<()> {
        self.bytes(len).map(drop)
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        self.position = self.bytes.len();
        rest
    }

    fixed! {
        u8 u8;
        u16 u16;
        u32 u32;
        u64 u64;
        i32 i32;
        i64 i64;
        f32 f32;
        f64 f64;
    }

    /// Next LEB128 varint of at most 64 bits.
    pub fn varint(&mut self) -> Result<u64> {
        let start = self.offset();
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FormatError::malformed(self.code, start, "varint longer than 64 bits"))
    }

    /// Next varint, which must fit 32 bits.
    pub fn varint32(&mut self) -> Result<u32> {
        let start = self.offset();
        let value = self.varint()?;
        u32::try_from(value)
            .map_err(|_| FormatError::malformed(self.code, start, format!("varint {value} does not fit 32 bits")))
    }

    /// Bytes preceded by their length as a varint.
    pub fn varint_bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.varint()?;
        self.bytes(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// Bytes preceded by their length as a u32.
    pub fn u32_bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.u32()?;
        self.bytes(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// The next `count` elements of `size` bytes each; the range is checked before anything is allocated.
    pub fn elements(&mut self, count: usize, size: usize) -> Result<&'a [u8]> {
        self.bytes(count.saturating_mul(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_read_names_the_absolute_offset() {
        let mut cursor = Cursor::new(&[1, 2, 3], 100, "x.cut");
        assert_eq!(cursor.u16().unwrap(), 0x0201);
        let error = cursor.u32().unwrap_err();
        assert_eq!((error.code, error.offset), ("x.cut", 102));
        assert_eq!(cursor.u8().unwrap(), 3, "a failed read takes nothing");
    }

    #[test]
    fn varint_bounds() {
        let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Cursor::new(&max, 0, "x").varint().unwrap(), u64::MAX);
        let long = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert!(Cursor::new(&long, 0, "x").varint().is_err());
        assert!(Cursor::new(&[0x80; 20], 0, "x").varint().is_err());
        assert!(Cursor::new(&[0x80], 0, "x").varint().is_err());
        assert!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x1f], 0, "x").varint32().is_err());
    }

    #[test]
    fn hostile_counts_do_not_allocate_or_overflow() {
        let mut cursor = Cursor::new(&[0; 8], 0, "x");
        assert!(cursor.elements(usize::MAX, 8).is_err());
        assert!(cursor.bytes(usize::MAX).is_err());
        assert_eq!(cursor.remaining(), 8);
    }
}
