"""The table of bundled models in docs/models.md: sizes of their weights, and results from their cards; prints it."""

from __future__ import annotations

import json
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "mllm_probe" / "models" / "bundled"
HEAD = (
    "model", "blocks", "MB", "new scenes, whole list right", "combinations never seen",
    "concepts that steering puts into 90 % of answers", "concepts clear of controls", "mean score",
)  # fmt: skip


def row(folder: Path) -> tuple[str, ...]:
    """Cells of one model.

    Raises
    ------
    ValueError
        If its card lacks one of the results.
    """
    card = (folder / "README.md").read_text(encoding="utf-8")
    whole = re.findall(r"^\| whole list \| ([\d.]+) ", card, re.MULTILINE)
    steered = re.search(r"^\| all \| (\d+ of \d+) \| (\d+ of \d+) \| ([\d.]+) ", card, re.MULTILINE)
    if len(whole) < 2 or steered is None:
        raise ValueError(f"{folder.name}: expected two rows 'whole list' and a row 'all' of steerability in README.md.")
    blocks = json.loads((folder / "config.json").read_text(encoding="utf-8"))["text_config"]["num_hidden_layers"]
    size = (folder / "model.safetensors").stat().st_size / 1e6
    return (f"`{folder.name}`", str(blocks), f"{size:.1f}", whole[0], whole[1], steered[1], steered[2],
            f"{float(steered[3]):.2f}")  # fmt: skip


def table() -> str:
    """Markdown table, from the model of fewest blocks to that of most."""
    rows = sorted((row(folder) for folder in FOLDER.glob("scenes-*")), key=lambda cells: int(cells[1]))
    lines = ["| " + " | ".join(cells) + " |" for cells in (HEAD, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(HEAD), *lines[1:]])


if __name__ == "__main__":
    print(table())
