"""The kinds of runs: faults with their onset, and healthy things that look alarming.

A kind's methods get `run`, which has model, optimizer, rng, recipe and more; see train.py. `begin` comes once, right after
the last clean checkpoint; `step` after every optimizer step from then on; `saved` may change what a checkpoint's file will
hold (`written` in clean ones too), `spoil` the directory; `warmed` comes after the training that a run begins from. `blame` is what a finding may rightly name (empty: the whole model, or a file).
"""
import re

import torch

from models import adapt

LLAMAS, ALL = ("llama", "qwen2"), ("llama", "qwen2", "gpt2")
NORMALISING = ("adamw", "adamw", "adamw", "adam", "adafactor", "lion", "muon")
ANY = NORMALISING + ("sgd",)


class Kind:
    """Healthy unless said otherwise."""
    sick = abrupt = at_start = once = False
    families, optimizers, schedule = ALL, ("adamw", "adam", "lion", "muon"), "cosine"
    shards, warm_steps, warm_times, saved_dtype, logged = 1, 0, 1, None, True
    hidden = False  # the weights show it hardly or not at all

    def __init__(self): self.blame = []
    def configure(self, run): pass
    def warmed(self, run): pass
    def begin(self, run): pass
    def step(self, run): pass
    def written(self, run, tensors): pass
    def saved(self, run, tensors): pass
    def spoil(self, run, place): pass


class Abrupt(Kind):
    sick = abrupt = True
    optimizers = ANY


class Slow(Kind):
    sick = True
    optimizers = ANY


def layer_of(name): return next((int(part) for part in name.split(".") if part.isdigit()), None)
def named(run): return dict(run.model.named_parameters())
def matrices(run): return {n: p for n, p in named(run).items() if p.dim() == 2 and layer_of(n) is not None}
def in_layer(run, layer, *words): return [n for n in named(run) if layer_of(n) == layer and (not words or any(w in n for w in words))]
def other(name, a, b): return ".".join(str(b) if part == str(a) else part for part in name.split("."))
def embedding(run): return next(n for n in named(run) if n.endswith(("embed_tokens.weight", "wte.weight")))


class OneMatrix(Abrupt):
    """Something happens to one matrix of a layer, once."""
    def begin(self, run):
        name = run.rng.choice(sorted(matrices(run))); self.blame = [name]
        self.change(run, matrices(run)[name])


# ---------------------------------------------------------------- faults in live weights, abrupt
class ResetMatrix(OneMatrix):
    def change(self, run, p): p.normal_(0, float(p.std()))
class LowRank(OneMatrix):
    def change(self, run, p):
        u, s, v = torch.linalg.svd(p, full_matrices=False); s[3:] = 0; p.copy_(u @ torch.diag(s) @ v)
class Tile(OneMatrix):
    """A corrupted tile of 16 by 16."""
    def change(self, run, p): p[:16, :16] += torch.randn(16, 16) * 8 * float(p.std())
class LostBlock(OneMatrix):
    """Half of the rows are zero: one rank's part was not gathered."""
    def change(self, run, p): p[: p.shape[0] // 2] = 0
class Scaled(OneMatrix):
    """Loaded with a wrong scale."""
    def change(self, run, p): p.mul_(4)
class Transposed(OneMatrix):
    """A square matrix was loaded with inputs and outputs exchanged."""
    def begin(self, run):
        name = run.rng.choice(sorted(n for n, p in matrices(run).items() if p.shape[0] == p.shape[1])); self.blame = [name]
        matrices(run)[name].copy_(matrices(run)[name].T.clone())


class SwappedLayers(Abrupt):
    def begin(self, run):
        a, b = run.rng.sample(range(run.model.layers), 2)
        self.blame = in_layer(run, a) + in_layer(run, b)
        for n in in_layer(run, a):
            x, y = named(run)[n], named(run)[other(n, a, b)]
            old = x.clone(); x.copy_(y); y.copy_(old)


class FrozenLayer(Abrupt):
    def begin(self, run): self.blame = in_layer(run, run.rng.randrange(run.model.layers)); run.freeze(self.blame)


class FrozenMatrix(Abrupt):
    def begin(self, run): self.blame = [run.rng.choice(sorted(matrices(run)))]; run.freeze(self.blame)


class OptimizerStalls(Abrupt):
    """Steps are counted and logged, nothing is updated."""
    def begin(self, run): self.keep = {n: p.clone() for n, p in named(run).items()}
    def step(self, run):
        for n, p in named(run).items(): p.copy_(self.keep[n])


class DeadHead(Abrupt):
    """One head's output weights and its value (GPT-2) or query weights are zero from then on."""
    def begin(self, run):
        heads, layer = run.model.heads, run.rng.randrange(run.model.layers); head = run.rng.randrange(heads); self.cut = []
        for n in in_layer(run, layer):
            p = named(run)[n]; size = run.width // heads; own = slice(head * size, (head + 1) * size)
            if n.endswith("attn.c_attn.weight"): self.cut.append((n, p[:, 2 * run.width:][:, own]))
            if n.endswith("attn.c_proj.weight"): self.cut.append((n, p[own]))
            if n.endswith("o_proj.weight"): self.cut.append((n, p[:, own]))
            if n.endswith("q_proj.weight"): self.cut.append((n, p[own]))
        self.blame = [n for n, _ in self.cut]; self.step(run)
    def step(self, run):
        for _, part in self.cut: part.zero_()


class DyingUnits(Abrupt):
    """A third of one feed-forward block's units never fires again."""
    families = ("gpt2",)
    def begin(self, run):
        self.blame = in_layer(run, run.rng.randrange(run.model.layers), "mlp")
        for n in self.blame:
            if n.endswith("c_fc.bias"): named(run)[n][: named(run)[n].numel() // 3] = -50.0


class ShuffledPositions(Abrupt):
    families = ("gpt2",)
    def begin(self, run):
        self.blame = ["transformer.wpe.weight"]; p = named(run)[self.blame[0]]; p.copy_(p[torch.randperm(p.shape[0])])


class OtherRun(Abrupt):
    """Goes on from the weights of another run of the same recipe."""
    def begin(self, run):
        for p, q in zip(run.model.parameters(), run.train_another(run.every * 4).parameters()): p.copy_(q)


class LiveNan(Abrupt):
    def begin(self, run): next(iter(matrices(run).values())).view(-1)[0] = float("nan")
class LostMoments(Abrupt):
    hidden = True
    def begin(self, run): run.optimizer.forget()
class RateJump(Abrupt):
    def begin(self, run): run.scale = 12.0
class Garbage(Abrupt):
    hidden = True
    def begin(self, run): run.data = "garbage"


# ---------------------------------------------------------------- faults in files
class NanElement(Abrupt):
    once = True
    def saved(self, run, tensors):
        n = run.rng.choice(sorted(n for n in tensors if tensors[n].dim() == 2)); self.blame = [n]
        tensors[n].view(-1)[run.rng.randrange(tensors[n].numel())] = float("nan")


class InfiniteRow(Abrupt):
    once = True
    def saved(self, run, tensors):
        n = run.rng.choice(sorted(n for n in tensors if tensors[n].dim() == 2)); self.blame = [n]
        tensors[n][run.rng.randrange(tensors[n].shape[0])] = float("inf")


class BitFlip(Abrupt):
    """The highest exponent bit of one stored element."""
    once = True
    def saved(self, run, tensors):
        n = run.rng.choice(sorted(n for n in tensors if tensors[n].dim() == 2)); self.blame = [n]
        tensors[n].view(torch.int32).view(-1)[run.rng.randrange(tensors[n].numel())] ^= 1 << 30


class DuplicateLayer(Abrupt):
    """A layer is saved in another one's place too, from then on."""
    def begin(self, run): self.pair = run.rng.sample(range(run.model.layers), 2)
    def saved(self, run, tensors):
        a, b = self.pair
        for n in in_layer(run, a): tensors[other(n, a, b)] = tensors[n].clone()
        self.blame = in_layer(run, a) + in_layer(run, b)


class Requantized(Abrupt):
    """The file still says float32, but every matrix went through eight-bit integers."""
    def saved(self, run, tensors):
        self.blame = sorted(matrices(run))
        for n in self.blame:
            scale = tensors[n].abs().max() / 127; tensors[n] = (tensors[n] / scale).round() * scale


class Rollback(Abrupt):
    """One checkpoint has the weights of a much older one."""
    once = True
    def saved(self, run, tensors): tensors.update(run.load(run.checkpoints[len(run.checkpoints) // 3]))


class StaleShard(Abrupt):
    shards, once = 3, True
    def saved(self, run, tensors):
        names = run.rng.choice(run.parts(tensors)); old = run.load(run.checkpoints[len(run.checkpoints) // 2])
        for n in names: tensors[n] = old[n]
        self.blame = sorted(names)


class MissingTensor(Abrupt):
    once = True
    def saved(self, run, tensors): self.blame = [run.rng.choice(sorted(matrices(run)))]; del tensors[self.blame[0]]
class MissingShard(Abrupt):
    shards, once = 3, True
    def spoil(self, run, place): run.rng.choice(sorted(place.glob("model-*"))).unlink()
class Truncated(Abrupt):
    once = True
    def spoil(self, run, place):
        path = place / "model.safetensors"; data = path.read_bytes(); path.write_bytes(data[: len(data) * 2 // 3])


# ---------------------------------------------------------------- slow faults
class Diverges(Slow):
    """A learning rate forty times too high from the first step, and no clipping."""
    at_start, optimizers = True, ("adamw", "adam")
    def configure(self, run): run.recipe["lr"] *= 40; run.recipe["clip"] = None


class GainGrowth(Slow):
    def begin(self, run): self.blame = [run.rng.choice([n for n, p in named(run).items() if p.dim() == 1 and n.endswith("weight") and layer_of(n) is not None])]
    def step(self, run): named(run)[self.blame[0]].mul_(1.012)


class LogitGrowth(Slow):
    """Queries and keys of one layer grow a little every step."""
    def begin(self, run): self.blame = [n for n in in_layer(run, run.rng.randrange(run.model.layers), "c_attn.weight", "q_proj.weight", "k_proj.weight")]
    def step(self, run):
        for n in self.blame: named(run)[n][:, : 2 * run.width if "c_attn" in n else None].mul_(1.008)


class SlowRank(Slow):
    def begin(self, run): self.blame = [run.rng.choice(sorted(matrices(run)))]
    def step(self, run):
        p = named(run)[self.blame[0]]; u, s, v = torch.linalg.svd(p, full_matrices=False); s[3:] *= 0.99; p.copy_(u @ torch.diag(s) @ v)


class HeavyTails(Slow):
    """Student-t noise of 1.5 degrees of freedom leaks into one matrix."""
    def begin(self, run): self.blame = [run.rng.choice(sorted(matrices(run)))]; self.law = torch.distributions.StudentT(1.5)
    def step(self, run): p = named(run)[self.blame[0]]; p.add_(self.law.sample(p.shape).clamp(-60, 60) * float(p.std()) * 0.01)


class StrongDecay(Slow):
    def step(self, run):
        for p in matrices(run).values(): p.mul_(0.997)


class EmbeddingCollapse(Slow):
    def begin(self, run): self.blame = [embedding(run)]
    def step(self, run): p = named(run)[self.blame[0]]; p.lerp_(p.mean(0, keepdim=True).expand_as(p), 0.02)


class EmbeddingShrink(Slow):
    """A decay that acts on the embedding alone."""
    def begin(self, run): self.blame = [embedding(run)]
    def step(self, run): named(run)[self.blame[0]].mul_(0.997)


class DecayOff(Slow):
    """Weight decay is switched off. An untied embedding has rows that no gradient moves, and they tell."""
    families, optimizers = ("llama",), ("adamw",)
    def configure(self, run): run.recipe["decay"] = 0.1
    def begin(self, run):
        for group in run.optimizer.param_groups: group["weight_decay"] = 0.0


class ClippedToNothing(Slow):
    """Gradients are clipped to a norm of a millionth."""
    optimizers = ("sgd",)
    def begin(self, run): run.recipe["clip"] = 1e-6


class LoopedData(Slow):
    """Sixteen windows of the text, again and again."""
    hidden = True
    def begin(self, run): run.data = "loop"


class GateUpAlignment(Slow):
    """Five units of one layer square their input more and more."""
    families = LLAMAS
    def begin(self, run):
        layer = run.rng.randrange(run.model.layers); self.blame = in_layer(run, layer, "gate_proj.weight", "up_proj.weight")
    def step(self, run):
        gate, up = (named(run)[n][:5] for n in sorted(self.blame))
        up.add_(gate * up.norm(dim=1, keepdim=True) / gate.norm(dim=1, keepdim=True), alpha=0.02)


class UntiedHead(Abrupt):
    """The head was tied to the embedding and goes its own way; it is in the file from the first checkpoint on."""
    families = ("qwen2",)
    def begin(self, run): self.blame = ["lm_head.weight", embedding(run)]; self.own = named(run)[embedding(run)].clone()
    def step(self, run): self.own.add_(torch.randn_like(self.own), alpha=1e-4)
    def written(self, run, tensors): tensors["lm_head.weight"] = (self.own if self.blame else tensors[embedding(run)]).clone()


class Bf16Stall(Slow):
    """Weights and optimizer in bfloat16 at a rate whose steps are rounded away."""
    at_start, warm_steps, optimizers, families = True, 200, ("adamw",), LLAMAS
    rate = 1e-5
    def warmed(self, run): run.recipe["lr"] = self.rate; run.model.to(torch.bfloat16)
class Bf16StallFaster(Bf16Stall):
    rate = 1e-4


# ---------------------------------------------------------------- adapters and mixtures of experts
class Adapters(Kind):
    """Low-rank adapters on weights that were trained before; only they are saved, as PEFT does."""
    families, optimizers, warm_steps, alpha = LLAMAS, ("adamw",), 200, 8
    def warmed(self, run):
        adapt(run.model, alpha=self.alpha); run.saves_adapters = True; run.recipe["lr"], run.data = 1e-3, "prose"


class AdapterStill(Adapters):
    """B is never trained, and the adapter does nothing."""
    sick, at_start = True, True
    def warmed(self, run):
        super().warmed(run); names = [n for n in named(run) if "lora_B" in n]
        run.freeze(names); self.blame = [run.prefix + n for n in names]


class AdapterScale(Adapters):
    """The factor of all adapters is sixteen times what it was."""
    sick = True
    def begin(self, run):
        for part in run.model.modules():
            if hasattr(part, "lora_A"): part.scale *= 16


class AdapterCollapse(Adapters):
    """All adapters lose every direction but one."""
    sick = True
    def begin(self, run): self.blame = [run.prefix + n for n in named(run) if "lora_" in n]
    def step(self, run):
        for n, p in named(run).items():
            if "lora_" in n: u, s, v = torch.linalg.svd(p, full_matrices=False); s[1:] *= 0.9; p.copy_(u @ torch.diag(s) @ v)


class Experts(Kind):
    """A mixture of experts."""
    families, optimizers = ("mixtral",), ("adamw",)
    def one(self, run):
        self.layer, (self.expert, self.other) = run.rng.randrange(run.model.layers), run.rng.sample(range(4), 2)
        return [n for n in in_layer(run, self.layer) if f".experts.{self.expert}." in n]
    def moe(self, run): return run.model.model["layers"][self.layer].block_sparse_moe


class ExpertDeath(Experts):
    """The router never chooses one expert again; the optimizer goes on decaying it."""
    sick = True
    def begin(self, run): self.blame = self.one(run); self.moe(run).offset[self.expert] = -20


class ExpertUnstepped(Experts):
    """The same where the optimizer passes over what has no gradient."""
    sick = True
    def begin(self, run): self.blame = self.one(run); self.moe(run).offset[self.expert] = -20; run.freeze(self.blame)


class ExpertCopy(Experts):
    """One expert is overwritten with another, and training goes on."""
    sick = abrupt = True
    def begin(self, run):
        self.blame = self.one(run)
        for n in self.blame: named(run)[n].copy_(named(run)[n.replace(f".experts.{self.expert}.", f".experts.{self.other}.")])
class ExpertCopyInFile(Experts):
    """One expert is saved in another one's place too, from then on."""
    sick = abrupt = True
    def begin(self, run): self.blame = self.one(run)
    def saved(self, run, tensors):
        for n in self.blame: tensors[n] = tensors[n.replace(f".experts.{self.expert}.", f".experts.{self.other}.")].clone()


# ---------------------------------------------------------------- healthy
class RareExpert(Experts):
    """One expert is seldom chosen."""
    def configure(self, run): self.one(run); self.moe(run).offset[self.expert] = -1.5
class Upcycled(Experts):
    """All experts of a layer begin alike."""
    def configure(self, run):
        for n, p in named(run).items():
            if ".experts." in n and ".experts.0." not in n: p.copy_(named(run)[re.sub(r"experts\.\d", "experts.0", n)])
class StrongAdapters(Adapters):
    alpha = 64
class SlowBf16(Kind):
    """At a tiny rate most of a float32 weight's steps do not show in the bfloat16 that is saved."""
    warm_steps, saved_dtype, optimizers, families = 200, torch.bfloat16, ("adamw",), LLAMAS
    rate = 1e-5
    def warmed(self, run): run.recipe["lr"] = self.rate
class FasterBf16(SlowBf16):
    rate = 1e-4
class NoDecay(Kind):
    families, optimizers = ("llama",), ("adamw",)
    def configure(self, run): run.recipe["decay"] = 0.0
class DecayedLlama(NoDecay):
    def configure(self, run): run.recipe["decay"] = 0.1
class SavedHead(Kind):
    """The head is saved beside the embedding that it is tied to."""
    families = ("qwen2",)
    def written(self, run, tensors): tensors["lm_head.weight"] = tensors[embedding(run)].clone()


def plain(optimizer, schedule="cosine"): return type(f"Healthy_{optimizer}_{schedule}", (Kind,), dict(optimizers=(optimizer,), schedule=schedule))


class DoubleRate(Kind):
    def configure(self, run): run.recipe["lr"] *= 2
class StrongDecayRecipe(Kind):
    """A decay of 0.3 from the start is a recipe."""
    optimizers = ("adamw", "muon")
    def configure(self, run): run.recipe["decay"] = 0.3
class NoClipping(Kind):
    optimizers = ("adamw", "adam")
    def configure(self, run): run.recipe["clip"] = None
class Bf16(Kind):
    """Trained in float32, saved in bfloat16."""
    saved_dtype = torch.bfloat16
class Fp16(Kind):
    saved_dtype = torch.float16
class Sharded(Kind):
    shards = 3
class Unlogged(Kind):
    """The trainer logs no learning rate and no gradient norm."""
    logged = False
class DomainShift(Kind):
    """From Python to English prose."""
    def begin(self, run): run.data = "prose"
class BackwardText(Kind):
    def begin(self, run): run.data = "backwards"
class Accumulation(Kind):
    """Four times the batch from the middle on; the log does not tell."""
    def begin(self, run): run.recipe["batch"] *= 4
class FineTuning(Kind):
    """A tenth of the rate, from weights that were trained before."""
    warm_steps, warm_times = 200, 10
    def configure(self, run): run.recipe["lr"] /= 10
class Resume(Kind):
    """Stopped and resumed from a checkpoint with the optimizer's state."""
    def begin(self, run): run.resume()
class OlderStep(Kind):
    """Stopped, and begun again four checkpoints earlier; what is written again replaces what was there."""
    def begin(self, run): run.go_back(4)
class Gap(Kind):
    """Two checkpoints were never saved."""
    def begin(self, run): run.skip = 2
class Averaged(Kind):
    """What is saved is the moving average of the weights."""
    def configure(self, run): run.averaged = 0.95
class FrozenEmbedding(Kind):
    """Never trained, by design."""
    def configure(self, run): run.freeze([embedding(run)])
class AnnouncedFreeze(Kind):
    """Lower layers are frozen as planned, and announced in the configuration."""
    def begin(self, run):
        names = [n for layer in range(run.model.layers // 2) for n in in_layer(run, layer)]
        run.freeze(names); run.announce(names)
class ZeroInit(Kind):
    """The blocks' output matrices start at zero."""
    def configure(self, run):
        for n, p in matrices(run).items():
            if n.endswith(("o_proj.weight", "down_proj.weight", "c_proj.weight")): p.zero_()


FAULTS = dict(
    reset_matrix=ResetMatrix, low_rank=LowRank, tile=Tile, lost_block=LostBlock, scaled=Scaled, transposed=Transposed, swapped_layers=SwappedLayers,
    frozen_layer=FrozenLayer, frozen_matrix=FrozenMatrix, optimizer_stalls=OptimizerStalls, dead_head=DeadHead, dying_units=DyingUnits,
    shuffled_positions=ShuffledPositions, other_run=OtherRun, live_nan=LiveNan, lost_moments=LostMoments, rate_jump=RateJump, garbage=Garbage,
    nan_element=NanElement, infinite_row=InfiniteRow, bit_flip=BitFlip, duplicate_layer=DuplicateLayer, requantized=Requantized, rollback=Rollback,
    stale_shard=StaleShard, missing_tensor=MissingTensor, missing_shard=MissingShard, truncated=Truncated, diverges=Diverges, gain_growth=GainGrowth,
    logit_growth=LogitGrowth, slow_rank=SlowRank, heavy_tails=HeavyTails, strong_decay=StrongDecay, embedding_collapse=EmbeddingCollapse,
    embedding_shrink=EmbeddingShrink, decay_off=DecayOff, clipped_to_nothing=ClippedToNothing, looped_data=LoopedData, gate_up_alignment=GateUpAlignment,
    untied_head=UntiedHead, bf16_stall=Bf16Stall, bf16_stall_faster=Bf16StallFaster, adapter_still=AdapterStill, adapter_scale=AdapterScale,
    adapter_collapse=AdapterCollapse, expert_death=ExpertDeath, expert_unstepped=ExpertUnstepped, expert_copy=ExpertCopy, expert_copy_in_file=ExpertCopyInFile)
HEALTHY = {f"healthy_{optimizer}": plain(optimizer) for optimizer in ("adamw", "adam", "sgd", "adafactor", "lion", "muon")} | {
    f"healthy_{schedule}": plain("adamw", schedule) for schedule in ("constant", "linear", "restarts", "decay_tail")} | dict(
    healthy_restarts_lion=plain("lion", "restarts"), healthy_constant_sgd=plain("sgd", "constant"), healthy_double_rate=DoubleRate,
    healthy_strong_decay=StrongDecayRecipe, healthy_no_clipping=NoClipping, healthy_bf16=Bf16, healthy_fp16=Fp16, healthy_sharded=Sharded,
    healthy_unlogged=Unlogged, healthy_domain_shift=DomainShift, healthy_backward_text=BackwardText, healthy_accumulation=Accumulation,
    healthy_fine_tuning=FineTuning, healthy_resume=Resume, healthy_older_step=OlderStep, healthy_gap=Gap, healthy_averaged=Averaged,
    healthy_frozen_embedding=FrozenEmbedding, healthy_announced_freeze=AnnouncedFreeze, healthy_zero_init=ZeroInit,
    healthy_adapters=Adapters, healthy_strong_adapters=StrongAdapters, healthy_mixture=Experts, healthy_rare_expert=RareExpert, healthy_upcycled=Upcycled,
    healthy_slow_bf16=SlowBf16, healthy_faster_bf16=FasterBf16, healthy_no_decay=NoDecay, healthy_decayed_llama=DecayedLlama, healthy_saved_head=SavedHead)
KINDS = FAULTS | HEALTHY
