//! Cuts attention projections into heads, where configuration and shapes agree on how.

use std::collections::BTreeMap;

use serde_json::Value;

use super::config::Config;
use super::family::{Family, Tag};
use super::names::Leaf;
use super::understand::Known;
use crate::terms::{AttentionParts, HeadAxis, HeadPart, Role};

/// More heads than this are no heads; also bounds what a hostile configuration can make us allocate.
const HEADS_MAX: u64 = 4096;

/// The projections of one layer, as indices into the tensors.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    query: Option<usize>,
    key: Option<usize>,
    value: Option<usize>,
    fused: Option<(usize, Tag)>,
    output: Option<usize>,
    input_norm: Option<usize>,
    stack: usize,
}

/// How many heads there are, and how wide.
#[derive(Clone, Copy, Debug)]
struct Heads {
    query: u64,
    key: u64,
    width: u64,
}

/// Every attention block whose heads can be told apart; a remark where they should and cannot.
pub(super) fn attention_parts(
    known: &[Known<'_>],
    family: Option<&Family>,
    config: Option<&Value>,
    remarks: &mut Vec<String>,
) -> Vec<AttentionParts> {
    let Some(family) = family else { return Vec::new() };
    let mut parts = Vec::new();
    let mut why_not: BTreeMap<String, u32> = BTreeMap::new();
    for (layer, block) in blocks(known) {
        let stack = family.stacks.get(block.stack);
        match cut(&block, known, family, Config::new(config, stack)) {
            Ok(Some(part)) => parts.push(AttentionParts { layer, ..part }),
            Ok(None) => {}
            Err(why) => *why_not.entry(why).or_insert(0) += 1,
        }
    }
    let told = why_not.into_iter().map(|(why, layers)| match layers {
        1 => format!("attention heads are not told apart: {why}"),
        _ => format!("attention heads are not told apart in {layers} layers: {why}"),
    });
    remarks.extend(told);
    parts
}

fn blocks(known: &[Known<'_>]) -> BTreeMap<u32, Block> {
    let mut blocks: BTreeMap<u32, Block> = BTreeMap::new();
    for (at, known) in known.iter().enumerate() {
        let (Some(layer), Some(found)) = (known.layer, known.found) else { continue };
        if found.part.tag == Tag::Aside || !matches!(known.name.leaf, Leaf::Weight | Leaf::Itself) {
            continue;
        }
        let block = blocks.entry(layer).or_default();
        block.stack = known.stack;
        match (found.part.role, known.info.shape.len()) {
            (Role::AttnQ, 2) => block.query = block.query.or(Some(at)),
            (Role::AttnK, 2) => block.key = block.key.or(Some(at)),
            (Role::AttnV, 2) => block.value = block.value.or(Some(at)),
            (Role::AttnOut, 2) => block.output = block.output.or(Some(at)),
            (Role::AttnQkv, 2) => block.fused = block.fused.or(Some((at, found.part.tag))),
            (Role::Norm, 1) if found.part.tag == Tag::InputNorm => block.input_norm = Some(at),
            _ => {}
        }
    }
    blocks
}

/// One block, `layer` left at 0. None where it has no such projections.
fn cut(
    block: &Block,
    known: &[Known<'_>],
    family: &Family,
    config: Config<'_>,
) -> Result<Option<AttentionParts>, String> {
    let Some(output) = block.output else { return Ok(None) };
    let size = |at: usize, axis: HeadAxis| match axis {
        HeadAxis::Rows => known[at].info.shape[0],
        HeadAxis::Columns => known[at].info.shape[1],
    };
    let (out, into) = match family.inputs_first {
        true => (HeadAxis::Columns, HeadAxis::Rows),
        false => (HeadAxis::Rows, HeadAxis::Columns),
    };
    let whole = |at: usize| (at, size(at, out));
    let (heads, query, key, value) = match (block.fused, block.query, block.key, block.value) {
        (Some((at, tag)), ..) => {
            let heads = fused_heads(&known[at].info.name, size(at, out), config)?;
            let [query, key, value] = fused_starts(heads, tag);
            (heads, part(at, out, query, heads), part(at, out, key, heads), part(at, out, value, heads))
        }
        (None, Some(query), Some(key), Some(value)) => {
            let heads = separate_heads(
                &known[query].info.name,
                whole(query).1,
                whole(key).1,
                whole(value).1,
                config,
            )?;
            let (own, shared) = (plain_starts(heads), shared_starts(heads));
            (
                heads,
                part(query, out, own, heads),
                part(key, out, shared.clone(), heads),
                part(value, out, shared, heads),
            )
        }
        _ => return Ok(None),
    };
    let inputs = size(output, into);
    if inputs != heads.query * heads.width {
        let name = &known[output].info.name;
        return Err(format!(
            "{name} takes {inputs} inputs, {} heads of {} were expected",
            heads.query, heads.width
        ));
    }
    Ok(Some(AttentionParts {
        layer: 0,
        query,
        key,
        value,
        output: part(output, into, plain_starts(heads), heads),
        input_norm: block.input_norm.filter(|_| !family.gain_plus_one),
    }))
}

fn part(tensor: usize, axis: HeadAxis, starts: Vec<u64>, heads: Heads) -> HeadPart {
    HeadPart { tensor, axis, starts, width: heads.width }
}

fn stated_heads(config: Config<'_>) -> Result<u64, String> {
    let heads = config.heads().ok_or("no configuration names the number of heads")?;
    if heads <= HEADS_MAX { Ok(heads) } else { Err(format!("the configuration says {heads} heads")) }
}

/// Heads of separate projections with these many outputs.
fn separate_heads(name: &str, query: u64, key: u64, value: u64, config: Config<'_>) -> Result<Heads, String> {
    let heads = stated_heads(config)?;
    let width = config.head_width().unwrap_or(query / heads);
    if width == 0 || heads.checked_mul(width) != Some(query) {
        return Err(format!("{name} has {query} outputs, the configuration says {heads} heads of {width}"));
    }
    let key_heads = config.key_heads().unwrap_or(key / width);
    let whole = key_heads > 0 && heads % key_heads == 0;
    if !whole || key_heads.checked_mul(width) != Some(key) || key != value {
        return Err(format!(
            "keys have {key} and values {value} outputs, {key_heads} heads of {width} for {heads} query heads were expected"
        ));
    }
    Ok(Heads { query: heads, key: key_heads, width })
}

/// Heads of a fused projection with these many outputs.
fn fused_heads(name: &str, outputs: u64, config: Config<'_>) -> Result<Heads, String> {
    let query = stated_heads(config)?;
    let key = config.key_heads().unwrap_or(query);
    let all = query.saturating_add(key.saturating_mul(2));
    let width = outputs / all;
    let stated = config.head_width().is_none_or(|stated| stated == width);
    if width == 0 || !outputs.is_multiple_of(all) || !query.is_multiple_of(key) || !stated {
        return Err(format!(
            "{name} has {outputs} outputs, the configuration says {query} query and {key} key heads"
        ));
    }
    Ok(Heads { query, key, width })
}

/// Starts of the query heads, one after the other.
fn plain_starts(heads: Heads) -> Vec<u64> {
    (0..heads.query).map(|head| head * heads.width).collect()
}

/// Starts of the key head that each query head uses.
fn shared_starts(heads: Heads) -> Vec<u64> {
    let sharing = heads.query / heads.key;
    (0..heads.query).map(|head| head / sharing * heads.width).collect()
}

/// Starts of Q, K and V of each query head in a fused projection.
fn fused_starts(heads: Heads, tag: Tag) -> [Vec<u64>; 3] {
    let Heads { query, key, width } = heads;
    let sharing = query / key;
    if tag == Tag::QkvBlocks {
        let after = |base: u64| shared_starts(heads).iter().map(|start| base + start).collect();
        return [plain_starts(heads), after(query * width), after((query + key) * width)];
    }
    let group = (sharing + 2) * width;
    let at = |within: &dyn Fn(u64) -> u64| {
        (0..query).map(|head| head / sharing * group + within(head) * width).collect()
    };
    [at(&|head| head % sharing), at(&|_| sharing), at(&|_| sharing + 1)]
}
