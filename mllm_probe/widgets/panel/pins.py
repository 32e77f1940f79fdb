"""Pinned answers: a setting with its three answers, kept for comparison with the live ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mllm_probe.typing import Traits
from mllm_probe.widgets.panel.setting import Setting

MOST = 4

Pin = dict[str, Any]


def with_pin(
    pins: Sequence[Pin],
    setting: Setting,
    picture: str,
    answers: Traits,
    read: Traits,
    code: str,
) -> list[Pin]:
    """The pins with one more; a setting that is pinned already is not pinned twice.

    `picture`: its label.
    `answers`: by name of the row, and what is known of them.
    `read`: their spans and facts, by name of the row.
    `code`: code that reproduces them.

    Raises ValueError if there are four already.
    """
    if any(old["setting"] == setting.plain() for old in pins):
        return list(pins)
    if len(pins) >= MOST:
        raise ValueError(f"{MOST} settings are pinned already; remove one first.")
    number = 1 + max((old["id"] for old in pins), default=0)
    entry = {"id": number, "setting": setting.plain(), "picture": picture, "code": code}
    return [*pins, entry | {"answers": answers} | read]


def without_pin(pins: Sequence[Pin], number: int) -> list[Pin]:
    """The pins but one."""
    return [old for old in pins if old["id"] != number]
