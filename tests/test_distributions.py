"""The wheel and the source distribution, built and opened: what they hold, how large they are, and their licences."""

import email
import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from mllm_probe.emoji.lexicon import ART_SETS, ICON_FACTS, sheet_name
from mllm_probe.models.bundled import bundled_folder
from mllm_probe.widgets.lab.record_file import FILE

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ("LICENSE", "NOTICE", *(f"LICENSES/{name}.txt" for name in ("Apache-2.0", "CC-BY-4.0", "MIT", "Unicode-3.0")))
ART = [
    f"mllm_probe/emoji/art/{name}"
    for name in ("entities.tsv", "faces.tsv", ICON_FACTS, *(sheet_name(art.style) for art in ART_SETS))
]
MOST_WHEEL, MOST_FILE, MOST_ART = 40_000_000, 10_000_000, 8_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    file = Path(next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))
    with zipfile.ZipFile(file) as opened:
        yield file.stat().st_size, {info.filename: opened.read(info) for info in opened.infolist()}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    file = Path(next(SdistBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))
    with tarfile.open(file) as opened:
        members = [member for member in opened.getmembers() if member.isfile()]
        yield {member.name.split("/", 1)[1]: opened.extractfile(member).read() for member in members}


def metadata(files):
    name = next(name for name in files if name.endswith(".dist-info/METADATA") or name == "PKG-INFO")
    return email.message_from_bytes(files[name])


def test_the_wheel_holds_the_texts_of_its_licences(wheel):
    _, files = wheel
    for text in TEXTS:
        packed = [name for name in files if name.endswith(f".dist-info/licenses/{text}")]
        assert len(packed) == 1, text
        assert files[packed[0]] == (ROOT / text).read_bytes()


def test_the_source_holds_the_texts_of_its_licences(source):
    assert all(source[text] == (ROOT / text).read_bytes() for text in TEXTS)


@pytest.mark.parametrize("kind", ["wheel", "source"])
def test_metadata_name_every_licence(kind, request):
    files = request.getfixturevalue(kind)
    fields = metadata(files[1] if kind == "wheel" else files)
    assert fields["License-Expression"] == "Apache-2.0 AND MIT AND CC-BY-4.0 AND Unicode-3.0"
    assert set(fields.get_all("License-File")) == set(TEXTS)


@pytest.mark.parametrize("kind", ["wheel", "source"])
def test_the_artwork_is_there_and_no_other(kind, request):
    files = request.getfixturevalue(kind)
    files = files[1] if kind == "wheel" else files
    packed = {name for name in files if name.startswith("mllm_probe/emoji/art/")}
    assert packed == set(ART)
    assert sum(len(files[name]) for name in packed) < MOST_ART
    assert not [name for name in files if "openmoji" in name.lower()]
    assert not [name for name in files if name.endswith((".ttf", ".otf", ".svg", ".tgz"))]


def test_the_wheel_and_its_files_are_small(wheel):
    size, files = wheel
    assert size < MOST_WHEEL
    assert {name: len(content) for name, content in files.items() if len(content) >= MOST_FILE} == {}


def test_the_wheel_holds_the_bundles_of_the_widgets(wheel):
    _, files = wheel
    bundles = sorted((ROOT / "mllm_probe" / "widgets" / "static").glob("*.js"))
    assert bundles
    for file in bundles:
        assert files[file.relative_to(ROOT).as_posix()] == file.read_bytes()


@pytest.mark.parametrize("kind", ["wheel", "source"])
def test_the_recorded_results_of_the_bundled_models_are_there(kind, request):
    files = request.getfixturevalue(kind)
    files = files[1] if kind == "wheel" else files
    for name in ("scenes-4l", "scenes-8l"):
        file = bundled_folder(name) / FILE
        assert files[file.relative_to(ROOT).as_posix()] == file.read_bytes()


def test_the_notice_names_every_set_with_author_source_and_licence():
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    parts = {part.splitlines()[0].split(" (")[0]: part for part in notice.split("\n\n")}
    for art in ART_SETS:
        part = parts[art.title]
        assert f"{art.package} {art.version}" in part and art.licence in part
        assert f"mllm_probe/emoji/art/{sheet_name(art.style)}" in part
        assert art.author.split()[0].rstrip(",") in part and f"LICENSES/{art.licence}.txt" in part
    assert "cropped" in notice and "processed" in notice and "Unicode-3.0" in notice
