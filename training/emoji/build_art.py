"""Make the sprite sheets of the emoji world from pinned packages: `python -m training.emoji.build_art`.

Needs `npm`, which fetches the packages, and the extra `art` (cairosvg), which draws their SVGs. The result is the
same for the same versions of cairo and Pillow.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mllm_probe.emoji.lexicon import ART_SETS, COLOURED, COLUMNS, ICON_FACTS, SIDE, ArtSet, icons, sheet_name
from mllm_probe.typing import JsonObject

CLDR = ("cldr-annotations-full", "48.2.0")
"""Package of the emoji's English names and keywords."""
UNSEEN = ArtSet(
    "openmoji",
    "OpenMoji",
    "OpenMoji, HfG Schwäbisch Gmünd",
    "CC-BY-SA-4.0",
    "@iconify-json/openmoji",
    "1.2.29",
)
"""An artist's set to evaluate with: fetched for that alone, never trained on and never shipped."""
TRAINING_ART: tuple[ArtSet, ...] = (
    ArtSet("noto-v1", "Noto Emoji, first version", "Google LLC", "Apache-2.0", "@iconify-json/noto-v1", "1.2.5"),
    ArtSet("fxemoji", "Firefox OS Emoji", "Mozilla", "Apache-2.0", "@iconify-json/fxemoji", "1.2.2"),
    ArtSet("emojione", "Emoji One 2", "Emoji One", "CC-BY-4.0", "@iconify-json/emojione", "1.2.3"),
    ArtSet("fluent", "Fluent Emoji", "Microsoft Corporation", "MIT", "@iconify-json/fluent-emoji", "1.2.7"),
    ArtSet("streamline", "Streamline Emojis", "Streamline", "CC-BY-4.0", "@iconify-json/streamline-emojis", "1.2.4"),
    ArtSet("icon-park", "IconPark", "ByteDance", "Apache-2.0", "@iconify-json/icon-park", "1.2.4"),
)
"""Other artists' sets to train on, so that a thing is known by more than one hand: fetched, never shipped.

They have no style of their own here, and lack some of the icons.
"""
OTHERWISE: Mapping[str, tuple[str, ...]] = {
    "streamline": ("turkey",),
    "icon-park": (
        "mouse", "turkey", "rock", "pie", "anchor", "compass", "ring", "chicken", "doughnut", "spoon", "train",
    ),
}  # fmt: skip
"""By set, names that it gives to another thing: a computer's mouse, a flag."""
INTEGRITY = {
    "@iconify-json/noto": "DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==",
    "@iconify-json/twemoji": "uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==",
    "@iconify-json/fluent-emoji-flat": "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUl"
    "PlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
    "@iconify-json/fluent-emoji-high-contrast": "esqhZPpkrF7sNX3NsLoh8KW64okEr/bzko7WNnFP+qTJ"
    "GAqDPDYjp0925yxuivXy3HtVQB8xhIKu3+Nq1byX5w==",
    "@iconify-json/openmoji": "vXdhkqcXVSO6suy+m9LbcUM3OdVyuNOtpV8/als/Wqfk"
    "QIRxevL5Geb/g+6GH/Qwnq1OqksEmaDGTCmZ5nFKJQ==",
    "@iconify-json/fxemoji": "UAasRaxzFUKfIGSmLwnoarsssA4LX0VLLuEmplIqM6ZNQqIQRtav8tZ4H1neTlBreXuMQyAifr5jP4kn78DpiQ==",
    "@iconify-json/noto-v1": "/DsVMius69Q0fRS53z7QK1TROSuar606jiIx+laXtdsYGMXpf6LtHBx6CGfoo3UHHb/XpBsw+1L1x3eyPqMuVA==",
    "@iconify-json/emojione": "T9+T3HIbJNLKKsmxYKlaYhvnHYkz/HNYTV7SHCXVZPfe"
    "Ui4FqskY70YeN8yYAZT8cCv7w5vJxS4Q1m8zb9CMMg==",
    "@iconify-json/fluent-emoji": "D8G6bKAyIsyxP1rzZtIWr/gg/fO4Rg1+DyCWlfqKK4h8"
    "W+4Em/Y0P6QYgJUQTlUcagzJvSyg+9OBv4hz4Hc/QA==",
    "@iconify-json/streamline-emojis": "iNr9T9XuZVTyQPJO8ZlLxBzPkpi7qMl+z1l0C31vpEMq"
    "hPMelth3n7CeWQYtixdetDPdI81yeG4ROqjWpYJE6A==",
    "@iconify-json/icon-park": "S8fVl49LG/M9hvwb7ruFGInK21AHMv3IJehOJRJgXPLE"
    "39OOCP3wbfTWjro/XzsjxRwdvX/lYdGetFOZI0TaJQ==",
    "@expo-google-fonts/noto-emoji": "Gs7URwtKmCzzdGUTYbG8MIohyaQPgGxIaQG5hvyEAaQi"
    "EGJpQy6gyP3NDICE0EJkOJFoe1JFD3Hf1L4a3qe4KA==",
    "cldr-annotations-full": "DV7A+rEcgUSNTRsVGNGqBZRmAkGfwhGHO5Q1dRwzBoBnVrHWp804JP7/QJdEc66iHmx3+zLWVIMCFLm0lW7PUQ==",
}
"""SHA-512 of each package's archive, in base64 as npm states it."""
_ART = Path(__file__).resolve().parents[2] / "emoji" / "art"
_OVERSAMPLED = 2
_QUALITY = 92


class Package(NamedTuple):
    """The parts of an icon package that are read: its icons, and the name of the icon of each code point."""

    icons: JsonObject
    names: dict[str, str]

    def name_of(self, icon: str, code: str) -> str | None:
        """Return what the package calls an icon, by its code points, or by its name where it lists none; else None."""
        if self.names:
            return self.names.get(code)
        known = {**self.icons.get("aliases", {}), **self.icons["icons"]}
        spelled = (icon, icon.replace("-", ""), f"{icon}-1", f"{icon}-face")
        return next((name for name in spelled if name in known), None)


def archive(package: str, version: str, folder: Path) -> Path:
    """Return the package's archive in `folder`, fetched with npm if it is not there, with its hash checked.

    Raises ValueError if the archive is not the pinned one.
    """
    file = folder / f"{package.removeprefix('@').replace('/', '-')}-{version}.tgz"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        # Renamed when it is whole: another process may be looking for it.
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=beside, check=True)
            os.replace(Path(beside) / file.name, file)
    digest = base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()
    if digest != INTEGRITY[package]:
        raise ValueError(
            f"{file} has SHA-512 {digest}, not {INTEGRITY[package]} of {package} {version}: delete it and start again"
        )
    return file


def member(file: Path, name: str) -> JsonObject:
    """Return a JSON file of a package's archive."""
    with tarfile.open(file) as opened:
        content = opened.extractfile(f"package/{name}")
        if content is None:
            raise ValueError(f"{file} has no file package/{name}")
        return json.load(content)


def _package(art: ArtSet, folder: Path) -> Package:
    file = archive(art.package, art.version, folder)
    return Package(member(file, "icons.json"), member(file, "chars.json"))


def code_points(folder: Path) -> dict[str, str]:
    """Return the code points of every icon of the tables, in hexadecimal with dashes, by its name in the first set.

    Sets name a few icons differently; code points are common to all.
    """
    by_name = {name: code for code, name in _package(ART_SETS[0], folder).names.items()}
    missing = [icon for icon in icons() if icon not in by_name]
    if missing:
        raise ValueError(
            f"{ART_SETS[0].package} has no icon {', '.join(missing)}: correct the tables of nouns and faces"
        )
    return {icon: by_name[icon] for icon in icons()}


def _svg(package: Package, name: str) -> str:
    """Return an icon as an SVG file, black where it leaves the colour open."""
    known, aliases = package.icons["icons"], package.icons.get("aliases", {})
    while name not in known:
        name = aliases[name]["parent"]
    icon = known[name]
    width, height = (icon.get(side, package.icons.get(side, 16)) for side in ("width", "height"))
    box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    body = icon["body"].replace("currentColor", "#000")
    return f'<svg {spaces} viewBox="{box}" width="{width}" height="{height}">{body}</svg>'


def draw_sprite(svg: str, side: int = SIDE) -> Image.Image:
    """Return an SVG as a sprite: cropped to what is drawn, centred in a square.

    `side`: Pixels. Returns: RGBA, `side` by `side`.
    """
    import cairosvg

    large = side * _OVERSAMPLED
    png = cairosvg.svg2png(svg.encode(), output_width=large, output_height=large)
    return cropped(Image.open(io.BytesIO(png)).convert("RGBA"), side)


def cropped(drawn: Image.Image, side: int) -> Image.Image:
    """Return what an RGBA image shows, centred in a square of this side; ValueError if it shows nothing."""
    box = drawn.getchannel("A").getbbox()
    if box is None:
        raise ValueError("this icon draws nothing")
    shown = drawn.crop(box)
    longest = max(shown.size)
    square = Image.new("RGBA", (longest, longest))
    square.paste(shown, ((longest - shown.width) // 2, (longest - shown.height) // 2))
    # Premultiplied, so that the colour of transparent pixels does not bleed into edges.
    return square.convert("RGBa").resize((side, side), Image.Resampling.LANCZOS).convert("RGBA")


def sheet(art: ArtSet, folder: Path, *, whole: bool = True) -> Image.Image:
    """Return the sprite sheet of an art set: all icons in the order of the tables, `COLUMNS` in a row.

    `folder`: of the npm archives. `whole`: raise ValueError for an icon that the set lacks, in place of leaving its
    place empty.
    """
    package, rows = _package(art, folder), -(-len(icons()) // COLUMNS)
    image = Image.new("RGBA", (COLUMNS * SIDE, rows * SIDE))
    for place, (icon, code) in enumerate(code_points(folder).items()):
        name = None if icon in OTHERWISE.get(art.style, ()) else package.name_of(icon, code)
        if name is None:
            if whole:
                raise ValueError(f"{art.package} does not draw {icon} ({code}): drop it from the tables")
            continue
        sprite = draw_sprite(_svg(package, name))
        image.paste(sprite, (place % COLUMNS * SIDE, place // COLUMNS * SIDE))
    return image


def sprites_of(art: ArtSet, folder: Path) -> dict[str, np.ndarray]:
    """Return the sprites of an art set, uint8 [96, 96, 4] each, by icon; for instance of `UNSEEN`, to `draw` with.

    `folder`: of the npm archives; what is not there is fetched.
    """
    return _cut(sheet(art, folder))


def more_artists(folder: Path) -> list[dict[str, np.ndarray]]:
    """Return the sprites of `TRAINING_ART` by icon, drawn once: later they are read from the folder.

    `folder`: of the npm archives and the sheets that are made of them. Returns: uint8 [96, 96, 4] by icon, for each
    set; icons that a set lacks are not in it.
    """
    found = []
    for art in TRAINING_ART:
        file = folder / f"{art.style}-{art.version}-{len(icons())}.png"
        if not file.is_file():
            drawn = sheet(art, folder, whole=False)
            beside = file.with_suffix(f".{os.getpid()}.png")
            drawn.save(beside)
            os.replace(beside, file)
        with Image.open(file) as image:
            sprites = _cut(image.convert("RGBA"))
        found.append({icon: sprite for icon, sprite in sprites.items() if sprite[..., 3].any()})
    return found


def _cut(sprites: Image.Image) -> dict[str, np.ndarray]:
    """Return the sprites of a sheet by icon."""
    pixels = np.asarray(sprites)
    places = {icon: (place // COLUMNS * SIDE, place % COLUMNS * SIDE) for place, icon in enumerate(icons())}
    return {icon: pixels[top : top + SIDE, left : left + SIDE] for icon, (top, left) in places.items()}


def mean_colour(sprite: Image.Image) -> list[int]:
    """Return the mean colour of what a sprite covers."""
    pixels = np.asarray(sprite, float)
    weights = pixels[..., 3]
    return np.rint(np.einsum("xyc,xy->c", pixels[..., :3], weights) / weights.sum()).astype(int).tolist()


def facts(folder: Path, sheets: dict[str, Image.Image]) -> dict[str, JsonObject]:
    """Return what is known of every icon.

    `folder`: of the npm archives. `sheets`: sprite sheets by style. Returns: for every icon its code points, CLDR's
    English name and keywords, and its mean colour in each sheet.
    """
    known = member(archive(*CLDR, folder), "annotations/en/annotations.json")["annotations"]["annotations"]
    result: dict[str, JsonObject] = {}
    for place, (icon, code) in enumerate(code_points(folder).items()):
        left, top = place % COLUMNS * SIDE, place // COLUMNS * SIDE
        box = (left, top, left + SIDE, top + SIDE)
        colours = {style: mean_colour(image.crop(box)) for style, image in sheets.items()}
        text = "".join(chr(int(point, 16)) for point in code.split("-"))
        entry = known.get(text) or known[text.replace("\ufe0f", "")]
        result[icon] = {"code": code, "name": entry["tts"][0], "keywords": entry["default"], "colours": colours}
    return result


def main(argv: list[str] | None = None) -> None:
    """Write the sheets and the names of the icons into the package.

    `argv`: the command line by default.
    """
    parser = argparse.ArgumentParser(prog="python -m training.emoji.build_art", description=__doc__)
    parser.add_argument("--packages", type=Path, default=Path("emoji-packages"), help="folder of the npm archives")
    parser.add_argument("--out", type=Path, default=_ART, help="folder of the sheets (default: in the package)")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    sheets = {art.style: sheet(art, options.packages) for art in ART_SETS}
    for art in ART_SETS:
        file = options.out / sheet_name(art.style)
        sheets[art.style].save(file, quality=_QUALITY, alpha_quality=100, method=6)
        print(f"{file}: {file.stat().st_size:,} bytes, {len(icons())} sprites of {art.package} {art.version}")
    known = facts(options.packages, {style: sheets[style] for style in COLOURED})
    lines = (f"{json.dumps(icon)}: {json.dumps(entry, ensure_ascii=False)}" for icon, entry in known.items())
    (options.out / ICON_FACTS).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
