"""Take the pictures of the lab that the documents show, light and dark.

`python docs/screenshots.py` takes all, `python docs/screenshots.py explore` those of one lab.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from tests.browser import lab  # noqa: E402

CELL = """
import mllm_probe as mp
lab = mp.explore("{model}")
lab
"""
SETTING = """
assert lab.wait(1500)
lab.bar.opened = {parts}
lab.panel.choose(picture={picture})
lab.panel.choose(concept="{concept}")
assert lab.wait(1500)
for part in lab.parts.widgets.values():
    assert part.wait(600)
print("set")
"""


@dataclass(frozen=True)
class View:
    """A lab to take a picture of: its model, and what is chosen in it."""

    model: str
    concept: str
    picture: int
    parts: tuple[str, ...]


VIEWS = {
    "explore": View("scenes-8l", "dotted", 2, ("patches",)),
}
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
LONG = 1_800_000


def take(page: Page, name: str, view: View) -> None:
    """Wait for all of the lab, and take its picture in both themes."""
    page.set_default_timeout(LONG)
    page.get_by_test_id("heatmap").wait_for()
    setting = SETTING.format(parts=list(view.parts), picture=view.picture, concept=view.concept)
    lab.until_said(page, setting, "set")
    expect(page.get_by_test_id("lab-status")).to_be_empty(timeout=LONG)
    for shade, theme in THEMES.items():
        lab.set_theme(page, theme)
        page.mouse.move(5, 5)
        lab.drawn(page)
        path = FOLDER / f"{name}-{shade}.png"
        page.screenshot(path=path)
        print(path.relative_to(FOLDER.parent))


def main(names: list[str]) -> None:
    """Take the pictures and print where they are."""
    for name in names or VIEWS:
        with tempfile.TemporaryDirectory() as folder, lab.running(Path(folder)) as desk:
            desk.notebook("lab.ipynb", CELL.format(model=VIEWS[name].model).strip())
            with desk.opened("lab.ipynb", 1500, 1250) as page:
                take(page, name, VIEWS[name])


if __name__ == "__main__":
    main(sys.argv[1:])
