"""Print what steering and probes say of twenty planted constructions: ``python -m tests.truth.table``."""

from __future__ import annotations

import argparse

import torch

from tests.truth.measure import Measured, measured, plant_of

COLUMNS = "{:>4} {:>6} {:>5} {:>5} {:>5} {:>9}  {:>7} {:>11} {:>7}  {:>11} {:>11}  {:<10} {:<18} {:<10} {:<10}"
HEAD = (
    "seed", "layers", "block", "gain", "width", "error/g", "local", "distributed", "decoy", "null probe", "decoy probe",
    "local", "distributed", "null", "decoy",
)  # fmt: skip


def line(seed: int, result: Measured) -> str:
    """One construction as a line of the table."""
    facts, effective = result.truth.truth.attrs, result.image["effective_layers"]
    probes = [
        "/".join(f"{result.worst_probe(name, scope):.2f}" for scope in ("image", "last_prompt"))
        for name in ("null", "decoy")
    ]
    model = result.truth.model
    return COLUMNS.format(
        seed, len(model.layers), facts["block"], f"{facts['gain']:.1f}", model.hidden_size, f"{result.error:.1e}",
        *(f"{float(effective.sel(concept=name)):.3f}" for name in ("local", "distributed", "decoy")),
        *probes, *(result.verdicts[name] for name in ("local", "distributed", "null", "decoy")),
    )  # fmt: skip


def main() -> None:
    """Measure every construction and print a line of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="constructions of seeds 0, 1, …")
    seeds = range(parser.parse_args().seeds)
    torch.set_num_threads(1)
    print("error/g: worst distance from the closed form over the gain, image tokens and last prompt token, all layers")
    print("local, distributed, decoy: effective number of layers of the read-out profile of the image tokens")
    print("probes: lowest held-out accuracy, image tokens at every block / last prompt token where the concept is")
    print(COLUMNS.format(*HEAD))
    worst = 0.0
    for seed in seeds:
        result = measured(plant_of(seed))
        worst = max(worst, result.error)
        print(line(seed, result), flush=True)
    print(f"worst error: {worst:.1e} of the gain")


if __name__ == "__main__":
    main()
