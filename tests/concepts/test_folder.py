import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

import mllm_probe as mp


def save(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 5), (value, 30, 60)).save(path)


@pytest.fixture
def folder(tmp_path):
    for i in range(3):
        save(tmp_path / f"entity/cat/positive/{i}.png", i)
        save(tmp_path / f"entity/cat/negative/{i}.jpg", 100 + i)
        save(tmp_path / f"VisualStyle/van_gogh/positive/a{i}.png", 50 + i)
    for i in range(2):
        save(tmp_path / f"VisualStyle/van_gogh/negative/b{i}.png", 200 + i)
    (tmp_path / "entity/cat/words.txt").write_text("cat\nkitten\n\n")
    return tmp_path


def test_folders_become_concepts(folder):
    library = mp.concepts.from_folder(folder)
    assert list(library) == ["van_gogh", "cat"]
    assert library["van_gogh"].category == "visual_style"
    assert library["cat"].words == ("cat", "kitten") and library["van_gogh"].words == ("van gogh",)
    assert library["cat"].positive[0].image.size == (6, 5) and library["cat"].positive[0].labels is None


def test_equal_file_names_make_pairs(folder):
    library = mp.concepts.from_folder(folder)
    cat, style = library["cat"], library["van_gogh"]
    assert cat.paired and [p.pair for p in cat.positive] == [p.pair for p in cat.negative] == [0, 1, 2]
    assert [p.source.stem for p in cat.positive] == [p.source.stem for p in cat.negative]
    assert not style.paired and style.positive[0].pair is None
    fit, held_out = library.split()
    assert len(fit["van_gogh"].negative) == len(held_out["van_gogh"].negative) == 1


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder .*expected one laid out as <category>/<concept>"):
        mp.concepts.from_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no concepts; expected folders laid out as"):
        mp.concepts.from_folder(tmp_path)


def test_one_class_only(folder):
    for file in (folder / "entity/cat/negative").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match="concept 'cat': the folder .*negative' holds no images"):
        mp.concepts.from_folder(folder)
    (folder / "entity/cat/negative").rmdir()
    with pytest.raises(ValueError, match=r"negative' is missing \(there: 'positive'\)"):
        mp.concepts.from_folder(folder)


def test_categories_have_any_name(folder):
    (folder / "VisualStyle").rename(folder / "Smells of home")
    library = mp.concepts.from_folder(folder)
    assert library.categories == ("Smells of home", "entity")
    assert list(library.subset(categories=["Smells of home"])) == ["van_gogh"]
    assert repr(library).endswith(": 1 Smells of home, 1 entity>") and "Smells of home" in library._repr_html_()


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nbroken"])
def test_a_corrupt_or_empty_file(folder, content):
    (folder / "entity/cat/positive/1.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"1\.png' cannot be read as an image .*replace or remove it"):
        mp.concepts.from_folder(folder)


def test_a_truncated_file(folder):
    file = folder / "entity/cat/positive/1.png"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"1\.png' cannot be read as an image"):
        mp.concepts.from_folder(folder)


def test_two_files_of_one_name_and_empty_words(folder):
    save(folder / "entity/cat/positive/1.jpg")
    with pytest.raises(ValueError, match="have the same name"):
        mp.concepts.from_folder(folder)
    (folder / "entity/cat/positive/1.jpg").unlink()
    (folder / "entity/cat/words.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"words\.txt' is empty"):
        mp.concepts.from_folder(folder)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfcat\r\nkitten\r\n", b"cat\rkitten", b" cat \n\n kitten\t\n"])
def test_words_are_read_whatever_ends_their_lines(folder, content):
    (folder / "entity/cat/words.txt").write_bytes(content)
    assert mp.concepts.from_folder(folder)["cat"].words == ("cat", "kitten")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            "caf\xe9\n".encode("latin-1"),
            r"words\.txt' is no UTF-8 text \(byte 3 is 0xe9; it may be Latin-1 or UTF-16\)",
        ),
        ("cat\n".encode("utf-16"), r"words\.txt' is no UTF-8 text \(byte 0 is 0xff.*save it again .* UTF-8"),
        (b"a\0b\n", r"words\.txt'.*: the word 'a\\x00b' holds the control character '\\x00'"),
        (b"\x1b[31mred\n", r"words\.txt'.*the control character '\\x1b'"),
        (b"cat\x1cdog\n", r"words\.txt'.*the control character '\\x1c'"),
        ("\u202etac\n".encode(), r"words\.txt'.*the control character '\\u202e'"),
        (
            b"cat " * 1_250_000,
            r"words\.txt' of 5,000,000 bytes is larger than the 65,536 bytes that are read as a text",
        ),
        (b"w" * 101, r"words\.txt'.*'wwwwwwwwwwwwwwwwwwww'… has 101 characters; at most 100"),
        (b"\n".join(b"w%d" % i for i in range(300)), r"words\.txt'.* has 300 words; at most 256"),
    ],
    ids=["latin-1", "utf-16", "nul", "escape", "separator", "direction", "long file", "long word", "many"],
)
def test_words_that_cannot_be_read_name_their_file(folder, content, text):
    (folder / "entity/cat/words.txt").write_bytes(content)
    with pytest.raises(ValueError, match=text):
        mp.concepts.from_folder(folder)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "loop", "nowhere"])
@pytest.mark.parametrize("name", ["positive/p.png", "words.txt"])
def test_only_regular_files_are_read(folder, kind, name):
    file = folder / "entity/cat" / name
    file.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to({"device": "/dev/zero", "loop": file.name, "nowhere": "/no/such/file"}[kind])
    with pytest.raises((ValueError, FileNotFoundError), match=file.name.replace(".", r"\.")):
        mp.concepts.from_folder(folder)


@contextmanager
def as_nobody():
    """Take away the rights of a superuser, for whom nothing is unreadable."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("what", ["entity", "entity/cat", "entity/cat/positive", "entity/cat/positive/1.png"])
def test_what_may_not_be_read_is_named(what):
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        for side in ("positive", "negative"):
            save(root / f"entity/cat/{side}/1.png")
        root.chmod(0o755)
        (root / what).chmod(0)
        with as_nobody(), pytest.raises(ValueError, match=rf"{what}.*cannot be read .*Permission denied"):
            mp.concepts.from_folder(root)
        (root / what).chmod(0o755)


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\nb", "\u202eevil", os.fsdecode(b"caf\xe9")])
def test_names_that_cannot_be_seen_are_refused_and_escaped(folder, name):
    (folder / "entity/cat").rename(folder / "entity" / name)
    with pytest.raises(ValueError, match="name of a concept .* holds the control character") as raised:
        mp.concepts.from_folder(folder)
    assert name not in str(raised.value) and str(raised.value).isprintable()


@pytest.mark.parametrize("given", [None, 3, b"/tmp"])
def test_what_is_no_path_is_refused(given):
    with pytest.raises(ValueError, match="folder: expected a path to a folder laid out as"):
        mp.concepts.from_folder(given)


@pytest.fixture
def views(tmp_path):
    """Four objects before three backgrounds, with and without the concept."""
    for i in range(12):
        save(tmp_path / f"emoji/cat/positive/art{i % 4}_back{i // 4}.png", i)
        save(tmp_path / f"emoji/cat/negative/other{i % 4}_back{i // 4}.png", 100 + i)
    return tmp_path


def groups_of(pictures):
    return {picture.source.stem.split("_")[0] for picture in pictures}


def csv_of(root):
    rows = [f"{file.relative_to(root)},{file.stem.split('_')[0]}" for file in sorted(root.rglob("*.png"))]
    (root / "groups.csv").write_text("\n".join(["file,group", *rows]), encoding="utf-8-sig")
    return root / "groups.csv"


@pytest.mark.parametrize("how", ["callable", "csv", "mapping"])
def test_groups_are_recorded_and_stay_together(views, how):
    name = lambda path: path.stem.split("_")[0]  # noqa: E731
    groups = {"callable": name, "csv": csv_of(views), "mapping": {p: name(p) for p in views.rglob("*.png")}}[how]
    plain, grouped = mp.concepts.from_folder(views), mp.concepts.from_folder(views, groups=groups)
    assert {p.group for p in grouped["cat"].positive} == {"art0", "art1", "art2", "art3"}
    assert grouped.fingerprint != plain.fingerprint
    leaks = []
    for seed in range(8):
        for library, found in ((plain, leaks), (grouped, [])):
            fit, held_out = library.split(seed=seed)
            found.append(groups_of(fit["cat"].pictures) & groups_of(held_out["cat"].pictures))
            assert library is plain or (found == [set()] and len(fit["cat"].positive) == len(fit["cat"].negative) == 6)
    assert all(leaks)


def test_a_table_of_groups_is_checked(views):
    table = csv_of(views)
    with pytest.raises(FileNotFoundError, match="no text file at 'none.csv'"):
        mp.concepts.from_folder(views, groups="none.csv")
    for content, text in {
        "a,b\n": "first line names the columns file and group; it names 'a', 'b'",
        "file,group\nno/such.png,x\n": r"such\.png' is neither the path nor the id of an image",
        "file,group\na.png,\n": "line 2: expected a file and its group; got 'a.png', ''",
        "file,group\na.png,x\na.png,y\n": "line 3: 'a.png' is in group 'y' and in another one above",
    }.items():
        table.write_text(content)
        with pytest.raises(ValueError, match=text):
            mp.concepts.from_folder(views, groups=table)
    with pytest.raises(ValueError, match="groups: expected a function of an image, or a mapping .*; got int"):
        mp.concepts.from_folder(views, groups=3)
    with pytest.raises(ValueError, match=r"groups: expected text, a whole number or None for <Picture.*; got \[1\]"):
        mp.concepts.from_folder(views, groups=lambda path: [1])


def test_image_files_of_folders_are_listed_by_name(folder):
    positive = folder / "entity/cat/positive"
    (positive / "notes.txt").write_text("no image")
    (positive / ".hidden.png").write_bytes(b"")
    other = folder / "entity/cat/negative/1.jpg"
    assert mp.concepts.image_files([other, positive]) == [other, *(positive / f"{i}.png" for i in range(3))]
    with pytest.raises(ValueError, match="'.*entity' holds no images"):
        mp.concepts.image_files([folder / "entity"])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        mp.concepts.image_files([folder / "nowhere.png"])
    with pytest.raises(ValueError, match="notes.txt"):
        mp.concepts.image_files([positive / "notes.txt"])
