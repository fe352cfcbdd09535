//! One record of the journal: a commit, with enough beside it to notice any damage and to undo a small one.
//!
//! ```text
//! header 128 | body: changes, sketches, quantiles, spectra | CRC-32 of each chunk | XOR of all chunks | header again 128
//! ```
//!
//! The header says lengths and hashes of the parts and has a check of its own; it stands at both ends, so
//! that damage to one costs nothing. The body is cut into chunks. A chunk whose CRC is wrong is found, and,
//! being the only one, is had back as the XOR of all others: that mends any damage within one chunk, a
//! flipped bit or a bad sector, for 1 % of space. The hash of a part has the last word in any case.

use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a header.
pub const HEADER: usize = 128;
const BEGIN: &[u8; 8] = b"WBRECORD";
const END: &[u8; 8] = b"WBRECEND";
/// How both begin; what a search for records looks for.
pub const MAGIC: &[u8; 5] = b"WBREC";
const FORM: u8 = 1;

/// Parts of a body.
pub const PARTS: usize = 4;
/// Puts and removals in the database.
pub const CHANGES: usize = 0;
/// Sketches of the reading.
pub const SKETCHES: usize = 1;
/// Quantiles of the reading.
pub const QUANTILES: usize = 2;
/// Spectra of the reading. Programs before it left this part empty.
pub const SPECTRA: usize = 3;

/// Bodies from this size on are cut into large chunks; below it, a large chunk's parity would weigh more
/// than what it protects.
const LARGE_BODY: u64 = 1 << 16;
const LARGE_CHUNK: usize = 4096;
const SMALL_CHUNK: usize = 256;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A commit.
    Commit,
    /// Commits that were forgotten on purpose: they have no body any more.
    Forgotten,
    /// Commits that could not be had back; that was said.
    Lost,
    /// Something that a later version wrote: kept, not understood.
    Unknown(u8),
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Kind::Commit => 1,
            Kind::Forgotten => 2,
            Kind::Lost => 3,
            Kind::Unknown(number) => number,
        }
    }

    fn from_number(number: u8) -> Self {
        match number {
            1 => Kind::Commit,
            2 => Kind::Forgotten,
            3 => Kind::Lost,
            other => Kind::Unknown(other),
        }
    }
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// Number of the commit.
    pub number: u64,
    /// Last number that it stands for; `number` but for what was forgotten or lost.
    pub number_last: u64,
    /// Length and XXH3 of each part.
    pub parts: [(u64, u64); PARTS],
}

impl Header {
    /// The header of a record with these parts.
    pub fn new(kind: Kind, numbers: std::ops::RangeInclusive<u64>, parts: &[&[u8]; PARTS]) -> Self {
        let parts = parts.map(|part| (part.len() as u64, xxh3_64(part)));
        Self { kind, number: *numbers.start(), number_last: *numbers.end(), parts }
    }

    /// Bytes of the body.
    pub fn body(&self) -> u64 {
        self.parts.iter().map(|(length, _)| length).sum()
    }

    /// Where a part begins, counted from the record's first byte.
    pub fn part_offset(&self, part: usize) -> u64 {
        HEADER as u64 + self.parts[..part].iter().map(|(length, _)| length).sum::<u64>()
    }

    /// Bytes of a chunk.
    pub fn chunk(&self) -> usize {
        if self.body() >= LARGE_BODY { LARGE_CHUNK } else { SMALL_CHUNK }
    }

    /// Bytes of the whole record.
    pub fn total(&self) -> u64 {
        let body = self.body();
        let chunk = self.chunk() as u64;
        let guard = if body == 0 { 0 } else { body.div_ceil(chunk) * 4 + chunk };
        2 * HEADER as u64 + body + guard
    }

    fn to_bytes(self, magic: &[u8; 8]) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(magic);
        bytes[8] = FORM;
        bytes[9] = self.kind.number();
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.number_last.to_le_bytes());
        for (part, (length, hash)) in self.parts.iter().enumerate() {
            let at = 32 + 16 * part;
            bytes[at..at + 8].copy_from_slice(&length.to_le_bytes());
            bytes[at + 8..at + 16].copy_from_slice(&hash.to_le_bytes());
        }
        let check = crc32fast::hash(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Reads a header; none where these bytes are not one. The second value is true for the one at the end.
    pub fn from_bytes(bytes: &[u8]) -> Option<(Self, bool)> {
        let bytes = bytes.get(..HEADER)?;
        let at_end = match bytes.get(..8)? {
            magic if magic == BEGIN => false,
            magic if magic == END => true,
            _ => return None,
        };
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let check = u32::from_le_bytes(bytes[HEADER - 4..].try_into().ok()?);
        if check != crc32fast::hash(&bytes[..HEADER - 4]) || bytes[8] != FORM {
            return None;
        }
        let mut parts = [(0, 0); PARTS];
        for (part, slot) in parts.iter_mut().enumerate() {
            *slot = (word(32 + 16 * part)?, word(40 + 16 * part)?);
        }
        let kind = Kind::from_number(bytes[9]);
        let header = Self { kind, number: word(16)?, number_last: word(24)?, parts };
        // Lengths beyond any file cannot come from this program; refusing them keeps sums from overflowing.
        (header.parts.iter().all(|(length, _)| *length < 1 << 48)).then_some((header, at_end))
    }
}

/// The whole record as bytes.
pub fn encode(header: &Header, parts: &[&[u8]; PARTS]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(header.total() as usize);
    bytes.extend_from_slice(&header.to_bytes(BEGIN));
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    if header.body() > 0 {
        let body = bytes[HEADER..].to_vec();
        let chunks = body.chunks(header.chunk());
        chunks.clone().for_each(|chunk| bytes.extend_from_slice(&crc32fast::hash(chunk).to_le_bytes()));
        bytes.extend_from_slice(&parity(chunks, header.chunk()));
    }
    bytes.extend_from_slice(&header.to_bytes(END));
    bytes
}

fn parity<'a>(chunks: impl Iterator<Item = &'a [u8]>, size: usize) -> Vec<u8> {
    let mut parity = vec![0; size];
    for chunk in chunks {
        parity.iter_mut().zip(chunk).for_each(|(sum, byte)| *sum ^= byte);
    }
    parity
}

/// What the parts of a record are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Each part, or none where it is damaged beyond mending.
    pub parts: [Option<Vec<u8>>; PARTS],
    /// True where a part was damaged and is whole again.
    pub mended: bool,
}

/// Takes the parts out of a whole record's bytes, mended where that can be.
pub fn decode(header: &Header, bytes: &[u8]) -> Decoded {
    let end = HEADER + header.body() as usize;
    let Some(body) = bytes.get(HEADER..end) else {
        return Decoded { parts: [const { None }; PARTS], mended: false };
    };
    let parts = split(header, body);
    if parts.iter().all(Option::is_some) {
        return Decoded { parts, mended: false };
    }
    match mend(header, body, bytes.get(end..).unwrap_or_default()) {
        Some(body) => {
            let mended = split(header, &body);
            let better = mended.iter().flatten().count() > parts.iter().flatten().count();
            if better { Decoded { parts: mended, mended: true } } else { Decoded { parts, mended: false } }
        }
        None => Decoded { parts, mended: false },
    }
}

fn split(header: &Header, body: &[u8]) -> [Option<Vec<u8>>; PARTS] {
    std::array::from_fn(|part| {
        let from = header.part_offset(part) as usize - HEADER;
        let (length, hash) = header.parts[part];
        let bytes = body.get(from..from + length as usize)?;
        (xxh3_64(bytes) == hash).then(|| bytes.to_vec())
    })
}

/// The body with its one bad chunk replaced; none where not exactly one is bad.
fn mend(header: &Header, body: &[u8], guard: &[u8]) -> Option<Vec<u8>> {
    let size = header.chunk();
    let count = body.len().div_ceil(size);
    let (checks, rest) = guard.split_at_checked(count * 4)?;
    let parity_bytes = rest.get(..size)?;
    let bad = body.chunks(size).zip(checks.chunks(4)).enumerate();
    let mut bad = bad.filter(|(_, (chunk, check))| crc32fast::hash(chunk).to_le_bytes() != **check);
    let (at, _) = bad.next()?;
    if bad.next().is_some() {
        return None;
    }
    let others = body.chunks(size).enumerate().filter(|(index, _)| *index != at).map(|(_, chunk)| chunk);
    let back = parity(others.chain([parity_bytes]), size);
    let mut body = body.to_vec();
    let place = body.chunks_mut(size).nth(at)?;
    let length = place.len();
    place.copy_from_slice(&back[..length]);
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(lengths: [usize; PARTS]) -> (Header, Vec<u8>, Vec<Vec<u8>>) {
        let part =
            |(seed, length): (usize, usize)| (0..length).map(|i| (i * 31 + i / 7 + seed) as u8).collect();
        let parts: Vec<Vec<u8>> = lengths.into_iter().enumerate().map(part).collect();
        let slices = std::array::from_fn(|part| parts[part].as_slice());
        let header = Header::new(Kind::Commit, 7..=7, &slices);
        let bytes = encode(&header, &slices);
        (header, bytes, parts)
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed_or_mended(
            lengths in [0usize..900, 0usize..70_000, 0usize..50, 0usize..2],
            place: prop::sample::Index,
            bit in 0u8..8,
        ) {
            let (header, mut bytes, parts) = record(lengths);
            prop_assert_eq!(bytes.len() as u64, header.total());
            let at = place.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let begin = Header::from_bytes(&bytes).map(|(header, _)| header);
            let end = Header::from_bytes(&bytes[bytes.len() - HEADER..]).map(|(header, _)| header);
            prop_assert_eq!(begin.or(end), Some(header));
            let decoded = decode(&header, &bytes);
            for (part, expected) in decoded.parts.iter().zip(&parts) {
                prop_assert_eq!(part.as_ref(), Some(expected));
            }
        }

        #[test]
        fn wider_damage_gives_no_wrong_part(from in 0usize..70_000, length in 1usize..20_000) {
            let (header, mut bytes, parts) = record([3000, 60_000, 9000, 0]);
            let from = from.min(bytes.len());
            let to = (from + length).min(bytes.len());
            bytes[from..to].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
            let decoded = decode(&header, &bytes);
            for (part, expected) in decoded.parts.iter().zip(&parts) {
                prop_assert!(part.as_ref().is_none_or(|part| part == expected));
            }
        }

        #[test]
        fn arbitrary_headers_never_panic(bytes: Vec<u8>) {
            let _ = Header::from_bytes(&bytes);
        }
    }
}
