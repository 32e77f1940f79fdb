"""The steering panel on the bundled model in a real JupyterLab: answers, pictures, pins, buttons, keys and errors."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
ROWS = ("baseline", "steered", "random")

MAKE = """
import json
import mllm_probe as mp
import mllm_probe.widgets.panel.steering_panel as panel_module
from tests.widgets import fakes
model = mp.load("scenes-8l")
library = mp.concepts.scenes(concepts=["cat", "tree", "neon", "symmetry"], pairs=12)
fit, held_out = library.split()
vectors = mp.concept_vectors(model, fit, probe_accuracy=False)
panel = mp.SteeringPanel(model, vectors, held_out, concept="cat", layer=3, scope="last_prompt")
panel
"""
SLOW = "usual, panel_module.stream = panel_module.stream, fakes.Streams(pause=0.4)"
STATE = """
assert panel.wait(60), panel.message
held = {name: getattr(panel, name) for name in panel.keys if not name.startswith("_")}
left_out = ("layout", "pictures", "tabbable", "tooltip")
print(json.dumps({name: value for name, value in held.items() if name not in left_out}))
"""
KERNEL = """
panel.choose(picture=4, prompt="what do you see ?", concept="neon", second="", second_strength=1.0, window=[5, 5],
             strength=0.5, scope="image", seed=0)
"""
WITHOUT_SUBSHELLS = """
import mllm_probe.widgets.panel.steering_panel as panel_module
from tests.widgets import fakes
panel_module.stream = fakes.Streams(pause=0.04)
panel_module.LivePerplexity.ratios = lambda *_: [1.0] * 3
model = fakes.FakeModel()
panel_module.SteeringPanel(model, fakes.vectors(model), concept="cat", layer=5)
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


@pytest.fixture(scope="module")
def page(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("panel.ipynb", MAKE.strip(), lab.BUSY)
    with desk.opened("panel.ipynb", 1300, 1200) as made:
        made.get_by_test_id("strength").wait_for(timeout=300_000)
        settled(made)
        yield made


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


def answers(page: Page) -> list[str | None]:
    return [page.get_by_test_id(f"answer-{name}").text_content() for name in ROWS]


def ask(page: Page, prompt: str) -> None:
    page.get_by_test_id("prompt").fill(prompt)
    page.get_by_test_id("prompt").press("Enter")


def thumbs(page: Page) -> Locator:
    return page.get_by_role("radiogroup", name="choose an image").get_by_role("radio")


@pytest.mark.journey
def test_a_person_steers_compares_and_shows(page: Page, desk: lab.Desk) -> None:
    it_answers_three_times_and_a_stronger_answer_names_the_concept(page)
    words_that_name_the_concept_are_edited(page)
    burst_of_moves_ends_with_the_answer_of_the_last(page)
    generation_is_stopped_and_run_again(page)
    window_and_second_concept_are_pinned_and_used_again(page)
    pictures_are_opened_dropped_pasted_and_drawn(page)
    errors_are_beside_what_caused_them(page)
    projector_hides_the_answer_until_it_is_revealed(page)
    keyboard_alone_reaches_and_moves_everything(page)
    busy_kernel_holds_nothing_up_or_is_named(page, desk)
    assert lab.nameless(page, ".mp-panel") == []
    for width in (1300, 900, 700):
        page.set_viewport_size({"width": width, "height": 1200})
        assert lab.cut_off(page, ".mp-panel, .mp-panel .mp-seg, .mp-panel .mp-head") == []
        page.locator(".mp-panel").screenshot(path=lab.SHOTS / f"panel-{width}.png")
    page.set_viewport_size({"width": 1300, "height": 1200})
    colour = "e => getComputedStyle(e).backgroundColor"
    light = page.locator(".mp-panel").evaluate(colour)
    lab.set_theme(page, "JupyterLab Dark")
    page.wait_for_function(f"light => ({colour})(document.querySelector('.mp-panel')) !== light", arg=light)
    page.locator(".mp-panel").screenshot(path=lab.SHOTS / "panel-dark.png")
    lab.set_theme(page, "JupyterLab Light")


def it_answers_three_times_and_a_stronger_answer_names_the_concept(page: Page) -> None:
    expect(page.get_by_test_id("receipt")).to_contain_text("cat: layer 3, 1 of 1 prompt positions")
    expect(page.get_by_test_id("rate")).to_contain_text("tokens/s")
    assert all(answers(page))
    for name in ROWS:
        expect(page.get_by_test_id(f"facts-{name}")).to_contain_text("cat")
    page.screenshot(path=lab.SHOTS / "panel-light.png")
    page.get_by_test_id("layer").press("ArrowRight")
    for _ in range(4):
        page.get_by_test_id("strength").press("ArrowRight")
    expect(page.get_by_test_id("strength")).to_have_value("2")
    settled(page)
    expect(page.get_by_test_id("answer-steered").locator(".named").first).to_have_text("cat")
    expect(page.get_by_test_id("answer-steered").locator("mark").first).to_be_visible()
    expect(page.get_by_test_id("facts-steered").locator("[data-kind=named]")).to_have_text("names cat")


def words_that_name_the_concept_are_edited(page: Page) -> None:
    fold, words = page.get_by_test_id("words-fold").locator("summary"), page.get_by_test_id("words")
    fold.click()
    before = words.input_value()
    assert "cat" in before
    words.fill("feline, tiger")
    words.press("Enter")
    expect(page.get_by_test_id("answer-steered").locator(".named")).to_have_count(0)
    expect(page.get_by_test_id("facts-steered")).to_contain_text("does not name cat")
    words.fill(before)
    words.press("Enter")
    expect(page.get_by_test_id("answer-steered").locator(".named").first).to_have_text("cat")
    fold.click()


def burst_of_moves_ends_with_the_answer_of_the_last(page: Page) -> None:
    lab.move(page, *(str(round(-3 + 0.25 * (step % 25), 2)) for step in range(200)), "1.5")
    settled(page)
    burst = answers(page)
    lab.move(page, "-1")
    settled(page)
    lab.move(page, "1.5")
    settled(page)
    assert answers(page) == burst


def generation_is_stopped_and_run_again(page: Page) -> None:
    lab.said(page, SLOW)
    ask(page, "how does it feel ?")
    expect(page.get_by_test_id("status")).to_have_text("running")
    page.get_by_test_id("stop").click()
    expect(page.get_by_test_id("status")).to_have_text("cancelled")
    lab.said(page, "panel_module.stream = usual")
    page.get_by_test_id("stop").click()
    settled(page)
    ask(page, "what do you see ?")
    settled(page)


def window_and_second_concept_are_pinned_and_used_again(page: Page) -> None:
    steered, pin = page.get_by_test_id("answer-steered"), page.get_by_test_id("pin")
    page.get_by_test_id("layer").fill("3")
    page.get_by_test_id("window").select_option("5")
    page.get_by_test_id("second").select_option("neon")
    page.get_by_test_id("second-strength").press("ArrowRight")
    settled(page)
    expect(page.get_by_test_id("receipt")).to_contain_text("cat + neon: layers 3, 4, 5")
    page.get_by_test_id("layer").press("ArrowLeft")
    settled(page)
    expect(page.get_by_test_id("receipt")).to_contain_text("layers 2, 3, 4")
    kept = steered.text_content() or ""
    page.get_by_test_id("pin-setting").click()
    expect(pin).to_have_count(1)
    expect(pin).to_contain_text("cat +1.5 and neon +1.25 · layers 2–4 · last token · seed 0")
    expect(pin.locator("[data-row=steered] p")).to_have_text(kept)
    page.get_by_test_id("second").select_option("")
    page.get_by_test_id("window").select_option("2")
    lab.move(page, "-2")
    settled(page)
    page.get_by_test_id("pin-setting").click()
    expect(pin).to_have_count(2)
    page.screenshot(path=lab.SHOTS / "panel-pins.png")
    pin.first.get_by_role("button", name="use the pinned").click()
    settled(page)
    expect(steered).to_have_text(kept)
    expect(page.get_by_test_id("second")).to_have_value("neon")
    for left in (1, 0):
        pin.first.get_by_role("button", name="remove the pinned").click()
        expect(pin).to_have_count(left)


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(buffer, format="PNG")
    return buffer.getvalue()


def pictures_are_opened_dropped_pasted_and_drawn(page: Page) -> None:
    caption = page.locator(".mp-panel figcaption")
    for how in ("open", "drop", "paste"):
        before, name = thumbs(page).count(), f"{how} <b>x</b>.png"
        if how == "open":
            file = {"name": name, "mimeType": "image/png", "buffer": png("teal")}
            page.get_by_test_id("upload").set_input_files(file)
        else:
            page.evaluate(_DROP, [name, "image/png", base64.b64encode(png("salmon")).decode(), how])
        expect(thumbs(page)).to_have_count(before + 1)
        expect(thumbs(page).last).to_have_attribute("aria-checked", "true")
        answered(page)
        expect(caption).to_have_text(name)
        assert how != "drop" or page.evaluate("window.__over") == "true"
        assert caption.locator("b").count() == 0
    page.get_by_test_id("scene-seed").fill("7")
    page.get_by_test_id("new-scene").click()
    expect(caption).to_have_text("drawn scene, seed 7")
    answered(page)
    page.mouse.click(700, 20)
    expect(page.get_by_test_id("scene-seed")).to_have_value("8")
    expect(page.get_by_test_id("code").locator("pre")).to_contain_text("default_rng(7)")


def errors_are_beside_what_caused_them(page: Page) -> None:
    before, error = answers(page), page.get_by_test_id("error")
    for _ in range(2):
        page.evaluate(_DROP, ["notes.txt", "text/plain", base64.b64encode(b"hello").decode(), "drop"])
        expect(error).to_contain_text("'notes.txt' cannot be read as an image")
        expect(page.get_by_test_id("rate")).not_to_contain_text("busy")
    expect(page.locator(".mp-left").get_by_test_id("error")).to_be_in_viewport()
    expect(page.get_by_test_id("status")).to_have_text("idle")
    page.screenshot(path=lab.SHOTS / "panel-upload-error.png")
    assert answers(page) == before
    page.get_by_test_id("stop").click()
    settled(page)
    expect(error).to_be_hidden()
    note = page.get_by_test_id("prompt-note")
    ask(page, "Was siehst du?")
    expect(note).to_contain_text("The model does not know “Was”, “siehst”, “du”")
    settled(page)
    page.screenshot(path=lab.SHOTS / "panel-unknown-words.png")
    ask(page, "")
    expect(note).to_contain_text("The prompt is empty")
    ask(page, "what do you see ?")
    settled(page)
    expect(note).to_be_hidden()
    lab.said(page, "panel.strength = float('nan')")
    expect(page.locator(".mp-steer").get_by_test_id("error")).to_contain_text("expected a finite number")
    lab.said(page, "panel.strength = 1.5")
    settled(page)
    lab.said(page, "panel.scope = 'everywhere'")
    expect(page.locator(".mp-left").get_by_test_id("error")).to_contain_text("everywhere")
    lab.said(page, "panel.scope = 'last_prompt'")
    settled(page)
    expect(error).to_be_hidden()


def projector_hides_the_answer_until_it_is_revealed(page: Page) -> None:
    steered, hidden = page.get_by_test_id("answer-steered"), "What will it say?"
    page.get_by_test_id("projector").click()
    expect(steered).to_have_text(hidden)
    assert steered.evaluate("e => parseFloat(getComputedStyle(e).fontSize)") >= 24
    page.screenshot(path=lab.SHOTS / "panel-projector.png")
    page.get_by_test_id("projector").focus()
    page.keyboard.press("r")
    expect(steered).not_to_have_text(hidden)
    page.get_by_test_id("strength").press("ArrowRight")
    expect(steered).to_have_text(hidden)
    settled(page)
    expect(steered).to_have_text(hidden)
    page.get_by_test_id("reveal").click()
    expect(steered).not_to_have_text(hidden)
    page.get_by_test_id("projector").click()
    expect(page.get_by_test_id("reveal")).to_be_hidden()


def keyboard_alone_reaches_and_moves_everything(page: Page) -> None:
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


def busy_kernel_holds_nothing_up_or_is_named(page: Page, desk: lab.Desk) -> None:
    with desk.busy(page, 1):
        lab.move(page, "0.75")
        settled(page)
    with lab.silenced(page):
        lab.move(page, "1.25")
        expect(page.get_by_test_id("rate")).to_contain_text("the kernel is busy")
    lab.move(page, "1")
    settled(page)
    expect(page.get_by_test_id("rate")).to_contain_text("tokens/s")


Act = Callable[[Page], None]


def click(name: str) -> Act:
    return lambda page: page.get_by_test_id(name).click()


def typed(name: str, text: str) -> Act:
    return lambda page: (page.get_by_test_id(name).fill(text), page.get_by_test_id(name).press("Enter"))[1]


def opened(name: str) -> Act:
    return lambda page: page.get_by_test_id(name).locator("summary").click()


def unpin(page: Page) -> None:
    page.get_by_test_id("pin").get_by_role("button", name="remove the pinned").click()


BUTTONS: dict[str, tuple[Act, set[str]]] = {
    "projector": (click("projector"), {"projector"}),
    "reveal": (click("reveal"), {"revealed"}),
    "projector off": (click("projector"), {"projector", "revealed"}),
    "words, opened": (opened("words-fold"), set()),
    "words": (typed("words", "tabby, moggy"), {"words", "answers"}),
    "negations": (typed("negations", "nope"), {"negations", "answers"}),
    "receipt, opened": (opened("receipt"), set()),
    "code, opened": (opened("code"), set()),
    "copy": (click("copy-code"), set()),
    "pin": (click("pin-setting"), {"pins"}),
    "unpin": (unpin, {"pins"}),
    "run again": (click("stop"), {"answers", "serial", "rate"}),
    "new scene": (click("new-scene"), {"answers", "rate", "code", "receipt", "picture", "scene_seed"}),
}


def until(page: Page, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Traits of the idle kernel once they are as wanted; what is done by hand may reach it after a later question."""
    for _ in range(100):
        found = dict(json.loads(lab.said(page, STATE)))
        if reached(found):
            return found
        lab.drawn(page)
    raise AssertionError(f"not reached: {found}")


def test_after_moves_by_hand_and_from_the_kernel_a_button_changes_its_own_traits_alone(page: Page) -> None:
    for name, (act, own) in BUTTONS.items():
        thumbs(page).nth(2).click()
        ask(page, "how does it feel ?")
        page.get_by_test_id("concept").select_option("tree")
        page.get_by_test_id("second").select_option("symmetry")
        for control in ("layer", "second-strength", "strength"):
            page.get_by_test_id(control).press("ArrowRight")
        page.get_by_test_id("scope").get_by_role("radio", name="all").check()
        page.get_by_test_id("seed").fill("7")
        page.get_by_test_id("seed").press("Enter")
        until(page, lambda found: found["seed"] == 7 and found["second"] == "symmetry" and found["scope"] == "all")
        lab.said(page, KERNEL)
        before = until(page, lambda found: (found["concept"], found["picture"], found["seed"]) == ("neon", 4, 0))
        expect(page.get_by_test_id("concept")).to_have_value("neon")
        expect(page.locator(".mp-live .mp-answer[data-old=true]")).to_have_count(0)
        act(page)
        until(page, lambda found, own=own, before=before: not own or any(found[one] != before[one] for one in own))
        page.wait_for_timeout(300)
        after = until(page, bool)
        changed = {one for one in after if after[one] != before[one]}
        assert changed <= own and bool(changed) == bool(own), name
        for control, value in {"concept": "neon", "strength": "0.5", "layer": "5", "second": ""}.items():
            expect(page.get_by_test_id(control)).to_have_value(value)


def test_it_also_works_where_callbacks_run_on_the_main_thread(desk: lab.Desk) -> None:
    desk.set_up("kernels-settings", commsOverSubshells="disabled")
    desk.notebook("main_thread.ipynb", WITHOUT_SUBSHELLS.strip())
    with desk.opened("main_thread.ipynb", 1300, 1000) as page:
        expect(page.get_by_test_id("answer-steered")).to_contain_text("cat (1)", timeout=90_000)
        page.get_by_test_id("strength").press("End")
        page.get_by_test_id("strength").press("ArrowLeft")
        expect(page.get_by_test_id("answer-steered")).to_contain_text("cat (2.75) and a tree")
        expect(page.get_by_test_id("status")).to_have_text("idle")
