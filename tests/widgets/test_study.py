"""StudyView: a study as plain data, its selection, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from mllm_probe.plots.charts import study_chart
from mllm_probe.widgets import StudyView
from mllm_probe.widgets.study.study_view import rounded, state_of
from tests.plots.studies_by_hand import (
    STUDIES,
    SUMMARY,
    atlas,
    comparison,
    localization,
    reliability,
    reverse,
    scaling,
    with_multiverse,
)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_plain_data_without_nan(name):
    view = StudyView(with_multiverse(STUDIES[name]()))
    state = {key: getattr(view, key) for key in view.keys if not key.startswith("_") and key != "layout"}
    state = {key: value for key, value in state.items() if not hasattr(value, "comm")}
    json.dumps(state, allow_nan=False)
    assert view.study == name and view.summary == SUMMARY.splitlines() and view.charts
    assert view.details == [["entity (3)", "read out by 2.0 blocks"], ["abstract (3)", "not <b>known</b>"]]
    assert view.chart == view.charts[0]["key"] and view.multiverse["specifications"]["headline"] == 1
    assert view.multiverse["specifications"]["values"] == [-1, 1, 2, None]


def test_numbers_have_three_digits_and_nothing_that_is_empty_is_sent():
    assert [rounded(value) for value in (0.123456, -1234.5, 12.0, np.nan, np.inf)] == [0.123, -1230, 12, None, None]
    state = state_of(study_chart(localization()))
    first, single = state["lines"][0], state["lines"][1]
    assert first["at"] == 0 and first["label"] == "entity (3)" and "dashed" not in first and "control" not in first
    assert single["concept"] == "c0" and "label" not in single and "low" not in single
    assert single["y"] == [float(f"{value:.3g}") for value in localization().read_out.values[0, 0]]
    assert state["places"] == [[0, 1, 2, 3]] and "matrix" not in state and "levels" not in state


def test_layer_0_and_place_0_are_no_nothing():
    of = reverse().assign_coords(layer=[0, 2])
    lines = state_of(study_chart(of))["lines"]
    assert {line["layer"] for line in lines} == {0, 2} and {line["at"] for line in lines} == {0, 1}


def test_a_view_begins_at_the_headline_and_offers_the_concepts_and_layers_of_its_study():
    view = StudyView(atlas())
    assert (view.concept, view.layer, view.layers) == ("c0", 7, [3, 7])
    assert view.categories == ["entity", "abstract"] * 3
    view.close()
    view = StudyView(reverse(), concept="c2", layer=3, chart="change, image, -1 residual norm")
    assert (view.concept, view.layer, view.layers) == ("c2", 3, [0, 1, 2, 3])
    assert repr(view) == "StudyView('reverse_steering', 2 charts, 6 concepts)"
    view.close()
    view = StudyView(comparison())
    assert view.layers == [] and view.about == "scenes-4l · scenes-8l · 6 concepts"


def test_a_study_of_a_model_that_tells_nothing_apart_has_its_summary_alone():
    view = StudyView(xr.Dataset(attrs={"study": "scaling", "summary": "Nothing to study"}))
    assert (view.summary, view.charts, view.chart, view.multiverse) == (["Nothing to study"], [], "", {})


def test_a_study_is_drawn_as_its_summary_where_no_widget_runs():
    view = StudyView(scaling())
    words = " ".join(shape.text for shape in view.drawing().shapes if hasattr(shape, "text"))
    assert "Scaling · scenes-8l" in words and "6 concepts that the model tells apart." in words


def test_what_is_no_study_or_not_in_it_is_refused():
    with pytest.raises(TypeError, match="expected the dataset of one of mp.studies, got 'atlas'"):
        StudyView("atlas")
    with pytest.raises(ValueError, match="which says its name in the attribute 'study'"):
        StudyView(xr.Dataset())
    with pytest.raises(ValueError, match="concept: expected one of c0, c1"):
        StudyView(reliability(), concept="zebra")
    with pytest.raises(ValueError, match="layer: expected one of 0, 1; got 5"):
        StudyView(reliability(), layer=5)
    with pytest.raises(ValueError, match="chart: expected one of cosine, besides; got 'map'"):
        StudyView(atlas(), chart="map")
    with pytest.raises(TypeError, match="StudyView got an unexpected keyword argument 'colour'"):
        StudyView(atlas(), colour="red")
