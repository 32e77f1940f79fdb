"""What a person meets first: JupyterLab as `make lab` opens it, and the quick start after Run All."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
QUICKSTART = "00_quickstart.ipynb"
SOURCE = lab.ROOT / "tutorials" / QUICKSTART
TALL = "\n".join(f"# line {k}" for k in range(60))

_HOLD = """(code) => {
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  kernel.requestExecute({ code, store_history: false });
}"""
"""Have the kernel busy, without waiting for its end."""
_SCROLLED = "() => document.querySelector('.jp-WindowedPanel-outer').scrollTop"
_TO_MIDDLE = "() => document.querySelectorAll('.jp-Cell')[1].scrollIntoView({ block: 'center' })"
_SETTLED = "() => new Promise((resolve) => setTimeout(resolve, 500))"
"""A timer that is set after the notebook's own and for longer goes off after it."""
_FIRST_OUTPUT = """() => {
  const seen = (output) => output.textContent.trim() || output.querySelector('img, svg, canvas');
  const first = [...document.querySelectorAll('.jp-Notebook .jp-OutputArea-output')].find(seen);
  if (!first) return null;
  const [box, view] = [first, document.querySelector('.jp-WindowedPanel-outer')].map((e) => e.getBoundingClientRect());
  return { above: view.top - box.top, below: box.bottom - view.bottom, height: box.height };
}"""
"""How far the first output reaches out of the notebook's part of the window, above and below, and its height."""


@pytest.fixture(scope="module")
def unused(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Desk]:
    """A JupyterLab that nobody has used, with the settings of `make lab` and no others."""
    folder = tmp_path_factory.mktemp("opening")
    with lab.server(folder, settings={}) as address:
        context = browser.new_context(base_url=address)
        yield lab.Desk(context, address, folder)
        context.close()


@pytest.fixture(scope="module")
def page(unused: lab.Desk) -> Page:
    """A page on which the notebooks are opened one after the other."""
    shutil.copy(SOURCE, unused.folder / QUICKSTART)
    unused.notebook("small.ipynb", TALL, cell_that_moves_the_view(), "print('first')", TALL, lab.BUSY)
    return unused.page(1280, 800)


def cell_that_moves_the_view() -> str:
    """The quick start's first cell of code."""
    cells = json.loads(SOURCE.read_text(encoding="utf-8"))["cells"]
    return "".join(next(cell for cell in cells if cell["cell_type"] == "code")["source"])


def run_all(page: Page) -> None:
    """Choose *Run All Cells* in the menu."""
    page.locator("#jp-MainMenu").get_by_text("Run", exact=True).click()
    page.locator(".lm-Menu").get_by_text("Run All Cells", exact=True).click()


def is_in_view(page: Page) -> bool:
    """Whether all of the first output is in the notebook's part of the window."""
    place = page.evaluate(_FIRST_OUTPUT)
    return bool(place) and place["height"] > 5 and place["above"] <= 0 and place["below"] <= 0


@pytest.mark.journey
def test_the_quick_start_opens_alone_and_run_all_leaves_its_first_output_in_view(page: Page) -> None:
    page.goto(f"/lab/tree/{QUICKSTART}")
    lab.notebook_ready(page)
    page.evaluate(_SETTLED)
    assert page.evaluate("window.jupyterapp.shell.leftCollapsed && window.jupyterapp.shell.rightCollapsed")
    expect(page.locator("#filebrowser")).to_be_hidden()
    folder = page.locator(".jp-SideBar.jp-mod-left .lm-TabBar-tab[data-id=filebrowser]")
    folder.click()
    expect(page.locator("#filebrowser").get_by_text(QUICKSTART)).to_be_visible()
    folder.click()
    expect(page.locator("#filebrowser")).to_be_hidden()
    run_all(page)
    expect(page.locator(".jp-Notebook .jp-OutputArea-output img").first).to_be_visible(timeout=300_000)
    assert is_in_view(page), page.evaluate(_FIRST_OUTPUT)
    page.screenshot(path=lab.SHOTS / "opening-run-all.png")
    third = page.locator(".jp-CodeCell .jp-InputPrompt").nth(2)
    expect(third).to_have_text(lab.NUMBERED, timeout=300_000)
    assert is_in_view(page), page.evaluate(_FIRST_OUTPUT)
    assert page.locator(".Toastify__toast").all_text_contents() == [], "nothing asks about news"


@pytest.mark.parametrize("moved", ["no", "scrolled", "clicked"])
def test_the_view_moves_only_if_nobody_has_moved_it(page: Page, unused: lab.Desk, moved: str) -> None:
    unused.end_kernels()
    lab.open_notebook(page, unused.address, "small.ipynb")
    lab.command(page, "notebook:clear-all-cell-outputs")
    page.evaluate(_HOLD, lab.BUSY.replace("busy", "held"))
    run_all(page)
    page.wait_for_function(f"({_SCROLLED})() > 500")
    page.evaluate(_SETTLED)  # the page scrolls some time after it was asked to
    box = page.locator(".jp-WindowedPanel-outer").bounding_box()
    assert box
    page.mouse.move(box["x"] + 300, box["y"] + 100)
    if moved == "scrolled":
        page.mouse.wheel(0, -1600)  # beyond the first output
        page.evaluate(_SETTLED)
    if moved == "clicked":
        page.mouse.wheel(0, -200)  # the last cell stays in the window
        page.evaluate(_SETTLED)
        page.mouse.click(box["x"] + 300, box["y"] + 100)
        assert page.locator(".jp-Cell").nth(3).evaluate("cell => cell.matches('.jp-mod-active')")
    lab.wait_for_file(page, unused.folder / "held")
    (unused.folder / "held").unlink()
    expect(page.get_by_text("first", exact=True)).to_be_attached()
    page.evaluate(_SETTLED)
    shown = is_in_view(page)
    lab.wait_for_file(page, unused.folder / "busy")
    (unused.folder / "busy").unlink()
    expect(page.locator(".jp-CodeCell .jp-InputPrompt").last).to_have_text(lab.NUMBERED)
    assert shown == (moved == "no"), page.evaluate(_FIRST_OUTPUT) | {"scrolled": page.evaluate(_SCROLLED)}


def test_a_saved_notebook_opens_at_its_top_and_a_cell_run_by_itself_leaves_the_view(
    page: Page, unused: lab.Desk
) -> None:
    lab.save(page)
    lab.open_notebook(page, unused.address, "small.ipynb")
    expect(page.locator(".jp-RenderedJavaScript")).to_be_attached()
    page.evaluate(_SETTLED)
    assert page.evaluate(_SCROLLED) == 0
    lab.finish_cell(page, 1)
    page.evaluate(_SETTLED)
    page.evaluate(_TO_MIDDLE)
    page.evaluate(_SETTLED)
    before = page.evaluate(_SCROLLED)
    lab.finish_cell(page, 1)
    page.evaluate(_SETTLED)
    assert page.evaluate(_SCROLLED) == before > 0
