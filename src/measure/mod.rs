//! Numbers from tensors: metrics by family, kernels as free functions on slices, the plan.

pub mod kernels;
