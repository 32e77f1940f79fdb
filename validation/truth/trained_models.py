"""The small Llavas of ``validation.truth.train``: what is measured on held-out images, from their stored weights.

``python -m validation.truth.trained_models`` prints it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import LlavaForConditionalGeneration

from validation.truth.train import TRAINED, Plan, measured, model_of

PAIRS = 24


def plan_of(path: Path) -> tuple[Plan, float]:
    """Plan of stored weights, and how many minutes of a processor the training took."""
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["plan"])
    return Plan(**{field.name: facts[field.name] for field in fields(Plan)}), facts["cpu_minutes"]


def trained_model(path: Path) -> LlavaForConditionalGeneration:
    """A model with stored weights, in float32 on the CPU."""
    model = model_of(plan_of(path)[0])
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return model.eval().requires_grad_(False)


def line(path: Path, pairs: int = PAIRS) -> str:
    """A row of the table: accuracy, the profile's mass by block, and the effective number of layers by style."""
    plan, minutes = plan_of(path)
    figures, profile = measured(trained_model(path), pairs)
    shares = [figures[f"at_{block}"] for block in range(plan.blocks)]
    own = abs(profile["read_out"])
    by_style = (own.isel(layer=plan.block) / own.sum("layer")).values
    effective = profile["effective_layers"].values
    cells = (
        path.stem,
        f"{minutes:.1f}",
        f"{100 * figures['accuracy']:.1f} %",
        " ".join(f"{100 * share:.1f}" for share in shares),
        f"{100 * shares[plan.block]:.1f} %",
        f"{100 * by_style.min():.1f} %",
        f"{effective.mean():.2f} ({effective.min():.2f} … {effective.max():.2f})",
    )
    return f"| {' | '.join(cells)} |"


COLUMNS = (
    "model", "CPU minutes", "accuracy", "mass by block, %", "at the chosen block", "least of the 8 styles",
    "effective layers, mean (range) of the styles",
)  # fmt: skip


def main() -> None:
    """Print a row for every model in a folder."""
    parser = argparse.ArgumentParser(prog="python -m validation.truth.trained_models", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=TRAINED)
    torch.set_num_threads(1)
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|")
    for path in sorted(parser.parse_args().folder.glob("*.safetensors")):
        print(line(path), flush=True)


if __name__ == "__main__":
    main()
