//! Tests on files that RocksDB wrote (`testdata/rocks/README.md`), whole and damaged.

mod damage;
mod database;
mod log;
mod manifest;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Entry, Family};

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../../testdata/rocks/", $name))
    };
}
use data;

/// Name and bytes of each table of `fill` in `make.py`.
const TABLES: [(&str, &[u8]); 9] = [
    ("fv2_crc32c_none", data!("fv2_crc32c_none.sst")),
    ("fv3_xxhash_snappy", data!("fv3_xxhash_snappy.sst")),
    ("fv4_xxh3_lz4", data!("fv4_xxh3_lz4.sst")),
    ("fv5_crc32c_snappy", data!("fv5_crc32c_snappy.sst")),
    ("fv5_xxh3_none", data!("fv5_xxh3_none.sst")),
    ("fv5_xxhash64_zstd_twolevel", data!("fv5_xxhash64_zstd_twolevel.sst")),
    ("fv6_xxh3_zstd", data!("fv6_xxh3_zstd.sst")),
    ("fv6_crc32c_lz4hc", data!("fv6_crc32c_lz4hc.sst")),
    ("fv6_no_checksum_none", data!("fv6_no_checksum_none.sst")),
];

/// The rows of those tables.
fn table_rows() -> Vec<(Vec<u8>, Vec<u8>)> {
    (0..60)
        .map(|n: usize| (format!("key{:03}", 3 * n).into_bytes(), format!("value {n} ").repeat(n % 5).into_bytes()))
        .collect()
}

fn table(name: &str) -> Vec<u8> {
    TABLES.iter().find(|(known, _)| *known == name).unwrap().1.to_vec()
}

type Files = BTreeMap<String, Arc<Vec<u8>>>;

fn files(listed: &[(&str, &[u8])]) -> Files {
    listed.iter().map(|(name, bytes)| ((*name).to_owned(), Arc::new(bytes.to_vec()))).collect()
}

/// The database of `make.py`.
fn database() -> Files {
    files(&[
        ("CURRENT", data!("db/CURRENT")),
        ("MANIFEST-000005", data!("db/MANIFEST-000005")),
        ("000012.sst", data!("db/000012.sst")),
        ("000015.sst", data!("db/000015.sst")),
        ("000016.sst", data!("db/000016.sst")),
        ("000017.sst", data!("db/000017.sst")),
        ("000018.log", data!("db/000018.log")),
        ("000019.sst", data!("db/000019.sst")),
        ("000020.sst", data!("db/000020.sst")),
    ])
}

/// The scalar index that zvec wrote.
fn scalar_index() -> Files {
    files(&[
        ("CURRENT", data!("zvec/CURRENT")),
        ("MANIFEST-000005", data!("zvec/MANIFEST-000005")),
        ("000054.sst", data!("zvec/000054.sst")),
        ("000058.sst", data!("zvec/000058.sst")),
        ("000059.sst", data!("zvec/000059.sst")),
        ("000061.sst", data!("zvec/000061.sst")),
        ("000063.sst", data!("zvec/000063.sst")),
        ("000064.sst", data!("zvec/000064.sst")),
    ])
}

/// What RocksDB reads from the database: rows by family.
fn database_rows() -> BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut rows: BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>> = BTreeMap::new();
    for line in std::str::from_utf8(data!("db.rows")).unwrap().lines() {
        let [family, key, value] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        rows.entry(family.to_owned()).or_default().insert(unhex(key), unhex(value));
    }
    rows
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Changes a file of a directory.
fn alter(files: &mut Files, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = files[name].to_vec();
    change(&mut bytes);
    files.insert(name.to_owned(), Arc::new(bytes));
}

/// The rows of a family that holds plain values and no damage.
fn clean_rows(family: &Family) -> Vec<(Vec<u8>, Vec<u8>)> {
    family
        .scan()
        .map(|row| {
            let row = row.unwrap();
            assert!(row.certain);
            match row.entry {
                Entry::Value(value) => (row.key, value),
                Entry::Merge { .. } => panic!("merge operands without a merge operator"),
            }
        })
        .collect()
}
