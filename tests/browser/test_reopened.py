"""A widget seen twice, and a notebook that is saved and opened again: one state, a stored picture, and no error."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
SHOTS = lab.SHOTS
VIEW = "application/vnd.jupyter.widget-view+json"
SAVED = "No kernel is connected. Showing the saved state"

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
AGAIN = "heatmap"
PANEL = "panel"
SAY = "print(heatmap.concept, heatmap.layer, heatmap.strength)"


class Served:
    """One notebook, and the page that it is open on."""

    def __init__(self, page: Page, desk: lab.Desk) -> None:
        self.page, self.desk = page, desk

    def saved(self, name: str) -> dict[str, Any]:
        """Save the open notebook and read it."""
        context = "window.jupyterapp.shell.currentWidget.context"
        self.page.evaluate(f"() => {context}.save()")
        self.page.wait_for_function(f"!{context}.model.dirty")
        return dict(json.loads((self.desk.folder / name).read_text()))


@pytest.fixture(scope="module")
def served(desk: lab.Desk) -> Iterator[Served]:
    desk.notebook("views.ipynb", MADE.strip(), AGAIN, PANEL)
    with desk.opened("views.ipynb", 1200, 1800) as page:
        page.get_by_test_id("heatmap").wait_for(timeout=300_000)
        lab.run_cell(page, 1)
        expect(page.get_by_test_id("heatmap")).to_have_count(2)
        yield Served(page, desk)


def outputs(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [output["data"] for cell in notebook["cells"] for output in cell["outputs"] if "data" in output]


def test_two_views_of_one_widget_stay_in_step(served: Served) -> None:
    page = served.page
    canvases, cells, strengths = (page.get_by_test_id(f"heatmap{name}") for name in ("", "-cell", "-strength"))
    canvases.first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    for view in range(2):
        expect(cells.nth(view)).to_contain_text("tree · layer 4 · 1 × residual norm")
    strengths.last.focus()
    page.keyboard.press("End")
    for view in range(2):
        expect(cells.nth(view)).to_contain_text("tree · layer 4 · 2 × residual norm")
    lab.until_said(page, SAY, "tree 4 2.0")
    lab.said(page, "heatmap.concept = 'dog'")
    for view in range(2):
        expect(cells.nth(view)).to_contain_text("dog · layer 4 · 2 × residual norm")
    assert canvases.first.evaluate("e => e.toDataURL()") == canvases.last.evaluate("e => e.toDataURL()")


def test_each_output_stores_the_picture_of_the_time_when_its_cell_ran(served: Served) -> None:
    page = served.page
    lab.run_cell(page, 2)
    expect(page.get_by_test_id("answer-steered")).to_contain_text("cat (1)")
    lab.said(page, "panel.choose(strength=2.0); panel.wait(60)")
    expect(page.get_by_test_id("answer-steered")).to_contain_text("cat (2)")
    stored = outputs(served.saved("views.ipynb"))
    assert [set(data) for data in stored] == [{VIEW, "image/png", "text/plain"}] * 3
    pictures = [Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) for data in stored]
    assert all(len(picture.convert("RGB").getcolors(1 << 20) or []) > 20 for picture in pictures)
    assert stored[0]["image/png"] == stored[1]["image/png"]  # both ran before anything was chosen
    now = lab.said(page, "print(heatmap._repr_mimebundle_()[0]['image/png'])")
    assert now.strip() and now.strip() != stored[0]["image/png"].strip()


def test_a_restarted_kernel_is_told(served: Served) -> None:
    page = served.page
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    for note in page.get_by_test_id("no-kernel").all():
        expect(note).to_contain_text("Kernel restarted or stopped. Showing the last state")
    expect(page.get_by_test_id("no-kernel")).to_have_count(3)
    expect(page.get_by_test_id("heatmap-cell").first).to_contain_text("dog · layer 4 · 2 × residual norm")


def test_a_notebook_that_is_opened_again_shows_the_last_state(served: Served) -> None:
    page = served.page
    served.desk.end_kernels()
    page.goto("about:blank")
    lab.open_notebook(page, served.desk.address, f"{served.desk.name}/views.ipynb")
    cells = page.get_by_test_id("heatmap-cell")
    expect(cells).to_have_count(2)
    for view in range(2):
        expect(cells.nth(view)).to_contain_text("dog · layer 4 · 2 × residual norm")
    expect(page.get_by_test_id("answer-steered")).to_contain_text("cat (2)")
    expect(page.get_by_test_id("concept")).to_have_value("cat")
    notes = page.get_by_test_id("no-kernel")
    expect(notes).to_have_count(3)
    for note in notes.all():
        expect(note).to_contain_text(SAVED)
    assert (
        page.locator(".jp-OutputArea-output[data-mime-type*=error], .jp-RenderedText[data-mime-type*=stderr]").count()
        == 0
    )
    page.screenshot(path=SHOTS / "reopened.png")
    page.get_by_test_id("heatmap-strength").first.focus()
    page.keyboard.press("Home")
    expect(cells.first).to_contain_text("dog · layer 4 · −2 × residual norm")
