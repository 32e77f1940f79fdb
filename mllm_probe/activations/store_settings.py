"""Settings of a store against those that are asked for, field by field."""

from __future__ import annotations

from mllm_probe.models.argument_checks import shortened
from mllm_probe.typing import JsonObject

_SHOWN = 200


def require_same(stored: JsonObject, asked: JsonObject, where: str, what: str = "sweep") -> None:
    """Raise a ValueError that names every field in which a store differs from what is asked for, with both values.

    `stored`, `asked`: settings by name. Weights decide: the same ones under another name of the model are the same
    settings. `where`: path of the store. `what`: kind of what it holds.
    """
    fields = dict.fromkeys([*asked, *stored])
    different = [name for name in fields if stored.get(name) != asked.get(name)]
    if different == ["model"]:  # the same weights under another name
        return
    if different:
        lines = [
            f"{name}: stored {_shown(stored.get(name))}, asked for {_shown(asked.get(name))}" for name in different
        ]
        raise ValueError(
            f"the store {where} holds a {what} with other settings ({'; '.join(lines)}). Give these settings to go on "
            f"with it, or another path for a new {what}."
        )


def _shown(value: object) -> str:
    return shortened(repr(value), _SHOWN)
