"""The same tensors in every format, as their own libraries write them: for benches/reading.

Run: python make_files.py DIR [MEBIBYTES] (needs torch, safetensors, numpy)
"""
import sys
from pathlib import Path

import numpy
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file

target, mebibytes = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 256
width, count = 1024, mebibytes // 4


def whole():
    target.mkdir(parents=True, exist_ok=True)
    tensors = {f"layers.{index}.weight": torch.randn(width, width) for index in range(count)}
    save_file(tensors, target / "model.safetensors")
    torch.save(tensors, target / "model.pt")
    torch.save(tensors, target / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({name: tensor.t() for name, tensor in tensors.items()}, target / "transposed.pt")
    dcp.save(tensors, checkpoint_id=target / "dcp")
    numpy.savez(target / "model.npz", **{name: tensor.numpy() for name, tensor in tensors.items()})


def ranks(rank, ways, folder, dimension):
    """Chunks of rows or of columns, as sharded training writes them."""
    import os
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29519")
    dist.init_process_group("gloo", rank=rank, world_size=ways)
    torch.manual_seed(1)
    mesh = init_device_mesh("cpu", (ways,))
    dcp.save({f"layers.{i}.weight": distribute_tensor(torch.randn(width, width), mesh, [Shard(dimension)]) for i in range(count)}, checkpoint_id=folder)
    dist.destroy_process_group()


if __name__ == "__main__":
    whole()
    for name, dimension in [("dcp_rows", 0), ("dcp_columns", 1)]:
        torch.multiprocessing.spawn(ranks, (2, str(target / name), dimension), nprocs=2)
