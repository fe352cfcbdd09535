//! Composer: `ep0-ba100-rank0.pt`, one file a rank; then the link `latest-rank0.pt` is switched to it.

use std::collections::BTreeMap;

use super::naming::number_after;
use super::{Claim, Draft, Found, Layout, Peek};
use crate::checkpoint::candidate::Written;
use crate::checkpoint::disk::Listing;
use crate::terms::StepSource;

/// `ep{E}-ba{B}-rank{R}.pt` files.
pub(super) struct Composer;

const LATEST: &str = "latest-rank0.pt";

impl Layout for Composer {
    fn name(&self) -> &'static str {
        "composer"
    }
    fn on_disk(&self) -> &'static str {
        "`ep{E}-ba{B}-rank{R}.pt` of every rank, and the link `latest-rank{R}.pt`"
    }
    fn complete_when(&self) -> &'static str {
        "`latest-rank0.pt` points at it or at a later one"
    }

    fn claim(&self, directory: &Listing, _peek: Peek<'_>) -> Vec<Claim> {
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
        claims.collect()
    }

    fn examine(&self, found: &Found<'_>) -> Draft {
        let batch = taken_apart(&found.claim.entry).map_or(0, |(_, batch, _)| batch);
        let target = found.directory.entry(LATEST).and_then(|entry| entry.link.as_ref());
        let latest =
            target.and_then(|target| taken_apart(target.file_name()?.to_str()?)).map(|(_, batch, _)| batch);
        let written = match latest {
            Some(latest) if latest >= batch => Written::Complete,
            Some(latest) => Written::NotYet(format!("`{LATEST}` still points at batch {latest}")),
            None => Written::Unsure(format!("`{LATEST}` points at no checkpoint")),
        };
        let weights = found.claim.members.iter().map(Into::into).collect();
        Draft { step: Some((batch, StepSource::Name)), weights, written, problems: Vec::new() }
    }
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
