"""Studies in a real JupyterLab: read by pointer and keys, selected everywhere in the lab, and saved as a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

import mllm_probe as mp
from mllm_probe.reports import studies_report
from tests.browser import lab, pages
from tests.plots.studies_by_hand import atlas, comparison, localization, reliability, unknown, with_multiverse

pytestmark = pytest.mark.browser
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
LAB = """
library = mp.concepts.scenes(concepts=names, pairs=4)
explored = mp.explore("scenes-4l", library, strengths=(1,), draws=4)
explored
"""
WAIT = """
assert explored.wait(300), explored.bar.message
shown = explored.show_study(study.assign_attrs(model="scenes-4l"))
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
def page(desk: lab.Desk) -> Iterator[Page]:
    desk.notebook("study.ipynb", STUDY.strip(), ATLAS, LAB.strip())
    with desk.opened("study.ipynb", 1100, 1300) as made:
        made.get_by_test_id("study").wait_for()
        yield made


def point_at(chart: Locator, name: str, place: int) -> None:
    """Move the pointer to a point of a concept's line."""
    chart.scroll_into_view_if_needed()
    lab.drawn(chart.page)
    x, y = chart.page.evaluate(_VERTEX, [chart.locator("svg").element_handle(), name, place])
    chart.page.mouse.move(x, y)


def click_on(chart: Locator, name: str, place: int) -> None:
    point_at(chart, name, place)
    chart.page.mouse.down()
    chart.page.mouse.up()


@pytest.mark.journey
def test_a_study_is_read_selected_and_looked_at_in_its_charts(page: Page) -> None:
    chart, readout = page.get_by_test_id("study-chart"), page.get_by_test_id("study-chart-readout")
    expect(page.get_by_test_id("study-summary")).to_contain_text("Nothing is <b>concluded</b>.")
    details = page.get_by_test_id("study-details")
    details.locator("summary").click()
    expect(details.get_by_role("row")).to_have_text(
        ["entity (3)read out by 2.0 blocks", "abstract (3)not <b>known</b>"]
    )
    point_at(chart, "house", 1)
    expect(readout).to_have_text(f"house · block 1 · {float(localization().read_out[0, 2, 1]):.2f}")
    click_on(chart, "house", 1)
    selected(page, chart, "house", 1)
    chart.focus()
    for key, text in {"Escape": "", "ArrowRight": "entity (3) · block 0"}.items():
        chart.press(key)
        expect(readout).to_contain_text(text)
    chart.press("ArrowRight")
    expect(readout).to_contain_text("entity (3) · block 1")
    for _ in range(2):
        chart.press("ArrowDown")
    expect(readout).to_contain_text("cat · block 1")
    chart.press("Enter")
    selected(page, chart, "cat", 1)
    before = chart.locator('[data-concept="cat"] .mp-line').get_attribute("d")
    page.get_by_test_id("study-charts").select_option(label="steering, vector")
    expect(page.locator(".mp-study h4").first).to_contain_text("(steering, vector)")
    assert chart.locator('[data-concept="cat"] .mp-line').get_attribute("d") != before
    lab.said(page, "view.concept, view.layer = 'chaos', 2")
    selected(page, chart, "chaos", 2)
    every_way_to_ask_is_read_with_its_setting(page)
    atlas_is_selected_by_its_rows_and_both_themes_are_readable(page)
    assert lab.nameless(page) == []


def selected(page: Page, chart: Locator, concept: str, layer: int) -> None:
    expect(page.get_by_test_id("study-concept").first).to_have_value(concept)
    expect(page.get_by_test_id("study-layer").first).to_have_value(str(layer))
    expect(chart.locator(".mp-concept-line.mp-chosen")).to_have_attribute("data-concept", concept)
    expect(chart.locator(".mp-here")).to_have_attribute("data-layer", str(layer))
    lab.until_said(page, "print(view.concept, view.layer)", f"{concept} {layer}")


def every_way_to_ask_is_read_with_its_setting(page: Page) -> None:
    ways, place = page.get_by_test_id("study-multiverse"), page.get_by_test_id("study-multiverse-ways")
    readout = page.get_by_test_id("study-multiverse-ways-readout")
    expect(ways).to_contain_text("positive in 2 of 4 ways, negative in 1, not known in 1")
    place.focus()
    place.press("ArrowRight")
    expect(readout).to_have_text("way 1 of 4 · −1.00 blocks · dose 0.5, token scope last_prompt")
    place.press("ArrowRight")
    expect(readout).to_contain_text("way 2 of 4 (headline)")
    assert ways.locator(".mp-verdict").count() == 3 and ways.locator(".mp-setting").count() == 8


def atlas_is_selected_by_its_rows_and_both_themes_are_readable(page: Page) -> None:
    made = lab.finish_cell(page, 1)
    matrix = made.get_by_test_id("study-chart")
    matrix.focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        matrix.press(key)
    expect(made.get_by_test_id("study-concept")).to_have_value("house")
    expect(matrix.locator(".mp-frame")).to_have_count(2)
    for theme in ("Dark", "Light"):
        lab.set_theme(page, f"JupyterLab {theme}")
        is_dark = "dark => document.querySelector('.mp-study').dataset.dark === dark"
        page.wait_for_function(is_dark, arg=str(theme == "Dark").lower())
        lab.drawn(page)
        ink, paper = page.locator(".mp-study").first.evaluate(_COLOURS)
        assert ink != paper
        for number, part in enumerate(page.get_by_test_id("study").all()):
            part.scroll_into_view_if_needed()
            part.screenshot(path=lab.SHOTS / f"study-{number}-{theme.lower()}.png")


def test_a_study_in_the_lab_selects_everywhere(page: Page) -> None:
    area = lab.finish_cell(page, 2)
    area.get_by_test_id("heatmap-cell").wait_for(timeout=300_000)
    expect(area.get_by_test_id("open-studies")).to_have_count(0)
    lab.said(page, WAIT)
    expect(area.get_by_test_id("open-studies")).to_have_attribute("aria-expanded", "true")
    chart = area.get_by_test_id("study-chart")
    click_on(chart, "tree", 2)
    expect(area.get_by_test_id("concept")).to_have_value("tree")
    expect(area.get_by_test_id("layer")).to_have_attribute("aria-valuetext", "layer 2")
    expect(area.get_by_test_id("heatmap-cell")).to_contain_text("tree · layer 2")
    lab.until_said(page, "print(explored.panel.concept, explored.panel.layer)", "tree 2")
    area.get_by_test_id("concept").select_option("chaos")
    expect(chart.locator(".mp-concept-line.mp-chosen")).to_have_attribute("data-concept", "chaos")
    area.locator(".mp-lab").screenshot(path=lab.SHOTS / "study-lab.png")
    area.get_by_test_id("open-studies").click()
    expect(chart).to_have_count(0)


def test_pages_of_studies_are_explored_without_a_kernel(offline: pages.Offline, tmp_path: Path) -> None:
    mp.report(unknown(), tmp_path / "unknown.html")
    page = offline.open(tmp_path / "unknown.html")
    expect(page.get_by_test_id("study-nothing")).to_contain_text("Nothing to draw, the numbers of 3 entity")
    expect(page.get_by_test_id("study-chart")).to_be_hidden()
    page.screenshot(path=lab.SHOTS / "study-nothing.png")
    page.get_by_test_id("study-charts").select_option(label="steering, vector")
    expect(page.get_by_test_id("study-nothing")).to_be_hidden()
    expect(page.get_by_test_id("study-chart").locator("svg")).to_be_visible()
    expect(page.get_by_test_id("study-legend")).to_be_visible()
    studies = [with_multiverse(localization()), atlas(), reliability(), comparison()]
    sections = [("First", ["In words."], studies[:2]), ("Second", [], studies[2:])]
    studies_report(sections, tmp_path / "page.html", "Studies")
    offline.open(tmp_path / "page.html")
    views = first, second, third, fourth = page.get_by_test_id("study").all()
    click_on(first.get_by_test_id("study-chart"), "c1", 1)
    for one in views:
        expect(one.get_by_test_id("study-concept")).to_have_value("c1")
    expect(third.get_by_test_id("study-layer")).to_have_value("1")
    expect(third.locator(".mp-single.mp-chosen")).to_have_attribute("data-concept", "c1")
    expect(second.locator(".mp-name.mp-chosen")).to_have_count(2)
    fourth.get_by_test_id("study-charts").select_option(label="Mean effect of each model at each relative depth")
    expect(fourth.locator("svg rect").first).to_be_visible()
    page.locator("summary").first.click()
    page.screenshot(path=lab.SHOTS / "study-page.png", full_page=True)
