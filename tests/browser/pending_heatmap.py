"""The heatmap and the monitor in a real JupyterLab: drag, keys, scrubber, curve, copies; pause, resume, stop."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.browser import lab

pytestmark = pytest.mark.browser
SHOTS = lab.ROOT / "screenshots"

MAP = """
import mllm_probe as mp
from tests.widgets.test_heatmap import raw_grid
heatmap = mp.LayerConceptHeatmap(raw_grid(off_target=True), concept="cat", layer=2)
heatmap
"""
SAID = (
    "print('said', heatmap.concept, heatmap.layer, heatmap.window, heatmap.strength, heatmap.average, heatmap.against)"
)
FAST = """
from tests.widgets import fakes
import numpy as np, time, threading, xarray as xr
names = [f"concept {i}" for i in range(64)]
def large(k):
    rng = np.random.default_rng(k)
    dims = ("concept", "layer", "strength")
    values = rng.normal(size=(64, 40, 5))
    band = np.repeat(values[..., None] * 0, 1, -1)
    variables = {"difference": (dims, values, {"units": "nats"}), "low": (dims, values - 1), "high": (dims, values + 1),
        "n": (dims, values * 0 + 24), "clear_of_controls": (dims, abs(values) > 1),
        "control_mean": ((*dims, "control"), band), "control_low": ((*dims, "control"), band - 1),
        "control_high": ((*dims, "control"), band + 1)}
    coords = {"concept": names, "category": ("concept", ["entity", "emotion"] * 32), "layer": np.arange(40),
        "strength": [-2.0, -1.0, 0.0, 1.0, 2.0], "control": ["random"]}
    return xr.Dataset(variables, coords, {"unit": "residual", "metric": "logprob"})
frames = [large(k) for k in range(8)]
fast = mp.LayerConceptHeatmap(frames[0])
def feed():
    for k in range(100):
        fast.show(frames[k % 8])
        time.sleep(0.05)
fast
"""
FEED = "threading.Thread(target=feed, daemon=True).start()"
REAL = """
from mllm_probe.sweeps import job
from mllm_probe.widgets.choices import pictures_from
job.MOST_ROWS = 24
model = mp.load("scenes-8l")
library = mp.concepts.scenes(concepts=["cat", "tree", "neon"], pairs=6)
vectors = mp.concept_vectors(model, library, probe_accuracy=False, shuffled_draws=3)
pictures = pictures_from(library)
monitor = mp.SweepMonitor()
live = mp.LayerConceptHeatmap(monitor)
display(monitor, live)
"""
START = """
monitor.watch(mp.sweep_iter(model, vectors, pictures, strengths=(-1, 0.5, 1, 2), draws=8, seed=1, progress=False,
    metrics=("logprob", "named"), max_new_tokens=6, store="live.zarr")); print("begun")
"""
ANSWER = "out = mp.generate(model, pictures[0], max_new_tokens=4); print('free', bool(out.text))"
STORE = (
    "elsewhere = mp.SweepMonitor('elsewhere.zarr'); seen = mp.LayerConceptHeatmap(elsewhere); display(elsewhere, seen)"
)
RUN = """
grid, image = live.grid, pictures[0]
live.concept, live.window = 'cat', [3, 4]
"""
EXEC = "exec(live.copied)"
CELLS = [cell.strip() for cell in (MAP, SAID, FAST, FEED, REAL, START, ANSWER, STORE, RUN, EXEC)]
(I_MAP, I_SAID, I_FAST, I_FEED, I_REAL, I_START, I_ANSWER, I_STORE, I_RUN, I_EXEC) = range(len(CELLS))

_FRAMES = """() => {
  const kept = window.__frames = { frame: [], message: [] };
  const raf = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (run) => raf((now) => {
    const start = performance.now(); run(now); kept.frame.push(performance.now() - start); });
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("heatmap")
    lab.notebook(folder, "map.ipynb", *CELLS)
    with lab.server(folder) as found:
        yield found, folder


@pytest.fixture(scope="module")
def page(served: tuple[str, Path]) -> Iterator[Page]:
    SHOTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = lab.launch(playwright)
        made = browser.new_page(viewport={"width": 1100, "height": 1000})
        made.set_default_timeout(60_000)
        expect.set_options(timeout=30_000)
        lab.open_notebook(made, served[0], "map.ipynb")
        lab.run_cell(made, I_MAP)
        made.get_by_test_id("heatmap").wait_for(timeout=180_000)
        yield made
        browser.close()


def out(page: Page, cell: int) -> Locator:
    """Output of a cell."""
    return page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-Cell-outputArea")


def asked(page: Page) -> str:
    """What the kernel says is selected."""
    lab.run_cell(page, I_SAID)
    said = out(page, I_SAID)
    expect(page.locator(".jp-Cell").nth(I_SAID).locator(".jp-InputPrompt")).not_to_have_text("[*]:")
    expect(said).to_contain_text("said")
    return said.inner_text().strip()


def centre(canvas: Locator, row: int, layer: int) -> tuple[float, float]:
    """Middle of a cell of the first category, in page pixels from the canvas's corner."""
    place = canvas.evaluate("c => ({ ...c.dataset })")
    left, top, width, height = (float(place[name]) for name in ("left", "top", "cellWidth", "rowHeight"))
    return left + (layer + 0.5) * width, top + (row + 0.5) * height


def test_a_drag_selects_a_window_and_the_kernel_knows(page: Page) -> None:
    area = out(page, I_MAP)
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
    assert asked(page).endswith("said tree 2 [2, 5] 1.0 mean random")


def test_keys_alone_select_extend_and_scrub(page: Page) -> None:
    area = out(page, I_MAP)
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
    assert asked(page).endswith("said cat 2 [2, 5] 1.0 mean random")


def test_the_dose_response_of_the_cell_appears_and_its_points_scrub(page: Page) -> None:
    area = out(page, I_MAP)
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
    expect(curve).to_have_attribute("aria-label", re.compile("cat, effect by strength.*not clear"))


def test_choices_are_made_in_the_kernel(page: Page) -> None:
    area = out(page, I_MAP)
    before = area.get_by_test_id("heatmap-cell").get_attribute("data-value")
    area.get_by_test_id("control").select_option("shuffled")
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("shuffled pair ")
    assert abs(float(area.get_by_test_id("heatmap-cell").get_attribute("data-value")) - float(before)) > 0.5
    expect(area.get_by_test_id("sample")).to_be_hidden()
    area.get_by_test_id("average").select_option("single")
    area.get_by_test_id("sample").select_option("3")
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("n = 1 picture")
    area.get_by_test_id("columns").select_option("relative_depth")
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("layer 5 · depth 0.75")
    assert asked(page).endswith("1.0 single shuffled")
    area.get_by_test_id("average").select_option("mean")
    area.get_by_test_id("control").select_option("random")
    area.get_by_test_id("columns").select_option("layer")
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("n = 8 pictures")


def pixels(canvas: Locator, x: float, y: float, width: float, height: float) -> int:
    """How many colours a part of a canvas has."""
    read = """(c, [x, y, w, h]) => { const r = devicePixelRatio;
      const d = c.getContext('2d').getImageData(x * r, y * r, w * r, h * r).data; const found = new Set();
      for (let i = 0; i < d.length; i += 4) found.add(d[i] * 65536 + d[i + 1] * 256 + d[i + 2]); return found.size; }"""
    return canvas.evaluate(read, [x, y, width, height])


def test_cells_that_are_not_clear_are_hatched(page: Page) -> None:
    area = out(page, I_MAP)
    canvas = area.get_by_test_id("heatmap")
    canvas.click(position=dict(zip("xy", centre(canvas, 1, 1), strict=True)))
    page.mouse.move(5, 5)
    x, y = centre(canvas, 0, 0)
    page.wait_for_timeout(200)
    clear = pixels(canvas, x - 12, y - 5, 24, 10)
    area.get_by_test_id("heatmap-strength").press("Home")
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("not clear of the controls")
    page.wait_for_timeout(200)
    assert clear == 1 and pixels(canvas, x - 12, y - 5, 24, 10) >= 3
    area.get_by_test_id("heatmap-strength").press("End")


def test_the_off_target_view_is_read_by_keys_too(page: Page) -> None:
    area = out(page, I_MAP)
    area.get_by_test_id("detail").select_option("off_target")
    expect(area.get_by_test_id("off-target-cell")).to_contain_text("tree steered, cat scored: ")
    area.get_by_test_id("off-target").focus()
    page.keyboard.press("ArrowRight")
    expect(area.get_by_test_id("off-target-cell")).to_contain_text("tree steered, tree scored: +3")
    expect(area.get_by_test_id("off-target-cell")).to_contain_text("clear of the random directions")
    page.screenshot(path=SHOTS / "heatmap-off-target.png")
    area.get_by_test_id("detail").select_option("dose_response")


def test_dark_theme(page: Page) -> None:
    canvas = out(page, I_MAP).get_by_test_id("heatmap")
    page.screenshot(path=SHOTS / "heatmap-light.png")
    corner = "c => [...c.getContext('2d').getImageData(c.width * 0.3, c.height * 0.2, 1, 1).data].slice(0, 3)"
    lab.set_theme(page, "JupyterLab Dark")
    page.wait_for_timeout(400)
    dark = canvas.evaluate("c => getComputedStyle(c.closest('.mp')).backgroundColor")
    assert max(map(int, dark.removeprefix("rgb(").removesuffix(")").split(", "))) < 60
    assert canvas.evaluate(corner) is not None
    page.screenshot(path=SHOTS / "heatmap-dark.png")
    lab.set_theme(page, "JupyterLab Light")


def test_a_large_map_is_fed_and_its_frames_are_told(page: Page) -> None:
    lab.run_cell(page, I_FAST)
    area = out(page, I_FAST)
    area.get_by_test_id("heatmap").wait_for()
    area.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    page.evaluate(_FRAMES)
    lab.run_cell(page, I_FEED)
    page.wait_for_timeout(5_500)
    kept = page.evaluate("window.__frames")
    frames = sorted(ms for ms in kept["frame"] if ms > 0.5)
    assert len(frames) > 20
    told = {"updates": len(frames), "median": frames[len(frames) // 2], "p95": frames[int(len(frames) * 0.95)]}
    print("\n64 × 40 cells at 20 updates a second, main thread per frame in ms:", json.dumps(told))
    page.screenshot(path=SHOTS / "heatmap-large.png")


def test_a_sweep_of_this_kernel_is_paused_resumed_and_stopped(page: Page) -> None:
    lab.run_cell(page, I_REAL)
    area = out(page, I_REAL)
    status, facts = area.get_by_test_id("monitor-status"), area.locator(".mp-facts")
    expect(status).to_have_text("nothing to watch", timeout=180_000)
    expect(area.get_by_test_id("monitor-pause")).to_be_hidden()
    lab.run_cell(page, I_START)
    expect(status).to_contain_text("running", timeout=120_000)
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("nats", timeout=120_000)
    area.get_by_test_id("monitor-pause").focus()
    page.keyboard.press("Enter")
    expect(status).to_contain_text("paused", timeout=60_000)
    done = facts.locator("[data-fact=runs]").text_content()
    lab.run_cell(page, I_ANSWER)
    expect(out(page, I_ANSWER)).to_contain_text("free True", timeout=60_000)
    assert facts.locator("[data-fact=runs]").text_content() == done
    expect(area.get_by_test_id("monitor-resume")).to_be_focused()
    area.scroll_into_view_if_needed()
    page.screenshot(path=SHOTS / "monitor-paused.png")
    page.keyboard.press("Enter")
    expect(status).to_contain_text("running")
    expect(facts.locator("[data-fact=runs]")).not_to_have_text(done, timeout=60_000)
    expect(facts.locator("[data-fact=rate]")).to_contain_text("per s")
    expect(facts.locator("[data-fact=memory]")).to_contain_text("free")
    area.get_by_test_id("monitor-stop").click()
    expect(status).to_contain_text("stopped", timeout=60_000)
    expect(area.get_by_test_id("monitor-note")).to_contain_text("goes on from it")
    expect(area.get_by_test_id("monitor-stop")).to_be_hidden()


def test_a_stopped_sweep_goes_on_from_its_store_and_copied_code_runs(page: Page) -> None:
    lab.run_cell(page, I_START)
    area = out(page, I_REAL)
    expect(area.get_by_test_id("monitor-status")).to_have_text("finished · 100 %", timeout=240_000)
    lab.run_cell(page, I_RUN)
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("window 3–4")
    area.get_by_test_id("copy-code").click()
    expect(area.get_by_test_id("copy-status")).not_to_be_empty()
    lab.run_cell(page, I_EXEC)
    expect(out(page, I_EXEC)).to_contain_text("difference", timeout=60_000)
    assert page.locator(".jp-OutputArea-output[data-mime-type*=error]").count() == 0
    area.get_by_test_id("copy-csv").click()
    page.screenshot(path=SHOTS / "heatmap-real.png")


def test_a_store_that_another_process_fills_is_followed(page: Page, served: tuple[str, Path]) -> None:
    lab.run_cell(page, I_STORE)
    area = out(page, I_STORE)
    expect(area.get_by_test_id("monitor-note")).to_contain_text("waiting for it")
    expect(area.get_by_test_id("monitor-stop")).to_be_hidden()
    store = served[1] / "elsewhere.zarr"
    environment = {**os.environ, "PYTHONPATH": str(lab.ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.browser.filled", str(store), "0.4"], env=environment, cwd=lab.ROOT
    )
    try:
        runs = area.locator("[data-fact=runs]")
        expect(runs).to_contain_text("of", timeout=120_000)
        expect(area.get_by_test_id("monitor-status")).to_contain_text("running")
        expect(area.get_by_test_id("monitor-note")).to_contain_text("another process")
        area.scroll_into_view_if_needed()
        page.screenshot(path=SHOTS / "monitor-elsewhere.png")
        expect(area.get_by_test_id("monitor-status")).to_have_text("finished · 100 %", timeout=120_000)
        expect(area.get_by_test_id("heatmap-cell")).to_contain_text("nats", timeout=30_000)
    finally:
        process.terminate()
        process.wait(20)


def test_every_control_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.mp :is(input, select, button, canvas, textarea)')].filter((e) =>
          !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim())).map((e) => e.outerHTML)"""
    )
    assert nameless == []
