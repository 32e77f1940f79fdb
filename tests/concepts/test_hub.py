import datasets
import pytest
from PIL import Image

import mllm_probe as mp
from mllm_probe.concepts.hub import PRESETS

NAMES = ["awe", "fear", "anger"]


def image(value):
    return Image.new("RGB", (6, 6), (value, 10, 20))


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    features = datasets.Features({"image": datasets.Image(), "emotion": datasets.ClassLabel(names=NAMES)})
    rows = {"image": [image(i) for i in range(30)], "emotion": [i % 3 for i in range(30)]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(folder / "train.parquet"))
    return folder


@pytest.fixture(scope="module")
def styles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("styles") / "data"
    features = datasets.Features({"src": datasets.Image(), "tar": datasets.Image(), "prompt": datasets.Value("string")})
    for offset, style in ((0, "Ghibli"), (100, "Pixel")):
        rows = {
            "src": [image(offset + i) for i in range(4)],
            "tar": [image(offset + 50 + i) for i in range(4)],
            "prompt": ["a house"] * 4,
        }
        datasets.Dataset.from_dict(rows, features=features).to_parquet(str(folder / f"{style}-00000-of-00001.parquet"))
    return folder.parent


def red(picture):
    return picture.image.getpixel((0, 0))[0]


def test_classes_are_contrasted_with_the_others(classes):
    library = mp.concepts.from_hub(classes, category="emotion", pairs=6)
    assert list(library) == sorted(NAMES)
    awe = library["awe"]
    assert not awe.paired and awe.category == "emotion" and len(awe.positive) == len(awe.negative) == 6
    assert all(red(p) % 3 == 0 and p.labels == {"awe"} for p in awe.positive)
    assert [sum(p.labels == {name} for p in awe.negative) for name in NAMES] == [0, 3, 3]
    assert all(NAMES[red(p) % 3] in p.labels for p in awe.negative)


def test_the_seed_decides_the_negatives(classes):
    first, again, other = (
        [p.key for p in mp.concepts.from_hub(classes, category="emotion", pairs=6, seed=s)["awe"].negative]
        for s in (0, 0, 1)
    )
    assert first == again != other


def test_chosen_classes_and_their_words(classes):
    library = mp.concepts.from_hub(
        classes, category="emotion", classes=["fear"], words={"fear": ("fear", "afraid")}, pairs=3
    )
    assert list(library) == ["fear"] and library["fear"].words == ("fear", "afraid")
    with pytest.raises(ValueError, match="unknown class 'joy'; there are"):
        mp.concepts.from_hub(classes, category="emotion", classes=["joy"])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"words": {"fear": "afraid"}}, r"class 'fear': words is a list, not one string: write \['afraid'\]"),
        ({"classes": "fear"}, r"classes is a list of names, not one string: write \['fear'\]"),
        ({"pairs": 0}, "pairs: expected a whole number of at least 1, not 0"),
        ({"max_rows": "all"}, "max_rows: expected a whole number of at least 1, not 'all'"),
    ],
)
def test_wrong_arguments_are_refused(classes, given, text):
    with pytest.raises(ValueError, match=text):
        mp.concepts.from_hub(classes, category="emotion", **given)


def test_rows_of_pairs_where_each_split_is_a_concept(styles):
    library = mp.concepts.from_hub(styles, category="visual_style", label_column="split", pairs=3)
    assert list(library) == ["Ghibli", "Pixel"]
    pixel = library["Pixel"]
    assert pixel.paired and pixel.words == ("pixel",)
    assert [red(p) for p in pixel.positive] == [150, 151, 152] and [red(p) for p in pixel.negative] == [100, 101, 102]
    assert [p.pair for p in pixel.positive] == [0, 1, 2]


def test_a_folder_of_labelled_pictures(tmp_path):
    for offset, name in enumerate(NAMES[:2]):
        (tmp_path / name).mkdir()
        for i in range(3):
            image(100 * offset + i).save(tmp_path / name / f"{i}.png")
    library = mp.concepts.from_hub(tmp_path, category="emotion")
    assert sorted(red(p) for p in library["fear"].positive) == [100, 101, 102]
    assert sorted(red(p) for p in library["fear"].negative) == [0, 1, 2]


def test_columns_that_cannot_be_told_apart(styles, classes):
    with pytest.raises(ValueError, match="no column names the concept among src, tar, prompt; pass label_column="):
        mp.concepts.from_hub(styles, category="visual_style", split="Pixel")
    with pytest.raises(ValueError, match="unknown column 'picture'; there are image, emotion"):
        mp.concepts.from_hub(classes, category="emotion", image_column="picture")
    with pytest.raises(ValueError, match="unknown split 'tset'; there are train"):
        mp.concepts.from_hub(classes, category="emotion", split="tset")
    with pytest.raises(ValueError, match="pass category="):
        mp.concepts.from_hub(classes)


def test_two_image_columns_that_are_no_known_pair(tmp_path):
    features = datasets.Features(
        {"left": datasets.Image(), "right": datasets.Image(), "label": datasets.Value("string")}
    )
    rows = {"left": [image(1)], "right": [image(2)], "label": ["cat"]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "train.parquet"))
    with pytest.raises(
        ValueError, match=r"has 2 image columns \(left, right\) .*pass image_column=, or positive_column="
    ):
        mp.concepts.from_hub(tmp_path, category="entity")
    cat = mp.concepts.from_hub(tmp_path, category="entity", positive_column="right", negative_column="left")["cat"]
    assert cat.paired and red(cat.positive[0]) == 2 and red(cat.negative[0]) == 1


def served(monkeypatch, preset, folder):
    """Serve a local folder under the id of a preset."""
    real = datasets.load_dataset

    def load(name, **options):
        assert name == PRESETS[preset].dataset
        return real(str(folder), **options)

    monkeypatch.setattr(datasets, "load_dataset", load)


def test_the_preset_of_emotions_contrasts_its_classes(monkeypatch, classes):
    served(monkeypatch, "emoset", classes)
    library = mp.concepts.from_hub("emoset", pairs=4)
    assert sorted(library) == sorted(NAMES) and library.categories == ("emotion",)
    assert library.source == "Woleek/EmoSet-118K" and not library["awe"].paired
    assert all(len(one.positive) == len(one.negative) == 4 for one in library.values())


def test_the_preset_of_styles_takes_each_split_as_a_style_with_its_source_as_counterpart(monkeypatch, styles):
    served(monkeypatch, "omniconsistency", styles)
    library = mp.concepts.from_hub("omniconsistency", pairs=3, classes=["Pixel"])
    assert list(library) == ["Pixel"] and library["Pixel"].category == "visual_style" and library["Pixel"].paired
    assert [(red(a), red(b)) for a, b in library["Pixel"].units] == [(150, 100), (151, 101), (152, 102)]


def test_the_preset_of_visual_differences_reads_pairs_by_concept(monkeypatch, tmp_path):
    features = datasets.Features(
        {"positive": datasets.Image(), "negative": datasets.Image(), "concept": datasets.Value("string")}
    )
    rows = {
        "positive": [image(i) for i in range(6)],
        "negative": [image(100 + i) for i in range(6)],
        "concept": ["cat", "traffic_light"] * 3,
    }
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "train.parquet"))
    served(monkeypatch, "vis_diff", tmp_path)
    library = mp.concepts.from_hub("vis_diff")
    assert library.categories == ("entity",) and library["traffic_light"].words == ("traffic light",)
    assert [(red(a), red(b)) for a, b in library["cat"].units] == [(0, 100), (2, 102), (4, 104)]


def test_an_image_that_occurs_again_is_left_out_of_all_classes(tmp_path):
    features = datasets.Features({"image": datasets.Image(), "emotion": datasets.ClassLabel(names=NAMES[:2])})
    values = [(1, 0), (1, 0), (2, 0), (3, 1), (2, 1), (4, 1)]
    rows = {"image": [image(value) for value, _ in values], "emotion": [label for _, label in values]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "train.parquet"))
    library = mp.concepts.from_hub(tmp_path, category="emotion")
    assert [red(p) for p in library["awe"].positive] == [1, 2]
    assert [red(p) for p in library["fear"].positive] == [3, 4], "2 is in the other class already"
    assert not {p.id for p in library["awe"].positive} & {p.id for p in library["awe"].negative}


def test_pairs_may_share_a_source_but_do_not_occur_twice(tmp_path):
    features = datasets.Features({"src": datasets.Image(), "tar": datasets.Image(), "style": datasets.Value("string")})
    values = [(1, 10, "neon"), (1, 10, "neon"), (1, 11, "sketch"), (2, 10, "neon")]
    names = ("src", "tar", "style")
    rows = {name: [row[n] if n == 2 else image(row[n]) for row in values] for n, name in enumerate(names)}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "train.parquet"))
    library = mp.concepts.from_hub(tmp_path, category="visual_style")
    assert [(red(a), red(b)) for a, b in library["neon"].units] == [(10, 1), (10, 2)]
    assert [(red(a), red(b)) for a, b in library["sketch"].units] == [(11, 1)]


def test_a_dataset_out_of_reach(monkeypatch):
    def unreachable(*arguments, **options):
        assert arguments == (PRESETS["emoset"].dataset,)
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(OSError, match="cannot be read .*no route.*pass a local folder"):
        mp.concepts.from_hub("emoset")


def test_without_the_datasets_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'mllm-probe\[hub\]'"):
        mp.concepts.from_hub("emoset")
