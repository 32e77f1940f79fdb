"""A sweep that was stopped goes on in the same process: with what is missing, and to the same grid."""

import numpy as np
import pytest

import mllm_probe.sweeps as sweeps
from mllm_probe.activations.hooks import before_backbone
from mllm_probe.sweeps import runner
from mllm_probe.sweeps.api import Grids
from mllm_probe.sweeps.runner import Limits
from tests.sweeps.helpers import random_vectors, same

SETTINGS = {"strengths": (0, 1, -1), "layers": [0, 2], "draws": 4, "max_new_tokens": 3, "progress": False}
WAYS = {
    "chunks": {"metrics": ("logprob", "named", "kl")},
    "image": {"metrics": ("logprob", "named"), "tokens": "image"},
    "recorded": {"metrics": ("logprob",), "record": ("activation", "projection")},
    "stored": {"metrics": ("logprob", "named")},
}


@pytest.fixture
def small(monkeypatch):
    """Many small chunks and units."""
    monkeypatch.setattr(runner, "DEFAULT", Limits(rows=6, packed_rows=1, unit_seconds=(0, 0)))


def stopped_at(model, grids, step):
    """Run a sweep until a forward of the backbone, at which it is stopped; the forwards that were run."""
    calls = []

    def stop(_arguments, _named):
        calls.append(len(calls))
        if len(calls) == step:
            grids.close()

    with before_backbone(model, stop):
        for _ in grids:
            continue
    return len(calls)


@pytest.mark.parametrize("way", WAYS)
def test_a_stopped_sweep_goes_on_to_the_same_grid_without_running_anything_twice(tiny, pictures, small, way, tmp_path):
    vectors, settings = random_vectors(tiny), SETTINGS | WAYS[way]
    whole = sweeps.sweep(tiny, vectors, pictures[:3], **settings)
    store = {"store": tmp_path / "s"} if way == "stored" else {}
    grids = sweeps.sweep_iter(tiny, vectors, pictures[:3], **settings, **store)
    shares, steps = [0.0], (2, 5, 9, 17)
    for step in steps:
        assert stopped_at(tiny, grids, step) == step, "no forward may follow"
        shares.append(grids.engine.dataset().attrs["progress"])
        assert grids.can_go_on
        grids = grids.rest()
    assert shares == sorted(shares) and 0 < shares[-1] < 1
    done, was = grids.engine.done, grids.engine.grid.done.copy()
    ran = []
    put = grids.engine.grid.put
    grids.engine.grid.put = lambda pairs, *rest: (ran.append(was[(*pairs.index, rest[0])].any()), put(pairs, *rest))
    last = grids.finish()
    assert 0 < done < grids.engine.done == grids.engine.total
    assert way == "stored" or not any(ran), "a cell that was finished is not run again"
    assert last.attrs["progress"] == 1
    same(last, whole)


def test_a_sweep_whose_store_was_temporary_cannot_go_on(tiny, pictures):
    engine = sweeps.sweep_iter(tiny, random_vectors(tiny), pictures[:1], metrics=("logprob",), **SETTINGS).engine
    grids = Grids(engine, False, lambda: None)
    grids.close()
    assert not grids.can_go_on
    with pytest.raises(RuntimeError, match="temporary and is gone: run the sweep again, with store="):
        grids.rest()


def test_the_progress_line_goes_on_from_what_is_done(tiny, pictures, small, capsys):
    grids = sweeps.sweep_iter(
        tiny, random_vectors(tiny), pictures[:2], metrics=("logprob",), **SETTINGS | {"progress": True}
    )
    next(grids)
    grids.close()
    done, total = grids.engine.done, grids.engine.total
    capsys.readouterr()
    assert np.isfinite(grids.rest().finish().logprob).any()
    lines = capsys.readouterr().err
    assert f"{done}/{total}" in lines and f"{total}/{total}" in lines
