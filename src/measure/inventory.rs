//! What there is: elements, bytes, and the values that are no numbers.

use super::sheet::Sheet;
use crate::terms::{Family, MetricDef, SubjectKind, TensorInfo, Tier, Unit};

const INVENTORY: MetricDef = MetricDef {
    name: "",
    family: Family::Inventory,
    subject: SubjectKind::Tensor,
    unit: Unit::Count,
    tier: Tier::One,
    help: "",
    formula: "",
    source: "safetensors format; IEEE 754",
    healthy: "",
    sick: "",
    cost: "none beside reading",
    since: "0.1.0",
};

/// This family's entries.
pub(super) const DEFS: &[MetricDef] = &[
    MetricDef {
        name: "elements",
        help: "Elements of the tensor",
        formula: "product of the dimensions; 1 for a scalar",
        healthy: "constant during a run, in every run seen",
        sick: "any change: the architecture or the file changed under the same name",
        ..INVENTORY
    },
    MetricDef {
        name: "bytes",
        unit: Unit::Bytes,
        help: "Bytes of the tensor in its own dtype",
        formula: "elements times bytes of an element",
        healthy: "constant during a run, in every run seen",
        sick: "a change with equal shape: the export dtype changed",
        ..INVENTORY
    },
    MetricDef {
        name: "nan_elements",
        help: "Elements that are NaN",
        formula: "count of NaN of any sign and payload",
        healthy: "0 in every healthy run",
        sick: "above 0: the tensor is lost, and every forward pass that touches it; go back to the last good checkpoint",
        ..INVENTORY
    },
    MetricDef {
        name: "inf_elements",
        help: "Elements that are infinite",
        formula: "count of +Inf and -Inf",
        healthy: "0 in every healthy run",
        sick: "above 0: overflow in the optimizer or in a cast to fp16 or fp8, or a flipped exponent bit",
        ..INVENTORY
    },
    MetricDef {
        name: "zero_elements",
        help: "Elements that are exactly zero",
        formula: "count of +0 and -0",
        healthy: "near 0 in trained matrices; all of them in fresh biases and in LoRA B before the first step",
        sick: "rising: underflow or pruning; all of a matrix: a dead tensor",
        ..INVENTORY
    },
];

/// Counts of a tensor's values that stand apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Special {
    /// NaN.
    pub(crate) nan: u64,
    /// Infinities.
    pub(crate) inf: u64,
    /// Exact zeros.
    pub(crate) zero: u64,
}

/// Writes the family's values.
pub(super) fn measure(info: &TensorInfo, special: Special, sheet: &mut Sheet) {
    sheet.put("elements", info.elements() as f64);
    sheet.put("bytes", info.bytes() as f64);
    sheet.put("nan_elements", special.nan as f64);
    sheet.put("inf_elements", special.inf as f64);
    sheet.put("zero_elements", special.zero as f64);
}
