//! Write-ahead logs and the documents in their records.

use zvecctl::format::{document, json_value, manifest::proto::DataType, wal};

use super::super::mend;

/// `<blk>.wal`, as it is and with checksums that fit.
pub fn log(data: &[u8]) {
    read(data);
    let mut mended = data.to_vec();
    mend::wal(&mut mended);
    read(&mended);
}

fn read(data: &[u8]) {
    let mut records = 0u64;
    if let Ok(mut reader) = wal::Reader::new(data) {
        let mut at = reader.position();
        while let Some(entry) = reader.next_entry().expect("bytes in memory can be read") {
            assert!(reader.position() > at, "it goes on");
            at = reader.position();
            if let wal::Entry::Record(record) = entry {
                records += 1;
                assert_eq!(wal::read_record(data, record.offset).as_deref(), Ok(&*record.payload));
                let mut again = Vec::new();
                if wal::encode_record(&record.payload, &mut again).is_ok() {
                    assert!(data[record.offset as usize..].starts_with(&again), "a record is written as it was read");
                }
                document(&record.payload);
            }
        }
        assert_eq!(at, (data.len() as u64).max(wal::HEADER_LEN), "the end is reached");
    }
    let mut scanned = 0u64;
    if wal::scan(data, |_| scanned += 1).is_ok() {
        assert_eq!(scanned, records, "a scan sees what a reader sees");
    }
}

/// A record's payload.
pub fn document(data: &[u8]) {
    let decoded = document::decode(data, 0);
    let head = document::decode_head(data, 0);
    if let Ok(decoded) = decoded {
        let head = head.expect("the head of what can be read can be read");
        assert_eq!((head.pk, head.doc_id, head.op), (decoded.pk.as_slice(), decoded.doc_id, decoded.op));
        assert_eq!(document::encode(&decoded).as_deref(), Ok(data), "a document is written as it was read");
        let mut out = Vec::new();
        for (_, value) in &decoded.fields {
            json_value::write_value(&mut out, value, DataType::Undefined);
        }
    }
}
