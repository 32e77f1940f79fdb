"""What a plan predicts against what a sweep is seen to do."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import mllm_probe.sweeps as sweeps
from mllm_probe.activations.hooks import before_backbone
from mllm_probe.decoding import paths as paths_module
from mllm_probe.loading import wrap
from mllm_probe.models.probe_model import ProbeModel, placement
from mllm_probe.sweeps import job as job_module
from mllm_probe.sweeps import runner, sweep_plan
from mllm_probe.sweeps.runner import Limits
from mllm_probe.sweeps.scoring import Scorer
from mllm_probe.sweeps.stored import unit_runs
from mllm_probe.sweeps.stored.units import Layout
from mllm_probe.sweeps.sweep_plan import Forwards
from tests.device.subjects import on
from tests.sweeps.helpers import random_vectors, wrapped_family

NEXT = ("last_prompt", "generated")
EVERYTHING = ("logprob", "logit", "named", "kl")
WORDS = {"cat": [7, [8, 9], [8, 10, 11]], "dog": [12, [13, 14]]}
_PROMPT = 6


@contextmanager
def counted(model, monkeypatch):
    """Pictures, calls of the text model by how many columns they have, and rows of chunks."""
    seen = {"pictures": 0, "prompts": 0, "steps": 0, "rows": 0, "chunks": 0}

    def call(arguments, named):
        found = [named[n] for n in ("inputs_embeds", "input_ids") if named.get(n) is not None]
        columns = (found or list(arguments))[0].shape[1]
        seen["prompts" if columns > _PROMPT else "steps"] += 1

    def picture(module, arguments, named):
        several = [named[n] for n in ("grid_thw", "pixel_values") if n in named]
        seen["pictures"] += len((several or list(arguments))[0])

    def chunk(scorer, shared, parts, *others):
        count = sum(len(part.steerings) for part in parts)
        seen["rows"] += count
        seen["chunks"] += bool(count)
        return plain(scorer, shared, parts, *others)

    plain = Scorer.run
    monkeypatch.setattr(Scorer, "run", chunk)
    handle = model.layout.vision_tower.register_forward_pre_hook(picture, with_kwargs=True)
    try:
        with before_backbone(model, call):
            yield seen
    finally:
        handle.remove()
        monkeypatch.setattr(Scorer, "run", plain)


@pytest.fixture
def endless(monkeypatch):
    """Answers never end early, and chunks have at most nine rows whatever the machine does beside."""
    monkeypatch.setattr(ProbeModel, "eos_token_ids", property(lambda model: frozenset()))
    monkeypatch.setattr(runner, "DEFAULT", Limits(rows=9, seconds=float("inf")))


CASES = [
    (NEXT, EVERYTHING, "llava", "shared prefix"),
    (NEXT, ("logprob",), "llava", "shared prefix"),
    (NEXT, ("kl",), "llava", "shared prefix"),
    ("image", EVERYTHING, "llava", "resumed"),
    ("image", ("logit",), "llava", "resumed"),
    ("text", ("tokens",), "qwen2_5_vl", "resumed"),
    (NEXT, EVERYTHING, "llava", "whole forwards"),
]


@pytest.mark.parametrize(("tokens", "metrics", "family", "path"), CASES)
def test_predicted_forwards_are_those_of_the_sweep(endless, monkeypatch, tokens, metrics, family, path, device):
    model, inputs = wrapped_family(family, device)
    if path == "whole forwards":
        monkeypatch.setattr(paths_module, "NEXT_WAYS", ())
        monkeypatch.setattr(paths_module, "PROMPT_WAYS", ())
    settings = {"inputs": [inputs, inputs], "tokens": tokens, "metrics": metrics, "strengths": (-1, 0, 1), "draws": 4}
    settings |= {"layers": [0, 2], "max_new_tokens": 4, "answer_prefix": [5, 6]}
    vectors = random_vectors(model, words=WORDS)
    plan = sweeps.plan(model, vectors, **settings)
    with counted(model, monkeypatch) as seen:
        grid = sweeps.sweep(model, vectors, **settings, progress=False)
    assert plan.path.startswith(path) and grid.attrs["path"] == plan.path
    # Draw 2j at strength 1 is draw 2j + 1 at strength -1.
    assert seen["rows"] == plan.rows * plan.samples == 2 * (2 * 2 + 4 + 4) * 2
    assert (seen["chunks"], grid.attrs["chunk_rows"]) == (plan.chunks, 9)
    found = Forwards(seen["pictures"], seen["prompts"], seen["steps"], plan.forwards.word_steps)
    if path == "resumed":  # of a prompt that nothing edits, the last column alone is run: two calls look like steps
        found += Forwards(prompts=2) + Forwards(steps=2) * -1
    assert found == plan.forwards
    assert (plan.forwards.word_steps > 0) == ("logprob" in metrics and path != "whole forwards")


def test_a_plan_reads_well(tiny, pictures):
    plan = sweeps.plan(tiny, random_vectors(tiny), pictures, strengths=(-1, 0, 1), draws=4, metrics=("logprob",))
    assert plan.rows == 4 * (2 * 2 + 4 + 4) and plan.samples == len(pictures) == plan.forwards.pictures
    assert plan.cells == 2 * 4 * 3 * (1 + 4 + 4) * len(pictures)
    assert plan.seconds > 0 and plan.bytes_per_row > 0
    text = str(plan)
    for word in (
        "48 steered runs on each of 6 images",
        "controls  32 of 48 runs: random 4 draws 16, on_manifold 4 draws 16; without them about ",
        "shared prefix",
        "of the prompt + 96 rows × ",
        " free",
        "time",
    ):
        assert word in text


def test_longer_answers_take_more_steps_and_memory(tiny, pictures):
    vectors = random_vectors(tiny)
    short, long = (sweeps.plan(tiny, vectors, pictures[:1], layers=[0], draws=4, max_new_tokens=n) for n in (2, 6))
    assert long.forwards.steps > short.forwards.steps and long.bytes_per_row > short.bytes_per_row
    assert np.isfinite(long.seconds)


def test_a_chunk_holds_one_layer_where_the_prompt_is_edited(tiny, pictures, monkeypatch):
    layers = []
    plain = Scorer.run

    def chunk(scorer, shared, parts, *others):
        if parts[0].steerings:
            layers.append({layer for steering in parts[0].steerings for layer in steering.layers})
        return plain(scorer, shared, parts, *others)

    monkeypatch.setattr(Scorer, "run", chunk)
    settings = {"strengths": (-1, 1), "metrics": ("logprob",), "draws": 4, "controls": "random", "progress": False}
    sweeps.sweep(tiny, random_vectors(tiny), pictures[:2], tokens="image", **settings)
    assert sorted(map(tuple, layers)) == sorted([(0,), (1,), (2,), (3,)] * 2)
    del layers[:]
    sweeps.sweep(tiny, random_vectors(tiny), pictures[:2], tokens=NEXT, **settings)
    assert layers == [{0, 1, 2, 3}]


def test_grids_beyond_all_bounds_are_refused_before_memory_is_taken(tiny, pictures, monkeypatch):
    vectors = random_vectors(tiny)
    monkeypatch.setattr(job_module, "plan_cells", None)  # nothing is listed
    runs = 4 * 4 * 2 * (1 + 2 * 10**9)
    with pytest.raises(ValueError, match=rf"1,000,000,000 draws of 2 controls are up to {runs:,} steered.* 10,000,000"):
        sweeps.plan(tiny, vectors, pictures[:1], draws=10**9)
    with pytest.raises(MemoryError, match=r"of up to 1,000,000,000 tokens take .* TB, and .* GB are free"):
        sweeps.sweep(tiny, vectors, pictures[:1], metrics=("tokens",), max_new_tokens=10**9)


def test_answers_that_are_read_first_are_counted(endless, monkeypatch, tiny, pictures):
    settings = {
        "strengths": (-1, 0, 1),
        "draws": 4,
        "max_new_tokens": 3,
        "metrics": ("logprob", "named"),
        "layers": [1],
    }
    plan = sweeps.plan(tiny, random_vectors(tiny), pictures[:6], **settings)
    with counted(tiny, monkeypatch) as seen, pytest.warns(UserWarning, match="Too few images count"):
        sweeps.sweep(tiny, random_vectors(tiny), pictures[:6], **settings, progress=False)
    assert plan.forwards == Forwards(seen["pictures"], seen["prompts"], seen["steps"])
    assert plan.chunks == seen["chunks"] and plan.seconds_by_part["unsteered answers"] > 0


def test_a_plan_of_a_store_counts_its_units_and_what_they_run(endless, monkeypatch, tiny, pictures, tmp_path):
    settings = {"strengths": (-1, 0, 1), "draws": 8, "max_new_tokens": 3, "metrics": ("logprob", "named")}
    settings |= {"store": tmp_path / "grid.zarr"}
    layout = Layout(rows=9, batch_layers=1, batch_samples=1, layers=2, samples=1)
    for module in (sweep_plan, unit_runs):  # what is measured decides it, and differs from time to time
        monkeypatch.setattr(module, "lay_out", lambda *given: layout)
    monkeypatch.setattr(Limits, "kept_prompts", lambda limits, *given: 1)
    plan = sweeps.plan(tiny, random_vectors(tiny), pictures[:2], **settings)
    assert not (tmp_path / "grid.zarr").exists()
    with counted(tiny, monkeypatch) as seen:
        sweeps.sweep(tiny, random_vectors(tiny), pictures[:2], **settings, progress=False)
    assert plan.units == sweeps.store_status(settings["store"]).progress.units == 1 + 2 * 2 * 2
    assert seen["pictures"] == plan.forwards.pictures > 2, "a prompt that is not kept is computed again"
    assert (seen["rows"], seen["chunks"]) == (plan.rows * 2, plan.chunks)
    assert plan.forwards == Forwards(seen["pictures"], seen["prompts"], seen["steps"])
    written = sum(file.stat().st_size for file in settings["store"].rglob("*") if file.is_file())
    assert written / 3 < plan.bytes_on_disk < 3 * written
    assert plan.seconds_by_part["writing"] > 0 and f"store     {plan.units} units" in str(plan)


@pytest.mark.parametrize("metrics", [("logprob", "kl"), ("logprob", "named", "perplexity")])
def test_the_first_batch_of_a_store_is_timed_and_not_run_again(endless, monkeypatch, tiny, pictures, tmp_path, metrics):
    settings = {"strengths": (0, 1, 2), "draws": 8, "max_new_tokens": 3, "metrics": metrics, "tokens": NEXT}
    plan = sweeps.plan(tiny, random_vectors(tiny), pictures[:3], **settings)
    with counted(tiny, monkeypatch) as seen:
        stored = sweeps.sweep(tiny, random_vectors(tiny), pictures[:3], **settings, store=tmp_path / "grid.zarr")
    assert seen["rows"] == plan.rows * 3
    whole = sweeps.sweep(tiny, random_vectors(tiny), pictures[:3], **settings)
    xr.testing.assert_allclose(stored.drop_attrs(), whole.drop_attrs(), atol=1e-4)
    written = sweeps.open_grid(tmp_path / "grid.zarr").drop_vars("done")
    xr.testing.assert_identical(written.drop_attrs(), stored.drop_attrs())


def test_perplexity_is_counted_apart(tiny, pictures):
    settings = {"strengths": (0, 1), "draws": 4, "metrics": ("logprob", "perplexity"), "max_new_tokens": 3}
    with_it = sweeps.plan(tiny, random_vectors(tiny), pictures[:2], **settings)
    without = sweeps.plan(tiny, random_vectors(tiny), pictures[:2], **settings | {"metrics": ("logprob", "tokens")})
    assert with_it.readings > 0 == without.readings and with_it.seconds_by_part["perplexity"] > 0
    assert with_it.forwards.prompts == without.forwards.prompts + 1, "the prompt without image"
    assert without.seconds_by_part["perplexity"] == 0 and "read for perplexity" in str(with_it)


def test_what_is_done_once_is_no_part_of_the_time(tiny, pictures, monkeypatch):
    tested, chosen = paths_module._tested, []
    monkeypatch.setattr(paths_module, "_tested", lambda *given: chosen.append(tested(*given)) or chosen[-1])
    fresh = wrap(tiny.hf, tiny.processor)
    vectors = random_vectors(fresh)
    first, second = (sweeps.plan(fresh, vectors, pictures[:1], layers=[0], metrics=("logprob",)) for _ in range(2))
    assert chosen and first.choosing_seconds > 0
    seen = len(chosen)
    sweeps.plan(fresh, vectors, pictures[:1], layers=[0], metrics=("logprob",))
    assert len(chosen) == seen and first.path == second.path
    assert first.seconds == pytest.approx(sum(first.seconds_by_part.values()))
    assert "to choose the path; at most that in every new process" in str(replace(first, choosing_seconds=2.0))


def test_the_grid_is_as_large_as_planned_and_recordings_are_counted(tiny, pictures):
    settings = {"strengths": (-1, 0, 1), "draws": 4, "max_new_tokens": 2, "metrics": ("logprob", "named", "kl")}
    plan = sweeps.plan(tiny, random_vectors(tiny), pictures[:2], **settings)
    grid = sweeps.sweep(tiny, random_vectors(tiny), pictures[:2], **settings, progress=False)
    done = grid.edited.size
    assert plan.bytes_of_grid == sum(variable.nbytes for variable in grid.data_vars.values()) + done
    wide, narrow = (
        sweeps.plan(tiny, random_vectors(tiny), pictures[:2], **settings, record=name).bytes_at_peak
        for name in ("activation", "residual_norm")
    )
    assert wide - narrow > 0.8 * done * len(tiny.layers) * tiny.hidden_size * 4


def test_a_plan_names_where_the_parts_of_a_sharded_model_are():
    model = on("sharded").model
    assert placement(model) == {
        "sim:0": "blocks 0–1, embeddings, vision tower, projector, final norm, head",
        "sim:1": "blocks 2–3",
    }
    assert placement(on("sim:0").model) == {}
