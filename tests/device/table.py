"""Print what each call on the simulated accelerator waits for, sends and moves: ``python -m tests.device.table``."""

from __future__ import annotations

import warnings

from tests.device.calls import CALLS
from tests.device.test_calls import own, ran

COLUMNS = "{:<70} {:>6} {:>6} {:>8} {:>10} {:>10} {:>10}"


def main() -> None:
    """Run every call on one accelerator, and once on two."""
    warnings.simplefilter("ignore")
    print(COLUMNS.format("call", "waits", "model", "uploads", "to host", "to device", "sim to sim"))
    for name in CALLS:
        traffic, sharded = ran(name, "sim")[1], ran(name, "sharded")[1]
        waits, uploads = own(traffic.waits), own(traffic.uploads)
        models = sum(traffic.waits.values()) - waits
        counts = waits, models, uploads, traffic.to_host, traffic.to_device, sharded.between
        print(COLUMNS.format(name, *counts))
    print("waits, uploads: of the package; model: waits of transformers' own code; the others: bytes,")
    print("the last on two accelerators")


if __name__ == "__main__":
    main()
