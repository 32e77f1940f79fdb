"""Concepts that a model does not tell apart, in a real JupyterLab: grey on the map and in the menus, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
THEMES = ("JupyterLab Light", "JupyterLab Dark")
WHY = "the model does not tell its images apart"
MAKE = """
import mllm_probe as mp
library = mp.concepts.scenes(concepts=["cat", "tree", "neon", "symmetry"], pairs=6)
explored = mp.explore("scenes-4l", library, strengths=(1,), draws=4)
explored
"""
WAIT = "assert explored.wait(300), explored.bar.message"
GREY = f"""
for widget in (explored.heatmap, explored.panel):
    widget.unfit = {{"cat": "{WHY}", "symmetry": "{WHY}"}}
"""
_INK = """(row) => { const [map, over] = ['.mp-map', '.mp-over-map'].map((name) => document.querySelector(name));
  const { left, top, rowHeight } = map.dataset; const r = devicePixelRatio;
  const { data } = over.getContext('2d').getImageData(
    0, (Number(top) + row * rowHeight) * r, (left - 7) * r, rowHeight * r);
  let most = 0; for (let i = 3; i < data.length; i += 4) most = Math.max(most, data[i]);
  return most; }"""
"""How opaque the darkest point of a row's name is: greys of JupyterLab's themes are transparent ink."""
_COLOUR = "(option) => getComputedStyle(option).color"


@pytest.fixture(scope="module")
def page(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("unfit.ipynb", MAKE.strip(), WAIT)
    with desk.opened("unfit.ipynb", 1500, 1250) as made:
        made.get_by_test_id("strength").wait_for(timeout=300_000)
        lab.finish_cell(made, 1)
        yield made


def test_names_and_menus_turn_grey_with_the_reason_and_every_concept_can_still_be_chosen(page: Page) -> None:
    menu, reading = page.get_by_test_id("concept"), page.get_by_test_id("heatmap-cell")
    expect(menu.locator("optgroup")).to_have_count(3)
    expect(page.get_by_test_id("unfit")).to_be_hidden()
    before = page.evaluate(_INK, 0)
    lab.said(page, GREY)
    grey = menu.locator(f'optgroup[label="{WHY}"] option')
    expect(grey).to_have_text(["cat", "symmetry"])
    expect(reading).to_contain_text(re.compile(f"^cat · .*{WHY}"))
    expect(page.get_by_test_id("unfit")).to_have_text(WHY)
    assert reading.evaluate("(line) => line.scrollHeight <= line.clientHeight"), "nothing of it is cut"
    lab.frames(page)
    assert page.evaluate(_INK, 0) < before, "the name of the first row, cat, is grey now"
    for theme in THEMES:
        lab.set_theme(page, theme)
        lab.drawn(page)
        colours = {name: menu.locator(f'option[value="{name}"]').evaluate(_COLOUR) for name in ("cat", "tree")}
        assert colours["cat"] != colours["tree"] and menu.evaluate(_COLOUR) == colours["cat"]
        menu.evaluate("(menu) => { menu.size = 8; }")
        page.locator(".mp-lab").screenshot(path=lab.SHOTS / f"unfit-{theme.split()[-1].lower()}.png")
        menu.evaluate("(menu) => menu.removeAttribute('size')")
    menu.select_option("tree")
    expect(page.get_by_test_id("unfit")).to_be_hidden()
    expect(reading).to_contain_text("tree · layer")
    menu.select_option("symmetry")
    expect(reading).to_contain_text("symmetry · ")
    expect(page.get_by_test_id("receipt")).to_contain_text("symmetry: layer")
    expect(page.get_by_test_id("unfit")).to_have_text(WHY)
