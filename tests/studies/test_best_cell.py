"""Best cells: one definition for the report and for what is recommended."""

import re

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies.clear_cells import best_cells, best_places, mean_over_eligible, mean_score, steadiest

DIMS = ("concept", "layer", "strength", "control", "draw", "sample")


def grid(samples=8, seed=0):
    """A grid in which the best cell depends on whether images that are not eligible count for ``kept``.

    "cat" is named in every eligible image at layers 1 and 2. Eligible images keep more at layer 2 (.6 against .5), the
    others so much less that over all images layer 1 keeps more.
    """
    rng = np.random.default_rng(seed)
    shape = 2, 4, 3, 2, 2, samples
    named = np.zeros(shape, np.float32)
    kept = rng.uniform(0.2, 0.4, shape).astype(np.float32)
    eligible = np.ones((2, 3, samples), bool)
    eligible[:, :, ::2] = False
    named[0, 1:3, 2, 0, 0] = 1
    named[1, 3, 1:, 0, 0, 1::2] = 1
    kept[0, 1, 2, 0, 0] = 0.5
    kept[0, 2, 2, 0, 0, 1::2] = 0.6
    kept[0, 2, 2, 0, 0, ::2] = 0.0
    named[:, :, :, 0, 1:] = kept[:, :, :, 0, 1:] = np.nan
    variables = {"named": (DIMS, named), "kept": (DIMS, kept), "edited": (DIMS, np.ones(shape, np.int32))}
    variables |= {"perplexity": (DIMS, np.ones(shape, np.float32)), "repetition": (DIMS, np.zeros(shape, np.float32))}
    for name, value in {"named": 0, "kept": 1, "perplexity": 1, "repetition": 0}.items():
        variables[f"{name}_unsteered"] = ("concept", "sample"), np.full((2, samples), value, np.float32)
    return xr.Dataset(
        {**variables, "eligible": (("concept", "strength", "sample"), eligible)},
        {
            "concept": ["cat", "dog"],
            "layer": np.arange(4),
            "strength": [-1.0, 1.0, 2.0],
            "control": ["concept", "random"],
            "sample": [f"{i:016x}" for i in range(samples)],
        },
        {"model": "fake-8l", "unit": "residual"},
    )


def test_report_and_recommendation_give_the_same_best_cell(tmp_path):
    """Of one grid; both average ``kept`` over the eligible images alone."""
    data = grid()
    text = mp.report(data, tmp_path / "report.html", metric="named").path.read_text(encoding="utf-8")
    body = re.search(r'data-testid="best-cells".*?<tbody>(.*?)</tbody>', text, re.DOTALL)[1]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)]
    reported = {row[0]: (int(row[2]), float(row[3])) for row in rows}
    chosen = best_places(mean_score(data))
    assert reported == {name: (cell.layer, cell.strength) for name, cell in chosen.items()}
    assert reported["cat"] == (2, 2.0) and rows[0][-4] == "0.60"


def test_images_that_are_not_eligible_or_were_not_edited_do_not_count():
    data = grid()
    over_all = data["kept"].sel(control="concept", strength=2.0).isel(draw=0, concept=0).mean("sample")
    assert over_all[1] > over_all[2], "over all images the other cell would be chosen"
    score = mean_score(data).sel(concept="cat", strength=2.0)
    np.testing.assert_allclose(score[1:3], [0.5, 0.6], rtol=1e-6)
    data["edited"].loc[{"concept": "cat", "layer": 2, "strength": 2.0}] = 0
    assert np.isnan(mean_over_eligible(data, "kept").sel(concept="cat", layer=2, strength=2.0))
    assert best_places(mean_score(data))["cat"].layer == 1


def test_cells_are_chosen_on_fit_images_and_reported_on_held_out_ones():
    data = grid().assign_coords(split=("sample", ["fit", "fit", "held_out", "held_out"] * 2))
    held_out = np.flatnonzero(data["split"].values == "held_out")
    data["named"].values[0, 2, 2, 0, 0, held_out] = 0
    best = best_cells(data, mp.effect(data, "named"))
    assert best.held_out and best.cells["cat"].layer == 2
    assert best.reported["mean"].sel(concept="cat", layer=2, strength=2.0) == 0
    assert best.reported["n"].max() == 2


def test_of_equal_cells_the_one_with_the_best_neighbours_is_chosen():
    values = np.array([[0.0, 1.0, 0.0], [0.5, 1.0, 0.9], [0.2, 0.3, 0.4]])
    assert steadiest(values) == (1, 1)
    assert steadiest(np.array([[np.nan, 0.2, np.nan], [0.1, 0.2, np.nan]])) == (0, 1)


def test_cells_that_were_not_run_and_doses_that_take_away_are_not_chosen():
    score = mean_score(grid())
    score.loc[{"concept": "cat", "strength": -1.0}] = 1.0
    score.loc[{"concept": "dog"}] = np.nan
    best = best_places(score)
    assert list(best) == ["cat"] and best["cat"].strength == 2.0
    shuffled = best_places(score.isel(strength=[2, 0, 1], layer=[3, 1, 0, 2]))
    assert shuffled == best
