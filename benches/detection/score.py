#!/usr/bin/env python3
"""Scores findings against the labels of train.py: recall, delay, right tensor, false alerts, with 95 % bounds.

    python benches/detection/score.py OUT/labels.jsonl findings.jsonl

An alert is a finding of warning or critical. A fault counts as found by an alert at its onset checkpoint or at most one
(abrupt) or eight (slow) checkpoints later; it is named when one of the alert's first three tensors is in the label. Shares
come with the exact one-sided bound of Clopper and Pearson that counts: the lower one of what should happen, the upper one of
what should not. Kinds that weights hardly show (`hidden` in the label) are counted, and once more left out.
"""
import collections, json, sys
from math import comb
from pathlib import Path


def tail(k, n, p): return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


def at_most(k, n):
    """95 % upper bound of a share, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        p = (low + high) / 2
        low, high = (p, high) if tail(k, n, p) > 0.05 else (low, p)
    return high if k < n else 1.0


def at_least(k, n): return 1 - at_most(n - k, n)
def share(k, n): return f"{k} of {n}" + (f" (at least {at_least(k, n):.0%})" if n else "")


class Scored:
    """A sick run with what was told about it."""

    def __init__(self, label, alerts, root):
        self.label, self.alerts = label, sorted(alerts, key=lambda finding: finding["step"])
        steps = sorted(int(path.name.split("-")[1]) for path in (root / label["run"]).glob("checkpoint-*"))
        at = steps.index(label["onset_step"]); last = steps[min(len(steps) - 1, at + (1 if label["abrupt"] else 8))]
        hits = [finding for finding in self.alerts if steps[at] <= finding["step"] <= last]
        self.early = [finding for finding in self.alerts if finding["step"] < steps[at]]
        self.found, self.delay = bool(hits), steps.index(hits[0]["step"]) - at if hits else None
        self.nameable = bool(hits and label["tensors"] and hits[0]["tensors"])
        self.named = self.nameable and bool(set(hits[0]["tensors"][:3]) & set(label["tensors"]))

    def line(self):
        l = self.label; told = [(finding["detector"], finding["severity"], finding["step"]) for finding in self.alerts]
        where = " ".join(str(l[key]) for key in ("family", "optimizer", "layers", "width", "every") if key in l)
        word = "WRONG TENSOR" if self.nameable and not self.named else ""
        return f"{'found ' if self.found else 'MISSED'} {l['run']:26} {where:28} onset {l['onset_step']} delay {self.delay} {word} {told}"


def sums(title, scored):
    abrupt = [one for one in scored if one.label["abrupt"]]; slow = [one for one in scored if not one.label["abrupt"]]
    named = [one for one in scored if one.nameable]; calls = [len(one.alerts) for one in scored]
    print(f"{title}: abrupt found {share(sum(o.found for o in abrupt), len(abrupt))}, slow {share(sum(o.found for o in slow), len(slow))}, "
          f"named {share(sum(o.named for o in named), len(named))}")
    if not scored: return
    early = [finding for one in scored for finding in one.early]; critical = sum(finding["severity"] == "critical" for finding in early)
    print(f"  before onset: {critical} critical, {len(early) - critical} warnings in {len(scored)} runs; "
          f"alerts a sick run {sum(calls) / len(calls):.2f}, at most {max(calls)}")


def main():
    labels = [json.loads(line) for line in open(sys.argv[1])]; root = Path(sys.argv[1]).parent / "runs"
    alerts = collections.defaultdict(list)
    for line in open(sys.argv[2]):
        finding = json.loads(line)
        if finding["severity"] != "info": alerts[finding["run"]].append(finding)
    scored = [Scored(label, alerts[label["run"]], root) for label in labels if label["sick"]]
    for one in sorted(scored, key=lambda one: (one.found, one.label["run"])): print(one.line())
    healthy = [label for label in labels if not label["sick"]]
    for label in healthy:
        told = [(finding["detector"], finding["severity"], finding["step"], finding["summary"][:80]) for finding in alerts[label["run"]]]
        if told: print(f"FALSE  {label['run']:26} {label.get('family')} {label.get('optimizer')} {label.get('layers')} {label.get('width')} {told}")
    sums("all sick runs", scored)
    sums("without hidden kinds", [one for one in scored if not one.label.get("hidden")])
    for optimizer in sorted({one.label.get("optimizer", "?") for one in scored}):
        sums(f"under {optimizer}", [one for one in scored if one.label.get("optimizer", "?") == optimizer])
    counts = {severity: sum(any(f["severity"] == severity for f in alerts[l["run"]]) for l in healthy) for severity in ("critical", "warning")}
    warnings = sum(f["severity"] == "warning" for l in healthy for f in alerts[l["run"]])
    for severity, count in counts.items(): print(f"healthy runs with a {severity}: {count} of {len(healthy)} (at most {at_most(count, len(healthy)):.0%})")
    print(f"warnings on healthy runs: {warnings}, {warnings / max(1, len(healthy)):.2f} a run")


if __name__ == "__main__":
    main()
