"""The heatmap and the monitor in a real JupyterLab: drag, keys, scrubber, curve, copies; pause, resume, stop."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
SHOTS = lab.SHOTS
# Milliseconds that a machine with other work may take for what computes.
SLOW = 300_000
ATTEMPTS = 30

MAP = """
import mllm_probe as mp
from tests.widgets.test_heatmap import raw_grid
heatmap = mp.LayerConceptHeatmap(raw_grid(off_target=True), concept="cat", layer=2)
heatmap
"""
SAID = "print(heatmap.concept, heatmap.layer, heatmap.window, heatmap.strength, heatmap.average, heatmap.against)"
FAST = """
from tests.widgets import fakes
import numpy as np, time, xarray as xr
names = [f"concept {i}" for i in range(64)]
def large(k):
    rng = np.random.default_rng(k)
    dims = ("concept", "layer", "strength")
    values = rng.normal(size=(64, 40, 5))
    band = np.repeat(values[..., None] * 0, 1, -1)
    variables = {"difference": (dims, values, {"units": "nats"}), "low": (dims, values - 1), "high": (dims, values + 1),
        "n": (dims, values * 0 + 24), "clear_of_controls": (dims, abs(values) > 1),
        "clear_in_grid": (dims, abs(values) > 1), "q": (dims, np.exp(-abs(values))),
        "control_mean": ((*dims, "control"), band), "control_low": ((*dims, "control"), band - 1),
        "control_high": ((*dims, "control"), band + 1)}
    coords = {"concept": names, "category": ("concept", ["entity", "emotion"] * 32), "layer": np.arange(40),
        "strength": [-2.0, -1.0, 0.0, 1.0, 2.0], "control": ["random"]}
    return xr.Dataset(variables, coords, {"unit": "residual", "metric": "logprob"})
frames = [large(k) for k in range(8)]
fast = mp.LayerConceptHeatmap(frames[0], concept="concept 3", layer=5)
fast
"""
FEED = """
def fed():
    for k in range(100):
        yield frames[k % 8]
        time.sleep(0.02)
fast.watch(fed()).wait()
print("last", float(frames[99 % 8].difference.sel(concept="concept 3", layer=5, strength=1)))
"""
REAL = """
from mllm_probe.sweeps import chunk_size
from mllm_probe.widgets.base.choices import images_from
chunk_size.DEFAULT = chunk_size.Limits(rows=24)
model = mp.load("scenes-8l")
library = mp.concepts.scenes(concepts=["cat", "tree", "neon"], pairs=6)
vectors = mp.concept_vectors(model, library, probe_accuracy=False, shuffled_draws=3)
pictures = images_from(library)[:4]
monitor = mp.SweepMonitor()
live = mp.LayerConceptHeatmap(monitor)
display(monitor, live)
"""
START = """
monitor.watch(mp.sweep_iter(model, vectors, pictures, strengths=(-1, 1), draws=4, seed=1, progress=False,
    metrics=("logprob", "named"), max_new_tokens=6, store="{store}")); print("begun")
"""
AGAIN = """
heatmap.average = "mean"; heatmap.against, heatmap.columns, heatmap.sample = "random", "layer", 0
heatmap.detail, heatmap.concept, heatmap.strength = "dose_response", "cat", 1.0
heatmap.layer, heatmap.window = 2, [2, 2]
"""
"""The state in which every test of the small map begins, whatever the one before it did."""
ANSWER = "out = mp.generate(model, pictures[0], max_new_tokens=4); print('free', bool(out.text))"
STORE = (
    "elsewhere = mp.SweepMonitor('elsewhere.zarr'); seen = mp.LayerConceptHeatmap(elsewhere); display(elsewhere, seen)"
)
RUN = """
grid, image = live.grid, pictures[0]
live.concept, live.window = 'cat', [3, 4]
"""
EXEC = "exec(live.copied)"
MARKS = """
marked = mp.LayerConceptHeatmap(fakes.effect(answers=True), concept="cat", layer=2, strength=1.0)
marked
"""
CELLS = [cell.strip() for cell in (MAP, FAST, FEED, REAL, ANSWER, STORE, RUN, EXEC, MARKS)]
(I_MAP, I_FAST, I_FEED, I_REAL, I_ANSWER, I_STORE, I_RUN, I_EXEC, I_MARKS) = range(len(CELLS))

# How many colours a part of a canvas has, in page pixels from its corner; the canvas is found by its test id in a cell.
_COLOURS = """([index, x, y, w, h]) => {
  const cell = document.querySelectorAll('.jp-Notebook .jp-Cell')[index];
  const r = devicePixelRatio, found = new Set();
  const pen = cell.querySelector('[data-testid=heatmap]').getContext('2d');
  const data = pen.getImageData(x * r, y * r, w * r, h * r).data;
  for (let i = 0; i < data.length; i += 4) found.add(data[i] * 65536 + data[i + 1] * 256 + data[i + 2]);
  return found.size;
}"""


@pytest.fixture(scope="module")
def page(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("map.ipynb", *CELLS)
    with desk.opened("map.ipynb", 1100, 1000) as made:
        made.get_by_test_id("heatmap").wait_for(timeout=180_000)
        yield made


def out(page: Page, cell: int) -> Locator:
    """Output of a cell."""
    return page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-Cell-outputArea")


def run(page: Page, cell: int) -> Locator:
    """Run a cell to its end; gives its output."""
    lab.finish_cell(page, cell, SLOW)
    return out(page, cell)


@pytest.fixture
def area(page: Page) -> Locator:
    """The small map, as it was at first."""
    lab.set_theme(page, "JupyterLab Light")
    page.mouse.move(5, 5)
    lab.said(page, AGAIN)
    made = out(page, I_MAP)
    expect(made.get_by_test_id("heatmap-cell")).to_have_text(re.compile("^cat · layer 2 · 1 ×.*n = 8 images.*random"))
    made.get_by_test_id("heatmap").scroll_into_view_if_needed()
    return made


def kernel_says(page: Page, wanted: str) -> None:
    """Ask the kernel what is selected until it says so: a cell may overtake what a control has sent."""
    lab.until_said(page, SAID, wanted)


def centre(canvas: Locator, row: int, layer: int) -> tuple[float, float]:
    """Middle of a cell of the first category, in page pixels from the canvas's corner."""
    place = canvas.evaluate("c => ({ ...c.dataset })")
    left, top, width, height = (float(place[name]) for name in ("left", "top", "cellWidth", "rowHeight"))
    return left + (layer + 0.5) * width, top + (row + 0.5) * height


def test_a_drag_selects_a_window_and_the_kernel_knows(page: Page, area: Locator) -> None:
    canvas, cell = area.get_by_test_id("heatmap"), area.get_by_test_id("heatmap-cell")
    expect(cell).to_contain_text("cat · layer 2")
    box = canvas.bounding_box()
    (x0, y0), (x1, _) = centre(canvas, 1, 0), centre(canvas, 1, 1)
    page.mouse.move(box["x"] + x0, box["y"] + y0)
    page.mouse.down()
    page.mouse.move(box["x"] + x1 - 5, box["y"] + y0 + 60, steps=4)
    page.mouse.move(box["x"] + x1, box["y"] + y0, steps=2)
    page.mouse.up()
    page.mouse.move(5, 5)
    expect(cell).to_contain_text("tree · layer 5 · window 2–5")
    kernel_says(page, "tree 2 [2, 5] 1.0 mean random")


def test_keys_alone_select_extend_and_scrub(page: Page, area: Locator) -> None:
    canvas, cell = area.get_by_test_id("heatmap"), area.get_by_test_id("heatmap-cell")
    canvas.focus()
    for key in ("Escape", "ArrowUp", "Home"):
        page.keyboard.press(key)
    expect(cell).to_contain_text("cat · layer 2 · 1 ×")
    page.keyboard.press("Shift+ArrowRight")
    expect(cell).to_contain_text("cat · layer 5 · window 2–5")
    page.keyboard.press("-")
    expect(area.get_by_test_id("heatmap-strength")).to_have_attribute("aria-valuetext", "0 × residual norm")
    area.get_by_test_id("heatmap-strength").focus()
    page.keyboard.press("Home")
    expect(cell).to_contain_text("−1 × residual norm")
    page.keyboard.press("End")
    expect(cell).to_contain_text("1 × residual norm")
    kernel_says(page, "cat 2 [2, 5] 1.0 mean random")


def test_the_dose_response_of_the_cell_appears_and_its_points_scrub(area: Locator) -> None:
    canvas, curve = area.get_by_test_id("heatmap"), area.get_by_test_id("dose-response")
    canvas.click(position=dict(zip("xy", centre(canvas, 0, 1), strict=True)))
    expect(area.get_by_test_id("detail-title")).to_have_text("Dose response · cat · layer 5")
    assert curve.locator("[data-control]").evaluate_all("e => e.map(b => b.dataset.control)") == ["random", "shuffled"]
    assert all(curve.locator(".mp-band").evaluate_all("e => e.map(b => b.getAttribute('d').length > 20)"))
    assert curve.locator(".mp-point").evaluate_all("e => e.map(p => p.dataset.strength)") == ["-1", "0", "1"]
    assert curve.locator(".mp-dot.mp-hollow").count() == 2 and curve.locator(".mp-interval").count() == 3
    curve.locator(".mp-point").nth(0).click()
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("cat · layer 5 · −1 ×")
    curve.locator(".mp-point").nth(2).click()
    expect(curve).to_have_attribute(
        "aria-label", re.compile("cat, effect by strength.*does not pass.*passes in the grid, q")
    )


def test_choices_are_made_in_the_kernel(page: Page, area: Locator) -> None:
    lab.said(page, "heatmap.layer = 5")
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("cat · layer 5")
    before = area.get_by_test_id("heatmap-cell").get_attribute("data-value")
    area.get_by_test_id("control").select_option("shuffled")
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("shuffled label ")
    assert abs(float(area.get_by_test_id("heatmap-cell").get_attribute("data-value")) - float(before)) > 0.5
    expect(area.get_by_test_id("sample")).to_be_hidden()
    area.get_by_test_id("average").select_option("single")
    area.get_by_test_id("sample").select_option("3")
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("n = 1 image")
    area.get_by_test_id("columns").select_option("relative_depth")
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("layer 5 · depth 0.75")
    kernel_says(page, "cat 5 [5, 5] 1.0 single shuffled")


def test_cells_that_are_not_clear_are_hatched(page: Page, area: Locator) -> None:
    canvas = area.get_by_test_id("heatmap")
    canvas.click(position=dict(zip("xy", centre(canvas, 1, 1), strict=True)))
    page.mouse.move(5, 5)
    x, y = centre(canvas, 0, 0)
    inside = [I_MAP, x - 12, y - 5, 24, 10]
    area.get_by_test_id("heatmap-strength").press("End")
    page.wait_for_function(f"inside => ({_COLOURS})(inside) === 1", arg=inside)
    area.get_by_test_id("heatmap-strength").press("Home")
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("does not pass")
    page.wait_for_function(f"inside => ({_COLOURS})(inside) >= 3", arg=inside)


def test_cells_are_marked_for_their_answers_in_both_themes(page: Page, area: Locator) -> None:
    lab.said(page, "from tests.widgets import fakes")
    area = run(page, I_MARKS)
    canvas, cell = area.get_by_test_id("heatmap"), area.get_by_test_id("heatmap-cell")
    canvas.scroll_into_view_if_needed()
    expect(area.get_by_test_id("map-note")).to_contain_text("– no answer names the concept")
    expect(area.get_by_test_id("map-note")).to_contain_text("× at least half of the answers broken")
    expect(area.get_by_test_id("map-caption")).to_have_text(re.compile(r"^whole grid: \d+ of 560 cells pass"))
    expect(cell).to_have_text(re.compile(r"passes in the grid, q"))
    expect(cell).not_to_contain_text("answers")

    def colours(layer: int) -> str:
        """How many colours the lower left of the cell of the fourth concept has, where it is not hatched."""
        x, y = centre(canvas, 0, layer)
        size = float(canvas.get_attribute("data-cell-width") or 0)
        return f"({_COLOURS})([{I_MARKS}, {x - size / 2 + 2}, {y - 2}, 9, 10])"

    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        lab.set_theme(page, theme)
        lab.said(page, "marked.strength = 1.0")
        page.wait_for_function(f"() => {colours(5)} === 1")
        page.screenshot(path=SHOTS / f"heatmap-marks-{theme.split()[-1].lower()}.png")
        lab.said(page, "marked.strength = 2.0")
        page.wait_for_function(f"() => {colours(5)} > 3")
        expect(cell).to_contain_text("at least half of the answers broken")
    lab.said(page, "marked.layer, marked.strength = 0, 1.0")
    expect(cell).to_contain_text("no answer names the concept")


def test_the_off_target_view_is_read_by_keys_too(page: Page, area: Locator) -> None:
    lab.said(page, "heatmap.concept, heatmap.layer = 'tree', 5")
    area.get_by_test_id("detail").select_option("off_target")
    expect(area.get_by_test_id("off-target-cell")).to_contain_text("tree steered, cat scored: ")
    area.get_by_test_id("off-target").focus()
    page.keyboard.press("ArrowRight")
    expect(area.get_by_test_id("off-target-cell")).to_contain_text("tree steered, tree scored: +3")
    expect(area.get_by_test_id("off-target-cell")).to_contain_text("clear of the random directions")
    page.screenshot(path=SHOTS / "heatmap-off-target.png")


def test_dark_theme(page: Page, area: Locator) -> None:
    canvas = area.get_by_test_id("heatmap")
    x, y = centre(canvas, 0, 0)
    page.screenshot(path=SHOTS / "heatmap-light.png")
    pixel = "([c, x, y]) => [...c.getContext('2d').getImageData(x, y, 1, 1).data].join()"
    handle = canvas.element_handle()
    light = page.evaluate(pixel, [handle, x, y])
    lab.set_theme(page, "JupyterLab Dark")
    page.wait_for_function(f"([c, x, y, light]) => ({pixel})([c, x, y]) !== light", arg=[handle, x, y, light])
    background = canvas.evaluate("c => getComputedStyle(c.closest('.mp')).backgroundColor")
    assert max(map(int, background.removeprefix("rgb(").removesuffix(")").split(", "))) < 60
    page.screenshot(path=SHOTS / "heatmap-dark.png")
    lab.set_theme(page, "JupyterLab Light")
    page.wait_for_function(f"([c, x, y, light]) => ({pixel})([c, x, y]) === light", arg=[handle, x, y, light])


def test_a_large_map_that_is_fed_fast_ends_on_its_last_numbers(page: Page) -> None:
    area = run(page, I_FAST)
    area.get_by_test_id("heatmap").wait_for()
    area.scroll_into_view_if_needed()
    last = float(run(page, I_FEED).inner_text().split("last", 1)[1])
    cell = area.get_by_test_id("heatmap-cell")
    page.wait_for_function(
        "([cell, last]) => Math.abs(Number(cell.dataset.value) - last) < 1e-5", arg=[cell.element_handle(), last]
    )
    expect(cell).to_contain_text("concept 3 · layer 5 · 1 ×")
    expect(area.get_by_test_id("heatmap-status")).to_have_text("")
    page.screenshot(path=SHOTS / "heatmap-large.png")


def began(page: Page, store: str) -> Locator:
    """A new monitor and its map, with a sweep into ``store`` of which some cells are there."""
    area = run(page, I_REAL)
    expect(area.get_by_test_id("monitor-status")).to_have_text("nothing to watch")
    expect(area.get_by_test_id("monitor-pause")).to_be_hidden()
    expect(area.get_by_test_id("heatmap-skeleton")).to_be_visible()
    expect(area.get_by_test_id("heatmap")).to_be_hidden()
    lab.said(page, START.format(store=store))
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("nats", timeout=SLOW)
    return area


def test_a_window_is_read_as_such_right_after_it_was_selected(page: Page, area: Locator) -> None:
    canvas, cell = area.get_by_test_id("heatmap"), area.get_by_test_id("heatmap-cell")
    canvas.click(position=dict(zip("xy", centre(canvas, 1, 0), strict=True)))
    canvas.click(position=dict(zip("xy", centre(canvas, 1, 1), strict=True)), modifiers=["Shift"])
    expect(cell).to_contain_text("tree · layer 5 · window 2–5")
    x, y = centre(canvas, 1, 1)
    canvas.hover(position={"x": x - 4, "y": y})
    expect(cell).to_contain_text("tree · layer 5 · window 2–5")
    canvas.hover(position=dict(zip("xy", centre(canvas, 0, 1), strict=True)))
    expect(cell).to_contain_text("cat · layer 5 · 1 ×")
    expect(cell).not_to_contain_text("window")


def test_a_sweep_of_this_kernel_is_paused_resumed_and_stopped(page: Page) -> None:
    area = began(page, "paused.zarr")
    status, facts = area.get_by_test_id("monitor-status"), area.locator(".mp-facts")
    area.get_by_test_id("monitor-pause").focus()
    page.keyboard.press("Enter")
    expect(area.get_by_test_id("monitor-resume")).to_be_focused()
    expect(status).to_contain_text("paused", timeout=SLOW)
    expect(area.get_by_test_id("monitor-resume")).to_be_focused()
    done = facts.locator("[data-fact=runs]").text_content()
    expect(run(page, I_ANSWER)).to_contain_text("free True")
    assert facts.locator("[data-fact=runs]").text_content() == done
    area.scroll_into_view_if_needed()
    page.screenshot(path=SHOTS / "monitor-paused.png")
    area.get_by_test_id("monitor-resume").focus()
    page.keyboard.press("Enter")
    expect(status).to_contain_text("running")
    expect(facts.locator("[data-fact=runs]")).not_to_have_text(done, timeout=SLOW)
    expect(facts.locator("[data-fact=rate]")).to_contain_text("per s")
    expect(facts.locator("[data-fact=memory]")).to_contain_text("free")
    area.get_by_test_id("monitor-stop").click()
    expect(status).to_contain_text("stopped", timeout=SLOW)
    expect(area.get_by_test_id("monitor-note")).to_contain_text("goes on from it")
    expect(area.get_by_test_id("monitor-stop")).to_be_hidden()


def test_a_stopped_sweep_goes_on_from_its_store_and_copied_code_runs(page: Page) -> None:
    area = began(page, "resumed.zarr")
    area.get_by_test_id("monitor-stop").click()
    expect(area.get_by_test_id("monitor-status")).to_contain_text("stopped", timeout=SLOW)
    lab.said(page, START.format(store="resumed.zarr"))
    expect(area.get_by_test_id("monitor-status")).to_have_text("finished · 100 %", timeout=SLOW)
    run(page, I_RUN)
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("window 3–4")
    area.get_by_test_id("copy-code").click()
    expect(area.get_by_test_id("copy-status")).not_to_be_empty()
    expect(run(page, I_EXEC)).to_contain_text("difference", timeout=SLOW)  # a sweep of its own
    assert page.locator(".jp-OutputArea-output[data-mime-type*=error]").count() == 0
    area.get_by_test_id("copy-csv").click()
    page.screenshot(path=SHOTS / "heatmap-real.png")


def test_a_store_that_another_process_fills_is_followed(page: Page, desk: lab.Desk) -> None:
    area = run(page, I_STORE)
    expect(area.get_by_test_id("monitor-note")).to_contain_text("waiting for it")
    expect(area.get_by_test_id("monitor-stop")).to_be_hidden()
    store = desk.folder / "elsewhere.zarr"
    environment = {**os.environ, "PYTHONPATH": str(lab.ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.browser.filled", str(store), "0.2"], env=environment, cwd=lab.ROOT
    )
    try:
        runs = area.locator("[data-fact=runs]")
        expect(runs).to_contain_text("of", timeout=SLOW)
        expect(area.get_by_test_id("monitor-status")).to_contain_text("running")
        expect(area.get_by_test_id("monitor-note")).to_contain_text("another process")
        area.scroll_into_view_if_needed()
        page.screenshot(path=SHOTS / "monitor-elsewhere.png")
        expect(area.get_by_test_id("monitor-status")).to_have_text("finished · 100 %", timeout=SLOW)
        expect(area.get_by_test_id("heatmap-cell")).to_contain_text("nats")
    finally:
        process.terminate()
        process.wait(20)


def test_every_control_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.mp :is(input, select, button, canvas, textarea)')].filter((e) =>
          !(e.ariaHidden || e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim()))
          .map((e) => e.outerHTML)"""
    )
    assert nameless == []
