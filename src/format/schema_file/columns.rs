//! Between a field's type and that of the column that stores it.

use super::ScalarType;
use crate::format::forward::{ColumnType, ScalarType as Element};

macro_rules! columns {
    ($($field:ident = $element:ident $array:literal),* $(,)?) => {
        impl From<ScalarType> for ColumnType {
            fn from(field: ScalarType) -> Self {
                match field {
                    $(ScalarType::$field => Self { scalar: Element::$element, array: $array }),*
                }
            }
        }

        impl From<ColumnType> for ScalarType {
            fn from(column: ColumnType) -> Self {
                match (column.scalar, column.array) {
                    $((Element::$element, $array) => Self::$field),*
                }
            }
        }
    };
}

columns!(
    Binary = Binary false, String = String false, Bool = Bool false, Int32 = I32 false, Int64 = I64 false, Uint32 = U32 false,
    Uint64 = U64 false, Float = F32 false, Double = F64 false, ArrayBinary = Binary true, ArrayString = String true,
    ArrayBool = Bool true, ArrayInt32 = I32 true, ArrayInt64 = I64 true, ArrayUint32 = U32 true, ArrayUint64 = U64 true,
    ArrayFloat = F32 true, ArrayDouble = F64 true,
);
