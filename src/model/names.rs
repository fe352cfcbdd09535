//! Tensor names taken apart, and patterns laid against them.

use super::family::{Family, Part};
use crate::terms::Role;

/// Components that wrappers put into names and that say nothing about the model: compiled, sharded,
/// checkpointed modules, and PEFT's way of keeping the layer that it wraps.
const WRAPPERS: &[&str] = &[
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "_forward_module",
    "base_layer",
    "original_module",
];

/// What the last component says a tensor is within its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    Weight,
    /// A bias: of the module, or a parameter of its own with that word at its end (`down_proj_bias`).
    Bias,
    /// The name ends with the module: a parameter of its own (`cls_token`, `A_log`).
    Itself,
    LoraA,
    LoraB,
    /// Another part of an adapter, such as DoRA's magnitudes.
    Adapter,
}

/// A name without wrappers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// Path of the module.
    pub(super) module: Vec<&'a str>,
    pub(super) leaf: Leaf,
}

impl<'a> Name<'a> {
    pub(super) fn parse(name: &'a str) -> Self {
        let mut module: Vec<&str> = name.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
        if module.len() > 1 && module[0] == "module" {
            module.remove(0);
        }
        if let Some(at) = module.iter().position(|part| *part == "modules_to_save") {
            // The name of the adapter follows.
            module.drain(at..(at + 2).min(module.len() - 1));
        }
        if let Some((at, leaf)) =
            module.iter().enumerate().find_map(|(at, part)| Some((at, adapter_leaf(part)?)))
        {
            module.truncate(at);
            return Self { module, leaf };
        }
        let leaf = match module.last() {
            Some(&"weight" | &"gamma") if module.len() > 1 => Leaf::Weight,
            Some(&"bias" | &"beta") if module.len() > 1 => Leaf::Bias,
            Some(last) if last.ends_with("_bias") => return Self { module, leaf: Leaf::Bias },
            _ => return Self { module, leaf: Leaf::Itself },
        };
        module.pop();
        Self { module, leaf }
    }

    /// The module's path with its first number replaced: equal for the same tensor of every layer.
    pub(super) fn key(&self) -> String {
        let mut first = true;
        let parts = self.module.iter().map(|part| match number(part) {
            Some(_) if std::mem::take(&mut first) => "#",
            _ => part,
        });
        format!("{} {:?}", parts.collect::<Vec<_>>().join("."), self.leaf)
    }
}

/// PEFT's `lora_A.default`, `lora_embedding_A`; `lora_down` and `lora_up` of diffusion trainers;
/// torchtune's `lora_a`.
fn adapter_leaf(part: &str) -> Option<Leaf> {
    match part {
        "lora_A" | "lora_a" | "lora_embedding_A" | "lora_down" => Some(Leaf::LoraA),
        "lora_B" | "lora_b" | "lora_embedding_B" | "lora_up" => Some(Leaf::LoraB),
        "lora_magnitude_vector" | "magnitude" => Some(Leaf::Adapter),
        _ => None,
    }
}

/// The number that a component is, if it is one.
pub(super) fn number(part: &str) -> Option<u32> {
    if part.bytes().all(|b| b.is_ascii_digit()) { part.parse().ok() } else { None }
}

/// A family with its patterns taken apart.
#[derive(Debug)]
pub(super) struct Patterns<'f> {
    pub(super) family: &'f Family,
    parts: Vec<Pattern<'f>>,
}

#[derive(Debug)]
struct Pattern<'f> {
    part: &'f Part,
    components: Vec<&'f str>,
}

/// Where a name matched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match<'f> {
    pub(super) part: &'f Part,
    pub(super) layer: Option<u32>,
}

impl<'f> Patterns<'f> {
    pub(super) fn new(family: &'f Family) -> Self {
        let parts = family.parts.iter();
        let parts = parts.map(|part| Pattern { part, components: part.names.split('.').collect() });
        Self { family, parts: parts.collect() }
    }

    /// How much of the name the family accounts for: components of its part, and its stack.
    pub(super) fn specificity(&self, name: &Name<'_>) -> usize {
        let found = self.parts.iter().find(|pattern| pattern.find(name).is_some());
        let stack = self.family.stacks.iter().any(|stack| name.module.contains(&stack.path));
        found.map_or(0, |pattern| pattern.components.len() + usize::from(stack))
    }

    /// The first part that the name matches.
    pub(super) fn find(&self, name: &Name<'_>) -> Option<Match<'f>> {
        self.parts.iter().find_map(|pattern| pattern.find(name))
    }
}

impl<'f> Pattern<'f> {
    /// The pattern against the end of the path; whatever stands before it must not be a number, since
    /// that would be a layer.
    fn find(&self, name: &Name<'_>) -> Option<Match<'f>> {
        let before = name.module.len().checked_sub(self.components.len())?;
        let mut layer = None;
        for (component, part) in self.components.iter().zip(&name.module[before..]).rev() {
            match *component {
                "#" => layer = Some(number(part)?),
                component => component.split('|').find(|either| either == part).map(drop)?,
            }
        }
        if name.module[..before].iter().any(|part| number(part).is_some()) {
            return None;
        }
        Some(Match { part: self.part, layer })
    }
}

/// Parts that mean the same in every family.
pub(super) fn find_common(name: &Name<'_>, common: &'static [Part]) -> Option<Match<'static>> {
    let patterns = common.iter().map(|part| Pattern { part, components: part.names.split('.').collect() });
    patterns.into_iter().find_map(|pattern| {
        let found = pattern.find(name);
        // Buffers stand inside layers, too.
        found.or_else(|| {
            let skip = name.module.iter().rposition(|part| number(part).is_some())? + 1;
            let module = name.module[skip..].to_vec();
            let layer = number(name.module[skip - 1]);
            let found = pattern.find(&Name { module, leaf: name.leaf })?;
            Some(Match { layer, ..found })
        })
    })
}

/// The role of a tensor by its module's role and its own last component.
pub(super) fn role_of(part: Role, leaf: Leaf, dimensions: usize) -> Role {
    match leaf {
        Leaf::LoraA => Role::LoraA,
        Leaf::LoraB => Role::LoraB,
        Leaf::Adapter => Role::Other,
        // GPT-2 and its kin saved the causal mask under the name `bias`.
        Leaf::Bias if dimensions >= 3 => Role::Other,
        Leaf::Bias => Role::Bias,
        Leaf::Weight | Leaf::Itself => part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (name, module, leaf) in [
            ("transformer.h.0.attn.c_attn.weight", "transformer.h.0.attn.c_attn", Leaf::Weight),
            ("module._orig_mod.h.0.ln_1.bias", "h.0.ln_1", Leaf::Bias),
            ("embeddings.LayerNorm.gamma", "embeddings.LayerNorm", Leaf::Weight),
            ("mlp.experts.down_proj_bias", "mlp.experts.down_proj_bias", Leaf::Bias),
            ("vit.embeddings.cls_token", "vit.embeddings.cls_token", Leaf::Itself),
            ("base_model.model.h.0.c.lora_A.weight", "base_model.model.h.0.c", Leaf::LoraA),
            ("base_model.model.h.0.c.lora_B.default.weight", "base_model.model.h.0.c", Leaf::LoraB),
            ("a.q_proj.base_layer.weight", "a.q_proj", Leaf::Weight),
            ("a.wte.lora_embedding_A", "a.wte", Leaf::LoraA),
            ("a.q_proj.lora_magnitude_vector.weight", "a.q_proj", Leaf::Adapter),
            ("base_model.model.score.modules_to_save.default.weight", "base_model.model.score", Leaf::Weight),
            ("weight", "weight", Leaf::Itself),
            ("module", "module", Leaf::Itself),
            ("modules_to_save", "modules_to_save", Leaf::Itself),
        ] {
            let parsed = Name::parse(name);
            assert_eq!((parsed.module.join("."), parsed.leaf), (module.to_string(), leaf), "{name}");
        }
    }
}
