"""Two artists whose emoji are fonts: drawn by Pillow, in black, to train on and never to ship.

Noto Emoji's monochrome font comes from npm, Symbola from Debian; what is fetched is pinned by its hash.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mllm_probe.emoji.lexicon import SIDE, icon_facts
from training.emoji.build_art import archive, cropped

_DRAWN = 256
"""Size at which a glyph is drawn before it is shrunk to a sprite."""


@dataclass(frozen=True)
class FontArt:
    """An artist's font: its title, licence and package for credits, and how its file is read from a folder."""

    title: str
    licence: str
    package: str
    version: str
    read: Callable[[FontArt, Path], bytes]


def _from_npm(art: FontArt, folder: Path) -> bytes:
    with tarfile.open(archive(art.package, art.version, folder)) as opened:
        file = opened.extractfile("package/400Regular/NotoEmoji_400Regular.ttf")
        if file is None:
            raise ValueError(f"{art.package} {art.version} has no font.")
        return file.read()


_DEB = "a773d7a853d88f4d34b4b5f314024b11cebaa3d536e410d8f80879d39d7c49f0"
"""SHA-256 of Debian's package."""


def _from_debian(art: FontArt, folder: Path) -> bytes:
    name = f"{art.package}_{art.version}_all.deb"
    if not (folder / name).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            command = ["apt-get", "download", "--quiet", f"{art.package}={art.version}"]
            subprocess.run(command, cwd=beside, check=True, capture_output=True)
            (Path(beside) / name).replace(folder / name)
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    if digest != _DEB:
        raise ValueError(f"{folder / name} has SHA-256 {digest}, not {_DEB}: delete it and start again")
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", folder / name], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        file = opened.extractfile("./usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf")
        if file is None:
            raise ValueError(f"{name} has no font.")
        return file.read()


FONTS = (
    FontArt("Noto Emoji, monochrome, by Google LLC", "OFL-1.1", "@expo-google-fonts/noto-emoji", "0.4.7", _from_npm),
    FontArt("Symbola by George Douros", "free for any use", "fonts-symbola", "2.60-2", _from_debian),
)


def font_sprites(art: FontArt, folder: Path) -> dict[str, np.ndarray]:
    """Return a font's sprites by icon, uint8 [96, 96, 4]; icons of several code points or without a glyph are left out.

    `folder`: of what is fetched.
    """
    font = ImageFont.truetype(io.BytesIO(art.read(art, folder)), _DRAWN)
    found = {}
    none = _mask(font, "\U0010fffe")
    for icon, known in icon_facts().items():
        codes = [point for point in known["code"].split("-") if point != "fe0f"]
        if len(codes) > 1:
            continue
        mask = _mask(font, chr(int(codes[0], 16)))
        if mask is None or (none is not None and mask.size == none.size and mask.tobytes() == none.tobytes()):
            continue
        black = Image.new("RGBA", mask.size)
        black.putalpha(mask)
        found[icon] = np.asarray(cropped(black, SIDE))
    return found


def _mask(font: ImageFont.FreeTypeFont, text: str) -> Image.Image | None:
    """The glyph's coverage, as an image in grey; None if it draws nothing."""
    left, top, right, bottom = map(int, font.getbbox(text))
    if right <= left or bottom <= top:
        return None
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=font)
    return image if image.getbbox() else None
