"""Studies in a real JupyterLab: read by pointer and keys, selected everywhere in the lab, and saved as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import mllm_probe as mp
from mllm_probe.reports import studies_report
from tests.browser import lab
from tests.plots.studies_by_hand import atlas, comparison, localization, reliability, unknown, with_multiverse

pytestmark = pytest.mark.browser
SHOTS = lab.SHOTS
NAMES = ["cat", "tree", "house", "symmetry", "chaos", "crowding"]

STUDY = f"""
import mllm_probe as mp
from tests.plots.studies_by_hand import atlas, localization, with_multiverse
names = {NAMES}
study = with_multiverse(localization()).assign_coords(concept=names)
view = mp.explore(study)
view
"""
ATLAS = "cosines = mp.StudyView(atlas().assign_coords(concept=names, scored_concept=names))\ncosines"
LAB = f"""
import mllm_probe as mp
from tests.plots.studies_by_hand import localization
library = mp.concepts.scenes(concepts={NAMES}, pairs=4)
explored = mp.explore("scenes-4l", library, strengths=(1,), draws=4)
study = localization().assign_coords(concept={NAMES}).assign_attrs(model="scenes-4l")
explored
"""
_VERTEX = """([svg, name, place]) => {
  const path = svg.querySelector(`[data-concept="${name}"] .mp-line`).getAttribute("d");
  const [x, y] = path.slice(1).split(/[ML]/)[place].split(" ").map(Number);
  const box = svg.getBoundingClientRect();
  return [box.left + x, box.top + y];
}"""
_COLOURS = """(element) => {
  const style = getComputedStyle(element);
  return [style.color, style.backgroundColor];
}"""


@pytest.fixture(scope="module")
def opened(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("study.ipynb", STUDY.strip(), ATLAS)
    with desk.opened("study.ipynb", 1100, 1300) as page:
        page.get_by_test_id("study").wait_for()
        yield page


@pytest.fixture(scope="module")
def explored(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("lab.ipynb", LAB.strip())
    with desk.opened("lab.ipynb", 1400, 1300) as page:
        page.get_by_test_id("heatmap-cell").wait_for(timeout=300_000)
        lab.said(page, "assert explored.wait(300), explored.bar.message")
        yield page


def point_at(page: Page, chart: Locator, name: str, place: int) -> None:
    """Move the pointer to a point of a concept's line."""
    chart.scroll_into_view_if_needed()
    lab.drawn(page)
    x, y = page.evaluate(_VERTEX, [chart.locator("svg").element_handle(), name, place])
    page.mouse.move(x, y)


def click_on(page: Page, chart: Locator, name: str, place: int) -> None:
    point_at(page, chart, name, place)
    page.mouse.down()
    page.mouse.up()


def test_a_line_is_read_under_the_pointer_and_selected_by_a_click(opened: Page) -> None:
    chart, readout = opened.get_by_test_id("study-chart"), opened.get_by_test_id("study-chart-readout")
    expect(opened.get_by_test_id("study-summary")).to_contain_text("Nothing is <b>concluded</b>.")
    value = float(localization().read_out[0, 2, 3])
    point_at(opened, chart, "house", 3)
    expect(readout).to_have_text(f"house · block 3 · {value:.2f}")
    click_on(opened, chart, "house", 3)
    expect(opened.get_by_test_id("study-concept")).to_have_value("house")
    expect(opened.get_by_test_id("study-layer")).to_have_value("3")
    expect(chart.locator(".mp-concept-line.mp-chosen")).to_have_attribute("data-concept", "house")
    expect(chart.locator(".mp-here")).to_have_attribute("data-layer", "3")
    lab.until_said(opened, "print(view.concept, view.layer)", "house 3")


def test_the_arrow_keys_read_the_chart_and_enter_selects(opened: Page) -> None:
    chart, readout = opened.get_by_test_id("study-chart"), opened.get_by_test_id("study-chart-readout")
    chart.focus()
    chart.press("Escape")
    chart.press("ArrowRight")
    expect(readout).to_contain_text("entity (3) · block 0")
    chart.press("ArrowRight")
    expect(readout).to_contain_text("entity (3) · block 1")
    for _ in range(2):
        chart.press("ArrowDown")
    expect(readout).to_contain_text("cat · block 1")
    chart.press("Enter")
    expect(opened.get_by_test_id("study-concept")).to_have_value("cat")
    lab.until_said(opened, "print(view.concept, view.layer)", "cat 1")


def test_another_chart_and_a_selection_from_python_are_shown(opened: Page) -> None:
    chart = opened.get_by_test_id("study-chart")
    before = chart.locator('[data-concept="cat"] .mp-line').get_attribute("d")
    opened.get_by_test_id("study-charts").select_option(label="steering, vector")
    expect(opened.locator(".mp-study h4").first).to_contain_text("(steering, vector)")
    assert chart.locator('[data-concept="cat"] .mp-line').get_attribute("d") != before
    lab.said(opened, "view.concept, view.layer = 'chaos', 2")
    expect(chart.locator(".mp-concept-line.mp-chosen")).to_have_attribute("data-concept", "chaos")
    expect(chart.locator(".mp-here")).to_have_attribute("data-layer", "2")


def test_every_way_to_ask_is_read_with_its_setting(opened: Page) -> None:
    ways = opened.get_by_test_id("study-multiverse")
    expect(ways).to_contain_text("positive in 2 of 4, negative in 1, neither or not known in 1")
    place = opened.get_by_test_id("study-multiverse-ways")
    place.focus()
    place.press("ArrowRight")
    readout = opened.get_by_test_id("study-multiverse-ways-readout")
    expect(readout).to_have_text("way 1 of 4 · −1.00 blocks · dose 0.5, token scope last_prompt")
    place.press("ArrowRight")
    expect(readout).to_contain_text("way 2 of 4 (headline)")
    assert ways.locator(".mp-verdict").count() == 3 and ways.locator(".mp-setting").count() == 8


def test_a_row_of_the_atlas_is_a_concept_and_both_themes_are_readable(opened: Page) -> None:
    made = lab.finish_cell(opened, 1)
    matrix = made.get_by_test_id("study-chart")
    matrix.focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        matrix.press(key)
    expect(made.get_by_test_id("study-concept")).to_have_value("house")
    expect(matrix.locator(".mp-frame")).to_have_count(2)
    for theme in ("Dark", "Light"):
        lab.set_theme(opened, f"JupyterLab {theme}")
        opened.wait_for_function(
            "dark => document.querySelector('.mp-study').dataset.dark === dark", arg=str(theme == "Dark").lower()
        )
        lab.drawn(opened)
        ink, paper = opened.locator(".mp-study").first.evaluate(_COLOURS)
        assert ink != paper
        for number, part in enumerate(opened.get_by_test_id("study").all()):
            part.scroll_into_view_if_needed()
            part.screenshot(path=SHOTS / f"study-{number}-{theme.lower()}.png")


def test_a_study_in_the_lab_selects_everywhere(explored: Page) -> None:
    expect(explored.get_by_test_id("open-studies")).to_have_count(0)
    lab.said(explored, "shown = explored.show_study(study)")
    expect(explored.get_by_test_id("open-studies")).to_have_attribute("aria-expanded", "true")
    chart = explored.get_by_test_id("study-chart")
    click_on(explored, chart, "tree", 2)
    expect(explored.get_by_test_id("concept")).to_have_value("tree")
    expect(explored.get_by_test_id("layer")).to_have_attribute("aria-valuetext", "layer 2")
    expect(explored.get_by_test_id("heatmap-cell")).to_contain_text("tree · layer 2")
    lab.until_said(explored, "print(explored.panel.concept, explored.panel.layer)", "tree 2")
    explored.get_by_test_id("concept").select_option("chaos")
    expect(chart.locator(".mp-concept-line.mp-chosen")).to_have_attribute("data-concept", "chaos")
    explored.locator(".mp-lab").screenshot(path=SHOTS / "study-lab.png")
    explored.get_by_test_id("open-studies").click()
    expect(chart).to_have_count(0)


def test_a_chart_without_numbers_says_why_in_place_of_empty_axes(browser: Browser, tmp_path: Path) -> None:
    mp.report(unknown(), tmp_path / "page.html")
    page = browser.new_page(viewport={"width": 900, "height": 900})
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    expect(page.get_by_test_id("study-nothing")).to_contain_text("Nothing to draw, the numbers of 3 entity")
    expect(page.get_by_test_id("study-chart")).to_be_hidden()
    page.screenshot(path=SHOTS / "study-nothing.png")
    page.get_by_test_id("study-charts").select_option(label="steering, vector")
    expect(page.get_by_test_id("study-nothing")).to_be_hidden()
    expect(page.get_by_test_id("study-chart").locator("svg")).to_be_visible()
    expect(page.get_by_test_id("study-legend")).to_be_visible()
    page.close()


def test_a_page_of_studies_is_explored_without_a_kernel(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    studies = [with_multiverse(localization()), atlas(), reliability(), comparison()]
    studies_report([("First", ["In words."], studies[:2]), ("Second", [], studies[2:])], path, "Studies")
    page = browser.new_page(viewport={"width": 900, "height": 1200})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: wrong.append(asked.url) if not asked.url.startswith("file:") else None)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    first, second, third, fourth = page.get_by_test_id("study").all()
    click_on(page, first.get_by_test_id("study-chart"), "c1", 1)
    for one in (first, second, third, fourth):
        expect(one.get_by_test_id("study-concept")).to_have_value("c1")
    expect(third.get_by_test_id("study-layer")).to_have_value("1")
    expect(third.locator(".mp-single.mp-chosen")).to_have_attribute("data-concept", "c1")
    expect(second.locator(".mp-name.mp-chosen")).to_have_count(2)
    fourth.get_by_test_id("study-charts").select_option(label="Mean effect of each model at each relative depth")
    expect(fourth.locator("svg rect").first).to_be_visible()
    page.locator("summary").first.click()
    page.screenshot(path=SHOTS / "study-page.png", full_page=True)
    assert not wrong, json.dumps(wrong)
    assert mp.report(studies[0], path).size < 150_000
    page.close()
