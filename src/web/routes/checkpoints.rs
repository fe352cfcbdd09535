//! One checkpoint: its numbers and its pictures.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use serde_json::{Value, json};

use super::asked::{
    ATTEMPT, Answered, Asked, COLUMNS, DIMENSIONS, LAYER, LIMIT, OFFSET, ROLE, ROWS, Refusal, TENSOR,
    WEIGHTS, work,
};
use super::{Answer, Route};
use crate::report::figures::{self, Figure, FigureDef, Material};
use crate::report::{self, inspect_json, tensor_json};
use crate::terms::{Reading, ReadingKey, RunId, Step, TensorReading};
use crate::web::app::Site;

/// Checkpoints.
pub const ROUTES: &[Route] = &[
    Route::new(
        "/api/v1/runs/{run}/checkpoints/{step}",
        "Every number of a checkpoint, as inspect --format json writes them",
        &[ATTEMPT],
        Answer::Json("Inspection"),
        || get(checkpoint),
    ),
    Route::new(
        "/api/v1/runs/{run}/checkpoints/{step}/summary",
        "A checkpoint without its tensors: facts, totals, the five questions answered",
        &[ATTEMPT],
        Answer::Json("Summary"),
        || get(summary),
    ),
    Route::new(
        "/api/v1/runs/{run}/checkpoints/{step}/tensors",
        "The checkpoint's tensors with their values",
        &[ATTEMPT, TENSOR, LIMIT, OFFSET],
        Answer::Page("Tensor"),
        || get(tensors),
    ),
    Route::new(
        "/api/v1/runs/{run}/checkpoints/{step}/figures",
        "All pictures of a checkpoint that stored numbers can draw",
        &[ATTEMPT, TENSOR, ROLE, LAYER],
        Answer::List("Figure"),
        || get(pictures),
    ),
    Route::new(
        "/api/v1/runs/{run}/checkpoints/{step}/figures/{figure}",
        "One picture of a checkpoint, from its weights where it needs them",
        &[ATTEMPT, TENSOR, ROLE, LAYER, DIMENSIONS, ROWS, COLUMNS, WEIGHTS],
        Answer::Json("Figure"),
        || get(picture),
    ),
    Route::new(
        "/api/v1/runs/{run}/checkpoints/{step}/tensor",
        "One tensor: its numbers now, and what they were over the run",
        &[ATTEMPT, TENSOR],
        Answer::Json("TensorView"),
        || get(tensor),
    ),
];

/// Every picture of a checkpoint, whatever view shows it.
fn find(id: &str) -> Option<&'static FigureDef> {
    let views = [figures::checkpoint::FIGURES, figures::tensor::FIGURES, figures::heads::FIGURES];
    views.into_iter().flatten().copied().find(|figure| figure.id == id)
}

fn reading(site: &Site, run: &str, step: u64, asked: &Asked) -> Answered<Arc<Reading>> {
    let run = RunId::new(run);
    let missing = || Refusal::missing(format!("run {run} has no reading of step {step}"));
    let key: ReadingKey = site.key(&run, Step(step), asked.attempt).ok_or_else(missing)?;
    site.reading(&key)?.ok_or_else(missing)
}

type Place = Path<(String, u64)>;

async fn checkpoint(
    State(site): State<Site>,
    Path((run, step)): Place,
    Query(asked): Query<Asked>,
) -> Answered<Json<Value>> {
    work(site, move |site| Ok(Json(inspection(site, reading(site, &run, step, &asked)?.as_ref())))).await
}

async fn summary(
    State(site): State<Site>,
    Path((run, step)): Place,
    Query(asked): Query<Asked>,
) -> Answered<Json<Value>> {
    work(site, move |site| {
        let mut value = inspection(site, reading(site, &run, step, &asked)?.as_ref());
        if let Some(fields) = value.as_object_mut() {
            fields.shift_remove("tensors");
            fields.shift_remove("layers");
        }
        Ok(Json(value))
    })
    .await
}

fn inspection(site: &Site, reading: &Reading) -> Value {
    let mut value = inspect_json(reading, &site.catalog, &report::answers(reading));
    value["checkpoint"]["exists"] = json!(reading.checkpoint.path.exists());
    value
}

async fn tensors(
    State(site): State<Site>,
    Path((run, step)): Place,
    Query(asked): Query<Asked>,
) -> Answered<Json<Value>> {
    work(site, move |site| {
        let reading = reading(site, &run, step, &asked)?;
        let wanted =
            |tensor: &&TensorReading| asked.tensor.as_deref().is_none_or(|name| name == &*tensor.facts.name);
        let tensors: Vec<_> = reading.tensors.iter().filter(wanted).collect();
        Ok(Json(asked.page(tensors.into_iter().map(|tensor| tensor_json(tensor, &site.catalog)))))
    })
    .await
}

async fn pictures(
    State(site): State<Site>,
    Path((run, step)): Place,
    Query(asked): Query<Asked>,
) -> Answered<Json<Vec<Figure>>> {
    work(site, move |site| {
        let reading = reading(site, &run, step, &asked)?;
        let choice = asked.choice()?;
        let reading = site.with_quantiles(reading, &choice)?;
        let material = Material { reading: &reading, weights: None };
        Ok(Json(figures::checkpoint::FIGURES.iter().map(|figure| figure.figure(material, &choice)).collect()))
    })
    .await
}

async fn picture(
    State(site): State<Site>,
    Path((run, step, id)): Path<(String, u64, String)>,
    Query(asked): Query<Asked>,
) -> Answered<Json<Figure>> {
    work(site, move |site| {
        let figure = find(&id).ok_or_else(|| Refusal::missing(format!("no picture is called {id}")))?;
        let reading = reading(site, &run, step, &asked)?;
        let choice = asked.choice()?;
        let reading = site.with_quantiles(reading, &choice)?;
        let weights = if asked.weights == Some(false) { None } else { (site.weights)(&reading) };
        let material = Material { reading: &reading, weights: weights.as_ref() };
        Ok(Json(figure.figure(material, &choice)))
    })
    .await
}

/// Checkpoints whose stored histograms are laid side by side: each costs reading all its quantiles.
const PAST_MAX: usize = 40;
/// Metrics of change that are drawn over the run.
const CHANGES: [&str; 3] = ["update_ratio", "cosine_to_previous", "identical_ratio"];

async fn tensor(
    State(site): State<Site>,
    Path((run, step)): Place,
    Query(asked): Query<Asked>,
) -> Answered<Json<Value>> {
    work(site, move |site| {
        let name = asked.tensor.clone().ok_or_else(|| Refusal::bad("name a tensor: ?tensor=…"))?;
        let reading = reading(site, &run, step, &asked)?;
        let missing = || Refusal::missing(format!("step {step} of run {run} has no tensor {name}"));
        let tensor = reading.tensor(&name).ok_or_else(missing)?;
        let siblings: Vec<_> = reading
            .tensors
            .iter()
            .filter(|other| {
                other.facts.meaning.role == tensor.facts.meaning.role && other.facts.name != tensor.facts.name
            })
            .map(|other| other.facts.name.clone())
            .collect();
        Ok(Json(json!({
            "tensor": tensor_json(tensor, &site.catalog),
            "siblings": siblings,
            "figures": over_time(site, &reading.key, &name)?,
        })))
    })
    .await
}

/// The pictures of a tensor that rest on many checkpoints.
pub fn over_time(site: &Site, key: &ReadingKey, name: &str) -> Answered<[Figure; 2]> {
    let points = |metric| Ok((metric, site.points(&key.run, metric, name)?));
    let series = CHANGES.into_iter().map(points).collect::<Answered<Vec<_>>>()?;
    let past = past(site, key, name)?;
    Ok([figures::tensor::over_time(name, &past), figures::tensor::changes(name, &series)])
}

/// The tensor at evenly thinned checkpoints of the attempt.
fn past(site: &Site, key: &ReadingKey, name: &str) -> Answered<Vec<figures::tensor::Moment>> {
    let keys: Vec<_> =
        site.store.keys(&key.run).into_iter().filter(|other| other.attempt == key.attempt).collect();
    let stride = keys.len().div_ceil(PAST_MAX).max(1);
    let mut past = Vec::new();
    for key in keys.iter().rev().step_by(stride) {
        // Lost quantiles of one checkpoint are told by `store verify`; the picture shows the others.
        let Ok(Some(quantiles)) = site.store.quantiles_of(key, name) else { continue };
        past.push(figures::tensor::Moment { step: key.step, quantiles, samples: BTreeMap::new() });
    }
    past.reverse();
    for metric in figures::tensor::OVER_TIME {
        let values: HashMap<u64, f64> = site.points(&key.run, metric, name)?.into_iter().collect();
        for moment in &mut past {
            moment.samples.extend(values.get(&moment.step.0).map(|value| (metric, *value)));
        }
    }
    Ok(past)
}
