"""Saved pages paint every mention where the one rule finds it, character by character: reports and panels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import mllm_probe as mp
from tests.browser import lab
from tests.widgets import fakes, test_report

pytestmark = pytest.mark.browser
SHOTS = lab.SHOTS
READY = "document.documentElement.dataset.ready === 'true'"
CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "naming.json").read_text(encoding="utf-8"))
CONCEPTS = {f"concept {i}": words for i, words in enumerate(map(list, dict.fromkeys(tuple(c["words"]) for c in CASES)))}
UNSTEERED = "a plain picture of a tree"
# Where an element's text is painted as a mention: [start, stop, negated], neighbours of one kind joined.
_PAINTED = """(element) => {
  const found = [];
  let at = 0;
  const walk = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const mark = node.parentElement.closest('.named, .negated');
    const last = found.at(-1);
    if (mark) {
      const negated = Number(mark.classList.contains('negated'));
      if (last && last[1] === at && last[2] === negated) last[1] = at + node.data.length;
      else found.push([at, at + node.data.length, negated]);
    }
    at += node.data.length;
  }
  return found;
}"""


def cases_of(concept: str) -> list[dict[str, Any]]:
    return [case for case in CASES if case["words"] == CONCEPTS[concept]]


def write_report(path: Path) -> None:
    samples = max(len(cases_of(concept)) for concept in CONCEPTS)
    data = test_report.grid(concepts=tuple(CONCEPTS), samples=samples + samples % 2)
    data["text_unsteered"].values[:] = UNSTEERED
    for concept in CONCEPTS:
        said = data["text"].sel(concept=concept).values  # a view: [layer, strength, control, draw, sample]
        for sample, case in enumerate(cases_of(concept)):
            said[..., sample] = case["answer"]
    words = [json.dumps(words) for words in CONCEPTS.values()]
    mp.report(data.assign_coords(words=("concept", words)), path)


class Echo(fakes.FakeStream):
    """Answers with the question; unsteered always the same."""

    def __iter__(self) -> Iterator[tuple[int, int, str]]:
        yield from ((0, 0, UNSTEERED), (1, 0, self.prompt), (2, 0, self.prompt))


def write_panel(path: Path) -> None:
    model = fakes.FakeModel()
    vectors = fakes.vectors(model).isel(concept=slice(len(CONCEPTS))).assign_coords(concept=list(CONCEPTS))
    vectors["words"] = ("concept", [json.dumps(words) for words in CONCEPTS.values()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "mllm_probe.widgets.panel.steering_panel.stream",
            lambda model, image, prompt, *, steering, max_new_tokens: Echo(steering, prompt),
        )
        panel = mp.SteeringPanel(model, vectors, prompt="first")
        assert panel.wait(60)
        for case in CASES:
            concept = next(name for name, words in CONCEPTS.items() if words == case["words"])
            panel.choose(concept=concept, prompt=case["answer"])
            assert panel.wait(60), panel.message
            if case["answer"] in ("a cat is missing", "two kittens"):
                panel.pin()
        panel.to_html(path)
        panel.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    SHOTS.mkdir(exist_ok=True)
    made = tmp_path_factory.mktemp("marks")
    write_report(made / "report.html")
    write_panel(made / "panel.html")
    return made


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    made = browser.new_page(viewport={"width": 1200, "height": 1000})
    made.set_default_timeout(60_000)
    yield made
    made.close()


def opened(page: Page, file: Path) -> Page:
    page.goto(file.as_uri())
    page.wait_for_function(READY)
    return page


def painted(element: Locator) -> list[list[int]]:
    return element.evaluate(_PAINTED)


def test_a_report_paints_each_mention(page: Page, folder: Path) -> None:
    opened(page, folder / "report.html")
    table = page.get_by_test_id("answers")
    for concept in CONCEPTS:
        page.get_by_test_id("answers-concept").select_option(label=concept)
        for row, case in enumerate(cases_of(concept)):
            line = table.locator("tbody tr").nth(row)
            for column in (2, 3):
                cell = line.locator("td, th").nth(column)
                assert cell.text_content() == case["answer"]
                assert painted(cell) == case["utf16"], case["answer"]
            assert painted(line.locator("td").first) == []
    page.get_by_test_id("answers-concept").select_option(label="concept 0")
    for kind, style in (("named", "solid"), ("negated", "dotted")):
        expect(table.locator(f".{kind}").first).to_have_css("border-bottom-style", style)
    page.get_by_label("search all answers").fill("cat is missing")
    assert painted(table.locator("tbody tr").first.locator("td").last) == [[2, 5, 1]]
    page.get_by_label("search all answers").fill("")
    page.get_by_test_id("answers-concept").select_option(label="concept 0")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        lab.frames(page)
        table.screenshot(path=SHOTS / f"marks-report-{scheme}.png")


def test_a_panels_page_paints_each_mention_and_its_pins(page: Page, folder: Path) -> None:
    opened(page, folder / "panel.html")
    listed, steered = page.get_by_test_id("recorded"), page.get_by_test_id("answer-steered")
    labels = listed.locator("option").all_text_contents()
    assert len(labels) == len(CASES) + 2
    for number, case in enumerate(CASES, start=1):
        listed.select_option(str(number))
        expect(page.get_by_test_id("prompt")).to_have_value(case["answer"].replace("\n", ""))
        page.wait_for_function("(text) => document.querySelector('[data-testid=answer-steered]').textContent === text",
                               arg=case["answer"])  # fmt: skip
        assert painted(steered) == case["utf16"], case["answer"]
    pins = [painted(pin.locator("[data-row=steered] p")) for pin in page.get_by_test_id("pin").all()]
    assert pins == [[[2, 5, 1]], [[4, 11, 0]]]
    listed.select_option(str(1 + [case["answer"] for case in CASES].index("not a cat? No: it is a kitten")))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        lab.frames(page)
        page.locator(".mp-panel").screenshot(path=SHOTS / f"marks-panel-{scheme}.png")


def test_words_are_not_edited_on_a_saved_page(page: Page, folder: Path) -> None:
    opened(page, folder / "panel.html")
    page.get_by_test_id("recorded").select_option("1")
    steered = page.get_by_test_id("answer-steered")
    expect(steered.locator(".named")).to_have_text("cat")
    page.get_by_test_id("words-fold").locator("summary").click()
    page.get_by_test_id("words").fill("dog")
    page.get_by_test_id("words").press("Enter")
    expect(page.get_by_test_id("error")).to_contain_text("without a kernel: that needs the notebook")
    expect(steered.locator(".named")).to_have_text("cat")
