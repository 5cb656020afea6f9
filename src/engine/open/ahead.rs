//! Decodes the log ahead of its replay, on a thread of its own.
//!
//! Reading, checking and decoding a record takes about as long as putting it into memory. What is decoded and not yet replayed is bounded: a few
//! batches of some hundred KiB each, or one record, if that is longer.

use std::{sync::mpsc, thread};

use crate::{
    engine::{Doc, Schema},
    format::{
        Result, Source,
        document::{self, Op, WalDoc},
        wal::{Entry, Reader},
    },
};

/// Bytes of records after which a batch is handed over.
const BATCH: u64 = 256 << 10;
/// Batches that wait for the replay.
const AHEAD: usize = 4;

/// A record of the log.
pub(super) struct Ahead {
    /// Offset of its frame.
    pub offset: u64,
    /// Its operation, or why it cannot be told.
    pub operation: Result<Operation>,
}

/// What a record says.
pub(super) struct Operation {
    /// What to do.
    pub op: Op,
    /// The document id in it.
    pub doc_id: u64,
    /// The document.
    pub content: Content,
}

/// The document of a record.
pub(super) enum Content {
    /// Every value has the type and the shape that the schema asks for, and every one that has to be there is there. Of a deletion the key alone.
    Whole(Doc),
    /// Something is odd about it.
    Odd(WalDoc),
}

impl Content {
    /// Its primary key.
    pub fn pk(&self) -> &[u8] {
        match self {
            Self::Whole(doc) => &doc.pk,
            Self::Odd(doc) => &doc.pk,
        }
    }
}

/// Gives every record of the log to `replay`, in order, until that fails. What is no record is passed over.
pub(super) fn each<S, E>(
    source: S,
    schema: &Schema,
    mut replay: impl FnMut(Ahead) -> std::result::Result<(), E>,
) -> std::result::Result<(), E>
where
    S: Source + Send,
    E: From<crate::format::FormatError>,
{
    let (send, receive) = mpsc::sync_channel::<Result<Vec<Ahead>>>(AHEAD);
    thread::scope(|scope| {
        scope.spawn(move || {
            // Whoever does not want any more records has hung up.
            let _hung_up = decode(source, schema, &send);
        });
        for batch in receive {
            batch?.into_iter().try_for_each(&mut replay)?;
        }
        Ok(())
    })
}

type Handed = std::result::Result<(), mpsc::SendError<Result<Vec<Ahead>>>>;

fn decode<S: Source>(source: S, schema: &Schema, send: &mpsc::SyncSender<Result<Vec<Ahead>>>) -> Handed {
    let mut reader = match Reader::new(source) {
        Ok(reader) => reader,
        Err(error) => return send.send(Err(error)),
    };
    let (mut batch, mut begin) = (Vec::new(), reader.position());
    loop {
        let record = match reader.next_entry() {
            Ok(Some(Entry::Record(record))) => record,
            Ok(Some(Entry::Gap(_))) => continue,
            Ok(None) => return send.send(Ok(batch)),
            Err(error) => {
                send.send(Ok(batch))?;
                return send.send(Err(error));
            }
        };
        let operation = document::decode(&record.payload, record.payload_offset()).map(|doc| {
            let (op, doc_id) = (doc.op, doc.doc_id);
            let content = match op {
                Op::Delete => Content::Whole(Doc { pk: doc.pk, values: Vec::new() }),
                _ if schema.keeps(&doc) => Content::Whole(schema.decode(doc)),
                _ => Content::Odd(doc),
            };
            Operation { op, doc_id, content }
        });
        batch.push(Ahead { offset: record.offset, operation });
        if reader.position() - begin >= BATCH {
            send.send(Ok(std::mem::take(&mut batch)))?;
            begin = reader.position();
        }
    }
}
