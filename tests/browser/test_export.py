"""Saved pages from a file, with every request blocked and counted: a report, a panel, widgets beside one another."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import mllm_probe as mp
from tests.browser import lab, pages
from tests.widgets import test_report

pytestmark = pytest.mark.browser
PAGES = ("report.html", "panel.html", "widgets.html")
CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "naming.json").read_text(encoding="utf-8"))
CONCEPTS = {f"concept {i}": words for i, words in enumerate(map(list, dict.fromkeys(tuple(c["words"]) for c in CASES)))}
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


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """The folder of the pages, and what the panel answered by setting."""
    folder = tmp_path_factory.mktemp("pages")
    return folder, pages.write_pages(folder)


@pytest.mark.journey
def test_saved_pages_are_explored_without_a_kernel(offline: pages.Offline, written: Any) -> None:
    folder, answers = written
    report_is_explored(offline.open(folder / "report.html"))
    panel_replays_its_answers_and_makes_none_up(offline.open(folder / "panel.html"), answers)
    patches_and_tokens_are_read_layer_by_layer(offline.open(folder / "widgets.html"))


def report_is_explored(page: Page) -> None:
    canvas, read, strength = (page.get_by_test_id(f"heatmap{name}") for name in ("", "-cell", "-strength"))
    strength.focus()
    page.keyboard.press("Home")
    expect(read).to_contain_text("−1 × residual norm")
    before = canvas.evaluate("canvas => canvas.toDataURL()")
    page.keyboard.press("End")
    expect(read).to_contain_text("· 2 × residual norm")
    lab.repainted(canvas, [before])
    canvas.hover(position=lab.in_cell(canvas, 0, 1))
    expect(read).to_contain_text("cat · layer 3")
    expect(read).to_contain_text("nats · 3 of 6 images · n = 3 images")
    expect(page.get_by_test_id("map-caption")).to_have_text("no verdict: 3 of 6 images")
    canvas.click(position=lab.in_cell(canvas, 0, 2))
    page.mouse.move(2, 2)
    expect(read).to_contain_text("cat · layer 5")
    expect(page.get_by_test_id("detail-title")).to_contain_text("cat · layer 5")
    page.get_by_test_id("metric").select_option("named")
    expect(read).not_to_contain_text("nats")
    expect(page.get_by_test_id("map-caption")).to_have_text("no verdict: 3 of 10 images")
    page.get_by_test_id("control").select_option("on_manifold")
    expect(read).to_contain_text("on-manifold direction")
    page.screenshot(path=lab.SHOTS / "report-light.png", full_page=True)
    answers_are_those_of_the_cell_and_all_are_searched(page)


def answers_are_those_of_the_cell_and_all_are_searched(page: Page) -> None:
    canvas, table = page.get_by_test_id("heatmap"), page.get_by_test_id("answers")
    canvas.click(position=lab.in_cell(canvas, 0, 1))
    expect(page.get_by_test_id("answers-concept").locator("option:checked")).to_have_text("cat")
    expect(page.get_by_label("layer", exact=True).locator("option:checked")).to_have_text("layer 3")
    expect(table.locator("tbody tr")).to_have_count(3)
    page.get_by_label("strength", exact=True).select_option("1 × residual norm")
    page.get_by_label("strength", exact=True).select_option("2 × residual norm")
    expect(page.get_by_test_id("heatmap-cell")).to_contain_text("cat · layer 3 · 2 × residual norm")
    expect(table.locator("td:nth-child(3) .named").first).to_have_text("cat")
    page.get_by_label("search all answers").fill("cat")
    expect(table.locator("thead")).to_contain_text("concept · layer · strength · image")
    expect(page.get_by_test_id("answers-count")).to_have_text(re.compile(r"^\d+ of 108 answers"))
    assert all("cat" in text for text in table.locator("td:nth-child(3)").all_text_contents())


def panel_replays_its_answers_and_makes_none_up(page: Page, answers: dict[str, list[str]]) -> None:
    rows = [page.get_by_test_id(f"answer-{name}") for name in ("baseline", "steered", "random")]
    listed = page.get_by_test_id("recorded")
    expect(listed.locator("option")).to_have_count(1 + len(answers))
    listed.select_option("0")
    expect(rows[1].locator(".named").first).to_have_text("cat")
    page.get_by_test_id("words-fold").locator("summary").click()
    page.get_by_test_id("words").fill("dog")
    page.get_by_test_id("words").press("Enter")
    expect(page.get_by_test_id("error")).to_contain_text("without a kernel: that needs the notebook")
    expect(rows[1].locator(".named").first).to_have_text("cat")
    for number, (name, texts) in enumerate(answers.items()):
        listed.select_option(str(number))
        concept, _, strength = name.rpartition(" ")
        expect(page.get_by_test_id("concept")).to_have_value(concept)
        expect(page.get_by_test_id("strength")).to_have_value(strength)
        for row, text in zip(rows, texts, strict=True):
            expect(row).to_have_text(text)
    page.get_by_test_id("concept").select_option("neon")
    said = page.get_by_test_id("unrecorded")
    expect(said).to_have_text(f"This setting was not recorded. {len(answers)} recorded settings are listed above.")
    assert said.evaluate("e => e.nextElementSibling.matches('.mp-live')")
    expect(page.get_by_test_id("facts-steered")).to_be_empty()
    page.get_by_test_id("projector").click()
    expect(page.get_by_test_id("reveal")).to_be_hidden()
    expect(page.locator(".mp-covered")).to_be_hidden()
    page.get_by_test_id("projector").click()
    expect(rows[1]).not_to_contain_text("key")
    page.get_by_test_id("strength").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("strength")).to_have_value("1")
    expect(rows[1]).to_have_text(answers["neon 1"][1])
    for name in ("error", "unrecorded"):
        expect(page.get_by_test_id(name)).to_be_hidden()


def patches_and_tokens_are_read_layer_by_layer(page: Page) -> None:
    canvas, read = page.get_by_test_id("patches"), page.get_by_test_id("patch-read")
    expect(read).to_contain_text("Page up and down change the layer.")
    assert read.evaluate("e => e.scrollHeight <= e.clientHeight")
    value = page.get_by_test_id("tokens").locator("[data-role=text]").last.locator(".mp-tok-value")
    shown = value.text_content() or ""
    seen = [canvas.evaluate("canvas => canvas.toDataURL()")]
    page.get_by_test_id("patch-layer").fill("6")
    seen.append(lab.repainted(canvas, seen))
    page.get_by_test_id("patch-concept").select_option("neon")
    lab.repainted(canvas, seen)
    canvas.hover(position={"x": 60, "y": 60})
    expect(read).to_contain_text("of neon at layer 6")
    expect(page.get_by_test_id("token-concept")).to_have_value("neon")
    expect(value).not_to_have_text(shown)
    for name in ("patch-status", "token-status"):
        expect(page.get_by_test_id(name)).to_have_text("")
    page.screenshot(path=lab.SHOTS / "page-widgets.png", full_page=True)


@pytest.mark.parametrize("name", PAGES)
def test_any_page_fits_has_both_themes_and_takes_hostile_names_as_text(
    offline: pages.Offline, written: Any, name: str
) -> None:
    page = offline.open(written[0] / name)
    themes_are_those_of_the_system_and_the_host(page, name)
    for width in (360, 600, 1000):
        page.set_viewport_size({"width": width, "height": 1000})
        assert lab.cut_off(page, "html, .mp") == []
    assert {pages.IMAGE, pages.SCRIPT} <= set(page.locator("select option").all_text_contents())
    for concept in (pages.IMAGE, pages.SCRIPT):
        for select in page.locator("select[data-testid$=concept]").all():
            select.select_option(label=concept)
        lab.drawn(page)
        expect(page.locator("main")).to_contain_text(concept)
    if name == "panel.html":
        page.get_by_role("radiogroup", name="choose an image").get_by_role("radio").last.click()
        expect(page.locator("figcaption")).to_have_text(f"{pages.IMAGE}.png")
        page.get_by_test_id("recorded").select_option("2")
        for name in ("receipt", "pin"):
            expect(page.get_by_test_id(name)).to_contain_text(pages.IMAGE)
    if name == "report.html":
        expect(page.get_by_test_id("answers")).to_contain_text(pages.SAID.strip())
        expect(page.locator("h1")).to_have_text(f"report {pages.SCRIPT}")
        expect(page.locator("header p")).to_contain_text(pages.IMAGE)
        expect(page.locator(".page-main-facts")).to_contain_text(f"model {pages.SCRIPT}")
    assert page.locator("main img[src=x], main img[src=y], main script, main b script").count() == 0


def brightness(page: Page, selector: str) -> float:
    """Mean of the three parts of an element's background colour."""
    colour = page.locator(selector).first.evaluate("e => getComputedStyle(e).backgroundColor")
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


def themes_are_those_of_the_system_and_the_host(page: Page, name: str) -> None:
    canvases = [page.get_by_test_id(one) for one in ("heatmap", "patches") if page.get_by_test_id(one).count()]
    light = brightness(page, "body"), brightness(page, ".mp")
    for hosts in (None, "true", "false"):
        before = [canvas.evaluate("canvas => canvas.toDataURL()") for canvas in canvases]
        if hosts:
            page.evaluate(f"() => {{ document.body.dataset.jpThemeLight = '{hosts}'; }}")
        else:
            page.emulate_media(color_scheme="dark")
        for canvas, one in zip(canvases, before, strict=True):
            lab.repainted(canvas, [one])
        now = brightness(page, "body"), brightness(page, ".mp")
        assert now == light == (255, 255) if hosts == "true" else max(now) < 60
        page.screenshot(path=lab.SHOTS / f"{name.removesuffix('.html')}-{'light' if hosts == 'true' else 'dark'}.png")
    page.emulate_media(color_scheme="light")
    lab.drawn(page)
    assert brightness(page, ".mp") < 60, "the host's choice goes before the system's"


def test_what_a_page_asks_for_is_counted(browser: Browser, tmp_path: Path) -> None:
    made = pages.Offline(browser.new_page())
    body = "<img src='http://127.0.0.1:9/a.png'><script>fetch('http://127.0.0.1:9/b').catch(() => 0)</script>"
    (tmp_path / "open.html").write_text(f"<html data-ready=true>{body}</html>")
    policy = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
    (tmp_path / "closed.html").write_text(f"<html data-ready=true><head>{policy}</head>{body}</html>")
    made.open(tmp_path / "open.html")
    assert {url.rpartition("/")[2] for url in made.refused()} == {"a.png", "b"}
    made.asked.clear()
    made.open(tmp_path / "closed.html")
    made.page.wait_for_function("window.__refused.length === 2")
    assert "img-src http://127.0.0.1:9/a.png" in made.refused()
    made.page.close()


def cases_of(concept: str) -> list[dict[str, Any]]:
    return [case for case in CASES if case["words"] == CONCEPTS[concept]]


def write_report(path: Path) -> None:
    """A report whose answers are those of the cases."""
    samples = max(len(cases_of(concept)) for concept in CONCEPTS)
    data = test_report.grid(concepts=tuple(CONCEPTS), samples=samples + samples % 2)
    data["text_unsteered"].values[:] = "a plain picture of a tree"
    for concept in CONCEPTS:
        said = data["text"].sel(concept=concept).values  # a view: [layer, strength, control, draw, sample]
        for sample, case in enumerate(cases_of(concept)):
            said[..., sample] = case["answer"]
    mp.report(data.assign_coords(words=("concept", [json.dumps(words) for words in CONCEPTS.values()])), path)


def painted(element: Locator) -> list[list[int]]:
    return element.evaluate(_PAINTED)


def test_mentions_are_painted_where_the_kernel_found_them(offline: pages.Offline, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html")
    page = offline.open(tmp_path / "report.html")
    table = page.get_by_test_id("answers")
    for concept in reversed(CONCEPTS):
        page.get_by_test_id("answers-concept").select_option(label=concept)
        for row, case in enumerate(cases_of(concept)):
            cells = table.locator("tbody tr").nth(row).locator("td, th")
            for column in (2, 3):
                assert cells.nth(column).text_content() == case["answer"]
                assert painted(cells.nth(column)) == case["utf16"], case["answer"]
    for kind, style in (("named", "solid"), ("negated", "dotted")):
        expect(table.locator(f".{kind}").first).to_have_css("border-bottom-style", style)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        lab.drawn(page)
        table.screenshot(path=lab.SHOTS / f"marks-report-{scheme}.png")
    page.get_by_label("search all answers").fill("cat is missing")
    assert painted(table.locator("tbody tr").first.locator("td").last) == [[2, 5, 1]]
