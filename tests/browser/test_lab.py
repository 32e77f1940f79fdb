"""The widgets in a real JupyterLab in a real Chromium: fill, click, drag, cancel, keys, themes, hostile names."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
SHOTS = lab.SHOTS

FAKES = """
import mllm_probe.widgets.panel.steering_panel as panel_module
from mllm_probe.widgets import Explore, LayerConceptHeatmap, SteeringPanel
from tests.widgets import fakes
panel_module.stream = streams = fakes.Streams(pause=0.04)
model = fakes.FakeModel()
heatmap = LayerConceptHeatmap(concept="cat", layer=5)
panel = SteeringPanel(model, fakes.vectors(model, hostile=True), concept="cat", layer=5)
Explore(model, heatmap, panel)
"""
FILL = "heatmap.watch(fakes.growing(steps=40, pause=0.05, hostile=True));"
REAL = """
import mllm_probe as mp
from tests.zoo import tiny_llava
from mllm_probe.generation import stream
panel_module.stream = stream
library = mp.concepts.scenes(concepts=["cat", "tree", "neon", "symmetry"], pairs=4)
explored = mp.explore(tiny_llava(), library, strengths=(-1, 1, 2), draws=4)
explored
"""
WAIT = "assert explored.wait(120), explored.bar.message"

_WATCH = """() => {
  const kept = window.__kept = { status: [], steered: [], moves: [] };
  const of = (id) => document.querySelector(`[data-testid="${id}"]`);
  const watch = (id, list) => new MutationObserver(() => list.push(of(id).textContent))
    .observe(of(id), { childList: true, characterData: true, subtree: true });
  watch('status', kept.status);
  watch('answer-steered', kept.steered);
  of('strength').addEventListener('input', (event) => kept.moves.push(event.target.value));
}"""


_COLOUR = """([x, y]) => { const c = document.querySelector('[data-testid="heatmap"]'); const r = devicePixelRatio;
  return [...c.getContext('2d').getImageData(x * r, y * r, 1, 1).data].slice(0, 3); }"""
_WIDE = """() => [...document.querySelectorAll('.mp, .mp-lab')].filter((e) =>
  e.scrollWidth > e.clientWidth + 1).map((e) => `${e.className} ${e.scrollWidth} > ${e.clientWidth}`)"""


@pytest.fixture(scope="module")
def page(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("widgets.ipynb", FAKES.strip(), FILL, lab.BUSY, REAL.strip(), WAIT)
    with desk.opened("widgets.ipynb", 1400, 1000) as made:
        made.get_by_test_id("heatmap-cell").wait_for(timeout=180_000)
        yield made


def too_wide(page: Page) -> list[str]:
    """Parts that are wider than their place once the page has settled; observers of sizes may run late under load."""
    for _ in range(50):
        found = page.evaluate(_WIDE)
        if not found:
            break
        lab.drawn(page)
        page.wait_for_timeout(100)
    return found


def colour_at(page: Page, x: float, y: float) -> list[int]:
    """Colour of the map's canvas at a point in page pixels from its corner."""
    return page.evaluate(_COLOUR, [x, y])


def point_at(page: Page, row: int, layer: int) -> tuple[float, float]:
    """Middle of a cell of the first category, in page pixels from the canvas's corner."""
    place = page.evaluate("({ ...document.querySelector('[data-testid=\"heatmap\"]').dataset })")
    left, top, width, height = (float(place[name]) for name in ("left", "top", "cellWidth", "rowHeight"))
    return left + (layer + 0.5) * width, top + (row + 0.5) * height


def ask(page: Page, prompt: str) -> None:
    """Type a question and press Enter."""
    page.get_by_test_id("prompt").fill(prompt)
    page.get_by_test_id("prompt").press("Enter")


def test_the_map_fills_while_the_sweep_runs(page: Page) -> None:
    expect(page.get_by_test_id("heatmap-cell")).to_have_text("Waiting for the first cells.")
    lab.run_cell(page, 1)
    page.wait_for_function("document.querySelector('.mp-heatmap').dataset.status === 'running'")
    page.screenshot(path=SHOTS / "filling.png")
    cell = page.get_by_test_id("heatmap-cell")
    page.wait_for_function("document.querySelector('.mp-heatmap').dataset.status === 'idle'")
    expect(cell).to_contain_text("cat · layer 5")
    expect(cell).to_contain_text("nats [")
    expect(cell).to_contain_text("n = 24 images")
    expect(cell).to_contain_text("random direction +0.1")
    expect(page.get_by_test_id("status")).to_have_text("idle")
    page.screenshot(path=SHOTS / "explore-light.png")


def test_hostile_names_are_text(page: Page) -> None:
    options = page.get_by_test_id("concept").locator("option").all_text_contents()
    assert "<img src=x onerror='window.__owned=1'>" in options and "</script><b>bold</b>" in options
    page.get_by_test_id("concept").select_option("</script><b>bold</b>")
    expect(page.get_by_test_id("heatmap-cell")).to_contain_text("</script><b>bold</b> · layer 5")
    expect(page.get_by_test_id("answer-steered")).to_contain_text("</script><b>bold</b>")
    page.get_by_test_id("concept").select_option("<img src=x onerror='window.__owned=1'>")
    expect(page.get_by_test_id("answer-steered")).to_contain_text("onerror=")
    assert page.evaluate("window.__owned") is None
    assert page.locator(".mp-answer img, .mp-read img, .mp-answer p b").count() == 0


def test_a_click_on_a_cell_sets_the_panel_and_the_answer(page: Page) -> None:
    x, y = point_at(page, row=2, layer=3)
    page.get_by_test_id("heatmap").click(position={"x": x, "y": y})
    expect(page.get_by_test_id("concept")).to_have_value("tree")
    expect(page.get_by_test_id("layer")).to_have_value("3")
    expect(page.get_by_test_id("answer-steered")).to_contain_text("of a tree (1) and")
    expect(page.get_by_test_id("heatmap-cell")).to_contain_text("tree · layer 3")
    red, _, blue = colour_at(page, x, y)
    assert red > blue + 10


def test_hover_reads_a_cell_and_leaves_the_selection(page: Page) -> None:
    canvas, cell = page.get_by_test_id("heatmap"), page.get_by_test_id("heatmap-cell")
    x, y = point_at(page, row=4, layer=7)
    canvas.hover(position={"x": x, "y": y})
    expect(cell).to_contain_text("star · layer 7 · 1 × residual norm")
    before = canvas.bounding_box()
    for category in range(4):
        canvas.hover(position={"x": x, "y": y + 70 * category})
        assert canvas.bounding_box() == before
    page.mouse.move(2, 2)
    expect(cell).to_contain_text("tree · layer 3")
    expect(page.get_by_test_id("concept")).to_have_value("tree")


def test_dragging_the_slider_cancels_and_the_newest_setting_is_what_stays(page: Page) -> None:
    expect(page.get_by_test_id("status")).to_have_text("idle")
    ask(page, "what do you see, slowly ?")
    page.evaluate(_WATCH)
    box = page.get_by_test_id("strength").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 2 / 3, y)
    page.mouse.down()
    for k in range(16):
        page.mouse.move(box["x"] + box["width"] * (0.67 + 0.018 * k), y)
        page.wait_for_timeout(60)
    page.mouse.up()
    kept = page.evaluate("window.__kept")
    assert len(kept["moves"]) >= 4
    newest = float(kept["moves"][-1])
    expect(page.get_by_test_id("answer-steered")).to_contain_text(f"tree ({newest:g}) and a tree")
    expect(page.get_by_test_id("status")).to_have_text("idle")
    kept = page.evaluate("window.__kept")
    assert "cancelled" in kept["status"] and kept["status"][-1] == "idle"
    after = kept["steered"][next(i for i, text in enumerate(kept["steered"]) if f"({newest:g})" in text) :]
    assert all(f"({newest:g})" in text for text in after)
    expect(page.get_by_test_id("receipt")).to_contain_text("prompt positions")
    assert page.locator(".mp-answer[data-old=true]").count() == 0


def test_stop_and_run_again(page: Page) -> None:
    ask(page, "slowly ?")
    expect(page.get_by_test_id("status")).to_have_text("running")
    page.get_by_test_id("stop").click()
    expect(page.get_by_test_id("status")).to_have_text("cancelled")
    ask(page, "what do you see ?")
    expect(page.get_by_test_id("status")).to_have_text("idle")
    page.get_by_test_id("stop").click()
    expect(page.locator(".mp-answer[data-old=true]")).to_have_count(0)
    expect(page.get_by_test_id("status")).to_have_text("idle")


def test_keys_drive_the_widgets_and_not_the_notebook(page: Page) -> None:
    canvas, cell = page.get_by_test_id("heatmap"), page.get_by_test_id("heatmap-cell")
    active = "window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    cells = "window.jupyterapp.shell.currentWidget.content.widgets.length"
    before = page.evaluate(active), page.evaluate(cells)
    canvas.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Escape", "b", "d", "d", "x"):
        canvas.press(key)
    expect(cell).to_contain_text("dog · layer 5")
    expect(page.get_by_test_id("concept")).to_have_value("dog")
    expect(page.get_by_test_id("layer")).to_have_value("5")
    page.get_by_test_id("strength").focus()
    page.keyboard.press("Home")
    expect(page.get_by_test_id("strength")).to_have_value("-3")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    ask(page, "what is a dd ?")
    expect(page.get_by_test_id("status")).to_have_text("idle")
    assert (page.evaluate(active), page.evaluate(cells)) == before


def test_every_control_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.mp :is(input, select, button, canvas:not([aria-hidden]))')]
          .filter((e) => !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim()))
          .map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_a_busy_cell_does_not_hold_the_slider_up(page: Page, desk: lab.Desk) -> None:
    with desk.busy(page, 2):
        page.get_by_test_id("strength").focus()
        page.keyboard.press("Home")
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_test_id("answer-steered")).to_contain_text("(2.75) and a tree")


def test_dark_theme_repaints_the_map(page: Page) -> None:
    light = colour_at(page, *point_at(page, row=0, layer=0))
    lab.set_theme(page, "JupyterLab Dark")
    page.mouse.move(5, 5)
    x, y = point_at(page, row=0, layer=0)
    page.wait_for_function(
        f"([x, y, most]) => ({_COLOUR})([x, y]).reduce((a, b) => a + b) < most", arg=[x, y, sum(light) - 200]
    )
    page.mouse.move(5, 5)
    page.screenshot(path=SHOTS / "explore-dark.png")
    lab.set_theme(page, "JupyterLab Light")


@pytest.mark.parametrize("width", [1600, 1200, 1000, 800, 600])
def test_nothing_is_cut_off(page: Page, width: int) -> None:
    """At 200 % zoom a window of 1,200 pixels has 600."""
    page.set_viewport_size({"width": width, "height": 1000})
    lab.drawn(page)
    assert too_wide(page) == []
    page.screenshot(path=SHOTS / f"explore-{width}.png")


def test_explore_works_on_a_real_model(page: Page) -> None:
    page.set_viewport_size({"width": 1400, "height": 1000})
    lab.run_cell(page, 3)
    lab.run_cell(page, 4)
    real = page.locator(".mp-lab").nth(1)
    expect(real.get_by_test_id("heatmap-cell")).to_contain_text("nats", timeout=120_000)
    expect(page.locator(".jp-Cell").nth(4).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\d"), timeout=120_000)
    expect(real.get_by_test_id("lab-status")).to_have_text("")
    expect(real.get_by_test_id("status")).to_have_text("idle")
    assert real.get_by_test_id("answer-baseline").text_content()
    real.scroll_into_view_if_needed()
    real.get_by_test_id("heatmap").press("ArrowRight")
    real.get_by_test_id("heatmap").press("ArrowDown")
    expect(real.get_by_test_id("receipt")).to_contain_text("tree: layer 2")
    assert page.locator(".jp-OutputArea-output[data-mime-type*=error]").count() == 0
    page.screenshot(path=SHOTS / "explore-real.png")


def test_folded_parts_open_with_the_panel_and_close_again(page: Page) -> None:
    real = page.locator(".mp-lab").nth(1)
    for name in ("patches", "tokens", "pairs", "code"):
        expect(real.get_by_test_id(f"open-{name}")).to_have_attribute("aria-expanded", "false")
        real.get_by_test_id(f"open-{name}").press("Enter")
        expect(real.get_by_test_id(f"open-{name}")).to_have_attribute("aria-expanded", "true")
    expect(real.get_by_test_id("gallery-mean")).to_contain_text("× mean difference over 2 pairs")
    assert real.locator(".mp-gallery-pair img").count() == 4
    expect(real.locator(".mp-gallery h3")).to_have_text("Pairs · tree · layer 2")
    expect(real.get_by_test_id("token-concept")).to_have_value("tree")
    expect(real.get_by_test_id("lab-code")).to_contain_text("layers=[2]")
    real.get_by_test_id("token-concept").select_option("neon")
    expect(real.get_by_test_id("concept")).to_have_value("neon")
    expect(real.locator(".mp-gallery h3")).to_have_text("Pairs · neon · layer 2")
    expect(real.get_by_test_id("lab-code")).to_contain_text("concept='neon'")
    assert too_wide(page) == []


@pytest.mark.parametrize("width", [600, 800, 1200, 1600, 2000, 1400])
def test_the_opened_lab_fits_in_both_themes(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 2600})
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        lab.set_theme(page, theme)
        lab.drawn(page)
        page.locator(".mp-lab").nth(1).scroll_into_view_if_needed()
        assert too_wide(page) == []
        page.locator(".mp-lab").nth(1).screenshot(path=SHOTS / f"lab-{width}-{theme.split()[1].lower()}.png")


def test_a_part_that_is_folded_is_gone(page: Page) -> None:
    real = page.locator(".mp-lab").nth(1)
    for name in ("patches", "tokens", "pairs", "code"):
        real.get_by_test_id(f"open-{name}").click()
    expect(real.locator(".mp-gallery, .mp-tokens, .mp-patches")).to_have_count(0)
    expect(real.get_by_test_id("lab-code")).to_be_hidden()
    page.set_viewport_size({"width": 1400, "height": 1000})


def test_it_also_works_where_callbacks_run_on_the_main_thread(page: Page, desk: lab.Desk) -> None:
    desk.set_up("kernels-settings", commsOverSubshells="disabled")
    desk.open(page, "widgets.ipynb")
    lab.run_cell(page, 0)
    first = page.locator(".mp-lab").first
    expect(first.get_by_test_id("answer-steered")).to_contain_text("cat (1)", timeout=90_000)
    first.get_by_test_id("strength").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    expect(first.get_by_test_id("answer-steered")).to_contain_text("cat (2.75) and a tree")
    expect(first.get_by_test_id("status")).to_have_text("idle")
