//! Every limit on what a file may ask for, with its reason. A file that breaks one is told as a
//! [`crate::terms::Problem`] of kind `Hostile`; what was within the limits is still weighed.

/// Longest header of a safetensors file. The reference implementation refuses longer ones too, so no
/// honest file is lost.
pub const HEADER_BYTES_MAX: u64 = 100_000_000;
/// Most tensors in one checkpoint. The largest open models have some 150,000; this many descriptions
/// stay below 200 MB of memory.
pub const TENSORS_MAX: usize = 400_000;
/// Longest name of a tensor. The longest honest ones (nested adapters) are near 200 bytes; names are
/// repeated in the store, in labels and on pages.
pub const NAME_BYTES_MAX: usize = 1024;
/// Most dimensions. numpy allows 64, torch users rarely pass 5.
pub const RANK_MAX: usize = 64;
/// Most bytes that one tensor may deliver. Far above any real one (a 405B model's largest is 4 GB);
/// keeps every sum of offsets far from overflow.
pub const TENSOR_BYTES_MAX: u64 = 1 << 46;
/// Most files in one checkpoint: 4096 ranks with a few files each.
pub const FILES_MAX: usize = 20_000;
/// Files that are kept open while a checkpoint is weighed, well below the usual limit of 1024
/// descriptors a process even with the previous checkpoint open too. Further ones are opened for each
/// read.
pub const FILES_OPEN_MAX: usize = 256;
/// Problems told one by one; the rest are counted in one more.
pub const PROBLEMS_MAX: usize = 100;
