"""Optimizers of the benchmark: torch's own; Lion, which torch has not; Muon, whose steps torch takes in bfloat16, at a second each
on a processor without that type."""
import torch

# Peak learning rates that train these models well; a run draws one of them.
PEAKS = dict(adamw=(5e-4, 1e-3, 2e-3), adam=(5e-4, 1e-3, 2e-3), sgd=(0.03, 0.1), adafactor=(0.01, 0.03), lion=(1e-4, 3e-4), muon=(5e-4, 1e-3))


# Where it is coupled to the gradient, as in SGD, a decay of 0.1 would take 3 % of every weight a step.
DECAYS = dict(sgd=[0.0, 5e-4])


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023: the sign of an interpolation between gradient and momentum, with decoupled decay."""

    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None: continue
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_((m * b1 + p.grad * (1 - b1)).sign_(), alpha=-group["lr"])
                m.mul_(b2).add_(p.grad, alpha=1 - b2)


class Muon(torch.optim.Optimizer):
    """Jordan et al. 2024: momentum made orthogonal by five Newton-Schulz steps, as long as a step of AdamW (Moonshot's scale)."""

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None: continue
                m = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                x = p.grad.lerp(m, group["momentum"])
                if tall := x.shape[0] > x.shape[1]: x = x.T
                x = x / (x.norm() + 1e-7)
                for _ in range(5):
                    gram = x @ x.T
                    x = 3.4445 * x + (-4.775 * gram + 2.0315 * gram @ gram) @ x
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(x.T if tall else x, alpha=-group["lr"] * 0.2 * max(p.shape) ** 0.5)


class Together:
    """Muon for the layers' matrices and AdamW for the rest, as it is used."""

    def __init__(self, *optimizers): self.optimizers = optimizers
    @property
    def param_groups(self): return [group for one in self.optimizers for group in one.param_groups]
    def step(self): [one.step() for one in self.optimizers]
    def zero_grad(self): [one.zero_grad() for one in self.optimizers]
    def forget(self): [one.state.clear() for one in self.optimizers]
    def state_dict(self): return [one.state_dict() for one in self.optimizers]
    def load_state_dict(self, states): [one.load_state_dict(state) for one, state in zip(self.optimizers, states)]


def build(kind, model, recipe):
    """`recipe` has lr, b2 and decay. Gains and biases are not decayed."""
    named = list(model.named_parameters())
    groups = [dict(params=[p for _, p in named if p.dim() == 2], weight_decay=recipe["decay"]), dict(params=[p for _, p in named if p.dim() != 2], weight_decay=0.0)]
    lr, b2 = recipe["lr"], recipe["b2"]
    if kind == "adamw": one = torch.optim.AdamW(groups, lr=lr, betas=(0.9, b2), fused=True)
    elif kind == "adam": one = torch.optim.Adam([p for _, p in named], lr=lr, betas=(0.9, b2), fused=True)
    elif kind == "sgd": one = torch.optim.SGD(groups, lr=lr, momentum=0.9)
    elif kind == "adafactor": one = torch.optim.Adafactor(groups, lr=lr)
    elif kind == "lion": one = Lion(groups, lr=lr)
    else:
        inner = {n for n, p in named if p.dim() == 2 and any(part.isdigit() for part in n.split("."))}
        rest = [p for n, p in named if n not in inner]
        return Together(Muon([p for n, p in named if n in inner], lr=lr, weight_decay=recipe["decay"]),
                        torch.optim.AdamW(rest, lr=lr, betas=(0.9, b2), weight_decay=0.0))
    return Together(one)
