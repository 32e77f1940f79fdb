"""The heatmap in a real JupyterLab: hover, drag, keys, scrubber, curve, choices, marks, themes, and fed fast."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
THEMES = ("JupyterLab Dark", "JupyterLab Light")

MAP = """
import mllm_probe as mp
from tests.widgets import fakes
from tests.widgets.test_heatmap import raw_grid
heatmap = mp.LayerConceptHeatmap(raw_grid(off_target=True), concept="cat", layer=2)
heatmap
"""
SAID = "print(heatmap.concept, heatmap.layer, heatmap.window, heatmap.strength, heatmap.average, heatmap.against)"
MARKS = """
marked = mp.LayerConceptHeatmap(fakes.effect(answers=True), concept="cat", layer=2, strength=1.0)
marked
"""
FAST = """
import time, xarray as xr
wide = [fakes.effect(layers=40) for _ in range(4)]
wide = xr.concat([one.assign_coords(concept=[f"{name} {k}" for name in one.concept.values])
                  for k, one in enumerate(wide)], "concept")
frames = [wide.assign(difference=wide.difference * (1 + k)) for k in range(8)]
fast = mp.LayerConceptHeatmap(frames[0], concept="neon 3", layer=5)
fast
"""
FEED = """
def fed():
    for k in range(100):
        yield frames[k % 8]
        time.sleep(0.02)
fast.watch(fed()).wait()
print("last", float(frames[99 % 8].difference.sel(concept="neon 3", layer=5, strength=1)))
"""
I_MAP, I_MARKS, I_FAST = range(3)

# Colours of a part of a canvas, in page pixels from its corner.
_COLOURS = """([canvas, x, y, w, h]) => {
  const r = devicePixelRatio, found = new Set();
  const data = canvas.getContext('2d').getImageData(x * r, y * r, w * r, h * r).data;
  for (let i = 0; i < data.length; i += 4) found.add(data[i] * 65536 + data[i + 1] * 256 + data[i + 2]);
  return [...found];
}"""


@pytest.fixture(scope="module")
def page(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("map.ipynb", *(cell.strip() for cell in (MAP, MARKS, FAST)))
    with desk.opened("map.ipynb", 1100, 1000) as made:
        made.get_by_test_id("heatmap").wait_for(timeout=180_000)
        yield made


def out(page: Page, cell: int) -> Locator:
    return page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-Cell-outputArea")


def colours(page: Page, canvas: Locator, inside: tuple[float, ...], wanted: str) -> None:
    """Wait until the colours of a part of a canvas are as an expression of `found` wants them."""
    arguments = [canvas.element_handle(), *inside]
    page.wait_for_function(f"(part) => {{ const found = ({_COLOURS})(part); return {wanted}; }}", arg=arguments)


@pytest.mark.journey
def test_a_map_is_read_selected_scrubbed_and_compared(page: Page) -> None:
    area = out(page, I_MAP)
    canvas, cell = area.get_by_test_id("heatmap"), area.get_by_test_id("heatmap-cell")
    expect(cell).to_have_text(re.compile("^cat · layer 2 · 1 ×.*n = 8 images.*random"))
    hover_reads_a_cell_and_moves_nothing(page, canvas, cell)
    drag_selects_a_window_that_reads_as_such(page, canvas, cell)
    keys_select_extend_and_scrub_and_leave_the_notebook_alone(page, area, canvas, cell)
    dose_response_appears_and_its_points_scrub(area, canvas, cell)
    choices_are_made_in_the_kernel(page, area, cell)
    cells_that_do_not_pass_are_hatched(page, area, canvas, cell)
    area.get_by_test_id("detail").select_option("off_target")
    expect(area.get_by_test_id("off-target-cell")).to_contain_text("tree steered, cat scored: ")
    area.get_by_test_id("off-target").focus()
    page.keyboard.press("ArrowRight")
    expect(area.get_by_test_id("off-target-cell")).to_contain_text("tree steered, tree scored: +3")
    expect(area.get_by_test_id("off-target-cell")).to_contain_text("clear of the random directions")
    page.screenshot(path=lab.SHOTS / "heatmap-off-target.png")
    lab.said(page, "heatmap.detail, heatmap.strength = 'dose_response', 1.0")
    both_themes_repaint_it(page, canvas)
    assert lab.nameless(page) == []


def hover_reads_a_cell_and_moves_nothing(page: Page, canvas: Locator, cell: Locator) -> None:
    before = canvas.bounding_box()
    for row, name in ((0, "cat"), (1, "tree")):
        canvas.hover(position=lab.in_cell(canvas, row, 1))
        expect(cell).to_contain_text(f"{name} · layer 5 · 1 × residual norm")
        assert canvas.bounding_box() == before
    page.mouse.move(5, 5)
    expect(cell).to_contain_text("cat · layer 2")
    lab.until_said(page, SAID, "cat 2 [2, 2]")


def drag_selects_a_window_that_reads_as_such(page: Page, canvas: Locator, cell: Locator) -> None:
    first, last = (lab.in_cell(canvas, 1, column) for column in (0, 1))
    lab.drag(canvas, first, {"x": last["x"] - 5, "y": last["y"] + 60}, last)
    page.mouse.move(5, 5)
    expect(cell).to_contain_text("tree · layer 5 · window 2–5")
    lab.until_said(page, SAID, "tree 2 [2, 5] 1.0 mean random")
    canvas.click(position=first)
    canvas.click(position=last, modifiers=["Shift"])
    expect(cell).to_contain_text("tree · layer 5 · window 2–5")
    canvas.hover(position={"x": last["x"] - 4, "y": last["y"]})
    expect(cell).to_contain_text("tree · layer 5 · window 2–5")
    canvas.hover(position=lab.in_cell(canvas, 0, 1))
    expect(cell).to_contain_text("cat · layer 5 · 1 ×")
    expect(cell).not_to_contain_text("window")
    page.mouse.move(5, 5)


def keys_select_extend_and_scrub_and_leave_the_notebook_alone(
    page: Page, area: Locator, canvas: Locator, cell: Locator
) -> None:
    notebook = "window.jupyterapp.shell.currentWidget.content"
    before = page.evaluate(f"[{notebook}.activeCellIndex, {notebook}.widgets.length]")
    canvas.focus()
    for key in ("Escape", "ArrowUp", "Home", "b", "d", "d", "x"):
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
    expect(cell).to_contain_text("· 1 × residual norm")
    lab.until_said(page, SAID, "cat 2 [2, 5] 1.0 mean random")
    assert page.evaluate(f"[{notebook}.activeCellIndex, {notebook}.widgets.length]") == before


def dose_response_appears_and_its_points_scrub(area: Locator, canvas: Locator, cell: Locator) -> None:
    curve = area.get_by_test_id("dose-response")
    canvas.click(position=lab.in_cell(canvas, 0, 1))
    expect(area.get_by_test_id("detail-title")).to_have_text("Dose response · cat · layer 5")
    assert curve.locator("[data-control]").evaluate_all("e => e.map(b => b.dataset.control)") == ["random", "shuffled"]
    assert all(curve.locator(".mp-band").evaluate_all("e => e.map(b => b.getAttribute('d').length > 20)"))
    assert curve.locator(".mp-point").evaluate_all("e => e.map(p => p.dataset.strength)") == ["-1", "0", "1"]
    assert curve.locator(".mp-dot.mp-hollow").count() == 2 and curve.locator(".mp-interval").count() == 3
    curve.locator(".mp-point").nth(0).click()
    expect(cell).to_contain_text("cat · layer 5 · −1 ×")
    curve.locator(".mp-point").nth(2).click()
    said = re.compile("cat, effect by strength.*passes, q")
    expect(curve).to_have_attribute("aria-label", said)


def choices_are_made_in_the_kernel(page: Page, area: Locator, cell: Locator) -> None:
    expect(cell).to_contain_text("cat · layer 5 · 1 ×")
    before = float(cell.get_attribute("data-value") or "")
    area.get_by_test_id("control").select_option("shuffled")
    expect(cell).to_contain_text("shuffled label ")
    assert abs(float(cell.get_attribute("data-value") or "") - before) > 0.5
    expect(area.get_by_test_id("sample")).to_be_hidden()
    area.get_by_test_id("average").select_option("single")
    area.get_by_test_id("sample").select_option("3")
    expect(cell).to_contain_text("n = 1 image")
    area.get_by_test_id("columns").select_option("relative_depth")
    expect(cell).to_contain_text("layer 5 · depth 0.75")
    lab.until_said(page, SAID, "cat 5 [5, 5] 1.0 single shuffled")
    for name, value in {"columns": "layer", "average": "mean", "control": "random"}.items():
        area.get_by_test_id(name).select_option(value)
    lab.until_said(page, SAID, "cat 5 [5, 5] 1.0 mean random")


def cells_that_do_not_pass_are_hatched(page: Page, area: Locator, canvas: Locator, cell: Locator) -> None:
    canvas.click(position=lab.in_cell(canvas, 1, 1))
    page.mouse.move(5, 5)
    place = lab.in_cell(canvas, 0, 0)
    inside = place["x"] - 12, place["y"] - 5, 24, 10
    area.get_by_test_id("heatmap-strength").press("End")
    colours(page, canvas, inside, "found.length === 1")
    area.get_by_test_id("heatmap-strength").press("Home")
    expect(cell).not_to_contain_text("passes")
    colours(page, canvas, inside, "found.length >= 3")
    area.get_by_test_id("heatmap-strength").press("End")


def both_themes_repaint_it(page: Page, canvas: Locator) -> None:
    place = lab.in_cell(canvas, 0, 0)
    point = place["x"], place["y"], 1, 1
    page.mouse.move(5, 5)
    colours(page, canvas, point, "found.length === 1 && (found[0] >> 16) > (found[0] & 255) + 10")  # positive is orange
    (light,) = page.evaluate(_COLOURS, [canvas.element_handle(), *point])
    page.screenshot(path=lab.SHOTS / "heatmap-light.png")
    lab.set_theme(page, THEMES[0])
    colours(page, canvas, point, f"found[0] !== {light}")
    background = canvas.evaluate("c => getComputedStyle(c.closest('.mp')).backgroundColor")
    assert max(map(int, background.removeprefix("rgb(").removesuffix(")").split(", "))) < 60
    page.screenshot(path=lab.SHOTS / "heatmap-dark.png")
    lab.set_theme(page, THEMES[1])
    colours(page, canvas, point, f"found[0] === {light}")


def test_cells_are_marked_for_their_answers_in_both_themes(page: Page) -> None:
    lab.finish_cell(page, I_MARKS)
    area = out(page, I_MARKS)
    canvas, cell = area.get_by_test_id("heatmap"), area.get_by_test_id("heatmap-cell")
    canvas.scroll_into_view_if_needed()
    expect(area.get_by_test_id("map-note")).to_contain_text("– no answer names the concept")
    expect(area.get_by_test_id("map-note")).to_contain_text("× at least half of the answers broken")
    expect(area.get_by_test_id("map-caption")).to_have_text(re.compile(r"^whole grid: \d+ of 560 cells pass"))
    expect(cell).to_have_text(re.compile(r"passes, q"))
    expect(cell).not_to_contain_text("answers")
    place, size = lab.in_cell(canvas, 0, 5), float(canvas.get_attribute("data-cell-width") or 0)
    lower_left = place["x"] - size / 2 + 2, place["y"] - 2, 9, 10  # where the cell is not hatched
    for theme in THEMES:
        lab.set_theme(page, theme)
        lab.said(page, "marked.strength = 1.0")
        colours(page, canvas, lower_left, "found.length === 1")
        page.screenshot(path=lab.SHOTS / f"heatmap-marks-{theme.split()[-1].lower()}.png")
        lab.said(page, "marked.strength = 2.0")
        colours(page, canvas, lower_left, "found.length > 3")
        expect(cell).to_contain_text("at least half of the answers broken")
    lab.said(page, "marked.layer, marked.strength = 0, 1.0")
    expect(cell).to_contain_text("no answer names the concept")


def test_a_large_map_that_is_fed_fast_ends_on_its_last_numbers(page: Page) -> None:
    lab.finish_cell(page, I_FAST)
    area = out(page, I_FAST)
    area.scroll_into_view_if_needed()
    last = float(lab.said(page, FEED).split("last", 1)[1])
    cell = area.get_by_test_id("heatmap-cell")
    page.wait_for_function(
        "([cell, last]) => Math.abs(Number(cell.dataset.value) - last) < 1e-5", arg=[cell.element_handle(), last]
    )
    expect(cell).to_contain_text("neon 3 · layer 5 · 1 ×")
    expect(area.get_by_test_id("heatmap-status")).to_have_text("")
    page.screenshot(path=lab.SHOTS / "heatmap-large.png")
