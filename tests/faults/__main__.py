"""One line for each promise of a store, with counts: ``python -m tests.faults [promise …]``, or ``make faults``."""

from __future__ import annotations

import argparse
import sys
import time
import warnings

from tests.faults.children import quiet
from tests.faults.promises import PROMISES
from tests.faults.tally import scratch


def main() -> int:
    """Try the promises that are asked for; 1 where one does not hold."""
    options = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    options.add_argument("promises", nargs="*", default=[], help=f"of {', '.join(PROMISES)}; all by default")
    options.add_argument("--quick", action="store_true", help="a few tries of each")
    chosen = options.parse_args()
    unknown = [name for name in chosen.promises if name not in PROMISES]
    if unknown:
        options.error(f"unknown promise {unknown[0]!r}; there are {', '.join(PROMISES)}")
    warnings.simplefilter("ignore")
    quiet()
    kept = True
    with scratch() as (folder, whole):
        for one in (PROMISES[name] for name in chosen.promises or PROMISES):
            began = time.perf_counter()
            tally = one.tried(whole, folder, "quick" if chosen.quick else "full")
            print(tally, flush=True)
            for failure in tally.failures:
                print(f"  {failure}", file=sys.stderr)
            print(f"({one.name}: {time.perf_counter() - began:.0f} s)", file=sys.stderr, flush=True)
            kept &= tally.kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
