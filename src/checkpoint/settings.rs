//! What a user may set about finding and settling checkpoints.

/// How directories are looked at and when a checkpoint counts as settled or broken.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How many directories below a watched one may lie between it and a checkpoint.
    pub depth_max: usize,
    /// Seconds that must pass between two equal looks before a checkpoint counts as settled. Trainers
    /// write in bursts; half a second outlasts the gaps between them without delaying anybody.
    pub settle_seconds: f64,
    /// Seconds without any change after which a checkpoint without its last-written file is taken as
    /// it is, and one that is not whole is broken.
    pub quiet_seconds: f64,
    /// Longest time for which an old, unchanged checkpoint is not looked at again unless its directory
    /// changed or [`super::Scanner::touch`] named it, seconds.
    pub rest_seconds: f64,
    /// Weigh bare `*.safetensors` files that no trainer's layout claims.
    pub bare_files: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { depth_max: 8, settle_seconds: 0.5, quiet_seconds: 60.0, rest_seconds: 60.0, bare_files: true }
    }
}
