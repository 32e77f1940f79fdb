"""After moves by hand and moves from the kernel, a button of the panel changes its own traits and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser

MAKE = """
import json
import mllm_probe as mp
model = mp.load("scenes-8l")
library = mp.concepts.scenes(concepts=["cat", "tree", "neon", "symmetry"], pairs=6)
vectors = mp.concept_vectors(model, library, probe_accuracy=False)
panel = mp.SteeringPanel(model, vectors, library, concept="cat", layer=3, scope="last_prompt", max_new_tokens=8)
panel
"""
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
Act = Callable[[Page], None]


def click(name: str) -> Act:
    return lambda page: page.get_by_test_id(name).click()


def typed(name: str, text: str) -> Act:
    def act(page: Page) -> None:
        page.get_by_test_id(name).fill(text)
        page.get_by_test_id(name).press("Enter")

    return act


def opened(name: str) -> Act:
    return lambda page: page.get_by_test_id(name).locator("summary").click()


def unpin(page: Page) -> None:
    page.get_by_test_id("pin").get_by_role("button", name="remove the pinned").click()


BUTTONS: list[tuple[str, Act, set[str]]] = [
    ("projector", click("projector"), {"projector"}),
    ("reveal", click("reveal"), {"revealed"}),
    ("projector off", click("projector"), {"projector", "revealed"}),
    ("words, opened", opened("words-fold"), set()),
    ("words", typed("words", "tabby, moggy"), {"words", "answers"}),
    ("negations", typed("negations", "nope"), {"negations", "answers"}),
    ("receipt, opened", opened("receipt"), set()),
    ("code, opened", opened("code"), set()),
    ("copy", click("copy-code"), set()),
    ("pin", click("pin-setting"), {"pins"}),
    ("unpin", unpin, {"pins"}),
    ("run again", click("stop"), {"answers", "serial", "rate"}),
    ("new scene", click("new-scene"), {"answers", "rate", "code", "receipt", "picture", "scene_seed"}),
]


@pytest.fixture(scope="module")
def page(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("buttons.ipynb", MAKE.strip())
    with desk.opened("buttons.ipynb", 1300, 1200) as made:
        expect(made.get_by_test_id("answer-random")).not_to_be_empty(timeout=300_000)
        yield made


def state(page: Page) -> dict[str, Any]:
    """Traits in the kernel once it has answered."""
    return dict(json.loads(lab.said(page, STATE)))


def until(page: Page, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Traits once they are as wanted; what is done by hand may reach the kernel after a later question."""
    for _ in range(100):
        found = state(page)
        if reached(found):
            return found
        lab.frames(page)
    raise AssertionError(f"not reached: {found}")


def by_hand(page: Page) -> None:
    """Move every control of the setting."""
    page.get_by_role("radiogroup", name="choose an image").get_by_role("radio").nth(2).click()
    page.get_by_test_id("prompt").fill("how does it feel ?")
    page.get_by_test_id("prompt").press("Enter")
    page.get_by_test_id("concept").select_option("tree")
    page.get_by_test_id("second").select_option("symmetry")
    for name, key in (("layer", "ArrowRight"), ("second-strength", "ArrowRight"), ("strength", "ArrowRight")):
        page.get_by_test_id(name).press(key)
    page.get_by_test_id("scope").get_by_role("radio", name="all").check()
    page.get_by_test_id("seed").fill("7")
    page.get_by_test_id("seed").press("Enter")
    until(page, lambda found: found["seed"] == 7 and found["second_strength"] == 1.25)


@pytest.mark.parametrize(("name", "act", "own"), BUTTONS, ids=[name for name, _, _ in BUTTONS])
def test_a_button_changes_its_own_traits_alone(page: Page, name: str, act: Act, own: set[str]) -> None:
    by_hand(page)
    lab.said(page, KERNEL)
    before = state(page)
    assert (before["concept"], before["picture"], before["seed"]) == ("neon", 4, 0)
    expect(page.get_by_test_id("concept")).to_have_value("neon")
    expect(page.locator(".mp-live .mp-answer[data-old=true]")).to_have_count(0)
    act(page)
    after = until(page, lambda found: not own or any(found[one] != before[one] for one in own))
    page.wait_for_timeout(300)
    after = state(page)
    changed = {one for one in after if after[one] != before[one]}
    assert changed <= own and bool(changed) == bool(own)
    expect(page.get_by_test_id("concept")).to_have_value("neon")
    expect(page.get_by_test_id("strength")).to_have_value("0.5")
    expect(page.get_by_test_id("layer")).to_have_value("5")
    expect(page.get_by_test_id("second")).to_have_value("")
