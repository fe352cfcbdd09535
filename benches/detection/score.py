#!/usr/bin/env python3
"""Scores findings against the labels of train.py: recall, delay, right tensor, false alerts with 95 % bounds.

    python benches/detection/score.py OUT/labels.jsonl findings.jsonl

An alert is a finding of warning or critical. A fault counts as found by an alert at its onset checkpoint or at most one
(abrupt) or eight (slow) checkpoints later; it is named when one of the alert's first three tensors is in the label.
"""
import collections, json, sys
from pathlib import Path


def upper(k, n):
    """Exact 95 % upper bound of a share (Clopper-Pearson, one-sided), by bisection."""
    from math import comb
    low, high = k / n if n else 0.0, 1.0
    for _ in range(60):
        p = (low + high) / 2
        if sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)) > 0.05: low = p
        else: high = p
    return high


def main():
    labels = [json.loads(line) for line in open(sys.argv[1])]; root = Path(sys.argv[1]).parent / "runs"
    alerts = collections.defaultdict(list)
    for line in open(sys.argv[2]):
        finding = json.loads(line)
        if finding["severity"] != "info": alerts[finding["run"]].append(finding)
    found = named = nameable = early = calls = 0; sick = [l for l in labels if l["sick"]]; healthy = [l for l in labels if not l["sick"]]
    for label in sick:
        own = sorted(alerts[label["run"]], key=lambda f: f["step"])
        steps = sorted(int(p.name.split("-")[1]) for p in (root / label["run"]).glob("checkpoint-*")); at = steps.index(label["onset_step"])
        last = steps[min(len(steps) - 1, at + (1 if label["abrupt"] else 8))]
        hits = [f for f in own if steps[at] <= f["step"] <= last]; early += sum(f["step"] < steps[at] for f in own); calls += len(own)
        found += bool(hits); delay = steps.index(hits[0]["step"]) - at if hits else "-"; right = ""
        if hits and label["tensors"]:
            nameable += 1; ok = bool(set(hits[0]["tensors"][:3]) & set(label["tensors"])); named += ok; right = "named" if ok else "WRONG TENSOR"
        print(f"{'found ' if hits else 'MISSED'} {label['run']:28} delay {delay} {right} {[(f['detector'], f['step']) for f in own]}")
    for label in healthy:
        if alerts[label["run"]]: print(f"FALSE  {label['run']:28} {[(f['detector'], f['severity'], f['step']) for f in alerts[label['run']]]}")
    pages = sum(any(f["severity"] == "critical" for f in alerts[l["run"]]) for l in healthy); warnings = sum(f["severity"] == "warning" for l in healthy for f in alerts[l["run"]])
    print(f"found {found} of {len(sick)}, named {named} of {nameable}, early {early}, alerts a sick run {calls / max(1, len(sick)):.2f}")
    print(f"healthy runs with a critical {pages} of {len(healthy)} (95 % bound {upper(pages, len(healthy)):.2f}), warnings {warnings}")


if __name__ == "__main__":
    main()
