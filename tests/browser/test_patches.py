"""Patch overlay and token strip on a real model in a real JupyterLab: values, scrubbing, painting, keys, themes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
SHOTS = lab.SHOTS
HOSTILE = "<img src=x onerror='window.__owned=1'>"

MADE = f"""
import mllm_probe as mp
import numpy as np
model = mp.load("scenes-8l")
library = mp.concepts.scenes(concepts=["cat", "tree", "neon", "symmetry"], pairs=6)
vectors = mp.concept_vectors(model, library, probe_accuracy=False)
vectors = vectors.assign_coords(concept=["cat", "tree", "neon", {HOSTILE!r}])
picture = library["cat"].positive[0]
overlay = mp.PatchOverlay(model, vectors, images=picture, concept="cat", layer=3)
strip = mp.TokenStrip(model, vectors, images=picture, concept="cat", layer=3)
assert overlay.wait(60) and strip.wait(60), (overlay.message, strip.message)
overlay
"""
STRIP = "strip"
RESET = """
overlay.show(concept="cat", layer=3, mask=[[False] * 8] * 8)
strip.show(concept="cat", layer=3, mode="projection", opened=False, positions=[], prompt=model.default_prompt)
print("reset", overlay.wait(60) and strip.wait(60))
"""
SAY_MASK = "print(np.argwhere(overlay.mask).tolist(), overlay.layer, overlay.concept)"
SAY_STEERED = """
plain, steered = (mp.capture(model, [picture], tokens="all", layers=[overlay.layer], steering=s)
                  for s in (None, overlay.steering()))
changed = abs(plain.activation - steered.activation).max(("sample", "layer", "hidden")).values > 0
print([(int(r), int(c)) for r, c in zip(plain.patch_row.values[changed], plain.patch_column.values[changed])])
"""
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
def opened(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("inside.ipynb", MADE.strip(), STRIP)
    with desk.opened("inside.ipynb", 1200, 1300) as made:
        made.get_by_test_id("patches").wait_for(timeout=300_000)
        lab.run_cell(made, 1)
        made.get_by_test_id("tokens").wait_for()
        yield made


@pytest.fixture
def page(opened: Page) -> Page:
    """The two widgets as they were at first."""
    assert lab.said(opened, RESET).startswith("reset True")
    opened.mouse.move(2, 2)
    expect(opened.get_by_test_id("patch-layer")).to_have_value("3")
    expect(opened.get_by_test_id("patch-concept")).to_have_value("cat")
    expect(opened.get_by_test_id("patch-count")).to_have_text("0 of 8 × 8 painted")
    expect(opened.get_by_test_id("token-layer")).to_have_value("3")
    expect(opened.get_by_test_id("token-count")).to_contain_text("0 tokens selected")
    for name in ("patch-status", "token-status"):
        expect(opened.get_by_test_id(name)).to_have_text("")
    return opened


def now(canvas: Locator) -> str:
    """Pixels of a canvas that no longer changes."""
    lab.frames(canvas.page)
    return str(canvas.evaluate("canvas => canvas.toDataURL()"))


def middle(canvas: Locator, row: int, column: int) -> dict[str, float]:
    """Middle of a patch of the 8 × 8 grid in pixels of the canvas."""
    box = canvas.bounding_box()
    return {"x": (column + 0.5) * box["width"] / 8, "y": (row + 0.5) * box["height"] / 8}


def drag(page: Page, canvas: Locator, start: tuple[int, int], end: tuple[int, int]) -> None:
    """A stroke of the mouse from one patch to another, in two moves."""
    canvas.scroll_into_view_if_needed()
    box, first, last = canvas.bounding_box(), middle(canvas, *start), middle(canvas, *end)
    page.mouse.move(box["x"] + first["x"], box["y"] + first["y"])
    page.mouse.down()
    page.mouse.move(box["x"] + last["x"], box["y"] + last["y"], steps=2)
    page.mouse.up()


def test_values_of_every_patch_can_be_read(page: Page) -> None:
    canvas, read = page.get_by_test_id("patches"), page.get_by_test_id("patch-read")
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
    expect(page.locator(".mp-patches .mp-note")).to_contain_text("1 = mean of images with it")
    page.screenshot(path=SHOTS / "patches-light.png")


def test_scrubbing_changes_the_canvas_and_plays_round(page: Page) -> None:
    canvas, layer = page.get_by_test_id("patches"), page.get_by_test_id("patch-layer")
    layer.focus()
    seen = [now(canvas)]
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        seen.append(lab.repainted(canvas, seen))
    expect(layer).to_have_value("6")
    page.evaluate(_SEEN)
    play = page.get_by_test_id("patch-layer-play")
    play.click()
    expect(play).to_have_attribute("aria-label", "Stop")
    page.wait_for_function("['layer 7', 'layer 0', 'layer 1'].every((text) => window.__seen.includes(text))")
    play.click()
    expect(play).to_have_attribute("aria-label", "Play the layers")
    stopped = layer.input_value()
    lab.until_said(page, SAY_MASK, f"[] {stopped} cat")
    expect(layer).to_have_value(stopped)


def test_the_layers_play_without_the_kernel(page: Page) -> None:
    kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    canvas, play = page.get_by_test_id("patches"), page.get_by_test_id("patch-layer-play")
    before = now(canvas)
    page.evaluate(
        f"() => {{ window.__sent = 0; window.__send = {kernel}._sendMessage;"
        f" {kernel}._sendMessage = () => {{ window.__sent += 1; }}; }}"
    )
    page.evaluate(_SEEN)
    play.click()
    page.wait_for_function("new Set(window.__seen).size === 8")
    lab.repainted(canvas, [before])
    assert page.evaluate("window.__sent") == 0
    page.evaluate(f"() => {{ {kernel}._sendMessage = window.__send; }}")
    play.click()


def test_with_less_motion_play_goes_one_layer_on(page: Page) -> None:
    layer, play = page.get_by_test_id("patch-layer"), page.get_by_test_id("patch-layer-play")
    page.emulate_media(reduced_motion="reduce")
    try:
        expect(play).to_have_attribute("aria-label", "Next layer")
        play.click()
        expect(layer).to_have_value("4")
        expect(play).to_have_attribute("aria-pressed", "false")
        lab.until_said(page, SAY_MASK, "[] 4 cat")
        expect(layer).to_have_value("4")
    finally:
        page.emulate_media(reduced_motion="no-preference")
    expect(play).to_have_attribute("aria-label", "Play the layers")


def test_patches_painted_with_the_mouse_are_those_that_are_steered(page: Page) -> None:
    canvas, count = page.get_by_test_id("patches"), page.get_by_test_id("patch-count")
    drag(page, canvas, (2, 1), (2, 4))
    expect(count).to_have_text("4 of 8 × 8 painted")
    lab.until_said(page, SAY_MASK, "[[2, 1], [2, 2], [2, 3], [2, 4]] 3 cat")
    lab.until_said(page, SAY_STEERED, "[(2, 1), (2, 2), (2, 3), (2, 4)]")
    drag(page, canvas, (2, 2), (4, 2))
    expect(count).to_have_text("3 of 8 × 8 painted")
    canvas.click(position=middle(canvas, 7, 7))
    lab.until_said(page, SAY_STEERED, "[(2, 1), (2, 3), (2, 4), (7, 7)]")
    page.get_by_test_id("patch-invert").click()
    expect(count).to_have_text("60 of 8 × 8 painted")
    page.get_by_test_id("patch-clear").click()
    expect(count).to_have_text("0 of 8 × 8 painted")
    lab.until_said(page, SAY_MASK, "[] 3 cat")


def test_the_keyboard_alone_paints_scrubs_and_leaves_the_notebook_alone(page: Page) -> None:
    cells = "window.jupyterapp.shell.currentWidget.content.widgets.length"
    before = page.evaluate(cells)
    canvas, read = page.get_by_test_id("patches"), page.get_by_test_id("patch-read")
    canvas.focus()
    for key in ("Home", *["ArrowUp"] * 7):
        page.keyboard.press(key)
    expect(read).to_contain_text("row 0, column 0")
    for key in ("ArrowDown", "ArrowRight", " ", "Shift+ArrowRight", "Shift+ArrowDown", "d", "d", "x", "b"):
        page.keyboard.press(key)
    expect(read).to_contain_text("row 2, column 2")
    expect(read).to_contain_text("painted")
    page.keyboard.press("PageUp")
    expect(page.get_by_test_id("patch-layer")).to_have_value("4")
    lab.until_said(page, SAY_MASK, "[[1, 1], [1, 2], [2, 2]] 4 cat")
    assert page.evaluate(cells) == before


def test_another_concept_is_read_and_a_hostile_name_is_text(page: Page) -> None:
    canvas, concept = page.get_by_test_id("patches"), page.get_by_test_id("patch-concept")
    canvas.hover(position=middle(canvas, 5, 5))
    before = now(canvas)
    concept.select_option("tree")
    expect(page.get_by_test_id("patch-read")).to_contain_text("of tree at layer")
    lab.repainted(canvas, [before])
    concept.select_option(HOSTILE)
    expect(page.get_by_test_id("patch-read")).to_contain_text(f"of {HOSTILE} at layer")
    assert page.evaluate("window.__owned") is None and page.locator(".mp-patches img").count() == 0


def test_the_strip_reads_prompt_and_answer(page: Page) -> None:
    strip, read = page.get_by_test_id("tokens"), page.get_by_test_id("token-read")
    profile = page.get_by_test_id("token-profile")
    strip.scroll_into_view_if_needed()
    expect(strip.locator("[data-role=block]")).to_contain_text("image × 64")
    expect(strip.locator("[data-role=answer]").first).to_contain_text("cat")
    see = strip.locator("[data-role=text]", has_text="see")
    see.hover()
    for text in ("see · text · position", "× mean difference", "vector and zero point of scope last prompt"):
        expect(read).to_contain_text(text)
    assert see.get_attribute("data-borrowed") == "" and strip.locator("[data-role=special][data-borrowed]").count() == 1
    value = see.locator(".mp-tok-value")
    before = value.text_content()
    page.get_by_test_id("token-layer").fill("7")
    expect(value).not_to_have_text(before or "")
    expect(value).to_have_text(re.compile(r"^[+−]?\d+\.\d+$"))
    shown = now(profile)
    strip.locator("[data-role=block]").hover()
    expect(read).to_contain_text("64 image tokens")
    expect(read).to_contain_text("most")
    lab.repainted(profile, [shown])
    page.screenshot(path=SHOTS / "tokens-light.png")


def test_tokens_are_selected_by_mouse_and_keys(page: Page) -> None:
    strip, count = page.get_by_test_id("tokens"), page.get_by_test_id("token-count")
    words = strip.locator("[data-role=text]")
    first = int(words.first.get_attribute("data-position") or "")
    words.first.click()
    words.nth(2).click(modifiers=["Shift"])
    expect(count).to_have_text("3 tokens selected")
    strip.locator("[data-role=answer]").first.click(force=True)
    expect(count).to_have_text("3 tokens selected")
    words.first.focus()
    for key in (" ", "Shift+ArrowLeft", "d", "d"):
        page.keyboard.press(key)
    positions = [first - 1, first, first + 1, first + 2]
    lab.until_said(page, SAY_POSITIONS, f"{positions} cat, layers 3, +0.5 residual, positions {first - 1}, {first}")
    words.first.focus()
    page.keyboard.press("Escape")
    expect(count).to_contain_text("0 tokens selected")
    strip.locator("[data-role=block]").press(" ")
    expect(count).to_have_text("64 tokens selected")
    page.get_by_test_id("token-clear").click()
    expect(count).to_contain_text("0 tokens selected")


def test_the_lens_names_the_answer_and_opened_images_are_read(page: Page) -> None:
    strip, read = page.get_by_test_id("tokens"), page.get_by_test_id("token-read")
    page.get_by_test_id("token-layer").fill("7")
    page.get_by_test_id("token-mode").get_by_label("logit lens").check(force=True)
    last = strip.locator("[data-role=special]").last
    expect(last.locator(".mp-tok-value b")).to_have_text("cat")
    last.hover()
    expect(read).to_contain_text("next: cat")
    expect(page.get_by_test_id("token-words").locator("span")).to_have_count(8)
    page.screenshot(path=SHOTS / "tokens-lens.png")
    strip.locator("[data-role=block]").press("Enter")
    expect(strip.locator("[data-role=image]")).to_have_count(64)
    strip.locator("[data-role=image]").nth(20).hover()
    expect(read).to_contain_text("row 2, column 4 · image")
    expect(read).to_contain_text("next:")
    page.screenshot(path=SHOTS / "tokens-opened.png")
    strip.locator("[data-role=block]").press("Enter")
    expect(strip.locator("[data-role=image]")).to_have_count(0)


def test_hostile_token_text_is_inert(page: Page) -> None:
    assert "hostile idle" in lab.said(page, HOSTILE_TOKENS)
    strip = page.get_by_test_id("tokens")
    expect(strip).to_contain_text("<b onclick=x>feel</b><script>1</script>")
    strip.locator("[data-role=text]").last.hover()
    expect(page.get_by_test_id("token-read")).to_contain_text("next: <b onclick=x>")
    assert page.locator(".mp-tokens script, .mp-tokens [onclick]").count() == 0


def test_dark_theme_redraws_both(page: Page) -> None:
    canvas = page.get_by_test_id("patches")
    light = now(canvas)
    lab.set_theme(page, "JupyterLab Dark")
    try:
        lab.repainted(canvas, [light])
        background = page.locator(".mp-tokens").evaluate("e => getComputedStyle(e).backgroundColor")
        assert sum(map(int, re.findall(r"\d+", background)[:3])) < 200
        page.screenshot(path=SHOTS / "tokens-dark.png")
        canvas.scroll_into_view_if_needed()
        canvas.hover(position=middle(canvas, 1, 2))
        page.screenshot(path=SHOTS / "patches-dark.png")
    finally:
        lab.set_theme(page, "JupyterLab Light")


def test_every_control_has_a_name_and_nothing_is_cut_off(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.mp :is(input, select, button, canvas, [role=option])')].filter((e) =>
          !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim())).map((e) => e.outerHTML)"""
    )
    assert nameless == []
    for width in (1600, 800, 560, 1200):
        page.set_viewport_size({"width": width, "height": 1300})
        lab.frames(page, 6)
        cut = page.evaluate(
            """() => [...document.querySelectorAll('.mp, .mp-read')].filter((e) => e.scrollWidth > e.clientWidth + 1 ||
              e.scrollHeight > e.clientHeight + 1).map((e) => e.className)"""
        )
        assert cut == []
        page.screenshot(path=SHOTS / f"inside-{width}.png")
