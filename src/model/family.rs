//! One family of models as data.
//!
//! A part's `names` is a dotted path of module names: `#` stands for a number, the first of which is the
//! layer; `a|b` stands for either. It matches a tensor whose path ends with it, `.weight` or `.bias` left
//! out, so that wrappers in front (`model.`, `transformer.`, `module.`) need no mention.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};

use crate::terms::Role;

/// Text of the program's own or kept for good. The alias keeps serde from borrowing it from its input.
pub type Text = &'static str;

/// Names, roles and geometry of one family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// Its name, used where the configuration does not name the model's type.
    #[serde(deserialize_with = "kept_text")]
    pub name: Text,
    /// Values of `model_type` in `config.json` that belong to it.
    #[serde(default, deserialize_with = "kept_texts")]
    pub model_types: &'static [&'static str],
    /// What its tensors are called; the first that matches counts.
    #[serde(deserialize_with = "kept_list")]
    pub parts: &'static [Part],
    /// True when the layers' matrices are stored (inputs, outputs), as GPT-2's Conv1D does.
    #[serde(default)]
    pub inputs_first: bool,
    /// Parts of the model with layers of their own, in the order in which the layers count on.
    #[serde(default, deserialize_with = "kept_list")]
    pub stacks: &'static [Stack],
    /// Tensors that are one and the same when `tie_word_embeddings` is on.
    #[serde(default, deserialize_with = "kept_list")]
    pub tied: &'static [TiedPair],
    /// True when norms scale by one plus their weight, as Gemma's do.
    #[serde(default)]
    pub gain_plus_one: bool,
}

/// One module of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Path of the module.
    #[serde(deserialize_with = "kept_text")]
    pub names: Text,
    /// Role of its weight. Its bias has the role `bias` and the weight's category.
    pub role: Role,
    /// What else must be known of it.
    #[serde(default)]
    pub tag: Tag,
}

/// What else must be known of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tag {
    /// Nothing.
    #[default]
    Plain,
    /// A norm whose gain scales the attention block's input.
    InputNorm,
    /// Not the layer's self-attention (cross-attention, relative positions): not cut into heads.
    Aside,
    /// Q, K and V one after the other, each with all its heads.
    QkvBlocks,
    /// For each key head in turn: its query heads, its key, its value. With as many key heads as query
    /// heads this is GPT-NeoX's order, with one key head it is the same as blocks.
    QkvGroups,
}

/// A part of the model with layers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// Module name that all its tensors have in their path.
    #[serde(deserialize_with = "kept_text")]
    pub path: Text,
    /// Section of the configuration that describes it; empty for the top.
    #[serde(default, deserialize_with = "kept_text")]
    pub section: Text,
    /// What its keys in the configuration begin with.
    #[serde(default, deserialize_with = "kept_text")]
    pub prefix: Text,
}

/// Two modules with one weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TiedPair {
    /// The one that may be left out of the file.
    #[serde(deserialize_with = "kept_text")]
    pub name: Text,
    /// The one that it equals.
    #[serde(deserialize_with = "kept_text")]
    pub same_as: Text,
}

/// Longest name in a family: it becomes a label of every tensor's series.
const FAMILY_NAME_BYTES_MAX: usize = 64;

impl Family {
    /// Checks what a user wrote. The error says which entry cannot work and why.
    pub fn check(&self) -> Result<(), String> {
        let plain = |text: &str| !text.chars().any(|character| character.is_control() || character == ' ');
        if self.name.is_empty() || self.name.len() > FAMILY_NAME_BYTES_MAX || !plain(self.name) {
            return Err(format!("{:?} is no name of a family: 1 to 64 bytes without blanks", self.name));
        }
        if self.parts.is_empty() {
            return Err(format!("family {} has no parts, so it would know no tensor", self.name));
        }
        let tied = self.tied.iter().flat_map(|pair| [pair.name, pair.same_as]);
        for path in self.parts.iter().map(|part| part.names).chain(tied) {
            let broken = path.split(['.', '|']).any(str::is_empty) || !plain(path);
            if broken || path.ends_with(".weight") || path.ends_with(".bias") {
                return Err(format!(
                    "family {}: {path:?} is no path of a module: names with dots between them, \
                     without .weight or .bias",
                    self.name
                ));
            }
        }
        Ok(())
    }

    /// A family without names, for the tables to start from.
    pub(super) const EMPTY: Self = Self {
        name: "",
        model_types: &[],
        parts: &[],
        inputs_first: false,
        stacks: &[],
        tied: &[],
        gain_plus_one: false,
    };
}

// A user's family is read once, at start, and serves until the end: it is kept for good, so that it is
// the same kind of thing as the program's own tables.

fn kept_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    String::deserialize(deserializer).map(|text| &*text.leak())
}

fn kept_texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static [&'static str], D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let texts: Vec<&'static str> = texts.into_iter().map(|text| &*text.leak()).collect();
    Ok(texts.leak())
}

fn kept_list<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<&'static [T], D::Error> {
    Vec::<T>::deserialize(deserializer).map(|list| &*list.leak())
}

/// A part without anything special.
pub(super) const fn part(names: &'static str, role: Role) -> Part {
    tagged(names, role, Tag::Plain)
}

/// A part with a tag.
pub(super) const fn tagged(names: &'static str, role: Role, tag: Tag) -> Part {
    Part { names, role, tag }
}

/// A stack in a constant table.
pub(super) const fn stack(path: &'static str, section: &'static str, prefix: &'static str) -> Stack {
    Stack { path, section, prefix }
}

/// A tied pair in a constant table.
pub(super) const fn tied(name: &'static str, same_as: &'static str) -> TiedPair {
    TiedPair { name, same_as }
}
