//! Numbers out: Prometheus and whatever else takes them.
