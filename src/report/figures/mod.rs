//! The pictures, one file each, as typed data.
//!
//! A picture has a question, panels, the numbers it rests on and one sentence on what it shows *here*.
//! Most are made from stored numbers and can be drawn for every checkpoint ever weighed; some need the
//! weights and can be drawn while the files exist. A picture that has no sense for a model says why.
//!
//! - [`checkpoint`]: what one checkpoint looks like, S1 to S15
//! - [`tensor`]: one tensor, now and over time
//! - [`heads`]: the heads of one layer
//! - [`run`]: a run over its steps, and runs beside each other

pub mod checkpoint;
mod figure;
pub mod heads;
pub mod run;
pub(super) mod statistics;
pub mod tensor;

pub use figure::{Axis, Basis, Fact, Figure, Mark, Number, Numbers, Panel, Ramp, Scale, Side, Table, Tone};

use std::ops::Range;

use super::Weights;
use crate::terms::{Reading, Role, Subject, SubjectReading, TensorReading};

/// What pictures of one checkpoint are made from.
#[derive(Clone, Copy)]
pub struct Material<'a> {
    /// The numbers.
    pub reading: &'a Reading,
    /// The weights, while they exist.
    pub weights: Option<&'a Weights>,
}

/// What a person chose to see; `Default` is what is shown first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Tensor, where a picture is about one.
    pub tensor: Option<String>,
    /// Role, where a picture is about one over all layers.
    pub role: Option<Role>,
    /// Layer, where a picture is about one.
    pub layer: Option<u32>,
    /// Dimensions of the position table.
    pub dimensions: Vec<usize>,
    /// Rows of a matrix.
    pub rows: Option<Range<u64>>,
    /// Columns of a matrix.
    pub columns: Option<Range<u64>>,
}

/// One picture's entry.
pub struct FigureDef {
    /// Its name in links and the API.
    pub id: &'static str,
    /// Title.
    pub title: &'static str,
    /// What a person wants to know from it.
    pub question: &'static str,
    /// Metrics whose series over the run belong to it.
    pub series: &'static [&'static str],
    /// Draws it, or says why there is nothing to draw.
    pub draw: fn(Material<'_>, &Choice) -> Result<Body, String>,
}

/// What a picture's own code fills in.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// One sentence: what it shows here.
    pub says: String,
    /// The numbers it rests on.
    pub facts: Vec<Fact>,
    /// The pictures.
    pub panels: Vec<Panel>,
    /// A table.
    pub table: Option<Table>,
    /// What it was made from.
    pub basis: Basis,
    /// Tensor it is about.
    pub tensor: Option<String>,
    /// Tensors that can be chosen.
    pub choices: Vec<String>,
}

impl Body {
    /// A picture from stored numbers.
    pub fn stored(says: impl Into<String>) -> Self {
        Self {
            says: says.into(),
            facts: Vec::new(),
            panels: Vec::new(),
            table: None,
            basis: Basis::Stored,
            tensor: None,
            choices: Vec::new(),
        }
    }

    /// A picture from the weights.
    pub fn from_weights(says: impl Into<String>) -> Self {
        Self { basis: Basis::Weights, ..Self::stored(says) }
    }
}

impl FigureDef {
    /// The finished picture; where there is none, its frame with the reason.
    pub fn figure(&self, material: Material<'_>, choice: &Choice) -> Figure {
        let (body, absent) = match (self.draw)(material, choice) {
            Ok(body) => (body, None),
            // With the weights it could be drawn: readers tell this apart from "not applicable".
            Err(why) if why == GONE => (Body::from_weights(String::new()), Some(why)),
            Err(why) => (Body::stored(String::new()), Some(why)),
        };
        Figure {
            id: self.id,
            title: self.title.to_owned(),
            question: self.question,
            says: body.says,
            facts: body.facts,
            panels: body.panels,
            table: body.table,
            absent,
            basis: body.basis,
            tensor: body.tensor,
            choices: body.choices,
        }
    }
}

/// What pictures say where the files are gone.
pub const GONE: &str =
    "this picture is drawn from the weights themselves, and the checkpoint's files are no longer there";

/// Said where a model has no learnt positions.
pub const NO_POSITIONS: &str = "not applicable: this model has no learnt position table";

/// Said where heads could not be told apart.
pub const NO_HEADS: &str = "not applicable: the attention heads of this model could not be told apart";

impl<'a> Material<'a> {
    /// The weights, or the reason why there are none.
    pub fn weights(&self) -> Result<&'a Weights, String> {
        self.weights.ok_or_else(|| GONE.to_owned())
    }

    /// Every tensor of a role, by layer.
    pub fn of_role(&self, role: Role) -> Vec<&'a TensorReading> {
        let mut found: Vec<_> =
            self.reading.tensors.iter().filter(|t| t.facts.meaning.role == role).collect();
        found.sort_by_key(|tensor| tensor.facts.meaning.layer);
        found
    }

    /// Matrices, in file order.
    pub fn matrices(&self) -> impl Iterator<Item = &'a TensorReading> {
        self.reading.tensors.iter().filter(|tensor| is_matrix(tensor))
    }

    /// Roles that have a matrix in at least one layer, in the order in which they are shown.
    pub fn layered_roles(&self) -> Vec<Role> {
        let has = |role: &Role| {
            self.matrices().any(|t| t.facts.meaning.role == *role && t.facts.meaning.layer.is_some())
        };
        Role::ALL.iter().copied().filter(has).collect()
    }

    /// The chosen role, else the one that holds the queries, else the first that has layers.
    pub fn role(&self, choice: &Choice) -> Option<Role> {
        let roles = self.layered_roles();
        choice.role.filter(|role| roles.contains(role)).or_else(|| {
            let first = [Role::AttnQkv, Role::AttnQ, Role::LoraB, Role::MlpUp];
            first.into_iter().find(|role| roles.contains(role)).or(roles.first().copied())
        })
    }

    /// The chosen tensor, else the first matrix of the role that is shown first, else the first matrix.
    pub fn tensor(&self, choice: &Choice) -> Result<&'a TensorReading, String> {
        if let Some(name) = &choice.tensor {
            return self.reading.tensor(name).ok_or_else(|| format!("this checkpoint has no tensor {name}"));
        }
        let of_role =
            self.role(choice).and_then(|role| self.of_role(role).into_iter().find(|t| is_matrix(t)));
        of_role.or_else(|| self.matrices().next()).ok_or_else(|| "this checkpoint has no matrix".to_owned())
    }

    /// Names of all matrices.
    pub fn matrix_names(&self) -> Vec<String> {
        self.matrices().map(|tensor| tensor.facts.name.to_string()).collect()
    }

    /// A metric of every head: (layer, head, value), by layer and head.
    pub fn head_metric(&self, metric: &str) -> Vec<(u32, u32, f64)> {
        let mut found: Vec<_> = self
            .reading
            .subjects
            .iter()
            .filter_map(|subject| match subject.subject {
                Subject::Head { layer, head } => {
                    subject.samples.get(metric).map(|&value| (layer, head, value))
                }
                _ => None,
            })
            .collect();
        found.sort_by_key(|&(layer, head, _)| (layer, head));
        found
    }

    /// A list of every layer, by layer.
    pub fn layer_list(&self, metric: &str) -> Vec<(u32, &'a [f64])> {
        let mut found: Vec<_> = self
            .reading
            .subjects
            .iter()
            .filter_map(|subject| match subject.subject {
                Subject::Layer(layer) => subject.lists.get(metric).map(|list| (layer, list.as_slice())),
                _ => None,
            })
            .collect();
        found.sort_by_key(|&(layer, _)| layer);
        found
    }

    /// A metric of every layer: (layer, value), by layer.
    pub fn layer_metric(&self, metric: &str) -> Vec<(f64, f64)> {
        let of_layer = |subject: &SubjectReading| match subject.subject {
            Subject::Layer(layer) => subject.samples.get(metric).map(|&value| (f64::from(layer), value)),
            _ => None,
        };
        let mut found: Vec<_> = self.reading.subjects.iter().filter_map(of_layer).collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        found
    }

    /// The learnt position table, where the model has one.
    pub fn positions(&self) -> Result<&'a TensorReading, String> {
        self.of_role(Role::PositionEmbedding)
            .into_iter()
            .find(|t| is_matrix(t))
            .ok_or_else(|| NO_POSITIONS.to_owned())
    }
}

/// True for what is stored with two dimensions, both longer than one.
pub fn is_matrix(tensor: &TensorReading) -> bool {
    matches!(tensor.facts.shape[..], [rows, columns] if rows > 1 && columns > 1)
}

/// Words for a role, as titles show it.
pub fn role_words(role: Role) -> String {
    role.name().replace('_', " ")
}
