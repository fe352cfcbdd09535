//! What a checkpoint is on disk: layouts, scan, settle, steps, attempts and the trainer's state file.
