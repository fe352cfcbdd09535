"""The same tensors in every format, as their own libraries write them: for benches/reading.

Run: python make_files.py DIR [BLOCKS] (needs torch, safetensors, numpy). The tensors are the matrices of BLOCKS blocks of a Llama
of width 1024, 64 MiB each.
"""
import os
import sys
from pathlib import Path

import numpy
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file

target, blocks = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 4
width, inner = 1024, 4096


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            self.add_module(name, torch.nn.Linear(width, width, bias=False))
        for name, sizes in (("gate_proj", (width, inner)), ("up_proj", (width, inner)), ("down_proj", (inner, width))):
            self.add_module(name, torch.nn.Linear(*sizes, bias=False))


def model():
    torch.manual_seed(1)
    return torch.nn.ModuleDict({"layers": torch.nn.ModuleList(Block() for _ in range(blocks))})


def whole():
    target.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.clone() for name, tensor in model().state_dict().items()}
    save_file(tensors, target / "model.safetensors")
    torch.save(tensors, target / "model.pt")
    torch.save(tensors, target / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({name: tensor.t() for name, tensor in tensors.items()}, target / "transposed.pt")
    dcp.save(tensors, checkpoint_id=target / "dcp")
    numpy.savez(target / "model.npz", **{name: tensor.numpy() for name, tensor in tensors.items()})


def plan(kind):
    """How a trainer lays the matrices over its ranks."""
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel

    # The names speak of the transposed matrix: "colwise" cuts what torch stores as rows.
    one, other = ColwiseParallel, RowwiseParallel
    second = {"dcp_rows": one, "dcp_parallel": other, "dcp_columns": other}[kind]
    first = other if kind == "dcp_columns" else one
    style = {"o_proj": second, "down_proj": second}
    names = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    return {f"layers.{block}.{name}": style.get(name, first)() for block in range(blocks) for name in names}


def rank(rank, ways, kind):
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import parallelize_module

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29519")
    dist.init_process_group("gloo", rank=rank, world_size=ways)
    split = parallelize_module(model(), init_device_mesh("cpu", (ways,)), plan(kind))
    dcp.save(split.state_dict(), checkpoint_id=str(target / kind))
    dist.destroy_process_group()


if __name__ == "__main__":
    whole()
    # Rows of every matrix, as FSDP has them; tensor parallelism, which cuts the two that lead out of a block by columns; columns
    # of every matrix, which no trainer writes.
    for kind in ("dcp_rows", "dcp_parallel", "dcp_columns"):
        torch.multiprocessing.spawn(rank, (2, kind), nprocs=2)
