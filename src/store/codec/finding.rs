//! Findings, whole.

use super::{Malformed, Reader, Writer};
use crate::terms::{Attempt, Evidence, Finding, FindingId, RunId, Severity, Step, Subject};

const FORM: u8 = 1;

/// Writes a finding.
pub fn write_finding(finding: &Finding) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(FORM);
    writer.text(&finding.id.0);
    writer.text(finding.run.as_str());
    writer.varint(u64::from(finding.attempt.0));
    writer.varint(finding.step.0);
    writer.text(finding.severity.name());
    writer.text(&finding.detector);
    writer.list(&finding.tensors, |writer, name| writer.text(name));
    writer.text(&finding.summary);
    writer.text(&finding.cause);
    writer.text(&finding.remedy);
    writer.list(&finding.evidence, write_evidence);
    writer.list(&finding.dissent, |writer, text| writer.text(text));
    writer.f64(finding.confidence);
    writer.f64(finding.opened_at);
    writer.optional(finding.resolved_step, |writer, step| writer.varint(step.0));
    writer.optional(finding.last_good_step, |writer, step| writer.varint(step.0));
    writer.0
}

/// Reads a finding.
pub fn read_finding(bytes: &[u8]) -> Result<Finding, Malformed> {
    let mut reader = Reader(bytes);
    reader.form(FORM)?;
    let finding = Finding {
        id: FindingId(reader.string()?),
        run: RunId::new(reader.text()?),
        attempt: Attempt(reader.u32()?),
        step: Step(reader.varint()?),
        severity: Severity::from_name(reader.text()?).ok_or(Malformed("unknown severity"))?,
        detector: reader.string()?,
        tensors: reader.list(Reader::string)?,
        summary: reader.string()?,
        cause: reader.string()?,
        remedy: reader.string()?,
        evidence: reader.list(read_evidence)?,
        dissent: reader.list(Reader::string)?,
        confidence: reader.f64()?,
        opened_at: reader.f64()?,
        resolved_step: reader.optional(Reader::varint)?.map(Step),
        last_good_step: reader.optional(Reader::varint)?.map(Step),
    };
    reader.end()?;
    Ok(finding)
}

fn write_evidence(writer: &mut Writer, evidence: &Evidence) {
    write_subject(writer, &evidence.subject);
    writer.text(&evidence.metric);
    writer.optional(evidence.value, Writer::f64);
    writer.text(&evidence.expected);
}

fn read_evidence(reader: &mut Reader<'_>) -> Result<Evidence, Malformed> {
    Ok(Evidence {
        subject: read_subject(reader)?,
        metric: reader.string()?,
        value: reader.optional(Reader::f64)?,
        expected: reader.string()?,
    })
}

/// Writes what a number is about.
pub fn write_subject(writer: &mut Writer, subject: &Subject) {
    match subject {
        Subject::Tensor(name) => {
            writer.u8(0);
            writer.text(name);
        }
        Subject::Head { layer, head } => {
            writer.u8(1);
            writer.varint(u64::from(*layer));
            writer.varint(u64::from(*head));
        }
        Subject::Layer(layer) => {
            writer.u8(2);
            writer.varint(u64::from(*layer));
        }
        Subject::Model => writer.u8(3),
    }
}

/// Reads what a number is about.
pub fn read_subject(reader: &mut Reader<'_>) -> Result<Subject, Malformed> {
    Ok(match reader.u8()? {
        0 => Subject::Tensor(reader.text()?.into()),
        1 => Subject::Head { layer: reader.u32()?, head: reader.u32()? },
        2 => Subject::Layer(reader.u32()?),
        3 => Subject::Model,
        _ => return Err(Malformed("unknown subject")),
    })
}
