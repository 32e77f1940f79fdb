"""Pages of studies: their charts as data, links, tables and provenance; small, escaped, and refused where none is."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.cli import main
from mllm_probe.reports import StudySection, studies_report
from tests.plots.studies_by_hand import STUDIES, atlas, comparison, localization, reliability, scaling, with_multiverse


def read(written):
    text = written.path.read_text(encoding="utf-8")
    state = json.loads(re.search(r'<script type="application/json" id="mp-page">(.*?)</script>', text, re.S)[1])
    return text, state


def test_a_study_is_a_page_with_its_view_numbers_and_provenance(tmp_path):
    of = with_multiverse(localization()).assign(centre_depth=(("measure", "concept"), np.full((2, 6), 0.4567)))
    text, state = read(mp.report(of, tmp_path / "page.html"))
    (model,) = state["models"]
    assert model["state"]["study"] == "localization" and model["state"]["multiverse"]["specifications"]
    assert "<h1>Localization · scenes-8l · 6 concepts</h1>" in text
    assert "<details><summary>Numbers</summary>" in text and 'class="page-numbers"' in text and "<td>0.457</td>" in text
    assert '<th scope="row">interchange, insert · c0</th>' in text
    provenance = text[text.index("<summary>Provenance") : text.index("</main>")]
    assert "What do you see?" in provenance and "xarray 1" in provenance and "concluded" not in provenance
    assert state["mounts"][0]["at"] == "mp-study-0" and 'id="mp-study-0"' in text


def test_many_studies_stand_on_one_page_under_headings_and_the_bundle_once(tmp_path):
    sections = [
        StudySection("Where <i>concepts</i> are", ["One & all.", "Two."], [localization(), scaling()]),
        ("Models", (), [comparison()]),
    ]
    written = studies_report(sections, tmp_path / "page.html", "All & more")
    text, state = read(written)
    assert len(state["models"]) == 3 and {one["module"] for one in state["models"]} == {0}
    assert "<h2>Where &lt;i&gt;concepts&lt;/i&gt; are</h2>\n<p>One &amp; all.</p><p>Two.</p>" in text
    assert "<h1>All &amp; more</h1>" in text and written.size < 150_000


def test_a_concept_is_selected_in_every_study_and_a_layer_where_the_model_is_the_same(tmp_path):
    other = reliability().assign_attrs(model="scenes-4l")
    _, state = read(studies_report([("", (), [localization(), atlas(), other, scaling()])], tmp_path / "page.html"))
    shared = {}
    for one in state["links"]:
        shared.setdefault((one["from"], one["to"]), []).append(one["names"])
    assert shared[0, 1] == shared[1, 0] == [["concept"], ["layer"]]
    assert shared[0, 2] == [["concept"]] and shared[0, 3] == shared[3, 0] == [["concept"]]


def test_what_a_table_cannot_hold_is_named(tmp_path):
    many = np.zeros((6, 6, 30))
    of = atlas().assign(huge_one=(("concept", "scored_concept", "step"), many), clear=("concept", [True, False] * 3))
    text, _ = read(mp.report(of, tmp_path / "page.html"))
    assert "Of more than 200 numbers, and in the dataset alone: huge one." in text
    assert '<th scope="row">c1</th>' in text and ">no</td>" in text and ">–</td>" in text


def test_data_on_a_page_are_text(tmp_path):
    hostile = "<img src=x onerror='window.__owned=1'>"
    of = localization().assign_coords(concept=[hostile, *(f"c{i}" for i in range(5))])
    text, state = read(mp.report(of.assign_attrs(prompt=hostile, model=hostile), tmp_path / "page.html"))
    assert hostile not in text and state["models"][0]["state"]["concepts"][0] == hostile


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_a_page(name, tmp_path):
    assert mp.report(with_multiverse(STUDIES[name]()), tmp_path / "page.html").size < 150_000


def test_what_makes_no_page_is_refused(tmp_path):
    path = tmp_path / "page.html"
    with pytest.raises(ValueError, match="a study or a paragraph in at least one section; got none"):
        studies_report([("Nothing", [], [])], path)
    with pytest.raises(TypeError, match=r"sections \(heading, paragraphs, studies\); got 'atlas'"):
        studies_report(["atlas"], path)
    with pytest.raises(TypeError, match="with a list of paragraphs; got 'One.'"):
        studies_report([("A", "One.", [atlas()])], path)
    with pytest.raises(TypeError, match="with a list of studies; got a Dataset"):
        studies_report([("A", (), atlas())], path)
    with pytest.raises(ValueError, match="which says its name in the attribute 'study'"):
        studies_report([("A", (), [xr.Dataset()])], path)
    with pytest.raises(ValueError, match="metric: a study has its own measures and takes none; got 'logprob'"):
        mp.report(atlas(), path, metric="logprob")
    assert not path.exists()


def test_a_study_that_was_kept_as_zarr_is_a_page_of_the_command_line(tmp_path, capsys):
    study = with_multiverse(STUDIES["reverse_steering"]())
    study.assign_coords(concept=study.concept.values.astype(object)).to_zarr(tmp_path / "study.zarr", zarr_format=2)
    assert main(["report", str(tmp_path / "study.zarr"), str(tmp_path / "page.html")]) == 0
    assert "page.html" in capsys.readouterr().out
    assert "edited: block 1" in (tmp_path / "page.html").read_text(encoding="utf-8")
