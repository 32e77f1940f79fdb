"""Tables of a report as markup; everything from data goes in as text."""

from __future__ import annotations

from collections.abc import Sequence

from mllm_probe.widgets.pages.saved_page import text

_FIRST = (
    "model",
    "weights fingerprint",
    "prompt",
    "edited tokens",
    "operation",
    "unit of strength",
    "seed",
    "pictures",
    "controls",
    "computed by",
    "versions",
)


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    numbers: Sequence[int] = (),
    search: str = "",
    name: str = "",
) -> str:
    """Make a table with its first column as heads of the rows.

    `numbers`: columns that are set to the right. If these are all but the first, the table says so once for all of its
    cells. `search`: description of the rows; if given, a search field is put above the table. `name`: its
    ``data-testid``.
    """
    attributes = (f' data-search="{text(search)}"' if search else "") + (f' data-testid="{text(name)}"' if name else "")
    sides = [' class="number"' if column in numbers else "" for column in range(len(heads))]
    top = "".join(f'<th scope="col"{side}>{text(head)}</th>' for head, side in zip(heads, sides, strict=True))
    if len(heads) > 1 and all(sides[1:]):
        attributes, sides = f'{attributes} class="page-numbers"', [""] * len(heads)
    body = "\n".join(_row(row, sides) for row in rows)
    label = text(search or name or heads[0])
    return (
        f'<div class="page-scroll" tabindex="0" role="region" aria-label="{label}"><table{attributes}>'
        f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _row(row: Sequence[object], sides: Sequence[str]) -> str:
    first, *rest = row
    cells = "".join(f"<td{side}>{text(one)}</td>" for one, side in zip(rest, sides[1:], strict=True))
    return f'<tr><th scope="row">{text(first)}</th>{cells}</tr>'


def facts(rows: Sequence[tuple[str, object]]) -> str:
    """Make a table of names and values."""
    body = "\n".join(f'<tr><th scope="row">{text(name)}</th><td>{text(value)}</td></tr>' for name, value in rows)
    return f'<table class="page-facts" data-testid="all-facts"><tbody>\n{body}\n</tbody></table>'


def main_facts(rows: Sequence[tuple[str, object]]) -> str:
    """Make a short list of the facts that a reader asks for first."""
    body = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in rows if name in _FIRST)
    return f'<dl class="page-main-facts" data-testid="provenance">{body}</dl>'


def paragraph(sentence: str) -> str:
    """One paragraph."""
    return f"<p>{text(sentence)}</p>"


def items(lines: Sequence[str]) -> str:
    """Make a list."""
    return "<ul>" + "".join(f"<li>{text(line)}</li>" for line in lines) + "</ul>"


def folded(heading: str, body: str) -> str:
    """Markup that opens under its heading."""
    return f"<details><summary>{text(heading)}</summary>{body}</details>"
