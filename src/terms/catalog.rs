//! All metrics that this program knows, by name.

use std::collections::HashMap;

use super::{MetricDef, MetricName};

/// Looks metrics up by name. Made once from the registry of the measure room and handed to the rooms
/// that need names, units or help (store, export, report).
#[derive(Clone, Debug)]
pub struct Catalog {
    defs: Vec<&'static MetricDef>,
    by_name: HashMap<&'static str, usize>,
}

impl Catalog {
    /// Takes the entries in the order in which they are to be shown.
    pub fn new(defs: impl IntoIterator<Item = &'static MetricDef>) -> Self {
        let defs: Vec<_> = defs.into_iter().collect();
        let by_name = defs.iter().enumerate().map(|(index, def)| (def.name, index)).collect();
        Self { defs, by_name }
    }

    /// The entry of that name.
    pub fn get(&self, name: &str) -> Option<&'static MetricDef> {
        self.by_name.get(name).map(|&index| self.defs[index])
    }

    /// The name with the program's lifetime, if the metric is known.
    pub fn intern(&self, name: &str) -> Option<MetricName> {
        self.get(name).map(|def| def.name)
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'static MetricDef> + '_ {
        self.defs.iter().copied()
    }
}
