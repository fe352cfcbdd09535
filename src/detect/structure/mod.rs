//! Known faults' own marks in the structure of the weights. Most look only at tensors that moved as
//! training does not move them: a mark without a movement is how the model is.

pub mod adapter_collapse;
pub mod dead_expert;
pub mod dead_head;
pub mod duplicate_expert;
pub mod dying_units;
pub mod embedding_collapse;
pub mod embedding_shrink;
pub mod foreign_checkpoint;
pub mod logit_growth;
pub mod non_gaussian_drift;
pub mod norm_gain_blowup;
pub mod rank_collapse;
pub mod reinitialized_tensor;
pub mod shuffled_positions;
pub mod swapped_layers;
pub mod weight_decay_off;
pub mod weight_decay_too_strong;
