//! The pipeline, and the only place where rooms meet: watch, queue, worker, snapshot, drain.
