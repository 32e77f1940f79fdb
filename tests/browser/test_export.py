"""Exported pages from a file, with every request blocked and counted: exploring, recorded answers, names, themes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser import lab, pages

pytestmark = pytest.mark.browser
SHOTS = lab.SHOTS
READY = "document.documentElement.dataset.ready === 'true'"
_WATCH = """() => {
  window.__refused = [];
  const note = ({ violatedDirective, blockedURI }) => window.__refused.push(`${violatedDirective} ${blockedURI}`);
  addEventListener('securitypolicyviolation', note);
}"""
_WHOLE = """() => [document.documentElement, ...document.querySelectorAll('.mp')].every((e) =>
  e.scrollWidth <= e.clientWidth + 1)"""


@dataclass
class Offline:
    """Pages without a network, what they asked for all the same, and what they complained about."""

    page: Page
    folder: Path
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.context.set_offline(True)
        self.page.add_init_script(f"({_WATCH})()")
        self.page.route("**/*", self._refuse)
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    def open(self, name: str) -> Page:
        self.page.goto((self.folder / name).as_uri())
        self.page.wait_for_function(READY)
        return self.page

    def refused(self) -> list[str]:
        """Everything that the page tried to fetch, whether its own policy or the test stopped it."""
        return self.asked + list(self.page.evaluate("window.__refused"))

    def _own(self, url: str) -> bool:
        return url.startswith((self.folder.as_uri(), "data:", "blob:"))

    def _note(self, url: str) -> None:
        if not self._own(url):
            self.asked.append(url)

    def _refuse(self, route: Route) -> None:
        if self._own(route.request.url):
            route.continue_()
        else:
            route.abort()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    SHOTS.mkdir(exist_ok=True)
    folder = tmp_path_factory.mktemp("pages")
    return folder, pages.write_pages(folder)


@pytest.fixture
def offline(browser: Browser, written: tuple[Path, dict[str, list[str]]]) -> Iterator[Offline]:
    """A page that must have asked for nothing and complained about nothing when the test is over."""
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(60_000)
    made = Offline(page, written[0])
    yield made
    found = made.refused(), made.said, page.evaluate("window.__owned ?? null")
    page.close()
    assert found == ([], [], None)


def cell_of(canvas: Locator, row: int, column: int) -> dict[str, float]:
    """Middle of a cell of the map's first category."""
    place = canvas.evaluate("canvas => ({ ...canvas.dataset })")
    left, top, width, height = (float(place[name]) for name in ("left", "top", "cellWidth", "rowHeight"))
    return {"x": left + (column + 0.5) * width, "y": top + (row + 0.5) * height}


def test_what_a_page_asks_for_is_counted(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    made = Offline(page, tmp_path)
    body = "<img src='http://127.0.0.1:9/a.png'><script>fetch('http://127.0.0.1:9/b').catch(() => 0)</script>"
    (tmp_path / "open.html").write_text(f"<html data-ready=true>{body}</html>")
    policy = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
    (tmp_path / "closed.html").write_text(f"<html data-ready=true><head>{policy}</head>{body}</html>")
    made.open("open.html")
    assert {url.rpartition("/")[2] for url in made.refused()} == {"a.png", "b"}
    made.asked.clear()
    made.open("closed.html")
    page.wait_for_function("window.__refused.length === 2")
    assert "img-src http://127.0.0.1:9/a.png" in made.refused()
    page.close()


def test_the_maps_strengths_are_scrubbed_its_cells_hovered_and_selected(offline: Offline) -> None:
    page = offline.open("report.html")
    canvas, read, strength = (page.get_by_test_id(f"heatmap{name}") for name in ("", "-cell", "-strength"))
    strength.focus()
    page.keyboard.press("Home")
    expect(read).to_contain_text("−1 × residual norm")
    before = canvas.evaluate("canvas => canvas.toDataURL()")
    page.keyboard.press("End")
    expect(read).to_contain_text("· 2 × residual norm")
    lab.repainted(canvas, [before])
    canvas.hover(position=cell_of(canvas, 0, 1))
    expect(read).to_contain_text("cat · layer 3")
    expect(read).to_contain_text("nats · too few images for a verdict · n = 3 of 6 images")
    expect(page.get_by_test_id("map-caption")).to_have_text("no verdict: 3 of 6 images")
    canvas.click(position=cell_of(canvas, 0, 2))
    page.mouse.move(2, 2)
    expect(read).to_contain_text("cat · layer 5")
    expect(page.get_by_test_id("detail-title")).to_contain_text("cat · layer 5")
    metric = page.get_by_test_id("metric")
    metric.select_option("named")
    expect(read).not_to_contain_text("nats")
    expect(page.get_by_test_id("map-caption")).to_have_text("no verdict: 3 of 10 images")
    page.get_by_test_id("control").select_option("on_manifold")
    expect(read).to_contain_text("on-manifold direction")
    page.screenshot(path=SHOTS / "report-light.png", full_page=True)


def test_the_answers_of_the_selected_cell_are_shown_and_all_are_searched(offline: Offline) -> None:
    page = offline.open("report.html")
    canvas, table = page.get_by_test_id("heatmap"), page.get_by_test_id("answers")
    canvas.click(position=cell_of(canvas, 0, 1))
    expect(page.get_by_test_id("answers-concept").locator("option:checked")).to_have_text("cat")
    expect(page.get_by_label("layer", exact=True).locator("option:checked")).to_have_text("layer 3")
    expect(table.locator("tbody tr")).to_have_count(3)
    page.get_by_label("strength", exact=True).select_option("2 × residual norm")
    expect(page.get_by_test_id("heatmap-cell")).to_contain_text("cat · layer 3 · 2 × residual norm")
    expect(table.locator("td:nth-child(3) .named").first).to_have_text("cat")
    page.get_by_label("search all answers").fill("cat")
    expect(table.locator("thead")).to_contain_text("concept · layer · strength · image")
    expect(page.get_by_test_id("answers-count")).to_have_text(re.compile(r"^\d+ of 108 answers"))
    assert all("cat" in text for text in table.locator("td:nth-child(3)").all_text_contents())


def test_recorded_answers_come_back_and_others_are_not_made_up(
    offline: Offline, written: tuple[Path, dict[str, list[str]]]
) -> None:
    page = offline.open("panel.html")
    answers = written[1]
    rows = [page.get_by_test_id(f"answer-{name}") for name in ("baseline", "steered", "random")]
    listed = page.get_by_test_id("recorded")
    expect(listed.locator("option")).to_have_count(1 + len(answers))
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


def test_patches_and_tokens_are_read_layer_by_layer_for_every_concept(offline: Offline) -> None:
    page = offline.open("widgets.html")
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
    expect(page.get_by_test_id("patch-status")).to_have_text("")
    expect(page.get_by_test_id("token-concept")).to_have_value("neon")
    expect(value).not_to_have_text(shown)
    expect(page.get_by_test_id("token-status")).to_have_text("")
    page.screenshot(path=SHOTS / "page-widgets.png", full_page=True)


@pytest.mark.parametrize("name", ["report.html", "panel.html", "widgets.html"])
def test_hostile_names_are_text(offline: Offline, name: str) -> None:
    page = offline.open(name)
    options = page.locator("select option").all_text_contents()
    assert pages.IMAGE in options and pages.SCRIPT in options
    for concept in (pages.IMAGE, pages.SCRIPT):
        for select in page.locator("select[data-testid$=concept]").all():
            select.select_option(label=concept)
        lab.frames(page)
        expect(page.locator("main")).to_contain_text(concept)
    assert page.locator("main img[src=x], main img[src=y], main script, main b script").count() == 0
    if name == "panel.html":
        page.get_by_role("radiogroup", name="choose an image").get_by_role("radio").last.click()
        expect(page.locator("figcaption")).to_have_text(f"{pages.IMAGE}.png")
    if name == "report.html":
        expect(page.get_by_test_id("answers")).to_contain_text(pages.SAID.strip())
        expect(page.locator("h1")).to_have_text(f"report {pages.SCRIPT}")
        expect(page.locator("header p")).to_contain_text(pages.IMAGE)
        expect(page.locator(".page-main-facts")).to_contain_text(f"model {pages.SCRIPT}")


def brightness(page: Page, selector: str) -> float:
    """Mean of the three parts of an element's background colour."""
    colour = page.locator(selector).first.evaluate("e => getComputedStyle(e).backgroundColor")
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


@pytest.mark.parametrize("name", ["report.html", "panel.html", "widgets.html"])
def test_the_system_and_the_host_choose_the_theme(offline: Offline, name: str) -> None:
    page = offline.open(name)
    canvases = [page.get_by_test_id(one) for one in ("heatmap", "patches") if page.get_by_test_id(one).count()]

    def changed(change: str | None) -> None:
        before = [canvas.evaluate("canvas => canvas.toDataURL()") for canvas in canvases]
        if change:
            page.evaluate(f"() => {{ document.body.dataset.jpThemeLight = '{change}'; }}")
        else:
            page.emulate_media(color_scheme="dark")
        for canvas, one in zip(canvases, before, strict=True):
            lab.repainted(canvas, [one])

    light = brightness(page, "body"), brightness(page, ".mp")
    changed(None)
    assert brightness(page, "body") < 60 and brightness(page, ".mp") < 60
    page.screenshot(path=SHOTS / f"{name.removesuffix('.html')}-dark.png", full_page=True)
    changed("true")
    assert (brightness(page, "body"), brightness(page, ".mp")) == light == (255, 255)
    changed("false")
    assert brightness(page, "body") < 60 and brightness(page, ".mp") < 60
    page.emulate_media(color_scheme="light")
    lab.frames(page)
    assert brightness(page, ".mp") < 60


@pytest.mark.parametrize("width", [360, 600, 1000])
def test_nothing_is_cut_off(offline: Offline, width: int) -> None:
    for name in ("report.html", "panel.html", "widgets.html"):
        page = offline.open(name)
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_function(_WHOLE)
