//! The body of a flat dense file: blocks of 32 rows in feature segments. `super::super::flat` has the byte map.

use super::container::{ContainerWriter, Filling, PAGE, SegmentId};
use super::encode::{Encoder, Input};
use super::patch::PatchSink;
use super::plan::FilePlan;
use crate::format::proxima::fault::{align, at};
use crate::format::proxima::flat::BLOCK_ROWS;
use crate::format::proxima::rotation;
use crate::format::proxima::rows::NO_KEY;
use crate::format::{FormatError, Result};

const FEATURES: &str = "flat.features";
/// Room of a feature segment, rounded down to whole blocks.
const SEGMENT: u64 = 4 << 20;
/// A block is held in memory; vectors are far below what makes one this large.
const MAX_BLOCK: u64 = 256 << 20;
const TRAILER: u64 = 16;

/// Writes blocks as rows come in.
#[derive(Debug)]
pub(super) struct DenseBody {
    index_meta: Vec<u8>,
    meta: SegmentId,
    head: SegmentId,
    element_size: usize,
    block_size: u64,
    segment_size: u64,
    block: Vec<u8>,
    rows_in_block: u16,
    rows: u32,
    blocks: u32,
    segments: u32,
    blocks_in_segment: u64,
    /// Segment, counted from 1, and block in it, of the block before.
    previous: (u32, u32),
    filling: Option<Filling>,
}

impl DenseBody {
    /// Reserves everything that stands before the blocks.
    pub(super) fn new<S: PatchSink>(
        container: &mut ContainerWriter<S>,
        plan: &FilePlan,
        rotation: Option<&[u8]>,
    ) -> Result<Self> {
        let (index_meta, element_size) = (plan.meta.to_bytes()?, plan.meta.element_size());
        let block_size = element_size
            .checked_add(8)
            .and_then(|row| row.checked_mul(BLOCK_ROWS)?.checked_add(TRAILER))
            .map(|size| align(size, 32))
            .filter(|&size| element_size > 0 && size <= MAX_BLOCK)
            .ok_or_else(|| {
                let detail = format!("elements of {element_size} bytes");
                FormatError::unsupported("flat.bad-element-size", 0, detail)
            })?;
        let segment_size = align(SEGMENT.max(block_size) / block_size * block_size, PAGE);
        let meta = container.reserve("flat.linear_meta", 128 + index_meta.len() as u64)?;
        container.add("IndexMeta", &index_meta, 0, false)?;
        let head = container.reserve("flat.linear_list_head", PAGE)?;
        if let Some(rotation) = rotation {
            container.add(rotation::SEGMENT, rotation, 0, true)?;
        }
        Ok(Self {
            index_meta,
            meta,
            head,
            element_size: at(element_size),
            block_size,
            segment_size,
            block: vec![0; at(block_size)],
            rows_in_block: 0,
            rows: 0,
            blocks: 0,
            segments: 0,
            blocks_in_segment: 0,
            previous: (0, 0),
            filling: None,
        })
    }

    /// Adds a row: a vector that `encoder` has checked, or none.
    pub(super) fn push<S: PatchSink>(
        &mut self,
        container: &mut ContainerWriter<S>,
        encoder: &mut Encoder,
        input: Option<Input>,
    ) -> Result<()> {
        let row = usize::from(self.rows_in_block);
        let too_many = || FormatError::unsupported("proxima.too-large", 0, "more than 2^32 - 1 rows");
        let rows = self.rows.checked_add(1).ok_or_else(too_many)?;
        let key = match input {
            Some(input) => {
                let start = row * self.element_size;
                let element = self.block.get_mut(start..start + self.element_size).unwrap_or_default();
                encoder.dense(input, element);
                self.rows.into()
            }
            None => NO_KEY,
        };
        let keys = at(BLOCK_ROWS) * self.element_size;
        put(&mut self.block, keys + 8 * row, &key.to_le_bytes());
        self.rows = rows;
        self.rows_in_block += 1;
        if u64::from(self.rows_in_block) == BLOCK_ROWS { self.end_block(container) } else { Ok(()) }
    }

    fn end_block<S: PatchSink>(&mut self, container: &mut ContainerWriter<S>) -> Result<()> {
        let full = self.blocks_in_segment >= self.segment_size / self.block_size;
        if full || self.filling.is_none() {
            if let Some(filling) = &mut self.filling {
                filling.flush(container)?;
            }
            let segment = container.reserve(&format!("{FEATURES}{}", self.segments + 1), self.segment_size)?;
            self.segments += 1;
            self.blocks_in_segment = 0;
            self.filling = Some(Filling::new(segment));
        }
        let mut trailer = Vec::with_capacity(at(TRAILER));
        for value in [0, self.previous.0, self.previous.1] {
            trailer.extend(value.to_le_bytes());
        }
        trailer.extend(self.rows_in_block.to_le_bytes());
        trailer.extend([0; 2]);
        put(&mut self.block, at(self.block_size - TRAILER), &trailer);
        if let Some(filling) = &mut self.filling {
            filling.push(container, &self.block)?;
        }
        // A segment holds at most 4 MiB / 512 blocks.
        self.previous = (self.segments, self.blocks_in_segment as u32);
        self.blocks += 1;
        self.blocks_in_segment += 1;
        self.rows_in_block = 0;
        self.block.fill(0);
        Ok(())
    }

    /// Writes the last block and what counts them all.
    pub(super) fn finish<S: PatchSink>(
        mut self,
        container: &mut ContainerWriter<S>,
        created: u64,
        updated: u64,
    ) -> Result<()> {
        if self.rows_in_block > 0 {
            self.end_block(container)?;
        }
        if let Some(mut filling) = self.filling.take() {
            filling.flush(container)?;
            container.trim_last();
        }
        let mut head = vec![0; at(PAGE)];
        put(&mut head, 0, &self.previous.0.to_le_bytes());
        put(&mut head, 4, &self.previous.1.to_le_bytes());
        container.write(self.head, 0, &head)?;
        let meta = self.linear_meta(created, updated, container.capacity_of(FEATURES));
        container.write(self.meta, 0, &meta)
    }

    fn linear_meta(&self, created: u64, updated: u64, body_size: u64) -> Vec<u8> {
        // Both sizes are below 4 GiB: see `new`, and IndexMeta is some kilobytes.
        let (segment_size, meta_size) = (self.segment_size as u32, self.index_meta.len() as u32);
        // zvec counts the flushes that found rows.
        let revision = u64::from(self.rows > 0);
        let mut out: Vec<u8> = [created, updated, revision].iter().flat_map(|value| value.to_le_bytes()).collect();
        out.extend(self.segments.to_le_bytes());
        out.extend(segment_size.to_le_bytes());
        out.resize(64, 0);
        out.extend((64 + meta_size).to_le_bytes());
        out.extend(self.rows.to_le_bytes());
        out.extend(body_size.to_le_bytes());
        for value in [1, BLOCK_ROWS as u32, self.block_size as u32, self.blocks, meta_size] {
            out.extend(value.to_le_bytes());
        }
        out.resize(128, 0);
        out.extend(&self.index_meta);
        out
    }
}

fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(offset..offset + value.len()) {
        place.copy_from_slice(value);
    }
}
