"""Which units of a sweep are one process's own, where several share it by arithmetic."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mllm_probe.models.argument_checks import described


@dataclass(frozen=True)
class Shard:
    """Every so many-th unit.

    `number`: from 1 on. `of`: number of shards.
    """

    number: int
    of: int

    def owns(self, unit: int) -> bool:
        """Whether the unit with this number, from 0 on, is this shard's own."""
        return unit % self.of == self.number - 1

    @property
    def whole(self) -> bool:
        """Whether all units are its own."""
        return self.of == 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


WHOLE = Shard(1, 1)


def shard_of(given: object) -> Shard:
    """Read a shard such as ``"3/16"``, the third of sixteen; None is the whole.

    Raises ValueError if it is none.
    """
    if given is None:
        return WHOLE
    told = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", given) if isinstance(given, str) else None
    if told is None or not 1 <= int(told[1]) <= int(told[2]):
        raise ValueError(
            f"shard: expected a text such as '3/16', the third of sixteen (the first is 1/16); got {described(given)}."
        )
    return Shard(int(told[1]), int(told[2]))
