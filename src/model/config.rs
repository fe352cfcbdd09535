//! What the configuration says, under the many names that libraries give to few things.

use serde_json::Value;

use super::family::Stack;

/// The configuration as one stack of the model sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Config<'a> {
    top: Option<&'a Value>,
    section: Option<&'a Value>,
    prefix: &'a str,
}

/// Sections that hold the language model's part in configurations of larger models.
const TEXT_SECTIONS: [&str; 4] = ["text_config", "llm_config", "language_config", "model_args"];

impl<'a> Config<'a> {
    pub(super) fn new(top: Option<&'a Value>, stack: Option<&'a Stack>) -> Self {
        let named = stack.filter(|stack| !stack.section.is_empty());
        let section = match named {
            Some(stack) => top.and_then(|top| top.get(stack.section)),
            None => top.and_then(|top| TEXT_SECTIONS.iter().find_map(|section| top.get(section))),
        };
        Self { top, section, prefix: stack.map_or("", |stack| stack.prefix) }
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        let at = |place: Option<&'a Value>| {
            place.and_then(|place| place.get(key)).filter(|value| !value.is_null())
        };
        at(self.section).or_else(|| at(self.top))
    }

    fn number(&self, keys: &[&str]) -> Option<u64> {
        keys.iter().find_map(|key| self.value(key)?.as_u64()).filter(|&number| number > 0)
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.value(key)?.as_bool()
    }

    /// The model's type, as the configuration names it.
    pub(super) fn model_type(&self) -> Option<&'a str> {
        self.top?.get("model_type")?.as_str()
    }

    /// Query heads.
    pub(super) fn heads(&self) -> Option<u64> {
        let own = format!("{}attention_heads", self.prefix);
        self.number(&[&own, "num_attention_heads", "n_head", "n_heads", "num_heads", "num_query_heads"])
    }

    /// Key and value heads, where the configuration names them.
    pub(super) fn key_heads(&self) -> Option<u64> {
        // Falcon: with the new architecture its group count holds, before that one head for all or none.
        if self.flag("multi_query") == Some(true) && self.flag("new_decoder_architecture") != Some(true) {
            return Some(1);
        }
        if self.flag("multi_query") == Some(false) && self.flag("new_decoder_architecture") != Some(true) {
            return self.heads();
        }
        let nested = || self.value("attn_config")?.get("kv_n_heads")?.as_u64();
        let keys = ["num_key_value_heads", "num_kv_heads", "n_kv_heads", "n_head_kv", "num_query_groups"];
        self.number(&keys).or_else(nested)
    }

    /// Width of a head, where the configuration names it.
    pub(super) fn head_width(&self) -> Option<u64> {
        self.number(&["head_dim", "d_kv", "kv_channels", "attention_head_dim"])
    }

    /// Width of the model.
    pub(super) fn width(&self) -> Option<u64> {
        self.number(&["hidden_size", "n_embd", "d_model", "dim"])
    }

    /// Width of the token embedding, which may be factorised.
    pub(super) fn embedding_width(&self) -> Option<u64> {
        self.number(&["embedding_size", "word_embed_proj_dim"]).or_else(|| self.width())
    }

    /// Tokens in the vocabulary.
    pub(super) fn vocabulary(&self) -> Option<u64> {
        self.number(&["vocab_size"])
    }

    /// Layers; none where they share their weights.
    pub(super) fn layers(&self) -> Option<u64> {
        if self.value("num_hidden_groups").is_some() {
            return None;
        }
        self.number(&["num_hidden_layers", "n_layer", "n_layers", "num_layers"])
    }

    /// Whether output and input embeddings are one: as stated, else on as is transformers' default.
    pub(super) fn tied(&self) -> bool {
        let is_transformers = self.model_type().is_some() || self.value("architectures").is_some();
        self.flag("tie_word_embeddings").or_else(|| self.flag("share_embeddings")).unwrap_or(is_transformers)
    }

    /// True when the configuration is of a model with an output over the vocabulary.
    pub(super) fn has_lm_head(&self) -> bool {
        let heads = ["LMHead", "CausalLM", "ForConditionalGeneration", "MaskedLM", "PreTraining", "MTModel"];
        let classes = self.value("architectures").and_then(Value::as_array);
        let mut names = classes.into_iter().flatten().filter_map(Value::as_str);
        names.any(|name| heads.iter().any(|head| name.contains(head)))
    }

    /// The adapter's rank, where all its matrices have the same.
    pub(super) fn adapter_rank(&self) -> Option<u64> {
        let adapter = self.top?.get("adapter_config")?;
        let patterns = adapter.get("rank_pattern").and_then(Value::as_object);
        if patterns.is_some_and(|patterns| !patterns.is_empty()) {
            return None;
        }
        adapter.get("r")?.as_u64()
    }
}
