"""Widgets seen twice, and in a notebook that is saved and opened again: one state, a stored picture, and no kernel."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
VIEW = "application/vnd.jupyter.widget-view+json"

MADE = """
from mllm_probe.widgets import LayerConceptHeatmap, SteeringPanel
import mllm_probe.widgets.panel.steering_panel as panel_module
from tests.widgets import fakes
panel_module.stream = fakes.Streams()
panel_module.LivePerplexity.ratios = lambda *_: [1.0] * 3
model = fakes.FakeModel()
heatmap = LayerConceptHeatmap(fakes.effect(hostile=True), concept="cat", layer=5)
panel = SteeringPanel(model, fakes.vectors(model), concept="cat", layer=5)
assert panel.wait(60)
heatmap
"""
SAY = "print(heatmap.concept, heatmap.layer, heatmap.strength)"
# A timer that is set after the panel's own and for longer goes off after it.
_PATIENCE_IS_OVER = "() => new Promise((resolve) => setTimeout(resolve, 1500))"


@pytest.mark.journey
def test_a_notebook_is_saved_closed_and_opened_again(desk: lab.Desk) -> None:
    desk.notebook("views.ipynb", MADE.strip(), "heatmap", "panel")
    with desk.opened("views.ipynb", 1200, 1800) as page:
        page.get_by_test_id("heatmap").wait_for(timeout=300_000)
        lab.run_cell(page, 1)
        expect(page.get_by_test_id("heatmap")).to_have_count(2)
        two_views_of_one_widget_stay_in_step(page)
        each_output_stores_the_picture_of_the_time_when_its_cell_ran(page, desk)
        page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        expect(page.get_by_test_id("no-kernel")).to_have_count(3)
        notes_say(page, "Kernel restarted or stopped. Showing the last state")
        shown_twice(page, "dog · layer 4 · 2 × residual norm")
        desk.end_kernels()
        page.goto("about:blank")
        lab.open_notebook(page, desk.address, f"{desk.name}/views.ipynb")
        opened_again_it_shows_the_last_state_and_waits_for_nobody(page)


def shown_twice(page: Page, text: str) -> None:
    cells = page.get_by_test_id("heatmap-cell")
    expect(cells).to_have_count(2)
    for view in range(2):
        expect(cells.nth(view)).to_contain_text(text)


def notes_say(page: Page, text: str) -> None:
    for note in page.get_by_test_id("no-kernel").all():
        expect(note).to_contain_text(text)


def two_views_of_one_widget_stay_in_step(page: Page) -> None:
    canvases, strengths = page.get_by_test_id("heatmap"), page.get_by_test_id("heatmap-strength")
    canvases.first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    shown_twice(page, "tree · layer 4 · 1 × residual norm")
    strengths.last.focus()
    page.keyboard.press("End")
    shown_twice(page, "tree · layer 4 · 2 × residual norm")
    lab.until_said(page, SAY, "tree 4 2.0")
    lab.said(page, "heatmap.concept = 'dog'")
    shown_twice(page, "dog · layer 4 · 2 × residual norm")
    assert canvases.first.evaluate("e => e.toDataURL()") == canvases.last.evaluate("e => e.toDataURL()")


def each_output_stores_the_picture_of_the_time_when_its_cell_ran(page: Page, desk: lab.Desk) -> None:
    lab.run_cell(page, 2)
    expect(page.get_by_test_id("answer-steered")).to_contain_text("cat (1)")
    lab.said(page, "panel.choose(strength=2.0); panel.wait(60)")
    expect(page.get_by_test_id("answer-steered")).to_contain_text("cat (2)")
    lab.save(page)
    cells = json.loads((desk.folder / "views.ipynb").read_text())["cells"]
    stored: list[dict[str, Any]] = [one["data"] for cell in cells for one in cell["outputs"] if "data" in one]
    assert [set(data) for data in stored] == [{VIEW, "image/png", "text/plain"}] * 3
    pictures = [Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) for data in stored]
    assert all(len(picture.convert("RGB").getcolors(1 << 20) or []) > 20 for picture in pictures)
    assert stored[0]["image/png"] == stored[1]["image/png"]  # both ran before anything was chosen
    now = lab.said(page, "print(heatmap._repr_mimebundle_()[0]['image/png'])")
    assert now.strip() and now.strip() != stored[0]["image/png"].strip()


def opened_again_it_shows_the_last_state_and_waits_for_nobody(page: Page) -> None:
    expect(page.get_by_test_id("no-kernel")).to_have_count(3)
    notes_say(page, "No kernel is connected. Showing the saved state")
    shown_twice(page, "dog · layer 4 · 2 × residual norm")
    for name, text in {"baseline": "two stars", "steered": "cat (2)", "random": "two stars"}.items():
        expect(page.get_by_test_id(f"answer-{name}")).to_contain_text(text)
    expect(page.get_by_test_id("concept")).to_have_value("cat")
    expect(page.get_by_test_id("status")).to_have_text("idle")
    expect(page.get_by_test_id("stop")).to_be_disabled()
    assert page.locator(".jp-RenderedText[data-mime-type*=stderr]").count() == 0
    page.screenshot(path=lab.SHOTS / "reopened.png")
    page.get_by_test_id("heatmap-strength").first.focus()
    page.keyboard.press("Home")
    expect(page.get_by_test_id("heatmap-cell").first).to_contain_text("dog · layer 4 · −2 × residual norm")
    lab.move(page, "2.5")
    expect(page.locator(".mp-live [data-row=steered]")).to_have_attribute("data-old", "true")
    page.evaluate(_PATIENCE_IS_OVER)
    assert page.locator(".mp-panel[data-busy]").count() == 0
    expect(page.get_by_test_id("answer-steered")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_test_id("rate")).not_to_contain_text("busy")
