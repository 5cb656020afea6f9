//! The checksums that occur in a collection.
//!
//! zvec's own files (WAL, delete snapshot, vector containers) use CRC-32C *raw*: Castagnoli polynomial, reflected
//! (0x82F63B78), initial state 0 and no final inversion. RocksDB files use the ordinary CRC-32C, masked, or XXH3.

/// Raw CRC-32C of `data`: state starts at 0, nothing is inverted. `raw_crc32c(b"123456789") == 0x58E3FA20`.
pub fn raw_crc32c(data: &[u8]) -> u32 {
    raw_crc32c_append(0, data)
}

/// Continues a raw CRC-32C whose state after the bytes so far is `state`.
pub fn raw_crc32c_append(state: u32, data: &[u8]) -> u32 {
    // The library inverts before and after; inverting around the call cancels both.
    !crc32c::crc32c_append(!state, data)
}

/// Raw CRC-32C of `data` with the four bytes at its start taken as zero: how container headers and footers store their own.
pub fn raw_crc32c_self(data: &[u8]) -> u32 {
    raw_crc32c_append(raw_crc32c(&[0; 4]), data.get(4..).unwrap_or_default())
}

/// Ordinary CRC-32C, masked as RocksDB and LevelDB store it.
pub fn masked_crc32c(parts: &[&[u8]]) -> u32 {
    mask_crc32c(parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part)))
}

/// Masks an ordinary CRC-32C, so that a CRC stored among the bytes does not weaken a CRC over them.
pub fn mask_crc32c(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_is_the_uninverted_variant() {
        assert_eq!(raw_crc32c(b"123456789"), 0x58E3_FA20);
        assert_eq!(raw_crc32c(&[0; 100]), 0, "leading zeros are invisible to it");
        assert_eq!(raw_crc32c_append(raw_crc32c(b"1234"), b"56789"), raw_crc32c(b"123456789"));
    }

    #[test]
    fn masked_is_that_of_rocksdb() {
        // LevelDB's published vector: crc32c of 32 zero bytes is 0x8a9136aa.
        let crc = 0x8a91_36aa_u32;
        assert_eq!(masked_crc32c(&[&[0; 16], &[0; 16]]), crc.rotate_right(15).wrapping_add(0xa282_ead8));
    }
}
