"""The lab on the bundled model in a real JupyterLab: its sweep, map, panel and parts, by mouse and by keys alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
FOLDED = ("patches", "tokens", "pairs", "code")
THEMES = ("JupyterLab Dark", "JupyterLab Light")
WHY = "the model does not distinguish its images"

MAKE = """
import time
import mllm_probe as mp
from mllm_probe.sweeps import runner
from mllm_probe.sweeps.runner import Runner
library = mp.concepts.scenes(concepts=["cat", "tree", "neon", "symmetry"], pairs=12)
explored = mp.explore("scenes-8l", library, strengths=(-1, 1, 2), draws=4)
explored
"""
WAIT = "assert explored.wait(300), (explored.bar.message, explored.monitor.message)"
AT_CAT = """
explored.heatmap.show(explored.monitor.grid)
explored.heatmap.strength = 1.0
explored.panel.choose(concept="cat", window=[2, 2], strength=1.0)
assert explored.wait(300)
"""
SLOW_SWEEP = """
usual, whole, runner.DEFAULT = runner.DEFAULT, Runner._compute, runner.Limits(rows=8)
Runner._compute = lambda self, *chunk: (time.sleep(0.2), whole(self, *chunk))[1]
few = [picture for concept in library.values() for picture in concept.negative[:1]]
explored.monitor.watch(mp.sweep_iter(explored.panel.model, explored.vectors, few, strengths=(0.5, 1), layers=[2, 4, 6],
                                     metrics=("logprob",), controls=("random",), draws=4, progress=False));
"""
FAST = "Runner._compute, runner.DEFAULT = whole, usual"
BREAK = """
choose = explored.panel.choose
def broken(**setting):
    raise RuntimeError("the panel is out of order\\nwith details")
explored.panel.choose = broken
"""
GREY = f"""
for widget in (explored.heatmap, explored.panel):
    widget.unfit = {{"cat": "{WHY}", "symmetry": "{WHY}"}}
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
    """The lab with everything filled."""
    desk.notebook("lab.ipynb", MAKE.strip())
    with desk.opened("lab.ipynb", 1400, 1100) as made:
        made.get_by_test_id("heatmap-cell").wait_for(timeout=300_000)
        lab.said(made, WAIT)
        lab.said(made, AT_CAT)
        expect(made.get_by_test_id("heatmap-cell")).to_contain_text("cat · layer 2 · 1 ×")
        yield made


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


@pytest.mark.journey
def test_a_person_steers_what_the_map_shows_and_opens_its_parts(page: Page) -> None:
    assert page.get_by_test_id("answer-baseline").text_content()
    finished_sweep_is_folded_away_and_can_be_opened(page)
    fluent_range_of_the_concept_is_marked(page)
    click_steers_the_cell_at_the_doses_and_tokens_of_the_map(page)
    windows_go_both_ways(page)
    selection_is_taken_back_and_done_again(page)
    lab_is_driven_by_keys_alone(page)
    tokens_selected_in_the_strip_are_steered(page)
    error_is_one_sentence_until_the_next_move(page)
    concepts_that_are_not_told_apart_are_grey(page)
    parts_open_in_view_follow_the_panel_and_fit(page)


def finished_sweep_is_folded_away_and_can_be_opened(page: Page) -> None:
    button = page.get_by_test_id("open-sweep")
    expect(monitor(page)).to_be_hidden()
    expect(button).to_have_attribute("aria-expanded", "false")
    page.wait_for_function("document.querySelector('.mp-lab-sweep').getBoundingClientRect().height < 1")
    button.click()
    expect(page.get_by_test_id("monitor-status")).to_have_text("finished · 100 %")
    expect(page.get_by_test_id("monitor-stop")).to_be_hidden()
    button.click()
    expect(monitor(page)).to_be_hidden()


def fluent_range_of_the_concept_is_marked(page: Page) -> None:
    expect(page.get_by_test_id("safe")).to_be_visible()
    page.get_by_test_id("concept").select_option("neon")
    expect(page.get_by_test_id("safe")).to_be_hidden()
    expect(page.get_by_test_id("safe")).to_be_visible()


def click_steers_the_cell_at_the_doses_and_tokens_of_the_map(page: Page) -> None:
    canvas = page.get_by_test_id("heatmap")
    expect(page.get_by_test_id("map-tokens")).to_have_text("steered at: last token")
    for row, column, concept in ((1, 3, "tree"), (0, 2, "cat"), (0, 2, "cat")):  # a selected cell is clicked again
        lab.said(page, "explored.panel.choose(strength=1.75, scope='all')\nassert explored.panel.wait(60)")
        expect(page.get_by_test_id("strength")).to_have_value("1.75")
        canvas.click(position=lab.in_cell(canvas, row, column))
        expect(page.get_by_test_id("strength")).to_have_value("1")
        expect(page.get_by_test_id("concept")).to_have_value(concept)
        expect(page.get_by_test_id("layer")).to_have_value(str(column))
        expect(page.get_by_test_id("scope").get_by_label("last token")).to_be_checked()
        expect(page.get_by_test_id("receipt")).to_contain_text(f"{concept}: layer {column}, 1 of 1 prompt positions")
        expect(page.get_by_test_id("facts-steered")).to_contain_text(concept)


def windows_go_both_ways(page: Page) -> None:
    canvas, layer = page.get_by_test_id("heatmap"), page.get_by_test_id("layer")
    lab.drag(canvas, lab.in_cell(canvas, 1, 2), lab.in_cell(canvas, 1, 4))
    page.mouse.move(3, 3)
    expect(page.get_by_test_id("concept")).to_have_value("tree")
    expect(layer).to_have_attribute("aria-valuetext", "layers 2 to 4")
    expect(page.get_by_test_id("receipt")).to_contain_text("tree: layers 2")
    expect(page.locator(".mp-steer").get_by_text("residual norm at each of layers 2–4").first).to_be_visible()
    page.get_by_test_id("window").select_option("6")
    expect(page.get_by_test_id("heatmap-cell")).to_contain_text("tree · layer 2 · window 2–6")
    layer.press("ArrowLeft")
    expect(page.get_by_test_id("heatmap-cell")).to_contain_text("tree · layer 1 · window 1–5")
    canvas.press("ArrowRight")
    expect(layer).to_have_attribute("aria-valuetext", "layer 2")


def selection_is_taken_back_and_done_again(page: Page) -> None:
    canvas, concept, layer = (page.get_by_test_id(name) for name in ("heatmap", "concept", "layer"))
    lab.said(page, "explored.select('cat', layer=2, dose=1)")
    expect(concept).to_have_value("cat")
    canvas.click(position=lab.in_cell(canvas, 1, 4))
    page.mouse.move(3, 3)  # the readout is that of the cell that is pointed at
    expect(concept).to_have_value("tree")
    canvas.press("Control+z")
    expect(concept).to_have_value("cat")
    expect(layer).to_have_value("2")
    expect(page.get_by_test_id("heatmap-cell")).to_contain_text("cat · layer 2 · 1 ×")
    page.get_by_test_id("prompt").press("Control+Shift+z")  # a field's own text, not the lab's selection
    expect(page.get_by_test_id("redo")).to_have_attribute("aria-disabled", "false")
    expect(concept).to_have_value("cat")
    canvas.press("Control+Shift+Z")
    expect(concept).to_have_value("tree")
    expect(page.get_by_test_id("redo")).to_have_attribute("aria-disabled", "true")
    page.get_by_test_id("undo").click()
    expect(concept).to_have_value("cat")
    for name in ("recommended", "surprise"):  # this lab was given its library, and no settings
        page.get_by_test_id(name).click()
        expect(page.locator(".mp-bar .mp-error")).to_contain_text(f"{name}: expected")
    page.get_by_test_id("redo").click()
    expect(concept).to_have_value("tree")
    expect(page.locator(".mp-bar .mp-error")).to_be_hidden()
    lab.said(page, "explored.select(layer=2)")
    expect(layer).to_have_value("2")


def lab_is_driven_by_keys_alone(page: Page) -> None:
    page.get_by_test_id("open-patches").focus()
    tab_to(page, "open-code")
    page.keyboard.press("Enter")
    code = page.get_by_test_id("lab-code")
    expect(code).to_be_visible()
    tab_to(page, "heatmap")
    for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
    expect(page.get_by_test_id("concept")).to_have_value("tree")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_test_id("layer")).to_have_attribute("aria-valuetext", "layers 2 to 3")
    expect(code).to_contain_text("layers=[2, 3]")
    tab_to(page, "strength")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("strength")).to_have_value("-2.75")
    expect(code).to_contain_text("strength=-2.75")
    expect(page.get_by_test_id("status")).to_have_text("idle")
    expect(page.locator(".mp-live .mp-answer[data-old=true]")).to_have_count(0)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert page.evaluate(_AT)[1] == "strength"
    page.get_by_test_id("open-code").press("Enter")
    expect(code).to_be_hidden()


def tokens_selected_in_the_strip_are_steered(page: Page) -> None:
    page.get_by_test_id("open-tokens").click()
    expect(page.get_by_test_id("token-count")).to_contain_text("to steer at them")
    page.locator(".mp-tokens").get_by_role("option").filter(has_text=re.compile("see$")).first.click()
    selected, note = (
        page.get_by_test_id("scope").get_by_role("radio", name="selected"),
        page.get_by_test_id("scope-note"),
    )
    expect(page.get_by_test_id("token-count")).to_have_text("1 token selected")
    expect(selected).to_be_checked()
    expect(page.get_by_test_id("receipt")).to_contain_text("1 of 1 prompt positions")
    page.get_by_test_id("prompt").fill("What is the style?")
    page.get_by_test_id("prompt").press("Enter")
    said = "The selected tokens belonged to the previous prompt. The end of the prompt and the answer are steered now."
    expect(note).to_have_text(said)
    page.locator(".mp-panel").screenshot(path=lab.SHOTS / "panel-scope-note.png")
    expect(selected).to_have_count(0)
    page.get_by_test_id("prompt").fill("What do you see?")
    page.get_by_test_id("prompt").press("Enter")
    expect(note).to_be_hidden()
    page.get_by_test_id("open-tokens").press("Enter")


def error_is_one_sentence_until_the_next_move(page: Page) -> None:
    error = page.locator(".mp-bar .mp-error")
    expect(error).to_be_hidden()
    lab.said(page, BREAK)
    page.get_by_test_id("heatmap").press("ArrowRight")
    expect(error).to_have_text("the panel is out of order.")
    page.locator(".mp-lab").screenshot(path=lab.SHOTS / "lab-error.png")
    lab.said(page, "explored.panel.choose = choose")
    page.get_by_test_id("heatmap").press("ArrowUp")
    expect(page.get_by_test_id("concept")).to_have_value("cat")
    expect(error).to_be_hidden()


def concepts_that_are_not_told_apart_are_grey(page: Page) -> None:
    menu, reading, unfit = (page.get_by_test_id(name) for name in ("concept", "heatmap-cell", "unfit"))
    expect(menu.locator("optgroup")).to_have_count(3)
    expect(unfit).to_be_hidden()
    before = page.evaluate(_INK, 0)
    lab.said(page, GREY)
    expect(menu.locator(f'optgroup[label="{WHY}"] option')).to_have_text(["cat", "symmetry"])
    expect(reading).to_contain_text(re.compile(f"^cat · .*{WHY}"))
    expect(unfit).to_have_text(WHY)
    assert reading.evaluate("(line) => line.scrollHeight <= line.clientHeight"), "nothing of it is cut"
    lab.drawn(page)
    assert page.evaluate(_INK, 0) < before, "the name of the first row, cat, is grey now"
    for theme in THEMES:
        lab.set_theme(page, theme)
        lab.drawn(page)
        cat, tree = (menu.locator(f'option[value="{name}"]').evaluate(_COLOUR) for name in ("cat", "tree"))
        assert cat != tree and menu.evaluate(_COLOUR) == cat
        page.locator(".mp-lab").screenshot(path=lab.SHOTS / f"unfit-{theme.split()[-1].lower()}.png")
    menu.select_option("tree")
    expect(unfit).to_be_hidden()
    menu.select_option("symmetry")
    expect(reading).to_contain_text("symmetry · ")
    expect(page.get_by_test_id("receipt")).to_contain_text("symmetry: layer")
    expect(unfit).to_have_text(WHY)
    lab.said(page, "explored.heatmap.unfit = explored.panel.unfit = {}")


def parts_open_in_view_follow_the_panel_and_fit(page: Page) -> None:
    parts = (".mp-patches", ".mp-tokens", ".mp-gallery", ".mp-code")
    page.set_viewport_size({"width": 1400, "height": 700})
    for name, part in zip(FOLDED, parts, strict=True):
        button = page.get_by_test_id(f"open-{name}")
        expect(button).to_have_attribute("aria-expanded", "false")
        button.click()
        expect(button).to_have_attribute("aria-expanded", "true")
        expect(page.locator(part)).to_be_focused()
        expect(page.locator(part)).to_be_in_viewport(ratio=0.4)
        page.screenshot(path=lab.SHOTS / f"lab-opened-{name}.png")
        if name in ("tokens", "patches"):
            page.keyboard.press("Tab")
            assert page.evaluate("part => !!document.activeElement.closest(part)", part)
    concept, layer = page.get_by_test_id("concept").input_value(), page.get_by_test_id("layer").input_value()
    expect(page.get_by_test_id("gallery-mean")).to_contain_text("pairs")
    expect(page.locator(".mp-gallery h3")).to_have_text(f"Pairs · {concept} · layer {layer}")
    expect(page.get_by_test_id("token-concept")).to_have_value(concept)
    page.get_by_test_id("token-concept").select_option("neon")
    expect(page.get_by_test_id("concept")).to_have_value("neon")
    expect(page.locator(".mp-gallery h3")).to_have_text(f"Pairs · neon · layer {layer}")
    expect(page.get_by_test_id("lab-code")).to_contain_text("concept='neon'")
    every_control_is_named_and_reached_by_tab(page)
    for width in (600, 800, 1200, 1600, 2000, 1400):  # at 200 % zoom a window of 1,200 pixels has 600
        page.set_viewport_size({"width": width, "height": 2600})
        for theme in THEMES:
            lab.set_theme(page, theme)
            assert lab.cut_off(page, ".mp, .mp-lab") == []
            page.locator(".mp-lab").screenshot(path=lab.SHOTS / f"lab-{width}-{theme.split()[1].lower()}.png")
    for name in FOLDED:
        page.get_by_test_id(f"open-{name}").click()
    expect(page.locator(".mp-gallery, .mp-tokens, .mp-patches")).to_have_count(0)
    expect(page.get_by_test_id("lab-code")).to_be_hidden()
    page.set_viewport_size({"width": 600, "height": 1000})
    assert lab.cut_off(page, ".mp, .mp-lab") == []
    page.set_viewport_size({"width": 1400, "height": 1100})


def every_control_is_named_and_reached_by_tab(page: Page) -> None:
    page.get_by_test_id("open-sweep").press("Enter")
    page.get_by_test_id("undo").focus()
    assert lab.nameless(page, ".mp-lab") == []
    there = dict(page.evaluate(_FOCUSABLE))
    wanted = {"heatmap", "strength", "layer", "concept", "prompt", "open-code", "lab-code", "patches"}
    assert wanted <= set(there.values())
    reached = set()
    for _ in range(3 * len(there)):
        found = page.evaluate(_AT)
        if found is None:
            break
        reached.add(found[0])
        page.keyboard.press("Tab")
    assert [name for mark, name in there.items() if mark not in reached] == []
    page.get_by_test_id("open-sweep").press("Enter")


def test_another_sweep_is_watched_paused_and_takes_the_place_of_the_first(page: Page) -> None:
    lab.said(page, SLOW_SWEEP)
    expect(monitor(page)).to_be_visible(timeout=300_000)
    page.wait_for_function("document.querySelector('.mp-heatmap').dataset.status === 'running'")
    expect(page.get_by_test_id("open-sweep")).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_test_id("lab-status")).to_have_text("steering every concept at every layer")
    expect(monitor(page)).to_contain_text("time left")
    expect(monitor(page).get_by_role("progressbar")).to_be_visible()
    expect(page.locator(".mp-bar").get_by_role("progressbar")).to_be_hidden()
    page.get_by_test_id("monitor-pause").click()
    expect(page.get_by_test_id("monitor-status")).to_contain_text("paused ·")
    expect(page.get_by_test_id("lab-status")).to_have_text("the sweep is paused")
    page.locator(".mp-lab").screenshot(path=lab.SHOTS / "lab-paused.png")
    lab.said(page, FAST)
    page.get_by_test_id("monitor-resume").click()
    lab.said(page, WAIT)
    expect(monitor(page)).to_be_hidden()
    expect(page.get_by_test_id("lab-status")).to_have_text("")
    lab.said(page, "explored.panel.choose(window=[2, 2])")
    page.get_by_test_id("heatmap").press("ArrowRight")
    expect(page.get_by_test_id("heatmap-cell")).to_contain_text("layer 4")
    expect(page.get_by_test_id("layer")).to_have_value("4")


def test_a_restarted_kernel_is_said_once(page: Page) -> None:
    assert page.locator("[data-testid=no-kernel]:visible").count() == 0
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    said = page.locator(".mp-bar [data-testid=no-kernel]")
    expect(said).to_have_text("Kernel restarted or stopped. Showing the last state; rerun the cell to continue.")
    expect(page.locator("[data-testid=no-kernel]:visible")).to_have_count(1)
    assert page.evaluate(_BROKEN_LINKS) == 0
    expect(page.get_by_test_id("answer-baseline")).not_to_be_empty()
    page.locator(".mp-lab").screenshot(path=lab.SHOTS / "lab-restarted.png")
