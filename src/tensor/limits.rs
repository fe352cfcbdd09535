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
/// Most elements of one tensor. Far above any real one (a 405B model's largest has 2 billion); keeps
/// every sum of offsets far from overflow.
pub const TENSOR_ELEMENTS_MAX: u64 = 1 << 46;
/// Most files in one checkpoint: 4096 ranks with a few files each.
pub const FILES_MAX: usize = 20_000;
/// Files that are kept open while a checkpoint is weighed, well below the usual limit of 1024
/// descriptors a process even with the previous checkpoint open too. Further ones are opened for each
/// read.
pub const FILES_OPEN_MAX: usize = 256;
/// Problems told one by one; the rest are counted in one more.
pub const PROBLEMS_MAX: usize = 100;
/// Longest pickle stream that is read. Weights lie outside the stream; a million tensors' descriptions
/// fit.
pub const PICKLE_BYTES_MAX: u64 = 64 << 20;
/// Most objects that one pickle may make: 300,000 tensors with an Adam state each take some 4 million.
/// An object takes 32 bytes.
pub const PICKLE_NODES_MAX: usize = 4_000_000;
/// Most opcodes of one pickle; with the limit on objects this bounds time and memory.
pub const PICKLE_OPCODES_MAX: u64 = 16_000_000;
/// Deepest stack of one pickle; picklers write containers in batches of 1000.
pub const PICKLE_STACK_MAX: usize = 1_000_000;
/// Longest text that is kept, and longest line of the old text opcodes. Longer ones are opaque.
pub const PICKLE_LINE_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of containers in which tensors are looked for. Nested modules reach some 40.
pub const NESTING_MAX: usize = 200;
/// Dangerous callables of one pickle that are told by name.
pub const CALLABLES_TOLD_MAX: usize = 8;
/// Most bytes of a zip archive's directory that are read: some 80 bytes an entry for 400,000 entries.
/// An entry takes five times that in memory.
pub const ARCHIVE_DIRECTORY_BYTES_MAX: u64 = 32 << 20;
/// Most bytes that a small compressed entry (a pickle, a header) may unfold to.
pub const UNFOLDED_BYTES_MAX: u64 = PICKLE_BYTES_MAX;
/// Largest honest ratio of a compressed entry: deflate cannot pass 1032.
pub const UNFOLDED_RATIO_MAX: u64 = 1_100;
/// A file's tensors may together deliver at most this many times its bytes: views that share a storage
/// are honest, a storage of four bytes that claims to be a terabyte is not.
pub const VIEWS_RATIO_MAX: u64 = 16;
/// What any file's tensors may deliver whatever its size: small files hold expanded masks.
pub const VIEWS_BYTES_FREE: u64 = 64 << 20;
/// Most chunks of one tensor: one a rank of a large job.
pub const CHUNKS_MAX: usize = 16_384;
/// Largest piece that is read at once to pick elements from: it stays in a core's second cache.
pub const GATHER_BYTES_MAX: u64 = 64 << 10;
/// Longest text header of a numpy array. numpy itself warns beyond 10,000.
pub const ARRAY_HEADER_BYTES_MAX: u64 = 64 << 10;
/// Most bytes of a GGUF header that are read past: the largest vocabularies take some 20 MB.
pub const GGUF_HEADER_BYTES_MAX: u64 = 256 << 20;
/// Most keys of a GGUF header; real ones have some 50.
pub const GGUF_KEYS_MAX: u64 = 100_000;
/// Deepest nesting of arrays in a GGUF header; none is written nested today.
pub const GGUF_NESTING_MAX: usize = 4;
