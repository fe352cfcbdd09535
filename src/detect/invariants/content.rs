//! Contents that are equal where they must differ, or differ where they must be equal.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::entry::{Entry, Parameters, Proof, Rule, Sign, evidence};
use crate::detect::view::{View, elements, is_matrix, subject, value};
use crate::terms::{Severity, Subject, TensorReading};

/// Fewer elements than this can be all zero, or equal another tensor, by design.
const ELEMENTS_MIN: u64 = 8;

/// Every element of a tensor became zero.
pub static ALL_ZERO_TENSOR: Rule = Rule {
    entry: Entry {
        id: "all_zero_tensor",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "every element of a tensor is zero, and was not before",
        what: "`zero_elements` equals the number of elements, and an earlier checkpoint had the tensor \
               non-zero. Biases and adapters that begin at zero are no fault.",
        cause: "A mask or pruning step that hit the whole tensor, fp16 underflow, a buffer saved before it was \
                filled.",
        remedy: "Do not resume from this checkpoint; look for code that writes to this tensor outside the \
                 optimizer.",
        evidence: "zero_elements",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: all_zero,
};

/// Tensors that the configuration ties together are not equal.
pub static TIED_WEIGHTS_DIFFER: Rule = Rule {
    entry: Entry {
        id: "tied_weights_differ",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "two tensors that the configuration ties together differ",
        what: "Both are in the file and their contents differ. Critical when they were equal in an earlier \
               checkpoint, a warning when they never were.",
        cause: "The tie was lost on a resume or by wrapping the model, and the two are now trained apart; a \
                loader will keep only one of them.",
        remedy: "Tie them again before going on, or set tie_word_embeddings to false if they are meant to differ.",
        evidence: "content hashes of both",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: tied_differ,
};

/// A layer's matrices equal another layer's.
pub static DUPLICATE_LAYER: Rule = Rule {
    entry: Entry {
        id: "duplicate_layer",
        severity: Severity::Critical,
        proof: Proof::Invariant,
        summary: "matrices of two layers are bit for bit equal, and were not before",
        what: "Two matrices of the same role in different layers (or experts) have the same content and are not \
               constant, although they differed in an earlier checkpoint. Layers shared by design are equal \
               from the first checkpoint on and no fault.",
        cause: "A loop variable captured wrongly in the code that builds the state dict, a shard saved twice \
                under two names.",
        remedy: "Do not resume from this checkpoint: one layer's weights are lost in it. Check the saving code.",
        evidence: "content hashes",
        parameters: &[],
        enabled: true,
        since: "0.1.0",
    },
    look: duplicate_layer,
};

fn all_zero(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    let zero = |tensor: &&TensorReading| {
        let count = elements(&tensor.facts);
        count >= ELEMENTS_MIN && value(tensor, "zero_elements") == Some(count as f64) && {
            let past = view.past(tensor, "zero_elements");
            past.iter().any(|&zeros| zeros < count as f32)
        }
    };
    let hit: Vec<_> = view.reading.tensors.iter().filter(zero).collect();
    let Some(first) = hit.first() else { return Vec::new() };
    let summary = match hit.len() {
        1 => format!("all elements of {} are zero", first.facts.name),
        count => format!("{count} tensors are all zero, {} among them", first.facts.name),
    };
    let mut sign = Sign::sure(ALL_ZERO_TENSOR.entry.severity, summary);
    sign.tensors = hit.iter().map(|tensor| tensor.facts.name.to_string()).collect();
    sign.evidence = hit
        .iter()
        .map(|tensor| {
            let zeros = value(tensor, "zero_elements");
            evidence(subject(tensor), "zero_elements", zeros, "fewer than all, as in earlier checkpoints")
        })
        .collect();
    vec![sign]
}

fn tied_differ(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    let hash = |name: &str| view.tensor(name).map(|tensor| tensor.facts.content_hash);
    let was_equal = |(a, b): &(String, String)| {
        view.history.points().iter().any(|point| {
            let find = |name: &str| point.tensors.iter().find(|facts| &*facts.name == name);
            find(a).zip(find(b)).is_some_and(|(a, b)| a.content_hash == b.content_hash)
        })
    };
    let apart: Vec<_> =
        view.reading.tied.iter().filter(|(a, b)| hash(a).zip(hash(b)).is_some_and(|(a, b)| a != b)).collect();
    let Some(first) = apart.first() else { return Vec::new() };
    let severity = if apart.iter().any(|pair| was_equal(pair)) {
        TIED_WEIGHTS_DIFFER.entry.severity
    } else {
        Severity::Warning
    };
    let mut sign = Sign::sure(severity, format!("{} and {} are tied and differ", first.0, first.1));
    sign.tensors = apart.iter().flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    sign.evidence =
        vec![evidence(Subject::Model, "content_hash", None, format!("{} equals {}", first.0, first.1))];
    vec![sign]
}

fn duplicate_layer(view: &View<'_>, _: &Parameters<'_>) -> Vec<Sign> {
    let mut by_content: BTreeMap<(u64, &[u64]), Vec<&TensorReading>> = BTreeMap::new();
    for tensor in &view.reading.tensors {
        let facts = &tensor.facts;
        if is_matrix(facts) && value(tensor, "std").is_some_and(|std| std > 0.0) {
            by_content.entry((facts.content_hash, &facts.shape)).or_default().push(tensor);
        }
    }
    let place = |tensor: &TensorReading| (tensor.facts.meaning.role, tensor.facts.meaning.layer);
    let mut pairs: Vec<_> = by_content
        .into_values()
        .filter(|group| group.len() > 1 && group[0].facts.meaning.layer.is_some())
        .filter(|group| group[1..].iter().all(|tensor| place(tensor).0 == place(group[0]).0))
        .filter(|group| were_apart(view, group))
        .collect();
    if pairs.is_empty() {
        return Vec::new();
    }
    // The copy is the one that jumped; the original went on as before.
    let moved = |tensor: &TensorReading| value(tensor, "cosine_to_previous").unwrap_or(1.0);
    for group in &mut pairs {
        group.sort_by(|a, b| moved(a).total_cmp(&moved(b)).then(a.facts.name.cmp(&b.facts.name)));
    }
    pairs.sort_by(|a, b| a[0].facts.name.cmp(&b[0].facts.name));
    let layers: BTreeSet<_> = pairs.iter().flatten().filter_map(|tensor| place(tensor).1).collect();
    let layers: Vec<_> = layers.iter().map(u32::to_string).collect();
    let summary = format!(
        "{} matrices of layers {} are equal bit for bit, {} among them",
        pairs.iter().map(Vec::len).sum::<usize>(),
        layers.join(" and "),
        pairs[0][0].facts.name
    );
    let mut sign = Sign::sure(DUPLICATE_LAYER.entry.severity, summary);
    sign.tensors = pairs.iter().flatten().map(|tensor| tensor.facts.name.to_string()).collect();
    sign.evidence = pairs
        .iter()
        .map(|group| {
            let twin = &group[1].facts.name;
            evidence(subject(group[0]), "content_hash", None, format!("other content than {twin}"))
        })
        .collect();
    vec![sign]
}

/// Did the group's contents differ in any earlier checkpoint?
fn were_apart(view: &View<'_>, group: &[&TensorReading]) -> bool {
    view.history.points().iter().any(|point| {
        let hashes: BTreeSet<u64> = point
            .tensors
            .iter()
            .filter(|facts| group.iter().any(|tensor| tensor.facts.name == facts.name))
            .map(|facts| facts.content_hash)
            .collect();
        hashes.len() > 1
    })
}
