//! The pictures, one file each, as typed data.
