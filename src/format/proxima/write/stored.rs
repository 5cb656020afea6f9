//! What a reader gets of a vector once it is stored: normalisation and narrower storage cost it its last bits.

use super::encode::Input;
use super::plan::FilePlan;
use crate::format::proxima::encoding::Encoding;
use crate::format::value::Value;
use crate::format::{FormatError, Result};

/// A dense vector is stored in no more.
const MAX_ELEMENT: u64 = 64 << 20;

impl FilePlan {
    /// `value` after a way through the file: encoded as zvec 0.8.0 encodes it, and decoded again. Sparse vectors come back as they are.
    ///
    /// # Errors
    /// `proxima.bad-vector` if the column cannot hold it, or what [`Encoding::new`] says of the plan.
    pub fn stored(&mut self, value: &Value) -> Result<Value> {
        if self.meta.sparse {
            return Ok(value.clone());
        }
        let size = self.meta.element_size();
        self.encoder.check(Input::Value(value), size)?;
        let length = usize::try_from(size.min(MAX_ELEMENT)).unwrap_or_default();
        if length as u64 != size {
            let detail = format!("elements of {size} bytes");
            return Err(FormatError::unsupported("flat.bad-element-size", 0, detail));
        }
        let mut element = vec![0; length];
        self.encoder.dense(Input::Value(value), &mut element);
        Ok(Encoding::new(&self.meta, None, 0)?.decode(&element, 0)?.value)
    }
}
