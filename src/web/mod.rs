//! The HTTP side: JSON API, metrics, health and the embedded page.
//!
//! Everything live is read from the published [`Snapshot`], everything past from the store; nothing here
//! changes either. The page is files inside this program: it asks no other machine for anything, and the
//! headers in [`guard`] hold the browser to that. The server listens where it is told, by default on
//! loopback only, and answers only to the names of the machine itself ([`guard`] has the reason).

mod app;
mod guard;
mod routes;

pub use app::{App, Settings, serve};
