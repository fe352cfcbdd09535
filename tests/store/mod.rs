//! The store through its public face: what goes in comes out, whatever happens in between.

mod make;
mod round_trip;
mod upgrade;
