"""Steering, interchange and probes on twenty planted constructions: ``python -m validation.truth.table``."""

from __future__ import annotations

import argparse

import torch
import xarray as xr

from validation.truth.measure import Interchanged, Measured, interchanged, measured, plant_of

COLUMNS = "{:>4} {:>6} {:>5} {:>5} {:>5}  {:>8} {:>20}  {:>8} {:>20}  {:>10} {:>11}  {:<10} {:<18} {:<34} {:<10}"
HEAD = (
    "seed", "layers", "block", "gain", "width", "steering", "layers", "patches", "layers", "null probe", "decoy probe",
    "local", "distributed", "null", "decoy",
)  # fmt: skip


def line(seed: int, result: Measured, by_patches: Interchanged) -> str:
    """One construction as a line of the table."""
    facts, model = result.truth.truth.attrs, result.truth.model
    probes = [
        "/".join(f"{result.worst_probe(name, scope):.2f}" for scope in ("image", "last_prompt"))
        for name in ("null", "decoy")
    ]
    return COLUMNS.format(
        seed, len(model.layers), facts["block"], f"{facts['gain']:.1f}", model.hidden_size,
        f"{result.error:.1e}", effective(result.image), f"{by_patches.error:.1e}", effective(by_patches.image),
        *probes, *(result.verdicts[name] for name in ("local", "distributed", "null", "decoy")),
    )  # fmt: skip


def effective(profile: xr.Dataset) -> str:
    """Effective numbers of layers of the three concepts that have a cause."""
    layers = profile["effective_layers"]
    return "/".join(f"{float(layers.sel(concept=name)):.3f}" for name in ("local", "distributed", "decoy"))


def main() -> None:
    """Measure every construction and print a line of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="constructions of seeds 0, 1, …")
    seeds = range(parser.parse_args().seeds)
    torch.set_num_threads(1)
    print("steering, patches: worst distance from the closed form over the gain, image tokens and last prompt token")
    print("layers: effective number of layers of their read-out profiles of the image tokens, local/distributed/decoy")
    print("probes: lowest held-out accuracy, image tokens at every block / last prompt token where the concept is")
    print(COLUMNS.format(*HEAD))
    worst = [0.0, 0.0]
    for seed in seeds:
        truth = plant_of(seed)
        result, by_patches = measured(truth), interchanged(truth)
        worst = [max(pair) for pair in zip(worst, (result.error, by_patches.error), strict=True)]
        print(line(seed, result, by_patches), flush=True)
    print(f"worst error: {worst[0]:.1e} of the gain by steering, {worst[1]:.1e} by patches")


if __name__ == "__main__":
    main()
