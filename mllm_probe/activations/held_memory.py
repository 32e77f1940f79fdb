"""`memory`: which of the package's arrays are still referred to, and what each of them holds on which device."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
import torch

from mllm_probe.activations.device_array import DeviceArray, alive, dtype_name

COLUMNS = ("made_by", "shape", "dtype", "device", "bytes")


@dataclass
class _Held:
    """Memory that one array, or several that share it, keep."""

    storages: dict[tuple[str, int], int]
    arrays: list[DeviceArray] = field(default_factory=list)


def memory() -> pd.DataFrame:
    """List the tensors behind datasets of this package that something still refers to, largest first.

    These are activations of :func:`capture`, recordings of :func:`sweep`, concept vectors, and results of their
    ``.torch`` accessor. The model's weights, and what a widget keeps in order to answer faster, are not among them.
    What is listed is freed when the last dataset (or selection of it, or notebook output ``Out[...]``) that refers to
    it is gone: ``del dataset``. PyTorch keeps freed GPU memory for later tensors; ``torch.cuda.empty_cache()`` gives
    it back to other programs.

    Returns
    -------
    pandas.DataFrame
        One row for each tensor and device. ``made_by``: the function that made it (``"calculation"`` for results of
        the accessor). ``shape`` and ``dtype`` of the array; selections and transposed views share its memory and have
        no row of their own. ``device``. ``bytes``: size of the memory that is kept there, which for a selection is
        that of the whole array it was taken from.

    Examples
    --------
    >>> mp.memory().groupby("device").bytes.sum()
    """
    held: list[_Held] = []
    for array in list(alive):
        storages = {_key(part): part.untyped_storage().nbytes() for part in array.parts}
        shared = next((known for known in held if known.storages.keys() & storages.keys()), None)
        if shared is None:
            held.append(shared := _Held({}))
        shared.storages |= storages
        shared.arrays.append(array)
    rows = [row for known in held for row in _rows(known)]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"bytes": "int64"})
    return table.sort_values(["bytes", "made_by"], ascending=[False, True], ignore_index=True)


def _key(part: torch.Tensor) -> tuple[str, int]:
    return str(part.device), part.untyped_storage().data_ptr()


def _rows(held: _Held) -> list[tuple[str, tuple[int, ...], str, str, int]]:
    whole = max(held.arrays, key=lambda array: sum(part.numel() for part in array.parts))
    makers = sorted({array.made_by for array in held.arrays} - {"calculation"}) or ["calculation"]
    dtype = dtype_name(whole.parts[0].dtype)
    sizes: dict[str, int] = {}
    for (device, _), size in held.storages.items():
        sizes[device] = sizes.get(device, 0) + size
    return [(", ".join(makers), tuple(whole.shape), dtype, device, size) for device, size in sorted(sizes.items())]
