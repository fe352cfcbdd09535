#!/usr/bin/env python3
"""Trains small labelled runs, healthy and sick, for the detection benchmark.

    python benches/detection/train.py OUT --seed 7 [--only NAME,…] [--steps 800 --every 25]
    weighbridge replay OUT/runs --store STORE
    weighbridge findings --store STORE --format jsonl > findings.jsonl
    python benches/detection/score.py OUT/labels.jsonl findings.jsonl

A decoder of its own size, optimizer and learning rate is drawn for every run from its name and the seed, trained on the
Python standard library's own text, one byte a token, and saved as the Hugging Face Trainer saves: checkpoint-N with
model.safetensors, config.json and trainer_state.json, the last one written last. A fault begins right after a clean
checkpoint, at a random place in the middle third; labels.jsonl says where, and which tensors may be blamed.

Needs torch and safetensors (CPU is enough).
"""
import argparse, json, math, random, sysconfig
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.input_layernorm, self.post_attention_layernorm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.self_attn = nn.ModuleDict({n: nn.Linear(width, width, bias=False) for n in ("q_proj", "k_proj", "v_proj", "o_proj")})
        self.mlp = nn.ModuleDict(dict(gate_proj=nn.Linear(width, 3 * width, bias=False), up_proj=nn.Linear(width, 3 * width, bias=False),
                                      down_proj=nn.Linear(3 * width, width, bias=False)))

    def forward(self, x):
        b, t, d = x.shape
        y = self.input_layernorm(x)
        q, k, v = (self.self_attn[n](y).view(b, t, self.heads, -1).transpose(1, 2) for n in ("q_proj", "k_proj", "v_proj"))
        x = x + self.self_attn["o_proj"](F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, d))
        y = self.post_attention_layernorm(x)
        return x + self.mlp["down_proj"](F.silu(self.mlp["gate_proj"](y)) * self.mlp["up_proj"](y))


class Decoder(nn.Module):
    def __init__(self, layers, width, heads):
        super().__init__()
        self.config = dict(model_type="llama", architectures=["LlamaForCausalLM"], hidden_size=width, intermediate_size=3 * width,
                           num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=heads, vocab_size=256,
                           tie_word_embeddings=False)
        self.model = nn.ModuleDict(dict(embed_tokens=nn.Embedding(256, width), norm=nn.RMSNorm(width),
                                        layers=nn.ModuleList(Block(width, heads) for _ in range(layers))))
        self.positions = torch.randn(256, width) * 0.02
        self.lm_head = nn.Linear(width, 256, bias=False)
        for p in self.parameters():
            if p.dim() == 2: nn.init.normal_(p, std=0.02)

    def forward(self, ids):
        x = self.model["embed_tokens"](ids) + self.positions[: ids.shape[1]]
        for block in self.model["layers"]: x = block(x)
        return self.lm_head(self.model["norm"](x))


def matrices(model):
    return {n: p for n, p in model.named_parameters() if p.dim() == 2 and ".layers." in n}


def pick(model, rng, *words):
    return rng.choice([n for n in matrices(model) if not words or any(w in n for w in words)])


# A fault: begin(run) once, then step(run) after every optimizer step. `run` has model, optimizer, rng, blame, keep.
def freeze(run):
    layer = run.rng.randrange(run.model.config["num_hidden_layers"])
    run.blame = [n for n, _ in run.model.named_parameters() if f".layers.{layer}." in n]
    for n, p in run.model.named_parameters():
        if n in run.blame: p.requires_grad_(False); p.grad = None


def reset_matrix(run):
    run.blame = [pick(run.model, run.rng)]; p = matrices(run.model)[run.blame[0]]
    p.data.normal_(0, float(p.std()))


def low_rank(run):
    run.blame = [pick(run.model, run.rng)]; p = matrices(run.model)[run.blame[0]]
    u, s, v = torch.linalg.svd(p.data, full_matrices=False); s[3:] = 0; p.data.copy_(u @ torch.diag(s) @ v)


def exchange(run):
    a, b = run.rng.sample(range(run.model.config["num_hidden_layers"]), 2); own = matrices(run.model)
    for n in [n for n in own if f".layers.{a}." in n]:
        m = n.replace(f".layers.{a}.", f".layers.{b}."); run.blame += [n, m]
        old = own[n].data.clone(); own[n].data.copy_(own[m].data); own[m].data.copy_(old)


def tile(run):
    run.blame = [pick(run.model, run.rng)]; p = matrices(run.model)[run.blame[0]]
    p.data[:16, :16] += torch.randn(16, 16) * 8 * float(p.std())


def grow(words, factor):
    def step(run):
        if not run.blame: run.blame = [run.rng.choice([n for n, _ in run.model.named_parameters() if any(w in n for w in words)])]
        dict(run.model.named_parameters())[run.blame[0]].data.mul_(factor)
    return step


def shrink_all(run):
    for p in matrices(run.model).values(): p.data.mul_(0.997)


def forget(run): run.optimizer.state.clear()
def raise_rate(run): run.scale = 12.0
def garbage(run): run.garbage = True
def poison(run): next(iter(matrices(run.model).values())).data.view(-1)[0] = float("nan")


# name: (begin, step, abrupt)
FAULTS = dict(frozen=(freeze, None, True), reset_matrix=(reset_matrix, None, True), low_rank=(low_rank, None, True), exchanged=(exchange, None, True),
              tile=(tile, None, True), gain_growth=(None, grow(["layernorm"], 1.012), False), query_growth=(None, grow(["q_proj"], 1.01), False),
              strong_decay=(None, shrink_all, False), lost_moments=(forget, None, True), rate_jump=(raise_rate, None, True),
              garbage=(garbage, None, True), live_nan=(poison, None, True))
HEALTHY = {f"healthy_{schedule}_{optimizer}": (schedule, optimizer) for schedule in ("cosine", "constant", "linear", "restarts")
           for optimizer in ("adamw", "adam", "sgd")}


class Run:
    pass


def rate(schedule, step, steps):
    warm = steps // 12
    if step < warm: return step / warm
    part = (step - warm) / (steps - warm)
    if schedule == "restarts": part = 2 * part % 1
    return dict(constant=1.0, linear=1 - part).get(schedule, 0.5 * (1 + math.cos(math.pi * part)))


def train(out, name, seed, steps, every):
    run = Run(); run.rng = rng = random.Random(f"{name}-{seed}"); torch.manual_seed(rng.randrange(2**31))
    run.blame, run.scale, run.garbage = [], 1.0, False
    schedule, optimizer = HEALTHY.get(name, ("cosine", "adamw"))
    width = rng.choice([48, 64, 96]); run.model = model = Decoder(rng.choice([3, 4, 5]), width, 4)
    peak = rng.choice([1e-3, 2e-3]) if optimizer != "sgd" else 0.05
    decay, b2 = rng.choice([0.01, 0.1]), rng.choice([0.95, 0.999])
    if optimizer == "sgd": run.optimizer = torch.optim.SGD(model.parameters(), lr=peak, momentum=0.9)
    elif optimizer == "adam": run.optimizer = torch.optim.Adam(model.parameters(), lr=peak, betas=(0.9, b2))
    else: run.optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, b2), weight_decay=decay)
    text = b"".join(p.read_bytes() for p in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:120])
    begin, after, abrupt = FAULTS.get(name, (None, None, True)); sick = name in FAULTS
    count = steps // every; onset = rng.randrange(count // 3, count * 2 // 3) + 1 if sick else None
    directory = out / "runs" / f"{name}-s{seed}"; log = []; losses = []
    for step in range(1, steps + 1):
        if sick and step == (onset - 1) * every + 1 and begin: begin(run)
        lr = peak * rate(schedule, step, steps) * run.scale
        for group in run.optimizer.param_groups: group["lr"] = lr
        rows = [rng.randbytes(97) if run.garbage else text[(i := rng.randrange(len(text) - 97)):i + 97] for _ in range(8)]
        ids = torch.tensor([list(row) for row in rows])
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        run.optimizer.zero_grad(); loss.backward()
        norm = float(nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 1.0)); run.optimizer.step()
        if sick and after and step > (onset - 1) * every:
            with torch.no_grad(): after(run)
        losses.append(float(loss.detach()))
        if step % max(1, every // 3) == 0:
            log.append(dict(step=step, loss=sum(losses) / len(losses), learning_rate=lr, grad_norm=norm)); losses = []
        if step % every == 0:
            place = directory / f"checkpoint-{step}"; place.mkdir(parents=True, exist_ok=True)
            save_file({n: p.detach().clone() for n, p in model.named_parameters()}, place / "model.safetensors", metadata={"format": "pt"})
            (place / "config.json").write_text(json.dumps(model.config))
            (place / "trainer_state.json").write_text(json.dumps(dict(global_step=step, max_steps=steps, log_history=log)))
    return dict(run=directory.name, kind=name, sick=sick, onset_step=onset * every if sick else None, tensors=sorted(set(run.blame)), abrupt=abrupt)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", type=Path); ap.add_argument("--seed", type=int, default=7); ap.add_argument("--only", default="")
    ap.add_argument("--steps", type=int, default=800); ap.add_argument("--every", type=int, default=25)
    a = ap.parse_args(); torch.set_num_threads(1); a.out.mkdir(parents=True, exist_ok=True)
    for name in [n for n in a.only.split(",") if n] or [*FAULTS, *HEALTHY]:
        label = train(a.out, name, a.seed, a.steps, a.every)
        with open(a.out / "labels.jsonl", "a") as f: f.write(json.dumps(label) + "\n")
        print(label["run"], "onset", label["onset_step"], flush=True)


if __name__ == "__main__":
    main()
