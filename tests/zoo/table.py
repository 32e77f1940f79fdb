"""The table of `mllm-probe families`: `python -m tests.zoo.table` shows it, `--write` puts it into the package."""

from __future__ import annotations

import json
import sys
from datetime import date

import torch
import transformers

from mllm_probe.loading.model_list import TABLE
from mllm_probe.typing import JsonObject
from tests.zoo.family_survey import Row, survey


def as_json(row: Row) -> JsonObject:
    """A family as the package's table holds it: every check by its outcome."""
    checks = {} if row.report is None else {check.name: check.outcome.value for check in row.report.checks}
    return {"family": row.family, "verified": row.verified, "kind": row.kind, "remarks": row.remarks, "checks": checks}


def main(arguments: list[str]) -> None:
    """Verify a tiny random model of every family, print a line each, and write the table when asked to."""
    torch.set_num_threads(1)  # such small tensors only lose by being shared out
    rows = []
    for row in survey():
        print(row, flush=True)
        rows.append(as_json(row))
    if "--write" in arguments:
        versions = {"transformers": transformers.__version__, "torch": torch.__version__.partition("+")[0]}
        document = {"date": date.today().isoformat(), "versions": versions, "families": rows}
        TABLE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
