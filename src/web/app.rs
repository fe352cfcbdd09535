//! What the server needs to know, and the server itself.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::access::Access;
use super::past::Looked;
use crate::export;
use crate::report::Weights;
use crate::store::Store;
use crate::telemetry::Counters;
use crate::terms::{Catalog, Reading, Snapshot};

/// Opens the weights that a reading was made from, while their files still exist.
pub type OpenWeights = Arc<dyn Fn(&Reading) -> Option<Weights> + Send + Sync>;

/// What may be set about the HTTP side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Host names that requests may ask for beside loopback names and bare addresses, such as the name
    /// under which a reverse proxy forwards. `*` allows every name.
    pub hosts: Vec<String>,
    /// Longest time that one request may take.
    pub request_timeout: Duration,
    /// Connections at once; the next one waits.
    pub connections_max: usize,
}

impl Default for Settings {
    /// 30 seconds: the dearest picture, a decomposition of a large matrix, stays below. 256 connections:
    /// a page takes up to seven.
    fn default() -> Self {
        Self { hosts: Vec::new(), request_timeout: Duration::from_secs(30), connections_max: 256 }
    }
}

/// What a reload may change while the server runs; each request looks anew.
#[derive(Debug, Default)]
pub struct Live {
    /// What is exported to Prometheus.
    pub export: export::Settings,
    /// Host names that requests may ask for; see [`Settings::hosts`].
    pub hosts: Vec<String>,
    /// Who may ask, and who may change.
    pub access: Access,
}

/// Everything that the routes read.
#[derive(Clone)]
pub struct App {
    /// The published state.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The past.
    pub store: Store,
    /// All metrics.
    pub catalog: Arc<Catalog>,
    /// Our own counters.
    pub counters: Arc<Counters>,
    /// What may change while it runs.
    pub live: watch::Receiver<Arc<Live>>,
    /// Opens weights for the pictures that need them; see [`App::no_weights`].
    pub weights: OpenWeights,
    /// Limits.
    pub settings: Settings,
}

impl App {
    /// For where no weights can be opened: those pictures say so.
    pub fn no_weights() -> OpenWeights {
        Arc::new(|_| None)
    }
}

/// The app with what the server itself keeps.
#[derive(Clone)]
pub struct Site {
    app: App,
    /// What was looked at last.
    pub looked: Arc<Looked>,
    /// Turns true when the server is to end: open event streams end then.
    pub stopping: watch::Receiver<bool>,
}

impl Deref for Site {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

/// Serves until `shutdown` is done, then finishes the requests that are under way.
pub async fn serve(listener: TcpListener, app: App, shutdown: impl Future<Output = ()> + Send + 'static) {
    let (stop, stopping) = watch::channel(false);
    let site = Site { app, looked: Arc::default(), stopping };
    let shutdown = async move {
        shutdown.await;
        let _ = stop.send(true);
    };
    tokio::spawn(super::ahead::look_ahead(site.clone()));
    let router = super::routes::router(site.clone());
    super::server::run(listener, router, site, shutdown).await;
}
