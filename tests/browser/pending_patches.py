"""Patch overlay and token strip on a real model in a real JupyterLab: values, scrubbing, painting, keys, themes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.browser import lab

pytestmark = pytest.mark.browser
SHOTS = lab.ROOT / "screenshots"
HOSTILE = "<img src=x onerror='window.__owned=1'>"

MADE = f"""
import mllm_probe as mp
import numpy as np
model = mp.load("scenes-8l")
library = mp.concepts.scenes(concepts=["cat", "tree", "neon", "symmetry"], pairs=6)
vectors = mp.concept_vectors(model, library, probe_accuracy=False)
vectors = vectors.assign_coords(concept=["cat", "tree", "neon", {HOSTILE!r}])
picture = library["cat"].positive[0]
overlay = mp.PatchOverlay(model, vectors, image=picture, concept="cat", layer=3)
strip = mp.TokenStrip(model, vectors, image=picture, concept="cat", layer=3)
assert overlay.wait(60) and strip.wait(60), (overlay.message, strip.message)
overlay
"""
STRIP = "strip"
SAY_MASK = "print(np.argwhere(overlay.scope).tolist(), overlay.layer, overlay.concept, overlay.steering())"
SAY_POSITIONS = "print(strip.positions, strip.steering(0.5))"
HOSTILE_TOKENS = """
decode = type(model.tokenizer).decode
hostile = "<b onclick=x>{}</b><script>1</script>".format
type(model.tokenizer).decode = lambda self, ids, **more: hostile(decode(self, ids, **more))
strip.prompt = "how does it feel ?"
strip.mode = "lens"
strip.wait(60)
type(model.tokenizer).decode = decode
print("hostile", strip.status)
"""

_SEEN = """() => {
  const slider = document.querySelector('[data-testid="patch-layer"]');
  window.__seen = [];
  new MutationObserver(() => window.__seen.push(slider.getAttribute('aria-valuetext')))
    .observe(slider, { attributeFilter: ['aria-valuetext'] });
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    SHOTS.mkdir(exist_ok=True)
    folder: Path = tmp_path_factory.mktemp("patches")
    cells = (MADE, STRIP, SAY_MASK, SAY_POSITIONS, HOSTILE_TOKENS)
    lab.notebook(folder, "inside.ipynb", *(cell.strip() for cell in cells))
    with lab.server(folder) as address, sync_playwright() as playwright:
        browser = lab.launch(playwright)
        made = browser.new_page(viewport={"width": 1200, "height": 1300})
        made.set_default_timeout(60_000)
        expect.set_options(timeout=30_000)
        lab.open_notebook(made, address, "inside.ipynb")
        lab.run_cell(made, 0)
        made.get_by_test_id("patches").wait_for(timeout=180_000)
        lab.run_cell(made, 1)
        made.get_by_test_id("tokens").wait_for()
        yield made
        browser.close()


def said(page: Page, cell: int) -> str:
    """Run a cell and give what it printed, once it has finished."""
    prompt = page.locator(".jp-Cell").nth(cell).locator(".jp-InputPrompt")
    before = prompt.text_content()
    lab.run_cell(page, cell)
    expect(prompt).not_to_have_text(before or "")
    expect(prompt).to_have_text(re.compile(r"\d"))
    return page.locator(".jp-Cell").nth(cell).locator(".jp-OutputArea-output").last.text_content() or ""


def picture_of(canvas: Locator) -> str:
    """What is on a canvas, once its next frame is drawn."""
    return canvas.evaluate("c => new Promise(r => requestAnimationFrame(() => setTimeout(() => r(c.toDataURL()), 60)))")


def middle(canvas: Locator, row: int, column: int) -> dict[str, float]:
    """Middle of a patch of the 8 × 8 grid in pixels of the canvas."""
    box = canvas.bounding_box()
    return {"x": (column + 0.5) * box["width"] / 8, "y": (row + 0.5) * box["height"] / 8}


def test_values_of_every_patch_can_be_read(page: Page) -> None:
    canvas, read = page.get_by_test_id("patches"), page.get_by_test_id("patch-read")
    expect(page.get_by_test_id("patch-status")).to_have_text("")
    canvas.hover(position=middle(canvas, 0, 0))
    expect(read).to_contain_text("row 0, column 0")
    expect(read).to_contain_text("× mean difference of cat at layer 3")
    seen = set()
    for row in range(8):
        canvas.hover(position=middle(canvas, row, row))
        expect(read).to_have_attribute("data-row", str(row))
        seen.add(read.get_attribute("data-value"))
    assert len(seen) == 8
    expect(page.locator(".mp-patches .mp-legend")).to_contain_text("× mean difference")
    expect(page.locator(".mp-patches .mp-note")).to_contain_text("1 the mean of pictures with it")
    page.screenshot(path=SHOTS / "patches-light.png")


def test_scrubbing_changes_the_canvas_without_the_kernel(page: Page) -> None:
    canvas, layer = page.get_by_test_id("patches"), page.get_by_test_id("patch-layer")
    seen = {picture_of(canvas)}
    layer.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        seen.add(picture_of(canvas))
    assert len(seen) == 4
    expect(layer).to_have_value("6")
    page.evaluate(_SEEN)
    page.get_by_test_id("patch-layer-play").click()
    page.wait_for_function("['layer 7', 'layer 0', 'layer 1'].every((text) => window.__seen.includes(text))")
    page.get_by_test_id("patch-layer-play").click()
    stopped = layer.input_value()
    page.wait_for_timeout(800)
    expect(layer).to_have_value(stopped)


def test_with_less_motion_play_goes_one_layer_on(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    layer, play = page.get_by_test_id("patch-layer"), page.get_by_test_id("patch-layer-play")
    expect(play).to_have_attribute("aria-label", "Next layer")
    before = int(layer.input_value())
    play.click()
    expect(layer).to_have_value(str(before + 1))
    page.wait_for_timeout(800)
    expect(layer).to_have_value(str(before + 1))
    page.emulate_media(reduced_motion="no-preference")
    expect(play).to_have_attribute("aria-label", "Play the layers")


def test_a_stroke_of_the_mouse_sets_the_mask_in_the_kernel(page: Page) -> None:
    canvas = page.get_by_test_id("patches")
    box, start, end = canvas.bounding_box(), middle(canvas, 2, 1), middle(canvas, 2, 4)
    page.mouse.move(box["x"] + start["x"], box["y"] + start["y"])
    page.mouse.down()
    page.mouse.move(box["x"] + end["x"], box["y"] + end["y"], steps=2)
    page.mouse.up()
    expect(page.get_by_test_id("patch-count")).to_have_text("4 of 8 × 8 painted")
    layer = page.get_by_test_id("patch-layer").input_value()
    assert said(page, 2).startswith(f"[[2, 1], [2, 2], [2, 3], [2, 4]] {layer} cat cat, layers {layer}, +1 residual")
    canvas.click(position=middle(canvas, 2, 2))
    expect(page.get_by_test_id("patch-count")).to_have_text("3 of 8 × 8 painted")
    page.get_by_test_id("patch-invert").click()
    expect(page.get_by_test_id("patch-count")).to_have_text("61 of 8 × 8 painted")
    page.get_by_test_id("patch-clear").click()
    expect(page.get_by_test_id("patch-count")).to_have_text("0 of 8 × 8 painted")


def test_the_keyboard_alone_paints_scrubs_and_leaves_the_notebook_alone(page: Page) -> None:
    cells = "window.jupyterapp.shell.currentWidget.content.widgets.length"
    before = page.evaluate(cells)
    canvas = page.get_by_test_id("patches")
    layer = int(page.get_by_test_id("patch-layer").input_value())
    canvas.click(position=middle(canvas, 0, 0))
    canvas.click(position=middle(canvas, 0, 0))
    page.mouse.move(2, 2)
    for key in ("ArrowDown", "ArrowRight", " ", "Shift+ArrowRight", "Shift+ArrowDown", "d", "d", "x", "b"):
        page.keyboard.press(key)
    expect(page.get_by_test_id("patch-read")).to_contain_text("row 2, column 2")
    expect(page.get_by_test_id("patch-read")).to_contain_text("painted")
    page.keyboard.press("PageUp")
    expect(page.get_by_test_id("patch-layer")).to_have_value(str(layer + 1))
    assert said(page, 2).startswith(f"[[1, 1], [1, 2], [2, 2]] {layer + 1} cat")
    assert page.evaluate(cells) == before


def test_another_concept_is_read_and_a_hostile_name_is_text(page: Page) -> None:
    canvas, concept = page.get_by_test_id("patches"), page.get_by_test_id("patch-concept")
    before = picture_of(canvas)
    concept.select_option("tree")
    expect(page.get_by_test_id("patch-status")).to_have_text("")
    canvas.hover(position=middle(canvas, 5, 5))
    expect(page.get_by_test_id("patch-read")).to_contain_text("of tree at layer")
    assert picture_of(canvas) != before
    concept.select_option(HOSTILE)
    expect(page.get_by_test_id("patch-read")).to_contain_text(f"of {HOSTILE} at layer")
    assert page.evaluate("window.__owned") is None and page.locator(".mp-patches img").count() == 0
    concept.select_option("cat")
    expect(page.get_by_test_id("patch-read")).to_contain_text("of cat at layer")


def test_the_strip_reads_prompt_and_answer(page: Page) -> None:
    strip, read = page.get_by_test_id("tokens"), page.get_by_test_id("token-read")
    strip.scroll_into_view_if_needed()
    expect(strip.locator("[data-role=block]")).to_contain_text("image × 64")
    expect(strip.locator("[data-role=answer]").first).to_contain_text("cat")
    see = strip.locator("[data-role=text]", has_text="see")
    see.hover()
    expect(read).to_contain_text("see · text · position")
    expect(read).to_contain_text("× mean difference")
    expect(read).to_contain_text("last prompt’s vector, its 0 measured there")
    assert see.get_attribute("data-borrowed") == "" and strip.locator("[data-role=special][data-borrowed]").count() == 1
    value = see.locator(".mp-tok-value")
    before = value.text_content()
    page.get_by_test_id("token-layer").fill("7")
    expect(value).not_to_have_text(before or "")
    assert re.fullmatch(r"[+−]?\d+\.\d+", value.text_content() or "")
    strip.locator("[data-role=block]").hover()
    expect(read).to_contain_text("64 image tokens")
    expect(read).to_contain_text("most")
    profile = picture_of(page.get_by_test_id("token-profile"))
    see.hover()
    assert picture_of(page.get_by_test_id("token-profile")) != profile
    page.screenshot(path=SHOTS / "tokens-light.png")


def test_tokens_are_selected_by_mouse_and_keys(page: Page) -> None:
    strip = page.get_by_test_id("tokens")
    words = strip.locator("[data-role=text]")
    first = int(words.first.get_attribute("data-position") or "")
    words.first.click()
    words.nth(2).click(modifiers=["Shift"])
    expect(page.get_by_test_id("token-count")).to_have_text("3 tokens selected")
    strip.locator("[data-role=answer]").first.click(force=True)
    expect(page.get_by_test_id("token-count")).to_have_text("3 tokens selected")
    words.first.focus()
    for key in (" ", "Shift+ArrowLeft", "d", "d"):
        page.keyboard.press(key)
    positions = [first - 1, first, first + 1, first + 2]
    assert said(page, 3).startswith(f"{positions} cat, layers 7, +0.5 residual, positions {first - 1}, {first}")
    words.first.focus()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("token-count")).to_contain_text("0 tokens selected")
    strip.locator("[data-role=block]").press(" ")
    expect(page.get_by_test_id("token-count")).to_have_text("64 tokens selected")
    page.get_by_test_id("token-clear").click()


def test_the_lens_names_the_answer_and_opened_images_are_read(page: Page) -> None:
    strip, read = page.get_by_test_id("tokens"), page.get_by_test_id("token-read")
    page.get_by_test_id("token-mode").get_by_label("logit lens").check(force=True)
    last = strip.locator("[data-role=special]").last
    expect(last.locator(".mp-tok-value b")).to_have_text("cat")
    last.hover()
    expect(read).to_contain_text("next: cat")
    expect(page.get_by_test_id("token-words").locator("span")).to_have_count(8)
    page.screenshot(path=SHOTS / "tokens-lens.png")
    strip.locator("[data-role=block]").press("Enter")
    expect(strip.locator("[data-role=image]")).to_have_count(64)
    patch = strip.locator("[data-role=image]").nth(20)
    patch.hover()
    expect(read).to_contain_text("row 2, column 4 · image")
    expect(read).to_contain_text("next:")
    page.screenshot(path=SHOTS / "tokens-opened.png")
    strip.locator("[data-role=block]").press("Enter")
    expect(strip.locator("[data-role=image]")).to_have_count(0)


def test_hostile_token_text_is_inert(page: Page) -> None:
    assert "hostile idle" in said(page, 4)
    strip = page.get_by_test_id("tokens")
    expect(strip).to_contain_text("<b onclick=x>feel</b><script>1</script>")
    strip.locator("[data-role=text]").last.hover()
    expect(page.get_by_test_id("token-read")).to_contain_text("next: <b onclick=x>")
    assert page.locator(".mp-tokens script, .mp-tokens [onclick]").count() == 0


def test_dark_theme_redraws_both(page: Page) -> None:
    canvas = page.get_by_test_id("patches")
    light = picture_of(canvas)
    lab.set_theme(page, "JupyterLab Dark")
    page.wait_for_timeout(400)
    assert picture_of(canvas) != light
    background = page.locator(".mp-tokens").evaluate("e => getComputedStyle(e).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", background)[:3])) < 200
    page.get_by_test_id("token-mode").get_by_label("concept").check(force=True)
    page.screenshot(path=SHOTS / "tokens-dark.png")
    canvas.scroll_into_view_if_needed()
    canvas.hover(position=middle(canvas, 1, 2))
    page.screenshot(path=SHOTS / "patches-dark.png")
    lab.set_theme(page, "JupyterLab Light")


def test_every_control_has_a_name_and_nothing_is_cut_off(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.mp :is(input, select, button, canvas, [role=option])')].filter((e) =>
          !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim())).map((e) => e.outerHTML)"""
    )
    assert nameless == []
    for width in (1600, 800, 560):
        page.set_viewport_size({"width": width, "height": 1300})
        page.wait_for_timeout(300)
        wide = page.evaluate(
            "() => [...document.querySelectorAll('.mp')].filter((e) => e.scrollWidth > e.clientWidth + 1).length"
        )
        assert wide == 0
        page.screenshot(path=SHOTS / f"inside-{width}.png")
