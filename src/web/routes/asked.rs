//! What requests ask for, and how they are refused.

use std::ops::Range;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use globset::{Glob, GlobMatcher};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::report::figures::Choice;
use crate::store;
use crate::terms::{Role, RunId};
use crate::web::app::Site;

/// One query parameter, as the OpenAPI document shows it.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Name.
    pub name: &'static str,
    /// JSON schema type.
    pub kind: &'static str,
    /// What it does.
    pub summary: &'static str,
}

macro_rules! parameters {
    ($($constant:ident = $name:literal $kind:literal $summary:literal;)*) => {
        $(#[doc = $summary] pub const $constant: Parameter = Parameter { name: $name, kind: $kind, summary: $summary };)*
    };
}

parameters! {
    ATTEMPT = "attempt" "integer" "which go at the run; the newest that has the step where it is left out";
    TENSOR = "tensor" "string" "a tensor's name; where series are asked for, a pattern with * and ?";
    ROLE = "role" "string" "a role, such as attn_q";
    LAYER = "layer" "integer" "a layer, counted from 0";
    DIMENSIONS = "dimensions" "string" "dimensions of the position table, separated by commas";
    ROWS = "rows" "string" "rows of a matrix, as first-end, the end not included";
    COLUMNS = "columns" "string" "columns of a matrix, as first-end, the end not included";
    METRIC = "metric" "string" "a metric's name";
    SUBJECT = "subject" "string" "what the metric is about: tensor, head, layer or model";
    RUN = "run" "string" "a run's name";
    RUNS = "runs" "string" "names of runs, separated by commas; a comma in a name is written %2C twice over";
    WEIGHTS = "weights" "boolean" "false: only what can be drawn from stored numbers, which is faster";
    SEVERITY = "severity" "string" "the least severity: info, warning or critical";
    OPEN = "open" "boolean" "true: only findings that are not resolved";
    FORMAT = "format" "string" "json, or where it says so text, jsonl, csv or openmetrics";
    LIMIT = "limit" "integer" "how many at most; 1000 is the most";
    OFFSET = "offset" "integer" "how many to leave out at the start";
    COMPARE = "compare" "string" "what colours compare: own, each row with its median, or all";
    OVER = "over" "boolean" "true: those that are over or were taken back too";
    FROM = "from" "integer" "step of the one checkpoint";
    TO = "to" "integer" "step of the other checkpoint";
    WITH = "with" "string" "run of the other checkpoint; the same run where it is left out";
    QUERY = "q" "string" "what to look for";
    VERSION = "v" "string" "tag of the content that is wanted: then the answer may be kept for good";
}

/// Every parameter that any route knows; each route reads those it names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Asked {
    pub attempt: Option<u32>,
    pub tensor: Option<String>,
    pub role: Option<String>,
    pub layer: Option<u32>,
    pub dimensions: Option<String>,
    pub rows: Option<String>,
    pub columns: Option<String>,
    pub metric: Option<String>,
    pub subject: Option<String>,
    pub run: Option<String>,
    pub runs: Option<String>,
    pub weights: Option<bool>,
    pub severity: Option<String>,
    pub open: Option<bool>,
    pub format: Option<String>,
    pub limit: Option<usize>,
    pub offset: Option<usize>,
    pub compare: Option<String>,
    pub over: Option<bool>,
    pub from: Option<u64>,
    pub to: Option<u64>,
    pub with: Option<String>,
    pub q: Option<String>,
    pub v: Option<String>,
}

/// Entries of a list that are answered when nothing is said.
const LIMIT_DEFAULT: usize = 100;
/// Most entries of one answer.
pub const LIMIT_MAX: usize = 1000;

impl Asked {
    /// The run that the query names.
    pub fn named_run(&self) -> Result<RunId, Refusal> {
        let run = self.run.as_deref().ok_or_else(|| Refusal::bad("name a run: ?run=…"))?;
        Ok(RunId::new(run))
    }

    /// What a person chose to see.
    pub fn choice(&self) -> Result<Choice, Refusal> {
        let role = match self.role.as_deref() {
            Some(name) => {
                Some(Role::from_name(name).ok_or_else(|| Refusal::bad(format!("no role is called {name}")))?)
            }
            None => None,
        };
        let numbers =
            |text: &str| text.split(',').map(|part| part.trim().parse()).collect::<Result<Vec<usize>, _>>();
        let dimensions = match self.dimensions.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => {
                numbers(text).map_err(|_| Refusal::bad("dimensions are numbers separated by commas"))?
            }
            None => Vec::new(),
        };
        Ok(Choice {
            tensor: self.tensor.clone(),
            role,
            layer: self.layer,
            dimensions,
            rows: range(self.rows.as_deref())?,
            columns: range(self.columns.as_deref())?,
        })
    }

    /// The name pattern, where one is given.
    pub fn pattern(&self) -> Result<Option<GlobMatcher>, Refusal> {
        let glob = |text: &String| Glob::new(text).map_err(|error| Refusal::bad(error.to_string()));
        Ok(self.tensor.as_ref().map(glob).transpose()?.map(|glob| glob.compile_matcher()))
    }

    /// One page of a list.
    pub fn page<T: Serialize>(&self, all: impl ExactSizeIterator<Item = T>) -> serde_json::Value {
        let total = all.len();
        let (offset, limit) = (self.offset.unwrap_or(0), self.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX));
        let items: Vec<T> = all.skip(offset).take(limit).collect();
        let next = Some(offset + items.len()).filter(|next| *next < total && !items.is_empty());
        json!({ "total": total, "offset": offset, "next_offset": next, "items": items })
    }
}

fn range(text: Option<&str>) -> Result<Option<Range<u64>>, Refusal> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let parsed = text.split_once('-').and_then(|(a, b)| Some(a.trim().parse().ok()?..b.trim().parse().ok()?));
    let range = parsed.filter(|range: &Range<u64>| range.start < range.end);
    range.map(Some).ok_or_else(|| Refusal::bad("a range is written first-end, such as 0-64"))
}

/// Why a request was not answered.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    /// The request makes no sense.
    pub fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// There is no such thing.
    pub fn missing(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
    }

    /// There is no such run.
    pub fn no_run(run: &RunId) -> Self {
        Self::missing(format!("no run is called {run}"))
    }

    /// It is not the asker's fault.
    pub fn broken(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message: message.into() }
    }
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        Self::broken(error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
    }
}

/// What a handler answers.
pub type Answered<T> = Result<T, Refusal>;

/// Store and figures are read on a thread that may wait; the server's own threads never do.
pub async fn work<T: Send + 'static>(
    site: Site,
    job: impl FnOnce(&Site) -> Answered<T> + Send + 'static,
) -> Answered<T> {
    match tokio::task::spawn_blocking(move || job(&site)).await {
        Ok(answer) => answer,
        Err(error) => Err(Refusal::broken(format!("the request could not be worked off: {error}"))),
    }
}

/// Every other path.
pub async fn nothing_here() -> Refusal {
    Refusal::missing("nothing is served under this path; /api/v1/openapi.json lists everything")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_say_where_to_go_on() {
        let asked = Asked { limit: Some(2), offset: Some(1), ..Asked::default() };
        let page = asked.page([1, 2, 3, 4].into_iter());
        assert_eq!(page, json!({ "total": 4, "offset": 1, "next_offset": 3, "items": [2, 3] }));
        let last = Asked { offset: Some(3), ..Asked::default() }.page([1, 2, 3, 4].into_iter());
        assert_eq!(last["next_offset"], serde_json::Value::Null);
    }

    #[test]
    fn ranges_are_first_and_end() {
        assert_eq!(range(Some("3-7")).unwrap(), Some(3..7));
        assert!(range(Some("7-3")).is_err() && range(Some("x")).is_err());
        assert_eq!(range(None).unwrap(), None);
    }
}
