#!/usr/bin/env python3
"""What the store alone tells of runs whose checkpoints are gone.

    python3 tests/tools/from_store_alone.py RUNS LABELS [WEIGHBRIDGE]

RUNS holds directories of checkpoints, LABELS is a file with one line a run: {"run", "kind", "onset_step", "tensors"}.
A daemon watches an empty directory. The checkpoints of each run come into it one by one, as a trainer writes them
(copied under another name, then renamed); each is weighed, and then all but the newest two are deleted. At the end the
daemon is stopped and the rest is deleted too. `weighbridge trajectory`, which has nothing but the store, must then name
the fault of each swapped, duplicated, rolled-back and stale run at its step, and nothing at any other step of any run.

Exit status 1 where it does not.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

KEPT = 2
# Kind of fault, and what the trajectory calls it.
FAULTS = {"swapped_layers": "swapped", "duplicate_layer": "copied", "rollback": "again", "stale_shard": "went_back"}


def step_of(name):
    return int(name.rsplit("-", 1)[1])


def weighed(url, run):
    scrape = urllib.request.urlopen(f"{url}/metrics").read().decode()
    totals = re.findall(rf'^weighbridge_checkpoint(?:s|_failures)_total{{run="{re.escape(run)}"}} (\d+)$', scrape, re.M)
    return sum(map(int, totals))


def play(url, source, root, run, staging):
    """Every checkpoint of the run, the oldest deleted as it goes; gives the steps."""
    target = os.path.join(root, run)
    os.makedirs(target)
    names = sorted((n for n in os.listdir(os.path.join(source, run)) if n.startswith("checkpoint-")), key=step_of)
    for count, name in enumerate(names, 1):
        part = os.path.join(staging, name)
        shutil.copytree(os.path.join(source, run, name), part)
        os.rename(part, os.path.join(target, name))
        deadline = time.monotonic() + 300
        while weighed(url, run) < count:
            if time.monotonic() > deadline:
                sys.exit(f"{run}: {name} was not weighed in five minutes")
            time.sleep(0.1)
        if count > KEPT:
            shutil.rmtree(os.path.join(target, names[count - 1 - KEPT]))
    return [step_of(name) for name in names]


def tensors_of(oddity, body):
    """Names of the tensors that an oddity names."""
    if oddity == "swapped":
        return {name for swap in body for name in (swap["tensor"], swap["with"])}
    if oddity == "copied":
        return {name for pair in body for name in pair}
    return set(body["tensors"]) if oddity == "went_back" else set()


def judge(label, steps, events):
    """What is wrong with the answer for this run, and a line about it."""
    kind, onset = label["kind"], label["onset_step"]
    wanted = FAULTS.get(kind)
    wrong, lines = [], []
    for event in events:
        step = event["key"]["step"]
        ((oddity, body),) = event["oddity"].items()
        if wanted is None or (oddity, step) != (wanted, onset):
            wrong.append(f"{oddity} at step {step} is not so: {json.dumps(body)[:200]}")
            continue
        named, expected = tensors_of(oddity, body), set(label["tensors"])
        if named - expected:
            wrong.append(f"{oddity} names {sorted(named - expected)} too")
        lines.append(f"{oddity} at step {step}" + (f", {len(named)} of {len(expected)} tensors" if expected else "")
                     + (f", as at step {body['step']}" if oddity == "again" else "")
                     + (f", as at step {body['to']['step']}" if oddity == "went_back" else ""))
    if wanted and not lines:
        wrong.append(f"{wanted} at step {onset} was not told")
    return wrong, "; ".join(lines) or f"nothing odd in {len(steps)} checkpoints"


def main():
    source, labels = os.path.realpath(sys.argv[1]), [json.loads(line) for line in open(sys.argv[2])]
    binary = sys.argv[3] if len(sys.argv) > 3 else "target/release/weighbridge"
    chosen = [label for label in labels if label["kind"] in FAULTS or label["kind"].startswith("healthy")]
    chosen = [label for label in chosen if os.path.isdir(os.path.join(source, label["run"]))]
    bad = 0
    with tempfile.TemporaryDirectory() as work:
        root, store, staging = (os.path.join(work, name) for name in ("runs", "store", "staging"))
        os.mkdir(root), os.mkdir(staging)
        config = os.path.join(work, "config.yml")
        open(config, "w").write("weigh: {tier: 1}\n")
        log = open(os.path.join(work, "log"), "w+")
        arguments = ["watch", root, "--store", store, "--config", config, "--listen", "127.0.0.1:0"]
        daemon = subprocess.Popen([binary, *arguments], stderr=log)
        try:
            found = None
            while not found:
                time.sleep(0.1)
                found = re.search(r'listen="([^"]+)"', open(log.name).read())
            steps = {label["run"]: play(f"http://{found.group(1)}", source, root, label["run"], staging) for label in chosen}
        finally:
            daemon.terminate()
            daemon.wait()
        shutil.rmtree(root)
        for label in chosen:
            command = [binary, "trajectory", label["run"], "--store", store, "--format", "json"]
            answer = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
            wrong, line = judge(label, steps[label["run"]], answer["events"])
            print(f"{label['run']}: {line}" + "".join(f"\n    WRONG: {what}" for what in wrong), flush=True)
            bad += bool(wrong)
        size = sum(os.path.getsize(os.path.join(at, f)) for at, _, files in os.walk(store) for f in files)
        sick = sum(label["kind"] in FAULTS for label in chosen)
        print(f"{len(chosen)} runs, {sick} of them sick, {bad} judged wrongly; {size / 1e6:.0f} MB of store")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
