//! Every key at its default, with what it does: what `check-config --defaults` prints and
//! `config/reference.yaml` holds.

use std::fmt::Write;

use crate::detect::DETECTORS;
use crate::store::{KEEP_KINDS, Retention, Settings};

const HEAD: &str = include_str!("reference_head.yaml");

/// The reference document. The parts of detectors and of retention are made from their entries.
pub fn reference_yaml() -> String {
    let mut text = HEAD.replace("@retention@\n", &retention());
    for detector in DETECTORS {
        let entry = detector.entry();
        let _ = writeln!(text, "    # {}", entry.summary);
        let _ = writeln!(text, "    {}:", entry.id);
        let _ = writeln!(text, "      enabled: {}", entry.enabled);
        for parameter in entry.parameters {
            let _ = writeln!(text, "      # {} ({} to {})", parameter.doc, parameter.min, parameter.max);
            let _ = writeln!(text, "      {}: {}", parameter.name, parameter.default);
        }
    }
    text
}

fn retention() -> String {
    let mut retention = Retention::default();
    let number = |value: u64| if value == u64::MAX { String::from("null") } else { value.to_string() };
    let interval = Settings::default().tend_interval.as_secs_f64();
    let mut text = String::from(
        "  # What of old checkpoints is kept. What a finding rests on keeps everything, and so do facts and findings.\n",
    );
    text.push_str("  retention:\n");
    text.push_str("    # Pause between two looks at what may go; beside these, every 64 commits.\n");
    let _ = writeln!(text, "    interval_seconds: {interval:.1}");
    text.push_str("    # Most room for all sketches and quantiles together; the oldest are thinned until they fit. null: no limit.\n");
    let bulk = retention.bulk_bytes_max.map_or(String::from("null"), |bytes| (bytes >> 20).to_string());
    let _ = writeln!(text, "    bulk_mebibytes_max: {bulk}");
    text.push_str("    # Of each kind: the newest so many checkpoints of an attempt keep it; of the older ones at most so many,\n");
    text.push_str("    # evenly by step; none that is so many days older than the newest. null: no limit.\n");
    for kind in KEEP_KINDS {
        let keep = *(kind.slot)(&mut retention);
        let days = keep.days.map_or(String::from("null"), |days| days.to_string());
        let _ = writeln!(text, "    # {}", kind.doc);
        let (newest, older) = (number(keep.newest), number(keep.older));
        let _ = writeln!(text, "    {}: {{newest: {newest}, older: {older}, days: {days}}}", kind.name);
    }
    text
}
