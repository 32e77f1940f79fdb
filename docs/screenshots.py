"""Take the pictures of the lab that the documents show, light and dark: `python docs/screenshots.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from tests.browser import lab  # noqa: E402

CELL = """
import mllm_probe as mp
lab = mp.explore("scenes-8l")
lab
"""
SETTING = """
assert lab.wait(600)
lab.bar.opened = ["patches"]
lab.panel.choose(picture=2)
lab.panel.choose(concept="dotted")
assert lab.wait(600) and lab.parts.widgets["patches"].wait(600)
print("set")
"""
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
LONG = 900_000


def take(page: Page) -> None:
    """Wait for all of the lab, and take its picture in both themes."""
    page.set_default_timeout(LONG)
    page.get_by_test_id("heatmap").wait_for()
    lab.until_said(page, SETTING, "set")
    expect(page.get_by_test_id("lab-status")).to_be_empty(timeout=LONG)
    for name, theme in THEMES.items():
        lab.set_theme(page, theme)
        page.mouse.move(5, 5)
        lab.drawn(page)
        page.screenshot(path=FOLDER / f"explore-{name}.png")


def main() -> None:
    """Take the pictures and print where they are."""
    with tempfile.TemporaryDirectory() as name, lab.running(Path(name)) as desk:
        desk.notebook("lab.ipynb", CELL.strip())
        with desk.opened("lab.ipynb", 1500, 1250) as page:
            take(page)
    print(*(f"docs/explore-{name}.png" for name in THEMES), sep="\n")


if __name__ == "__main__":
    main()
