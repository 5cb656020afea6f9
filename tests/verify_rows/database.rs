//! RocksDB directories with other content than zvec gave them, under checksums that fit.

use std::{collections::BTreeMap, fs, path::Path};

use zvecctl::format::{
    Result, Source,
    rocks::{
        Db, Directory, Entry, ValueType,
        write::{TableBuilder, TableOptions, plan},
    },
};

/// What a key holds: a value, or merge operands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    Value(Vec<u8>),
    Operands(Vec<Vec<u8>>),
}

impl Held {
    /// The value, or the only operand.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Value(value) => value,
            Self::Operands(operands) => operands.last_mut().unwrap(),
        }
    }
}

/// Column families by name, with their entries.
pub type Families = BTreeMap<String, BTreeMap<Vec<u8>, Held>>;

struct OnDisk<'a>(&'a Path);

impl Directory for OnDisk<'_> {
    fn names(&self) -> Result<Vec<String>> {
        Ok(fs::read_dir(self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
    }

    fn open(&self, name: &str) -> Result<Box<dyn Source>> {
        Ok(Box::new(fs::read(self.0.join(name)).unwrap()))
    }
}

/// Everything in a directory.
pub fn read(path: &Path) -> Families {
    let db = Db::open(&OnDisk(path)).unwrap();
    let families = db.column_families().iter().map(|family| {
        let entries = family.scan().map(|row| {
            let row = row.unwrap();
            let held = match row.entry {
                Entry::Value(value) => Held::Value(value),
                Entry::Merge { base, operands } => Held::Operands(base.into_iter().chain(operands).collect()),
            };
            (row.key, held)
        });
        (family.name(), entries.collect())
    });
    families.collect()
}

/// Writes a directory anew.
pub fn write(path: &Path, families: &Families) {
    fs::remove_dir_all(path).unwrap();
    fs::create_dir(path).unwrap();
    let named = families.keys().filter(|name| *name != "default").map(String::as_bytes);
    let database = plan::new_database(named, 1);
    let mut edits = plan::snapshot(&database).unwrap();
    let mut tables = Vec::new();
    let mut sequence = 0;
    for (id, family) in &database.column_families {
        let name = String::from_utf8(family.name.clone()).unwrap();
        let entries = families.get(&name).filter(|entries| !entries.is_empty());
        let Some(entries) = entries else { continue };
        let number = 10 + u64::from(*id);
        let mut table = Vec::new();
        let mut builder = TableBuilder::new(&mut table, TableOptions::new(number, *id, name, 0));
        for (key, held) in entries {
            let operands = match held {
                Held::Value(value) => vec![(ValueType::Value, value)],
                Held::Operands(operands) => operands.iter().map(|operand| (ValueType::Merge, operand)).collect(),
            };
            // The newest comes first.
            sequence += operands.len() as u64;
            for ((kind, value), older) in operands.iter().rev().zip(0..) {
                builder.add(key, sequence - older, *kind, value).unwrap();
            }
        }
        tables.push((*id, builder.finish().unwrap().file));
        fs::write(path.join(plan::table_name(number)), table).unwrap();
    }
    edits.extend(plan::flush_edits(&database, tables, sequence).unwrap());
    let mut manifest = Vec::new();
    plan::append_edits(&mut manifest, &edits).unwrap();
    fs::write(path.join(plan::manifest_name(1)), manifest).unwrap();
    fs::write(path.join("CURRENT"), plan::current(1)).unwrap();
}
