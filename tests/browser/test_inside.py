"""Patches, tokens and pairs in a real JupyterLab: read, painted, selected and played, by mouse and by keys alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror='window.__owned=1'>"

MADE = f"""
import mllm_probe as mp
import numpy as np
from mllm_probe.widgets.inside.pair_gallery import PairGallery
model = mp.load("scenes-8l")
library = mp.concepts.scenes(concepts=["cat", "tree", "neon", "symmetry"], pairs=6)
vectors = mp.concept_vectors(model, library, probe_accuracy=False)
vectors = vectors.assign_coords(concept=["cat", "tree", "neon", {HOSTILE!r}])
picture = library["cat"].positive[0]
overlay = mp.PatchOverlay(model, vectors, images=picture, concept="cat", layer=3)
strip = mp.TokenStrip(model, vectors, images=picture, concept="cat", layer=3)
gallery = PairGallery(model, library, vectors, concept="cat", layer=3)
assert overlay.wait(60) and strip.wait(60) and gallery.wait(60), (overlay.message, strip.message, gallery.message)
overlay
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
def page(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("inside.ipynb", MADE.strip(), "strip", "gallery")
    with desk.opened("inside.ipynb", 1200, 1300) as made:
        made.get_by_test_id("patches").wait_for(timeout=300_000)
        yield made


def now(canvas: Locator) -> str:
    """Pixels of a canvas that no longer changes."""
    lab.drawn(canvas.page)
    return str(canvas.evaluate("canvas => canvas.toDataURL()"))


def middle(canvas: Locator, row: int, column: int) -> dict[str, float]:
    """Middle of a patch of the 8 × 8 grid in pixels of the canvas."""
    box = canvas.bounding_box()
    assert box is not None
    return {"x": (column + 0.5) * box["width"] / 8, "y": (row + 0.5) * box["height"] / 8}


def fits_and_is_named(page: Page) -> None:
    assert lab.nameless(page) == []
    for width in (1600, 800, 560, 1200):
        page.set_viewport_size({"width": width, "height": 1300})
        assert lab.cut_off(page, ".mp, .mp-read", ".mp, .mp-read") == []
        page.screenshot(path=lab.SHOTS / f"inside-{width}.png")


@pytest.mark.journey
def test_patches_are_read_played_painted_and_steered(page: Page) -> None:
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
    page.screenshot(path=lab.SHOTS / "patches-light.png")
    layers_are_scrubbed_and_play_without_the_kernel(page, canvas)
    painted_patches_are_those_that_are_steered(page, canvas)
    keys_alone_paint_and_leave_the_notebook_alone(page, canvas, read)
    before = now(canvas)
    page.get_by_test_id("patch-concept").select_option("tree")
    expect(read).to_contain_text("of tree at layer")
    lab.repainted(canvas, [before])
    page.get_by_test_id("patch-concept").select_option(HOSTILE)
    expect(read).to_contain_text(f"of {HOSTILE} at layer")
    assert page.evaluate("window.__owned") is None and page.locator(".mp-patches img").count() == 0
    light = now(canvas)
    lab.set_theme(page, "JupyterLab Dark")
    lab.repainted(canvas, [light])
    canvas.hover(position=middle(canvas, 1, 2))
    page.screenshot(path=lab.SHOTS / "patches-dark.png")
    lab.set_theme(page, "JupyterLab Light")


def layers_are_scrubbed_and_play_without_the_kernel(page: Page, canvas: Locator) -> None:
    layer, play = page.get_by_test_id("patch-layer"), page.get_by_test_id("patch-layer-play")
    layer.focus()
    seen = [now(canvas)]
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        seen.append(lab.repainted(canvas, seen))
    expect(layer).to_have_value("6")
    page.evaluate(_SEEN)
    with lab.silenced(page) as sent:
        play.click()
        expect(play).to_have_attribute("aria-label", "Stop")
        page.wait_for_function("new Set(window.__seen).size === 8")
    assert sent == [0]
    played = page.evaluate("window.__seen")
    assert played.index("layer 7") < played.index("layer 0") < played.index("layer 1"), "it begins again after the last"
    play.click()
    expect(play).to_have_attribute("aria-label", "Play the layers")
    stopped = layer.input_value()
    lab.until_said(page, SAY_MASK, f"[] {stopped} cat")
    expect(layer).to_have_value(stopped)
    layer.fill("3")
    page.emulate_media(reduced_motion="reduce")
    expect(play).to_have_attribute("aria-label", "Next layer")
    play.click()
    expect(layer).to_have_value("4")
    expect(play).to_have_attribute("aria-pressed", "false")
    lab.until_said(page, SAY_MASK, "[] 4 cat")
    expect(layer).to_have_value("4")
    page.emulate_media(reduced_motion="no-preference")
    expect(play).to_have_attribute("aria-label", "Play the layers")


def painted_patches_are_those_that_are_steered(page: Page, canvas: Locator) -> None:
    count = page.get_by_test_id("patch-count")
    lab.drag(canvas, middle(canvas, 2, 1), middle(canvas, 2, 4))
    expect(count).to_have_text("4 of 8 × 8 painted")
    lab.until_said(page, SAY_MASK, "[[2, 1], [2, 2], [2, 3], [2, 4]] 4 cat")
    lab.until_said(page, SAY_STEERED, "[(2, 1), (2, 2), (2, 3), (2, 4)]")
    lab.drag(canvas, middle(canvas, 2, 2), middle(canvas, 4, 2))
    expect(count).to_have_text("3 of 8 × 8 painted")
    canvas.click(position=middle(canvas, 7, 7))
    lab.until_said(page, SAY_STEERED, "[(2, 1), (2, 3), (2, 4), (7, 7)]")
    page.get_by_test_id("patch-invert").click()
    expect(count).to_have_text("60 of 8 × 8 painted")
    page.get_by_test_id("patch-clear").click()
    expect(count).to_have_text("0 of 8 × 8 painted")
    lab.until_said(page, SAY_MASK, "[] 4 cat")


def keys_alone_paint_and_leave_the_notebook_alone(page: Page, canvas: Locator, read: Locator) -> None:
    cells = "window.jupyterapp.shell.currentWidget.content.widgets.length"
    before = page.evaluate(cells)
    page.mouse.move(2, 2)
    canvas.focus()
    for key in ("Home", *["ArrowUp"] * 7):
        page.keyboard.press(key)
    expect(read).to_contain_text("row 0, column 0")
    for key in ("ArrowDown", "ArrowRight", " ", "Shift+ArrowRight", "Shift+ArrowDown", "d", "d", "x", "b"):
        page.keyboard.press(key)
    expect(read).to_contain_text("row 2, column 2")
    expect(read).to_contain_text("painted")
    page.keyboard.press("PageUp")
    expect(page.get_by_test_id("patch-layer")).to_have_value("5")
    lab.until_said(page, SAY_MASK, "[[1, 1], [1, 2], [2, 2]] 5 cat")
    assert page.evaluate(cells) == before


@pytest.mark.journey
def test_tokens_are_read_selected_and_opened(page: Page) -> None:
    lab.run_cell(page, 1)
    strip, read = page.get_by_test_id("tokens"), page.get_by_test_id("token-read")
    strip.scroll_into_view_if_needed()
    expect(strip.locator("[data-role=block]")).to_contain_text("image × 64")
    expect(strip.locator("[data-role=answer]").first).to_contain_text("cat")
    see = strip.locator("[data-role=text]", has_text="see")
    see.hover()
    for text in ("see · text · position", "× mean difference", "vector and zero point of scope last prompt"):
        expect(read).to_contain_text(text)
    assert see.get_attribute("data-borrowed") == "" and strip.locator("[data-role=special][data-borrowed]").count() == 1
    value, profile = see.locator(".mp-tok-value"), page.get_by_test_id("token-profile")
    before = value.text_content()
    page.get_by_test_id("token-layer").fill("7")
    expect(value).not_to_have_text(before or "")
    expect(value).to_have_text(re.compile(r"^[+−]?\d+\.\d+$"))
    shown = now(profile)
    strip.locator("[data-role=block]").hover()
    expect(read).to_contain_text("64 image tokens")
    expect(read).to_contain_text("most")
    lab.repainted(profile, [shown])
    page.screenshot(path=lab.SHOTS / "tokens-light.png")
    tokens_are_selected_by_mouse_and_keys(page, strip)
    lens_names_the_answer_and_images_open(page, strip, read)
    lab.set_theme(page, "JupyterLab Dark")
    background = page.locator(".mp-tokens").evaluate("e => getComputedStyle(e).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", background)[:3])) < 200
    page.screenshot(path=lab.SHOTS / "tokens-dark.png")
    lab.set_theme(page, "JupyterLab Light")
    assert "hostile idle" in lab.said(page, HOSTILE_TOKENS)
    expect(strip).to_contain_text("<b onclick=x>feel</b><script>1</script>")
    strip.locator("[data-role=text]").last.hover()
    expect(read).to_contain_text("next: <b onclick=x>")
    assert page.locator(".mp-tokens script, .mp-tokens [onclick]").count() == 0


def tokens_are_selected_by_mouse_and_keys(page: Page, strip: Locator) -> None:
    count, words = page.get_by_test_id("token-count"), strip.locator("[data-role=text]")
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
    lab.until_said(page, SAY_POSITIONS, f"{positions} cat, layers 7, +0.5 residual, positions {first - 1}, {first}")
    words.first.focus()
    page.keyboard.press("Escape")
    expect(count).to_contain_text("0 tokens selected")
    strip.locator("[data-role=block]").press(" ")
    expect(count).to_have_text("64 tokens selected")
    page.get_by_test_id("token-clear").click()
    expect(count).to_contain_text("0 tokens selected")


def lens_names_the_answer_and_images_open(page: Page, strip: Locator, read: Locator) -> None:
    page.get_by_test_id("token-mode").get_by_label("logit lens").check(force=True)
    last = strip.locator("[data-role=special]").last
    expect(last.locator(".mp-tok-value b")).to_have_text("cat")
    last.hover()
    expect(read).to_contain_text("next: cat")
    expect(page.get_by_test_id("token-words").locator("span")).to_have_count(8)
    page.screenshot(path=lab.SHOTS / "tokens-lens.png")
    strip.locator("[data-role=block]").press("Enter")
    expect(strip.locator("[data-role=image]")).to_have_count(64)
    strip.locator("[data-role=image]").nth(20).hover()
    expect(read).to_contain_text("row 2, column 4 · image")
    expect(read).to_contain_text("next:")
    page.screenshot(path=lab.SHOTS / "tokens-opened.png")
    strip.locator("[data-role=block]").press("Enter")
    expect(strip.locator("[data-role=image]")).to_have_count(0)


@pytest.mark.journey
def test_pairs_are_shown_with_how_far_they_are_apart(page: Page) -> None:
    lab.run_cell(page, 2)
    mean, numbers = page.get_by_test_id("gallery-mean"), page.get_by_test_id("gallery").locator("b")
    expect(mean).to_have_text(re.compile(r"^mean [+−]\d.*× mean difference over 6 pairs$"))
    pictures = page.get_by_test_id("gallery").locator("img")
    expect(pictures).to_have_count(12)
    page.wait_for_function("[...document.querySelectorAll('.mp-gallery img')].every((one) => one.naturalWidth > 0)")
    assert [pictures.nth(at).get_attribute("alt") for at in (0, 1)] == ["pair 1: with cat", "pair 1: without cat"]
    before = numbers.all_text_contents()
    lab.said(page, "gallery.layer = 7")
    expect(page.locator(".mp-gallery h3")).to_have_text("Pairs · cat · layer 7")
    expect(numbers).not_to_have_text(before)
    lab.said(page, f"gallery.concept = {HOSTILE!r}; gallery.wait(60)")
    expect(page.locator(".mp-gallery .mp-error")).to_have_text(f"the library has no images of '{HOSTILE}'.")
    lab.said(page, "gallery.concept = 'neon'; gallery.wait(60)")
    expect(page.locator(".mp-gallery .mp-error")).to_be_hidden()
    for theme in ("Dark", "Light"):
        lab.set_theme(page, f"JupyterLab {theme}")
        page.locator(".mp-gallery").screenshot(path=lab.SHOTS / f"pairs-{theme.lower()}.png")
    assert page.evaluate("window.__owned") is None
    fits_and_is_named(page)
