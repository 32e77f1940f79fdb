"""Stores that fill unit by unit: in any order, by any number of processes, and believed only if whole."""

import errno
import itertools
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mllm_probe.activations import store_layout, unit_store
from mllm_probe.activations.store_layout import CODECS, open_group, require_safe_arrays
from mllm_probe.activations.store_places import Folder, every_key
from mllm_probe.activations.unit_store import UnitStore

SETTINGS = {"model": "tiny", "weights": "abc", "layers": [0, 2]}
VALUES = np.arange(4 * 3 * 5, dtype=np.float32).reshape(4, 3, 5)
TEXTS = np.array([["a", "blå", ""]] * 4, object)


def template(shape=(4, 3, 5)):
    data = {
        "value": (("sample", "layer", "hidden"), np.broadcast_to(np.float32(np.nan), shape), {"long_name": "x"}),
        "text": (("sample", "layer"), np.broadcast_to(np.array("", object), shape[:2])),
        "n": (("sample",), np.broadcast_to(np.int64(-1), shape[:1])),
        "norm": ("layer", np.arange(float(shape[1]))),
    }
    coords = {"sample": [f"image {n}" for n in range(shape[0])], "role": ("layer", ["text", "image", "å"][: shape[1]])}
    return xr.Dataset(data, coords, {"model": "tiny"})


CHUNKS = {"value": (2, 3, 5), "text": (2, 3), "n": (2,)}


def create(path, **changes):
    arguments = {"kind": "capture", "settings": SETTINGS, "units": 2} | changes
    return UnitStore.create(path, template(), CHUNKS, **arguments)


def regions(unit):
    rows = slice(2 * unit, 2 * unit + 2)
    return {
        "value": [((rows, slice(None), slice(None)), VALUES[rows])],
        "text": [((rows, slice(None)), TEXTS[rows])],
        "n": [((rows,), np.arange(4)[rows])],
    }


@pytest.fixture
def store(tmp_path):
    return create(tmp_path / "a.zarr")


@pytest.fixture
def full(store):
    for unit in (1, 0):
        store.write(unit, regions(unit), device="cpu", dtype="float32", seconds=0.5)
    return store


def content(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def chunks_of(folder):
    return {name: data for name, data in content(folder).items() if "unit_markers" not in name}


def test_a_store_is_made_and_read_at_any_moment_without_a_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = create(tmp_path / "a.zarr")
        for options in ({}, {"consolidated": False}, {"chunks": None}):
            empty = xr.open_zarr(store.path, **options).load()
            assert np.isnan(empty.value).all() and (empty.n == -1).all() and (empty.text == "").all()
        store.write(1, regions(1))
        half = xr.open_zarr(store.path).load()
        xr.open_datatree(store.path, engine="zarr").close()
    assert [one.name for one in tmp_path.iterdir()] == ["a.zarr"]
    assert half.sample.values.tolist() == [f"image {n}" for n in range(4)] and half.role.values[2] == "å"
    assert half.norm.values.tolist() == [0, 1, 2] and half.value.attrs == {"long_name": "x"}
    assert np.isnan(half.value[:2]).all() and (half.value[2:] == VALUES[2:]).all()
    assert half.text.values[2:].tolist() == TEXTS[2:].tolist() and half.n.values.tolist() == [-1, -1, 2, 3]


def test_a_store_is_of_format_3_with_checksums_and_known_codecs(full):
    require_safe_arrays(full.path)
    for file in full.path.glob("*/zarr.json"):
        node = json.loads(file.read_text())
        assert node["zarr_format"] == 3
        if node["node_type"] == "array":
            names = [codec["name"] for codec in node["codecs"]]
            assert names[-1] == "crc32c" and set(names) <= CODECS
    assert (open_group(full.path).value == VALUES).all()


def test_the_layout_never_changes(store):
    before = content(store.path)
    store.write(0, regions(0))
    after = content(store.path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"value/c.0.0.0", "text/c.0.0", "n/c.0", "unit_markers/0.json"}


def test_a_marker_says_what_a_unit_wrote(full):
    marker = full.marker(0)
    assert marker["device"] == "cpu" and marker["seconds"] == 0.5 and marker["version_torch"]
    assert {key: noted["bytes"] for key, noted in marker["chunks"].items()} == {
        key: (full.path / key).stat().st_size for key in ("value/c.0.0.0", "text/c.0.0", "n/c.0")
    }
    assert full.finished() == {"0", "1"} and full.remaining() == [] and full.check() == {}


def test_a_finished_unit_is_written_once(full):
    before = content(full.path)
    assert full.write(0, regions(0)) is False and content(full.path) == before
    with pytest.raises(KeyError, match="unit 0 of .* is not finished"):
        full.give_back(0)
        full.marker(0)
    assert full.remaining() == ["0"] and full.write("0", regions(0)) is True
    assert chunks_of(full.path) == {name: data for name, data in before.items() if "unit_markers" not in name}


@st.composite
def grids(draw):
    """Shape, chunks, and a partition of the chunks of the array into units."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    chunks = tuple(draw(st.integers(1, size)) for size in shape)
    starts = [range(0, size, chunk) for size, chunk in zip(shape, chunks, strict=True)]
    places = list(itertools.product(*starts))
    owner = draw(st.lists(st.integers(0, 3), min_size=len(places), max_size=len(places)))
    return shape, chunks, places, owner


def unit_parts(shape, chunks, places, owner, unit, values):
    mine = [place for place, own in zip(places, owner, strict=True) if own == unit]
    parts = [tuple(slice(p, min(p + c, n)) for p, c, n in zip(place, chunks, shape, strict=True)) for place in mine]
    return {"x": [(part, values[part]) for part in parts]}


@given(
    grid=grids(), order=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), max_size=8), seed=st.integers(0, 9)
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
    database=None,
)
def test_any_order_and_repetition_by_several_writers_gives_the_same_bytes(tmp_path_factory, grid, order, seed):
    shape, chunks, places, owner = grid
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    values[values < -1] = np.nan
    dims = [f"d{n}" for n in range(len(shape))]
    data = xr.Dataset({"x": (dims, np.broadcast_to(np.float32(np.nan), shape))})
    folder = tmp_path_factory.mktemp("order")
    arguments = {"chunks": {"x": chunks}, "kind": "capture", "settings": {}, "units": 4}
    plain = UnitStore.create(folder / "plain.zarr", data, **arguments)
    mixed = folder / "mixed.zarr"
    writers = [UnitStore.create(mixed, data, **arguments) for _ in range(2)]
    for unit in range(4):
        plain.write(unit, unit_parts(*grid, unit, values))
    for writer, unit in [*order, *((0, unit) for unit in range(4))]:
        writers[writer].write(unit, unit_parts(*grid, unit, values))
    assert chunks_of(mixed) == chunks_of(plain.path)
    owned = [key for unit in range(4) for key in plain.marker(unit)["chunks"]]
    assert sorted(owned) == [key for key in every_key(plain._store) if key.startswith("x/c")], "each chunk has one unit"
    np.testing.assert_array_equal(writers[1].read("x"), values)
    assert plain.check() == writers[0].check() == {}


@given(
    size=st.integers(1, 9),
    chunk=st.integers(1, 9),
    start=st.integers(0, 9),
    stop=st.integers(0, 12),
    step=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_the_chunks_of_a_selection_are_those_that_hold_its_elements(size, chunk, start, stop, step):
    for part in (slice(start, stop, step), np.arange(size)[start:stop:step], slice(stop, start, -step)):
        expected = sorted({int(place) // chunk for place in np.arange(size)[part]})
        found = unit_store._chunk_numbers(part, chunk, size)
        assert set(found) >= set(expected) and (isinstance(part, slice) or found == expected)
        assert not found or (found[0], found[-1]) == (expected[0], expected[-1])


WRITER = """
import sys
sys.path[:0] = [{root!r}]
from tests.activations.test_unit_store import create, regions
store = create({path!r})
for unit in {order}:
    store.write(unit, regions(unit))
print(sorted(store.finished()))
"""


def test_processes_that_create_and_fill_one_store_at_once_all_end_with_it(tmp_path, full):
    root, path = str(Path(__file__).parents[2]), str(tmp_path / "shared.zarr")
    codes = [WRITER.format(root=root, path=path, order=order) for order in ([0, 1], [1, 0], [0, 1])]
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for code in codes]
    outputs = [one.communicate()[0].strip() for one in running]
    assert [one.returncode for one in running] == [0, 0, 0] and outputs == ["['0', '1']"] * 3
    shared = UnitStore.open(path)
    assert shared.check() == {} and chunks_of(shared.path) == chunks_of(full.path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.zarr", "shared.zarr"]


def test_a_store_that_appears_while_another_is_created_stays(tmp_path, monkeypatch, full):
    before = content(full.path)
    answers = iter([True])  # at the first look nothing was there
    known = Folder.is_free
    monkeypatch.setattr(Folder, "is_free", lambda self: next(answers, None) or known(self))
    assert create(full.path).finished() == {"0", "1"}
    assert content(full.path) == before and [one.name for one in tmp_path.iterdir()] == ["a.zarr"]


def test_other_settings_are_refused_by_name(store):
    with pytest.raises(
        ValueError, match=r"holds a capture with other settings \(layers: stored \[0, 2\], asked for \[1\]"
    ):
        create(store.path, settings=SETTINGS | {"layers": [1]})
    with pytest.raises(ValueError, match="holds no sweep but a capture: give a new path as store="):
        create(store.path, kind="sweep")
    assert UnitStore.open(store.path, "capture", SETTINGS | {"model": "same weights"}).settings == SETTINGS


def test_what_is_no_store_is_refused_and_left(tmp_path):
    (tmp_path / "empty").mkdir()
    assert create(tmp_path / "empty").remaining() == ["0", "1"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text").write_text("mine")
    xr.Dataset({"mine": ("x", [1])}).to_zarr(tmp_path / "theirs", zarr_format=3, consolidated=False)
    (tmp_path / "file").write_text("mine")
    before = content(tmp_path)
    for name in ("thesis", "theirs", "file"):
        with pytest.raises(ValueError, match=rf"{name} exists and holds no capture: give a new path"):
            create(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="there is no store at"):
        UnitStore.open(tmp_path / "nothing")
    assert content(tmp_path) == before


def test_a_layout_of_another_version_is_refused(store, monkeypatch):
    monkeypatch.setattr(store_layout, "VERSION", 2)
    with pytest.raises(ValueError, match="has a layout of version 1, not 2"):
        UnitStore.open(store.path)


@pytest.mark.parametrize("part", [slice(0, 1), slice(1, 3), slice(0, 3), slice(0, 4, 2), slice(2, 2)])
def test_a_region_that_cuts_a_chunk_is_refused(store, part):
    with pytest.raises(ValueError, match="of 'n' does not cover whole chunks of 2"):
        store.write(0, {"n": [((part,), np.zeros(len(range(4)[part]), int))]})
    assert store.finished() == set()


def test_units_that_do_not_own_their_chunks_are_refused(store):
    twice = [((slice(0, 2),), np.zeros(2, int)), ((slice(0, 4),), np.zeros(4, int))]
    with pytest.raises(ValueError, match="writes a chunk twice: n/c.0"):
        store.write(0, {"n": twice})
    with pytest.raises(ValueError, match="has 3 dimensions; got a region of 1"):
        store.write(0, {"value": twice[:1]})
    with pytest.raises(ValueError, match="has no unit '7'"):
        store.write(7, regions(0))
    store.write(0, regions(0))
    store.write(1, regions(0))
    assert "belongs to unit 0 too" in store.check()["1"]


@pytest.mark.parametrize("names", [[], ["a", "a"], ["layout"], ["../a"], [""], ["a b"]])
def test_names_of_units_are_plain(tmp_path, names):
    with pytest.raises(ValueError, match="units: expected at least one name, each once"):
        create(tmp_path / "a.zarr", units=names)


def cut(file, size):
    file.write_bytes(file.read_bytes()[:size])


def flip(file, place):
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


DAMAGES = {
    "deleted": lambda file: file.unlink(),
    "emptied": lambda file: cut(file, 0),
    "cut": lambda file: cut(file, 9),
    "first byte": lambda file: flip(file, 0),
    "middle byte": lambda file: flip(file, file.stat().st_size // 2),
    "last byte": lambda file: flip(file, -1),
}


@pytest.mark.parametrize("variable", sorted(CHUNKS))
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_chunk_is_an_error_and_is_found_and_done_again(full, variable, damage):
    before = content(full.path)
    key = f"{variable}/c.1" + ".0" * (len(CHUNKS[variable]) - 1)
    DAMAGES[damage](full.path / key)
    opened = UnitStore.open(full.path)
    with pytest.raises(ValueError, match=rf"'{variable}' of the store .*a.zarr is damaged .*mp.cache.check\("):
        opened.read(variable)
    whole = (slice(0, 2),) + (slice(None),) * (len(CHUNKS[variable]) - 1)
    assert opened.read(variable, whole).tolist() == regions(0)[variable][0][1].tolist(), "the rest stays readable"
    assert list(opened.check()) == ["1"] and key in opened.check()["1"] and opened.check(units=[0]) == {}
    if damage in ("deleted", "emptied", "cut"):
        assert list(opened.check(contents=False)) == ["1"]
    opened.give_back("1")
    assert opened.remaining() == ["1"]
    opened.write(1, regions(1))
    assert opened.check() == {} and chunks_of(full.path) == {n: d for n, d in before.items() if "unit_markers" not in n}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_marker_is_found(full, damage):
    DAMAGES[damage](full.path / "unit_markers" / "0.json")
    if damage == "deleted":
        assert full.remaining() == ["0"] and full.check() == {}
        return
    assert "the marker of unit 0 of" in full.check()["0"]
    (full.path / "value" / "c.1.0.0").unlink()
    with pytest.raises(ValueError, match="marker of unit 0 .* is damaged|'value' of the store .* is damaged"):
        full.read("value")
    full.give_back(0)
    assert full.remaining() == ["0"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["zarr.json", "value/zarr.json", "sample/c/0", "norm/c/0", "unit_markers/layout.json"])
def test_a_damaged_layout_is_refused(full, file, damage):
    DAMAGES[damage](full.path / file)
    with pytest.raises(ValueError, match="damaged|layout|exists and holds no|copy it again"):
        UnitStore.open(full.path, "capture")


def test_chunks_of_the_fill_value_are_written_too(store):
    rows = slice(0, 2)
    store.write(0, {"value": [((rows, slice(None), slice(None)), np.full((2, 3, 5), np.nan, np.float32))]})
    (store.path / "value" / "c.0.0.0").unlink()
    with pytest.raises(ValueError, match="chunk value/c.0.0.0 is missing"):
        store.read("value")


def test_reading_selects_as_numpy_does(full):
    for selection in ((1, slice(None), slice(0, 2)), (slice(0, 4, 3), 2, 1), (slice(1, 3), slice(2, 3), slice(None))):
        np.testing.assert_array_equal(full.read("value", selection), VALUES[selection])
    chosen = (np.array([3, 0]), slice(0, 2), np.array([4, 1, 1]))
    np.testing.assert_array_equal(full.read("value", chosen), VALUES[np.ix_([3, 0], [0, 1], [4, 1, 1])])


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, OSError), (errno.EROFS, OSError), (errno.EACCES, PermissionError)]
)
def test_a_disk_that_takes_nothing_is_named_and_leaves_what_was_done(store, monkeypatch, number, kind):
    store.write(0, regions(0))
    before = content(store.path)

    async def refuse(self, key, value, **options):
        raise kind(number, "no such luck")

    monkeypatch.setattr(zarr.storage.LocalStore, "set", refuse)
    monkeypatch.setattr(zarr.storage.LocalStore, "set_if_not_exists", refuse)
    with pytest.raises(
        kind, match=r"the store .* could not be written \(no such luck\).*run the same call again"
    ) as caught:
        store.write(1, regions(1))
    assert caught.value.errno == number and content(store.path) == before
    with pytest.raises(kind, match="could not be written"):
        create(store.path.with_name("b.zarr"))
    assert [one.name for one in store.path.parent.iterdir()] == ["a.zarr"]


def test_a_finished_store_is_read_without_writing_anything(full, monkeypatch):
    def refuse(self, *arguments, **options):
        raise AssertionError("reading writes nothing")

    for name in ("set", "set_if_not_exists", "delete"):
        monkeypatch.setattr(zarr.storage.LocalStore, name, refuse)
    opened = UnitStore.open(full.path, "capture", SETTINGS)
    assert opened.remaining() == [] and opened.check() == {} and (opened.read("value") == VALUES).all()


class Died(Exception):
    """The process ends here."""


def test_at_whichever_file_a_writer_dies_the_unit_is_unfinished_and_is_done_again(full, tmp_path, monkeypatch):
    original, wanted = zarr.storage.LocalStore._set, chunks_of(full.path)
    for files in range(4):  # three chunks, then the marker
        path = tmp_path / f"{files}.zarr"
        dying, count = create(path), itertools.count()

        async def set_some(self, key, value, exclusive=False, count=count, files=files):
            if next(count) == files:
                raise Died
            await original(self, key, value, exclusive)

        with monkeypatch.context() as killed, pytest.raises(Died):
            killed.setattr(zarr.storage.LocalStore, "_set", set_some)
            dying.write(1, regions(1))
        again = UnitStore.open(path)
        assert again.finished() == set() and again.check() == {}
        assert [again.write(unit, regions(unit)) for unit in (0, 1)] == [True, True]
        assert chunks_of(path) == wanted and again.check() == {}
