"""Tables of what verdicts are worth: ``python -m validation [part …]``, or ``make validate``."""

from __future__ import annotations

import argparse
import functools
import math
import operator
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

import mllm_probe as mp
from validation.verdicts import (
    clicks,
    coverage,
    doses,
    fluency,
    live_power,
    nulls,
    power,
    randomised,
    share_nulls,
    unlike,
    ways,
)

Row = tuple[str, ...]


def table(head: Row, rows: list[Row]) -> None:
    """Print a Markdown table."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, tuple("-" * width for width in widths), *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |", flush=True)


def print_coverage(cells: int) -> None:
    """Coverage of the intervals, and false positives of p, by simulation."""
    measured = [(setting, coverage.measure(setting, cells)) for setting in coverage.settings()]
    measured.sort(key=lambda one: (one[0].name, one[0].draws, one[0].spread, one[0].images))
    rows = []
    for setting, one in measured:
        width = f"{one.width:.2f}" if one.covered > coverage.WIDE else ""
        false = "" if math.isnan(one.false_positives) else f"{100 * one.false_positives:.1f}"
        rows.append((setting.name, str(setting.draws), f"{setting.spread:g}", str(setting.images),
                     f"{100 * one.covered:.1f}", width, false))  # fmt: skip
    print(f"\nCoverage of concept − E[control], {cells} cells each; missing intervals count as not covered\n")
    table(
        (
            "noise",
            "draws",
            "spread of directions",
            "images",
            "covered, %",
            "mean width, above 97 %",
            "false p ≤ .05, %",
        ),
        rows,
    )
    print("\nThe same by noise and draws, all images and spreads\n")
    groups: dict[tuple[str, int], list[coverage.Measured]] = {}
    for setting, one in measured:
        groups.setdefault((setting.name, setting.draws), []).append(one)
    table(
        ("noise", "draws", "least covered, %", "median", "most", "narrowest interval", "most false p ≤ .05, %"),
        [(name, str(draws) if draws >= coverage.LEAST_DRAWS else f"{draws} (no target)", *_over_settings(ones))
         for (name, draws), ones in groups.items()],
    )  # fmt: skip


def _over_settings(ones: list[coverage.Measured]) -> Row:
    """Least, median and most coverage of several settings, their narrowest interval and most false positives."""
    covered = [100 * one.covered for one in ones]
    false = [100 * one.false_positives for one in ones if not math.isnan(one.false_positives)]
    return (
        f"{min(covered):.1f}", f"{statistics.median(covered):.1f}", f"{max(covered):.1f}",
        f"{min(one.least_width for one in ones):.2f}", f"{max(false):.1f}" if false else "",
    )  # fmt: skip


def print_shares(grids: int) -> None:
    """Cells of shares that pass: in grids without effects, beside cells with one, where no direction names a word."""
    drawn = f"{share_nulls.LAYERS} layers, {grids} grids each"
    asked = ("grids", "unit", "concepts", "draws", "images", "directions that name the word, %")
    print(f"\nShares: grids without any effect, {drawn}\n")
    table(
        (*asked, "grids in which nothing passes, %", "false cells a grid", "caption: at most"),
        [
            (*_world(name, world), f"{100 * one.nothing_false:.0f}", f"{one.false.mean():.2f}",
             f"{one.promised.mean():.2f}")
            for name, world in share_nulls.null_worlds()
            for one in (share_nulls.measure(world, grids),)
        ],
    )  # fmt: skip
    print(f"\nShares: 40 cells with an effect beside 344 without, {drawn}\n")
    head = (
        *asked,
        "false of passing cells, %",
        "mean over grids, %",
        "caption: at most",
        "cells with an effect that pass",
    )
    table(
        head,
        [
            (*_world(name, world), f"{100 * one.false_of_passing:.1f}", f"{100 * one.discovery_rate:.1f}",
             f"{one.promised.mean():.2f}", f"{one.found.mean():.1f} of {one.true}")
            for name, world in share_nulls.mixed_worlds()
            for one in (share_nulls.measure(world, grids),)
        ],
    )  # fmt: skip
    print(f"\nShares: half of the cells have an effect, no direction names a word, {drawn}\n")
    table(
        (*asked, "cells with an effect that pass"),
        [
            (*_world(name, world), f"{one.found.mean():.1f} of {one.true}")
            for name, world in share_nulls.power_worlds()
            for one in (share_nulls.measure(world, grids),)
        ],
    )


def _world(name: str, world: share_nulls.World) -> Row:
    """What grids are drawn like."""
    rate = f"mean {100 * world.rate:g}" if world.latent else f"{100 * world.rate:g}"
    return name, world.unit, str(world.concepts), str(world.draws), str(world.images), rate


def print_nulls(concepts: int) -> None:
    """Verdicts of directions that mean nothing, and of real concepts, on scenes-8l, by metric."""
    on, rows = nulls.ground(), []
    found = {kind: nulls.called(on, nulls.some(make(on, 0), concepts))[0] for kind, make in nulls.NULLS.items()}
    for metric in nulls.METRICS:
        by_kind = {kind: one[metric] for kind, one in found.items()}
        for kind, one in (*by_kind.items(), ("all four", functools.reduce(operator.add, by_kind.values()))):
            rows.append((metric, kind, *_called(one)))
    real, effects = nulls.called(on, nulls.some(on.vectors, concepts))
    for metric in nulls.METRICS:
        rows.append((metric, "real concepts, all strengths", *_called(real[metric])))
        rows.append((metric, "real concepts, strength 1", *_called(nulls.counted(effects[metric].sel(strength=1.0)))))
    print(
        f"\nscenes-8l: cells called clear; {concepts} concepts of each kind, {len(on.images)} neutral images, "
        "default controls, strengths .5, 1, 2\n"
    )
    table(
        (
            "metric",
            "directions",
            "cells",
            "tested",
            "clear of controls, %",
            "pass in the grid",
            "caption: false at most",
        ),
        rows,
    )


def _called(one: nulls.Called) -> Row:
    """Counts and shares of cells that are called clear."""
    low, high = one.interval
    return (
        f"{one.cells:,}", f"{one.tested:,}", f"{100 * one.share:.1f} ({100 * low:.1f} – {100 * high:.1f})",
        f"{one.in_grid:,}", f"{one.promised:,}",
    )  # fmt: skip


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


def print_live_power(seeds: int) -> None:
    """Verdicts of planted causes in live decoders, by draws."""
    draws = live_power.DRAWS if seeds > 2 else live_power.QUICK_DRAWS
    found, counted = live_power.measure(live_power.SEEDS[:seeds], draws), live_power.COUNTED
    print(
        f"\nPlanted causes in live decoders, {seeds} models, logprob, unit vector; a sweep that is not told takes "
        f"{found.default} draws. Target: {100 * live_power.TARGET:.0f} % of the cells of {', '.join(counted)} with a "
        "cause pass in the grid of their concept, none without\n"
    )
    rows = []
    for concepts in (counted, *((name,) for name in (*counted, "decoy", "idle"))):
        for count in draws:
            of_concepts = functools.partial(found.count, count, concepts)
            true = of_concepts("cells", caused=True)
            alone, share = of_concepts("alone", caused=True), ""
            if true:
                share = f" ({100 * alone / true:.0f} %)"
            rows.append((", ".join(concepts), str(count), str(live_power.rows_per_cell(count)), str(true),
                         str(of_concepts("clear", caused=True)), f"{alone}{share}",
                         str(of_concepts("in_grid", caused=True)),
                         *(str(of_concepts(name, caused=False)) for name in ("cells", "clear", "alone", "in_grid")),
                         ))  # fmt: skip
    table(
        ("concepts", "draws", "rows a cell", "cells with a cause", "clear", "in the grid of their concept",
         "in one grid of all", "cells without", "false: clear", "false: in the grid", "false: in one of all"),
        rows,
    )  # fmt: skip
    print("\nWhat keeps cells with a cause out of the grid of all\n")
    table(
        ("draws", *(f"p of {limit}" if limit in ("random", "on_manifold") else limit for limit in live_power.LIMITS)),
        [(str(count), *(str(found.limited(count, limit)) for limit in live_power.LIMITS)) for count in draws],
    )


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
    title = f"The lab of scenes-8l: cells that pass, drawn with seed {seed}, clicked one after the other"
    _print_answers(title, clicks.clicks("scenes-8l", count, seed))


def print_answers(count: int, least: int, seed: int = 0) -> None:
    """Answers of cells of scenes-8l that pass by score, on images that neither vectors nor grid used."""
    many, steered = clicks.live_answers("scenes-8l", count, seed, least)
    title = f"scenes-8l: of {many} cells that pass by score, drawn with seed {seed}, each steered on an unseen image"
    _print_answers(title, steered)


def _print_answers(title: str, clicked: Iterable[clicks.Click]) -> None:
    rows, well = [], 0
    for one in clicked:
        well += one.reads_well
        said = ", ".join(one.facts["steered"])
        rows.append((f"{one.concept}, {one.layer}", one.of_map, one.steered, one.image, one.answers["baseline"],
                     one.answers["steered"], said, one.answers["random"]))  # fmt: skip
    print(f"\n{title}\n")
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


def print_both_powers(quick: bool) -> None:
    """Power on planted causes in live decoders, and on simulated grids."""
    print_live_power(2 if quick else 10)
    print_power(2 if quick else 20)


def print_ways(studies: int) -> None:
    """Findings of a study's ways together, by simulation, beside other rules."""
    rows = []
    for effect in (0.0, 0.7):
        for setting in ways.settings(effect):
            one = ways.measure(setting, studies)
            low, high = one.limits
            rows.append(
                (setting.exchange, f"{effect:g}", f"{setting.ways}{', a quarter not known' if setting.missing else ''}",
                 f"{setting.together:g}", f"{100 * one.curve:.1f} ({100 * low:.1f} – {100 * high:.1f})",
                 *(f"{100 * share:.1f}" for share in (one.headline, one.share, one.four_in_five)))
            )  # fmt: skip
    print(f"\nStudies of {ways.UNITS} concepts that are called a finding at p ≤ .05, {studies} each, %\n")
    table(
        ("exchanged", "effect", "ways", "shared", "all ways together", "headline alone", "share of positive ways",
         "four in five and the headline"),
        rows,
    )  # fmt: skip


PARTS: dict[str, Callable[[bool], None]] = {
    "coverage": lambda quick: print_coverage(200 if quick else 2000),
    "shares": lambda quick: print_shares(4 if quick else 40),
    "nulls": lambda quick: print_nulls(6 if quick else 24),
    "map": lambda quick: print_map(12 if quick else None),
    "doses": lambda quick: print_doses(1 if quick else 3),
    "fluency": lambda quick: print_fluency(1 if quick else 3),
    "clicks": lambda quick: print_clicks(5 if quick else 20),
    "answers": lambda quick: print_answers(5 if quick else 60, 10 if quick else 14),
    "power": lambda quick: print_both_powers(quick),
    "ways": lambda quick: print_ways(200 if quick else 2000),
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
