"""The lab in JupyterLab in a headless browser: a moved slider to the first new word, and map cells per second."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mllm_probe as mp
from common import report
from common.scripts import LARGE, make_work, run, sized
from mllm_probe.concepts import Concept, ConceptLibrary

BENCHMARKS = Path(__file__).resolve().parent
MOVED, AGAIN = "a moved slider → first word drawn", 3
CELL = """
import sys
sys.path[:0] = PATHS
import explore
explored = explore.opened(**OPTIONS)
explored
"""
WAIT = "assert explored.wait(300), (explored.bar.message, explored.panel.message, explored.monitor.message)\n"
FILLED = WAIT + "print(explore.filled(explored))"
GIVEN = ("width", "layers", "vocabulary", "dtype", "concepts", "pairs", "swept", "strengths", "steps")


def main() -> None:
    """Run it."""
    run(arguments(), "explore", one)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = report.parser(__doc__)
    sized(parser)
    parser.set_defaults(tokens=[600])
    parser.add_argument("--moves", type=int, default=20, help="moves of the slider that are timed")
    parser.add_argument("--concepts", type=int, default=8, help="of the library, whose images are noise")
    parser.add_argument("--pairs", type=int, default=4, help="images with and without each concept")
    return parser.parse_args()


def opened(model: str, tokens: int, concepts: int, pairs: int, **sizes: Any) -> Any:
    """Open the lab on a random model and a library of noise; the kernel of the notebook calls it."""
    subject = make_work(SimpleNamespace(**sizes), model, tokens, pictures=2 * concepts * pairs).subject
    pictures = [subject.pictures[i : i + pairs] for i in range(0, 2 * concepts * pairs, pairs)]
    words = [f"w{20 + i}" for i in range(concepts)]
    library = [
        Concept(word, "entity", (word,), pictures[2 * i], pictures[2 * i + 1], paired=False)
        for i, word in enumerate(words)
    ]
    return mp.explore(subject.model, ConceptLibrary(library, "noise"), prompt=subject.prompt)


def filled(explored: Any) -> str:
    """Size of the map of a lab and the seconds that it took, as JSON."""
    grid, monitor = explored.grid, explored.monitor
    cells = grid.sizes["concept"] * grid.sizes["layer"] * grid.sizes["strength"]
    return json.dumps({"cells": cells, "runs": monitor.total, "seconds": monitor.seconds})


def one(options: argparse.Namespace, facts: dict[str, Any], name: str, tokens: int) -> dict[str, Any]:
    """The tables of one model and length of prompt, in a JupyterLab of their own."""
    sys.path.insert(0, str(BENCHMARKS.parent))
    from tests.browser import lab

    subprocess.run(["sh", str(BENCHMARKS.parent / ".ci" / "browser")], check=True, stdout=sys.stderr)
    given = {key: getattr(options, key) for key in GIVEN} | {"model": name, "tokens": tokens}
    with tempfile.TemporaryDirectory() as folder, lab.running(Path(folder)) as desk:
        part = measured(desk, given, options.moves)
    device = "CUDA" if name in LARGE else "the CPU"
    part["title"] = f"the lab on {name} on {device}, {tokens} prompt tokens"
    print(report.heading(part["title"], facts | {"unit": "wall clock in Chromium and its kernel on the same machine"}))
    rows = [[MOVED, f"{part['moves']['median']:.0f} ms (95 %: {part['moves']['p95']:.0f})"]]
    rows += [["cells of the map", part["map"]["cells"]], ["… per second", f"{part['map']['cells_per_second']:.3g}"]]
    rows += [["steered runs per second", f"{part['map']['runs_per_second']:.3g}"]]
    print(report.table(("what", "measured"), rows))
    return part


def measured(desk: Any, given: dict[str, Any], moved: int) -> dict[str, Any]:
    """Open the lab in a notebook of ``desk`` as :func:`opened` does, wait until it is filled, and move its slider."""
    import widgets  # imports Playwright, which the kernel needs not
    from tests.browser import lab

    paths = [str(BENCHMARKS.parent), str(BENCHMARKS)]
    desk.notebook("lab.ipynb", CELL.replace("PATHS", repr(paths)).replace("OPTIONS", repr(given)).strip())
    page = desk.page(1400, 1100)
    desk.open(page, "lab.ipynb")
    lab.finish_cell(page, 0)
    page.get_by_test_id("heatmap-cell").wait_for(timeout=300_000)
    fill = json.loads(lab.said(page, FILLED))
    moves = []
    for k in range(moved + AGAIN):
        moves.append(page.evaluate(widgets.MOVE, f"{0.25 * (1 + k % 6):g}"))
        lab.said(page, WAIT)
    page.close()
    rates = {f"{what}_per_second": fill[what] / fill["seconds"] for what in ("cells", "runs")}
    return {"moves": {"what": MOVED} | widgets.spread(moves[AGAIN:]), "map": fill | rates}


if __name__ == "__main__":
    main()
