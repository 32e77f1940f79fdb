"""The heatmap: what it sends, how it fills, and what is selected."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import xarray as xr

from mllm_probe.plots.effects import grid_caption
from mllm_probe.studies.effect import effect
from mllm_probe.widgets import LayerConceptHeatmap
from mllm_probe.widgets.heatmap.layer_concept_heatmap import RateLimiter
from mllm_probe.widgets.heatmap.map_cells import cells_of, row_groups
from mllm_probe.widgets.pictures.drawing import Area, Text
from tests.widgets import fakes

SOON = 20


def numbers(heatmap, name="values"):
    shape = len(heatmap.concepts), len(heatmap.layers), len(heatmap.strengths)
    return np.frombuffer(getattr(heatmap, name), np.float32).reshape(shape)


@pytest.fixture
def filled():
    made = LayerConceptHeatmap(fakes.effect())
    return made


def test_values_are_float32_by_concept_layer_and_strength(filled):
    effect = fakes.effect()
    np.testing.assert_allclose(numbers(filled), effect["difference"].values, rtol=1e-6)
    np.testing.assert_allclose(numbers(filled, "low"), effect["low"].values, rtol=1e-6)
    np.testing.assert_array_equal(numbers(filled, "clear"), effect["clear_in_grid"].values)
    np.testing.assert_allclose(numbers(filled, "control"), 0.1, rtol=1e-6)
    assert (filled.unit, filled.strength_unit) == ("nats", "residual")
    assert filled.categories[:5] == ["entity"] * 5
    assert cells_of(effect.transpose("strength", "control", "layer", "concept")) == cells_of(effect)
    cells = cells_of(fakes.effect(done=0.2))
    value, clear = (np.frombuffer(cells[name], np.float32) for name in ("values", "clear"))
    assert np.isnan(value).any() and np.isfinite(value).any()
    np.testing.assert_array_equal(np.isnan(value), np.isnan(clear), "a cell that has not run is not unclear")


def test_rows_are_grouped_by_category_in_the_order_of_their_first_concepts():
    groups = row_groups(["entity", "visual_style", "entity", ""])
    assert groups == [["entity", [0, 2]], ["visual style", [1]], ["", [3]]] and row_groups([]) == []


def test_the_mean_over_concepts_is_that_of_the_effect_from_the_shown_control():
    data = fakes.effect()
    shifted = (data["difference"] + 0.4).expand_dims(control=["shuffled"])
    both = xr.concat([data["difference"].expand_dims(control=["random"]), shifted], "control")
    data = xr.concat([data, data.assign_coords(control=["shuffled"])], "control", data_vars="minimal")
    data = data.assign(difference_from=both, difference_low=both - 1, difference_high=both + 1)
    for kind, shown in (("random", data["difference"]), ("shuffled", data["difference"] + 0.4)):
        mean = np.frombuffer(cells_of(data, kind)["mean_over_concepts"], np.float32)
        wanted = shown.mean("concept").transpose("layer", "strength").values
        np.testing.assert_allclose(mean.reshape(wanted.shape), wanted, rtol=1e-5)
    data["difference"][:, 0] = np.nan
    assert np.isnan(np.frombuffer(cells_of(data)["mean_over_concepts"], np.float32)[0])


def test_reasons_are_those_of_the_effect_each_told_once():
    data = fakes.effect(done=0.8)
    without = cells_of(data.drop_vars("reason"))
    assert (without["reason"], without["reasons"]) == (b"", [])
    clear = data["clear_in_grid"].values
    words = np.where(np.isnan(data["difference"]), "", np.where(clear, "passes", "interval includes 0")).astype(object)
    words[0, 0, 0] = "random reaches as far: +1.2 [0.3, 2.1]"
    cells = cells_of(data.assign(reason=(("concept", "layer", "strength"), words)))
    words[0, 0, 0] = "random reaches as far"  # its numbers are sent once, with the controls
    assert [cells["reasons"][place] for place in np.frombuffer(cells["reason"], np.uint16)] == words.ravel().tolist()
    assert len(cells["reasons"]) == len(set(words.ravel()))


def test_cells_with_too_few_images_or_draws_are_unfinished_and_the_caption_says_so():
    data = fakes.effect()
    assert cells_of(data)["unfinished"] == b"" and "unfinished" not in cells_of(data)["note"]
    coarse = data.assign({name: data[name] * np.nan for name in ("low", "high", "q")})
    coarse = coarse.assign(clear_in_grid=data["clear_in_grid"] & False)
    cells = cells_of(coarse)
    assert np.frombuffer(cells["unfinished"], np.float32).all() and "◇\N{NO-BREAK SPACE}unfinished" in cells["note"]
    assert cells["caption"] == f"no verdict: {data['q'].size} with too few draws of the controls"
    few = data["layer"] < 2
    some = coarse.assign({name: data[name].where(~few) for name in ("low", "high", "q")})
    some["n"] = some["n"].where(data["layer"] != 0, 4)
    half = data["q"].size // 8
    assert cells_of(some)["caption"].endswith(
        f"; unfinished: {half} with fewer than 6 images and {half} with too few draws of the controls"
    )
    unfinished = np.frombuffer(cells_of(some)["unfinished"], np.float32).reshape(data["q"].shape)
    np.testing.assert_array_equal(unfinished, np.broadcast_to(few.values[None, :, None], unfinished.shape))
    assert cells_of(coarse.assign_attrs(average="median"))["unfinished"] == b"", "medians are not tested at all"


def test_random_directions_are_told_as_differences_from_unsteered():
    effect = fakes.effect()
    effect["value"] = effect["difference"] + 0.1
    effect["mean"] = effect["value"] - 5.0
    shifted = effect.assign(control_mean=effect["control_mean"] - 5.0)
    control = np.frombuffer(cells_of(shifted)["control"], np.float32)
    np.testing.assert_allclose(control, 0.1, atol=1e-5)


def test_it_tells_which_cells_pass_and_what_their_answers_are():
    data = fakes.effect(answers=True)
    heatmap = LayerConceptHeatmap(data)
    np.testing.assert_allclose(numbers(heatmap, "q"), data["q"].values, rtol=1e-6)
    marks = numbers(heatmap, "marks")
    np.testing.assert_array_equal(marks % 2 == 1, data["never_named"].values)
    np.testing.assert_array_equal(marks >= 2, data["broken"].values >= 0.5)
    assert set(np.unique(marks)) == {0, 1, 2, 3}
    assert heatmap.caption == grid_caption(data) and "whole grid: " in heatmap.caption
    heatmap.show(fakes.effect())
    assert heatmap.marks == b"" and "answers" not in heatmap.note


def test_one_image_medians_and_too_few_images_have_no_verdict_and_a_map_says_so():
    heatmap = LayerConceptHeatmap(raw_grid())
    tested = np.isfinite(numbers(heatmap, "q"))
    assert tested.all((0, 1)).tolist() == [True, False, True], "strength 0 edits nothing"
    assert "faded: does not pass in the grid" in heatmap.note
    heatmap.average = "single"
    assert heatmap.q == heatmap.unfinished == b"" and "faded: not clear of the controls" in heatmap.note
    assert heatmap.caption.startswith("one image is not tested")
    heatmap.average = "median"
    assert np.isnan(numbers(heatmap, "q")).all() and heatmap.caption == "medians have no test against controls"
    few = LayerConceptHeatmap(raw_grid(pictures=4))
    assert few.caption == "no verdict: 4 of 6 images" and numbers(few, "unfinished").all()
    assert not numbers(few, "clear").any() and np.isnan(numbers(few, "q")).all()


def answered(grid, kept=True):
    """The grid with answers: all named with the concept's own vector at strength 1, at layer 5 all broken."""
    run = grid["logprob"].notnull()
    named = xr.where(run, 0.0, np.nan)
    named[{"strength": 2, "control": 0}] = xr.where(run[{"strength": 2, "control": 0}], 1.0, np.nan)
    perplexity = xr.where(run, 1.0, np.nan) * xr.where(grid["layer"] == 5, 50.0, 1.0)
    zeros = grid["logprob_unsteered"] * 0
    variables = {"named": named, "perplexity": perplexity.transpose(*named.dims), "repetition": named * 0}
    variables |= {"named_unsteered": zeros, "perplexity_unsteered": zeros + 1, "repetition_unsteered": zeros}
    variables |= {"kept": named * 0 + 0.5, "kept_unsteered": zeros + 1} if kept else {}
    variables["text"] = xr.where(run, "a cat", "")
    return grid.assign(variables).transpose(*grid["logprob"].dims, ...)


def test_the_score_of_answers_is_looked_at_first_where_there_are_answers():
    grid = answered(raw_grid())
    heatmap = LayerConceptHeatmap(grid)
    assert heatmap.metric == "score" and heatmap.metrics[:2] == ["score", "logprob"]
    labels = heatmap.metric_labels
    assert (labels["score"], labels["logprob"]) == ("score of answers", "Δ log-probability of the concept's words")
    scored = effect(grid, "score")
    np.testing.assert_allclose(numbers(heatmap), scored.difference, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(numbers(heatmap, "score"), scored["mean"], rtol=1e-5, atol=1e-6)
    assert heatmap.limit == 1.0 and heatmap.note.startswith("score of answers, 0 … 1 · faded: does not pass")
    marks = numbers(heatmap, "marks")
    assert (marks[:, 1] >= 2).all() and (marks[:, 0, 2] == 0).all()
    assert "mp.effect(grid, 'score')" in "".join(heatmap.recipe)
    fakes.select(heatmap, metric="logprob")
    np.testing.assert_allclose(numbers(heatmap), effect(grid, "logprob").difference, rtol=1e-5, atol=1e-6)
    assert heatmap.score == b"" and heatmap.limit > 1, "no scale is that of two metrics"
    heatmap.show(grid)
    assert heatmap.metric == "logprob", "what was chosen stays"
    with pytest.raises(ValueError, match="no metric 'kl'; it has score, logprob"):
        LayerConceptHeatmap(grid, metric="kl")
    unchecked = LayerConceptHeatmap(answered(raw_grid(), kept=False)).metric_labels["score"]
    assert unchecked == "score of answers (content not checked)"


def test_a_score_whose_controls_are_not_run_is_shown_and_unfinished():
    grid = answered(raw_grid())
    whole = numbers(LayerConceptHeatmap(grid), "score")
    bare = grid.copy(deep=True)
    bare["named"][{"control": slice(1, None)}] = np.nan
    heatmap = LayerConceptHeatmap(bare)
    assert heatmap.metric == "score" and np.isnan(numbers(heatmap)).all()
    np.testing.assert_array_equal(numbers(heatmap, "score"), whole)
    assert numbers(heatmap, "unfinished").all() and not numbers(heatmap, "clear").any()


def test_a_category_folds_to_the_mean_of_its_concepts_and_the_best_layer_stands_beside_each():
    data = fakes.effect(done=0.5)
    heatmap = LayerConceptHeatmap(data, folded=["entity"])
    shape = len(heatmap.row_groups), len(heatmap.layers), len(heatmap.strengths)
    means = np.frombuffer(heatmap.group_means, np.float32).reshape(shape)
    for (_, places), mean in zip(heatmap.row_groups, means, strict=True):
        np.testing.assert_allclose(mean, data.difference.values[places].mean(0), rtol=1e-5)
    best = np.frombuffer(heatmap.best, np.float32).reshape(len(heatmap.concepts), -1)
    at = list(heatmap.strengths).index
    assert best[0, at(1)] == data.difference.sel(concept="cat", strength=1).argmax("layer")
    assert np.isnan(best[:, at(-2)]).all(), "a dose that was not run has none"
    away = np.frombuffer(LayerConceptHeatmap(fakes.effect()).best, np.float32).reshape(best.shape)
    assert away[0, at(-1)] == fakes.effect().difference.sel(concept="cat", strength=-1).argmin("layer")
    whole = {shape.text for shape in LayerConceptHeatmap(data).drawing().shapes if isinstance(shape, Text)}
    written = {shape.text for shape in heatmap.drawing().shapes if isinstance(shape, Text)}
    assert written - whole == {"entity (5)"} and "cat" in whole - written and {"best", "sketch"} <= written


def test_log_probability_alone_is_called_a_fast_screen():
    heatmap = LayerConceptHeatmap(raw_grid())
    assert (heatmap.metric, heatmap.metrics) == ("logprob", ["logprob"])
    assert heatmap.metric_labels == {"logprob": "Δ log-probability (fast screen)"}
    assert LayerConceptHeatmap(fakes.effect(answers=True)).metric_labels["logprob"].endswith("of the concept's words")
    named = raw_grid().rename(logprob="named", logprob_unsteered="named_unsteered")
    assert LayerConceptHeatmap(named).metric == "named", "the only metric of a grid needs no name"


def test_it_fills_while_the_iterator_yields_and_ends_complete():
    heatmap = LayerConceptHeatmap()
    seen, go = [], threading.Semaphore(0)
    heatmap.observe(lambda change: seen.append(np.isfinite(np.frombuffer(change.new, np.float32)).mean()), "values")

    def grids():
        for grid in fakes.growing(steps=4):
            assert go.acquire(timeout=SOON)
            yield grid

    heatmap.watch(grids())
    assert not heatmap.wait(0.05)
    assert heatmap.status == "running"
    for _ in range(4):
        go.release()
    assert heatmap.wait(SOON)
    assert (heatmap.status, heatmap.progress) == ("idle", 1.0)
    assert np.isfinite(numbers(heatmap)).all()
    assert seen == sorted(seen)


def test_a_fast_iterator_is_drawn_now_and_then_but_its_last_grid_always():
    heatmap = LayerConceptHeatmap(fakes.growing(steps=200))
    assert heatmap.wait(SOON)
    sent = fakes.updates(heatmap, "values")
    assert len(sent) < 150
    assert np.isfinite(numbers(heatmap)).all()
    data, buffers = [m for m in heatmap.comm.sent if ["values"] in m[0].get("buffer_paths", [])][-1]
    assert bytes(buffers[data["buffer_paths"].index(["values"])]) == heatmap.values


def test_state_is_sent_even_while_another_thread_holds_notifications(filled):
    filled.comm.sent.clear()
    with filled.hold_trait_notifications():
        thread = threading.Thread(target=lambda: filled.publish(progress=0.5))
        thread.start()
        thread.join()
        assert fakes.updates(filled, "progress") == [0.5]


def test_a_selection_survives_new_data_and_only_what_changed_is_sent(filled):
    filled.concept, filled.layer, filled.strength = "neon", 6, 2.0
    filled.comm.sent.clear()
    filled.show(fakes.effect())
    assert [list(data.get("state", {})) for data, _ in filled.comm.sent if data.get("state")] == []
    filled.show(fakes.effect(done=0.5))
    assert (filled.concept, filled.layer, filled.strength) == ("neon", 6, 2.0)
    unchanged = ("concept", "layer", "strength", "concepts", "metric_labels")
    assert not any(fakes.updates(filled, name) for name in unchanged)


def test_the_first_selection_can_be_chosen_and_else_is_the_first_cell_at_strength_one():
    chosen = LayerConceptHeatmap(fakes.effect(), concept="awe", layer=2, strength=-1)
    assert (chosen.concept, chosen.layer, chosen.strength) == ("awe", 2, -1.0)
    usual = LayerConceptHeatmap(fakes.effect())
    assert (usual.concept, usual.layer, usual.strength) == ("cat", 0, 1.0)


CONTROLS = ("concept", "random", "shuffled")


def raw_grid(pictures=8, off_target=False):
    """A grid as `mllm_probe.sweep` makes it: three concepts, two layers, three strengths, two kinds of control."""
    rng = np.random.default_rng(0)
    shape = (3, 2, 3, 3, 5, pictures)
    dims = ("concept", "layer", "strength", "control", "draw", "sample")
    scores = rng.normal(-6, 0.2, shape)
    scores[:, :, 2, 0] += 5
    scores[:, :, 2, 2] += 1
    scores[:, :, :, 0, 1:] = np.nan
    variables = {
        "logprob": (dims, scores, {"units": "nats"}),
        "logprob_unsteered": (("concept", "sample"), np.full((3, pictures), -6.0)),
    }
    coords = {"concept": ["cat", "tree", "neon"], "category": ("concept", ["entity", "entity", "visual_style"])}
    coords |= {"layer": [2, 5], "relative_depth": ("layer", [0.375, 0.75]), "strength": [-1.0, 0.0, 1.0]}
    coords |= {"control": list(CONTROLS), "sample": [f"{i:016x}" for i in range(pictures)]}
    coords["split"] = "sample", ["fit", "held_out"] * (pictures // 2)
    if off_target:
        coords["scored_concept"] = coords["concept"]
        steered = np.broadcast_to(-6 + np.eye(3)[:, None, None, None], (3, 2, 3, pictures, 3)) + 0.0
        steered[:, 1, 2] += 2 * np.eye(3)[:, None]
        random = rng.normal(-6, 0.1, (2, 3, 5, pictures, 3))
        variables |= {
            "off_target": (("concept", "layer", "strength", "sample", "scored_concept"), steered),
            "off_target_random": (("layer", "strength", "draw", "sample", "scored_concept"), random),
            "off_target_unsteered": (("sample", "scored_concept"), np.full((pictures, 3), -6.0)),
        }
    made = {"unit": "residual", "model": "scenes-8l", "scope": "last_prompt+generated", "prompt": "what ?", "seed": 3}
    return xr.Dataset(variables, coords, made)


def test_a_stored_grid_says_how_it_was_made_and_is_seen_from_any_of_its_controls(tmp_path):
    raw_grid().to_zarr(tmp_path / "cats.zarr", zarr_format=2)
    heatmap = LayerConceptHeatmap(tmp_path / "cats.zarr")
    made = {"model": "scenes-8l", "prompt": "what ?", "seed": 3, "unit": "residual", "bundled": True}
    assert heatmap.provenance.items() >= (made | {"tokens": ["last_prompt", "generated"]}).items()
    assert (heatmap.controls, heatmap.against) == (["random", "shuffled"], "random")
    assert heatmap.relative_depths == [0.375, 0.75]
    found = effect(raw_grid())
    np.testing.assert_allclose(numbers(heatmap), found.difference, rtol=1e-5)
    fakes.select(heatmap, against="shuffled")
    np.testing.assert_allclose(numbers(heatmap), found.difference_from.sel(control="shuffled"), rtol=1e-5, atol=1e-6)
    low = found.difference_low.sel(control="shuffled")
    np.testing.assert_allclose(numbers(heatmap, "low"), low, rtol=1e-5, atol=1e-6)
    bands = np.frombuffer(heatmap.control, np.float32).reshape(2, 3, 2, 3)
    np.testing.assert_allclose(bands[1], found.control_mean.sel(control="shuffled") + 6.0, atol=1e-5)


def test_pictures_are_summarised_by_mean_median_or_one():
    grid = raw_grid()
    heatmap = LayerConceptHeatmap(grid)
    assert heatmap.samples[1] == "image 2 · held out · 00000000"
    heatmap.average = "median"
    np.testing.assert_allclose(numbers(heatmap), effect(grid, average="median").difference, rtol=1e-5, atol=1e-6)
    heatmap.sample = 3
    heatmap.average = "single"
    alone = effect(grid.isel(sample=[3]))
    np.testing.assert_allclose(numbers(heatmap), alone.difference, rtol=1e-5, atol=1e-6)
    assert np.isnan(numbers(heatmap, "low")).all() and (numbers(heatmap, "n") == 1).all()
    clear = numbers(heatmap, "clear")
    assert clear[:, :, 2].all() and not clear[:, :, 1].any()
    heatmap.sample = 9
    assert (heatmap.status, heatmap.message) == ("error", "there is no image 9; the grid has 8, counted from 0.")
    heatmap.sample = 7
    assert (heatmap.status, heatmap.message) == ("idle", "")


def test_layer_and_window_follow_each_other():
    heatmap = LayerConceptHeatmap(fakes.effect(), layer=5)
    assert heatmap.window == [5, 5]
    heatmap.window = [6, 3]
    assert (heatmap.window, heatmap.layer) == ([3, 6], 3)
    heatmap.layer = 4
    assert heatmap.window == [4, 4]
    fakes.select(heatmap, layer=2, window=[2, 5])
    assert (heatmap.layer, heatmap.window) == (2, [2, 5])
    heatmap.show(fakes.effect(layers=4))
    assert (heatmap.layer, heatmap.window) == (2, [2, 2])


def test_the_off_target_view_is_of_the_selected_layer_and_strength():
    heatmap = LayerConceptHeatmap(raw_grid(off_target=True), layer=5, strength=1.0)
    assert heatmap.has_off_target and heatmap.off_target == b""
    heatmap.detail = "off_target"
    values = np.frombuffer(heatmap.off_target, np.float32).reshape(3, 3, 4)
    np.testing.assert_allclose(np.diag(values[..., 0]), 3.0, atol=0.2)
    assert np.diag(values[..., 3]).all() and not values[..., 3].all()
    assert heatmap.off_target_at == [5.0, 1.0]
    heatmap.layer = 2
    values = np.frombuffer(heatmap.off_target, np.float32).reshape(3, 3, 4)
    np.testing.assert_allclose(np.diag(values[..., 0]), 1.0, atol=0.2)
    assert not LayerConceptHeatmap(raw_grid()).has_off_target


class Blocked:
    """A sweep that computes until it is closed."""

    def __init__(self):
        self.inside, self.closed = threading.Event(), threading.Event()

    def __iter__(self):
        return self

    def __next__(self):
        self.inside.set()
        assert self.closed.wait(SOON)
        raise StopIteration

    def close(self):
        self.closed.set()


class Endless(Blocked):
    """Grids that never end, one by one."""

    def __iter__(self):
        try:
            while True:
                self.inside.set()
                yield fakes.effect(done=0.5)
        finally:
            self.closed.set()


@pytest.mark.parametrize("grids", [Blocked, Endless])
def test_stop_closes_the_iterator_also_while_it_computes(grids):
    running = grids()
    heatmap = LayerConceptHeatmap(running if grids is Blocked else iter(running))
    assert running.inside.wait(SOON)
    heatmap.stop()
    assert not heatmap.wait(SOON) and heatmap.status == "cancelled" and running.closed.is_set()


def test_a_ratio_is_shown_in_doublings():
    grid = raw_grid()
    ratios = 2 ** (grid.logprob + 6)
    ones = grid.logprob_unsteered * 0 + 1
    heatmap = LayerConceptHeatmap(grid.assign(perplexity=ratios, perplexity_unsteered=ones), metric="perplexity")
    assert heatmap.unit == "doublings" and heatmap.metric_labels["perplexity"] == "Δ perplexity of the answer"
    np.testing.assert_allclose(numbers(heatmap), effect(grid).difference, rtol=1e-4, atol=1e-5)


def test_the_colour_range_fits_all_but_the_largest_cells_and_those_are_marked(tmp_path):
    data = fakes.effect()
    plain = LayerConceptHeatmap(data)
    sizes = np.sort(np.abs(data.difference.values), axis=None)
    assert sizes[int(0.98 * sizes.size)] <= plain.limit <= sizes[int(0.98 * sizes.size)] * 7 / 6
    wild = data.copy(deep=True)
    wild.difference.loc[{"concept": "cat", "layer": 5, "strength": 1}] = 500_000
    heatmap = LayerConceptHeatmap(wild, strength=1.0)
    assert heatmap.limit <= plain.limit * 7 / 6
    assert "corner: beyond the scale" in heatmap.note and "faded" in heatmap.note
    corners = [shape for shape in heatmap.drawing().shapes if isinstance(shape, Area)]
    assert len(corners) == int((np.abs(wild.difference.sel(strength=1)) > heatmap.limit).sum()) > 0


def test_what_is_no_grid_is_refused_before_it_is_watched(tmp_path):
    with pytest.raises(TypeError, match=r"expected a grid of mp.sweep.*got a list that holds int 1\."):
        LayerConceptHeatmap([1, 2])
    with pytest.raises(TypeError, match="iterable of grids such as mp.sweep_iter; got int"):
        LayerConceptHeatmap(5)
    with pytest.raises(TypeError, match="got DataArray"):
        LayerConceptHeatmap(fakes.effect().difference)
    with pytest.raises(FileNotFoundError, match="no Zarr store at .*nowhere.zarr"):
        LayerConceptHeatmap(tmp_path / "nowhere.zarr")
    with pytest.raises(ValueError, match=r"two dimensions of concepts.*effect.sel\(scored_concept='cat'\)"):
        LayerConceptHeatmap(effect(raw_grid(off_target=True), "off_target"))
    with pytest.raises(ValueError, match="no metric 'logprob'"):
        LayerConceptHeatmap(fakes.effect().drop_vars("difference"))
    two = [fakes.effect(done=0.5), fakes.effect()]
    heatmap = LayerConceptHeatmap(two)
    assert heatmap.wait(SOON) and heatmap.concepts


def times_drawn(times: list[float], took: float = 0.0) -> list[float]:
    """Those of the times at which a drawing begins."""
    limiter, found = RateLimiter(shortest=0.05, share=0.2), []
    for now in times:
        if limiter.ready(now):
            limiter.record(now, took)
            found.append(now)
    return found


@pytest.mark.parametrize("late", [0.0, 0.004, 0.02])
def test_a_source_as_fast_as_may_be_drawn_is_drawn_every_time_though_it_jitters(late: float) -> None:
    times = [0.05 * k + (late if k % 2 else 0.0) for k in range(40)]
    assert times_drawn(times) == times


def test_a_faster_source_is_drawn_twenty_times_a_second() -> None:
    assert 20 <= len(times_drawn([k / 1000 for k in range(1000)])) <= 21


def test_a_pause_saves_up_no_turns() -> None:
    found = times_drawn([0.0, *(10 + k / 1000 for k in range(100))])
    assert len(found) <= 4


def test_drawing_takes_no_more_than_its_share_of_the_time() -> None:
    assert times_drawn([k / 100 for k in range(200)], took=0.1) == pytest.approx(
        [0.0, 0.48, 0.98, 1.48, 1.98], abs=0.011
    )
