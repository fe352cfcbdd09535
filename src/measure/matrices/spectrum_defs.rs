//! Entries of the spectrum family.

use super::drift::{DRIFT, STEPS};
use crate::terms::{Family, MetricDef, SubjectKind, Tier, Unit};

const TOP: MetricDef = MetricDef {
    name: "",
    family: Family::Spectrum,
    subject: SubjectKind::Tensor,
    unit: Unit::One,
    tier: Tier::Two,
    help: "",
    formula: "",
    source: "",
    healthy: "",
    sick: "",
    cost: "one Gram product of the short side, k^2 l multiply-adds; Lanczos passes where the short side is beyond 1536",
    since: "0.1.0",
};

const FULL: MetricDef = MetricDef {
    tier: Tier::Three,
    cost: "Gram product and all eigenvalues of the short side: 50-65 ms for 768 x 768 on one core",
    ..TOP
};

const COMPONENT: MetricDef = MetricDef {
    source: "Pearson 1901; rows are samples, columns are standardised to mean 0 and deviation 1",
    cost: "a second set of eigenvalues, and a second Gram product where rows are the short side",
    ..FULL
};

const BULK: MetricDef = MetricDef {
    source: "Marchenko and Pastur 1967; Martin and Mahoney 2021 on weights",
    cost: "none beside the eigenvalues",
    ..FULL
};

/// This family's entries.
pub(in crate::measure) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "frobenius_norm",
        unit: Unit::Weight,
        help: "Root of the sum of squares of all elements of a matrix",
        formula: "sqrt(sum w^2) = sqrt(sum s_i^2)",
        source: "norm growth: Merrill et al. 2021 (arXiv 2010.09697)",
        healthy: "grows about like sqrt(step) without weight decay, reaches a plateau with it (T5 in arXiv 2010.09697)",
        sick: "exponential growth; falling like exp(-lr wd t): weight decay without gradient",
        ..TOP
    },
    MetricDef {
        name: "spectral_norm",
        unit: Unit::Weight,
        help: "Largest singular value",
        formula: "s_1",
        source: "spectral condition: Yang, Simon and Bernstein 2023 (arXiv 2310.17813)",
        healthy: "of the order of sqrt(outputs / inputs), moving smoothly (arXiv 2310.17813)",
        sick: "grows faster than frobenius_norm, or doubles within a few checkpoints",
        ..TOP
    },
    MetricDef {
        name: "spectral_norm_excess_over_null",
        unit: Unit::Weight,
        help: "spectral_norm minus that of independent entries of the same rms and shape",
        formula: "s_1 - rms (sqrt(m) + sqrt(n))",
        source: "Bai and Yin 1993",
        healthy: "0 at initialisation within 1 %, above it once the layer has learnt (random matrices of the tests; pretrained MiniLM)",
        sick: "back to 0: the layer was initialised again; growing without end: one direction takes over",
        ..TOP
    },
    MetricDef {
        name: "stable_rank",
        help: "Squared Frobenius norm over squared spectral norm: how many directions share the energy",
        formula: "sum s_i^2 / s_1^2",
        source: "Rudelson and Vershynin 2007; as an early sign of divergence: MSign (arXiv 2602.01734)",
        healthy: "a quarter (square) to two thirds (1:16) of the short side at initialisation, falling at first and then settling",
        sick: "a fast, lasting fall precedes exploding gradients; near 1: one direction is all there is",
        ..TOP
    },
    MetricDef {
        name: "stable_rank_excess_over_null",
        help: "stable_rank minus that of a random matrix of the same shape",
        formula: "stable_rank - m n / (sqrt(m) + sqrt(n))^2",
        source: "Bai and Yin 1993",
        healthy: "0 within 5 % of the null at initialisation, below 0 after (random matrices of the tests)",
        sick: "back to 0: initialised again; falling on while siblings have settled: rank collapse",
        ..TOP
    },
    MetricDef {
        name: "participation_ratio",
        help: "Inverse concentration of the squared singular values: how many directions take part",
        formula: "(sum s_i^2)^2 / sum s_i^4",
        source: "participation ratio of localisation: Bell and Dean 1970",
        healthy: "half (square) to nearly all (1:16) of the short side at initialisation, below that once trained",
        sick: "falls to less than half of its siblings: energy moves into few directions",
        ..TOP
    },
    MetricDef {
        name: "participation_ratio_excess_over_null",
        help: "participation_ratio minus that of a random matrix of the same shape",
        formula: "participation_ratio - (m n + 2) / (m + n + 1)",
        source: "moments of the Wishart law",
        healthy: "0 within 2 % of the null at initialisation, below 0 after (random matrices of the tests)",
        sick: "back to 0: initialised again; falling while siblings stay: rank collapse",
        ..TOP
    },
    MetricDef {
        name: "effective_rank",
        help: "Exponential of the entropy of the singular values",
        formula: "exp(-sum p_i ln p_i), p_i = s_i / sum s",
        source: "Roy and Vetterli 2007",
        healthy: "0.5 to 0.95 of the short side; 0.8 (square) to 0.99 (1:16) at initialisation",
        sick: "falls to less than half of its siblings: rank collapse",
        ..FULL
    },
    MetricDef {
        name: "effective_rank_excess_over_null",
        help: "effective_rank minus that of a random matrix of the same shape",
        formula: "effective_rank minus the effective rank of the Marchenko-Pastur law's quantiles",
        source: "Roy and Vetterli 2007; Marchenko and Pastur 1967",
        healthy: "0 within 1 % of the null at initialisation, below 0 after (random matrices of the tests)",
        sick: "back to 0: initialised again; falling while siblings stay: rank collapse",
        ..FULL
    },
    MetricDef {
        name: DRIFT,
        unit: Unit::Ratio,
        help: "How far the singular values, each over their sum, have moved since the matrix's last full spectrum",
        formula: "1/2 sum |p_i - p'_i|, p_i = s_i / sum s, largest first: the total variation distance; p' as f32, so within 6e-8",
        source: "\"Stability of Singular Distribution\" (ICML 2026); total variation distance: Levin, Peres and Wilmer 2009",
        healthy: "settles early and falls with the learning rate: medians of 0.015, 0.009, 0.005, 0.0009 in the quarters of a run, 99 % below 0.10, 0.024, 0.016, 0.012 (checkpoints 25 steps apart of 110 small runs by AdamW and Adafactor, short sides 32 to 64); SGD begins as high as 0.66, fine-tuning lies ten times lower; two draws of noise are 0.9 / short side apart",
        sick: "7 to 12 times its siblings' median from the first checkpoint on, and staying there: a slow rank collapse (all five recorded); one jump to 0.4 to 0.6: rank collapse, to 0.1 to 0.25: initialised again; a switch to garbage data 1.1 to 1.9 times what it was; neither scaling nor turning shows",
        cost: "none beside the singular values; a remembered spectrum takes some 3 bytes a value. `inspect --previous` decomposes both matrices",
        ..FULL
    },
    MetricDef {
        name: STEPS,
        unit: Unit::Count,
        help: "Steps between the two spectra that singular_distribution_drift compares: full spectra are had in turns",
        formula: "step of this checkpoint minus step of the last one in whose budget the matrix was",
        source: "definition",
        healthy: "the same at every turn: one interval of checkpoints where the budget holds all matrices, else as many as there are turns",
        sick: "not a sign by itself: compare drifts of equal steps",
        cost: "none",
        ..FULL
    },
    MetricDef {
        name: "numerical_rank",
        unit: Unit::Count,
        help: "Singular values that f32 can tell from zero",
        formula: "count of s_i > s_1 max(m, n) 2^-23",
        source: "rank as in LAPACK users' and numpy's matrix_rank",
        healthy: "the short side, or one or two less for square matrices",
        sick: "less: rows are zero or duplicated, or the matrix is a low-rank product",
        ..FULL
    },
    MetricDef {
        name: "alpha_hill",
        help: "Tail exponent of the eigenvalue density over its upper half, by Hill's estimate",
        formula: "1 + k / sum_{i<=k} ln(l_i / l_k), l = s^2, k = half the short side",
        source: "Hill 1975; per module: AlphaDecay (arXiv 2506.14562)",
        healthy: "depends on the shape more than on training: read the excess over null",
        sick: "read the excess over null",
        ..FULL
    },
    MetricDef {
        name: "alpha_hill_excess_over_null",
        help: "alpha_hill minus that of a random matrix of the same shape",
        formula: "alpha_hill minus alpha_hill of the Marchenko-Pastur law's quantiles (2.13 square, 3.12 for 1:3, 5.91 for 1:16)",
        source: "Hill 1975; Marchenko and Pastur 1967",
        healthy: "0 within 5 % at initialisation, below 0 once trained (random matrices of the tests)",
        sick: "back to 0: initialised again; far below siblings: a layer that overfits or collapses",
        ..FULL
    },
    MetricDef {
        name: "alpha_fit",
        help: "Exponent of a power law fitted to the upper eigenvalues, cut where it fits best",
        formula: "1 + t / sum_{i<=t} ln(l_i / l_t), t >= 10 with the least Kolmogorov-Smirnov distance",
        source: "Clauset, Shalizi and Newman 2009; Martin and Mahoney 2021 (WeightWatcher)",
        healthy: "2 to 6 in WeightWatcher's labels, where alpha_fit_ks_statistic is below 0.08; pure noise gives 5 to 25",
        sick: "below 2 with a falling loss: over-trained; far from siblings: a layer apart; nothing where the fit is bad",
        cost: "one logarithm and k^2 / 2 exponentials at most, of k eigenvalues",
        ..FULL
    },
    MetricDef {
        name: "alpha_fit_ks_statistic",
        unit: Unit::Ratio,
        help: "Distance of the fitted power law: above 0.08 alpha_fit means little",
        formula: "sup |F_t - F| over the t eigenvalues beyond the cut",
        source: "Clauset, Shalizi and Newman 2009",
        healthy: "below 0.08 where the spectrum has a heavy tail; 0.12 on noise",
        sick: "not a sign by itself",
        ..FULL
    },
    MetricDef {
        name: "alpha_fit_tail_values",
        unit: Unit::Count,
        help: "Eigenvalues that the power law was fitted to",
        formula: "t of alpha_fit",
        source: "Clauset, Shalizi and Newman 2009",
        healthy: "tens to half of the short side",
        sick: "10: there is no power law to be found",
        ..FULL
    },
    MetricDef {
        name: "alpha_weighted",
        help: "alpha_fit times the decimal logarithm of the largest eigenvalue",
        formula: "alpha_fit log10(s_1^2)",
        source: "alpha-hat: Martin, Peng and Mahoney 2021",
        healthy: "compare with siblings of the same role; no range of its own",
        sick: "leaves its siblings",
        ..FULL
    },
    MetricDef {
        name: "smallest_singular_value",
        unit: Unit::Weight,
        help: "Smallest singular value",
        formula: "s_k, 0 where it is below s_1 max(m, n) 2^-52",
        source: "Edelman 1988 on its size in square random matrices",
        healthy: "about rms (sqrt(long) - sqrt(short)); near 0 for square matrices",
        sick: "0 where it was not: rows became dependent",
        ..FULL
    },
    MetricDef {
        name: "condition_to_median",
        help: "Largest over median singular value: a condition number that is stable for square matrices too",
        formula: "s_1 / s_(k/2)",
        source: "in place of s_1 / s_k, whose null for a square matrix has no mean (Edelman 1988)",
        healthy: "1.3 (1:16) to 2.5 (square) at initialisation, rising slowly",
        sick: "fast growth: one direction leaves the others",
        ..FULL
    },
    MetricDef {
        name: "mp_edge",
        unit: Unit::Weight,
        help: "Upper edge of the noise part of the spectrum, as a singular value",
        formula: "sigma (sqrt(m) + sqrt(n)), sigma^2 = median(l) / (max(m, n) median of the Marchenko-Pastur law)",
        healthy: "moves slowly; equal to spectral_norm at initialisation",
        sick: "rises while spikes stay: noise is added to all directions (learning rate too high)",
        ..BULK
    },
    MetricDef {
        name: "mp_sigma",
        unit: Unit::Weight,
        help: "Standard deviation of the noise that the bulk of the spectrum looks like",
        formula: "sqrt(median(l) / (max(m, n) median of the Marchenko-Pastur law))",
        healthy: "std at initialisation; below std once a layer has learnt",
        sick: "rises towards std: what was learnt drowns",
        ..BULK
    },
    MetricDef {
        name: "mp_spikes",
        unit: Unit::Count,
        help: "Eigenvalues beyond the noise edge: directions that training has made",
        formula: "count of l_i > 1.05 edge^2",
        healthy: "0 at initialisation, growing, never returning to 0 (random matrices of the tests; pretrained MiniLM)",
        sick: "back to 0 together with mp_bulk_ks_statistic near 0: the layer was initialised again",
        ..BULK
    },
    MetricDef {
        name: "mp_bulk_ks_statistic",
        unit: Unit::Ratio,
        help: "Distance of the eigenvalues within the noise edge to the Marchenko-Pastur law",
        formula: "sup |F_n - F| over eigenvalues up to 1.05 edge^2",
        healthy: "below 0.02 at initialisation, growing with training (random matrices of the tests)",
        sick: "back near 0: initialised again",
        ..BULK
    },
    MetricDef {
        name: "pca_first_component_ratio",
        unit: Unit::Ratio,
        help: "Share of the variance in the first principal component",
        formula: "c_1 / sum c, c eigenvalues of the correlation matrix of the columns",
        healthy: "a few times the null; embeddings have more",
        sick: "rising fast: rows fall into a cone",
        ..COMPONENT
    },
    MetricDef {
        name: "pca_first_component_ratio_excess_over_null",
        help: "pca_first_component_ratio minus that of a random matrix of the same shape",
        formula: "pca_first_component_ratio - (sqrt(m) + sqrt(n))^2 / (m n)",
        healthy: "0 at initialisation, above 0 after",
        sick: "back to 0: initialised again; rising fast: rows fall into a cone",
        ..COMPONENT
    },
    MetricDef {
        name: "pca_components_90",
        unit: Unit::Count,
        help: "Principal components that hold 90 % of the variance",
        formula: "least q with c_1 + ... + c_q >= 0.9 sum c",
        healthy: "a little below the null, settling after the first tenth of a run",
        sick: "falls to less than half of its siblings: rank collapse",
        ..COMPONENT
    },
    MetricDef {
        name: "pca_components_90_excess_over_null",
        help: "pca_components_90 minus that of a random matrix of the same shape",
        formula: "pca_components_90 minus the count for the Marchenko-Pastur law's quantiles",
        healthy: "0 at initialisation, below 0 after",
        sick: "back to 0: initialised again; falling while siblings stay: rank collapse",
        ..COMPONENT
    },
];
