"""Small decoders that name their tensors as Hugging Face's Llama, Qwen2, Mixtral and GPT-2 do, one byte a token; adapters as PEFT does."""
import functools, math

import torch
from torch import nn
from torch.nn import functional as F

VOCABULARY, LENGTH = 256, 128


class Conv1D(nn.Module):
    """GPT-2's linear layer: its matrix has the inputs first."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(inputs, outputs)), nn.Parameter(torch.zeros(outputs))

    def forward(self, x): return x @ self.weight + self.bias


def attend(q, k, v, heads):
    b, t, d = q.shape
    split = lambda x: x.view(b, t, -1, d // heads).transpose(1, 2)
    q, k, v = split(q), split(k), split(v)
    return q, k, v, lambda q, k: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True).transpose(1, 2).reshape(b, t, d)


@functools.cache
def angles(length, half):
    angle = torch.arange(length)[:, None] / 10_000 ** (torch.arange(half) / half)
    return angle.cos(), angle.sin()


def turn(x):
    """Rotary positions."""
    a, b = x.chunk(2, -1)
    cosine, sine = angles(x.shape[-2], a.shape[-1])
    return torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1).to(x.dtype)


class Mixture(nn.Module):
    """Mixtral's feed-forward block: the two likeliest of four experts, and their shares. `offset` is added to the router's logits."""

    def __init__(self, width, hidden, experts=4):
        super().__init__()
        self.gate = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(nn.ModuleDict(dict(w1=nn.Linear(width, hidden, bias=False), w2=nn.Linear(hidden, width, bias=False),
                                                        w3=nn.Linear(width, hidden, bias=False))) for _ in range(experts))
        self.register_buffer("offset", torch.zeros(experts), persistent=False)

    def forward(self, x):
        chance = (self.gate(x) + self.offset).softmax(-1)
        share, chosen = chance.topk(2, -1)
        used = torch.zeros_like(chance).scatter(-1, chosen, 1.0)
        # Switch's balancing loss: 1 where all experts get alike.
        self.balance = len(self.experts) * (used.flatten(0, 1).mean(0) / 2 * chance.flatten(0, 1).mean(0)).sum()
        share = torch.zeros(*x.shape[:-1], len(self.experts)).scatter(-1, chosen, share / share.sum(-1, keepdim=True))
        return sum(share[..., i, None] * e["w2"](F.silu(e["w1"](x)) * e["w3"](x)) for i, e in enumerate(self.experts))


class Adapted(nn.Module):
    """A linear layer that stands still, and a low-rank one beside it (LoRA)."""

    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base, self.scale = base, alpha / rank
        self.lora_A, self.lora_B = nn.Linear(base.in_features, rank, bias=False), nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x): return self.base(x) + self.scale * self.lora_B(self.lora_A(x))


def adapt(model, rank=4, alpha=8):
    """Adapters for queries and values; everything else stands still from now on."""
    for p in model.parameters(): p.requires_grad_(False)
    for block in model.model["layers"]:
        for part in ("q_proj", "v_proj"): block.self_attn[part] = Adapted(block.self_attn[part], rank, alpha)


class LlamaBlock(nn.Module):
    def __init__(self, width, heads, kv_heads, hidden, bias, mixture):
        super().__init__()
        self.mixture = mixture
        self.heads, narrow = heads, width // heads * kv_heads
        self.input_layernorm, self.post_attention_layernorm = nn.RMSNorm(width, eps=1e-6), nn.RMSNorm(width, eps=1e-6)
        self.self_attn = nn.ModuleDict(dict(q_proj=nn.Linear(width, width, bias=bias), k_proj=nn.Linear(width, narrow, bias=bias),
                                            v_proj=nn.Linear(width, narrow, bias=bias), o_proj=nn.Linear(width, width, bias=False)))
        if mixture:
            self.block_sparse_moe = Mixture(width, hidden)
            return
        self.mlp = nn.ModuleDict(dict(gate_proj=nn.Linear(width, hidden, bias=False), up_proj=nn.Linear(width, hidden, bias=False),
                                      down_proj=nn.Linear(hidden, width, bias=False)))

    def forward(self, x):
        y = self.input_layernorm(x)
        q, k, _, mix = attend(*(self.self_attn[n](y) for n in ("q_proj", "k_proj", "v_proj")), self.heads)
        x = x + self.self_attn["o_proj"](mix(turn(q), turn(k)))
        y = self.post_attention_layernorm(x)
        if self.mixture: return x + self.block_sparse_moe(y)
        return x + self.mlp["down_proj"](F.silu(self.mlp["gate_proj"](y)) * self.mlp["up_proj"](y))


class Llama(nn.Module):
    def __init__(self, kind, layers, width, heads, kv_heads):
        super().__init__()
        tied, mixture = kind == "qwen2", kind == "mixtral"
        self.layers, self.heads, hidden = layers, heads, 3 * width
        classes = dict(llama="LlamaForCausalLM", qwen2="Qwen2ForCausalLM", mixtral="MixtralForCausalLM")
        self.config = dict(model_type=kind, architectures=[classes[kind]], hidden_size=width,
                           intermediate_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads,
                           vocab_size=VOCABULARY, max_position_embeddings=LENGTH, rms_norm_eps=1e-6, tie_word_embeddings=tied)
        if mixture: self.config |= dict(num_local_experts=4, num_experts_per_tok=2)
        self.model = nn.ModuleDict(dict(embed_tokens=nn.Embedding(VOCABULARY, width), norm=nn.RMSNorm(width, eps=1e-6),
                                        layers=nn.ModuleList(LlamaBlock(width, heads, kv_heads, hidden, tied, mixture) for _ in range(layers))))
        if not tied: self.lm_head = nn.Linear(width, VOCABULARY, bias=False)
        for n, p in self.named_parameters():
            if p.dim() == 2: nn.init.normal_(p, std=0.02)
            elif n.endswith("bias"): nn.init.zeros_(p)

    def forward(self, ids):
        x = self.model["embed_tokens"](ids)
        for block in self.model["layers"]: x = block(x)
        x = self.model["norm"](x)
        return self.lm_head(x) if hasattr(self, "lm_head") else x @ self.model["embed_tokens"].weight.T


class GptBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.ModuleDict(dict(c_attn=Conv1D(width, 3 * width), c_proj=Conv1D(width, width)))
        self.mlp = nn.ModuleDict(dict(c_fc=Conv1D(width, 4 * width), c_proj=Conv1D(4 * width, width)))

    def forward(self, x):
        q, k, _, mix = attend(*self.attn["c_attn"](self.ln_1(x)).chunk(3, -1), self.heads)
        x = x + self.attn["c_proj"](mix(q, k))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, layers, width, heads):
        super().__init__()
        self.layers, self.heads = layers, heads
        self.config = dict(model_type="gpt2", architectures=["GPT2LMHeadModel"], n_embd=width, n_layer=layers, n_head=heads,
                           n_positions=LENGTH, n_ctx=LENGTH, vocab_size=VOCABULARY, tie_word_embeddings=True)
        self.transformer = nn.ModuleDict(dict(wte=nn.Embedding(VOCABULARY, width), wpe=nn.Embedding(LENGTH, width),
                                              h=nn.ModuleList(GptBlock(width, heads) for _ in range(layers)), ln_f=nn.LayerNorm(width)))
        for n, p in self.named_parameters():
            if p.dim() == 2: nn.init.normal_(p, std=0.02 / math.sqrt(2 * layers) if n.endswith("c_proj.weight") else 0.02)

    def forward(self, ids):
        parts = self.transformer
        x = parts["wte"](ids) + parts["wpe"].weight[: ids.shape[1]]
        for block in parts["h"]: x = block(x)
        return parts["ln_f"](x) @ parts["wte"].weight.T


def draw(rng, families):
    """A model of drawn family and size; the weights come from torch's own seed."""
    kind, heads = rng.choice(families), rng.choice([2, 4])
    layers, width = rng.randrange(2, 7), rng.choice([32, 48, 64, 96, 128])
    if kind == "gpt2": return Gpt2(layers, width, heads)
    return Llama(kind, layers, width, heads, rng.choice([heads, heads // 2]))
