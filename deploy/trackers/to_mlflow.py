#!/usr/bin/env python3
"""Brings a store's history into MLflow: one MLflow run for each training run, one metric for each series.

    weighbridge history --store DIR --metric rms --format csv | to_mlflow.py
    MLFLOW_TRACKING_URI=https://mlflow.example to_mlflow.py < rms.csv

Steps and times are those of the checkpoints. A training run that was brought before goes on where it was: what
is there already is not sent again, so that the command may be repeated, for example by cron.
"""

import csv
import re
import sys

import mlflow
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

# What MLflow takes in one call.
BATCH = 1000


def name_of(row):
    """MLflow allows letters, digits, `_-. /` in a metric's name."""
    return re.sub(r"[^\w\-. /]", "_", f"{row['metric']}/{row['subject']}")[:250]


def run_of(client, experiment, run):
    filter_ = "tags.`weighbridge.run` = '%s'" % run.replace("'", "")
    found = client.search_runs([experiment], filter_, max_results=1)
    if found:
        return found[0].info.run_id
    tags = {"weighbridge.run": run.replace("'", "")}
    return client.create_run(experiment, tags=tags, run_name=run).info.run_id


def main():
    client = MlflowClient()
    experiment = mlflow.set_experiment("weighbridge").experiment_id
    by_run = {}
    for row in csv.DictReader(sys.stdin):
        by_run.setdefault(row["run"], []).append(row)
    for run, rows in by_run.items():
        run_id = run_of(client, experiment, run)
        have = client.get_run(run_id).data.metrics
        seen = {}
        for name in {name_of(row) for row in rows} & set(have):
            seen[name] = {(point.step, point.timestamp) for point in client.get_metric_history(run_id, name)}
        metrics = []
        for row in rows:
            name, step = name_of(row), int(row["step"])
            time = int(float(row["timestamp_seconds"]) * 1000)
            if row["value"] and (step, time) not in seen.get(name, ()):
                metrics.append(Metric(name, float(row["value"]), time, step))
        for start in range(0, len(metrics), BATCH):
            client.log_batch(run_id, metrics[start : start + BATCH])
        print(f"{run}: {len(metrics)} points")


if __name__ == "__main__":
    main()
