//! The HTTP side: JSON API, metrics, health and the embedded page.
//!
//! Everything live is read from the published [`Snapshot`](crate::terms::Snapshot), everything past from
//! the store. The page is files inside this program: it asks no other
//! machine for anything, and the headers in `guard` hold the browser to that. The server listens where
//! it is told, by default on loopback only, and answers only to the names of the machine itself (`guard`
//! has the reason). `access` knows who may read, when that is not everybody, and who may change. A route
//! that changes something needs nothing of its own for that: `guard` lets a method other than GET or HEAD
//! through only with a changing token.
//!
//! `routes` is the list of everything that is served; the OpenAPI document is made from it. The page
//! uses nothing else.

pub mod access;
mod ahead;
mod app;
mod asset;
pub mod deeds;
mod guard;
mod kept;
mod past;
mod routes;
mod sent;
mod server;

pub use access::Access;
pub use app::{App, Live, OpenWeights, Settings, serve};
