//! A file of the VFS as the sink of a format's writer.

use std::io;

use crate::{
    format::{Sink, SinkError, proxima::write::PatchSink},
    vfs::FileMut,
};

/// Bytes collected before they are written.
const BUFFER: usize = 256 << 10;

/// Appends to a file through a buffer; bytes that were appended can be written over.
pub struct FileSink {
    file: Box<dyn FileMut>,
    /// Bytes that are in the file, those of `append_zeros` included.
    written: u64,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for FileSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSink").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl FileSink {
    /// Writes behind the first `position` bytes of `file`: 0 for a new file.
    pub fn new(file: Box<dyn FileMut>, position: u64) -> Self {
        Self { file, written: position, buffer: Vec::new() }
    }

    /// Writes what is in the buffer.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_all_at(self.written, &self.buffer)?;
            self.written += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Writes what is in the buffer and makes the file's content durable; its name is the directory's to keep.
    pub fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync()
    }

    /// The file, which has all bytes after [`flush`](Self::flush).
    pub fn file(&self) -> &dyn FileMut {
        self.file.as_ref()
    }
}

fn failed(error: io::Error) -> SinkError {
    SinkError(error.to_string())
}

impl Sink for FileSink {
    fn append(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush().map_err(failed)?;
        }
        if bytes.len() >= BUFFER {
            self.file.write_all_at(self.written, bytes).map_err(failed)?;
            self.written += bytes.len() as u64;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }
}

impl PatchSink for FileSink {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SinkError> {
        self.flush().map_err(failed)?;
        self.file.write_all_at(offset, bytes).map_err(failed)
    }

    fn append_zeros(&mut self, len: u64) -> Result<(), SinkError> {
        // The size alone: the zeros take no place on disk until something is written over them.
        self.flush().map_err(failed)?;
        self.file.truncate(self.written + len).map_err(failed)?;
        self.written += len;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{RealFs, Vfs, VfsMut};

    #[test]
    fn appends_patches_and_zeros_end_up_in_their_places() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut sink = FileSink::new(RealFs.create_new(&path).unwrap(), 0);
        sink.append(b"abc").unwrap();
        sink.append_zeros(5).unwrap();
        sink.append(&vec![7; BUFFER + 1]).unwrap();
        sink.append(b"end").unwrap();
        sink.write_at(1, b"X").unwrap();
        sink.sync().unwrap();
        assert_eq!(sink.position(), 8 + BUFFER as u64 + 4);

        let file = RealFs.open(&path).unwrap();
        assert_eq!(file.len().unwrap(), sink.position());
        let mut head = [0; 9];
        file.read_exact_at(0, &mut head).unwrap();
        assert_eq!(&head, b"aXc\0\0\0\0\0\x07");
        let mut tail = [0; 4];
        file.read_exact_at(sink.position() - 4, &mut tail).unwrap();
        assert_eq!(&tail, b"\x07end");
    }
}
