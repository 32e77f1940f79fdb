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
    with pytest.raises(ValueError, match="concept 'cat': the folder .*negative' holds no pictures"):
        mp.concepts.from_folder(folder)
    (folder / "entity/cat/negative").rmdir()
    with pytest.raises(ValueError, match=r"negative' is missing \(there: positive\)"):
        mp.concepts.from_folder(folder)


def test_an_unknown_category(folder):
    (folder / "VisualStyle").rename(folder / "smells")
    with pytest.raises(ValueError, match="'smells' is no category of concepts; use one of entity"):
        mp.concepts.from_folder(folder)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nbroken"])
def test_a_corrupt_or_empty_file(folder, content):
    (folder / "entity/cat/positive/1.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"1\.png cannot be read as a picture .*replace or remove it"):
        mp.concepts.from_folder(folder)


def test_a_truncated_file(folder):
    file = folder / "entity/cat/positive/1.png"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"1\.png cannot be read as a picture"):
        mp.concepts.from_folder(folder)


def test_two_files_of_one_name_and_empty_words(folder):
    save(folder / "entity/cat/positive/1.jpg")
    with pytest.raises(ValueError, match="have the same name"):
        mp.concepts.from_folder(folder)
    (folder / "entity/cat/positive/1.jpg").unlink()
    (folder / "entity/cat/words.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"words\.txt' is empty"):
        mp.concepts.from_folder(folder)
