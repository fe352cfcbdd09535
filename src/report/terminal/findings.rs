//! Findings as lines.

use super::paint::{Terminal, plain};
use crate::report::Beside;
use crate::report::json::finding_json;
use crate::report::number::time;
use crate::terms::{Finding, Quiet};

/// One JSON object a line.
pub fn findings_jsonl(findings: &[Finding], beside: &Beside) -> String {
    let line = |finding| format!("{}\n", finding_json(finding, beside));
    findings.iter().map(line).collect()
}

/// What, where, why and what to do, one paragraph a finding.
pub fn findings_text(findings: &[Finding], beside: &Beside) -> String {
    if findings.is_empty() {
        return "no findings\n".to_owned();
    }
    let mut out = String::new();
    for finding in findings {
        out.push_str(&finding_line(finding));
        out.push('\n');
        let shown = finding.tensors.iter().take(5).map(|name| plain(name)).collect::<Vec<_>>().join(", ");
        let more = finding.tensors.len().saturating_sub(5);
        if !shown.is_empty() {
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            out.push_str(&format!("    where: {shown}{rest}\n"));
        }
        for evidence in finding.evidence.iter().take(3) {
            let value = evidence.value.map_or("–".to_owned(), crate::report::number::short);
            let subject = crate::report::history::subject_words(&evidence.subject);
            out.push_str(&format!(
                "    {} of {}: {value}, expected {}\n",
                evidence.metric,
                plain(&subject),
                plain(&evidence.expected)
            ));
        }
        out.push_str(&format!(
            "    usually: {}\n    do: {}\n",
            plain(&finding.cause),
            plain(&finding.remedy)
        ));
        if let Some(step) = finding.last_good_step {
            out.push_str(&format!("    last good: step {step}\n"));
        }
        if let Some(kind) = beside.kind(finding) {
            out.push_str(&format!("    kind of run: {}\n", kind.words()));
        }
        for line in quiet_lines(beside.quiet(finding)) {
            out.push_str(&format!("    {line}\n"));
        }
        out.push_str(&format!("    id: {}\n", finding.id));
    }
    out
}

/// Why a finding calls nobody, a line each.
fn quiet_lines(quiet: Quiet<'_>) -> impl Iterator<Item = String> {
    let silenced = quiet.silence.map(|silence| {
        format!(
            "silenced until {}: {} (silence {})",
            time(silence.until_seconds),
            plain(&silence.why),
            silence.id
        )
    });
    let known = quiet.acknowledgement.map(|known| {
        let why = if known.why.is_empty() { String::new() } else { format!(": {}", plain(&known.why)) };
        format!("acknowledged at {}{why}", time(known.at_seconds))
    });
    silenced.into_iter().chain(known)
}

/// One line: severity, run, step, detector, sentence, life.
pub fn finding_line(finding: &Finding) -> String {
    let life = finding.resolved_step.map_or(String::new(), |step| format!(" (resolved at step {step})"));
    format!(
        "{:<8} {} step {}: {}: {}{life}",
        finding.severity.name(),
        plain(finding.run.as_str()),
        finding.step,
        finding.detector,
        plain(&finding.summary)
    )
}

/// The same line with its severity in colour.
pub fn finding_line_in(finding: &Finding, terminal: &Terminal) -> String {
    let line = finding_line(finding);
    let (severity, rest) = line.split_at(finding.severity.name().len());
    format!("{}{rest}", terminal.severity(finding.severity, severity))
}
