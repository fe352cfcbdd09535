//! One family of models as data.

/// Names, roles and geometry of one family of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
}
