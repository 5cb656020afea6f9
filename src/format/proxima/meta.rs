//! `IndexMeta`: what the elements of an index are.
//!
//! ```text
//!  0 u32 header size, 4128                    20 u32 unit size in bytes
//!  4 u32 meta type: 1 dense, 2 sparse         24 u32 space id, 0
//!  8 u32 major order: 1 row (flat), else 0    28 u32 attachment offset, 4128 (0 when there is none)
//! 12 u32 data type                            32 u32 attachment size
//! 16 u32 dimension                            36 u32 extra bytes per element
//! 40 zero to 4128, then the attachment: compact JSON, no terminator
//! ```
//!
//! Attachment keys: `metric`, `streamer` or `builder` + `searcher`, and `quantizer` (since 0.8.0) or `converter` +
//! `reformer`; each is `{"name","params","revision"}`.

use serde_json::{Map, Value as Json};

use super::fault::at;
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result};

/// Size of the fixed part.
pub const HEADER_SIZE: u64 = 4128;

/// Type of one component of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// 1: half precision.
    Fp16,
    /// 2: single precision.
    Fp32,
    /// 3: double precision.
    Fp64,
    /// 4: signed byte.
    Int8,
    /// 5: 16-bit integer.
    Int16,
    /// 6: signed nibble.
    Int4,
    /// 7: bits in 32-bit words.
    Binary32,
    /// 8: bits in 64-bit words.
    Binary64,
    /// 9: unsigned byte (since 0.8.0).
    Uint8,
    /// Anything else.
    Unknown(u32),
}

impl DataType {
    /// From the number in the file.
    pub fn new(number: u32) -> Self {
        match number {
            1 => Self::Fp16,
            2 => Self::Fp32,
            3 => Self::Fp64,
            4 => Self::Int8,
            5 => Self::Int16,
            6 => Self::Int4,
            7 => Self::Binary32,
            8 => Self::Binary64,
            9 => Self::Uint8,
            other => Self::Unknown(other),
        }
    }

    /// The number in the file.
    pub fn number(self) -> u32 {
        match self {
            Self::Fp16 => 1,
            Self::Fp32 => 2,
            Self::Fp64 => 3,
            Self::Int8 => 4,
            Self::Int16 => 5,
            Self::Int4 => 6,
            Self::Binary32 => 7,
            Self::Binary64 => 8,
            Self::Uint8 => 9,
            Self::Unknown(other) => other,
        }
    }

    /// The name zvec gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp16 => "FP16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int4 => "INT4",
            Self::Binary32 => "BINARY32",
            Self::Binary64 => "BINARY64",
            Self::Uint8 => "UINT8",
            Self::Unknown(_) => "UNKNOWN",
        }
    }
}

/// The decoded structure.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexMeta {
    /// Size of the fixed part as stored.
    pub header_size: u32,
    /// Whether it describes sparse vectors.
    pub sparse: bool,
    /// Stored major order.
    pub major_order: u32,
    /// Component type.
    pub data_type: DataType,
    /// Dimension as stored; the older encodings count their extra words in it.
    pub dimension: u32,
    /// Bytes of one component.
    pub unit_size: u32,
    /// Bytes behind the components of each element.
    pub extra: u32,
    /// The JSON attachment.
    pub attachment: Map<String, Json>,
    /// Length of the whole structure.
    pub size: u64,
}

impl IndexMeta {
    /// Decodes `bytes`, which begin at file offset `base`. Bytes behind the attachment are ignored.
    pub fn parse(bytes: &[u8], base: u64) -> Result<Self> {
        let mut cursor = Cursor::new(bytes, base, "index-meta.truncated");
        let header_size = cursor.u32()?;
        if u64::from(header_size) != HEADER_SIZE {
            let detail = format!("header of {header_size} bytes, {HEADER_SIZE} expected");
            return Err(FormatError::malformed("index-meta.bad-header", base, detail));
        }
        let kind = cursor.u32()?;
        let sparse = match kind {
            1 => false,
            2 => true,
            other => {
                let detail = format!("meta type {other}; 1 (dense) or 2 (sparse) expected");
                return Err(FormatError::malformed("index-meta.bad-type", base + 4, detail));
            }
        };
        let major_order = cursor.u32()?;
        let data_type = DataType::new(cursor.u32()?);
        let (dimension, unit_size) = (cursor.u32()?, cursor.u32()?);
        cursor.skip(4)?;
        let (offset, length, extra) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        if (bytes.len() as u64) < HEADER_SIZE {
            let detail = format!("{HEADER_SIZE} bytes expected, {} there", bytes.len());
            return Err(FormatError::truncated("index-meta.truncated", base, detail));
        }
        let (attachment, size) = attachment(bytes, base, offset, length)?;
        Ok(Self { header_size, sparse, major_order, data_type, dimension, unit_size, extra, attachment, size })
    }

    /// Encodes it; what [`IndexMeta::parse`] reads. The attachment keeps its order of keys.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let text = match self.attachment.is_empty() {
            true => Vec::new(),
            false => serde_json::to_vec(&self.attachment).map_err(|error| {
                FormatError::malformed("index-meta.bad-attachment", 0, format!("the attachment is not JSON: {error}"))
            })?,
        };
        let length = u32::try_from(text.len())
            .map_err(|_| FormatError::unsupported("index-meta.bad-attachment", 0, "an attachment above 4 GiB"))?;
        let header = HEADER_SIZE as u32;
        let fields = [
            header,
            if self.sparse { 2 } else { 1 },
            self.major_order,
            self.data_type.number(),
            self.dimension,
            self.unit_size,
            0,
            if text.is_empty() { 0 } else { header },
            length,
            self.extra,
        ];
        let mut out: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
        out.resize(at(HEADER_SIZE), 0);
        out.extend(text);
        Ok(out)
    }

    /// Bytes of one dense element: components and extra.
    pub fn element_size(&self) -> u64 {
        let components = match self.data_type {
            DataType::Int4 => u64::from(self.dimension).div_ceil(2),
            _ => u64::from(self.dimension).saturating_mul(self.unit_size.into()),
        };
        components.saturating_add(self.extra.into())
    }

    /// Name of the part `key` (`metric`, `quantizer`, `reformer`, …); empty when there is none.
    pub fn name(&self, key: &str) -> &str {
        self.attachment.get(key).and_then(|part| part.get("name")).and_then(Json::as_str).unwrap_or_default()
    }

    /// Parameter `name` of the part `key` as a number.
    pub fn number(&self, key: &str, name: &str) -> Option<f64> {
        self.attachment.get(key)?.get("params")?.get(name)?.as_f64()
    }

    /// The metric the vectors are compared by, looking through the one for quantised integers.
    pub fn metric(&self) -> &str {
        let metric = self.name("metric");
        if metric != "QuantizedInteger" {
            return metric;
        }
        let params = self.attachment.get("metric").and_then(|part| part.get("params")).and_then(Json::as_object);
        let origin = params.and_then(|params| params.iter().find(|(name, _)| name.ends_with("origin_metric_name")));
        origin.and_then(|(_, value)| value.as_str()).unwrap_or(metric)
    }
}

fn attachment(bytes: &[u8], base: u64, offset: u32, length: u32) -> Result<(Map<String, Json>, u64)> {
    if length == 0 {
        return Ok((Map::new(), HEADER_SIZE));
    }
    let end = u64::from(offset).saturating_add(length.into());
    if u64::from(offset) != HEADER_SIZE {
        let detail = format!("the attachment starts at {offset}, {HEADER_SIZE} expected");
        return Err(FormatError::malformed("index-meta.bad-attachment", base + 28, detail));
    }
    let text = bytes.get(at(offset.into())..at(end)).ok_or_else(|| {
        let detail = format!("the attachment ends at {end}, the structure at {}", bytes.len());
        FormatError::truncated("index-meta.truncated", base, detail)
    })?;
    match serde_json::from_slice(text) {
        Ok(Json::Object(map)) => Ok((map, end)),
        Ok(_) => {
            let detail = "the attachment is not a JSON object";
            Err(FormatError::malformed("index-meta.bad-attachment", base.saturating_add(offset.into()), detail))
        }
        Err(error) => {
            let detail = format!("the attachment is not JSON: {error}");
            Err(FormatError::malformed("index-meta.bad-attachment", base.saturating_add(offset.into()), detail))
        }
    }
}
