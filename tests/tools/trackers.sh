#!/usr/bin/env bash
# Reads what weighbridge writes for TensorBoard, MLflow and Weights & Biases with these programs themselves, offline.
#
#   tests/tools/trackers.sh RUN [VENV]
#
# RUN holds checkpoints of one training run. VENV is made where it is not there; it needs PyPI once.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
run=$(realpath "${1:?directory with the checkpoints of one run}")
venv=${2:-$here/target/trackers-venv}
weighbridge=${WEIGHBRIDGE:-$here/target/release/weighbridge}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import tensorboard, mlflow, wandb' 2>/dev/null ||
  "$venv/bin/pip" install --quiet tensorboard==2.21.0 mlflow-skinny==3.17.2 wandb==0.31.0

work=$(mktemp -d)
trap 'kill "$daemon" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
printf 'export:\n  targets: [{name: board, kind: tensorboard, directory: %s/board}]\nweigh: {tier: 1}\n' "$work" > config.yml
"$weighbridge" watch "$run" --store store --config config.yml --listen 127.0.0.1:0 2> log & daemon=$!
wanted=$(find "$run" -maxdepth 1 -name 'checkpoint-*' | wc -l)
for _ in $(seq 600); do
  [ "$(grep -c 'checkpoint weighed' log)" -ge "$wanted" ] && break
  sleep 1
done
sleep 2 # the writer follows the commit
kill "$daemon"; wait "$daemon" || true
"$weighbridge" history --store store --metric rms --format csv > rms.csv

"$venv/bin/python" - <<'PYTHON'
import csv, glob
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator, HISTOGRAMS, SCALARS

rows = list(csv.DictReader(open("rms.csv")))
(directory,) = {path.rsplit("/", 1)[0] for path in glob.glob("board/**/events.out.tfevents.*", recursive=True)}
board = EventAccumulator(directory, size_guidance={SCALARS: 0, HISTOGRAMS: 0}).Reload()
tags = board.Tags()
steps = sorted({int(row["step"]) for row in rows})
assert tags["histograms"], tags
some = tags["histograms"][0]
histograms = board.Histograms(some)
assert sorted({h.step for h in histograms}) == steps, (some, [h.step for h in histograms], steps)
assert all(h.histogram_value.num > 0 and h.histogram_value.bucket_limit for h in histograms)
equal = 0
for row in rows:
    tag = next((tag for tag in tags["scalars"] if row["subject"] in tag and "rms" in tag.replace(row["subject"], "")), None)
    if tag is None:
        continue
    points = {point.step: point.value for point in board.Scalars(tag)}
    assert abs(points[int(row["step"])] - float(row["value"])) <= 1e-6 * abs(float(row["value"])), (tag, row)
    equal += 1
print(f"tensorboard: {len(tags['scalars'])} scalars, {len(tags['histograms'])} histograms, {equal} values equal to the store's")
assert equal > 0, tags["scalars"][:20]
PYTHON

export MLFLOW_TRACKING_URI="file://$work/mlruns" MLFLOW_ALLOW_FILE_STORE=true
for _ in 1 2; do "$venv/bin/python" "$here/deploy/trackers/to_mlflow.py" < rms.csv > mlflow.out; done
"$venv/bin/python" - <<'PYTHON'
import csv
from mlflow.tracking import MlflowClient
rows = list(csv.DictReader(open("rms.csv")))
client = MlflowClient()
(run,) = client.search_runs([client.get_experiment_by_name("weighbridge").experiment_id])
equal = 0
for row in rows[:200]:
    points = client.get_metric_history(run.info.run_id, f"rms/{row['subject']}")
    values = [point.value for point in points if point.step == int(row["step"])]
    assert values == [float(row["value"])], (row, values)
    equal += 1
print(f"mlflow: {equal} values equal, none twice after a second call")
PYTHON

export WANDB_MODE=offline WANDB_DIR=$work WANDB_SILENT=true
"$venv/bin/python" "$here/deploy/trackers/to_wandb.py" weights < rms.csv > wandb.out
file=$(ls wandb/offline-run-*/*.wandb)
"$venv/bin/python" - "$file" <<'PYTHON'
import csv, json, sys
from wandb.proto.wandb_internal_pb2 import Record

# The file is a log of LevelDB (blocks of 32 KiB; a record in one piece, or in a first, middle and last one) behind seven
# bytes of its own; what the pieces make is wandb's own protobuf.
BLOCK, HEAD, FULL, FIRST, LAST = 32768, 7, 1, 2, 4
data = open(sys.argv[1], "rb").read()
assert data[:4] == b":W&B", data[:8]
records, pieces, at = [], b"", HEAD
while at + HEAD <= len(data):
    if BLOCK - at % BLOCK < HEAD:
        at += BLOCK - at % BLOCK
        continue
    length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
    piece = data[at + HEAD : at + HEAD + length]
    pieces = piece if kind in (FULL, FIRST) else pieces + piece
    if kind in (FULL, LAST):
        records.append(Record.FromString(pieces))
    at += HEAD + length
points = {}
for record in records:
    items = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
    for key, value in items.items():
        points.setdefault(key, {})[items.get("step")] = value
rows = list(csv.DictReader(open("rms.csv")))
for row in rows:
    found = points.get(f"rms/{row['subject']}", {}).get(int(row["step"]))
    assert found == float(row["value"]), (row, found, list(points)[:8])
print(f"wandb: {len(rows)} values equal, read back from {len(records)} records of {len(data)} bytes; {open('wandb.out').read().strip()}")
PYTHON
