//! Composer: `ep0-ba100-rank0.pt`, one file a rank, or the folder `ep0-ba100/` where the model is sharded; then the link
//! `latest-rank0.pt` is switched to it.

use std::collections::BTreeMap;

use super::naming::number_after;
use super::torch_dcp::{is_part, parts};
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::terms::StepSource;

/// `ep{E}-ba{B}-rank{R}.pt` files and `ep{E}-ba{B}/` folders.
pub(super) struct Composer;

const LATEST: &str = "latest-rank0.pt";

impl Layout for Composer {
    fn name(&self) -> &'static str {
        "composer"
    }
    fn on_disk(&self) -> &'static str {
        "`ep{E}-ba{B}-rank{R}.pt` of every rank, or `ep{E}-ba{B}/` with `*.distcp` and `.metadata`, and the link `latest-rank{R}.pt`"
    }
    fn complete_when(&self) -> &'static str {
        "`latest-rank0.pt` points at it or at a later one"
    }

    fn claim(&self, directory: &Listing, peek: Peek<'_>) -> Vec<Claim> {
        let mut batches: BTreeMap<(u64, u64), Vec<(u64, String)>> = BTreeMap::new();
        for name in directory.files() {
            if let Some((epoch, batch, rank)) = taken_apart(name) {
                batches.entry((batch, epoch)).or_default().push((rank, name.to_string()));
            }
        }
        let claims = batches.into_values().map(|mut ranks| {
            ranks.sort();
            Claim {
                witnesses: vec![LATEST.into()],
                ..Claim::files(ranks.into_iter().map(|(_, name)| name).collect())
            }
        });
        let is_sharded = |name: &&str| {
            folder_taken_apart(name).is_some()
                && peek(name).is_some_and(|listing| listing.files().any(is_part))
        };
        let sharded = directory.directories().filter(is_sharded);
        claims
            .chain(sharded.map(|name| Claim { witnesses: vec![LATEST.into()], ..Claim::directory(name) }))
            .collect()
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let batch = batch_of(&found.claim.entry).unwrap_or_default();
        let target = found.directory.entry(LATEST).and_then(|entry| entry.link.as_ref());
        let latest = target.and_then(|target| batch_of(target.file_name()?.to_str()?));
        let written = match latest {
            Some(latest) if latest >= batch => Written::Complete,
            Some(latest) => Written::NotYet(format!("`{LATEST}` still points at batch {latest}")),
            None => Written::Unsure(format!("`{LATEST}` points at no checkpoint")),
        };
        let (weights, written) = match (found.claim.is_directory(), written) {
            (false, written) => (found.claim.members.iter().map(Into::into).collect(), written),
            // A folder has its own commit file, which tells where the link was not copied.
            (true, written) => match (parts(found, ""), written) {
                ((weights, Written::Complete), Written::NotYet(why)) => (weights, Written::NotYet(why)),
                (parts, _) => parts,
            },
        };
        Draft { step: Some((batch, StepSource::Name)), weights, written, problems: Vec::new() }
    }
}

/// The batch in the name of a file or of a folder.
fn batch_of(name: &str) -> Option<u64> {
    taken_apart(name).map(|(_, batch, _)| batch).or_else(|| folder_taken_apart(name).map(|(_, batch)| batch))
}

/// Epoch and batch in a folder's name.
fn folder_taken_apart(name: &str) -> Option<(u64, u64)> {
    let (epoch, batch) = name.split_once('-')?;
    Some((number_after(epoch, "ep")?, number_after(batch, "ba")?))
}

/// Epoch, batch and rank in a name.
fn taken_apart(name: &str) -> Option<(u64, u64, u64)> {
    let mut parts = name.strip_suffix(".pt")?.split('-');
    let numbers = (
        number_after(parts.next()?, "ep")?,
        number_after(parts.next()?, "ba")?,
        number_after(parts.next()?, "rank")?,
    );
    parts.next().is_none().then_some(numbers)
}
