"""The lab on the bundled model in a real JupyterLab: its sweep, windows, keys alone, errors, a restarted kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
SHOTS = lab.SHOTS

MAKE = """
import logging, time
import mllm_probe as mp
from mllm_probe.sweeps import chunk_size
from mllm_probe.sweeps.runner import Runner
library = mp.concepts.scenes(concepts=["cat", "tree", "neon", "symmetry"], pairs=12)
explored = mp.explore("scenes-8l", library, strengths=(-1, 1, 2), draws=4)
explored
"""
FILLED = """
assert explored.wait(300), (explored.bar.message, explored.monitor.message)
first, whole, choose = explored.heatmap.grid, Runner._compute, explored.panel.choose
"""
READY = """
Runner._compute, explored.panel.choose = whole, choose
explored.monitor.resume()
explored.bar.opened = []
assert explored.wait(300), (explored.bar.message, explored.monitor.message)
explored.heatmap.show(first)
explored.heatmap.concept, explored.heatmap.strength = "cat", 1.0
explored.heatmap.layer, explored.heatmap.window = 2, [2, 2]
explored.panel.choose(concept="cat", window=[2, 2], strength=1.0)
assert explored.wait(300)
"""
"""The state in which every test begins, whatever the one before it did."""
SLOW_SWEEP = """
usual, chunk_size.DEFAULT = chunk_size.DEFAULT, chunk_size.Limits(rows=8)
Runner._compute = lambda self, *chunk: (time.sleep(0.2), whole(self, *chunk))[1]
few = [picture for concept in library.values() for picture in concept.negative[:1]]
explored.monitor.watch(mp.sweep_iter(explored.panel.model, explored.vectors, few, strengths=(0.5, 1), layers=[2, 4, 6],
                                     metrics=("logprob",), controls=("random",), draws=4, progress=False));
"""
FAST = "Runner._compute, chunk_size.DEFAULT = whole, usual"
WAIT = "assert explored.wait(300), (explored.bar.message, explored.monitor.message)"
BREAK = """
kept = []
handler = logging.Handler()
handler.emit = lambda record: kept.append(logging.Formatter().format(record))
logging.getLogger("mllm_probe").addHandler(handler)
def broken(**setting):
    raise RuntimeError("the panel is out of order\\nwith details")
explored.panel.choose = broken
"""
MEND = """
explored.panel.choose = choose
print("traceback" if any("Traceback" in text and "with details" in text for text in kept) else "nothing")
"""

_FOCUSABLE = """() => [...document.querySelectorAll(
    '.mp-lab :is(button, select, input, summary, textarea, [tabindex])')]
  .filter((e) => !e.disabled && e.tabIndex >= 0 && e.type !== 'radio')
  .filter((e) => e.checkVisibility({ visibilityProperty: true }))
  .map((e, i) => { e.dataset.mark = i;
    return [e.dataset.mark, e.dataset.testid || e.getAttribute('aria-label') || e.textContent || e.tagName]; })"""
_BROKEN_LINKS = """() => [document.querySelector('.mp-lab'), ...document.querySelectorAll('.mp-lab *')].filter((e) =>
  !['none', 'normal'].includes(getComputedStyle(e, '::before').content) && e.matches('.jupyter-widgets-disconnected')
  && getComputedStyle(e, '::before').display !== 'none').length"""
_AT = """() => { const e = document.activeElement;
  return e.closest('.mp-lab') ? [e.dataset.mark ?? '', e.closest('[data-testid]')?.dataset.testid ?? ''] : null; }"""


def filled(page: Page) -> Page:
    """Wait until the lab of a notebook has everything."""
    page.get_by_test_id("heatmap-cell").wait_for(timeout=300_000)
    lab.said(page, FILLED)
    return page


@pytest.fixture(scope="module")
def explored(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("explore.ipynb", MAKE.strip())
    with desk.opened("explore.ipynb", 1400, 1100) as made:
        yield filled(made)


@pytest.fixture
def restarting(desk: lab.Desk) -> Iterator[Page]:
    """Another notebook with a lab of its own, whose kernel may go."""
    small = MAKE.replace("pairs=12", "pairs=4").replace("(-1, 1, 2), draws=4", "(1,), draws=4")
    desk.notebook("restarted.ipynb", small.strip())
    with desk.opened("restarted.ipynb", 1400, 1100) as made:
        yield filled(made)


@pytest.fixture
def page(explored: Page) -> Page:
    """The lab as it was when its first sweep had ended."""
    explored.mouse.move(3, 3)
    lab.said(explored, READY)
    expect(explored.get_by_test_id("heatmap-cell")).to_contain_text("cat · layer 2 · 1 ×")
    expect(explored.get_by_test_id("layer")).to_have_attribute("aria-valuetext", "layer 2")
    expect(explored.get_by_test_id("concept")).to_have_value("cat")
    expect(monitor(explored)).to_be_hidden()
    return explored


def monitor(page: Page) -> Locator:
    return page.locator(".mp-monitor")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control with this test id has the focus."""
    for _ in range(80):
        found = page.evaluate(_AT)
        if found and found[1] == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach '{name}'")


def test_the_sweep_is_watched_paused_and_resumed_above_the_map(page: Page) -> None:
    lab.said(page, SLOW_SWEEP)
    expect(monitor(page)).to_be_visible(timeout=300_000)
    expect(page.get_by_test_id("open-sweep")).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_test_id("lab-status")).to_have_text("steering every concept at every layer")
    expect(monitor(page)).to_contain_text("time left")
    expect(monitor(page).get_by_role("progressbar")).to_be_visible()
    expect(page.locator(".mp-bar").get_by_role("progressbar")).to_be_hidden()
    page.get_by_test_id("monitor-pause").click()
    expect(page.get_by_test_id("monitor-status")).to_contain_text("paused ·")
    expect(page.get_by_test_id("lab-status")).to_have_text("the sweep is paused")
    page.locator(".mp-lab").screenshot(path=SHOTS / "lab-paused.png")
    lab.said(page, FAST)
    page.get_by_test_id("monitor-resume").click()
    lab.said(page, WAIT)
    expect(monitor(page)).to_be_hidden()


def test_a_finished_sweep_is_folded_away_and_can_be_opened(page: Page) -> None:
    expect(monitor(page)).to_be_hidden()
    expect(page.get_by_test_id("open-sweep")).to_have_attribute("aria-expanded", "false")
    page.wait_for_function("document.querySelector('.mp-lab-sweep').getBoundingClientRect().height < 1")
    page.get_by_test_id("open-sweep").click()
    expect(page.get_by_test_id("monitor-status")).to_have_text("finished · 100 %")
    expect(page.get_by_test_id("monitor-stop")).to_be_hidden()
    page.get_by_test_id("open-sweep").click()
    expect(monitor(page)).to_be_hidden()


def test_the_fluent_range_of_the_concept_is_marked(page: Page) -> None:
    expect(page.get_by_test_id("safe")).to_be_visible()
    page.get_by_test_id("concept").select_option("neon")
    expect(page.get_by_test_id("safe")).to_be_hidden()
    expect(page.get_by_test_id("safe")).to_be_visible()
    page.get_by_test_id("concept").select_option("cat")
    expect(page.get_by_test_id("heatmap-cell")).to_contain_text("cat ·")


def cell(page: Page, row: int, column: int) -> tuple[float, float]:
    """Where a cell of the first category stands on the page."""
    place = page.evaluate("({ ...document.querySelector('[data-testid=\"heatmap\"]').dataset })")
    left, top, width, height = (float(place[name]) for name in ("left", "top", "cellWidth", "rowHeight"))
    box = page.get_by_test_id("heatmap").bounding_box()
    assert box is not None
    return box["x"] + left + (column + 0.5) * width, box["y"] + top + (row + 0.5) * height


def test_a_click_steers_the_cell_at_the_doses_and_tokens_of_the_map(page: Page) -> None:
    expect(page.get_by_test_id("map-tokens")).to_have_text("steered at: last token")
    for row, column, concept in ((1, 3, "tree"), (0, 2, "cat"), (0, 2, "cat")):  # a selected cell is clicked again
        lab.said(page, "explored.panel.choose(strength=1.75, scope='all')\nassert explored.panel.wait(60)")
        expect(page.get_by_test_id("strength")).to_have_value("1.75")
        page.mouse.click(*cell(page, row, column))
        expect(page.get_by_test_id("strength")).to_have_value("1")
        expect(page.get_by_test_id("concept")).to_have_value(concept)
        expect(page.get_by_test_id("layer")).to_have_value(str(column))
        expect(page.get_by_test_id("scope").get_by_label("last token")).to_be_checked()
        expect(page.get_by_test_id("receipt")).to_contain_text(f"{concept}: layer {column}, 1 of 1 prompt positions")
        expect(page.get_by_test_id("facts-steered")).to_contain_text(concept)


def test_windows_go_both_ways(page: Page) -> None:
    page.mouse.move(*cell(page, 1, 2))
    page.mouse.down()
    page.mouse.move(*cell(page, 1, 4), steps=4)
    page.mouse.up()
    page.mouse.move(3, 3)
    expect(page.get_by_test_id("concept")).to_have_value("tree")
    expect(page.get_by_test_id("layer")).to_have_attribute("aria-valuetext", "layers 2 to 4")
    expect(page.get_by_test_id("receipt")).to_contain_text("tree: layers 2")
    expect(page.locator(".mp-steer").get_by_text("residual norm at each of layers 2–4").first).to_be_visible()
    page.get_by_test_id("window").select_option("6")
    expect(page.get_by_test_id("heatmap-cell")).to_contain_text("tree · layer 2 · window 2–6")
    page.get_by_test_id("layer").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_test_id("heatmap-cell")).to_contain_text("tree · layer 1 · window 1–5")
    page.get_by_test_id("heatmap").press("ArrowRight")
    expect(page.get_by_test_id("layer")).to_have_attribute("aria-valuetext", "layer 2")


def test_every_control_is_reached_by_tab(page: Page) -> None:
    for name in ("sweep", "patches", "tokens", "pairs", "code"):
        page.get_by_test_id(f"open-{name}").press("Enter")
    expect(page.get_by_test_id("gallery-mean")).to_contain_text("pairs")
    expect(page.get_by_test_id("lab-code")).to_be_visible()
    page.get_by_test_id("open-patches").focus()
    there = dict(page.evaluate(_FOCUSABLE))
    assert {"heatmap", "strength", "layer", "concept", "prompt", "open-code", "lab-code", "patches"} <= set(
        there.values()
    )
    reached = set()
    for _ in range(3 * len(there)):
        found = page.evaluate(_AT)
        if found is None:
            break
        reached.add(found[0])
        page.keyboard.press("Tab")
    assert [name for mark, name in there.items() if mark not in reached] == []
    for name in ("sweep", "patches", "tokens", "pairs", "code"):
        page.get_by_test_id(f"open-{name}").press("Enter")
    expect(page.get_by_test_id("lab-code")).to_be_hidden()


@pytest.mark.parametrize(
    ("name", "part"),
    [("tokens", ".mp-tokens"), ("patches", ".mp-patches"), ("pairs", ".mp-gallery"), ("code", ".mp-code")],
)
def test_a_part_that_is_opened_is_in_view_and_has_the_focus(page: Page, name: str, part: str) -> None:
    page.set_viewport_size({"width": 1400, "height": 700})
    button = page.get_by_test_id(f"open-{name}")
    button.scroll_into_view_if_needed()
    button.click()
    expect(page.locator(part)).to_be_focused()
    expect(page.locator(part)).to_be_in_viewport(ratio=0.4)
    page.screenshot(path=SHOTS / f"lab-opened-{name}.png")
    if name in ("tokens", "patches"):
        page.keyboard.press("Tab")
        assert page.evaluate("part => !!document.activeElement.closest(part)", part)
    button.press("Enter")
    expect(page.locator(part)).to_be_hidden()
    page.set_viewport_size({"width": 1400, "height": 1100})


def test_tokens_selected_in_the_strip_are_steered(page: Page) -> None:
    page.get_by_test_id("open-tokens").click()
    expect(page.get_by_test_id("token-count")).to_contain_text("to steer at them")
    page.locator(".mp-tokens").get_by_role("option").filter(has_text=re.compile("see$")).first.click()
    expect(page.get_by_test_id("token-count")).to_have_text("1 token selected")
    expect(page.get_by_test_id("scope").get_by_role("radio", name="selected")).to_be_checked()
    expect(page.get_by_test_id("receipt")).to_contain_text("1 of 1 prompt positions")
    page.get_by_test_id("prompt").fill("What is the style?")
    page.get_by_test_id("prompt").press("Enter")
    expect(page.get_by_test_id("scope-note")).to_have_text(
        "The selected tokens belonged to the previous prompt. The end of the prompt and the answer are steered now."
    )
    page.locator(".mp-panel").screenshot(path=SHOTS / "panel-scope-note.png")
    expect(page.get_by_test_id("scope").get_by_role("radio", name="selected")).to_have_count(0)
    page.get_by_test_id("prompt").fill("What do you see?")
    page.get_by_test_id("prompt").press("Enter")
    expect(page.get_by_test_id("scope-note")).to_be_hidden()
    page.get_by_test_id("open-tokens").press("Enter")


def test_the_lab_is_driven_by_keys_alone(page: Page) -> None:
    page.get_by_test_id("open-patches").focus()
    tab_to(page, "open-code")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("lab-code")).to_be_visible()
    tab_to(page, "heatmap")
    for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
    expect(page.get_by_test_id("concept")).to_have_value("tree")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_test_id("layer")).to_have_attribute("aria-valuetext", "layers 2 to 3")
    expect(page.get_by_test_id("lab-code")).to_contain_text("layers=[2, 3]")
    tab_to(page, "strength")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("strength")).to_have_value("-2.75")
    expect(page.get_by_test_id("lab-code")).to_contain_text("strength=-2.75")
    expect(page.get_by_test_id("status")).to_have_text("idle")
    expect(page.locator(".mp-live .mp-answer[data-old=true]")).to_have_count(0)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert page.evaluate(_AT)[1] == "strength"


def test_another_sweep_takes_the_place_of_the_first(page: Page) -> None:
    lab.said(page, SLOW_SWEEP)
    expect(monitor(page)).to_be_visible()
    expect(page.get_by_test_id("lab-status")).to_have_text("steering every concept at every layer")
    lab.said(page, FAST)
    lab.said(page, WAIT)
    expect(monitor(page)).to_be_hidden()
    page.get_by_test_id("heatmap").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("heatmap-cell")).to_contain_text("layer 4")
    expect(page.get_by_test_id("layer")).to_have_value("4")


def test_an_error_in_a_callback_is_one_sentence_and_the_traceback_is_in_the_log(page: Page) -> None:
    error = page.locator(".mp-bar .mp-error")
    expect(error).to_be_hidden()
    lab.said(page, BREAK)
    page.get_by_test_id("heatmap").press("ArrowRight")
    expect(error).to_have_text("the panel is out of order.")
    page.locator(".mp-lab").screenshot(path=SHOTS / "lab-error.png")
    assert lab.said(page, MEND).strip() == "traceback"
    page.get_by_test_id("heatmap").press("ArrowDown")
    expect(page.get_by_test_id("concept")).to_have_value("tree")
    expect(error).to_be_hidden()


def test_a_restarted_kernel_is_said_once(restarting: Page) -> None:
    page = restarting
    assert page.locator("[data-testid=no-kernel]:visible").count() == 0
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    said = page.locator(".mp-bar [data-testid=no-kernel]")
    expect(said).to_have_text("Kernel restarted or stopped. Showing the last state; rerun the cell to continue.")
    expect(page.locator("[data-testid=no-kernel]:visible")).to_have_count(1)
    assert page.evaluate(_BROKEN_LINKS) == 0
    expect(page.get_by_test_id("answer-baseline")).not_to_be_empty()
    page.locator(".mp-lab").screenshot(path=SHOTS / "lab-restarted.png")
