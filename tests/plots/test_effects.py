import numpy as np
import pytest
import xarray as xr

from mllm_probe import schema
from mllm_probe.plots import dose_response, layer_profile, vector_geometry
from mllm_probe.plots.palette import CATEGORY_COLOURS
from mllm_probe.studies.clear_cells import verdict_caption

CONCEPTS, LAYERS, STRENGTHS = ["cat", "neon", "awe"], [0, 1, 2, 3], [-1.0, 0.0, 1.0, 2.0]


def effect_dataset(controls=("random", "shuffled"), answer_prefix="there is a"):
    shape = (len(CONCEPTS), len(LAYERS), len(STRENGTHS))
    rng = np.random.default_rng(0)
    dims = (schema.CONCEPT, schema.LAYER, schema.STRENGTH)
    peak = np.array([1.0, 2.0, 4.0, 1.5])[None, :, None] * np.array(STRENGTHS)[None, None]
    difference = np.broadcast_to(peak, shape) + rng.normal(0, 0.1, shape)
    mean = rng.normal(0.5, 0.1, (len(controls), *shape))
    data = xr.Dataset(
        {
            "difference": (dims, difference, {"units": "nats", "long_name": "log-probability: concept minus random"}),
            "low": (dims, difference - 0.3),
            "high": (dims, difference + 0.3),
            "value": (dims, difference + mean[0]),
            "n": (dims, np.full(shape, 24)),
            "q": (dims, 0.05 * 1.7 / np.maximum(np.abs(difference), 0.1)),
            "clear_of_controls": (dims, np.abs(difference) > 1.2),
            "clear_in_grid": (dims, np.abs(difference) > 1.7),
            "control_mean": ((schema.CONTROL, *dims), mean),
            "control_low": ((schema.CONTROL, *dims), mean - 0.2),
            "control_high": ((schema.CONTROL, *dims), mean + 0.2),
        },
        coords=schema.layer_coordinates(LAYERS, 4)
        | {
            schema.CONCEPT: CONCEPTS,
            schema.CATEGORY: (schema.CONCEPT, ["entity", "visual_style", "emotion"]),
            schema.STRENGTH: STRENGTHS,
            schema.CONTROL: list(controls),
        },
        attrs={
            "model": "scenes-8l",
            "prompt": "what do you see ?",
            "answer_prefix": answer_prefix,
            "unit": "residual",
            "scope": ["last_prompt", "generated"],
            "operation": "add",
        },
    )
    return data


@pytest.fixture
def effect():
    return effect_dataset()


def data(figure, name):
    (renderer,) = [one for one in figure.renderers if one.name == name]
    return renderer.data_source.data


def texts(figure):
    return [title.text for title in reversed(figure.above) if hasattr(title, "text")]


def test_a_layer_profile_shows_the_numbers_of_the_effect(effect):
    figure = layer_profile(effect, strength=2)
    at = effect.sel(strength=2, concept="neon")
    line, interval = data(figure, "effect neon"), data(figure, "interval neon")
    assert np.array_equal(line["x"], LAYERS) and np.allclose(line["y"], at["difference"])
    assert np.allclose(interval["low"], at["low"]) and np.allclose(interval["high"], at["high"])
    assert list(line["n"]) == [24] * 4 and np.allclose(line["depth"], [0.25, 0.5, 0.75, 1])


def test_the_reason_of_each_point_is_under_the_pointer_and_no_spread(effect):
    words = np.where(effect["clear_in_grid"], "passes", "on_manifold reaches as far: +1.2 [0.3, 2.1]")
    told = effect.assign(reason=(effect["clear_in_grid"].dims, words))
    for figure, at in (
        (layer_profile(told, strength=2), {"strength": 2}),
        (dose_response(told, layer=1), {"layer": 1}),
    ):
        source = data(figure, "points cat")
        assert source["reason"].tolist() == told["reason"].sel(concept="cat", **at).values.tolist()
        (hover,) = [tool for tool in figure.tools if hasattr(tool, "tooltips")]
        assert ("reason", "@reason") in hover.tooltips and "spread" not in source
    (hover,) = [tool for tool in layer_profile(effect).tools if hasattr(tool, "tooltips")]
    assert ("reason", "@reason") not in hover.tooltips


def test_the_input_of_block_0_is_marked_by_its_name(effect):
    layers = [schema.INPUT, *LAYERS[1:]]
    shifted = effect.assign_coords(schema.layer_coordinates(layers, 4))
    figure = layer_profile(shifted)
    assert figure.xaxis[0].ticker.ticks == layers and figure.xaxis[0].major_label_overrides == {-1: "input"}
    assert layer_profile(effect).xaxis[0].major_label_overrides == {}


def test_a_strength_that_was_selected_before_is_drawn_and_another_one_is_refused(effect):
    one = effect.sel(strength=2)
    assert texts(layer_profile(one))[0] == texts(layer_profile(effect, strength=2))[0]
    with pytest.raises(ValueError, match="strength 1 is not in the effect; it has 2"):
        layer_profile(one, strength=1)


def test_controls_are_drawn_against_the_mean_random_direction(effect):
    figure = layer_profile(effect, strength=1, concepts="cat")
    at = effect.sel(strength=1, concept="cat")
    random, shuffled = data(figure, "band random"), data(figure, "band shuffled")
    assert np.allclose(data(figure, "mean random")["mean"], 0)
    assert np.allclose(random["low"], -0.2) and np.allclose(random["high"], 0.2)
    expected = at["control_high"].sel(control="shuffled") - at["control_mean"].sel(control="random")
    assert np.allclose(shuffled["high"], expected)


def test_the_band_of_several_concepts_covers_all_of_them(effect):
    figure = layer_profile(effect, strength=1)
    gap = effect.sel(strength=1)
    gap = gap["control_high"].sel(control="shuffled") - gap["control_mean"].sel(control="random")
    assert np.allclose(data(figure, "band shuffled")["high"], gap.max("concept"))


def test_markers_are_filled_where_the_effect_passes_in_the_grid(effect):
    points = data(layer_profile(effect, strength=1), "points cat")
    clear = effect["clear_in_grid"].sel(strength=1, concept="cat").values
    assert 0 < clear.sum() < 4
    assert list(points["fill"]) == [CATEGORY_COLOURS["entity"] if yes else "#ffffff" for yes in clear]


def test_an_effect_without_q_is_filled_where_it_is_clear_of_controls(effect):
    old = effect.drop_vars(["q", "clear_in_grid"])
    figure = layer_profile(old, strength=1)
    clear = old["clear_of_controls"].sel(strength=1, concept="cat").values
    assert [one != "#ffffff" for one in data(figure, "points cat")["fill"]] == list(clear)
    assert "Filled: clear of every control." in " ".join(texts(figure)) and "whole grid" not in " ".join(texts(figure))


def test_the_caption_counts_the_cells_of_the_whole_grid_that_pass(effect):
    for figure in (layer_profile(effect, strength=1, concepts="cat"), dose_response(effect, layer=1)):
        written = " ".join(" ".join(texts(figure)).split())
        assert f"whole grid: {verdict_caption(effect)}" in written
        assert f"{int(effect['clear_in_grid'].sum())} of 48 cells pass" in written
        (hover,) = [tool for tool in figure.tools if hasattr(tool, "tooltips")]
        assert {("passes in the grid", "@clear"), ("q", "@q{0.000}")} <= set(hover.tooltips)
    assert np.allclose(data(layer_profile(effect, strength=1), "points cat")["q"], effect["q"].sel(strength=1)[0])


def test_points_are_marked_for_their_answers(effect):
    none = layer_profile(effect, strength=1)
    assert not [one for one in none.renderers if one.name and one.name.startswith("mark ")]
    never = xr.zeros_like(effect["difference"], bool)
    never.loc[{"layer": [0, 1], "concept": "cat"}] = True
    broken = xr.zeros_like(effect["difference"])
    broken.loc[{"layer": [1, 3]}] = 0.5
    figure = layer_profile(effect.assign(never_named=never, broken=broken), strength=1)
    at = effect["difference"].sel(strength=1)
    dash, cross = data(figure, "mark never_named"), data(figure, "mark broken")
    assert list(dash["x"]) == [0] and np.allclose(dash["y"], at.sel(concept="cat", layer=0))
    assert sorted(cross["x"]) == [1] * 3 + [3] * 3, "of two marks, the last is painted"
    assert list(data(figure, "points cat")["marks"]) == [
        "no answer names the concept",
        "no answer names the concept; at least half of the answers broken",
        "",
        "at least half of the answers broken",
    ]
    labels = {item.label.value for item in figure.legend[0].items}
    assert {"no answer names the concept", "at least half of the answers broken"} <= labels


def test_axes_carry_units_and_the_caption_says_how_it_was_made(effect):
    figure = layer_profile(effect)
    assert figure.yaxis.axis_label == "effect [nats]"
    assert dose_response(effect).xaxis.axis_label == "strength [× residual norm]"
    caption = " ".join(texts(figure))
    shown = ("scenes-8l", "last_prompt + generated", "add", "what do you see ?", "there is a", "n = 24 images")
    for part in (*shown, "log-probability: concept minus random"):
        assert part in caption
    assert "strength 1" in caption


def test_the_dose_response_takes_the_strongest_layer_and_sorts_doses(effect):
    shuffled = effect.isel(strength=[2, 0, 3, 1])
    figure = dose_response(shuffled)
    line = data(figure, "effect awe")
    assert list(line["x"]) == sorted(STRENGTHS)
    assert np.allclose(line["y"], effect.sel(layer=2, concept="awe")["difference"])
    assert any("layer 2" in text for text in texts(figure))
    assert np.allclose(
        data(dose_response(effect, layer=0), "effect awe")["y"], effect.sel(layer=0, concept="awe")["difference"]
    )


def test_without_controls_nothing_is_drawn(effect):
    for bare in (
        effect.drop_dims(schema.CONTROL),
        effect.sel(control=["shuffled"]),
    ):
        for plot in (layer_profile, dose_response):
            with pytest.raises(ValueError, match=r"not drawn without its controls.*Run the sweep with controls"):
                plot(bare)


def test_what_is_not_there_raises(effect):
    with pytest.raises(ValueError, match="strength 7 is not in the effect; it has -1, 0, 1, 2"):
        layer_profile(effect, strength=7)
    with pytest.raises(ValueError, match="layer 9 is not in the effect; it has 0, 1, 2, 3"):
        dose_response(effect, layer=9)
    with pytest.raises(ValueError, match="concept 'dog' is not in the effect; it has cat, neon, awe"):
        layer_profile(effect, concepts=["dog"])
    with pytest.raises(ValueError, match="the effect lacks variable 'difference'"):
        layer_profile(xr.Dataset())


def test_a_grid_is_drawn_by_its_effect():
    rng = np.random.default_rng(1)
    dims = (schema.CONCEPT, schema.LAYER, schema.STRENGTH, schema.CONTROL, schema.DRAW, schema.SAMPLE)
    scores = rng.normal(0, 0.1, (1, 2, 2, 2, 4, 6))
    scores[:, 1, 1, 0, 0] += 3
    scores[:, :, :, 0, 1:] = np.nan
    attributes = {"units": "nats", "long_name": "log-probability"}
    grid = xr.Dataset(
        {
            "logprob": (dims, scores, attributes),
            "logprob_unsteered": ((schema.CONCEPT, schema.SAMPLE), np.zeros((1, 6))),
        },
        coords=schema.layer_coordinates([0, 1], 2)
        | {
            schema.CONCEPT: ["cat"],
            schema.STRENGTH: [0.5, 1.0],
            schema.CONTROL: ["concept", "random"],
            schema.SAMPLE: list("abcdef"),
        },
        attrs={"unit": "residual"},
    )
    line = data(layer_profile(grid), "effect cat")
    expected = scores[0, :, 1, 0, 0].mean(-1) - scores[0, :, 1, 1].mean((-1, -2))
    assert np.allclose(line["y"], expected) and list(line["clear"]) == ["no", "yes"]
    with pytest.raises(ValueError, match="this grid has no metric 'kl'"):
        dose_response(grid, metric="kl")


def test_cells_that_were_not_run_leave_gaps(effect):
    effect["difference"][1, 2, 2] = np.nan
    line = data(layer_profile(effect, strength=1), "effect neon")["y"]
    assert np.isnan(line[2]) and np.isfinite(line[[0, 1, 3]]).all()


def test_many_concepts_are_named_by_category_in_the_legend():
    many = xr.concat(
        [effect_dataset().assign_coords(concept=[f"{c}{i}" for c in CONCEPTS]) for i in range(4)], "concept"
    )
    figure = layer_profile(many)
    labels = {item.label.value for item in figure.legend[0].items}
    assert labels == {"entity", "visual style", "emotion", "random directions", "shuffled labels"}


def test_what_is_no_dataset_is_refused_with_the_way_out(effect):
    for plot in (layer_profile, dose_response):
        with pytest.raises(TypeError, match=r"the effect of mp.effect or the grid of mp.sweep.*got list.*concat"):
            plot([effect, effect])
    with pytest.raises(TypeError, match="the vectors of mp.concept_vectors, an xarray.Dataset, got list"):
        vector_geometry([effect])


def test_of_an_off_target_effect_the_scored_concept_is_chosen_first(effect):
    both = effect.expand_dims(scored_concept=["cat", "neon"])
    with pytest.raises(ValueError, match=r"effect.sel\(scored_concept='cat'\); it has cat, neon"):
        layer_profile(both)
    assert data(layer_profile(both.sel(scored_concept="neon")), "effect cat")["x"].size == 4


def test_nothing_of_a_caption_is_cut_and_every_line_fits_the_narrowest_figure(effect):
    long = "what do you see in this picture, and how does it make you feel when you look at it for a long time ?"
    lines = texts(layer_profile(effect.assign_attrs(prompt=long)))
    assert long in " ".join(lines) and not any("…" in line for line in lines)
    assert max(len(line) for text in lines for line in text.split("\n")) <= 84
