"""A map of interchange interventions beside a sweep of edited image tokens, plain hooks and nnsight: cost per cell."""

from __future__ import annotations

import argparse
import copy
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from PIL import Image
from torch import Tensor

import mllm_probe as mp
from common import report
from common.measuring import Timing, in_turns, timer
from common.scripts import make_work, run, sized
from common.work import CONCEPT, HALF_TOLERANCE, IMAGE, TOLERANCE, WORDS, Work, strengths
from mllm_probe.concepts import Concept, ConceptLibrary, Picture

PAIRS = 2
IMAGE_GROUPS, ALL_GROUPS = ("changed", "image"), ("changed", "image", "text", "last_prompt")
OURS, DEFAULT, SWEEP = "mllm_probe.patch, image groups", "mllm_probe.patch, default groups", "mllm_probe.sweep, image"
HEADER = ("side", "ms per cell (quartiles)", "cells", "timed", "× ours", "largest difference / scale")


@dataclass(frozen=True)
class PatchedCell:
    """One patched row: which pair's positive goes into its negative, at which block, at which positions."""

    pair: int
    layer: int
    group: str


@dataclass(frozen=True)
class Way:
    """One way to run cells.

    Attributes
    ----------
    run : callable
        Runs all its cells.
    cells : int
    scores : callable, optional
        Log-probability of each of the compared cells, [cells].
    note : str
        What was timed.
    missing : str
        Why it cannot run here.
    """

    run: Callable[[], Any]
    cells: int
    scores: Callable[[], np.ndarray] | None = None
    note: str = "all"
    missing: str = ""


class Pairs:
    """Pairs of images, a quarter of which differs, on a model of the benchmarks.

    Parameters
    ----------
    work : Work
        Its layers are those that are patched.
    sampled : int
        Cells that are run one at a time.
    """

    def __init__(self, work: Work, sampled: int) -> None:
        self.work, self.subject, self.model = work, work.subject, work.subject.model
        negative = self.subject.pictures[:PAIRS]
        self.sides = {"negative": negative, "positive": [_quarter_changed(picture) for picture in negative]}
        places = np.linspace(0, len(work.layers) - 1, sampled).round().astype(int)
        self.compared = [
            PatchedCell(i % PAIRS, work.layers[place], IMAGE_GROUPS[i % 2]) for i, place in enumerate(places)
        ]

    @cached_property
    def library(self) -> ConceptLibrary:
        """One concept."""
        return ConceptLibrary([Concept(CONCEPT, "entity", WORDS, **self.sides, paired=True)])

    def patched(self, groups: Sequence[str]) -> xr.Dataset:
        """The map: every layer, both directions, the pair and its three controls."""
        return mp.patch(
            self.model,
            self.library,
            prompt=self.subject.prompt,
            layers=list(self.work.layers),
            groups=groups,
            progress=False,
        )

    def swept(self) -> xr.Dataset:
        """A sweep with as many cells on as many images as the map of the image groups."""
        images = [*self.sides["negative"], *self.sides["positive"]]
        return mp.sweep(
            self.model, self.work.vectors, images, self.subject.prompt, layers=list(self.work.layers),
            strengths=strengths(len(IMAGE_GROUPS) * 4), tokens=IMAGE, metrics=("logprob",), controls=(),
            progress=False,
        )  # fmt: skip

    def scores(self, grid: xr.Dataset) -> np.ndarray:
        """The compared cells of a map."""
        own = grid.logprob.sel(concept=CONCEPT, direction="insert", control="pair")
        return np.array([float(own.sel(layer=c.layer, group=c.group, sample=c.pair)) for c in self.compared])

    @cached_property
    def tensors(self) -> dict[str, list[dict[str, Tensor]]]:
        """Inputs of the model by side and pair."""
        return {
            side: [dict(self.model.encode([picture], self.subject.prompt).tensors) for picture in own]
            for side, own in self.sides.items()
        }

    def columns(self, cell: PatchedCell) -> Tensor:
        """Positions that a cell patches."""
        ids = self.tensors["negative"][cell.pair]["input_ids"][0]
        image = torch.eq(ids, self.model.layout.image_token_id or 0).nonzero()[:, 0]
        if cell.group == "image":
            return image
        rows = np.arange(len(image)).reshape(round(len(image) ** 0.5), -1)
        half = -(-len(rows) // 2)
        return image[torch.from_numpy(rows[:half, :half].reshape(-1)).to(image.device)]

    @cached_property
    def donors(self) -> list[dict[int, Tensor]]:
        """Residual stream [tokens, width] of each positive by block."""
        found: list[dict[int, Tensor]] = []
        for tensors in self.tensors["positive"]:
            states: dict[int, Tensor] = {}
            handles = [
                block.register_forward_hook(lambda m, a, out, n=n, states=states: states.update({n: out[0]}))
                for n, block in enumerate(self.model.layout.blocks)
            ]
            with torch.no_grad():
                self.model.hf(**tensors, use_cache=False, logits_to_keep=1)
            for handle in handles:
                handle.remove()
            found.append(states)
        return found

    @torch.no_grad()
    def with_hooks(self, cell: PatchedCell) -> Tensor:
        """Logits [vocabulary] of one cell by a plain hook and a whole forward."""
        columns, donor = self.columns(cell), self.donors[cell.pair][cell.layer]

        def hook(module: Any, arguments: Any, output: Tensor) -> Tensor:
            edited = output.clone()
            edited[:, columns] = donor[columns]
            return edited

        handle = self.model.layout.blocks[cell.layer].register_forward_hook(hook)
        try:
            tensors = self.tensors["negative"][cell.pair]
            return self.model.hf(**tensors, use_cache=False, logits_to_keep=1).logits[0, -1]
        finally:
            handle.remove()

    def by_hand(self, one: Callable[[PatchedCell], Tensor]) -> np.ndarray:
        """Scores of the compared cells, one at a time."""
        return self.work.logprob(torch.stack([one(cell) for cell in self.compared])).numpy()


class Traced:
    """The same patches through nnsight, on a copy of the model, whose modules it changes."""

    def __init__(self, pairs: Pairs) -> None:
        from nnsight import NNsight

        self.pairs, self.whole = pairs, NNsight(copy.deepcopy(pairs.model.hf))
        blocks: Any = self.whole
        for part in pairs.model.layout.paths["blocks"].split("."):
            blocks = getattr(blocks, part)
        self.blocks = list(blocks)

    @torch.no_grad()
    def run(self, cell: PatchedCell) -> Tensor:
        """Logits [vocabulary] of one cell."""
        columns, donor = self.pairs.columns(cell), self.pairs.donors[cell.pair][cell.layer]
        block, tensors = self.blocks[cell.layer], self.pairs.tensors["negative"][cell.pair]
        patched = donor[columns]
        with self.whole.trace(**tensors, use_cache=False, logits_to_keep=1):
            block.output[:, columns] = patched
            logits = self.whole.output.logits.save()
        return logits[0, -1]


def _quarter_changed(picture: Picture) -> Picture:
    """The image with the colours of its upper left quarter turned round."""
    pixels = np.asarray(picture.image).copy()
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    pixels[:height, :width] = 255 - pixels[:height, :width]
    return Picture(Image.fromarray(pixels), labels=picture.labels)


def main() -> None:
    """Run it."""
    run(arguments(), "patch", one)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = report.parser(__doc__)
    sized(parser)
    parser.set_defaults(repeats=3)
    return parser.parse_args()


def ways(pairs: Pairs) -> dict[str, Way]:
    """Every side."""
    layers = len(pairs.work.layers)
    cells = layers * len(IMAGE_GROUPS) * 4 * 2 * PAIRS
    one_at_a_time = f"{len(pairs.compared)} cells"
    found = {
        OURS: Way(lambda: pairs.patched(IMAGE_GROUPS), cells, lambda: pairs.scores(pairs.patched(IMAGE_GROUPS))),
        DEFAULT: Way(
            lambda: pairs.patched(ALL_GROUPS), cells * len(ALL_GROUPS) // len(IMAGE_GROUPS),
            lambda: pairs.scores(pairs.patched(ALL_GROUPS)),
        ),
        SWEEP: Way(pairs.swept, cells),
        "hooks, one cell at a time": Way(
            lambda: pairs.by_hand(pairs.with_hooks), len(pairs.compared), lambda: pairs.by_hand(pairs.with_hooks),
            one_at_a_time,
        ),
    }  # fmt: skip
    name = "nnsight, one cell at a time"
    if importlib.util.find_spec("nnsight") is None:
        return found | {name: Way(lambda: None, 0, missing="not installed")}
    traced = Traced(pairs)
    scores = lambda: pairs.by_hand(traced.run)  # noqa: E731
    return found | {name: Way(scores, len(pairs.compared), scores, one_at_a_time)}


def one(options: argparse.Namespace, told: dict[str, Any], name: str, tokens: int) -> dict[str, Any]:
    """The table of one model and length of prompt."""
    work = make_work(options, name, tokens, IMAGE, picture_first=True, pictures=PAIRS)
    pairs = Pairs(work, options.sampled)
    title = (
        f"{work.subject.name}, {work.subject.tokens} prompt tokens, {len(work.layers)} layers × {PAIRS} pairs × 2 "
        "directions × 4 donors"
    )
    print(report.heading(title, told))
    sides, device = ways(pairs), work.subject.model.device.type
    differences = compared(pairs, sides)
    jobs = {n: timer(way.run, device) for n, way in sides.items() if not way.missing}
    found = {n: Timing(tuple(samples)) for n, samples in in_turns(jobs, options.repeats).items()}
    tolerance = TOLERANCE if work.subject.model.dtype == torch.float32 else HALF_TOLERANCE
    ours = _per_cell(sides[OURS], found[OURS]).median
    records = [_record(n, way, found, differences, tolerance, ours) for n, way in sides.items()]
    print(report.table(HEADER, [_line(record) for record in records]))
    by_name = {record["side"]: record for record in records}
    swept = by_name[SWEEP]["ms_per_cell"]
    targets = [
        report.target(f"{side} / sweep, per cell", by_name[side]["ms_per_cell"] / swept, 1.25, at_least=False)
        for side in (OURS, DEFAULT)
    ]
    print(report.targets_text(targets))
    return {"title": title, "sides": records, "targets": targets}


def compared(pairs: Pairs, sides: dict[str, Way]) -> dict[str, float]:
    """Largest difference of each side's scores from plain hooks, by the largest logit; this is their warm-up too."""
    with torch.no_grad():
        logits = torch.stack([pairs.with_hooks(cell) for cell in pairs.compared])
    reference, scale = pairs.work.logprob(logits).numpy(), float(logits.abs().max())
    pairs.swept()
    scores = {name: way.scores() for name, way in sides.items() if way.scores is not None and not way.missing}
    return {name: float(np.abs(own - reference).max()) / scale for name, own in scores.items()}


def _record(
    name: str, way: Way, found: dict[str, Timing], differences: dict[str, float], tolerance: float, ours: float
) -> dict[str, Any]:
    if way.missing:
        return {"side": name, "error": way.missing, "ms_per_cell": None, "by_ours": None}
    timing, difference = _per_cell(way, found[name]), differences.get(name)
    same = difference is None or difference <= tolerance
    return {
        "side": name, "error": None, "ms_per_cell": timing.median, "quartiles": timing.quartiles, "cells": way.cells,
        "timed": way.note, "by_ours": timing.median / ours if same else None, "difference": difference,
        "outputs_same": same,
    }  # fmt: skip


def _per_cell(way: Way, timing: Timing) -> Timing:
    """Milliseconds per cell."""
    return Timing(tuple(1e3 * each / way.cells for each in timing.samples))


def _line(record: dict[str, Any]) -> list[Any]:
    if record["error"]:
        return [record["side"], record["error"], *[None] * (len(HEADER) - 2)]
    low, high = record["quartiles"]
    difference, by_ours = record["difference"], record["by_ours"]
    return [
        record["side"], f"{record['ms_per_cell']:.3g} ({low:.3g} – {high:.3g})", record["cells"], record["timed"],
        None if by_ours is None or record["side"] == OURS else f"{by_ours:.2f}",
        None if difference is None else f"{difference:.0e}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
