"""Agreement of a sweep with plain hooks on a device and in a dtype: ``python -m tests.device.agreement``."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch

import mllm_probe as mp
from tests import accelerator
from tests.conftest import ACCELERATORS, DTYPES, SIMULATED, found_devices
from tests.sweeps.helpers import plain_batch, plain_edit, random_vectors, rounded, wrapped_family

CASES = (
    ("llava", ("last_prompt", "generated")),
    ("llava", "image"),
    ("qwen2_5_vl", ("last_prompt", "generated")),
    ("qwen2_5_vl", "all"),
)
WORDS = {"cat": [7], "dog": [11]}
LAYERS, STRENGTHS = (0, 2), (0, 1)


@dataclass(frozen=True)
class Agreement:
    """A sweep against plain hooks and whole forwards of the same model.

    Attributes
    ----------
    error : float
        Largest difference of a word's log-probability or of a step's KL, as a share of the largest logit.
    equal, tokens : int
        Generated tokens that plain hooks choose too, given the tokens before, and all of them.
    gap : float
        How far a generated token's plain logit lies below the best one, at most, as a share of the largest logit.
    """

    error: float
    equal: int
    tokens: int
    gap: float

    def __str__(self) -> str:
        return f"error {self.error:.1e}, tokens {self.equal}/{self.tokens}, largest gap {self.gap:.1e}"


def agreement(family: str, scope: Any, device: str, dtype: torch.dtype) -> Agreement:
    """Run a small sweep, and each of its cells by plain hooks."""
    model, inputs = wrapped_family(family, device)
    model.hf.to(dtype)
    vectors = random_vectors(model, words=WORDS, norm=1.5)
    grid = mp.sweep(
        model, vectors, inputs=inputs, layers=list(LAYERS), strengths=STRENGTHS, tokens=scope, controls=(),
        metrics=("logprob", "kl", "tokens"), max_new_tokens=3, progress=False,
    )  # fmt: skip
    grid = grid.sel(control="concept").isel(draw=0, sample=0)
    encoded = model.encode(None, inputs=inputs)
    keys = list(product(WORDS, LAYERS, STRENGTHS))
    cells = [grid.sel(concept=concept, layer=layer, strength=strength) for concept, layer, strength in keys]
    edits = [
        rounded(plain_edit(model, vectors, encoded, concept, layer, strength, scope)) if strength else []
        for concept, layer, strength in keys
    ]
    answers = [[int(token) for token in cell.tokens.values if token >= 0] for cell in cells]
    unsteered = [int(token) for token in grid.tokens_unsteered.values if token >= 0]
    plain = plain_batch(model, encoded, [answer[:-1] for answer in answers], edits).cpu()
    along = plain_batch(model, encoded, [unsteered[:-1]] * len(cells), edits).log_softmax(-1).cpu()
    base = plain_batch(model, encoded, [unsteered[:-1]], [[]]).log_softmax(-1).cpu()
    scale = plain.abs().max().item()
    words = plain[:, 0].log_softmax(-1)[range(len(keys)), [WORDS[concept][0] for concept, _, _ in keys]]
    kl = (base.exp() * (base - along)).sum(-1)
    found_words = torch.tensor([float(cell.logprob) for cell in cells])
    found_kl = torch.stack([torch.from_numpy(cell.kl_step.values[: kl.shape[1]]) for cell in cells])
    chosen = [(logits[: len(answer)], answer) for logits, answer in zip(plain, answers, strict=True)]
    gaps = torch.cat([logits.amax(-1) - logits[range(len(answer)), answer] for logits, answer in chosen])
    error = max((found_words - words).abs().max().item(), (found_kl - kl).abs().max().item())
    return Agreement(error / scale, int((gaps == 0).sum()), len(gaps), gaps.max().item() / scale)


def main() -> None:
    """Print a table over families, scopes and dtypes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", action="append", choices=("cpu", *ACCELERATORS, SIMULATED))
    parser.add_argument("--dtype", action="append", choices=DTYPES)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    row = "{:<8} {:<10} {:<12} {:<28} {}"
    print(row.format("device", "dtype", "family", "scope", "agreement with plain hooks"))
    for device, dtype in product(given.device or found_devices(), given.dtype or DTYPES):
        if device == SIMULATED:
            accelerator.install()
        for family, scope in CASES:
            found = agreement(family, scope, device, getattr(torch, dtype))
            print(row.format(device, dtype, family, scope if isinstance(scope, str) else ", ".join(scope), found))


if __name__ == "__main__":
    main()
