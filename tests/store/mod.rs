//! The store through its public face: what goes in comes out, whatever happens in between.

mod care;
mod command;
mod crash;
mod flips;
mod full_disk;
mod make;
mod round_trip;
mod said;
mod sizes;
mod spectra;
mod upgrade;
