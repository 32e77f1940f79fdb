"""Widgets in a real JupyterLab: a moved slider to the first new word on the screen, and a map that is filled live."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page

from common import report

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser import lab  # noqa: E402

PANEL = """
import json, time
import mllm_probe as mp
model = mp.load("scenes-8l")
library = mp.concepts.scenes(concepts=["cat", "tree", "neon"], pairs=8)
vectors = mp.concept_vectors(model, library, probe_accuracy=False)
panel = mp.SteeringPanel(model, vectors, concept="cat", layer=3, scope="last_prompt+generated")
panel
"""
KERNEL = """
def first_token(strength):
    steering = mp.Steering(vectors.sel(concept="cat"), [3], strength)
    start = time.perf_counter()
    rows = [None, steering, steering.control("random")]
    with mp.stream(model, panel._choices[0].image, panel.prompt, steering=rows) as running:
        next(running)
        return time.perf_counter() - start
print("seconds", json.dumps([first_token(1 + k / 100) for k in range(MOVES + 3)][3:]))
"""
MAP = """
import numpy as np
import xarray as xr
def effects(rows, columns, strengths, updates):
    dims, shape = ("concept", "layer", "strength"), (rows, columns, len(strengths))
    value = np.random.default_rng(0).normal(size=shape) * 3
    for k in range(1, updates + 1):
        now = np.where(np.arange(columns)[None, :, None] < columns * k / updates, value + 0.01 * k, np.nan)
        random = ((*dims, "control"), np.zeros((*shape, 1)) + 0.01 * k)
        words = np.where(np.isnan(now), "", np.where(np.abs(now) > 1, "passes", "interval includes 0"))
        words = np.where(np.abs(now) < 0.5, f"random reaches as far: +{0.01 * k:.2f} [0.0, 0.1]", words)
        found = {"difference": (dims, now, {"units": "nats"}), "low": (dims, now - 1), "high": (dims, now + 1),
                 "n": (dims, np.where(np.isnan(now), 0, 24)), "clear_of_controls": (dims, np.abs(now) > 1),
                 "clear_in_grid": (dims, np.abs(now) > 1), "reason": (dims, words), "q": (dims, np.exp(-np.abs(now))),
                 "control_mean": random, "control_low": random, "control_high": random}
        coords = {"concept": [f"concept {i}" for i in range(rows)], "layer": range(columns),
                  "category": ("concept", ["entity", "visual_style"] * (rows // 2)),
                  "strength": list(strengths), "control": ["random"]}
        yield xr.Dataset(found, coords, {"unit": "residual", "metric": "logprob", "progress": k / updates})
def at_rate(made, rate):
    start = time.perf_counter()
    for k, one in enumerate(made):
        time.sleep(max(0.0, start + k / rate - time.perf_counter()))
        yield one
heatmap = mp.LayerConceptHeatmap(layer=3)
heatmap
"""
FILL = "heatmap.watch(at_rate(list(effects(64, 40, STRENGTHS, UPDATES)), RATE)).wait()"

_WATCH_CANVAS = """() => {
  window.__drawn = { frames: new Set(), times: [] };
  const paint = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (...given) {
    if (this.canvas.dataset?.testid === 'heatmap') window.__drawn.frames.add(document.timeline.currentTime);
    return paint.apply(this, given);
  };
  const ask = window.requestAnimationFrame;
  window.requestAnimationFrame = (call) => ask.call(window, (now) => {
    const [start, before] = [performance.now(), window.__drawn.frames.size];
    call(now);
    if (window.__drawn.frames.size > before) window.__drawn.times.push(performance.now() - start);
  });
}"""
MOVE = """(value) => new Promise((resolve) => {
  const range = document.querySelector('[data-testid=strength]');
  const box = document.querySelector('.mp-live [data-row=steered]');
  const start = performance.now();
  const observer = new MutationObserver(() => {
    if (box.dataset.old !== 'false') return;
    observer.disconnect();
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => resolve(performance.now() - start);
      channel.port2.postMessage(0);
    });
  });
  range.value = value;
  range.dispatchEvent(new Event('input', { bubbles: true }));
  observer.observe(box, { attributes: true, attributeFilter: ['data-old'] });
})"""
_DRAG = """async ([values, pause]) => {
  const range = document.querySelector('[data-testid=strength]');
  for (const value of values) {
    range.value = value;
    range.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}"""

# "other" is what remains: painting, handing frames to the compositor, the browser's own tasks.
_WORK = {"all": "TaskDuration", "script": "ScriptDuration", "style": "RecalcStyleDuration", "layout": "LayoutDuration"}
_PARTS = {
    "all": "milliseconds of main thread per update, all of the page",
    "script": "… of which script",
    "style": "… computing styles",
    "layout": "… layout",
    "other": "… painting and all else",
}
# Not at every frame, as is Playwright's default: the page would draw frames only to be asked.
_POLL = 250


@dataclass
class Wire:
    """What comes over the websockets of a page.

    Attributes
    ----------
    sizes : list of int
        Bytes of each message.
    """

    session: CDPSession
    sizes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session.send("Network.enable")
        self.session.send("Performance.enable")
        self.session.on("Network.webSocketFrameReceived", self._count)

    def _count(self, event: dict[str, Any]) -> None:
        payload, binary = event["response"]["payloadData"], event["response"]["opcode"] == 2
        self.sizes.append(len(payload) * 3 // 4 if binary else len(payload.encode()))

    def busy(self) -> dict[str, float]:
        """Seconds that the main thread of the page has worked so far, and on what."""
        found = {m["name"]: float(m["value"]) for m in self.session.send("Performance.getMetrics")["metrics"]}
        spent = {what: found[name] for what, name in _WORK.items()}
        return spent | {"other": spent["all"] - sum(spent[what] for what in ("script", "style", "layout"))}


def main() -> None:
    """Run it."""
    options = arguments()
    told = report.facts(1, "cpu") | {"unit": "wall clock in Chromium and its kernel on the same machine"}
    with opened(options) as (page, wire):
        parts = [slider(options, page), filling(options, page, wire)]
    print(report.heading("slider of the steering panel on scenes-8l: milliseconds", told))
    header = ("what", "median", "quartiles", "95 %", "samples")
    print(report.table(header, [line(one) for one in parts[0]["rows"]]))
    print(report.heading("map of 64 × 40 cells, filled live", told))
    print(report.table(("what", "1 strength", f"{options.strengths} strengths"), map_lines(parts[1]["rows"])))
    fills = parts[1]["rows"]
    targets = [
        report.target("updates drawn per second", fills[0]["updates_per_second"], 0.95 * options.rate, at_least=True),
        report.target("milliseconds of a frame, 95 %", fills[0]["frame_ms"]["p95"], 16, at_least=False),
    ]
    print(report.targets_text(targets))
    report.write(options.json, "widgets", told | {"benchmark": "widgets", "parts": parts, "targets": targets})


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=40, help="moves of the slider that are timed")
    parser.add_argument("--updates", type=int, default=100, help="updates of the map")
    parser.add_argument("--rate", type=int, default=20, help="updates a second that are asked for")
    parser.add_argument("--strengths", type=int, default=5, help="strengths of the larger grid")
    parser.add_argument("--json", type=Path, help="default: benchmarks/results/widgets.json")
    return parser.parse_known_args()[0]


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[tuple[Page, Wire]]:
    """JupyterLab with a notebook, its panel and its map on the screen."""
    doses = [(1.0,), tuple(range(1, options.strengths + 1))]
    asked = {"UPDATES": str(options.updates), "RATE": str(options.rate)}
    fills = [_filled(FILL, asked | {"STRENGTHS": repr(strengths)}) for strengths in doses]
    cells = [PANEL.strip(), _filled(KERNEL, {"MOVES": str(options.moves)}).strip(), MAP.strip(), *fills]
    with tempfile.TemporaryDirectory() as name, lab.running(Path(name)) as desk:
        desk.notebook("widgets.ipynb", *cells)
        page = desk.page(1400, 1000)
        page.add_init_script(f"({_WATCH_CANVAS})()")
        wire = Wire(page.context.new_cdp_session(page))
        desk.open(page, "widgets.ipynb")
        run(page, 0)
        page.wait_for_function(
            "document.querySelector('[data-testid=status]')?.textContent === 'idle' && "
            "document.querySelector('[data-testid=answer-steered]').textContent !== ''",
            timeout=120_000,
        )
        yield page, wire


def _filled(cell: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        cell = cell.replace(word, value)
    return cell


def run(page: Page, cell: int) -> str:
    """Run a cell to its end; gives what it printed.

    Raises
    ------
    RuntimeError
        With the traceback, if the cell failed.
    """
    lab.run_cell(page, cell)
    done = (
        f"/\\[\\d+\\]/.test(document.querySelectorAll('.jp-Cell')[{cell}].querySelector('.jp-InputPrompt').textContent)"
    )
    page.wait_for_function(done, timeout=120_000, polling=_POLL)
    page.wait_for_timeout(300)
    output = page.locator(".jp-Cell").nth(cell).locator(".jp-OutputArea-output")
    failed = output.and_(page.locator("[data-mime-type*=error]"))
    if failed.count():
        raise RuntimeError(failed.first.inner_text())
    return str(output.first.text_content()) if output.count() else ""


def slider(options: argparse.Namespace, page: Page) -> dict[str, Any]:
    """Milliseconds from a move of the slider to the first word of its steered answer."""
    values = [f"{0.25 * (1 + k % 8):g}" for k in range(options.moves + 3)]
    alone = []
    for value in values:
        alone.append(page.evaluate(MOVE, value))
        page.wait_for_function("document.querySelector('[data-testid=status]').textContent === 'idle'")
    burst = []
    for _ in range(max(5, options.moves // 4)):
        page.evaluate(_DRAG, [[f"{-3 + 0.25 * k:g}" for k in range(20)], 20])
        burst.append(page.evaluate(MOVE, "2.5"))
        page.wait_for_function("document.querySelector('[data-testid=status]').textContent === 'idle'")
    printed = run(page, 1)
    kernel = [1000 * one for one in json.loads(printed.split("seconds", 1)[1])]
    rows = {
        "a single move → first word drawn": alone[3:],
        "the last of 21 moves in 0.4 s → first word drawn": burst,
        "mp.stream → first token, in the kernel alone": kernel,
    }
    return {"title": "slider", "rows": [{"what": name} | spread(found) for name, found in rows.items()]}


def filling(options: argparse.Namespace, page: Page, wire: Wire) -> dict[str, Any]:
    """What a map costs that is filled at a rate, with one strength and with several."""
    run(page, 2)
    page.locator(".jp-Cell").nth(2).scroll_into_view_if_needed()
    return {"title": "map", "rows": [fill(options, page, wire, cell) for cell in (3, 4)]}


def fill(options: argparse.Namespace, page: Page, wire: Wire, cell: int) -> dict[str, Any]:
    """Run a cell that fills the map and count what it costs."""
    page.wait_for_timeout(500)
    page.evaluate("() => { window.__drawn.frames.clear(); window.__drawn.times = []; }")
    wire.sizes.clear()
    before = wire.busy()
    run(page, cell)
    page.wait_for_timeout(300)
    found = page.evaluate("() => ({ frames: [...window.__drawn.frames], times: window.__drawn.times })")
    after = wire.busy()
    updates = len(found["frames"])
    seconds = (max(found["frames"]) - min(found["frames"])) / 1000
    large = [size for size in wire.sizes if size > 64 * 40]
    return {
        "updates": updates,
        "updates_per_second": (updates - 1) / seconds,
        "bytes_per_update": statistics.median(large),
        "frame_ms": spread(found["times"]),
        "main_thread_ms_per_update": {what: 1000 * (after[what] - before[what]) / updates for what in _PARTS},
    }


def spread(samples: list[float]) -> dict[str, Any]:
    """Median, quartiles and 95th percentile."""
    first, _, third = statistics.quantiles(samples, n=4, method="inclusive")
    p95 = statistics.quantiles(samples, n=20, method="inclusive")[-1]
    return {"median": statistics.median(samples), "quartiles": [first, third], "p95": p95, "samples": len(samples)}


def line(one: dict[str, Any]) -> list[Any]:
    """A row of the slider's table."""
    low, high = one["quartiles"]
    return [one["what"], f"{one['median']:.0f}", f"{low:.0f} – {high:.0f}", f"{one['p95']:.0f}", one["samples"]]


def map_lines(fills: list[dict[str, Any]]) -> list[list[Any]]:
    """Rows of the map's table."""
    frames = [f"{one['frame_ms']['median']:.1f} (95 %: {one['frame_ms']['p95']:.1f})" for one in fills]
    return [
        ["updates drawn per second", *(f"{one['updates_per_second']:.1f}" for one in fills)],
        ["kB per update", *(f"{one['bytes_per_update'] / 1000:.1f}" for one in fills)],
        ["milliseconds of main thread to draw a frame", *frames],
        *([text, *(f"{one['main_thread_ms_per_update'][what]:.1f}" for one in fills)] for what, text in _PARTS.items()),
    ]


if __name__ == "__main__":
    main()
