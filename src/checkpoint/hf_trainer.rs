//! Hugging Face Trainer.

use super::Layout;

/// `checkpoint-N/` of transformers' Trainer, and of everything built on it (TRL, Axolotl, PEFT).
pub(super) struct HfTrainer;

impl Layout for HfTrainer {
    fn name(&self) -> &'static str {
        "hf_trainer"
    }
    fn on_disk(&self) -> &'static str {
        "`checkpoint-N/` with `model.safetensors`, or shards and an index, or `adapter_model.safetensors`"
    }
    fn complete_when(&self) -> &'static str {
        "`trainer_state.json` parses and its `global_step` is N"
    }
}
