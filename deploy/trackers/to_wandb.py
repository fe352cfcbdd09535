#!/usr/bin/env python3
"""Brings a store's history into Weights & Biases: one W&B run for each training run.

    weighbridge history --store DIR --metric rms --format csv | to_wandb.py PROJECT
    WANDB_MODE=offline to_wandb.py PROJECT < rms.csv     # then, where there is a network: wandb sync wandb/offline-run-*

The x axis is the checkpoint's step (`step`), its time is in `timestamp_seconds`. W&B's own step only counts rows,
since it must not go back where a training run does. The key is taken from WANDB_API_KEY or ~/.netrc, never from the
command line.
"""

import csv
import hashlib
import sys

import wandb


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    by_run = {}
    for row in csv.DictReader(sys.stdin):
        key = (int(row["attempt"]), int(row["step"]), float(row["timestamp_seconds"]))
        point = by_run.setdefault(row["run"], {}).setdefault(key, {})
        if row["value"]:
            point[f"{row['metric']}/{row['subject']}"] = float(row["value"])
    for run, points in by_run.items():
        # The id is made from the name, so that a second call replaces nothing of another run.
        run_id = hashlib.sha256(run.encode()).hexdigest()[:16]
        with wandb.init(project=sys.argv[1], name=run, id=run_id, resume="allow", reinit=True) as target:
            target.define_metric("step")
            target.define_metric("*", step_metric="step")
            for (attempt, step, time), values in sorted(points.items()):
                target.log({"step": step, "attempt": attempt, "timestamp_seconds": time, **values})
        print(f"{run}: {len(points)} checkpoints")


if __name__ == "__main__":
    main()
