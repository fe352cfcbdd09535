"""Checkpoints as trainers on one process write them, with what torch or safetensors loads from them.

Run: python make_trainers.py FOLDER [NAME ...] (needs torch, transformers, accelerate, peft, lightning, xxhash; composer,
bitsandbytes and torchao for the cases of their names)
"""
import os
import sys
import warnings
from pathlib import Path

import torch
from torch import nn

from say import expect, moments

warnings.filterwarnings("ignore")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
FOLDER = Path(sys.argv[1]).absolute()
torch.manual_seed(11)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.up, self.norm, self.down = nn.Embedding(30, 16), nn.Linear(16, 40), nn.LayerNorm(40), nn.Linear(40, 3)
        self.register_buffer("mask", torch.ones(4, 4, dtype=torch.bool).tril())

    def forward(self, x):
        return self.down(self.norm(self.up(self.wte(x)))).mean(1)


def trained(model, optimizer=torch.optim.AdamW, steps=3):
    optimizer = optimizer(model.parameters(), lr=1e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randint(0, 30, (8, 5))).square().sum().backward()
        optimizer.step()
    return optimizer


def states(optimizer):
    return moments(optimizer.state_dict()["state"].values())


def plain_torch(folder):
    model = Small()
    adam = trained(model)
    tensors = model.state_dict()
    save = lambda name, value, expected, **rest: (torch.save(value, folder / name), expect(folder, name, name, expected, **rest))
    save("nested_deep.pt", {"trainer": {"inner": {"state_dict": tensors}}, "step": 3}, {f"trainer.inner.state_dict.{k}": v for k, v in tensors.items()}, step=3)
    save("tuple_of_dicts.pt", (tensors, {"epoch": 3}), {f"0.{k}": v for k, v in tensors.items()})
    save("list_of_tensors.pt", list(tensors.values()), {str(i): v for i, v in enumerate(tensors.values())})
    save("model_and_optimizer.pt", {"model": tensors, "optimizer": adam.state_dict(), "global_step": 900}, tensors, step=900, optimizer=states(adam))
    save("model_optimizer_tuple.pt", (tensors, adam.state_dict()), {f"0.{k}": v for k, v in tensors.items()}, optimizer=states(adam))
    save("bare_state_dict_step_70.pt", tensors, tensors, step=70)
    save("half.pt", {k: v.bfloat16() if v.is_floating_point() else v for k, v in tensors.items()}, {k: v.bfloat16() if v.is_floating_point() else v for k, v in tensors.items()})
    save("whole_model.pt", model, tensors)
    save("data_parallel.pt", {"model_state_dict": nn.DataParallel(model).state_dict(), "optimizer_state_dict": adam.state_dict(), "iteration": 44}, tensors, step=44, optimizer=states(adam))
    compiled = {f"module._orig_mod.{k}": v for k, v in tensors.items()}
    save("compiled_parallel.pt", {"model": compiled, "iter_num": 12}, tensors, step=12)
    ema = torch.optim.swa_utils.AveragedModel(model)
    save("averaged.pt", {"model": tensors, "ema_model": ema.state_dict(), "step": 5}, tensors | {f"ema_model.{k}": v for k, v in ema.state_dict().items() if k != "n_averaged"} | {"ema_model.n_averaged": ema.n_averaged}, step=5)
    for kind in (torch.optim.SGD, torch.optim.Adagrad, torch.optim.RMSprop, torch.optim.Adamax, torch.optim.NAdam):
        other = Small()
        optimizer = trained(other, lambda p, lr: kind(p, lr=lr, momentum=0.9) if kind is torch.optim.SGD else kind(p, lr=lr))
        save(f"{kind.__name__.lower()}.pt", {"model": other.state_dict(), "optimizer": optimizer.state_dict(), "step": 3}, other.state_dict(), step=3, optimizer=states(optimizer))
    legacy = folder / "legacy.pt"
    torch.save({"model": tensors, "optimizer": adam.state_dict(), "step": 8}, legacy, _use_new_zipfile_serialization=False)
    expect(folder, "legacy.pt", "legacy.pt", tensors, step=8, optimizer=states(adam))


def lightning(folder):
    import lightning as pl
    from lightning.pytorch.callbacks import ModelCheckpoint

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = Small()

        def training_step(self, batch, _):
            return self.net(batch[0]).square().sum()

        def configure_optimizers(self):
            adam = torch.optim.Adam(self.parameters())
            return {"optimizer": adam, "lr_scheduler": torch.optim.lr_scheduler.StepLR(adam, 1)}

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randint(0, 30, (24, 5))), batch_size=2)
    saver = ModelCheckpoint(dirpath=folder / "run", save_top_k=-1, every_n_train_steps=4, save_last=True)
    pl.Trainer(max_epochs=1, logger=False, callbacks=[saver], enable_progress_bar=False, accelerator="cpu", enable_model_summary=False).fit(Module(), data)
    for file in sorted((folder / "run").glob("*.ckpt")):
        loaded = torch.load(file, weights_only=False)
        found = moments(loaded["optimizer_states"][0]["state"].values())
        expect(folder, file.stem, file.relative_to(folder), loaded["state_dict"], step=loaded["global_step"], optimizer=found)


def accelerate(folder):
    from accelerate import Accelerator
    from safetensors.torch import load_file
    accelerator = Accelerator(cpu=True)
    model = Small()
    adam = trained(model)
    model, adam = accelerator.prepare(model, adam)
    for safe in (True, False):
        path = folder / f"step_{20 + safe}"
        accelerator.save_state(str(path), safe_serialization=safe)
        loaded = load_file(path / "model.safetensors") if safe else torch.load(path / "pytorch_model.bin")
        found = moments(torch.load(path / "optimizer.bin")["state"].values())
        expect(folder, path.name, path.name, loaded, step=20 + safe, optimizer=found)


def hf_trainer(folder, peft=False):
    from safetensors.torch import load_file
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments
    config = LlamaConfig(vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True)
    model = LlamaForCausalLM(config)
    if peft:
        from peft import LoraConfig, get_peft_model
        model = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "down_proj"], modules_to_save=["lm_head"]))
    rows = [{"input_ids": (ids := torch.randint(0, 40, (9,)).tolist()), "labels": ids} for _ in range(24)]
    arguments = TrainingArguments(str(folder / "run"), max_steps=4, save_steps=2, report_to=[], use_cpu=True, per_device_train_batch_size=2, disable_tqdm=True)
    Trainer(model=model, args=arguments, train_dataset=rows).train()
    for path in sorted((folder / "run").glob("checkpoint-*")):
        loaded = load_file(path / ("adapter_model.safetensors" if peft else "model.safetensors"))
        found = moments(torch.load(path / "optimizer.pt")["state"].values())
        expect(folder, path.name, path.relative_to(folder), loaded, step=int(path.name.split("-")[1]), optimizer=found)


def peft_trainer(folder):
    hf_trainer(folder, peft=True)


def composer(folder):
    from composer import ComposerModel, Trainer

    class Model(ComposerModel):
        def __init__(self):
            super().__init__()
            self.net = Small()

        def forward(self, batch):
            return self.net(batch[0])

        def loss(self, outputs, batch):
            return outputs.square().sum()

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randint(0, 30, (24, 5)), torch.zeros(24)), batch_size=2)
    model = Model()
    Trainer(model=model, train_dataloader=data, max_duration="6ba", optimizers=torch.optim.AdamW(model.parameters()), save_folder=str(folder / "run"), save_interval="3ba", device="cpu", progress_bar=False).fit()
    for file in sorted((folder / "run").glob("ep*.pt")):
        loaded = torch.load(file, weights_only=False)["state"]
        found = moments(next(iter(loaded["optimizers"].values()))["state"].values())
        expect(folder, file.stem, file.relative_to(folder), loaded["model"], step=int(file.stem.split("-ba")[1].split("-")[0]), optimizer=found)


def quantised_optimizer(folder):
    import bitsandbytes
    model = Small()
    adam = trained(model, lambda p, lr: bitsandbytes.optim.AdamW8bit(p, lr=lr, min_8bit_size=64))
    torch.save({"model": model.state_dict(), "optimizer": adam.state_dict(), "step": 3}, folder / "eight_bit.pt")
    count = sum(isinstance(v, torch.Tensor) for s in adam.state_dict()["state"].values() for v in s.values())
    expect(folder, "eight_bit", "eight_bit.pt", model.state_dict(), step=3, optimizer={"optimizer_nan_elements": 0})


def subclasses(folder):
    from torchao.quantization import Int8WeightOnlyConfig, quantize_
    model = Small()
    kept = {k: v for k, v in model.state_dict().items() if k.split(".")[0] not in ("up", "down") or k.endswith("bias")}
    quantize_(model, Int8WeightOnlyConfig())
    torch.save({"model": model.state_dict(), "step": 9}, folder / "torchao.pt")
    expect(folder, "torchao", "torchao.pt", kept, step=9, partial=True)


MAKERS = [plain_torch, lightning, accelerate, hf_trainer, peft_trainer, composer, quantised_optimizer, subclasses]

if __name__ == "__main__":
    for make in MAKERS:
        if sys.argv[2:] and make.__name__ not in sys.argv[2:]:
            continue
        folder = FOLDER / make.__name__
        folder.mkdir(parents=True, exist_ok=True)
        try:
            make(folder)
        except Exception as error:
            print(f"{make.__name__}: {type(error).__name__}: {error}")
