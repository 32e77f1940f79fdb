"""Style sheets of widgets: nothing of them reaches the page around them, and shared rules have one home."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "widgets" / "src"
SHEETS = sorted(path for path in SOURCES.rglob("*.css") if path.name != "saved_page.css")  # a page is its own document
OWN = re.compile(r"(?:\[data-jp-theme-light=\"\w+\"\] )?(?:\.mp\b|:where\(\.mp\))")
WHOLE = 5
"""Rules with so many lines are not equal by chance."""


def rules(sheet: Path) -> list[tuple[str, str]]:
    """Selectors and declarations, those inside of conditions too."""
    text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"([^{};]+)\{([^{}]*)\}", text)
    return [(" ".join(selectors.split()), " ".join(body.split())) for selectors, body in found]


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: str(sheet.relative_to(SOURCES)))
def test_every_rule_is_about_a_widget(sheet):
    selectors = [one.strip() for group, _ in rules(sheet) for one in re.split(r",(?![^(]*\))", group)]
    assert selectors and [one for one in selectors if not OWN.match(one)] == []


def test_no_rule_stands_in_two_sheets():
    found = Counter(rule for sheet in SHEETS for rule in set(rules(sheet)) if rule[1].count(";") >= WHOLE)
    assert [rule for rule, times in found.items() if times > 1] == []
