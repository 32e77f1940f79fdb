"""The monitor in a real JupyterLab: a sweep that is paused, stopped and finished, and one of another process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
# Milliseconds that a machine with other work may take for what computes.
SLOW = 300_000

MAKE = """
import mllm_probe as mp
from mllm_probe.sweeps import runner
from mllm_probe.widgets.base.choices import images_from
runner.DEFAULT = runner.Limits(rows=24)
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
    metrics=("logprob", "named"), max_new_tokens=6, store="paused.zarr"));
"""
ANSWER = "out = mp.generate(model, pictures[0], max_new_tokens=4); print('free', bool(out.text))"
SELECT = """
grid, image = live.grid, pictures[0]
live.concept, live.window = 'cat', [3, 4]
"""
COPIED = "exec(live.copied)"
STORE = (
    "elsewhere = mp.SweepMonitor('elsewhere.zarr'); seen = mp.LayerConceptHeatmap(elsewhere); display(elsewhere, seen)"
)
I_COPIED, I_STORE = 1, 2


@pytest.fixture(scope="module")
def page(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("monitor.ipynb", MAKE.strip(), COPIED, STORE)
    with desk.opened("monitor.ipynb", 1100, 1000) as made:
        made.get_by_test_id("monitor-status").wait_for(timeout=SLOW)
        yield made


def out(page: Page, cell: int) -> Locator:
    return page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-Cell-outputArea")


@pytest.mark.journey
def test_a_sweep_is_paused_resumed_stopped_and_finished_from_its_store(page: Page) -> None:
    area = out(page, 0)
    status, runs = area.get_by_test_id("monitor-status"), area.locator("[data-fact=runs]")
    expect(status).to_have_text("nothing to watch")
    expect(area.get_by_test_id("monitor-pause")).to_be_hidden()
    expect(area.get_by_test_id("heatmap-skeleton")).to_be_visible()
    expect(area.get_by_test_id("heatmap-cell")).to_have_text("Waiting for the first cells.")
    expect(area.get_by_test_id("heatmap")).to_be_hidden()
    lab.said(page, START)
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("nats", timeout=SLOW)
    area.get_by_test_id("monitor-pause").focus()
    page.keyboard.press("Enter")
    expect(area.get_by_test_id("monitor-resume")).to_be_focused()
    expect(status).to_contain_text("paused", timeout=SLOW)
    expect(area.get_by_test_id("monitor-resume")).to_be_focused()
    done = runs.text_content() or ""
    assert lab.said(page, ANSWER).startswith("free True")
    assert runs.text_content() == done
    area.scroll_into_view_if_needed()
    page.screenshot(path=lab.SHOTS / "monitor-paused.png")
    page.keyboard.press("Enter")
    expect(status).to_contain_text("running")
    expect(runs).not_to_have_text(done, timeout=SLOW)
    expect(area.locator("[data-fact=rate]")).to_contain_text("per s")
    expect(area.locator("[data-fact=memory]")).to_contain_text("free")
    area.get_by_test_id("monitor-stop").click()
    expect(status).to_contain_text("stopped", timeout=SLOW)
    expect(area.get_by_test_id("monitor-note")).to_contain_text("goes on from it")
    expect(area.get_by_test_id("monitor-stop")).to_be_hidden()
    lab.said(page, START)
    expect(status).to_have_text("finished · 100 %", timeout=SLOW)
    copied_code_runs(page, area)
    for theme in ("Dark", "Light"):
        lab.set_theme(page, f"JupyterLab {theme}")
        area.screenshot(path=lab.SHOTS / f"monitor-{theme.lower()}.png")
    assert lab.nameless(page) == []


def copied_code_runs(page: Page, area: Locator) -> None:
    lab.said(page, SELECT)
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("window 3–4")
    area.get_by_test_id("copy-code").click()
    expect(area.get_by_test_id("copy-status")).not_to_be_empty()
    expect(lab.finish_cell(page, I_COPIED, SLOW)).to_contain_text("difference", timeout=SLOW)  # a sweep of its own
    area.get_by_test_id("copy-csv").click()
    page.screenshot(path=lab.SHOTS / "heatmap-real.png")


def test_a_store_that_another_process_fills_is_followed(page: Page, desk: lab.Desk) -> None:
    lab.finish_cell(page, I_STORE, SLOW)
    area = out(page, I_STORE)
    expect(area.get_by_test_id("monitor-note")).to_contain_text("waiting for it")
    expect(area.get_by_test_id("monitor-stop")).to_be_hidden()
    store = desk.folder / "elsewhere.zarr"
    environment = {**os.environ, "PYTHONPATH": str(lab.ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.browser.filled", str(store), "0.2"]
    process = subprocess.Popen(command, env=environment, cwd=lab.ROOT)
    try:
        expect(area.locator("[data-fact=runs]")).to_contain_text("of", timeout=SLOW)
        expect(area.get_by_test_id("monitor-status")).to_contain_text("running")
        expect(area.get_by_test_id("monitor-note")).to_contain_text("another process")
        area.scroll_into_view_if_needed()
        page.screenshot(path=lab.SHOTS / "monitor-elsewhere.png")
        expect(area.get_by_test_id("monitor-status")).to_have_text("finished · 100 %", timeout=SLOW)
        expect(area.get_by_test_id("heatmap-cell")).to_contain_text("nats")
    finally:
        process.terminate()
        process.wait(20)
