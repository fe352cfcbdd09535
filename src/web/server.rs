//! Takes connections, and drops those that hold things up.
//!
//! Somebody who sends a header byte by byte, never reads an answer or opens connections without end must
//! not keep others out, nor the daemon from ending. So every wait for the other side has an end, and
//! connections have a number that the next one waits behind.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use super::app::Site;
use crate::telemetry::{Event, RequestRefused};

/// Longest time for a whole header, and for a TLS handshake; also how long a connection may idle.
/// Below the scrape interval of most servers a connection is made anew, which costs a millisecond.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that the other side may leave a full send buffer unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of a request's line and headers.
const HEADER_BYTES_MAX: usize = 32 << 10;
/// Headers of a request; browsers behind proxies send about 30.
const HEADERS_MAX: usize = 100;
/// Pause after the system refuses a connection, as it does when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until `shutdown` is done, then finishes the requests that are under way.
pub async fn run(listener: TcpListener, router: Router, site: Site, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(site.settings.connections_max));
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(_) => {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (router, site, watcher) = (router.clone(), site.clone(), graceful.watcher());
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection(stream, router, &site, watcher).await {
                RequestRefused { path: "", error }.emit(&site.counters);
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// One connection to its end. An error is worth telling; who hangs up is not.
async fn connection(
    stream: TcpStream,
    router: Router,
    site: &Site,
    watcher: Watcher,
) -> Result<(), &'static str> {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let stream = Box::pin(stream);
    let tls = site.live.borrow().access.tls();
    let Some(tls) = tls else { return requests(stream, router, watcher).await };
    match tokio::time::timeout(HEADER_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => requests(stream, router, watcher).await,
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Ok(Err(_)) => Err("the TLS handshake failed"),
        Err(_) => Err("the TLS handshake took too long"),
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    watcher: Watcher,
) -> Result<(), &'static str> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match watcher.watch(connection).await {
        Err(error) if error.is_parse_too_large() => Err("the header is too long"),
        Err(error) if error.is_parse() => Err("this is no HTTP request"),
        Err(error) if is_timeout(&error) => Err("the answer was not read in time"),
        _ => Ok(()),
    }
}

fn is_timeout(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}
