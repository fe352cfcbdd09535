#!/usr/bin/env python3
"""Trains small labelled runs, healthy and sick, for the detection benchmark.

    python benches/detection/train.py OUT --seed 21 [--only NAME,…] [--jobs 2] [--spacings 10,15,20]
    weighbridge replay OUT/before --store STORE
    weighbridge replay OUT/runs --store STORE --config OUT/weighbridge.yaml
    weighbridge findings --store STORE --format jsonl > findings.jsonl
    python benches/detection/score.py OUT/labels.jsonl findings.jsonl

Family (Llama, Qwen2 and GPT-2 by their names), layers, width, heads, optimizer, learning rate, decay, batch, spacing and
number of checkpoints are drawn for every run from its name and the seed. It trains on the Python standard library's own
text, one byte a token, and saves as the Hugging Face Trainer saves: checkpoint-N with safetensors, config.json and
trainer_state.json, the last one written last. A fault begins right after a clean checkpoint, at a random place in the
middle third; labels.jsonl says where, and which tensors may be blamed. OUT/before has what a run that went back to an older
step had written until then; OUT/weighbridge.yaml announces what was planned. kinds.py has the kinds.

Needs torch, numpy and safetensors (CPU is enough).
"""
import argparse, copy, json, math, os, random, shutil, sysconfig
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from kinds import HEALTHY, KINDS
from models import draw
from optimizers import DECAYS, PEAKS, build

WINDOW = 64


def texts():
    root = Path(sysconfig.get_paths()["stdlib"])
    code = b"".join(path.read_bytes() for path in sorted(root.glob("*.py"))[:150])
    return dict(code=code, backwards=code[::-1], prose=(root / "pydoc_data" / "topics.py").read_bytes())


def rate(schedule, step, steps):
    warm = steps // 12
    if step < warm: return step / warm
    part = (step - warm) / (steps - warm)
    if schedule == "constant": return 1.0
    if schedule == "linear": return 1 - part
    if schedule == "decay_tail": return min(1.0, (1 - part) * 4)
    if schedule == "restarts" and part < 1: part = 2 * part % 1
    return 0.5 * (1 + math.cos(math.pi * part))


class Run:
    def __init__(self, out, name, seed, spacings):
        self.kind, self.rng = KINDS[name](), random.Random(f"{name}-{seed}")
        rng, kind = self.rng, self.kind
        torch.manual_seed(rng.randrange(2**31))
        self.texts, self.data, self.scale, self.skip, self.averaged = texts(), "code", 1.0, 0, None
        self.saves_adapters, self.prefix = False, "base_model.model."
        self.every, self.count = rng.choice(spacings), rng.randrange(22, 30)
        self.name, self.out, self.optimizer_kind = f"{name}-s{seed}", out, rng.choice(kind.optimizers)
        self.directory, self.checkpoints, self.log, self.losses = out / "runs" / self.name, [], [], []
        self.recipe = dict(lr=rng.choice(PEAKS[self.optimizer_kind]), b2=rng.choice([0.95, 0.999]), decay=rng.choice(DECAYS.get(self.optimizer_kind, [0.01, 0.1])),
                           batch=rng.choice([3, 4, 6]), clip=1.0)
        self.model = draw(rng, kind.families)
        self.width, self.steps, self.frozen = self.model.config.get("hidden_size") or self.model.config["n_embd"], self.every * self.count, set()
        with torch.no_grad(): kind.configure(self)
        self.optimizer = build(self.optimizer_kind, self.model, self.recipe)
        if kind.warm_steps:
            for step in range(kind.warm_steps): self.learn(self.recipe["lr"] * kind.warm_times * min(1, step / 50))
            with torch.no_grad(): kind.warmed(self)
            self.optimizer, self.losses = build(self.optimizer_kind, self.model, self.recipe), []
        self.average = copy.deepcopy(self.model) if self.averaged else None

    # What kinds ask for.
    def freeze(self, names):
        self.frozen |= set(names)
        for n, p in self.model.named_parameters():
            if n in self.frozen: p.requires_grad_(False); p.grad = None

    def announce(self, names):
        prefix = sorted({n.split(f".{part}.")[0] + f".{part}.*" for n in names for part in n.split(".") if part.isdigit()})
        entry = dict(run=self.name, frozen=prefix, from_step=self.step, why="lower layers frozen as planned")
        with open(self.out / "expected.jsonl", "a") as f: f.write(json.dumps(entry) + "\n")

    def train_another(self, steps):
        mine, self.model = (self.model, self.optimizer, self.losses), copy.deepcopy(self.model)
        for p in self.model.parameters():
            p.data = torch.randn_like(p) * 0.02 if p.dim() == 2 else p.data
        self.optimizer = build(self.optimizer_kind, self.model, self.recipe)
        with torch.enable_grad():
            for step in range(steps): self.learn(self.recipe["lr"] * min(1, step / 30))
        other, (self.model, self.optimizer, self.losses) = self.model, mine
        return other

    def state(self):
        return copy.deepcopy(dict(model=self.model.state_dict(), optimizer=self.optimizer.state_dict(), log=self.log, step=self.step))

    def restore(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer = build(self.optimizer_kind, self.model, self.recipe)
        self.optimizer.load_state_dict(state["optimizer"])
        self.log, self.step, self.losses = state["log"], state["step"], []

    def resume(self): self.restore(self.state())

    def go_back(self, checkpoints):
        shutil.copytree(self.directory, self.out / "before" / self.name)
        self.checkpoints = self.checkpoints[:-checkpoints]; self.restore(self.kept[self.checkpoints[-1]])

    def parts(self, tensors):
        names = sorted(tensors); size = -(-len(names) // self.kind.shards)
        return [names[i:i + size] for i in range(0, len(names), size)]

    def load(self, step):
        return {n: t for path in sorted((self.directory / f"checkpoint-{step}").glob("*.safetensors")) for n, t in load_file(path).items()}

    # Training.
    def batch(self):
        rows = []
        if self.data == "loop":
            starts = range(0, 16 * WINDOW, WINDOW)
            return torch.tensor([list(self.texts["code"][at:at + WINDOW + 1]) for at in self.rng.choices(starts, k=self.recipe["batch"])])
        for _ in range(self.recipe["batch"]):
            text = self.texts.get(self.data)
            at = self.rng.randrange(len(text) - WINDOW - 1) if text else 0
            rows.append(list(text[at:at + WINDOW + 1] if text else self.rng.randbytes(WINDOW + 1)))
        return torch.tensor(rows)

    def learn(self, lr):
        for group in self.optimizer.param_groups: group["lr"] = lr
        ids = self.batch()
        loss = F.cross_entropy(self.model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        balance = sum(part.balance for part in self.model.modules() if hasattr(part, "balance"))
        self.optimizer.zero_grad(); (loss + 0.02 * balance).backward()
        clip = self.recipe["clip"]
        norm = nn.utils.clip_grad_norm_([p for p in self.model.parameters() if p.grad is not None], clip or 1e9)
        self.optimizer.step(); self.losses.append(float(loss.detach()))
        return float(norm)

    def train(self):
        kind = self.kind
        onset = 1 if kind.at_start else self.rng.randrange(self.count // 3, self.count * 2 // 3) + 1
        self.step, self.kept, begun = 0, {}, kind.at_start
        while self.step < self.steps:
            if self.step == (onset - 1) * self.every and not begun:
                begun = True
                with torch.no_grad(): kind.begin(self)
            self.step += 1
            lr = self.recipe["lr"] * rate(kind.schedule, self.step, self.steps) * self.scale
            norm = self.learn(lr)
            with torch.no_grad():
                if begun: kind.step(self)
                if self.average:
                    for mean, p in zip(self.average.parameters(), self.model.parameters()): mean.lerp_(p, 1 - self.averaged)
            if self.step % max(1, self.every // 3) == 0:
                line = dict(step=self.step, loss=sum(self.losses) / len(self.losses))
                self.log.append(line | (dict(learning_rate=lr, grad_norm=norm) if kind.logged else {})); self.losses = []
            if self.step % self.every == 0: self.save(begun and kind.sick, onset)
        return dict(run=self.name, kind=self.name.rsplit("-", 1)[0], sick=kind.sick, abrupt=kind.abrupt, hidden=kind.hidden,
                    onset_step=onset * self.every if kind.sick else None, tensors=sorted(set(kind.blame)), family=self.model.config["model_type"],
                    optimizer=self.optimizer_kind, layers=self.model.layers, width=self.width, every=self.every, checkpoints=self.count,
                    **{key: value for key, value in self.recipe.items()})

    def save(self, is_sick, onset):
        if self.skip: self.skip -= 1; return
        # An adapter's base is not saved.
        own = {self.prefix + n: p for n, p in self.model.named_parameters() if "lora_" in n} if self.saves_adapters else None
        is_spoilt = is_sick and not (self.kind.once and self.step != onset * self.every)
        tensors = {n: p.detach().clone() for n, p in (own or dict((self.average or self.model).named_parameters())).items()}
        self.kind.written(self, tensors)
        if is_spoilt: self.kind.saved(self, tensors)
        if self.kind.saved_dtype: tensors = {n: t.to(self.kind.saved_dtype) for n, t in tensors.items()}
        place = self.directory / f"checkpoint-{self.step}"; place.mkdir(parents=True, exist_ok=True)
        parts = self.parts(tensors)
        whole = "adapter_model.safetensors" if own else "model.safetensors"
        names = [whole] if len(parts) == 1 else [f"model-{i + 1:05}-of-{len(parts):05}.safetensors" for i in range(len(parts))]
        for part, name in zip(parts, names): save_file({n: tensors[n].contiguous() for n in part}, place / name, metadata={"format": "pt"})
        if len(parts) > 1:
            size = sum(t.numel() * t.element_size() for t in tensors.values())
            index = dict(metadata=dict(total_size=size), weight_map={n: name for part, name in zip(parts, names) for n in part})
            (place / "model.safetensors.index.json").write_text(json.dumps(index))
        if is_spoilt: self.kind.spoil(self, place)
        if own: (place / "adapter_config.json").write_text(json.dumps(dict(peft_type="LORA", r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])))
        else: (place / "config.json").write_text(json.dumps(self.model.config))
        (place / "trainer_state.json").write_text(json.dumps(dict(global_step=self.step, max_steps=self.steps, log_history=self.log)))
        self.checkpoints.append(self.step)
        if "older_step" in self.name: self.kept[self.step] = self.state()


def one(out, name, seed, spacings):
    torch.set_num_threads(1)
    label = Run(out, name, seed, spacings).train()
    with open(out / "labels.jsonl", "a") as f: f.write(json.dumps(label) + "\n")
    return label


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", type=Path); ap.add_argument("--seed", type=int, default=21); ap.add_argument("--only", default="")
    ap.add_argument("--jobs", type=int, default=os.cpu_count())
    ap.add_argument("--spacings", default="10,15,20", help="steps between two checkpoints; a run draws one of these")
    a = ap.parse_args(); names = [n for n in a.only.split(",") if n] or [*KINDS]
    (a.out / "before").mkdir(parents=True, exist_ok=True); (a.out / "expected.jsonl").touch()
    with ProcessPoolExecutor(a.jobs) as pool:
        for label in pool.map(one, [a.out] * len(names), names, [a.seed] * len(names), [[int(n) for n in a.spacings.split(",")]] * len(names)):
            print(label["run"], label["family"], label["optimizer"], "onset", label["onset_step"], flush=True)
    entries = [json.loads(line) for line in open(a.out / "expected.jsonl")]
    # JSON is YAML.
    (a.out / "weighbridge.yaml").write_text(json.dumps(dict(detect=dict(expected=entries)), indent=1) + "\n")


if __name__ == "__main__":
    main()
