//! From names and shapes to meanings.

use super::Family;
use crate::terms::{Category, Meaning, ModelMap, Role, TensorInfo};

/// What every tensor is, given the model's configuration where there is one.
pub fn understand(tensors: &[TensorInfo], config: Option<&serde_json::Value>) -> ModelMap {
    understand_with(tensors, config, &[])
}

/// As [`understand`], with families of the user's own that are tried first.
pub fn understand_with(
    tensors: &[TensorInfo],
    _config: Option<&serde_json::Value>,
    _extra: &[Family],
) -> ModelMap {
    let unknown = Meaning {
        role: Role::Other,
        category: Category::Other,
        layer: None,
        guessed: true,
        inputs_first: false,
    };
    ModelMap {
        family: "unknown".to_string(),
        meanings: vec![unknown; tensors.len()],
        attention: Vec::new(),
        tied: Vec::new(),
        tied_absent: Vec::new(),
        remarks: Vec::new(),
    }
}
