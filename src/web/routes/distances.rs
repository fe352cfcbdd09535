//! What the sketch memory tells, and the store as one file.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use super::asked::{ATTEMPT, Answered, Asked, FORMAT, FROM, RUN, Refusal, TENSOR, TO, WITH, work};
use super::{Answer, Route};
use crate::report::distances::{self, Error, Named};
use crate::terms::RunId;
use crate::web::app::Site;

/// Distances, ways, backup.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/api/v1/distance",
        summary: "How far apart two checkpoints are, of one run or of two of the same shapes",
        query: &[RUN, FROM, TO, WITH, ATTEMPT, FORMAT],
        answer: Answer::Json("Distance"),
        handler: || get(distance),
    },
    Route {
        path: "/api/v1/siblings",
        summary: "How far a tensor is from those of its shape in the same checkpoint",
        query: &[RUN, FROM, TENSOR, ATTEMPT, FORMAT],
        answer: Answer::List("TensorDistance"),
        handler: || get(siblings),
    },
    Route {
        path: "/api/v1/trajectory",
        summary: "A run's way through weight space, and checkpoints that are not what their steps say",
        query: &[RUN, ATTEMPT, FORMAT],
        answer: Answer::Json("Way"),
        handler: || get(trajectory),
    },
    Route {
        path: "/api/v1/store/backup",
        summary: "The whole store as one file, for `weighbridge store restore`",
        query: &[],
        answer: Answer::Text("application/octet-stream"),
        handler: || get(backup),
    },
];

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            Error::Missing(what) => Refusal::missing(what),
        }
    }
}

fn named(asked: &Asked, run: RunId, name: &str, step: Option<u64>) -> Answered<Named> {
    let step = step.ok_or_else(|| Refusal::bad(format!("name a step: ?{name}=…")))?;
    Ok(Named { run, attempt: asked.attempt, step })
}

fn formed<T: Serialize>(asked: &Asked, found: &T, words: impl FnOnce(&T) -> String) -> Answered<Response> {
    match asked.format.as_deref() {
        None | Some("json") => Ok(Json(found).into_response()),
        Some("text") => {
            Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], words(found)).into_response())
        }
        Some(other) => Err(Refusal::bad(format!("this is json or text, not {other}"))),
    }
}

async fn distance(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<Response> {
    work(site, move |site| {
        let from = named(&asked, asked.named_run()?, "from", asked.from)?;
        let other = asked.with.as_deref().map_or_else(|| asked.named_run(), |run| Ok(RunId::new(run)))?;
        let to = named(&asked, other, "to", asked.to)?;
        formed(&asked, &distances::distance(&site.store, &from, &to)?, distances::distance_text)
    })
    .await
}

async fn siblings(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<Response> {
    work(site, move |site| {
        let of = named(&asked, asked.named_run()?, "from", asked.from)?;
        let tensor = asked.tensor.as_deref().ok_or_else(|| Refusal::bad("name a tensor: ?tensor=…"))?;
        let found = distances::siblings(&site.store, &of, tensor)?;
        formed(&asked, &found, |found| distances::siblings_text(found))
    })
    .await
}

async fn trajectory(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<Response> {
    work(site, move |site| {
        formed(&asked, &distances::way(&site.store, &asked.named_run()?, asked.attempt)?, distances::way_text)
    })
    .await
}

/// Commits that are read ahead of what the receiver has taken: about 0.6 MB each.
const AHEAD: usize = 4;

/// Sent commit by commit. A backup that cannot be read to its end ends in an error of the connection, so that
/// no one takes a part for the whole.
async fn backup(State(site): State<Site>) -> Response {
    let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(AHEAD);
    tokio::task::spawn_blocking(move || {
        let gone = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let mut send = |record: Vec<u8>| sender.blocking_send(Ok(record.into())).map_err(|_| gone());
        if let Err(error) = site.store.backup_to(&mut send) {
            // The receiver may be gone; then there is no one to tell.
            let _ = sender.blocking_send(Err(std::io::Error::other(error.to_string())));
        }
    });
    let records = tokio_stream::wrappers::ReceiverStream::new(receiver);
    ([(header::CONTENT_TYPE, "application/octet-stream")], Body::from_stream(records)).into_response()
}
