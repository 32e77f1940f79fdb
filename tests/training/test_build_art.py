"""Sprite sheets: what is read of the packages and where sprites come to stand; drawing SVG itself needs cairo."""

import base64
import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mllm_probe.emoji.lexicon import ART_SETS, COLUMNS, SIDE, icon_facts, icons
from training.emoji import build_art
from training.emoji.build_art import (
    CLDR,
    INTEGRITY,
    OTHERWISE,
    TRAINING_ART,
    UNSEEN,
    Package,
    archive,
    code_points,
    facts,
    mean_colour,
    more_artists,
    sheet,
    sprites_of,
)


def packed(file, members):
    with tarfile.open(file, "w:gz") as opened:
        for name, content in members.items():
            text = json.dumps(content).encode()
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text)
            opened.addfile(info, io.BytesIO(text))


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Archives of the pinned names with icons of one square each, and CLDR's names."""
    hashes = {}
    codes = {entry["code"]: icon for icon, entry in icon_facts().items()}
    body = {"body": '<path fill="currentColor" d="M0 0h8v8H0z"/>'}
    for art in ART_SETS:
        file = tmp_path / f"{art.package.removeprefix('@').replace('/', '-')}-{art.version}.tgz"
        known = {"icons": dict.fromkeys(icons(), body), "width": 32, "height": 32}
        packed(file, {"icons.json": known, "chars.json": codes})
        hashes[art.package] = base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()
    names = {
        "".join(chr(int(point, 16)) for point in code.split("-")): {"tts": [icon], "default": ["x"]}
        for code, icon in codes.items()
    }
    file = tmp_path / f"{CLDR[0]}-{CLDR[1]}.tgz"
    packed(file, {"annotations/en/annotations.json": {"annotations": {"annotations": names}}})
    hashes[CLDR[0]] = base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()
    monkeypatch.setattr(build_art, "INTEGRITY", hashes)
    return tmp_path


def test_every_package_is_pinned_by_its_hash():
    assert set(INTEGRITY) == {art.package for art in (*ART_SETS, *TRAINING_ART, UNSEEN)} | {CLDR[0]}
    assert all(len(base64.b64decode(one)) == 64 for one in INTEGRITY.values())


def test_an_archive_with_another_hash_is_refused(tmp_path):
    (tmp_path / "iconify-json-noto-1.2.9.tgz").write_bytes(b"something else")
    with pytest.raises(ValueError, match="delete it and start again"):
        archive("@iconify-json/noto", "1.2.9", tmp_path)


def test_an_archive_appears_when_it_is_whole(tmp_path, monkeypatch):
    seen = []

    def pack(command, cwd, check):
        seen.append([file.name for file in tmp_path.iterdir() if file.is_file()])
        (Path(cwd) / "iconify-json-noto-1.2.9.tgz").write_bytes(b"half")
        seen.append([file.name for file in tmp_path.iterdir() if file.is_file()])

    monkeypatch.setattr(build_art.subprocess, "run", pack)
    monkeypatch.setitem(INTEGRITY, "@iconify-json/noto", base64.b64encode(hashlib.sha512(b"half").digest()).decode())
    assert archive("@iconify-json/noto", "1.2.9", tmp_path).read_bytes() == b"half"
    assert seen == [[], []] and [file.name for file in tmp_path.iterdir()] == ["iconify-json-noto-1.2.9.tgz"]


def test_other_artists_are_drawn_once_and_lack_what_they_lack(tmp_path, monkeypatch):
    drawn = []

    def one_sprite(art, folder, *, whole):
        assert not whole
        drawn.append(art.style)
        image = Image.new("RGBA", (COLUMNS * SIDE, -(-len(icons()) // COLUMNS) * SIDE))
        image.paste((9, 8, 7, 255), (SIDE, 0, 2 * SIDE, SIDE))
        return image

    monkeypatch.setattr(build_art, "sheet", one_sprite)
    first, again = more_artists(tmp_path), more_artists(tmp_path)
    assert drawn == [art.style for art in TRAINING_ART] and len(first) == len(again) == len(TRAINING_ART)
    for sprites in (*first, *again):
        assert list(sprites) == [icons()[1]] and (sprites[icons()[1]] == [9, 8, 7, 255]).all()
    assert all(art.licence in ("Apache-2.0", "MIT", "CC-BY-4.0") for art in TRAINING_ART)


def test_names_that_mean_another_thing_in_a_set_are_left_out(packages, monkeypatch):
    monkeypatch.setattr(build_art, "draw_sprite", lambda svg: Image.new("RGBA", (SIDE, SIDE), (1, 2, 3, 255)))
    art = replace(ART_SETS[0], style="streamline")
    sprites = np.asarray(sheet(art, packages, whole=False))
    for icon, drawn in (("turkey", False), ("ant", True)):
        row, column = divmod(icons().index(icon), COLUMNS)
        cut = sprites[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE, 3]
        assert bool(cut.any()) == drawn
    assert all(set(names) <= set(icons()) for names in OTHERWISE.values())
    assert set(OTHERWISE) <= {art.style for art in TRAINING_ART}


def test_sprites_stand_in_the_order_of_the_tables(packages, monkeypatch):
    drawn = []

    def numbered(svg):
        drawn.append(svg)
        return Image.new("RGBA", (SIDE, SIDE), (len(drawn) % 256, len(drawn) // 256, 0, 255))

    monkeypatch.setattr(build_art, "draw_sprite", numbered)
    image = np.asarray(sheet(ART_SETS[0], packages))
    for place in (0, COLUMNS - 1, COLUMNS, len(icons()) - 1):
        row, column = divmod(place, COLUMNS)
        assert image[row * SIDE + 5, column * SIDE + 5].tolist() == [(place + 1) % 256, (place + 1) // 256, 0, 255]
    sprites = sprites_of(ART_SETS[0], packages)
    assert tuple(sprites) == icons() and all(art.shape == (SIDE, SIDE, 4) for art in sprites.values())
    drawn = drawn[: len(icons())]
    assert 'fill="#000"' in drawn[0] and 'viewBox="0 0 32 32"' in drawn[0]


def test_facts_are_those_of_cldr_and_of_the_sheets(packages):
    side = -(-len(icons()) // COLUMNS) * SIDE
    known = facts(packages, {"flat": Image.new("RGBA", (COLUMNS * SIDE, side), (10, 20, 30, 255))})
    assert tuple(known) == icons()
    cat = known["cat"]
    assert cat["name"] == "cat" and cat["keywords"] == ["x"] and cat["colours"] == {"flat": [10, 20, 30]}
    assert code_points(packages)["cat"] == cat["code"] == icon_facts()["cat"]["code"]


def test_an_icon_that_no_package_has_is_named(packages, monkeypatch):
    monkeypatch.setattr(build_art, "icons", lambda: ("cat", "wombat"))
    with pytest.raises(ValueError, match="no icon wombat: correct the tables"):
        code_points(packages)


def test_aliases_and_offsets_of_icons_are_followed():
    package = Package(
        {"icons": {"a": {"body": "<g/>", "left": 3, "width": 9}}, "aliases": {"b": {"parent": "a"}}, "height": 7}, {}
    )
    assert 'viewBox="3 0 9 7"' in build_art._svg(package, "b")


def test_the_mean_colour_is_of_what_is_covered():
    art = np.zeros((4, 4, 4), np.uint8)
    art[0] = (100, 50, 0, 255)
    art[1] = (200, 50, 0, 255)
    assert mean_colour(Image.fromarray(art)) == [150, 50, 0]
