//! The JSON header of a safetensors file, read into bounded memory and with its repetitions seen.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::tensor::limits::{RANK_MAX, TENSORS_MAX};

/// One line of the header as it stands there, unchecked.
#[derive(Default)]
pub struct Entry {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<u64>,
    pub rank_passed: bool,
    /// Bytes from the beginning of the data.
    pub begin: u64,
    pub end: u64,
    pub twice: bool,
}

#[derive(Default)]
pub struct Entries {
    pub tensors: Vec<Entry>,
    pub too_many: bool,
    /// What the writer said of the file, text by text.
    pub metadata: HashMap<String, String>,
}

/// Reads the JSON. serde_json itself refuses nesting deeper than 128.
pub fn parse(json: &[u8]) -> Result<Entries, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let entries = deserializer.deserialize_map(HeaderVisitor)?;
    deserializer.end()?;
    Ok(entries)
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::default();
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                entries.metadata = map.next_value()?;
                continue;
            }
            let mut entry = map.next_value_seed(EntrySeed)?;
            if entries.tensors.len() >= TENSORS_MAX {
                entries.too_many = true;
                continue;
            }
            entry.twice = !names.insert(name.clone());
            entry.name = name;
            entries.tensors.push(entry);
        }
        Ok(entries)
    }
}

struct EntrySeed;

impl<'de> DeserializeSeed<'de> for EntrySeed {
    type Value = Entry;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entry, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut entry = Entry::default();
        let (mut dtype, mut shape, mut offsets) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            let twice = match key.as_str() {
                "dtype" => dtype.replace(map.next_value::<String>()?).is_some(),
                "shape" => shape.replace(map.next_value_seed(ShapeSeed)?).is_some(),
                "data_offsets" => offsets.replace(map.next_value::<(u64, u64)>()?).is_some(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    false
                }
            };
            if twice {
                return Err(A::Error::custom(format!("key {key} is there twice")));
            }
        }
        entry.dtype = dtype.ok_or_else(|| A::Error::missing_field("dtype"))?;
        (entry.shape, entry.rank_passed) = shape.ok_or_else(|| A::Error::missing_field("shape"))?;
        (entry.begin, entry.end) = offsets.ok_or_else(|| A::Error::missing_field("data_offsets"))?;
        Ok(entry)
    }
}

/// Reads at most [`RANK_MAX`] sizes, so that a header of nothing but ones stays small in memory.
struct ShapeSeed;

impl<'de> DeserializeSeed<'de> for ShapeSeed {
    type Value = (Vec<u64>, bool);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed {
    type Value = (Vec<u64>, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of sizes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (mut shape, mut passed) = (Vec::new(), false);
        while let Some(size) = seq.next_element::<u64>()? {
            if shape.len() < RANK_MAX {
                shape.push(size);
            } else {
                passed = true;
            }
        }
        Ok((shape, passed))
    }
}

/// Offset in the header at which the parser stopped.
pub fn position(json: &[u8], error: &serde_json::Error) -> u64 {
    let before = json.split(|&byte| byte == b'\n').take(error.line().saturating_sub(1));
    (before.map(|line| line.len() + 1).sum::<usize>() + error.column().saturating_sub(1)) as u64
}

/// Where the shards of torch's distributed checkpoints begin in their tensors. Metadata of any other
/// form says nothing of shards.
pub fn shards(metadata: &HashMap<String, String>) -> HashMap<String, Vec<u64>> {
    #[derive(serde::Deserialize)]
    struct Shard {
        saved_offsets: Vec<u64>,
    }
    let told = metadata.get("DCP_SHARDING_INFO");
    let shards = told.and_then(|text| serde_json::from_str::<HashMap<String, Shard>>(text).ok());
    shards.unwrap_or_default().into_iter().map(|(name, shard)| (name, shard.saved_offsets)).collect()
}
