//! Every key at its default, with what it does: what `check-config --defaults` prints and
//! `config/reference.yaml` holds.

use std::fmt::Write;

use crate::detect::DETECTORS;

const HEAD: &str = include_str!("reference_head.yaml");

/// The reference document. The detectors' part is made from their entries.
pub fn reference_yaml() -> String {
    let mut text = String::from(HEAD);
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
