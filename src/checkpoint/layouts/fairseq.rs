//! fairseq: `checkpoint_EPOCH_UPDATES.pt`, `checkpointEPOCH.pt`, written under another name and renamed.
//! `checkpoint_last.pt` and `checkpoint_best.pt` are copies and count only where there is nothing else.

use std::collections::BTreeMap;

use super::naming::number_after;
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::terms::StepSource;

/// `checkpoint*.pt` files.
pub(super) struct Fairseq;

impl Layout for Fairseq {
    fn name(&self) -> &'static str {
        "fairseq"
    }
    fn on_disk(&self) -> &'static str {
        "`checkpoint_EPOCH_UPDATES.pt`, `checkpointEPOCH.pt`, with `-shardN` for sharded ones"
    }
    fn complete_when(&self) -> &'static str {
        "the file is there (it is renamed into place) and its archive closes"
    }

    fn claim(&self, directory: &Listing, _peek: Peek<'_>) -> Vec<Claim> {
        let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for name in directory.files() {
            let Some(stem) = name.strip_suffix(".pt") else { continue };
            let stem = stem.split("-shard").next().unwrap_or(stem);
            if step(stem).is_some() || stem == "checkpoint_last" {
                groups.entry(stem).or_default().push(name.to_string());
            }
        }
        if groups.keys().any(|stem| step(stem).is_some()) {
            groups.remove("checkpoint_last");
        }
        groups.into_values().map(Claim::files).collect()
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let stem = found.claim.entry.trim_end_matches(".pt");
        let stem = stem.split("-shard").next().unwrap_or(stem);
        // Where both kinds of names are used, an epoch's number is not on the scale of updates: such a
        // checkpoint's step is learnt from inside.
        let counts_updates = found
            .directory
            .files()
            .any(|name| matches!(step(name.trim_end_matches(".pt")), Some(Counted::Updates(_))));
        let step = match step(stem) {
            Some(Counted::Updates(updates)) => Some(updates),
            Some(Counted::Epochs(epoch)) if !counts_updates => Some(epoch),
            _ => None,
        };
        Draft {
            step: step.map(|step| (step, StepSource::Name)),
            weights: found.claim.members.iter().map(Into::into).collect(),
            written: Written::Complete,
            problems: Vec::new(),
        }
    }
}

/// What the number in a name counts.
enum Counted {
    Updates(u64),
    Epochs(u64),
}

fn step(stem: &str) -> Option<Counted> {
    if let Some(epoch) = number_after(stem, "checkpoint") {
        return Some(Counted::Epochs(epoch));
    }
    let (epoch, updates) = stem.strip_prefix("checkpoint_")?.split_once('_')?;
    number_after(epoch, "")?;
    number_after(updates, "").map(Counted::Updates)
}
