//! Bytes of an input, counted.

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parquet::{
    errors::ParquetError,
    file::reader::{ChunkReader, Length},
};

use crate::vfs::File;

/// Bytes that were read.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A file of the VFS as the decoders want to read it.
#[derive(Clone)]
pub(super) struct FileReader {
    file: Arc<dyn File>,
    len: u64,
    at: u64,
    counter: Counter,
}

impl FileReader {
    pub(super) fn new(file: Arc<dyn File>, counter: Counter) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self { file, len, at: 0, counter })
    }

    /// Fills `buf` with the file's first bytes; gives how many there are.
    pub(super) fn front(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = buf.len().min(usize::try_from(self.len).unwrap_or(usize::MAX));
        let front = buf.get_mut(..count).unwrap_or_default();
        self.file.read_exact_at(0, front)?;
        Ok(count)
    }

    /// Reads at a place that the caller chose, uncounted: it is read again.
    pub(super) fn read_exact_at(&self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(at, buf)
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn counter(&self) -> &Counter {
        &self.counter
    }
}

impl Read for FileReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(self.at, buf)?;
        self.at += read as u64;
        self.counter.add(read);
        Ok(read)
    }
}

impl Seek for FileReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl Length for FileReader {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for FileReader {
    type T = io::BufReader<Self>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(io::BufReader::with_capacity(256 << 10, Self { at: start, ..self.clone() }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        // Before anything is allocated.
        if start.checked_add(length as u64).is_none_or(|end| end > self.len) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} of {}", self.len)));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(start, &mut bytes)?;
        self.counter.add(length);
        Ok(bytes.into())
    }
}

/// A stream whose first bytes were looked at.
pub(super) struct Prefixed {
    front: Vec<u8>,
    given: usize,
    rest: Box<dyn Read + Send>,
    counter: Counter,
}

impl Prefixed {
    pub(super) fn new(mut rest: Box<dyn Read + Send>, counter: Counter) -> io::Result<Self> {
        let mut front = Vec::new();
        rest.by_ref().take(6).read_to_end(&mut front)?;
        Ok(Self { front, given: 0, rest, counter })
    }

    pub(super) fn front(&self) -> &[u8] {
        &self.front
    }
}

impl Read for Prefixed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut left = self.front.get(self.given..).unwrap_or_default();
        let read = if left.is_empty() { self.rest.read(buf)? } else { left.read(buf)? };
        self.given = (self.given + read).min(self.front.len());
        self.counter.add(read);
        Ok(read)
    }
}
