//! What a tensor is in its model: role, layer, category, and where the attention heads lie.

use std::fmt;

use serde::Serialize;

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($(#[$vdoc:meta])* $variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$vdoc])* $variant),* }

        impl $type {
            /// Every value, in the order in which they are shown.
            pub const ALL: &'static [$type] = &[$($type::$variant),*];

            /// The word in JSON, store and labels.
            pub const fn name(self) -> &'static str {
                match self { $($type::$variant => $name),* }
            }

            /// The value of that word.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
                Self::from_name(&name).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|value| value.name()).collect();
                    serde::de::Error::custom(format!("{name}: not one of {}", known.join(", ")))
                })
            }
        }
    };
}

names! {
    /// A tensor's part in the model.
    #[allow(missing_docs)]
    Role {
        TokenEmbedding = "token_embedding",
        PositionEmbedding = "position_embedding",
        AttnQ = "attn_q",
        AttnK = "attn_k",
        AttnV = "attn_v",
        AttnQkv = "attn_qkv",
        AttnOut = "attn_out",
        MlpUp = "mlp_up",
        MlpGate = "mlp_gate",
        MlpDown = "mlp_down",
        MlpGateUp = "mlp_gate_up",
        Norm = "norm",
        Bias = "bias",
        LmHead = "lm_head",
        Router = "router",
        ExpertUp = "expert_up",
        ExpertGate = "expert_gate",
        ExpertDown = "expert_down",
        LoraA = "lora_a",
        LoraB = "lora_b",
        Conv = "conv",
        Other = "other",
    }
}

names! {
    /// The coarse groups of the inventory table.
    #[allow(missing_docs)]
    Category {
        PositionalEmbedding = "positional_embedding",
        TokenEmbedding = "token_embedding",
        Attention = "attention",
        FeedForward = "feed_forward",
        LayerNorm = "layer_norm",
        Other = "other",
    }
}

/// What one tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// Its part in the model.
    pub role: Role,
    /// Its group in the inventory.
    pub category: Category,
    /// Depth, counted from 0; none for what stands outside the layers.
    pub layer: Option<u32>,
    /// True when name patterns and shapes were all there was to go by.
    pub guessed: bool,
    /// True when a matrix is stored (inputs, outputs), as GPT-2's Conv1D does; false for (outputs, inputs).
    pub inputs_first: bool,
}

/// Which axis of a stored matrix the heads are cut along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadAxis {
    /// Each head is a range of rows.
    Rows,
    /// Each head is a range of columns.
    Columns,
}

/// Where one projection (Q, K, V or O) of every query head lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeadPart {
    /// Index of the tensor in [`super::BlockSource::tensors`].
    pub tensor: usize,
    /// Axis that the heads are cut along; the other axis is the model's width.
    pub axis: HeadAxis,
    /// Start of each query head's range along `axis`. Query heads that share a key head have equal
    /// starts here; interleaved layouts have strided ones.
    pub starts: Vec<u64>,
    /// Length of a range (the head width) along `axis`.
    pub width: u64,
}

/// One attention block, cut into its query heads. All parts have equally many starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttentionParts {
    /// Depth of the block.
    pub layer: u32,
    /// Query projection.
    pub query: HeadPart,
    /// Key projection, repeated for the query heads that share it.
    pub key: HeadPart,
    /// Value projection, repeated in the same way.
    pub value: HeadPart,
    /// Output projection: the range of each head on the input side.
    pub output: HeadPart,
    /// Index of the norm gain that scales this block's input, where there is one (pre-norm models).
    pub input_norm: Option<usize>,
}

/// What is known about a checkpoint's model, in the order of [`super::BlockSource::tensors`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelMap {
    /// Name of the family, or `unknown`.
    pub family: String,
    /// One entry a tensor.
    pub meanings: Vec<Meaning>,
    /// Attention blocks whose heads could be told apart.
    pub attention: Vec<AttentionParts>,
    /// Pairs of tensor indices that the config says must be equal and that are both in the file.
    pub tied: Vec<(usize, usize)>,
    /// Tied tensors that the file leaves out: (absent name, name that it equals).
    pub tied_absent: Vec<(String, String)>,
    /// What did not fit (config against shapes), in words for the user.
    pub remarks: Vec<String>,
}
