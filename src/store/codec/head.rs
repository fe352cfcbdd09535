//! A reading's own facts: all of it that is neither a sample, nor the same as in the reading before.

use std::collections::BTreeMap;

use super::{Malformed, Reader, Writer, intern};
use crate::terms::{
    CheckpointFacts, FileStamp, MetricName, Problem, ProblemKind, Reading, SkippedTensor, Step, StepSource,
};

const FORM: u8 = 1;

/// Stretch of a tape that is a reading's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogRange {
    /// Which tape of the run.
    pub tape: u32,
    /// First line.
    pub from: u64,
    /// One past the last line; equal to `from` where the trainer left no log.
    pub to: u64,
}

/// Everything of a reading that is stored once a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// As it lay on disk.
    pub checkpoint: CheckpointFacts,
    /// Model family.
    pub family: String,
    /// `global_step`, `max_steps`, `epoch` of the trainer.
    pub trainer: (Option<u64>, Option<u64>, Option<f64>),
    /// Its log.
    pub log: LogRange,
    /// Hash of the roster.
    pub roster: u64,
    /// Hash of the absences.
    pub absences: u64,
    /// Content hash of each tensor.
    pub content_hashes: Vec<u64>,
    /// Metrics that have a column, by name.
    pub metrics: Vec<MetricName>,
    /// Ordered lists of the subjects: place among the subjects, metric, values.
    pub lists: Vec<(u32, MetricName, Vec<f64>)>,
    /// Tensors that were not weighed.
    pub skipped: Vec<SkippedTensor>,
    /// Tied pairs.
    pub tied: Vec<(String, String)>,
    /// Remarks.
    pub remarks: Vec<String>,
    /// Faults.
    pub problems: Vec<Problem>,
    /// Step that change metrics compare with.
    pub previous: Option<Step>,
    /// True when a block of sketches was written with it.
    pub sketches: bool,
    /// True when a block of quantiles was written with it.
    pub quantiles: bool,
    /// True when a block of spectra was written with it.
    pub spectra: bool,
}

impl Head {
    /// That of a reading whose log, roster and absences were placed.
    pub fn of(
        reading: &Reading,
        log: LogRange,
        roster: u64,
        absences: u64,
        metrics: Vec<MetricName>,
    ) -> Self {
        let trainer = &reading.trainer;
        let lists = |(place, subject): (usize, &crate::terms::SubjectReading)| {
            let lists = subject.lists.iter();
            lists.map(|(&metric, values)| (place as u32, metric, values.clone())).collect::<Vec<_>>()
        };
        Self {
            checkpoint: reading.checkpoint.clone(),
            family: reading.family.clone(),
            trainer: (trainer.global_step, trainer.max_steps, trainer.epoch),
            log,
            roster,
            absences,
            content_hashes: reading.tensors.iter().map(|tensor| tensor.facts.content_hash).collect(),
            metrics,
            lists: reading.subjects.iter().enumerate().flat_map(lists).collect(),
            skipped: reading.skipped.clone(),
            tied: reading.tied.clone(),
            remarks: reading.remarks.clone(),
            problems: reading.problems.clone(),
            previous: reading.previous,
            sketches: reading.tensors.iter().any(|tensor| tensor.sketch.is_some()),
            quantiles: reading.tensors.iter().any(|tensor| !tensor.quantiles.is_empty()),
            spectra: reading.tensors.iter().any(|tensor| !tensor.spectrum.is_empty()),
        }
    }

    /// The lists of one subject.
    pub fn lists_of(&self, place: usize) -> BTreeMap<MetricName, Vec<f64>> {
        let of = self.lists.iter().filter(|(at, _, _)| *at as usize == place);
        of.map(|(_, metric, values)| (*metric, values.clone())).collect()
    }
}

/// Writes a head.
pub fn write_head(head: &Head) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(FORM);
    write_facts(&mut writer, &head.checkpoint);
    writer.text(&head.family);
    let (global_step, max_steps, epoch) = head.trainer;
    writer.optional(global_step, Writer::varint);
    writer.optional(max_steps, Writer::varint);
    writer.optional(epoch, Writer::f64);
    writer.varint(u64::from(head.log.tape));
    writer.varint(head.log.from);
    writer.varint(head.log.to);
    writer.u64(head.roster);
    writer.u64(head.absences);
    writer.list(&head.content_hashes, |writer, &hash| writer.u64(hash));
    writer.list(&head.metrics, |writer, metric| writer.text(metric));
    writer.list(&head.lists, |writer, (place, metric, values)| {
        writer.varint(u64::from(*place));
        writer.text(metric);
        writer.list(values, |writer, &value| writer.f64(value));
    });
    writer.list(&head.skipped, |writer, skipped| {
        writer.text(&skipped.name);
        writer.varint(skipped.elements);
        writer.text(&skipped.reason);
    });
    writer.list(&head.tied, |writer, (left, right)| {
        writer.text(left);
        writer.text(right);
    });
    writer.list(&head.remarks, |writer, remark| writer.text(remark));
    writer.list(&head.problems, write_problem);
    writer.optional(head.previous, |writer, step| writer.varint(step.0));
    writer.u8(u8::from(head.sketches) | u8::from(head.quantiles) << 1 | u8::from(head.spectra) << 2);
    writer.0
}

/// Reads a head.
pub fn read_head(bytes: &[u8]) -> Result<Head, Malformed> {
    let mut reader = Reader(bytes);
    let reader = &mut reader;
    reader.form(FORM)?;
    let mut head = Head {
        checkpoint: read_checkpoint(reader)?,
        family: reader.string()?,
        trainer: (
            reader.optional(Reader::varint)?,
            reader.optional(Reader::varint)?,
            reader.optional(Reader::f64)?,
        ),
        log: LogRange { tape: reader.u32()?, from: reader.varint()?, to: reader.varint()? },
        roster: reader.u64()?,
        absences: reader.u64()?,
        content_hashes: reader.list(Reader::u64)?,
        metrics: reader.list(|reader| intern(reader.text()?))?,
        lists: reader
            .list(|reader| Ok((reader.u32()?, intern(reader.text()?)?, reader.list(Reader::f64)?)))?,
        skipped: reader.list(|reader| {
            Ok(SkippedTensor { name: reader.string()?, elements: reader.varint()?, reason: reader.string()? })
        })?,
        tied: reader.list(|reader| Ok((reader.string()?, reader.string()?)))?,
        remarks: reader.list(Reader::string)?,
        problems: reader.list(read_problem)?,
        previous: reader.optional(Reader::varint)?.map(Step),
        sketches: false,
        quantiles: false,
        spectra: false,
    };
    let blocks = reader.u8()?;
    (head.sketches, head.quantiles, head.spectra) = (blocks & 1 != 0, blocks & 2 != 0, blocks & 4 != 0);
    reader.end()?;
    Ok(head)
}

fn step_source_number(source: StepSource) -> u8 {
    match source {
        StepSource::Name => 0,
        StepSource::StateFile => 1,
        StepSource::Inside => 2,
        StepSource::Sequence => 3,
    }
}

fn write_facts(writer: &mut Writer, facts: &CheckpointFacts) {
    writer.path(&facts.path);
    writer.text(&facts.layout);
    writer.u8(step_source_number(facts.step_source));
    writer.f64(facts.timestamp_seconds);
    writer.list(&facts.files, |writer, file| {
        writer.path(&file.path);
        writer.varint(file.bytes);
        writer.signed(file.modified_ns);
    });
}

fn read_checkpoint(reader: &mut Reader<'_>) -> Result<CheckpointFacts, Malformed> {
    Ok(CheckpointFacts {
        path: reader.path()?,
        layout: reader.string()?,
        step_source: match reader.u8()? {
            0 => StepSource::Name,
            1 => StepSource::StateFile,
            2 => StepSource::Inside,
            3 => StepSource::Sequence,
            _ => return Err(Malformed("unknown source of the step")),
        },
        timestamp_seconds: reader.f64()?,
        files: reader.list(|reader| {
            Ok(FileStamp { path: reader.path()?, bytes: reader.varint()?, modified_ns: reader.signed()? })
        })?,
    })
}

const PROBLEM_KINDS: [ProblemKind; 7] = [
    ProblemKind::Unreadable,
    ProblemKind::Truncated,
    ProblemKind::Malformed,
    ProblemKind::Missing,
    ProblemKind::Hostile,
    ProblemKind::Rotated,
    ProblemKind::Bug,
];

fn write_problem(writer: &mut Writer, problem: &Problem) {
    let kind = PROBLEM_KINDS.iter().position(|kind| *kind == problem.kind).unwrap_or(PROBLEM_KINDS.len());
    writer.u8(kind as u8);
    writer.path(&problem.path);
    writer.optional(problem.tensor.as_deref(), Writer::text);
    writer.optional(problem.offset, Writer::varint);
    writer.text(&problem.detail);
    writer.text(&problem.remedy);
}

fn read_problem(reader: &mut Reader<'_>) -> Result<Problem, Malformed> {
    Ok(Problem {
        kind: *PROBLEM_KINDS.get(reader.u8()? as usize).ok_or(Malformed("unknown kind of problem"))?,
        path: reader.path()?,
        tensor: reader.optional(Reader::string)?,
        offset: reader.optional(Reader::varint)?,
        detail: reader.string()?,
        remedy: reader.string()?,
    })
}
