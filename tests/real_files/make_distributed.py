"""Distributed checkpoints of two and four local processes, with what torch puts together from them.

Run: python make_distributed.py FOLDER (needs torch, transformers, xxhash; megatron-core for the cases of its name)
"""
import os
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
warnings.filterwarnings("ignore")
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp

from say import expect, moments

PORT = 29611


def started(rank, count):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(PORT), RANK=str(rank), WORLD_SIZE=str(count), LOCAL_RANK=str(rank))
    dist.init_process_group("gloo", rank=rank, world_size=count)
    torch.manual_seed(5)


def llama():
    from transformers import LlamaConfig, LlamaForCausalLM
    return LlamaForCausalLM(LlamaConfig(vocab_size=41, hidden_size=24, intermediate_size=36, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2))


def step(model, optimizer):
    ids = torch.randint(0, 41, (2, 7))
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()


def fsdp2(rank, count, folder):
    from torch.distributed.checkpoint.state_dict import get_state_dict
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    started(rank, count)
    model, mesh = llama(), init_device_mesh("cpu", (count,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    adam = torch.optim.AdamW(model.parameters())
    step(model, adam)
    state, found = get_state_dict(model, adam)
    dcp.save({"model": state, "optimizer": found, "train_state": {"step": torch.tensor(30)}, "lr_scheduler": {"last_epoch": 3}}, checkpoint_id=f"{folder}/step-30")
    dist.destroy_process_group()


def fsdp1(rank, count, folder):
    """As Accelerate saves a sharded state: model and optimizer in folders of their own."""
    from torch.distributed.fsdp import FullyShardedDataParallel, ShardedOptimStateDictConfig, ShardedStateDictConfig, StateDictType
    started(rank, count)
    model = FullyShardedDataParallel(llama(), device_id=torch.device("cpu"), use_orig_params=True)
    adam = torch.optim.AdamW(model.parameters())
    step(model, adam)
    with FullyShardedDataParallel.state_dict_type(model, StateDictType.SHARDED_STATE_DICT, ShardedStateDictConfig(offload_to_cpu=True), ShardedOptimStateDictConfig(offload_to_cpu=True)):
        state, found = model.state_dict(), FullyShardedDataParallel.optim_state_dict(model, adam)
    dcp.save({"model": state}, checkpoint_id=f"{folder}/checkpoint-7/pytorch_model_fsdp_0")
    dcp.save({"optimizer": found}, checkpoint_id=f"{folder}/checkpoint-7/optimizer_0")
    if rank == 0:
        Path(folder, "checkpoint-7", "trainer_state.json").write_text('{"global_step": 7, "log_history": []}')
    dist.destroy_process_group()


def tensor_parallel(rank, count, folder):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
    started(rank, count)
    model, mesh = llama(), init_device_mesh("cpu", (count,))
    for layer in model.model.layers:
        parallelize_module(layer, mesh, {"mlp.gate_proj": ColwiseParallel(), "mlp.up_proj": ColwiseParallel(), "mlp.down_proj": RowwiseParallel(),
                                         "self_attn.q_proj": ColwiseParallel(), "self_attn.o_proj": RowwiseParallel()})
    dcp.save({"model": model.state_dict()}, checkpoint_id=f"{folder}/step-5")
    dist.destroy_process_group()


def hub_storage(rank, count, folder):
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict import get_model_state_dict
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    started(rank, count)
    model = fully_shard(llama(), mesh=init_device_mesh("cpu", (count,)))
    state = get_model_state_dict(model)
    dcp.save(state, storage_writer=HuggingFaceStorageWriter(f"{folder}/step-9", save_distributed=True))
    whole = {name: value.full_tensor() for name, value in state.items()}
    if rank == 0:
        torch.save(whole, f"{folder}/whole")
    dist.destroy_process_group()


def megatron(rank, count, folder):
    """Megatron core's distributed checkpoint of a tensor-parallel GPT with its optimizer's names."""
    from megatron.core import dist_checkpointing, parallel_state
    from megatron.core.dist_checkpointing import ShardedTensor
    started(rank, count)
    parallel_state.initialize_model_parallel(tensor_model_parallel_size=count)
    torch.cuda.synchronize, torch.cuda.current_device = lambda *_: None, lambda: "cpu"  # there is no accelerator to wait for
    iteration = Path(folder, "iter_0000100")
    if rank == 0:
        iteration.mkdir(parents=True)
    dist.barrier()
    piece = lambda key, values, axis: ShardedTensor.from_rank_offsets(key, values, (axis, rank, count))
    whole = lambda key, values: ShardedTensor.from_rank_offsets(key, values, replica_id=rank)
    torch.manual_seed(rank)
    qkv, up = torch.randn(2, 24 // count, 8), torch.randn(2, 32 // count, 8)
    torch.manual_seed(9)
    norm = torch.randn(2, 8)
    state = {"qkv": piece("decoder.layers.self_attention.linear_qkv.weight", qkv, 1), "up": piece("decoder.layers.mlp.linear_fc1.weight", up, 1),
             "norm": whole("decoder.final_layernorm.weight", norm[0]), "moment": piece("optimizer.state.exp_avg.decoder.layers.mlp.linear_fc1.weight", up * 0.1, 1),
             "square": piece("optimizer.state.exp_avg_sq.decoder.layers.mlp.linear_fc1.weight", up.square(), 1),
             "iteration": 100, "args": {"num_layers": 2}, "checkpoint_version": 3.0}
    dist_checkpointing.save(state, str(iteration))
    parts = [None] * count
    dist.all_gather_object(parts, (qkv, up))
    if rank == 0:
        Path(folder, "latest_checkpointed_iteration.txt").write_text("100")
        torch.save({"decoder.layers.self_attention.linear_qkv.weight": torch.cat([p[0] for p in parts], 1),
                    "decoder.layers.mlp.linear_fc1.weight": torch.cat([p[1] for p in parts], 1), "decoder.final_layernorm.weight": norm[0]}, f"{folder}/whole")
    dist.destroy_process_group()


def loaded(path):
    """Everything of a distributed checkpoint, as torch's own converter puts it together."""
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
    with tempfile.TemporaryDirectory() as scratch:
        dcp_to_torch_save(str(path), f"{scratch}/all.pt")
        return torch.load(f"{scratch}/all.pt", weights_only=False)


def main(folder):
    global PORT
    for make in (fsdp2, fsdp1, tensor_parallel, hub_storage, megatron):
        for count in (2, 4):
            PORT += 1
            base = folder / f"{make.__name__}_{count}"
            base.mkdir(parents=True, exist_ok=True)
            try:
                mp.spawn(run, (make, count, str(base), PORT), nprocs=count)
                tell(make, folder, base)
            except Exception as error:
                print(f"{make.__name__} {count}: {type(error).__name__}: {str(error)[-600:]}")


def run(rank, make, count, folder, port):
    global PORT
    PORT = port
    make(rank, count, folder)


def tell(make, folder, base):
    name = base.name
    whole = base / "whole"
    if whole.exists():
        path, steps = ("step-9", 9) if make is hub_storage else ("iter_0000100", 100)
        expect(folder, name, f"{name}/{path}", torch.load(whole), step=steps)
        whole.unlink()
    elif make is fsdp1:
        state = loaded(base / "checkpoint-7/pytorch_model_fsdp_0")["model"]
        found = loaded(base / "checkpoint-7/optimizer_0")["optimizer"]["state"]
        expect(folder, name, f"{name}/checkpoint-7", state, step=7, optimizer=moments(found.values()))
    else:
        everything = loaded(base / ("step-30" if make is fsdp2 else "step-5"))
        found = moments(everything["optimizer"]["state"].values()) if "optimizer" in everything else None
        path, steps = ("step-30", 30) if make is fsdp2 else ("step-5", 5)
        expect(folder, name, f"{name}/{path}", everything["model"], step=steps, optimizer=found)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
