"""Muon for hidden matrices and AdamW for the rest, with a cosine schedule counted in steps."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from training.parallel import Team

_NOT_HIDDEN = ("embed", "head", "position", "relative", "slots", "patches")


class HybridOptimizer:
    """Muon on hidden matrices, AdamW on embeddings, norms, biases, heads and the patch embedding.

    `named`: `scale` multiplies the rate of that parameter. `muon_rate`, `adam_rate`: peak learning rates. `steps`,
    `warmup`: length of the schedule and of its rise.
    """

    def __init__(self, named: Iterable[tuple[str, nn.Parameter, float]], muon_rate: float, adam_rate: float,
                 weight_decay: float, steps: int, warmup: int) -> None:  # fmt: skip
        muon: dict[float, list[nn.Parameter]] = {}
        adam: dict[float, list[nn.Parameter]] = {}
        for name, parameter, scale in named:
            hidden = parameter.ndim == 2 and min(parameter.shape) >= 32 and not any(t in name for t in _NOT_HIDDEN)
            (muon if hidden else adam).setdefault(scale, []).append(parameter)
        self.steps, self.warmup = steps, warmup
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "adam": torch.optim.AdamW(
                [
                    {"params": group, "lr": adam_rate * scale, "peak": adam_rate * scale}
                    for scale, group in adam.items()
                ],
                weight_decay=weight_decay,
                betas=(0.9, 0.98),
            )
        }
        if muon:
            self.optimizers["muon"] = torch.optim.Muon(
                [
                    {"params": group, "lr": muon_rate * scale, "peak": muon_rate * scale}
                    for scale, group in muon.items()
                ],
                weight_decay=weight_decay,
                momentum=0.95,
                nesterov=True,
                adjust_lr_fn="match_rms_adamw",
            )

    def descend(self, loss: Tensor, step: int, team: Team) -> None:
        """Update the parameters with gradients averaged over the team and clipped to norm 1.

        `loss`: a scalar. `step`: sets the learning rates: a linear rise, then a cosine to almost nothing.
        """
        factor = min(1.0, (step + 1) / self.warmup) * (0.51 + 0.5 * math.cos(math.pi * step / self.steps))
        groups = [group for optimizer in self.optimizers.values() for group in optimizer.param_groups]
        for group in groups:
            group["lr"] = group["peak"] * factor
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        parameters = [parameter for group in groups for parameter in group["params"]]
        team.average_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in self.optimizers.values():
            optimizer.step()

    def state_tensors(self) -> dict[str, Tensor]:
        """Return the optimizers' state as named tensors."""
        return {
            f"{kind}.{index}.{name}": value if isinstance(value, Tensor) else torch.tensor(float(value))
            for kind, optimizer in self.optimizers.items()
            for index, state in optimizer.state_dict()["state"].items()
            for name, value in state.items()
        }

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state that `state_tensors` returned."""
        for kind, optimizer in self.optimizers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                owner, index, name = key.split(".", 2)
                if owner == kind:
                    state.setdefault(int(index), {})[name] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
