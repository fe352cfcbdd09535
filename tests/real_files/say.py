"""Writes what a library loads of a checkpoint, for compare.py."""
import json
import math
from pathlib import Path

import torch
import xxhash

NAMES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
    "uint16": "U16", "int16": "I16", "float16": "F16", "bfloat16": "BF16", "uint32": "U32", "int32": "I32",
    "float32": "F32", "uint64": "U64", "int64": "I64", "float64": "F64",
}


def tensor(value):
    value = value.detach().cpu().contiguous()
    raw = value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
    return [NAMES[str(value.dtype).split(".")[-1]], list(value.shape), f"{xxhash.xxh3_64_intdigest(raw):016x}"]


def moments(states):
    """Totals of an optimizer's states, given as dictionaries of tensors by their own keys."""
    tensors = [(key, value) for state in states for key, value in state.items() if isinstance(value, torch.Tensor)]
    finite = lambda key: [value.double().flatten() for name, value in tensors if name == key]
    totals = {"optimizer_tensors": len(tensors), "optimizer_elements": sum(value.numel() for _, value in tensors)}
    for key, metric, power in [("exp_avg", "optimizer_first_moment_rms", 2), ("exp_avg_sq", "optimizer_second_moment_rms", 1)]:
        if finite(key):
            totals[metric] = math.sqrt((torch.cat(finite(key)) ** power).mean())
    if finite("step"):
        totals["optimizer_steps"] = max(float(value.max()) for value in finite("step"))
    return totals


def expect(folder, name, path, tensors, step=None, optimizer=None, partial=False):
    folder = Path(folder)
    case = {"path": str(path), "step": step, "partial": partial, "optimizer": optimizer or {},
            "tensors": {key: tensor(value) for key, value in tensors.items()}}
    (folder / f"{name}.expected.json").write_text(json.dumps(case))
