"""Compares what weighbridge reads of real checkpoints with what their own library loads, element for element.

Each maker beside this file writes checkpoints with a real library into a folder of its own, and with them
`NAME.expected.json`: the path that is inspected and, for every tensor of the model, its dtype, shape and the
XXH3 of its bytes as the library loads them. `inspect --format json` tells the same of what it read.

Run: python compare.py WEIGHBRIDGE FOLDER (needs nothing else; the makers need xxhash)
"""
import json
import subprocess
import sys
from pathlib import Path


def inspected(program, path):
    run = subprocess.run([program, "inspect", str(path), "--tier", "1", "--format", "json"], capture_output=True, text=True)
    return (json.loads(run.stdout) if run.stdout else None), run.stderr.strip()


def compare(program, case):
    wanted = json.loads(case.read_text())
    found, said = inspected(program, case.parent / wanted["path"])
    if found is None:
        return [f"nothing was read: {said}"]
    tensors = {tensor["name"]: tensor for tensor in found["tensors"]}
    faults = [f"{name}: not there" for name in wanted["tensors"].keys() - tensors.keys()]
    faults += [f"{name}: nobody loads it" for name in tensors.keys() - wanted["tensors"].keys()]
    for name in sorted(wanted["tensors"].keys() & tensors.keys()):
        dtype, shape, digest = wanted["tensors"][name]
        tensor = tensors[name]
        if (tensor["dtype"], tensor["shape"]) != (dtype, shape):
            faults.append(f"{name}: {tensor['dtype']} {tensor['shape']} in place of {dtype} {shape}")
        elif tensor["content_hash"] != digest:
            faults.append(f"{name}: other values")
    checkpoint, model = found["checkpoint"], found["model"]
    if wanted.get("step") is not None and checkpoint["step"] != wanted["step"]:
        faults.append(f"step {checkpoint['step']} from {checkpoint['step_source']} in place of {wanted['step']}")
    if model["coverage_ratio"] != 1.0 and not wanted.get("partial"):
        faults.append(f"coverage {model['coverage_ratio']}, skipped {[s['name'] + ': ' + s['reason'] for s in model['skipped']][:4]}")
    metrics = model.get("metrics", {})
    for name, value in wanted.get("optimizer", {}).items():
        got = metrics.get(name)
        if got is None or abs(got - value) > 1e-6 * max(abs(value), 1e-30):
            faults.append(f"{name} is {got}, the library says {value}")
    faults += [f"problem: {p['path']}: {p['detail']}" for p in checkpoint["problems"]]
    print(f"{case.name[:-14]:40} {len(tensors):4} tensors, {checkpoint['layout']}, step {checkpoint['step']} ({checkpoint['step_source']}), optimizer {metrics.get('optimizer_tensors', 0):.0f}")
    return faults


if __name__ == "__main__":
    program, folder = sys.argv[1], Path(sys.argv[2])
    cases = sorted(folder.rglob("*.expected.json"))
    broken = 0
    for case in cases:
        faults = compare(program, case)
        broken += bool(faults)
        for fault in faults[:12]:
            print(f"   {fault}")
    print(f"{len(cases)} checkpoints, {broken} differ")
    sys.exit(bool(broken))
