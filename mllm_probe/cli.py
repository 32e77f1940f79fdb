"""The command line: the functions of the package for long jobs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``mllm-probe``; the exit status is 0 when all is well, 1 when a check failed, 2 for wrong input."""
    parser = argparse.ArgumentParser(prog="mllm-probe", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for add in (_add_families, _add_verify, _add_report):
        add(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (ValueError, FileNotFoundError) as error:
        print(f"mllm-probe: {error}", file=sys.stderr)
        return 2


def _add_families(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "families",
        help="verify tiny random models of every family, and print the table",
        description="Verify a tiny random model of every family of Transformers' image-text-to-text mapping.",
    )
    parser.add_argument("names", nargs="*", help="families; all by default")
    parser.add_argument("--details", action="store_true", help="print every check")
    parser.set_defaults(run=_families)


def _add_verify(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("verify", help="load a model and print every check of its parts")
    parser.add_argument("model", help="a bundled name, a hub id, or a folder that starts with ./, ../ or /")
    parser.add_argument("--device", help="cuda when there is one, else cpu")
    parser.add_argument("--dtype", help="float32, bfloat16 …")
    parser.add_argument("--device-map", help="share the blocks out over several devices, for instance auto")
    parser.add_argument("--revision", help="branch, tag or commit on the hub")
    parser.add_argument("--trust-remote-code", action="store_true", help="run code that comes with the checkpoint")
    parser.set_defaults(run=_verify)


def _add_report(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("report", help="write one offline page from the store of a sweep")
    parser.add_argument("grid", help="the folder that sweep(store=…) wrote, whole or half filled")
    parser.add_argument("page", help="the file to write, for instance report.html")
    parser.add_argument("--metric", help="the metric that the page begins with")
    parser.add_argument("--title", help="heading of the page")
    parser.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> int:
    import xarray as xr

    from mllm_probe.widgets.report import report

    if not os.path.isdir(options.grid):
        raise FileNotFoundError(f"there is no folder '{options.grid}' with the store of a sweep.")
    print(report(xr.open_zarr(options.grid), options.page, metric=options.metric, title=options.title))
    return 0


def _families(options: argparse.Namespace) -> int:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import torch

    from mllm_probe.loading.zoo.common import FAMILIES
    from mllm_probe.loading.zoo.survey import survey

    torch.set_num_threads(1)  # such small tensors only lose by being shared out
    rows = []
    for row in survey(options.names or None):
        print(row, flush=True)
        if options.details and row.report is not None:
            print("\n".join(str(row.report).splitlines()[1:]), flush=True)
        rows.append(row)
    verified = [row.family for row in rows if row.verified]
    print(f"\n{len(verified)} of {len(rows)} families verified, {len(rows) - len(verified)} skipped.")
    return int(any(not row.verified and row.family in FAMILIES for row in rows))


def _verify(options: argparse.Namespace) -> int:
    from mllm_probe.loading import VerificationError, load

    try:
        model = load(
            options.model,
            device=options.device,
            dtype=options.dtype,
            device_map=options.device_map,
            revision=options.revision,
            trust_remote_code=options.trust_remote_code,
        )
    except VerificationError as error:
        print(error)
        return 1
    report = model.verify()
    print(model.describe(), report, sep="\n\n")
    return int(not report.passed)


if __name__ == "__main__":
    sys.exit(main())
