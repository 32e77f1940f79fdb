"""What a study draws, as plain data: every choice of it, and the lines of single concepts."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from mllm_probe.plots.charts import _mean_line, multiverse_chart, study_chart, study_charts
from mllm_probe.plots.palette import category_colour
from tests.plots.studies_by_hand import STUDIES, localization, recognition, reverse, scaling, unknown, with_multiverse


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_charts_with_keys_of_their_own_and_what_they_are_compared_with(name):
    charts = study_charts(STUDIES[name]())
    keys = [one.key for one in charts]
    assert charts and len(set(keys)) == len(keys)
    assert charts[0].key == study_chart(STUDIES[name]()).key
    assert all("6 concepts" in " ".join(one.caption) for one in charts)


def test_all_that_can_be_chosen_is_drawn_the_default_first():
    assert [one.chosen for one in study_charts(localization())] == [
        {"measure": "interchange, insert"},
        {"measure": "steering, vector"},
    ]
    first, *rest = study_charts(recognition())
    assert first.chosen == {"scope": "image", "edit_kind": "1 residual norm"} and len(rest) == 3
    without = recognition().sel(scope=["last_prompt"])
    assert study_chart(without).chosen["scope"] == "last_prompt"


def test_a_concept_has_a_line_of_its_own_in_the_colour_of_its_category():
    of = localization()
    lines = [one for one in study_chart(of).lines if one.concept]
    assert [one.concept for one in lines] == ["c0", "c1", "c2", "c3", "c4"]  # nothing is known of c5
    np.testing.assert_array_equal(lines[3].y, of.read_out[0, 3])
    assert lines[3].colour == category_colour("abstract") and lines[3].name == "abstract"


def test_a_chart_without_numbers_says_why():
    nothing, drawn = study_charts(unknown())
    assert nothing.nothing == (
        "Nothing to draw, the numbers of 3 entity and 3 abstract concepts are not known: 5 of 6 concepts have fewer "
        "than 6 pairs whose images change the answer and 1 of 6 concepts have halves of the images that do not agree "
        "on a profile."
    )
    assert drawn.nothing == "" and not any(one.nothing for one in study_charts(reverse()))
    lost = scaling().assign(matched=scaling()["matched"] * np.nan)
    assert (
        study_chart(lost).nothing == "Nothing to draw, the numbers of 3 entity and 3 abstract concepts are not known."
    )
    ways = with_multiverse(localization())
    assert multiverse_chart(ways).nothing == ""
    ways["verdict"].values[:] = np.nan
    assert "cannot be computed in any of 4 ways" in multiverse_chart(ways).nothing


def test_lines_of_an_edited_block_say_which_it_is():
    lines = study_chart(reverse()).lines
    assert {one.layer for one in lines} == {1, 2}
    assert {len(one.x) for one in lines if one.layer == 2} == {2}


def test_what_random_directions_do_stands_beside_effects_alone():
    assert [one.control for one in study_chart(scaling()).lines if one.control] == ["random"]
    assert not [one for one in study_chart(scaling(), statistic="effective_layers").lines if one.control]


def test_ways_that_are_not_known_come_last_and_are_counted():
    chart = multiverse_chart(with_multiverse(localization()))
    of = chart.specifications
    assert of.aspects == (("dose", ("0.5", "1.0")), ("token scope", ("image", "last_prompt")))
    np.testing.assert_array_equal(of.values, [-1, 1, 2, np.nan])
    assert of.chosen.tolist() == [[0, 1], [1, 1], [0, 0], [1, 0]] and of.headline == 1
    assert chart.title == "Abstract concepts are read out later" and chart.y.label == "verdict [blocks]"
    assert "Nothing is concluded: it compares 6 concepts, and 8 are needed." in chart.caption[0]
    made = with_multiverse(localization())
    del made.attrs["curve_p"]
    assert multiverse_chart(made).caption[0].startswith("Positive in 2 of 4 ways"), "a study of an earlier version"


def test_a_study_without_drawing_or_numbers_has_no_charts_and_what_is_none_is_refused():
    assert study_charts(localization().assign_attrs(study="of my own")) == []
    assert study_charts(xr.Dataset(attrs={"study": "scaling", "summary": "Nothing to study"})) == []
    with pytest.raises(ValueError, match="which says its name in the attribute 'study'; got one with variables"):
        study_charts(xr.Dataset())
    with pytest.raises(ValueError, match="the study 'scaling' lacks variable 'best_random'; it has variables"):
        study_charts(scaling().drop_vars("best_random"))
    with pytest.raises(ValueError, match="the study 'scaling' lacks .*dimension 'statistic'"):
        study_chart(localization().assign_attrs(study="scaling"))
    with pytest.raises(TypeError, match="expected the dataset of one of mp.studies, got 3"):
        study_charts(3)
    with pytest.raises(ValueError, match="the place of one specification"):
        multiverse_chart(with_multiverse(localization()).drop_attrs(deep=False))


def test_bars_over_concepts_are_t_intervals_and_there_are_none_below_three():
    """A percentile bootstrap over 2, 3 and 4 concepts covers 51, 74 and 80 % where it says 95."""
    of = localization()
    means = {one.name: one for one in study_chart(of).lines if not one.concept}
    profiles = of.read_out[0, :3].values
    wanted = stats.ttest_1samp(profiles, 0).confidence_interval(0.95)
    np.testing.assert_allclose([means["entity"].low, means["entity"].high], wanted)
    assert means["abstract"].label == "abstract (2)"
    assert np.isnan(means["abstract"].low).all() and np.isnan(means["abstract"].high).all()
    values = np.random.default_rng(0).standard_normal((4000, 3, 1))
    bars = [_mean_line(np.zeros(1), one, "some", "") for one in values]
    assert 0.94 <= np.mean([bar.low[0] <= 0 <= bar.high[0] for bar in bars]) <= 0.96
    assert all("95 % t" in " ".join(one.caption) for one in study_charts(of))
