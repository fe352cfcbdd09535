//! What is the same from checkpoint to checkpoint: the list of tensors and subjects, and the metrics
//! that have no value, with the reason. Both are stored once under the hash of their bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::finding::{read_subject, write_subject};
use super::{Malformed, Reader, Writer, intern};
use crate::terms::{Category, Dtype, Meaning, MetricName, Reading, Reason, Role, Subject, TensorFacts};

const FORM: u8 = 1;

/// Tensors in file order, then heads, layers and the model: the places that columns refer to.
#[derive(Clone, Debug, PartialEq)]
pub struct Roster {
    /// Facts of the tensors; the content hash is not part of it and stands at 0.
    pub tensors: Vec<TensorFacts>,
    /// The other subjects.
    pub subjects: Vec<Subject>,
}

impl Roster {
    /// That of a reading.
    pub fn of(reading: &Reading) -> Self {
        Self {
            tensors: reading
                .tensors
                .iter()
                .map(|t| TensorFacts { content_hash: 0, ..t.facts.clone() })
                .collect(),
            subjects: reading.subjects.iter().map(|subject| subject.subject.clone()).collect(),
        }
    }

    /// Places.
    pub fn len(&self) -> usize {
        self.tensors.len() + self.subjects.len()
    }

    /// What stands at a place.
    pub fn subject(&self, place: u32) -> Option<Subject> {
        let place = place as usize;
        match self.tensors.get(place) {
            Some(facts) => Some(Subject::Tensor(facts.name.clone())),
            None => self.subjects.get(place - self.tensors.len()).cloned(),
        }
    }
}

/// Writes a roster.
pub fn write_roster(roster: &Roster) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(FORM);
    writer.list(&roster.tensors, |writer, facts| {
        writer.text(&facts.name);
        writer.text(facts.dtype.name());
        writer.list(&facts.shape, |writer, &size| writer.varint(size));
        let meaning = facts.meaning;
        writer.text(meaning.role.name());
        writer.text(meaning.category.name());
        writer.optional(meaning.layer, |writer, layer| writer.varint(u64::from(layer)));
        writer.u8(u8::from(meaning.guessed) | u8::from(meaning.inputs_first) << 1);
    });
    writer.list(&roster.subjects, write_subject);
    writer.0
}

/// Reads a roster.
pub fn read_roster(bytes: &[u8]) -> Result<Roster, Malformed> {
    let mut reader = Reader(bytes);
    reader.form(FORM)?;
    let tensors = reader.list(read_facts)?;
    let subjects = reader.list(read_subject)?;
    reader.end()?;
    Ok(Roster { tensors, subjects })
}

fn read_facts(reader: &mut Reader<'_>) -> Result<TensorFacts, Malformed> {
    let name: Arc<str> = reader.text()?.into();
    let dtype = Dtype::from_name(reader.text()?).ok_or(Malformed("unknown dtype"))?;
    let shape = reader.list(Reader::varint)?;
    let role = Role::from_name(reader.text()?).ok_or(Malformed("unknown role"))?;
    let category = Category::from_name(reader.text()?).ok_or(Malformed("unknown category"))?;
    let layer = reader.optional(Reader::u32)?;
    let flags = reader.u8()?;
    let meaning = Meaning { role, category, layer, guessed: flags & 1 == 1, inputs_first: flags & 2 == 2 };
    Ok(TensorFacts { name, dtype, shape, meaning, content_hash: 0 })
}

/// Metrics without a value: metric and reason, and the places that this is so for.
pub type Absences = BTreeMap<(MetricName, ReasonText), Vec<u32>>;

/// A reason in a form that has an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReasonText {
    tag: u8,
    number: u64,
    text: &'static str,
}

impl From<&Reason> for ReasonText {
    fn from(reason: &Reason) -> Self {
        let (tag, number, text) = match *reason {
            Reason::Constant => (0, 0, ""),
            Reason::TooFew { needs } => (1, needs, ""),
            Reason::NotFinite => (2, 0, ""),
            Reason::AllZero => (3, 0, ""),
            Reason::NotMatrix => (4, 0, ""),
            Reason::NoPrevious => (5, 0, ""),
            Reason::NotApplicable(why) => (6, 0, why),
            Reason::OverBudget => (7, 0, ""),
            Reason::Overflow => (8, 0, ""),
        };
        Self { tag, number, text }
    }
}

impl TryFrom<&ReasonText> for Reason {
    type Error = Malformed;

    fn try_from(reason: &ReasonText) -> Result<Self, Malformed> {
        Ok(match reason.tag {
            0 => Reason::Constant,
            1 => Reason::TooFew { needs: reason.number },
            2 => Reason::NotFinite,
            3 => Reason::AllZero,
            4 => Reason::NotMatrix,
            5 => Reason::NoPrevious,
            6 => Reason::NotApplicable(reason.text),
            7 => Reason::OverBudget,
            8 => Reason::Overflow,
            _ => return Err(Malformed("unknown reason")),
        })
    }
}

/// Writes the absences of a reading.
pub fn write_absences(absences: &Absences) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(FORM);
    writer.varint(absences.len() as u64);
    for ((metric, reason), places) in absences {
        writer.text(metric);
        writer.u8(reason.tag);
        writer.varint(reason.number);
        writer.text(reason.text);
        let mut end = 0;
        writer.list(places, |writer, &place| {
            writer.varint(u64::from(place - end));
            end = place;
        });
    }
    writer.0
}

/// Reads the absences of a reading.
pub fn read_absences(bytes: &[u8]) -> Result<Absences, Malformed> {
    let mut reader = Reader(bytes);
    reader.form(FORM)?;
    let entries = reader.list(|reader| {
        let metric = intern(reader.text()?)?;
        let reason =
            ReasonText { tag: reader.u8()?, number: reader.varint()?, text: intern(reader.text()?)? };
        let mut end = 0u32;
        let places = reader.list(|reader| {
            end = end.checked_add(reader.u32()?).ok_or(Malformed("place beyond the roster"))?;
            Ok(end)
        })?;
        Ok(((metric, reason), places))
    })?;
    reader.end()?;
    Ok(entries.into_iter().collect())
}
