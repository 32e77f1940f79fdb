"""A short form of ``make faults``, and that its table cannot hide what it finds."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import children, subject
from tests.faults.judging import copied, require_readable, require_whole
from tests.faults.promises import PROMISES
from tests.faults.tally import Setting, Tally, Whole, scratch
from tests.sweeps import killed

ELSEWHERE = {
    "killed-alone": ("sweeps/test_store.py", "test_a_killed_sweep_is_completed_to_the_same_bytes"),
    "killed-shard": ("sweeps/test_store.py", "test_shards_in_any_order_and_repetition_fill_the_same_store"),
    "killed-worker": ("sweeps/test_dask.py", "test_a_cluster_one_of_whose_workers_dies_gives_the_store_of_one_process"),
    "disk-full": ("faults/test_faults.py", "test_a_promise_holds"),
}
"""Tests of promises that have no short form here; that of a full disk, which needs a mount, is ``writing-fails``."""


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Path, Whole]]:
    with scratch() as made:
        yield made


@pytest.mark.parametrize("name", [name for name, one in PROMISES.items() if one.short])
def test_a_promise_holds(name: str, place: tuple[Path, Whole]) -> None:
    folder, whole = place
    tally = PROMISES[name].tried(whole, folder, "short")
    assert tally.kept, "\n".join(tally.failures)
    assert tally.tried >= PROMISES[name].short and f"{tally.held} held" in str(tally)


def test_every_promise_has_a_short_form_or_a_test() -> None:
    assert {name for name, one in PROMISES.items() if not one.short} <= set(ELSEWHERE)
    for file, name in ELSEWHERE.values():
        assert f"def {name}(" in (Path(__file__).parents[1] / file).read_text()


def test_the_table_says_what_did_not_hold() -> None:
    tally = Tally("name", "what is promised")
    assert not tally.kept and "FAILED: nothing was tried" in str(tally)
    with tally.attempt("first"):
        tally.lost["units lost"] += 2
    assert tally.kept and str(tally).endswith("what is promised: 1 tried, 1 held; 2 units lost.")
    with tally.attempt("second"):
        raise AssertionError("it differs\nin two lines")
    assert not tally.kept and "2 tried, 1 held; 2 units lost. FAILED: second: AssertionError: it differs" in str(tally)


def test_a_store_that_differs_is_not_taken_for_the_whole_one(place: tuple[Path, Whole]) -> None:
    folder, whole = place
    (folder / "judged").mkdir()
    setting = Setting(folder / "judged", whole, random.Random(0), "short")
    store = copied(setting, "grid.zarr")
    require_whole(setting, store, subject.markers(store))
    chunk, marker = max((store / "logprob").glob("c.*")), max((store / "unit_markers").glob("0*"))
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1])
    with pytest.raises(AssertionError, match=r"1 files differ, logprob/c\."):
        require_whole(setting, store)
    with pytest.raises(AssertionError, match=r"logprob/c\.\S* of a finished unit differs"):
        require_readable(setting, store)
    chunk.write_bytes(content)
    with pytest.raises(AssertionError, match="were finished and were written again"):
        require_whole(setting, store, subject.markers(store) | {marker.stem: b"another"})
    marker.unlink()
    with pytest.raises(AssertionError, match=rf"{whole.units - 1} units of {whole.units} are done"):
        require_whole(setting, store)


@pytest.mark.parametrize(("when", "left", "partial"), [("write", 1, 1), ("rename", 1, 1), ("placed", 2, 0)])
def test_a_process_dies_at_the_file_that_was_said(tmp_path: Path, when: str, left: int, partial: int) -> None:
    process = killed.forked(children.write_files, tmp_path, when)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list(tmp_path.glob("*.done"))) == left and len(list(tmp_path.glob("*.partial"))) == partial
    sizes = [file.stat().st_size for file in tmp_path.glob("*.partial")]
    assert sizes == ([5] if when == "write" else [10] * partial)
