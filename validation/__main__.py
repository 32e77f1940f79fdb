"""Tables of what verdicts are worth: ``python -m validation [part …]``, or ``make validate``."""

from __future__ import annotations

import argparse
import functools
import operator
import subprocess
import sys
import time
from collections.abc import Callable

import mllm_probe as mp
from validation.verdicts import clicks, coverage, doses, fluency, nulls, power, randomised, unlike

Row = tuple[str, ...]


def table(head: Row, rows: list[Row]) -> None:
    """Print a Markdown table."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, tuple("-" * width for width in widths), *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |", flush=True)


def print_coverage(cells: int) -> None:
    """Coverage of the intervals, and false positives of p, by simulation."""
    rows = []
    for setting in coverage.settings():
        one = coverage.measure(setting, cells)
        noise = f"binary, p = {setting.share:g}" if setting.noise == "binary" else setting.noise
        rows.append(
            (noise, str(setting.images), str(setting.draws), f"{setting.spread:g}", f"{100 * one.covered:.1f}",
             f"{one.half_width:.2f}", f"{100 * one.false_positives:.1f}")
        )  # fmt: skip
    print(f"\nCoverage of concept − E[control], {cells} cells each; missing intervals count as not covered\n")
    table(
        ("noise", "images", "draws", "spread of directions", "covered, %", "median half-width", "false p ≤ .05, %"),
        sorted(rows, key=lambda row: (row[0], int(row[2]), float(row[3]), int(row[1]))),
    )


def print_nulls(least: int) -> None:
    """Verdicts of directions that mean nothing, and of real concepts, on scenes-8l."""
    on, rows = nulls.ground(), []
    for kind in nulls.NULLS:
        found = nulls.measure(on, kind, least)
        low, high = found.interval
        rows.append((kind, f"{found.cells:,}", f"{100 * found.share:.1f} ({100 * low:.1f} – {100 * high:.1f})",
                     f"{100 * found.in_grid / found.cells:.1f}"))  # fmt: skip
    found, effect = nulls.called(on, on.vectors)
    at_one = effect.sel(strength=1.0)
    tested = at_one.q.notnull()
    for name, cells, clear, grid in (
        ("real concepts, all strengths", found.cells, found.clear, found.in_grid),
        ("real concepts, strength 1", int(tested.sum()), int(at_one.clear_of_controls.sum()),
         int(at_one.clear_in_grid.sum())),
    ):  # fmt: skip
        rows.append((name, f"{cells:,}", f"{100 * clear / cells:.1f}", f"{100 * grid / cells:.1f}"))
    print(f"\nscenes-8l: cells called clear; {len(on.images)} neutral images, default controls, strengths .5, 1, 2\n")
    table(("directions", "cells", "clear of controls, %", "pass in the grid, %"), rows)


def print_map(concepts: int | None) -> None:
    """What the cells of the lab's map are worth, by log-probability and by score."""
    cells = nulls.answered(nulls.ground(), concepts)
    rows = []
    for name, chosen in (
        ("all", cells.useful | ~cells.useful),
        ("pass in the grid by log-probability", cells.screened),
        ("pass in the grid by score", cells.scored),
    ):
        count = int(chosen.sum())
        shares = [100 * float((cells[key] & chosen).sum()) / max(count, 1) for key in ("useful", "never")]
        rows.append((name, f"{count:,}", *(f"{share:.1f}" for share in shares)))
    print("\nscenes-8l: cells of real concepts, answers of 8 tokens at strengths .5, 1, 2\n")
    table(("cells", "count", "named in half and content kept, %", "never named, %"), rows)


def print_power(models: int) -> None:
    """Verdicts of planted concepts, by the effective rank of activations."""
    rows, headline = [], None
    for distractors in power.DISTRACTORS:
        # Each kind of the first row has its own row too, so that it rests on more models.
        count = models if headline is None else max(models // 2, 1)
        measured = functools.reduce(operator.add, (power.measure(distractors, seed) for seed in range(count)))
        headline = headline or measured
        for metric in power.METRICS:
            one = measured.of(metric=metric)
            rows.append((str(distractors), f"{one.rank:.0f}", metric, str(count), *_passed(one)))
    head = ("cells", "clear of controls, %", "pass in the grid, %", "clear of random ones alone, %", "no effect: clear")
    print(
        f"\nPlanted concepts, cells with an effect: {power.IMAGES} images, {power.DRAWS} draws, default controls, unit "
        f"vector, {power.LAYERS} blocks, width {power.WIDTH}\n"
    )
    table(("distractors", "effective rank", "metric", "models", *head), rows)
    print(f"\nThe same by concept, {power.DISTRACTORS[0]} distractors\n")
    kinds = [(kind, metric) for kind in power.KINDS for metric in power.METRICS]
    table(("concept", "metric", *head), [(k, m, *_passed(headline.of(concept=k, metric=m))) for k, m in kinds])


def _passed(cells: power.Power) -> Row:
    """How many cells with an effect, which share passes; how many cells without one are clear."""
    caused, none = cells.of(caused=True), cells.of(caused=False)
    low, high = caused.interval()
    return (
        str(caused.size), f"{100 * caused.share():.1f} ({100 * low:.1f} – {100 * high:.1f})",
        f"{100 * caused.share('in_grid'):.1f}", f"{100 * caused.share('clear_of_random'):.1f}",
        f"{round(none.share() * none.size)} of {none.size}",
    )  # fmt: skip


def print_randomised(models: int, seeds: int) -> None:
    """What is found in models with shuffled weights: concepts that are fit to be studied, contrasts of categories."""
    model = mp.load("scenes-8l")
    rows = []
    for seed in range(models):
        seen = randomised.fitness(model, seed)
        rows.append((str(seed), str(seen.sizes["concept"]), str(int(seen["fit"].sum())),
                     f"{float(abs(seen['gap']).median()):.2f}", str(int((seen["gap_low"] > 0).sum())),
                     f"{100 * float(seen['named_positive'].mean()):.1f}",
                     f"{100 * float(seen['named_negative'].mean()):.1f}"))  # fmt: skip
    print(f"\nscenes-8l with shuffled weights, {randomised.PAIRS} pairs of each concept\n")
    table(("seed", "concepts", "fit to be studied", "median size of the gap, nats", "gap above 0",
           "named on positives, %", "on negatives, %"), rows)  # fmt: skip
    model, found = mp.load("scenes-4l"), []
    one, other = randomised.CONTRAST
    print(
        f"\nscenes-4l with shuffled weights, gates forced open, {randomised.CONCEPTS} concepts of each category: mean "
        "depth of the read-out by interchange\n"
    )
    for seed in range(seeds):
        found.append(randomised.contrasts(model, seed))
    table(
        ("seed", "concepts", f"{one} − {other}", "p", "p of the largest contrast"),
        [(str(c.seed), str(c.concepts), f"{c.difference:+.3f}", f"{c.p:.3f}", f"{c.largest_p:.3f}") for c in found],
    )
    within = [sum(getattr(c, name) > randomised.LARGEST_P for c in found) for name in ("p", "largest_p")]
    print(f"\nwithin their permutation null: {within[0]} of {seeds} ({one} − {other}), {within[1]} (largest contrast)")


def print_truth(seeds: int) -> None:
    """Planted models: closed form, read-out profile, probes and verdicts; the trained ones too."""
    for command in (["validation.truth.table", "--seeds", str(seeds)], ["validation.truth.trained_models"]):
        print(f"\n{command[0]}\n", flush=True)
        subprocess.run([sys.executable, "-m", *command], check=True)


def print_naming() -> None:
    """What answers are judged to say, against readers."""
    print("\ntests.metrics.answers\n", flush=True)
    subprocess.run([sys.executable, "-m", "tests.metrics.answers"], check=True)


def print_unlike(pairs: int) -> None:
    """Images of other kinds that are called unlike those of the vectors."""
    print("\nImages called unlike those of the vectors, scenes-8l\n")
    rows = [
        (kind, str(count), f"{100 * found / count:.0f}") for kind, (count, found) in unlike.measure(pairs=pairs).items()
    ]
    table(("images", "count", "unlike, %"), rows)


def print_clicks(count: int, seed: int = 0) -> None:
    """Answers after clicks on passing cells of the lab of scenes-8l, as it opens."""
    rows, well = [], 0
    for one in clicks.clicks("scenes-8l", count, seed):
        well += one.reads_well
        said = ", ".join(one.facts["steered"])
        rows.append((f"{one.concept}, {one.layer}", one.of_map, one.steered, one.image, one.answers["baseline"],
                     one.answers["steered"], said, one.answers["random"]))  # fmt: skip
    print(f"\nThe lab of scenes-8l: {len(rows)} cells that pass, drawn with seed {seed}, clicked one after the other\n")
    table(("cell", "map", "panel", "image", "unsteered", "steered", "said of it", "random"), rows)
    print(f"\nnames the concept, is not broken and keeps half of the content: {well} of {len(rows)}")


def print_doses(images: int) -> None:
    """Answers of scenes-8l by tokens, strength and layer."""
    found = doses.measure("scenes-8l", images)
    layers = sorted({layer for _, _, layer in found})
    print(
        "\nscenes-8l, every second concept: share of answers that name it, do not repeat words and keep half of the "
        f"content; {images} held-out images without it\n"
    )
    table(
        ("tokens", "strength", *(f"layer {layer}" for layer in layers)),
        [
            (tokens, f"{dose:g}", *(f"{found[tokens, dose, layer]:.2f}" for layer in layers))
            for tokens in doses.TOKENS
            for dose in doses.STRENGTHS
        ],
    )


def print_fluency(images: int) -> None:
    """Answers of scenes-8l that are called broken by perplexity alone."""
    count, repeating, found = fluency.measure("scenes-8l", images)
    print(f"\nscenes-8l: {count} steered answers, {repeating} repeat words; of the others, called improbable\n")
    table(("read with", "answers"), [(name, str(number)) for name, number in found.items()])


PARTS: dict[str, Callable[[bool], None]] = {
    "coverage": lambda quick: print_coverage(400 if quick else 4000),
    "nulls": lambda quick: print_nulls(1000 if quick else 5000),
    "map": lambda quick: print_map(12 if quick else None),
    "doses": lambda quick: print_doses(1 if quick else 3),
    "fluency": lambda quick: print_fluency(1 if quick else 3),
    "clicks": lambda quick: print_clicks(5 if quick else 20),
    "power": lambda quick: print_power(2 if quick else 20),
    "randomised": lambda quick: print_randomised(1 if quick else 3, 2 if quick else 20),
    "truth": lambda quick: print_truth(2 if quick else 20),
    "naming": lambda quick: print_naming(),
    "unlike": lambda quick: print_unlike(8 if quick else 24),
}


def main() -> None:
    """Run the parts that are asked for."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("parts", nargs="*", default=[], help=f"of {', '.join(PARTS)}; all by default")
    options.add_argument("--quick", action="store_true", help="a tenth of the cells")
    chosen = options.parse_args()
    unknown = [part for part in chosen.parts if part not in PARTS]
    if unknown:
        options.error(f"unknown part {unknown[0]!r}; there are {', '.join(PARTS)}")
    for part in chosen.parts or PARTS:
        began = time.perf_counter()
        PARTS[part](chosen.quick)
        print(f"({part}: {time.perf_counter() - began:.0f} s)", file=sys.stderr)


if __name__ == "__main__":
    main()
