//! YAML as typed, checked into each room's settings; the only user of serde_yaml.
