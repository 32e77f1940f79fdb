"""Groups of near-duplicates, given by a function, a mapping or a CSV file, recorded with the images."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mllm_probe.concepts.concept import Concept
from mllm_probe.concepts.limits import checked_name
from mllm_probe.concepts.picture import Picture
from mllm_probe.models.images import read_text

Group = str | int | None
Groups = Callable[[Picture], Group] | Mapping[Any, Group]

_LARGEST_CSV = 32 * 2**20


def with_groups(concepts: Iterable[Concept], groups: Groups) -> list[Concept]:
    """Return the concepts with a group recorded in each image.

    `groups`: a callable takes a `Picture`. A mapping has paths or `Picture.id` as keys; images that it lacks are in no
    group, as are those whose group is None. Groups that were recorded before are replaced. Raises ValueError if a group
    is neither text nor a number, or a key of the mapping belongs to no image.
    """
    listed = list(concepts)
    group_of = groups if callable(groups) else _looked_up([p for c in listed for p in c.pictures], groups)

    def marked(pictures: Sequence[Picture]) -> tuple[Picture, ...]:
        return tuple(picture.marked(group=_name(group_of(picture), picture)) for picture in pictures)

    return [replace(c, positive=marked(c.positive), negative=marked(c.negative)) for c in listed]


def read_groups(file: Path, root: Path) -> dict[Path, str]:
    """Read a CSV file with the columns ``file`` (relative to ``root``) and ``group``.

    Raises FileNotFoundError if there is no such file. Raises ValueError if it is no such table, or gives a file two
    groups.
    """
    rows = csv.DictReader(io.StringIO(read_text(file, _LARGEST_CSV)))
    if not {"file", "group"} <= set(rows.fieldnames or ()):
        raise ValueError(
            f"{str(file)!r}: expected a CSV file whose first line names the columns file and group; it names "
            f"{', '.join(map(repr, rows.fieldnames or ())) or 'none'}."
        )
    try:
        listed = list(rows)
    except csv.Error as error:
        raise ValueError(f"{str(file)!r} cannot be read as CSV ({error}).") from error
    groups: dict[Path, str] = {}
    for number, row in enumerate(listed, start=2):
        name, group = (row["file"] or "").strip(), (row["group"] or "").strip()
        if not name or not group:
            raise ValueError(f"{str(file)!r}, line {number}: expected a file and its group; got {name!r}, {group!r}.")
        if groups.setdefault(root / name, group) != group:
            raise ValueError(f"{str(file)!r}, line {number}: {name!r} is in group {group!r} and in another one above.")
    return groups


def _looked_up(pictures: Sequence[Picture], groups: Any) -> Callable[[Picture], Group]:
    if not isinstance(groups, Mapping):
        raise ValueError(
            "groups: expected a function of an image, or a mapping from paths or image ids to groups; got "
            f"{type(groups).__name__}."
        )
    by_path = {os.path.abspath(picture.source): picture for picture in pictures if isinstance(picture.source, Path)}
    by_object: dict[int, Group] = {}
    rest: dict[str, Group] = {}
    for key, group in groups.items():
        picture = by_path.get(os.path.abspath(key)) if isinstance(key, (str, Path)) else None
        if picture is None:
            rest[str(key)] = group
        else:
            by_object[id(picture)] = group
    if rest:  # ids are hashes of pixels: images are decoded only if a key is no path
        by_id: dict[str, list[Picture]] = {}
        for picture in pictures:
            by_id.setdefault(picture.id, []).append(picture)
        lost = [key for key in rest if key not in by_id]
        if lost:
            raise ValueError(
                f"groups: {lost[0]!r} is neither the path nor the id of an image of this library"
                f"{f' (and {len(lost) - 1} more)' if len(lost) > 1 else ''}; paths are relative to the folder of the "
                "concepts in a CSV file, and to the working directory in a mapping."
            )
        by_object |= {id(picture): group for key, group in rest.items() for picture in by_id[key]}
    return lambda picture: by_object.get(id(picture))


def _name(group: Any, picture: Picture) -> str | None:
    if group is None:
        return None
    if isinstance(group, bool) or not isinstance(group, (str, int)):
        raise ValueError(f"groups: expected text, a whole number or None for {picture!r}; got {group!r}.")
    return checked_name("groups", str(group))
