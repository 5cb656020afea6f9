//! `*.proxima`: containers, and each kind of vector file. Files are squeezed, see [`super::sparse`].

use zvecctl::format::proxima::{
    Container, IndexMeta, Layout, VectorFile,
    rotation::{self, Rotation},
    sparse::Record,
    write::{FileOptions, FilePlan, FlatWriter, Room},
};

use super::{expand, layouts};

/// How many rows, nodes and lists are read: a damaged count may claim billions.
const MOST: u64 = 200;

/// A container as it is, and the parts that need none.
pub fn container(data: &[u8]) {
    if let Ok(meta) = IndexMeta::parse(data, 0)
        && let Ok(bytes) = meta.to_bytes()
    {
        let again = IndexMeta::parse(&bytes, 0).expect("what is written can be read");
        assert_eq!(again.to_bytes().as_ref(), Ok(&bytes));
    }
    if let Ok(rotation) = Rotation::parse(data, 0) {
        rotation.invert(&mut vec![1.0; rotation.dimension()]);
    }
    for unit in [2, 4] {
        let _ = Record::parse(data, 0, unit);
    }
    let data = expand(data);
    let Ok(container) = Container::open(&data) else { return };
    for segment in container.segments.iter().take(MOST as usize) {
        let _ = container.check_segment(&data, segment);
    }
    let _ = container.check_content(&data);
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident;)*) => { $($(#[$doc])* pub fn $name(data: &[u8]) { file(data); })* };
}

kinds! {
    /// FLAT, dense.
    flat;
    /// FLAT, sparse.
    flat_sparse;
    /// HNSW, dense.
    hnsw;
    /// HNSW, sparse.
    hnsw_sparse;
    /// HNSW over RaBitQ codes.
    hnsw_rabitq;
    /// Vamana.
    vamana;
    /// IVF.
    ivf;
    /// IVF over RaBitQ codes.
    ivf_rabitq;
    /// DiskANN.
    diskann;
}

/// The bytes say which kind it is; the targets differ by what their corpus begins with.
fn file(data: &[u8]) {
    let data = expand(data);
    let Ok(mut file) = VectorFile::open(&data) else { return };
    file.facts();
    let source = &data;
    for segment in file.container.segments.iter().take(16) {
        let _ = file.container.check_segment(source, segment);
    }
    let _ = file.key_map().map(|keys| keys.position(0));
    let rows = file.rows();
    let mut reader = file.reader();
    for row in (0..rows.min(MOST)).chain([rows, rows.saturating_sub(1), u64::MAX]) {
        let _ = file.read_row(row, &mut reader);
        let element = file.record(row, &mut reader).map(|record| record.bytes.to_vec());
        if let (Ok(encoding), Ok(element)) = (&file.encoding, element) {
            let _ = encoding.components(&element);
            let _ = encoding.redundancy(&element, 0);
        }
    }
    layouts::read(&file, MOST);
    if matches!(file.layout, Layout::Flat(_) | Layout::FlatSparse(_)) {
        written(&file);
    }
    file.trust_rotation();
    let mut reader = file.reader();
    let _ = file.read_row(0, &mut reader);
}

/// The rows of a flat file go into another one and come out as they were.
fn written(file: &VectorFile<&Vec<u8>>) {
    if file.rows() > MOST || file.encoding.is_err() {
        return;
    }
    let rotation = file.container.segment(rotation::SEGMENT);
    let rotation = rotation.and_then(|segment| {
        file.source().get(segment.offset as usize..)?.get(..segment.size as usize).map(<[u8]>::to_vec)
    });
    let mut reader = file.reader();
    let read = |position| file.record(position, &mut reader).map(|row| (!row.is_null()).then(|| row.bytes.to_vec()));
    let Ok(rows) = (0..file.rows()).map(read).collect::<Result<Vec<_>, _>>() else { return };
    let options = FileOptions { room: Room::Compact, ..FileOptions::new(7, 1) };
    let Ok(mut writer) = FlatWriter::new(&FilePlan::copying(file.meta.clone(), rotation), Vec::new(), &options) else {
        return;
    };
    if rows.iter().any(|row| writer.push_element(row.as_deref()).is_err()) {
        return;
    }
    let Ok(finished) = writer.finish(2) else { return };
    let again = VectorFile::open(&finished.sink).expect("what is written can be opened");
    assert!(again.faults.is_empty(), "{:?}", again.faults);
    let mut reader = again.reader();
    for (position, row) in rows.iter().enumerate().take(again.rows() as usize) {
        let found = again.record(position as u64, &mut reader).expect("what is written can be read");
        assert_eq!((!found.is_null()).then(|| found.bytes.to_vec()), *row, "row {position}");
    }
    assert!(rows.iter().skip(again.rows() as usize).all(Option::is_none), "only rows without vector are left out");
}
