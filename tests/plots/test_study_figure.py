"""Figures of the studies: their lines are the study's numbers, with what they are compared with."""

import numpy as np
import pytest
import xarray as xr

from mllm_probe.plots import multiverse, study
from mllm_probe.plots.charts import study_chart
from mllm_probe.plots.palette import diverging
from tests.plots.studies_by_hand import (
    atlas,
    comparison,
    localization,
    recognition,
    reliability,
    reverse,
    scaling,
    unknown,
    with_multiverse,
)


def data(figure, name):
    (renderer,) = [one for one in figure.renderers if one.name == name]
    return renderer.data_source.data


def texts(figure):
    return " ".join(one.text for one in reversed(figure.above) if hasattr(one, "text"))


def test_lines_of_localization_are_means_over_the_concepts_that_have_a_profile():
    of = localization()
    figure = study(of)
    mean = of.read_out.sel(measure="interchange, insert").isel(concept=[3, 4]).mean("concept")
    np.testing.assert_allclose(data(figure, "mean abstract")["y"], mean)
    assert data(figure, "mean abstract")["label"][0] == "abstract (2)"
    other = study(of, measure="steering, vector")
    np.testing.assert_allclose(
        data(other, "mean entity")["y"], of.read_out.isel(measure=1, concept=slice(0, 3)).mean("concept")
    )
    assert "6 concepts" in texts(figure)
    np.testing.assert_allclose(data(figure, "concept c4")["y"], of.read_out[0, 4])
    assert np.isnan(data(figure, "interval abstract")["low"]).all(), "two concepts have no interval"


def test_a_figure_without_numbers_says_why_in_place_of_empty_axes():
    empty = study(unknown())
    assert "Nothing to draw, the numbers of 3 entity and 3 abstract concepts are not known" in texts(empty)
    assert not any(axis.visible for axis in empty.axis) and not empty.legend
    drawn = study(unknown(), measure="steering, vector")
    assert all(axis.visible for axis in drawn.axis) and "Nothing to draw" not in texts(drawn)
    ways = with_multiverse(localization())
    ways["verdict"].values[:] = np.nan
    (only,) = multiverse(ways).children
    assert "cannot be computed in any of 4 ways" in texts(only) and not any(axis.visible for axis in only.axis)


def test_reverse_steering_is_seen_against_random_directions_from_the_edited_block_on():
    of = reverse()
    drawn = data(study(of), "mean edited: block 2")
    assert drawn["x"].tolist() == [2, 3]
    chosen = of.ratio.sel(scope="last_prompt+generated", control="random").isel(edit_kind=0, layer=1)
    np.testing.assert_allclose(drawn["y"], chosen.mean("concept").values[2:])
    assert "below 0 against it (it compensates)" in texts(study(of, scope="image"))
    assert chosen.values.min() < 0 and study_chart(of).levels == (0.0, 1.0)


def test_reliability_has_a_point_for_each_concept_and_the_share_of_random_directions():
    figure = study(reliability())
    assert data(figure, "points entity")["label"] == ["c0", "c1", "c2"]
    np.testing.assert_allclose(data(figure, "points entity")["y"], reliability().anti_steerable[:3, 1])
    assert "random directions (48%)" in texts(figure)


def test_scaling_shows_its_control_and_on_how_many_models_it_rests():
    figure = study(scaling())
    np.testing.assert_allclose(data(figure, "mean entity")["y"], [1, 7])
    assert [one for one in figure.renderers if one.name == "random"] and "rests on 2 models" in texts(figure)
    assert not [one for one in study(scaling(), statistic="effective_layers").renderers if one.name == "random"]


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(TypeError, match="expected the dataset of one of mp.studies"):
        study("localization")
    with pytest.raises(ValueError, match="expected a study"):
        study(xr.Dataset())
    with pytest.raises(ValueError, match="nothing to draw: Nothing to study"):
        study(xr.Dataset(attrs={"study": "scaling", "summary": "Nothing to study"}))
    with pytest.raises(ValueError, match="statistic: expected one of"):
        study(scaling(), statistic="luck")
    with pytest.raises(ValueError, match="chosen: expected one of measure"):
        study(localization(), scope="image")
    with pytest.raises(ValueError, match="chart: expected one of cosine, besides; got 'map'"):
        study(atlas(), chart="map")


def test_the_atlas_is_a_matrix_of_cosines_by_category_and_a_table_of_effects_besides():
    of = atlas()
    figure = study(of)
    in_order = ["c0", "c2", "c4", "c1", "c3", "c5"]
    assert figure.x_range.factors == in_order and figure.y_range.factors == in_order[::-1]
    cells = data(figure, "cells")
    expected = of.cosine.sel(layer=7, concept="c2", scored_concept="c1")
    assert cells["value"][1 * 6 + 3] == expected and (cells["x"][9], cells["y"][9]) == ("c1", "c2")
    assert "(p .013" in texts(figure) and "block 7" in texts(figure)
    table = study(of, chart="besides")
    assert data(table, "cells")["value"][1] == -2.1 and table.y_range.factors == ["abstract", "entity"]
    (cells,) = [one for one in table.renderers if one.name == "cells"]
    mapper = cells.glyph.fill_color.transform
    assert (mapper.low, mapper.high) == (-2.2, 2.2) and mapper.palette[-1] == diverging(1, 1)


def test_a_comparison_has_a_map_of_mean_effects_beside_its_lines():
    of = comparison()
    figure = study(of, chart="map")
    np.testing.assert_allclose(data(figure, "cells")["value"], of.difference.mean("concept").values.ravel())
    assert figure.y_range.factors == ["scenes-8l", "scenes-4l"] and figure.x_range.factors == ["0.50", "1.00"]
    assert "scenes-4l + scenes-8l" in texts(figure)
    assert data(study(of), "mean scenes-4l")["label"][0] == "scenes-4l (6)"


def test_recognition_has_a_line_for_each_question_with_random_directions_dashed():
    of = recognition()
    figure = study(of)
    here = of.sel(scope="image", edit_kind="1 residual norm")
    np.testing.assert_allclose(data(figure, "mean problem")["y"], here.implied.sel(asked="problem").mean("concept"))
    random = data(figure, "problem, random directions")
    np.testing.assert_allclose(random["y"], here.implied_random.sel(asked="problem").mean("concept"))
    (line,) = [one for one in figure.renderers if one.name == "problem, random directions"]
    assert line.glyph.line_dash != [] and "reading 80% [70%, 90%]" in texts(figure)
    other = study(of, scope="last_prompt")
    assert data(other, "mean problem")["y"][0] != data(figure, "mean problem")["y"][0]


def test_the_multiverse_shows_verdicts_in_rising_order_with_the_headline_and_what_each_way_is():
    above, below = multiverse(with_multiverse(localization())).children
    np.testing.assert_array_equal(data(above, "verdicts")["y"], [-1, 1, 2, np.nan])
    assert data(above, "verdicts")["setting"][0] == "dose 0.5, token scope last_prompt"
    (headline,) = [one for one in above.renderers if one.name == "headline"]
    assert headline.data_source.data["x"] == [1] and headline.data_source.data["y"] == [1.0]
    assert "positive in 2 of 4 ways, negative in 1, not known in 1" in texts(above)
    dots = data(below, "settings")
    assert list(zip(dots["x"], dots["y"], strict=True))[:2] == [
        (0, ("dose", "0.5")),
        (0, ("token scope", "last_prompt")),
    ]
    assert below.x_range is above.x_range
    with pytest.raises(ValueError, match="a study's multiverse lacks variable 'verdict'"):
        multiverse(localization())
    with pytest.raises(TypeError, match="expected the dataset of one of mp.studies, got 'atlas'"):
        multiverse("atlas")
