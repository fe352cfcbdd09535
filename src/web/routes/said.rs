//! What people say: silences, that somebody knows, and what is planned.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde_json::{Value, json};

use super::asked::{Answered, Asked, OVER, Refusal, work};
use super::{Answer, Change, Route};
use crate::telemetry::now_seconds;
use crate::terms::{Announcement, Planned};
use crate::web::app::Site;
use crate::web::deeds::{self, Known, Wanted};

/// Lists.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/api/v1/silences",
        summary: "Silences that last, in the order in which they were made",
        query: &[OVER],
        answer: Answer::List("Silence"),
        handler: || get(silences),
    },
    Route {
        path: "/api/v1/acknowledgements",
        summary: "Findings that somebody knows of, in the order in which that was said",
        query: &[OVER],
        answer: Answer::List("Acknowledgement"),
        handler: || get(acknowledgements),
    },
    Route {
        path: "/api/v1/announcements",
        summary: "What is planned and no fault, as it was announced by command or here",
        query: &[OVER],
        answer: Answer::List("Announcement"),
        handler: || get(announcements),
    },
];

/// Changes.
pub const CHANGES: &[Change] = &[
    Change {
        method: "post",
        path: "/api/v1/silences",
        summary: "Call nobody for the findings that it matches until it ends",
        body: Some("SilenceWanted"),
        answer: Answer::Json("Silence"),
        handler: || post(silence),
    },
    Change {
        method: "delete",
        path: "/api/v1/silences/{id}",
        summary: "End a silence now: what it kept back and still stands is told",
        body: None,
        answer: Answer::Json("Silence"),
        handler: || delete(end_silence),
    },
    Change {
        method: "post",
        path: "/api/v1/acknowledgements",
        summary: "Somebody knows of a finding: it is not told again unless it grows graver",
        body: Some("AcknowledgementWanted"),
        answer: Answer::Json("Acknowledgement"),
        handler: || post(acknowledge),
    },
    Change {
        method: "delete",
        path: "/api/v1/acknowledgements/{id}",
        summary: "Take an acknowledgement back: the finding is told again",
        body: None,
        answer: Answer::Json("Acknowledgement"),
        handler: || delete(withdraw),
    },
    Change {
        method: "post",
        path: "/api/v1/announcements",
        summary: "Announce what is planned: from the next checkpoint on it is no fault",
        body: Some("AnnouncementWanted"),
        answer: Answer::Json("Announcement"),
        handler: || post(announce),
    },
    Change {
        method: "delete",
        path: "/api/v1/announcements/{id}",
        summary: "Take an announcement back: from the next checkpoint on it is judged as ever",
        body: None,
        answer: Answer::Json("Announcement"),
        handler: || delete(withdraw_announcement),
    },
];

impl From<deeds::Error> for Refusal {
    fn from(error: deeds::Error) -> Self {
        match error {
            deeds::Error::Asked(message) => Self::bad(message),
            deeds::Error::Missing(message) => Self::missing(message),
            deeds::Error::Store(error) => error.into(),
        }
    }
}

async fn silences(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<Json<Value>> {
    work(site, move |site| {
        let said = site.store.said()?;
        Ok(Json(match asked.over {
            Some(true) => json!(said.silences),
            _ => json!(deeds::holding(&said, now_seconds()).0),
        }))
    })
    .await
}

async fn acknowledgements(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<Json<Value>> {
    work(site, move |site| {
        let said = site.store.said()?;
        Ok(Json(match asked.over {
            Some(true) => json!(said.acknowledgements.values().collect::<Vec<_>>()),
            _ => json!(deeds::holding(&said, now_seconds()).1),
        }))
    })
    .await
}

async fn silence(State(site): State<Site>, Json(wanted): Json<Wanted>) -> Answered<Response> {
    work(site, move |site| Ok(Json(deeds::silence(&site.store, wanted, now_seconds())?).into_response()))
        .await
}

async fn end_silence(State(site): State<Site>, Path(id): Path<String>) -> Answered<Response> {
    work(site, move |site| Ok(Json(deeds::end_silence(&site.store, &id, now_seconds())?).into_response()))
        .await
}

async fn acknowledge(State(site): State<Site>, Json(known): Json<Known>) -> Answered<Response> {
    work(site, move |site| Ok(Json(deeds::acknowledge(&site.store, &known, now_seconds())?).into_response()))
        .await
}

async fn withdraw(State(site): State<Site>, Path(id): Path<String>) -> Answered<Response> {
    work(site, move |site| Ok(Json(deeds::withdraw(&site.store, &id)?).into_response())).await
}

async fn announcements(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<Json<Value>> {
    work(site, move |site| {
        let said = site.store.said()?;
        Ok(Json(match asked.over {
            Some(true) => json!(said.announcements),
            _ => json!(said.announced().collect::<Vec<&Announcement>>()),
        }))
    })
    .await
}

async fn announce(State(site): State<Site>, Json(planned): Json<Planned>) -> Answered<Response> {
    work(site, move |site| Ok(Json(deeds::announce(&site.store, planned, now_seconds())?).into_response()))
        .await
}

async fn withdraw_announcement(State(site): State<Site>, Path(id): Path<String>) -> Answered<Response> {
    work(site, move |site| Ok(Json(deeds::withdraw_announcement(&site.store, &id)?).into_response())).await
}
