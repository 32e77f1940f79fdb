"""One HTML file that opens in any browser without a network, and its tables; what comes from data is text."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mllm_probe.models.argument_checks import writable_path_of
from mllm_probe.schema import package_version
from mllm_probe.typing import JsonObject

_EXPORTED = re.compile(r"export\s*\{\s*([\w$]+) as default\s*,?\s*\};?\s*$")
_KILOBYTE = 1000
_SCRIPT = Path(__file__).parents[1] / "static" / "saved_page.js"


@dataclass(frozen=True)
class Written:
    """A file that was written, and how large it is.

    `size`: Bytes.
    """

    path: Path
    size: int

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return f"{self.path}, {size_text(self.size)}"

    __repr__ = __str__


@dataclass(frozen=True)
class Section:
    """Texts of a page around its widgets, as markup made by this package.

    `title`: plain text. `body`: markup; everything in it that comes from data is escaped.
    """

    title: str
    body: str


def size_text(size: int) -> str:
    """Size of a file in words: "132 kB"."""
    if size < 1_000 * _KILOBYTE:
        return f"{max(1, round(size / _KILOBYTE))} kB"
    return f"{size / 1_000_000:.1f} MB"


def text(value: object) -> str:
    """Data as text in markup: nothing in it is ever a tag, an attribute or an entity."""
    return html.escape(str(value), quote=True)


def plain(value: object) -> object:
    """Data as JSON takes it: NaN and infinities become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def base64_of(data: bytes | bytearray | memoryview) -> str:
    """Bytes as base64 text."""
    return base64.b64encode(data).decode("ascii")


def document(
    title: str,
    lead: str,
    sections: Sequence[Section],
    state: JsonObject,
    modules: Sequence[str],
) -> str:
    """Make a whole page.

    `title`, `lead`: plain text: the heading, and a line below it. `state`: what ``widgets/src/pages/saved_page.ts``
    opens: models, mounts, links, answers. `modules`: ES modules of the widgets, in the order in which ``state`` counts
    them. Returns: HTML. Its content security policy runs only the scripts of this page and forbids every request.
    """
    scripts = [registered(module, number) for number, module in enumerate(modules)]
    scripts.append(_started(_SCRIPT.read_text(encoding="utf-8")))
    allowed = " ".join(f"'sha256-{base64_of(hashlib.sha256(script.encode()).digest())}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    body = "\n".join(_section(section) for section in sections)
    running = "\n".join(f'<script type="module">{script}</script>' for script in scripts)
    parts = {"title": text(title), "lead": text(lead), "body": body, "policy": policy, "state": _json(state)}
    measured = _page(**parts, running=running, size="")
    return _page(**parts, running=running, size=size_text(len(measured.encode())))


def _page(*, title: str, lead: str, body: str, policy: str, state: str, running: str, size: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
</head>
<body>
<header class="page-head"><h1>{title}</h1><p>{lead}</p></header>
<main>
<noscript><p>The figures that can be explored need JavaScript; nothing is loaded from anywhere.</p></noscript>
{body}
</main>
<footer class="page-foot">Made with mllm_probe {text(package_version())}. One file, {size}; it works offline and \
makes no network requests.</footer>
<script type="application/json" id="mp-page">{state}</script>
{running}
</body>
</html>
"""


def _section(section: Section) -> str:
    heading = f"<h2>{text(section.title)}</h2>\n" if section.title else ""
    return f"<section>\n{heading}{section.body}\n</section>"


def _json(state: JsonObject) -> str:
    """JSON that cannot end the script element around it."""
    escaped = json.dumps(plain(state), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        escaped = escaped.replace(sign, f"\\u{ord(sign):04x}")
    return escaped


def registered(module: str, number: int) -> str:
    """Turn an ES module into a script that leaves its default export where the page looks for it.

    Raises ValueError if the module does not end with its default export, or cannot be embedded in a page.
    """
    return _ended(module, lambda name: f"(globalThis.mpModules??={{}})[{number}]={name};")


def _started(module: str) -> str:
    return _ended(module, lambda name: f"{name}();")


def _ended(module: str, end: Callable[[str], str]) -> str:
    exported = _EXPORTED.search(module)
    if exported is None:
        raise ValueError(
            "a widget's bundle should end with its default export, 'export{… as default}'; build it again with "
            "'npm run build' in widgets/."
        )
    script = module[: exported.start()] + end(exported.group(1))
    if re.search(r"</script|<!--", script, re.IGNORECASE):
        raise ValueError("a widget's bundle holds '</script' or '<!--' and cannot stand in a page.")
    return script


def write(path: str | os.PathLike[str], content: str | bytes) -> Written:
    """Write a file whole or not at all.

    Raises ValueError if it is no path, or a name too long for a file. Raises FileNotFoundError if its folder does not
    exist. Raises IsADirectoryError if it is a folder.
    """
    target = writable_path_of("path", path)
    data = content.encode() if isinstance(content, str) else content
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return Written(target, len(data))


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
    cells = "".join(f"<td{side}>{text(value)}</td>" for value, side in zip(rest, sides[1:], strict=True))
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
