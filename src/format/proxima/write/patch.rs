//! A sink whose earlier bytes can still be written: counters and checksums stand in front of what they count.

use crate::format::{Sink, SinkError};

type Written = std::result::Result<(), SinkError>;

const ZEROS: [u8; 4096] = [0; 4096];

/// A [`Sink`] with positioned writes and runs of zeros.
pub trait PatchSink: Sink {
    /// Overwrites bytes that are there: `offset` + the length is at most [`Sink::position`].
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Written;

    /// Adds `len` zero bytes at the end. A file does best to set its size: most of a vector file is zeros that nothing ever
    /// fills, and the file system need not store them.
    fn append_zeros(&mut self, len: u64) -> Written {
        let mut left = len;
        while left > 0 {
            let step = ZEROS.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.append(ZEROS.get(..step).unwrap_or(&ZEROS))?;
            left -= step as u64;
        }
        Ok(())
    }
}

impl PatchSink for Vec<u8> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Written {
        let place = usize::try_from(offset).ok().and_then(|start| self.get_mut(start..start.checked_add(bytes.len())?));
        match place {
            Some(place) => place.copy_from_slice(bytes),
            None => {
                let detail = format!("{} bytes at {offset} do not lie within {}", bytes.len(), self.len());
                return Err(SinkError(detail));
            }
        }
        Ok(())
    }
}

impl<S: PatchSink + ?Sized> PatchSink for &mut S {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Written {
        (**self).write_at(offset, bytes)
    }

    fn append_zeros(&mut self, len: u64) -> Written {
        (**self).append_zeros(len)
    }
}

impl<S: PatchSink + ?Sized> PatchSink for Box<S> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Written {
        (**self).write_at(offset, bytes)
    }

    fn append_zeros(&mut self, len: u64) -> Written {
        (**self).append_zeros(len)
    }
}
