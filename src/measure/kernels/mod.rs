//! Numerics as free functions on slices and matrices: no tensors, no names, no policy.

pub mod eigen;
pub mod fft;
pub mod gram;
pub mod marchenko_pastur;
pub mod noise;
pub mod null;
pub mod spectrum;
pub mod tridiagonal;
pub mod ward;
