"""The steering panel in a notebook that is opened again: its last state, and no waiting for an absent kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
SHOTS = lab.SHOTS
SLOW = 300_000
ANSWERS = ("answer-baseline", "answer-steered", "answer-random")

MAKE = """
import mllm_probe as mp
model = mp.load("scenes-8l")
library = mp.concepts.scenes(concepts=["cat", "tree"], pairs=4)
vectors = mp.concept_vectors(model, library, probe_accuracy=False)
panel = mp.SteeringPanel(model, vectors, concept="cat", layer=3)
panel
"""
# A timer that is set after the panel's own and for longer goes off after it.
_PATIENCE_IS_OVER = "() => new Promise((resolve) => setTimeout(resolve, 1500))"
_MOVE = """(value) => { const range = document.querySelector('[data-testid=strength]');
  range.value = value; range.dispatchEvent(new Event('input', { bubbles: true })); }"""


@pytest.fixture(scope="module")
def opened_again(desk: lab.Desk) -> Iterator[tuple[Page, list[str]]]:
    """The page, and what the answers were before."""
    desk.notebook("saved.ipynb", MAKE.strip())
    with desk.opened("saved.ipynb", 1200, 900) as made:
        expect(made.get_by_test_id("answer-random")).not_to_be_empty(timeout=SLOW)
        expect(made.get_by_test_id("status")).to_have_text("idle", timeout=SLOW)
        expect(made.locator(".jp-InputPrompt").first).to_have_text("[1]:")
        before = [made.get_by_test_id(name).inner_text() for name in ANSWERS]
        made.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        desk.end_kernels()
        lab.open_notebook(made, desk.address, f"{desk.name}/saved.ipynb")
        made.get_by_test_id("no-kernel").wait_for()
        yield made, before


def test_the_last_answers_are_there(opened_again: tuple[Page, list[str]]) -> None:
    page, before = opened_again
    expect(page.get_by_test_id("no-kernel")).to_contain_text("No kernel is connected")
    assert all(before)
    for name, text in zip(ANSWERS, before, strict=True):
        expect(page.get_by_test_id(name)).to_have_text(text)
    expect(page.get_by_test_id("status")).to_have_text("idle")
    expect(page.get_by_test_id("stop")).to_be_disabled()
    page.screenshot(path=SHOTS / "panel-saved.png")


def test_a_move_waits_for_nobody(opened_again: tuple[Page, list[str]]) -> None:
    page, _ = opened_again
    page.evaluate(_MOVE, "2")
    expect(page.locator(".mp-live [data-row=steered]")).to_have_attribute("data-old", "true")
    page.evaluate(_PATIENCE_IS_OVER)
    assert page.locator(".mp-panel[data-busy]").count() == 0
    expect(page.get_by_test_id("answer-steered")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_test_id("rate")).not_to_contain_text("busy")
