"""What a person meets first: JupyterLab as `make lab` opens it, and the quick start after Run All."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import lab

pytestmark = pytest.mark.browser
QUICKSTART = "00_quickstart.ipynb"
SOURCE = lab.ROOT / "tutorials" / QUICKSTART

_HOLD = """async (code) => {
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  kernel.requestExecute({ code, store_history: false });
}"""
"""Have the kernel busy, without waiting for its end."""
_SCROLLED = "() => document.querySelector('.jp-WindowedPanel-outer').scrollTop"
_PLACE = """() => {
  const seen = (output) => output.textContent.trim() || output.querySelector('img, svg, canvas');
  const first = [...document.querySelectorAll('.jp-Notebook .jp-OutputArea-output')].find(seen);
  if (!first) return null;
  const [box, view] = [first, document.querySelector('.jp-WindowedPanel-outer')].map((e) => e.getBoundingClientRect());
  return { above: view.top - box.top, below: box.bottom - view.bottom, height: box.height };
}"""
"""How far the first output reaches out of the notebook's part of the window, above and below, and its height."""


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The quick start in a JupyterLab that nobody has used, with the settings of `make lab` and no others."""
    folder = tmp_path_factory.mktemp("opening")
    shutil.copy(SOURCE, folder / QUICKSTART)
    with lab.server(folder, settings={}) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        made = context.new_page()
        made.set_default_timeout(90_000)
        made.goto(f"{address}/lab/tree/{QUICKSTART}")
        lab.notebook_ready(made)
        yield made
        context.close()


def run_all(page: Page) -> None:
    """Choose *Run All Cells* in the menu."""
    page.locator("#jp-MainMenu").get_by_text("Run", exact=True).click()
    page.locator(".lm-Menu").get_by_text("Run All Cells", exact=True).click()


def is_in_view(page: Page) -> bool:
    """Whether all of the first output is in the notebook's part of the window."""
    place = page.evaluate(_PLACE)
    return bool(place) and place["height"] > 5 and place["above"] <= 0 and place["below"] <= 0


def test_the_file_browser_is_closed_and_opens_with_a_click(page: Page) -> None:
    expect(page.locator("#filebrowser")).to_be_hidden()
    assert page.evaluate("window.jupyterapp.shell.leftCollapsed && window.jupyterapp.shell.rightCollapsed")
    folder = page.locator(".jp-SideBar.jp-mod-left .lm-TabBar-tab[data-id=filebrowser]")
    folder.click()
    expect(page.locator("#filebrowser").get_by_text(QUICKSTART)).to_be_visible()
    folder.click()
    expect(page.locator("#filebrowser")).to_be_hidden()


def test_run_all_of_the_quick_start_leaves_its_first_output_in_view(page: Page) -> None:
    first = next(cell for cell in json.loads(SOURCE.read_text())["cells"] if cell["cell_type"] == "code")
    run_all(page)
    page.wait_for_function(_PLACE, timeout=300_000)
    expect(page.locator(".jp-Notebook .jp-OutputArea-output img").first).to_be_visible(timeout=300_000)
    assert is_in_view(page), (page.evaluate(_PLACE), first["source"])
    page.screenshot(path=lab.SHOTS / "opening-run-all.png")
    expect(page.get_by_text("parts found by rule").first).to_be_attached(timeout=300_000)
    assert is_in_view(page), page.evaluate(_PLACE)
    assert page.locator(".Toastify__toast").count() == 0
