"""The steering panel on the bundled model in a real JupyterLab: pictures, windows, pins, projector, keys, themes."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
SHOTS = lab.SHOTS

MAKE = """
import mllm_probe as mp
model = mp.load("scenes-8l")
library = mp.concepts.scenes(concepts=["cat", "tree", "neon", "symmetry"], pairs=12)
fit, held_out = library.split()
vectors = mp.concept_vectors(model, fit, probe_accuracy=False)
panel = mp.SteeringPanel(model, vectors, held_out, concept="cat", layer=3, scope="last_prompt")
panel
"""
GRID = """
panel.grid = mp.sweep(model, vectors, list(held_out["cat"].negative)[:2], layers=[3], strengths=(-1, 1, 2),
                      tokens="last_prompt", metrics=("perplexity",), draws=4, progress=False)
print("swept", panel.doses, panel.safe_low, panel.safe_high)
"""
SAME = """
space = {"model": model, "vectors": vectors}
exec(panel.code, space)
print("same" if space["out"].text == [panel.answers[n] for n in ("baseline", "steered", "random")] else "different")
"""
HOSTILE = """
evil = "<img src=x onerror='window.__owned=1'>"
hostile = mp.SteeringPanel(model, vectors.assign_coords(concept=[evil, "</script><b>x</b>", "neon", "symmetry"]),
                           held_out, layer=3, scope="last_prompt")
hostile
"""

_DROP = """([name, type, data, how]) => {
  const root = document.querySelector('.mp-panel');
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type }));
  const target = root.querySelector('[data-testid=drop]');
  const options = { bubbles: true, cancelable: true };
  if (how === 'paste') {
    target.dispatchEvent(new ClipboardEvent('paste', { ...options, clipboardData: carried }));
  } else {
    target.dispatchEvent(new DragEvent('dragover', { ...options, dataTransfer: carried }));
    window.__over = root.querySelector('[data-testid=drop]').dataset.over;
    target.dispatchEvent(new DragEvent('drop', { ...options, dataTransfer: carried }));
  }
}"""
_FOCUSED = """() => { const e = document.activeElement;
  return [!!e.closest('.mp-panel'), e.closest('[data-testid]')?.dataset.testid ?? e.textContent]; }"""
_MOVE = """(values) => { const range = document.querySelector('[data-testid=strength]');
  for (const value of values) { range.value = value; range.dispatchEvent(new Event('input', { bubbles: true })); } }"""


@pytest.fixture(scope="module")
def page(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("panel.ipynb", *(cell.strip() for cell in (MAKE, GRID, SAME, lab.BUSY, HOSTILE)))
    with desk.opened("panel.ipynb", 1300, 1200) as made:
        made.get_by_test_id("strength").wait_for(timeout=300_000)
        settled(made)
        yield made


def panel_of(page: Page) -> Locator:
    return page.locator(".mp-panel").first


def settled(page: Page) -> None:
    """Wait until the newest setting is answered."""
    expect(page.locator(".mp-live .mp-answer[data-old=true]")).to_have_count(0)
    expect(page.get_by_test_id("status").first).to_have_text("idle")
    expect(page.get_by_test_id("answer-baseline").first).not_to_be_empty()


def answered(page: Page) -> None:
    """Wait until the kernel has answered a change of its own making (an image it has read or drawn).

    The page learns of such a change before it learns that its answers are old, so that ``settled`` could pass between.
    """
    lab.until_said(page, "print(panel.status)", "idle", tries=1000)
    settled(page)


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(buffer, format="PNG")
    return buffer.getvalue()


def output(page: Page, cell: int, text: str) -> None:
    lab.run_cell(page, cell)
    expect(page.locator(".jp-Cell").nth(cell).locator(".jp-OutputArea")).to_contain_text(text, timeout=90_000)


def thumbs(page: Page) -> Locator:
    return panel_of(page).get_by_role("radiogroup", name="choose an image").get_by_role("radio")


def test_it_answers_three_times_and_shows_the_receipt(page: Page) -> None:
    expect(page.get_by_test_id("receipt")).to_contain_text("cat: layer 3, 1 of 1 prompt positions")
    expect(page.get_by_test_id("rate")).to_contain_text("tokens/s")
    for name in ("baseline", "steered", "random"):
        assert page.get_by_test_id(f"answer-{name}").text_content()
        expect(page.get_by_test_id(f"facts-{name}")).to_contain_text("cat")
    page.screenshot(path=SHOTS / "panel-light.png")


def test_a_steered_answer_names_the_concept(page: Page) -> None:
    page.get_by_test_id("layer").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_test_id("strength").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("strength")).to_have_value("2")
    settled(page)
    expect(page.get_by_test_id("answer-steered").locator(".named").first).to_have_text("cat")
    expect(page.get_by_test_id("answer-steered").locator("mark").first).to_be_visible()
    expect(page.get_by_test_id("facts-steered").locator("[data-kind=named]")).to_have_text("names cat")


def test_words_that_name_the_concept_can_be_edited(page: Page) -> None:
    fold = page.get_by_test_id("words-fold")
    fold.locator("summary").click()
    assert "cat" in page.get_by_test_id("words").input_value()
    before = page.get_by_test_id("words").input_value()
    page.get_by_test_id("words").fill("feline, tiger")
    page.get_by_test_id("words").press("Enter")
    expect(page.get_by_test_id("answer-steered").locator(".named")).to_have_count(0)
    expect(page.get_by_test_id("facts-steered")).to_contain_text("does not name cat")
    page.get_by_test_id("words").fill(before)
    page.get_by_test_id("words").press("Enter")
    expect(page.get_by_test_id("answer-steered").locator(".named").first).to_have_text("cat")
    fold.locator("summary").click()


def test_a_sweep_marks_the_fluent_range(page: Page) -> None:
    page.get_by_test_id("layer").press("ArrowLeft")
    settled(page)
    output(page, 1, "swept")
    page.evaluate(_MOVE, ["1"])
    settled(page)
    expect(page.get_by_test_id("safe")).to_be_visible()
    page.get_by_test_id("layer").press("ArrowRight")
    settled(page)
    expect(page.get_by_test_id("safe")).to_be_hidden()
    page.get_by_test_id("layer").press("ArrowLeft")
    settled(page)


def test_a_burst_of_moves_ends_with_the_answer_of_the_last(page: Page) -> None:
    values = [str(round(-3 + 0.25 * (step % 25), 2)) for step in range(200)]
    page.evaluate(_MOVE, [*values, "1.5"])
    settled(page)
    burst = [page.get_by_test_id(f"answer-{name}").text_content() for name in ("baseline", "steered", "random")]
    output(page, 2, "same")
    page.evaluate(_MOVE, ["-1"])
    settled(page)
    page.evaluate(_MOVE, ["1.5"])
    settled(page)
    again = [page.get_by_test_id(f"answer-{name}").text_content() for name in ("baseline", "steered", "random")]
    assert again == burst


@pytest.mark.parametrize("how", ["open", "drop", "paste"])
def test_pictures_are_opened_dropped_and_pasted(page: Page, how: str) -> None:
    before = thumbs(page).count()
    name = f"{how} <b>x</b>.png"
    if how == "open":
        file = {"name": name, "mimeType": "image/png", "buffer": png("teal")}
        page.get_by_test_id("upload").set_input_files(file)
    else:
        page.evaluate(_DROP, [name, "image/png", base64.b64encode(png("salmon")).decode(), how])
    expect(thumbs(page)).to_have_count(before + 1)
    expect(thumbs(page).last).to_have_attribute("aria-checked", "true")
    answered(page)
    expect(panel_of(page).locator("figcaption")).to_have_text(name)
    assert how != "drop" or page.evaluate("window.__over") == "true"
    assert panel_of(page).locator("figcaption b").count() == 0


def test_a_file_that_is_no_picture_is_named_beside_the_upload(page: Page) -> None:
    answered(page)
    answers = [page.get_by_test_id(f"answer-{name}").text_content() for name in ("baseline", "steered", "random")]
    for _ in range(2):
        page.evaluate(_DROP, ["notes.txt", "text/plain", base64.b64encode(b"hello").decode(), "drop"])
        expect(page.get_by_test_id("error")).to_contain_text("'notes.txt' cannot be read as an image")
        expect(page.get_by_test_id("rate")).not_to_contain_text("busy")
    expect(page.locator(".mp-left").get_by_test_id("error")).to_be_in_viewport()
    expect(page.get_by_test_id("status")).to_have_text("idle")
    settled(page)
    page.screenshot(path=SHOTS / "panel-upload-error.png")
    after = [page.get_by_test_id(f"answer-{name}").text_content() for name in ("baseline", "steered", "random")]
    assert after == answers
    page.get_by_test_id("stop").click()
    settled(page)
    expect(page.get_by_test_id("error")).to_be_hidden()


def test_words_that_the_model_does_not_know_are_reported_below_the_prompt(page: Page) -> None:
    before = page.get_by_test_id("prompt").input_value()
    page.get_by_test_id("prompt").fill("Was siehst du?")
    page.get_by_test_id("prompt").press("Enter")
    expect(page.get_by_test_id("prompt-note")).to_contain_text("The model does not know “Was”, “siehst”, “du”")
    settled(page)
    page.screenshot(path=SHOTS / "panel-unknown-words.png")
    page.get_by_test_id("prompt").fill("")
    page.get_by_test_id("prompt").press("Enter")
    expect(page.get_by_test_id("prompt-note")).to_contain_text("The prompt is empty")
    page.get_by_test_id("prompt").fill(before)
    page.get_by_test_id("prompt").press("Enter")
    settled(page)
    expect(page.get_by_test_id("prompt-note")).to_be_hidden()


def test_an_error_is_beside_the_control_that_caused_it(page: Page) -> None:
    lab.said(page, "panel.strength = float('nan')")
    expect(page.locator(".mp-steer").get_by_test_id("error")).to_contain_text("expected a finite number")
    lab.said(page, "panel.strength = 1.5")
    settled(page)
    lab.said(page, "panel.scope = 'everywhere'")
    expect(page.locator(".mp-left").get_by_test_id("error")).to_contain_text("everywhere")
    lab.said(page, "panel.scope = 'last_prompt'")
    settled(page)
    expect(page.get_by_test_id("error")).to_be_hidden()


def test_a_new_scene_is_drawn_and_reproduced_by_the_code(page: Page) -> None:
    page.get_by_test_id("scene-seed").fill("7")
    page.get_by_test_id("new-scene").click()
    expect(panel_of(page).locator("figcaption")).to_have_text("drawn scene, seed 7")
    answered(page)
    page.mouse.click(700, 20)
    expect(page.get_by_test_id("scene-seed")).to_have_value("8")
    expect(page.get_by_test_id("code").locator("pre")).to_contain_text("default_rng(7)")
    output(page, 2, "same")


def test_a_window_of_layers_and_a_second_concept(page: Page) -> None:
    page.get_by_test_id("window").select_option("5")
    page.get_by_test_id("second").select_option("neon")
    page.get_by_test_id("second-strength").focus()
    page.keyboard.press("ArrowRight")
    settled(page)
    expect(page.get_by_test_id("receipt")).to_contain_text("cat + neon: layers 3, 4, 5")
    page.get_by_test_id("layer").press("ArrowLeft")
    settled(page)
    expect(page.get_by_test_id("receipt")).to_contain_text("layers 2, 3, 4")
    output(page, 2, "same")


def test_a_setting_is_pinned_compared_used_again_and_removed(page: Page) -> None:
    page.get_by_test_id("strength").fill("1.5")
    page.get_by_test_id("layer").fill("2")
    page.get_by_test_id("window").select_option("4")
    page.get_by_test_id("second").select_option("neon")
    page.get_by_test_id("second-strength").fill("1.25")
    settled(page)
    steered = page.get_by_test_id("answer-steered")
    kept = steered.text_content() or ""
    page.get_by_test_id("pin-setting").click()
    pin = page.get_by_test_id("pin")
    expect(pin).to_have_count(1)
    expect(pin).to_contain_text("cat +1.5 and neon +1.25 · layers 2–4 · last token · seed 0")
    expect(pin.locator("[data-row=steered] p")).to_have_text(kept)
    page.get_by_test_id("second").select_option("")
    page.get_by_test_id("window").select_option("2")
    page.evaluate(_MOVE, ["-2"])
    settled(page)
    page.get_by_test_id("pin-setting").click()
    expect(pin).to_have_count(2)
    page.screenshot(path=SHOTS / "panel-pins.png")
    pin.first.get_by_role("button", name="use the pinned").click()
    settled(page)
    expect(steered).to_have_text(kept)
    expect(page.get_by_test_id("second")).to_have_value("neon")
    for left in (1, 0):
        pin.first.get_by_role("button", name="remove the pinned").click()
        expect(pin).to_have_count(left)


def test_the_projector_hides_the_steered_answer_until_it_is_revealed(page: Page) -> None:
    steered = page.get_by_test_id("answer-steered")
    page.get_by_test_id("projector").click()
    expect(steered).to_have_text("What will it say?")
    large = steered.evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
    assert large >= 24
    page.screenshot(path=SHOTS / "panel-projector.png")
    page.get_by_test_id("projector").focus()
    page.keyboard.press("r")
    expect(steered).not_to_have_text("What will it say?")
    page.get_by_test_id("strength").press("ArrowRight")
    expect(steered).to_have_text("What will it say?")
    settled(page)
    expect(steered).to_have_text("What will it say?")
    page.get_by_test_id("reveal").click()
    expect(steered).not_to_have_text("What will it say?")
    page.get_by_test_id("projector").click()
    expect(page.get_by_test_id("reveal")).to_be_hidden()


def test_the_keyboard_alone_reaches_and_moves_everything(page: Page) -> None:
    cells = page.locator(".jp-Cell").count()
    page.get_by_test_id("drop").focus()
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        at = page.evaluate(_FOCUSED)
        if not at[0]:
            break
        reached.append(at[1])
    wanted = {"open", "new-scene", "scene-seed", "prompt", "scope", "stop", "concept", "second", "layer", "window",
              "strength", "second-strength", "pin-setting", "projector", "seed", "receipt", "code"}  # fmt: skip
    assert wanted <= set(reached)
    page.get_by_test_id("concept").focus()
    page.keyboard.press("t")
    expect(page.get_by_test_id("concept")).to_have_value("tree")
    page.get_by_test_id("scope").get_by_role("radio", name="image").focus()
    page.keyboard.press("Space")
    settled(page)
    expect(page.get_by_test_id("receipt")).to_contain_text("64 of 64 prompt positions")
    thumbs(page).last.focus()
    page.keyboard.press("ArrowLeft")
    settled(page)
    assert page.locator(".jp-Cell").count() == cells


def test_every_control_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.mp-panel :is(input, select, button)')].filter((e) =>
          !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim())).map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_a_busy_cell_does_not_hold_it_up(page: Page, desk: lab.Desk) -> None:
    with desk.busy(page, 3):
        page.evaluate(_MOVE, ["0.75"])
        settled(page)


def test_a_kernel_that_does_not_answer_is_shown_as_busy(page: Page) -> None:
    kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    page.evaluate(f"() => {{ window.__send = {kernel}._sendMessage; {kernel}._sendMessage = () => undefined; }}")
    page.evaluate(_MOVE, ["1.25"])
    expect(page.get_by_test_id("rate")).to_contain_text("the kernel is busy")
    page.evaluate(f"() => {{ {kernel}._sendMessage = window.__send; }}")
    page.evaluate(_MOVE, ["1"])
    settled(page)
    expect(page.get_by_test_id("rate")).to_contain_text("tokens/s")


@pytest.mark.parametrize("width", [1300, 900, 700])
def test_nothing_is_cut_off(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 1200})
    page.wait_for_timeout(400)
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.mp-panel, .mp-panel .mp-seg, .mp-panel .mp-head')].filter((e) =>
          e.scrollWidth > e.clientWidth + 1).map((e) => `${e.className} ${e.scrollWidth} > ${e.clientWidth}`)"""
    )
    assert cut == []
    panel_of(page).screenshot(path=SHOTS / f"panel-{width}.png")


def test_the_dark_theme_changes_its_colours(page: Page) -> None:
    page.set_viewport_size({"width": 1300, "height": 1200})
    colour = "e => getComputedStyle(e).backgroundColor"
    light = panel_of(page).evaluate(colour)
    lab.set_theme(page, "JupyterLab Dark")
    page.wait_for_timeout(300)
    assert panel_of(page).evaluate(colour) != light
    panel_of(page).screenshot(path=SHOTS / "panel-dark.png")
    lab.set_theme(page, "JupyterLab Light")


def test_hostile_concept_names_are_text(page: Page) -> None:
    lab.run_cell(page, 4)
    second = page.locator(".mp-panel").nth(1)
    expect(second.get_by_test_id("receipt")).to_contain_text("<img src=x onerror", timeout=60_000)
    second.get_by_test_id("pin-setting").click()
    expect(second.get_by_test_id("pin")).to_contain_text("<img src=x onerror")
    assert page.evaluate("window.__owned") is None
    assert second.locator(".mp-right img, .mp-right option b").count() == 0
