//! What people said.

use super::{Malformed, Reader, Writer};
use crate::terms::{Acknowledgement, Announcement, FindingId, Planned, RunId, Severity, Silence};

const FORM: u8 = 1;

/// Writes an acknowledgement.
pub fn write_acknowledgement(known: &Acknowledgement) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(FORM);
    writer.text(known.run.as_str());
    writer.text(&known.finding.0);
    writer.text(known.severity.name());
    writer.f64(known.at_seconds);
    writer.text(&known.why);
    writer.u8(u8::from(known.withdrawn));
    writer.0
}

/// Reads an acknowledgement.
pub fn read_acknowledgement(bytes: &[u8]) -> Result<Acknowledgement, Malformed> {
    let mut reader = Reader(bytes);
    reader.form(FORM)?;
    let known = Acknowledgement {
        run: RunId::new(reader.text()?),
        finding: FindingId(reader.string()?),
        severity: Severity::from_name(reader.text()?).ok_or(Malformed("unknown severity"))?,
        at_seconds: reader.f64()?,
        why: reader.string()?,
        withdrawn: reader.flag()?,
    };
    reader.end()?;
    Ok(known)
}

/// Writes a silence.
pub fn write_silence(silence: &Silence) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(FORM);
    writer.text(&silence.id);
    writer.text(&silence.run);
    writer.optional(silence.detector.as_deref(), Writer::text);
    writer.optional(silence.tensor.as_deref(), Writer::text);
    writer.f64(silence.at_seconds);
    writer.f64(silence.until_seconds);
    writer.text(&silence.why);
    writer.0
}

/// Reads a silence.
pub fn read_silence(bytes: &[u8]) -> Result<Silence, Malformed> {
    let mut reader = Reader(bytes);
    reader.form(FORM)?;
    let silence = Silence {
        id: reader.string()?,
        run: reader.string()?,
        detector: reader.optional(Reader::string)?,
        tensor: reader.optional(Reader::string)?,
        at_seconds: reader.f64()?,
        until_seconds: reader.f64()?,
        why: reader.string()?,
    };
    reader.end()?;
    Ok(silence)
}

/// Writes an announcement.
pub fn write_announcement(announcement: &Announcement) -> Vec<u8> {
    let planned = &announcement.planned;
    let mut writer = Writer::default();
    writer.u8(FORM);
    writer.text(&announcement.id);
    writer.optional(planned.run.as_deref(), Writer::text);
    writer.optional(planned.detector.as_deref(), Writer::text);
    for globs in [&planned.tensors, &planned.frozen] {
        writer.list(globs, |writer, glob| writer.text(glob));
    }
    writer.optional(planned.from_step, Writer::u64);
    writer.optional(planned.until_step, Writer::u64);
    writer.text(&planned.why);
    writer.f64(announcement.at_seconds);
    writer.u8(u8::from(announcement.withdrawn));
    writer.0
}

/// Reads an announcement.
pub fn read_announcement(bytes: &[u8]) -> Result<Announcement, Malformed> {
    let mut reader = Reader(bytes);
    reader.form(FORM)?;
    let id = reader.string()?;
    let (run, detector) = (reader.optional(Reader::string)?, reader.optional(Reader::string)?);
    let (tensors, frozen) = (reader.list(Reader::string)?, reader.list(Reader::string)?);
    let (from_step, until_step) = (reader.optional(Reader::u64)?, reader.optional(Reader::u64)?);
    let planned = Planned { run, detector, tensors, frozen, from_step, until_step, why: reader.string()? };
    let announcement = Announcement { id, planned, at_seconds: reader.f64()?, withdrawn: reader.flag()? };
    reader.end()?;
    Ok(announcement)
}
