#!/usr/bin/env python3
"""Distances that the store tells from sketches, against exact ones from the checkpoints' files.

    python3 benches/store/distances.py RUN… [--weighbridge BINARY] [--pairs 40]

Each RUN holds checkpoint-N directories with safetensors files. It is weighed into a store of its own; for pairs of steps,
chosen by a fixed seed, `weighbridge distance` answers from the store, and numpy from the files, in 64-bit floats. A
distance that lies z standard errors off should do so as often as a normal number: 99.7 % within 3, a root mean square of 1.
Prints a row of a table a run. Needs numpy and safetensors.
"""

import argparse
import json
import os
import random
import subprocess
import tempfile

import numpy as np
from safetensors import safe_open


def tensors_of(directory):
    """Every tensor of a checkpoint as 64-bit floats."""
    found = {}
    for name in sorted(os.listdir(directory)):
        if name.endswith(".safetensors"):
            with safe_open(os.path.join(directory, name), "pt") as file:
                found.update({key: file.get_tensor(key).double().numpy().ravel() for key in file.keys()})
    return found


def figures(errors):
    """Root mean square and largest of errors in standard errors, and the share within 3."""
    errors = np.abs(np.array(errors))
    share = np.mean(errors <= 3)
    return f"{np.sqrt(np.mean(errors**2)):.2f} | {errors.max():.1f} | {share * 100:.1f} %"


def measure(run, binary, pairs, work):
    name = os.path.basename(run)
    store, config = os.path.join(work, name), os.path.join(work, "config.yml")
    open(config, "w").write("weigh: {tier: 1}\n")
    subprocess.run([binary, "replay", run, "--store", store, "--config", config], check=True, capture_output=True)
    steps = sorted(int(d.rsplit("-", 1)[1]) for d in os.listdir(run) if d.startswith("checkpoint-"))
    every = [(a, b) for at, a in enumerate(steps) for b in steps[at + 1 :]]
    chosen = random.Random(name).sample(every, min(pairs, len(every)))
    whole, single, relative, exact_ones, sketched = [], [], [], [], 0
    for a, b in sorted(chosen):
        command = [binary, "distance", name, str(a), str(b), "--store", store, "--format", "json"]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        before, after = (tensors_of(os.path.join(run, f"checkpoint-{step}")) for step in (a, b))
        assert not told["not_compared"] and len(told["tensors"]) == len(before), told["not_compared"]
        squares = {tensor: float(np.sum((before[tensor] - after[tensor]) ** 2)) for tensor in before}
        exact = np.sqrt(sum(squares.values()))
        whole.append((told["distance"] - exact) / told["standard_error"])
        relative.append(abs(told["distance"] / exact - 1))
        for of in told["tensors"]:
            difference = of["distance"] - np.sqrt(squares[of["tensor"]])
            if of["standard_error"] > 0:
                sketched += 1
                single.append(difference / of["standard_error"])
            else:
                exact_ones.append(abs(difference) / max(np.sqrt(squares[of["tensor"]]), 1e-12))
    print(f"| {name} | {len(steps)} | {len(chosen)} | {np.mean(relative) * 100:.2f} % | {figures(whole)} "
          f"| {sketched} | {figures(single)} | {len(exact_ones)}, {max(exact_ones, default=0):.0e} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--weighbridge", default="target/release/weighbridge")
    parser.add_argument("--pairs", type=int, default=40)
    given = parser.parse_args()
    print("| run | checkpoints | pairs | mean relative error | rms z | largest z | within 3 | sketched tensors | rms z | largest z "
          "| within 3 | tensors kept whole, largest relative error |")
    with tempfile.TemporaryDirectory() as work:
        for run in given.runs:
            measure(os.path.realpath(run), given.weighbridge, given.pairs, work)


if __name__ == "__main__":
    main()
