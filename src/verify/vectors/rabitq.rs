//! Level 2 of the RaBitQ kinds: the centroids that their codes are relative to. Each is there as it is and rotated, so that one
//! vouches for the other, and both for the rotation; in a growable file nothing else does.

use crate::format::{
    Source,
    proxima::{VectorFile, rabitq, rotation::Rotation},
};

use super::subject::{Harm, Subject};

/// How far a centroid that is turned back may be from the other one, of its norm: some hundred times what rounding was seen to make.
const TOLERANCE: f64 = 1e-5;
/// Beyond this, sums of the rotation overflow.
const LARGEST: f32 = 1e30;

/// What the header of the index says.
pub(super) struct Expected {
    pub(super) clusters: Option<u32>,
    pub(super) padded_dimension: u32,
    pub(super) extra_bits: Option<u8>,
}

pub(super) fn check<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, expected: &Expected) {
    let segment = match file.container.require(rabitq::SEGMENT, "rabitq.missing-segment") {
        Ok(segment) => segment,
        Err(error) => return subject.format(&error, Harm::Search),
    };
    let converter = match rabitq::Converter::open(file.source(), segment) {
        Ok(converter) => converter,
        Err(error) => return subject.format(&error, Harm::Search),
    };
    if let Some(unused) = converter.unused {
        subject.warning("rabitq.padding", unused, "an unused byte of the header is not zero");
    }
    let relate = |at: u64, what: &str, found: u32, expected: u32| {
        if found != expected {
            let detail = format!("{what}: {found}, the header of the index says {expected}");
            subject.error("rabitq.bad-header", converter.offset + at, Harm::Search, detail);
        }
    };
    relate(0, "clusters", converter.clusters, expected.clusters.unwrap_or(converter.clusters));
    relate(8, "padded dimension", converter.padded_dimension, expected.padded_dimension);
    relate(16, "extra bits", converter.extra_bits.into(), expected.extra_bits.unwrap_or(converter.extra_bits).into());
    let Ok(Some(rotation)) = converter.rotation(file.source()) else { return };
    let mut bad = Vec::new();
    for cluster in 0..converter.clusters {
        if subject.ctx.stopped() {
            return;
        }
        let Ok(Some(rabitq::Centroid { vector, mut rotated, offset })) = converter.centroid(file.source(), cluster)
        else {
            return;
        };
        if !agree(&vector, &mut rotated, &rotation) {
            bad.push((cluster, offset));
        }
    }
    let Some((first, offset)) = bad.first() else { return };
    let detail = if bad.len() as u64 == u64::from(converter.clusters) && bad.len() > 1 {
        "no centroid is what its rotation says: the rotation is damaged, or all of them".to_owned()
    } else {
        let more = if bad.len() > 1 { format!(", and {} more", bad.len() - 1) } else { String::new() };
        format!("centroid {first} is not what its rotation says{more}: the codes of its rows mean other vectors")
    };
    subject.error("rabitq.bad-centroid", *offset, Harm::Search, detail);
}

/// Whether a centroid and its rotated copy are the same vector. zvec leaves NaN in both where a cluster is empty, and what is not finite in a vector goes
/// to both.
fn agree(centroid: &[f32], rotated: &mut [f32], rotation: &Rotation) -> bool {
    let finite = |vector: &[f32]| vector.iter().all(|x| x.is_finite());
    if !finite(centroid) || !finite(rotated) {
        return finite(centroid) == finite(rotated) || centroid.iter().any(|x| x.abs() > LARGEST && x.is_finite());
    }
    rotation.invert(rotated);
    let norm = centroid.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let bound = TOLERANCE * norm + f64::from(f32::MIN_POSITIVE);
    let padded = centroid.iter().copied().chain(std::iter::repeat(0.0));
    norm > f64::from(LARGEST) || padded.zip(rotated).all(|(a, b)| (f64::from(a) - f64::from(*b)).abs() <= bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_centroid_agrees_with_its_rotation_and_with_nothing_else() {
        // Without signs the transform is applied four times, which changes nothing.
        let rotation = Rotation::padded(vec![0; 32], 64, 64).unwrap();
        let seen = |centroid: &[f32], rotated: &[f32]| agree(centroid, &mut rotated.to_vec(), &rotation);
        let plain: Vec<f32> = (0..64).map(|i| (i as f32).sin()).collect();
        let but = |at: usize, value: f32| {
            let mut other = plain.clone();
            other[at] = value;
            other
        };
        assert!(seen(&plain, &plain));
        assert!(!seen(&plain, &but(7, plain[7] + 0.001)));
        assert!(!seen(&but(7, f32::NAN), &plain));
        assert!(!seen(&plain, &but(7, f32::INFINITY)));
        let scaled = |factor: f32| plain.iter().map(|x| x * factor).collect::<Vec<_>>();
        for factor in [0.0, 1e-38, 1e-20, 1e20, 1e36, f32::NAN] {
            assert!(seen(&scaled(factor), &scaled(factor)), "{factor}");
        }
    }
}
