//! XXH3 as it was in xxHash 0.7.2, seed 0: the hash of RocksDB's filters.
//!
//! XXH3 changed before it was final, and RocksDB kept the preview for what it had on disk. Inputs of up to 240 bytes are mixed
//! at once; longer ones go through eight accumulators in stripes of 64 bytes, scrambled every 1024. RocksDB's own change: the hash
//! of nothing is not 0.

const P32_1: u64 = 0x9E37_79B1;
const P32_2: u64 = 0x85EB_CA77;
const P32_3: u64 = 0xC2B2_AE3D;
const P64: [u64; 5] =
    [0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63, 0x27D4_EB2F_1656_67C5];
const STRIPE: usize = 64;
const ROUND: usize = 1024;

const SECRET: [u8; 192] = [
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c, 0xde, 0xd4, 0x6d,
    0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0,
    0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21, 0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0,
    0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b,
    0x1b, 0x53, 0x2e, 0xa3, 0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac,
    0xd8, 0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51,
    0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34,
    0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb, 0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49,
    0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e, 0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8,
    0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b,
    0x40, 0x7e,
];

fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

fn le32(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)))
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

fn avalanche(mut hash: u64) -> u64 {
    hash ^= hash >> 37;
    hash = hash.wrapping_mul(P64[2]);
    hash ^ hash >> 32
}

fn mix16(data: &[u8], at: usize, secret: usize) -> u64 {
    fold(le64(data, at) ^ le64(&SECRET, secret), le64(data, at + 8) ^ le64(&SECRET, secret + 8))
}

/// Hash of `data`.
pub fn xxph3(data: &[u8]) -> u64 {
    let len = data.len();
    match len {
        0 => fold(le64(&SECRET, 0), P64[1]),
        1..=3 => {
            let byte = |at: usize| u64::from(data.get(at).copied().unwrap_or_default());
            let combined = byte(0) | byte(len >> 1) << 8 | byte(len - 1) << 16 | (len as u64) << 24;
            avalanche((combined ^ le32(&SECRET, 0)).wrapping_mul(P64[0]))
        }
        4..=8 => {
            let keyed = (le32(data, 0) | le32(data, len - 4) << 32) ^ le64(&SECRET, 0);
            let mixed = (keyed ^ keyed >> 51).wrapping_mul(P32_1).wrapping_add(len as u64);
            avalanche((mixed ^ mixed >> 47).wrapping_mul(P64[1]))
        }
        9..=16 => {
            let low = le64(data, 0) ^ le64(&SECRET, 0);
            let high = le64(data, len - 8) ^ le64(&SECRET, 8);
            avalanche((len as u64).wrapping_add(low).wrapping_add(high).wrapping_add(fold(low, high)))
        }
        17..=128 => {
            let pairs = 0..(len - 1) / 32 + 1;
            let start = (len as u64).wrapping_mul(P64[0]);
            avalanche(pairs.fold(start, |acc, i| {
                let (front, back) = (mix16(data, 16 * i, 32 * i), mix16(data, len - 16 * (i + 1), 32 * i + 16));
                acc.wrapping_add(front).wrapping_add(back)
            }))
        }
        129..=240 => {
            let start = (len as u64).wrapping_mul(P64[0]);
            let acc = avalanche((0..8).fold(start, |acc, i| acc.wrapping_add(mix16(data, 16 * i, 16 * i))));
            let acc = (8..len / 16).fold(acc, |acc, i| acc.wrapping_add(mix16(data, 16 * i, 16 * (i - 8) + 3)));
            avalanche(acc.wrapping_add(mix16(data, len - 16, 136 - 17)))
        }
        _ => long(data),
    }
}

fn accumulate(acc: &mut [u64; 8], stripe: &[u8], secret: usize) {
    for (i, acc) in acc.iter_mut().enumerate() {
        let value = le64(stripe, 8 * i);
        let keyed = value ^ le64(&SECRET, secret + 8 * i);
        *acc = acc.wrapping_add(value).wrapping_add((keyed & 0xffff_ffff).wrapping_mul(keyed >> 32));
    }
}

fn long(data: &[u8]) -> u64 {
    let mut acc = [P32_3, P64[0], P64[1], P64[2], P64[3], P32_2, P64[4], P32_1];
    for round in data.chunks(ROUND) {
        for (i, stripe) in round.chunks_exact(STRIPE).enumerate() {
            accumulate(&mut acc, stripe, 8 * i);
        }
        if round.len() == ROUND {
            for (i, acc) in acc.iter_mut().enumerate() {
                *acc = (*acc ^ *acc >> 47 ^ le64(&SECRET, 128 + 8 * i)).wrapping_mul(P32_1);
            }
        }
    }
    if !data.len().is_multiple_of(STRIPE) {
        accumulate(&mut acc, data.last_chunk::<STRIPE>().map_or(&[], |last| last), 121);
    }
    let start = (data.len() as u64).wrapping_mul(P64[0]);
    avalanche(acc.as_chunks::<2>().0.iter().enumerate().fold(start, |hash, (i, [a, b])| {
        hash.wrapping_add(fold(a ^ le64(&SECRET, 11 + 16 * i), b ^ le64(&SECRET, 19 + 16 * i)))
    }))
}
