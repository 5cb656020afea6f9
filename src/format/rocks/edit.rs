//! Version edits: the records of a MANIFEST.
//!
//! ```text
//! record:       (varint tag | fields)*
//!   1 comparator name   2 log number   3 next file number   4 last sequence   9 previous log number
//!   10 minimum log number to keep   5 level, internal key (compaction cursor)   6 level, file number (file removed)
//!   7, 100, 102, 103 file added   200 column family id   201 column family added: name   202 column family dropped
//!   203 highest column family id   300 edits that follow in this atomic group   400 blob file added   401 blob file garbage
//!   8192 and more: may be ignored, length-prefixed, except 8194 to 8197 of old (400, 401 and WAL tracking without length)
//! file added:   varint level, number, [102: path id], size | smallest, largest internal key | [100 on: varint smallest,
//!               largest sequence] | [103: (varint tag | bytes)* | 1]
//! ```
//! Names, keys and `bytes` are length-prefixed by a varint; the other fields are varints. In a file's custom fields, tags with
//! bit 6 set must be understood: 65 is the path id.

use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result};

const SAFE_TO_IGNORE: u32 = 1 << 13;
const CUSTOM_MUST_KNOW: u32 = 1 << 6;
const CUSTOM_PATH_ID: u32 = 65;

/// A table that an edit adds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewFile {
    /// Level that it is on.
    pub level: u32,
    /// Number in its name.
    pub number: u64,
    /// Which of the database's paths it is under.
    pub path_id: u32,
    /// Its size in bytes.
    pub size: u64,
    /// Smallest internal key.
    pub smallest: Vec<u8>,
    /// Largest internal key.
    pub largest: Vec<u8>,
    /// Smallest sequence number; 0 if the edit does not say.
    pub smallest_sequence: u64,
    /// Largest sequence number, if the edit says.
    pub largest_sequence: Option<u64>,
    /// Custom fields, by tag: 5 oldest ancestor time, 6 creation time, 7 and 8 checksum and its function, 12 unique id,
    /// 13 epoch number, 15 tail size, …
    pub custom: Vec<(u32, Vec<u8>)>,
}

impl NewFile {
    /// The bytes of custom field `tag`.
    pub fn custom(&self, tag: u32) -> Option<&[u8]> {
        self.custom.iter().find(|(stored, _)| *stored == tag).map(|(_, bytes)| bytes.as_slice())
    }
}

/// One record of a MANIFEST.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionEdit {
    /// Comparator of the column family.
    pub comparator: Option<Vec<u8>>,
    /// Logs before this one hold nothing that the column family still needs.
    pub log_number: Option<u64>,
    /// Unused since long.
    pub prev_log_number: Option<u64>,
    /// Next file number to be given out.
    pub next_file_number: Option<u64>,
    /// Last sequence number given out.
    pub last_sequence: Option<u64>,
    /// Highest column family id given out.
    pub max_column_family: Option<u32>,
    /// Logs before this one are obsolete altogether.
    pub min_log_number_to_keep: Option<u64>,
    /// Identity of the database.
    pub db_id: Option<Vec<u8>>,
    /// Column family that the edit is about.
    pub column_family: u32,
    /// Name, if the edit adds the column family.
    pub column_family_add: Option<Vec<u8>>,
    /// Whether the edit drops the column family.
    pub column_family_drop: bool,
    /// Edits that follow in the atomic group this one is part of.
    pub atomic_group_remaining: Option<u32>,
    /// Tables removed: level and number.
    pub deleted_files: Vec<(u32, u64)>,
    /// Tables added.
    pub new_files: Vec<NewFile>,
    /// Numbers of blob files added.
    pub blob_files: Vec<u64>,
    /// Compaction cursors: level and internal key.
    pub compact_cursors: Vec<(u32, Vec<u8>)>,
    /// Ignorable tags that this build does not use, with their bytes.
    pub ignored: Vec<(u32, Vec<u8>)>,
}

impl VersionEdit {
    /// Decodes the record that begins at file offset `base`. Offsets in errors count from there as if the record were in one
    /// piece.
    pub fn decode(bytes: &[u8], base: u64) -> Result<Self> {
        let mut edit = Self::default();
        let mut cursor = Cursor::new(bytes, base, "rocks-edit.truncated");
        while !cursor.is_empty() {
            let offset = cursor.offset();
            let tag = cursor.varint32()?;
            edit.decode_tag(tag, offset, &mut cursor)?;
        }
        Ok(edit)
    }

    fn decode_tag(&mut self, tag: u32, offset: u64, cursor: &mut Cursor<'_>) -> Result<()> {
        match tag {
            1 => self.comparator = Some(cursor.varint_bytes()?.to_vec()),
            2 => self.log_number = Some(cursor.varint()?),
            3 => self.next_file_number = Some(cursor.varint()?),
            4 => self.last_sequence = Some(cursor.varint()?),
            5 => self.compact_cursors.push((cursor.varint32()?, cursor.varint_bytes()?.to_vec())),
            6 => self.deleted_files.push((cursor.varint32()?, cursor.varint()?)),
            7 | 100 | 102 | 103 => self.new_files.push(new_file(tag, cursor)?),
            9 => self.prev_log_number = Some(cursor.varint()?),
            10 => self.min_log_number_to_keep = Some(cursor.varint()?),
            200 => self.column_family = cursor.varint32()?,
            201 => self.column_family_add = Some(cursor.varint_bytes()?.to_vec()),
            202 => self.column_family_drop = true,
            203 => self.max_column_family = Some(cursor.varint32()?),
            300 => self.atomic_group_remaining = Some(cursor.varint32()?),
            400 | 8194 => self.blob_files.push(blob_file(cursor)?),
            401 | 8195 => blob_garbage(cursor)?,
            8193 => self.db_id = Some(cursor.varint_bytes()?.to_vec()),
            8196 => wal_addition(cursor)?,
            8197 => drop(cursor.varint()?),
            _ if tag & SAFE_TO_IGNORE != 0 => self.ignored.push((tag, cursor.varint_bytes()?.to_vec())),
            _ => {
                let detail = format!("version edit tag {tag} is not known and must not be ignored");
                return Err(FormatError::newer("rocks-edit.newer-tag", offset, detail));
            }
        }
        Ok(())
    }
}

fn new_file(tag: u32, cursor: &mut Cursor<'_>) -> Result<NewFile> {
    let mut file = NewFile { level: cursor.varint32()?, number: cursor.varint()?, ..NewFile::default() };
    if tag == 102 {
        file.path_id = cursor.varint32()?;
    }
    file.size = cursor.varint()?;
    file.smallest = internal_key(cursor)?;
    file.largest = internal_key(cursor)?;
    if tag >= 100 {
        file.smallest_sequence = cursor.varint()?;
        file.largest_sequence = Some(cursor.varint()?);
    }
    if tag == 103 {
        custom_fields(cursor, CUSTOM_MUST_KNOW, |tag, bytes| {
            if tag == CUSTOM_PATH_ID {
                file.path_id = u32::from(bytes.first().copied().unwrap_or_default());
            }
            file.custom.push((tag, bytes.to_vec()));
            tag == CUSTOM_PATH_ID
        })?;
    }
    Ok(file)
}

fn internal_key(cursor: &mut Cursor<'_>) -> Result<Vec<u8>> {
    let offset = cursor.offset();
    let key = cursor.varint_bytes()?;
    if key.len() < 8 {
        let detail = format!("an internal key of {} bytes, expected at least 8", key.len());
        return Err(FormatError::malformed("rocks-edit.bad-internal-key", offset, detail));
    }
    Ok(key.to_vec())
}

/// Fields up to tag 1; `take` says whether it knows the tag, which it must if `must_know` is set in it.
fn custom_fields(cursor: &mut Cursor<'_>, must_know: u32, mut take: impl FnMut(u32, &[u8]) -> bool) -> Result<()> {
    loop {
        let offset = cursor.offset();
        let tag = cursor.varint32()?;
        if tag == 1 {
            return Ok(());
        }
        let bytes = cursor.varint_bytes()?;
        if !take(tag, bytes) && tag & must_know != 0 {
            let detail = format!("custom field {tag} is not known and must not be ignored");
            return Err(FormatError::newer("rocks-edit.newer-custom-field", offset, detail));
        }
    }
}

/// Tag 0 ends blob records; bit 6 means "must know" in them as well.
fn blob_fields(cursor: &mut Cursor<'_>) -> Result<()> {
    loop {
        let offset = cursor.offset();
        let tag = cursor.varint32()?;
        if tag == 0 {
            return Ok(());
        }
        cursor.varint_bytes()?;
        if tag & CUSTOM_MUST_KNOW != 0 {
            let detail = format!("blob file field {tag} is not known and must not be ignored");
            return Err(FormatError::newer("rocks-edit.newer-custom-field", offset, detail));
        }
    }
}

fn blob_file(cursor: &mut Cursor<'_>) -> Result<u64> {
    let number = cursor.varint()?;
    // Blob count, blob bytes, checksum method, checksum.
    cursor.varint()?;
    cursor.varint()?;
    cursor.varint_bytes()?;
    cursor.varint_bytes()?;
    blob_fields(cursor)?;
    Ok(number)
}

fn blob_garbage(cursor: &mut Cursor<'_>) -> Result<()> {
    // File number, garbage count, garbage bytes.
    cursor.varint()?;
    cursor.varint()?;
    cursor.varint()?;
    blob_fields(cursor)
}

fn wal_addition(cursor: &mut Cursor<'_>) -> Result<()> {
    cursor.varint()?;
    loop {
        let offset = cursor.offset();
        match cursor.varint32()? {
            1 => return Ok(()),
            2 => drop(cursor.varint()?),
            tag => {
                let detail = format!("WAL addition tag {tag} is not known");
                return Err(FormatError::newer("rocks-edit.newer-tag", offset, detail));
            }
        }
    }
}
