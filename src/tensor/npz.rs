//! numpy's archives: a zip with one array an entry, stored or compressed.

use std::sync::Arc;

use super::archive::{Archive, Entry, MAGIC};
use super::found::elements;
use super::limits::{ARRAY_HEADER_BYTES_MAX, VIEWS_BYTES_FREE, VIEWS_RATIO_MAX};
use super::npy::{Checked, Fault, Header};
use super::torch::Part;
use super::{Format, Found, Input};
use crate::terms::{Problem, ProblemKind};

/// The format.
pub struct Npz;

const SAVE_AGAIN: &str = "save the arrays again; if they are still being written, wait for the writer";

impl Format for Npz {
    fn name(&self) -> &'static str {
        "npz"
    }

    fn summary(&self) -> &'static str {
        "`savez` and `savez_compressed`; what npy skips is skipped here, and compressed arrays by columns too"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["npz"]
    }

    fn sniff(&self, head: &[u8], _file: &Input) -> bool {
        // The first entry's name follows its local header.
        let length =
            head.get(26..28).map_or(0, |length| usize::from(u16::from_le_bytes([length[0], length[1]])));
        head.starts_with(MAGIC) && head.get(30..30 + length).is_some_and(|name| name.ends_with(b".npy"))
    }

    fn collect(&self, file: &Arc<Input>, found: &mut Found) {
        let archive = match Archive::open(file, 0, file.bytes()) {
            Ok(archive) => archive,
            Err(problem) => return found.problem(problem),
        };
        let mut claimed = 0;
        for (name, entry) in &archive.entries {
            let Some(name) = name.strip_suffix(".npy") else { continue };
            if let Err((elements, (kind, detail))) = collect(file, name, entry, &mut claimed, found) {
                let mut problem = file.problem(kind, detail, SAVE_AGAIN);
                problem.offset = Some(entry.offset);
                found.refuse(name, elements, problem);
            }
        }
        archive.problems.into_iter().for_each(|problem| found.problem(problem));
    }

    fn check_lengths(&self, file: &Arc<Input>) -> Option<Problem> {
        match Archive::open(file, 0, file.bytes()) {
            Ok(mut archive) => archive.problems.pop(),
            Err(problem) => Some(problem),
        }
    }
}

fn collect(
    file: &Arc<Input>,
    name: &str,
    entry: &Entry,
    claimed: &mut u64,
    found: &mut Found,
) -> Result<(), (u64, Fault)> {
    let mut head = vec![0; entry.bytes.min(ARRAY_HEADER_BYTES_MAX) as usize];
    entry
        .place(file, 0)
        .read(0, &mut head)
        .map_err(|error| (0, (ProblemKind::Malformed, error.to_string())))?;
    let header = Header::parse(&head).map_err(|error| (0, error))?;
    drop(head);
    let count = elements(&header.shape).unwrap_or(0);
    match header.check(entry.bytes).map_err(|error| (count, error))? {
        Checked::Skip(reason) => found.skip(name, count, reason),
        Checked::Array { dtype, bytes } => {
            *claimed += bytes;
            let allowed = VIEWS_BYTES_FREE.max(file.bytes().saturating_mul(VIEWS_RATIO_MAX));
            if *claimed > allowed {
                let detail =
                    format!("the arrays unfold to more than {allowed} bytes from a file of {}", file.bytes());
                return Err((count, (ProblemKind::Hostile, detail)));
            }
            let first = name.split(['/', '.']).next().unwrap_or(name);
            let beside = match Part::of_key(first) {
                part @ (Part::Optimizer | Part::Random) => part.reason(name),
                Part::Model | Part::Beside => None,
            };
            if let Some(reason) = beside {
                found.skip(name, count, reason);
            } else if header.is_by_columns() && !entry.stored {
                found.skip(name, count, "a compressed array by columns");
            } else {
                let place = header.by_columns(file, entry.offset + header.data, dtype);
                let place = place.unwrap_or_else(|| entry.place(file, header.data));
                found.add(file, name, dtype, header.shape, place);
            }
        }
    }
    Ok(())
}
