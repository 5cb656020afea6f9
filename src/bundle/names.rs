//! Names in a bundle: as they are, or hashed.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    path::Path,
};

use crate::{
    format::{
        forward::{DOC_ID_COLUMN, UID_COLUMN},
        fts, inverted,
    },
    inspect::names::{NameKind, classify},
};

/// Shows names, hashed with a key that only this value knows where they are to be hidden.
pub(super) struct Names {
    key: Option<[u8; 32]>,
}

impl Names {
    /// Hashes if `redact`. The key is random and goes nowhere, so that nobody can try names out.
    pub fn new(redact: bool) -> Self {
        let random = || RandomState::new().build_hasher().finish().to_le_bytes();
        let key = || {
            let mut key = [0; 32];
            key.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random()));
            key
        };
        Self { key: redact.then(key) }
    }

    /// A name that a user gave.
    pub fn name(&self, name: &str) -> String {
        match &self.key {
            None => name.to_owned(),
            Some(_) if name.is_empty() => String::new(),
            Some(key) => {
                let digits: String = blake3::keyed_hash(key, name.as_bytes()).to_hex().chars().take(12).collect();
                format!("~{digits}")
            }
        }
    }

    /// A column, zvec's own ones as they are.
    pub fn column(&self, name: &str) -> String {
        if [DOC_ID_COLUMN, UID_COLUMN].contains(&name) { name.to_owned() } else { self.name(name) }
    }

    /// A column family: what belongs to a column keeps its ending.
    pub fn family(&self, name: &str, full_text: bool) -> String {
        let column = match full_text {
            true => fts::Family::parse(name).column(),
            false => inverted::Family::parse(name).column(),
        };
        match column {
            Some(column) => format!("{}{}", self.name(column), name.get(column.len()..).unwrap_or_default()),
            None if name == "default" || name == "$CDF" || name == "$FTS_STAT" => name.to_owned(),
            None => self.name(name),
        }
    }

    /// A path of the collection: what zvec and RocksDB call their files stays.
    pub fn path(&self, path: &str) -> String {
        if self.key.is_none() {
            return path.to_owned();
        }
        let parts: Vec<&str> = path.split('/').collect();
        let mut so_far = String::new();
        let shown = parts.iter().map(|part| {
            if !so_far.is_empty() {
                so_far.push('/');
            }
            so_far.push_str(part);
            self.part(&so_far, part)
        });
        shown.collect::<Vec<_>>().join("/")
    }

    fn part(&self, path: &str, part: &str) -> String {
        match classify(Path::new(path)).0 {
            NameKind::Other | NameKind::Unfinished => self.name(part),
            NameKind::Vector | NameKind::QuantizedVector => {
                // `<column>.index.<block>.proxima`
                let mut from_right = part.rsplitn(4, '.');
                let ends = [from_right.next(), from_right.next(), from_right.next()];
                let column = from_right.next().unwrap_or_default();
                let [Some(proxima), Some(block), Some(kind)] = ends else { return self.name(part) };
                format!("{}.{kind}.{block}.{proxima}", self.name(column))
            }
            NameKind::Directory if !of_zvec(part) => self.name(part),
            NameKind::IdMap | NameKind::ScalarIndex | NameKind::FtsIndex if !of_rocksdb(part) => self.name(part),
            _ => part.to_owned(),
        }
    }
}

/// Whether zvec calls a directory so.
fn of_zvec(name: &str) -> bool {
    let stem = name.strip_suffix(".rocksdb").unwrap_or(name);
    let number = ["scalar.index.", "fts.", "idmap."].iter().find_map(|start| stem.strip_prefix(start)).unwrap_or(stem);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether RocksDB calls its files so.
fn of_rocksdb(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbered = name.rsplit_once('.').is_some_and(|(number, end)| digits(number) && ["sst", "log"].contains(&end));
    let described =
        name.split_once('-').is_some_and(|(start, number)| ["MANIFEST", "OPTIONS"].contains(&start) && digits(number));
    numbered || described || ["CURRENT", "IDENTITY", "LOCK", "LOG"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_name_is_hashed_and_what_zvec_names_stays() {
        let names = Names::new(true);
        let hashed = names.name("secret");
        assert!(hashed.starts_with('~') && !hashed.contains("secret"));
        assert_eq!(names.name("secret"), hashed);
        assert_ne!(Names::new(true).name("secret"), hashed, "each bundle has a key of its own");
        for same in ["manifest.3", "0/scalar.0.ipc", "0/4.wal", "idmap.0/000012.sst", "0/fts.2.rocksdb/MANIFEST-000005"]
        {
            assert_eq!(names.path(same), same);
        }
        assert_eq!(names.path("0/secret.index.3.proxima"), format!("0/{hashed}.index.3.proxima"));
        assert_eq!(names.path("secret"), hashed);
        assert_eq!(names.path("0/scalar.index.1.rocksdb/secret"), format!("0/scalar.index.1.rocksdb/{hashed}"));
        let stray = names.path("0/secret.index.9.rocksdb");
        assert!(!stray.contains("secret") && stray.starts_with("0/~"), "{stray}");
        assert_eq!(names.path("0/scalar.index.9.rocksdb"), "0/scalar.index.9.rocksdb");
        assert_eq!(names.family("secret$TERMS", false), format!("{hashed}$TERMS"));
        assert_eq!(names.family("secret", true), hashed);
        assert_eq!(Names::new(false).path("0/secret.index.3.proxima"), "0/secret.index.3.proxima");
    }
}
