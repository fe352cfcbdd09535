//! Entries of the heads family, and of the layers that the heads make up.

use crate::terms::{Family, MetricDef, SubjectKind, Tier, Unit};

const HEAD: MetricDef = MetricDef {
    name: "",
    family: Family::Heads,
    subject: SubjectKind::Head,
    unit: Unit::Weight,
    tier: Tier::Two,
    help: "",
    formula: "",
    source: "",
    healthy: "",
    sick: "",
    cost: "Gram matrices of d_h x d_h: 2 d d_h^2 multiply-adds a head and projection",
    since: "0.1.0",
};

const PART: MetricDef = MetricDef {
    source: "transformer circuits: Elhage et al. 2021",
    healthy: "within a factor of 3 of the layer's median (small GPT-2, Llama, Qwen2 and GPT-NeoX runs)",
    sick: "below 5 % of the layer's median and falling: a dying head",
    ..HEAD
};

const PAIR: MetricDef = MetricDef {
    source: "attention logits from weights alone: arXiv 2602.18851",
    healthy: "smooth growth that slows down",
    sick: "exponential growth: attention logits will saturate the softmax; near 0: a dead head",
    cost: "eigenvalues of one d_h x d_h matrix a head",
    ..HEAD
};

const GAIN: &str = "as the metric without the suffix, with each input dimension of W_Q, W_K, W_V multiplied by the gain of the norm in front";

const LAYER: MetricDef = MetricDef {
    family: Family::Layers,
    subject: SubjectKind::Layer,
    unit: Unit::One,
    cost: "none beside the heads",
    ..HEAD
};

const CLUSTER: MetricDef = MetricDef {
    unit: Unit::Weight,
    source: "Ward 1963; heights as scipy's linkage, on the heads' mean query vectors",
    ..LAYER
};

/// This family's entries.
pub(in crate::measure) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "q_norm",
        help: "Frobenius norm of a head's query projection",
        formula: "||W_Q||_F",
        ..PART
    },
    MetricDef {
        name: "k_norm",
        help: "Frobenius norm of a head's key projection, shared keys repeated",
        formula: "||W_K||_F",
        ..PART
    },
    MetricDef {
        name: "v_norm",
        help: "Frobenius norm of a head's value projection, shared values repeated",
        formula: "||W_V||_F",
        ..PART
    },
    MetricDef {
        name: "o_norm",
        help: "Frobenius norm of a head's slice of the output projection",
        formula: "||W_O||_F",
        ..PART
    },
    MetricDef {
        name: "qk_norm",
        help: "Frobenius norm of the bilinear form that makes a head's attention logits",
        formula: "||W_Q W_K^T||_F = sqrt(tr(W_Q^T W_Q W_K^T W_K))",
        ..PAIR
    },
    MetricDef {
        name: "qk_spectral_norm",
        help: "Largest singular value of W_Q W_K^T",
        formula: "sqrt of the largest eigenvalue of (W_Q^T W_Q)(W_K^T W_K)",
        ..PAIR
    },
    MetricDef {
        name: "qk_logit_std",
        unit: Unit::One,
        help: "Standard deviation of a head's attention logits for independent inputs of rms 1",
        formula: "||W_Q W_K^T||_F / sqrt(d_h)",
        healthy: "0.3 to 5",
        sick: "above about 15 the softmax saturates; a doubling time shorter than the rest of the run",
        ..PAIR
    },
    MetricDef {
        name: "qk_spectral_entropy",
        unit: Unit::Ratio,
        help: "Entropy of the squared singular values of W_Q W_K^T, 1 for all equal",
        formula: "-sum p ln p / ln d_h, p = s^2 / sum s^2",
        source: "mechanism-driven monitors: arXiv 2606.28116",
        healthy: "0.5 to 0.97; 0.92 and above at initialisation",
        sick: "a sharp change comes before the loss moves; near 0: the head has collapsed to one direction",
        ..PAIR
    },
    MetricDef {
        name: "ov_norm",
        help: "Frobenius norm of what a head writes: its value times its output projection",
        formula: "||W_V W_O||_F = sqrt(tr(W_V^T W_V W_O W_O^T))",
        cost: "one product of two d_h x d_h matrices",
        ..PART
    },
    MetricDef {
        name: "qk_norm_with_gain",
        help: "qk_norm with the norm's gain folded in",
        formula: GAIN,
        ..PAIR
    },
    MetricDef {
        name: "qk_spectral_norm_with_gain",
        help: "qk_spectral_norm with the norm's gain folded in",
        formula: GAIN,
        ..PAIR
    },
    MetricDef {
        name: "qk_logit_std_with_gain",
        unit: Unit::One,
        help: "qk_logit_std with the norm's gain folded in: the scale that the softmax sees",
        formula: GAIN,
        healthy: "0.3 to 5",
        sick: "above about 15 the softmax saturates; a doubling time shorter than the rest of the run",
        ..PAIR
    },
    MetricDef {
        name: "qk_spectral_entropy_with_gain",
        unit: Unit::Ratio,
        help: "qk_spectral_entropy with the norm's gain folded in",
        formula: GAIN,
        healthy: "0.5 to 0.97",
        sick: "a sharp change comes before the loss moves",
        ..PAIR
    },
    MetricDef {
        name: "ov_norm_with_gain",
        help: "ov_norm with the norm's gain folded in",
        formula: GAIN,
        ..PART
    },
    MetricDef {
        name: "ov_norm_min_over_median",
        unit: Unit::Ratio,
        help: "Smallest over median ov_norm of the layer's heads",
        formula: "min_h ov_norm / median_h ov_norm",
        source: "dead heads: Michel, Levy and Neubig 2019",
        healthy: "above 0.3",
        sick: "below 0.05 and falling: a head dies",
        ..LAYER
    },
    MetricDef {
        name: "qk_norm_min_over_median",
        unit: Unit::Ratio,
        help: "Smallest over median qk_norm of the layer's heads",
        formula: "min_h qk_norm / median_h qk_norm",
        source: "dead heads: Michel, Levy and Neubig 2019",
        healthy: "above 0.2",
        sick: "below 0.05 and falling: a head no longer looks anywhere",
        ..LAYER
    },
    MetricDef {
        name: "ward_heights",
        help: "Heights at which the heads of a layer merge, lowest first",
        formula: "Ward linkage on Euclidean distance of mean_i W_Q[i, :] of each head",
        healthy: "no range of its own: one value less than there are heads",
        sick: "a lowest merge near 0: two heads are copies",
        ..CLUSTER
    },
    MetricDef {
        name: "ward_merges",
        unit: Unit::Count,
        help: "The pairs that merge at ward_heights: heads from 0 on, then the clusters in order of merging",
        formula: "left and right label of each merge, as scipy's linkage",
        healthy: "no range: it draws the dendrogram",
        sick: "no range: it draws the dendrogram",
        ..CLUSTER
    },
    MetricDef {
        name: "ward_height_min",
        help: "Lowest merge of the layer's heads",
        formula: "min of ward_heights",
        healthy: "of the order of ward_height_max / 3",
        sick: "near 0: two heads are copies of each other",
        ..CLUSTER
    },
    MetricDef {
        name: "ward_height_max",
        help: "Highest merge of the layer's heads",
        formula: "max of ward_heights",
        healthy: "grows while heads specialise",
        sick: "falls: heads become alike",
        ..CLUSTER
    },
    MetricDef {
        name: "ward_clusters",
        unit: Unit::Count,
        help: "Clusters of heads when the tree is cut at 0.7 of its height",
        formula: "1 + count of ward_heights > 0.7 max",
        healthy: "2 to half of the heads",
        sick: "a jump: heads were regrouped, as by a damaged projection",
        ..CLUSTER
    },
    MetricDef {
        name: "head_distance_mean",
        help: "Mean distance between the heads' mean query vectors",
        formula: "mean over pairs of ||mean_i W_Q^a[i, :] - mean_i W_Q^b[i, :]||",
        source: "spread of heads over depth in public GPT-2 weight walks",
        healthy: "at initialisation std sqrt(2 d_h / d), growing while heads specialise",
        sick: "falls: heads become alike",
        ..CLUSTER
    },
    MetricDef {
        name: "head_distance_spread",
        unit: Unit::One,
        help: "Relative spread of the distances between heads: 0 where all are equally unlike",
        formula: "population deviation over mean of the pairs' distances",
        source: "spread of heads over depth in public GPT-2 weight walks",
        healthy: "about 1 / sqrt(2 d_h) at initialisation (0.09 at 64), above it once heads differ in kind",
        sick: "a jump: one head leaves the others",
        ..CLUSTER
    },
];
