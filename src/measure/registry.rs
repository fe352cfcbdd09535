//! Joins the families' entries into one flat list.

use crate::terms::MetricDef;

/// Entries in all families.
pub(super) const fn count(families: &[&[MetricDef]]) -> usize {
    let mut total = 0;
    let mut family = 0;
    while family < families.len() {
        total += families[family].len();
        family += 1;
    }
    total
}

/// The families' entries one after the other. At least one entry must be there.
pub(super) const fn flatten<const N: usize>(families: &[&'static [MetricDef]]) -> [&'static MetricDef; N] {
    let mut flat = [&families[0][0]; N];
    let (mut family, mut next) = (0, 0);
    while family < families.len() {
        let mut entry = 0;
        while entry < families[family].len() {
            flat[next] = &families[family][entry];
            next += 1;
            entry += 1;
        }
        family += 1;
    }
    flat
}
