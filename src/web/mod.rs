//! The HTTP side: JSON API, metrics, health and the embedded page.
//!
//! Everything live is read from the published [`Snapshot`](crate::terms::Snapshot), everything past from
//! the store; nothing here changes either. The page is files inside this program: it asks no other
//! machine for anything, and the headers in `guard` hold the browser to that. The server listens where
//! it is told, by default on loopback only, and answers only to the names of the machine itself (`guard`
//! has the reason).
//!
//! `routes` is the list of everything that is served; the OpenAPI document is made from it. The page
//! uses nothing else.

mod app;
mod asset;
mod guard;
mod past;
mod routes;

pub use app::{App, OpenWeights, Settings, serve};
