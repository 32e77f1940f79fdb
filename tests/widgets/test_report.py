"""Reports of grids and studies: what they hold, with controls, intervals and counts, in one page; and refusals."""

from __future__ import annotations

import base64
import html
import json
import re

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe import cli
from mllm_probe.reports import StudySection, studies_report
from mllm_probe.reports.study_report import provenance_rows, unfinished
from mllm_probe.reports.sweep_report import answers_of, choice_of
from mllm_probe.studies.clear_cells import best_cells, verdict_caption
from mllm_probe.widgets.base.numbers import chance, plain
from tests.plots.studies_by_hand import STUDIES, atlas, comparison, localization, reliability, scaling, with_multiverse
from tests.widgets import fakes

HOSTILE = fakes.HOSTILE[0]


def grid(concepts=("cat", HOSTILE), layers=4, samples=6, draws=4, seed=0) -> xr.Dataset:
    """A grid of a sweep; every concept is named at layer 2 and strength 1, random directions never."""
    rng = np.random.default_rng(seed)
    dims = ("concept", "layer", "strength", "control", "draw", "sample")
    shape = len(concepts), layers, 2, 2, draws, samples
    named = np.zeros(shape, np.float32)
    named[:, 2, 1, 0] = 1
    named[:, :, :, 0, 1:] = np.nan
    logprob = (rng.normal(0, 0.1, shape) + 6 * np.nan_to_num(named)).astype(np.float32)
    kept = np.full(shape, 0.5, np.float32)
    text = np.where(named == 1, "a cat", "a tree").astype(object)
    variables = {"text": (dims, text), "edited": (dims, np.ones(shape, np.int32))}
    variables["logprob"] = dims, logprob, {"units": "nats", "long_name": "log-probability"}
    variables |= {name: (dims, one, {"units": "1"}) for name, one in (("named", named), ("kept", kept))}
    variables["tokens"] = (*dims, "step"), np.where(np.isnan(named), -1, 5)[..., None].astype(np.int32)
    for name, value in {"logprob": 0, "named": 0, "kept": 1}.items():
        unsteered = np.full((len(concepts), samples), value, np.float32)
        variables[f"{name}_unsteered"] = ("concept", "sample"), unsteered
    variables["text_unsteered"] = "sample", np.array(["</script>a tree"] * samples, object)
    variables["eligible"] = ("concept", "strength", "sample"), np.ones((len(concepts), 2, samples), bool)
    coords = {"concept": list(concepts), "category": ("concept", ["entity"] * len(concepts))}
    coords |= {"layer": np.arange(layers), "strength": [-1.0, 1.0], "control": ["concept", "random"]}
    coords |= {"draw": np.arange(draws), "sample": [f"{i:016x}" for i in range(samples)]}
    coords["split"] = "sample", ["fit", "held_out"] * (samples // 2)
    made = {"model": "fake-8l", "weights": "f" * 12, "prompt": "what <b>do</b> you see ?", "unit": "residual"}
    made |= {"scope": "last_prompt+generated", "operation": "add", "seed": 0, "path": "shared prefix"}
    return xr.Dataset(variables, coords, made | {"version_torch": "2.13", "progress": 1.0})


def page(data, tmp_path, **options) -> str:
    return mp.report(data, tmp_path / "report.html", **options).path.read_text(encoding="utf-8")


def table(text: str, name: str) -> list[list[str]]:
    """Rows of a table, as text."""
    body = re.search(rf'data-testid="{name}".*?<tbody>(.*?)</tbody>', text, re.DOTALL)[1]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)]


def state(text: str) -> dict:
    return json.loads(re.search(r'id="mp-page">(.*?)</script>', text, re.DOTALL)[1])


def test_a_report_says_how_it_was_made_and_how_large_it_is(tmp_path):
    written = mp.report(grid(), tmp_path / "report.html")
    text = written.path.read_text(encoding="utf-8")
    assert written.size == written.path.stat().st_size
    assert "<h1>Steering fake-8l, concept by layer</h1>" in text
    facts = dict(table(text, "all-facts"))
    assert facts["weights fingerprint"] == "f" * 12 and facts["edited tokens"] == "last_prompt+generated"
    assert facts["prompt"] == "what &lt;b&gt;do&lt;/b&gt; you see ?" and facts["computed by"] == "shared prefix"
    assert facts["images"] == "6 (3 fit, 3 held out)" and facts["controls"] == "random, 4 draws each"
    assert "torch 2.13" in facts["versions"]


def with_fluency(data: xr.Dataset) -> xr.Dataset:
    """The grid with perplexity and repetition of answers that are as fluent as the unsteered ones."""
    fluent = {"perplexity": 1.0, "repetition": 0.0}
    added = {name: xr.full_like(data["named"], value) for name, value in fluent.items()}
    added |= {f"{name}_unsteered": xr.full_like(data["named_unsteered"], value) for name, value in fluent.items()}
    return data.assign(added)


def test_the_best_cell_is_chosen_on_fit_pictures_and_reported_on_held_out_ones(tmp_path):
    data = with_fluency(grid(samples=24))
    flattering = data["named"].copy()
    held_out = np.flatnonzero(data["split"].values == "held_out")
    flattering.values[0, 2, 1, 0, 0, held_out[:3]] = 0
    flattering.values[0, 3, 1, 0, 0, held_out] = 1
    text = page(data.assign(named=flattering), tmp_path)
    rows = table(text, "best-cells")
    named = mp.effect(data.assign(named=flattering), "named", split="held_out")
    cell = named.sel(concept="cat", layer=2, strength=1)
    assert rows[0][:5] == ["cat", "entity", "2", "1", "0.50"], "the score on the fit images"
    assert rows[0][5:7] == ["0.75", f"+0.75 [+{float(cell['low']):.2f}, +{float(cell['high']):.2f}]"]
    assert "Selected by the mean score of the answers on fit images and evaluated on held-out ones" in text
    assert "mean score of the answers, fit images</th>" in text
    q = chance(float(cell["q"]))
    around = [float(cell[f"control_{end}"].sel(control="random")) for end in ("mean", "low", "high")]
    mean, low, high = (plain(one, 2) for one in around)
    assert rows[0][7:] == [
        f"{mean} [{low}, {high}]",
        "0.50",
        "12",
        html.escape(q),
        html.escape(str(cell.reason.values)),
    ]
    peak = named["difference"].sel(concept="cat", strength=1).argmax("layer")
    assert int(peak) == 3, "the named share alone would choose another layer"


def test_without_two_splits_the_numbers_are_called_optimistic():
    data = grid().drop_vars("split")
    best = best_cells(data, mp.effect(data))
    assert (best.cells["cat"].layer, best.cells["cat"].strength) == (2, 1.0) and "optimistic" in choice_of(best, data)
    only = data[["logprob", "logprob_unsteered", "edited"]]
    best = best_cells(only, mp.effect(only))
    assert (best.cells["cat"].layer, best.cells["cat"].strength) == (2, 1.0)
    assert best.kept is None and "largest effect" in choice_of(best, only)


def test_cells_that_clear_their_controls_stand_beside_them(tmp_path):
    data = grid()
    text = page(data, tmp_path)
    rows = table(text, "clear-cells")
    effect = mp.effect(data)
    clear = int(effect["clear_in_grid"].sum())
    assert len(rows) == clear > 0 and {row[0] for row in rows[:2]} == {"cat", html.escape(HOSTILE)}
    assert f"Whole grid: {verdict_caption(effect)}. " in html.unescape(text) and f"{clear} of 16 cells pass" in text
    assert "clear of every kind of control (random directions), at a false discovery rate of .05" in text
    assert not re.search("paired bootstrap|not corrected", text)
    effect = effect.isel(concept=0).sel(layer=2, strength=1)
    row = next(row for row in rows if row[0] == "cat")
    assert row[2:4] == ["2", "1"] and row[-1] == "6"
    assert row[4].startswith(f"+{float(effect['difference']):.1f} [+{float(effect['low']):.1f}, ")
    assert re.fullmatch(r"[+−]?\d\.\d \[[+−]?\d\.\d, [+−]?\d\.\d\]", row[5])
    assert [html.unescape(one) for one in row[6:8]] == [chance(float(effect["p"].max())), chance(float(effect["q"]))]


def test_cells_of_too_few_images_have_no_verdict(tmp_path):
    text = page(with_fluency(grid(samples=4)), tmp_path)
    assert table(text, "clear-cells") == [] and "No verdict: 4 of 6 images. " in text
    assert {row[-1] for row in table(text, "best-cells")} == {"2 of 10 images"}


def answered_grid(**sizes) -> xr.Dataset:
    """A grid with what a score is made of: concepts are named at layer 2, and at layer 3 in broken answers."""
    data = with_fluency(grid(**sizes))
    data["named"].values[:, 3, 1, 0, 0] = 1
    data["perplexity"].values[:, 3] = 50
    return data


def test_where_answers_were_generated_their_score_is_shown_and_chooses_the_cells(tmp_path):
    data = answered_grid(samples=24, draws=8)
    text = page(data, tmp_path)
    model = state(text)["models"][0]["state"]
    assert (model["metric"], model["metrics"][0]) == ("score", "score") and model["layer"] == 2
    assert model["metric_labels"]["score"] == "score of answers"
    assert "hollow:\N{NO-BREAK SPACE}at least half of the answers broken" in model["note"] and model[
        "caption"
    ].startswith("whole grid: ")
    rows = table(text, "best-cells")
    assert rows[0][:6] == ["cat", "entity", "2", "1", "0.50", "1.00"] and rows[0][-1] == "passes"
    assert "Selected by the mean score of the answers on fit images" in text
    unlabelled = data.assign(kept=data["kept"] * np.nan, kept_unsteered=data["kept_unsteered"] * np.nan)
    text = page(unlabelled, tmp_path)
    assert "the score does not check what an answer keeps" in text and "content not checked" in text


def test_every_concept_has_its_dose_response_over_its_controls(tmp_path):
    figures = re.findall(r"<figure>(.*?)</figure>", page(grid(), tmp_path), re.DOTALL)
    assert len(figures) == 2 and all("random directions" in one and "<polygon" in one for one in figures)
    assert "cat, layer 2" in figures[0] and "n = 6 images · 95 % intervals over images" in figures[0]
    assert "var(--jp-brand-color1, #1f6feb)" in figures[0] and "<img" not in figures[1]


def test_answers_are_kept_once_each_and_unrun_ones_are_none(tmp_path):
    data = grid()
    data["tokens"].values[0, 0, 0, 0, 0, 0] = -1
    found = answers_of(data)
    steered = np.frombuffer(base64.b64decode(found["steered"]), np.int32).reshape(2, 4, 2, 6)
    assert set(found["texts"]) == {"</script>a tree", "a cat", "a tree"}
    assert found["texts"][steered[0, 2, 1, 0]] == "a cat" and steered[0, 0, 0, 0] == -1
    assert found["samples"][0] == "image 1 · fit · 00000000"
    assert len(answers_of(data, most=2 * 4 * 2 * 3)["samples"]) == 3
    text = page(data, tmp_path)
    assert text.count("</script>a tree") == 0 and "</script>a tree" in state(text)["answers"]["sweep"]["texts"]
    assert answers_of(data.drop_vars("text")) is None


def test_the_map_begins_at_the_strongest_clear_cell_at_a_positive_strength(tmp_path):
    model = state(page(grid(), tmp_path))["models"][0]["state"]
    assert model["layer"] == 2 and model["strength"] == 1.0 and model["window"] == [2, 2]
    model = state(page(grid(), tmp_path, metric="kept", title="<i>mine</i>"))["models"][0]["state"]
    assert model["metric"] == "kept"
    assert "<h1>&lt;i&gt;mine&lt;/i&gt;</h1>" in (tmp_path / "report.html").read_text()


def test_a_half_filled_grid_says_so(tmp_path):
    data = grid().assign_attrs(progress=0.4)
    data["logprob"].values[:, 3] = np.nan
    assert unfinished(data) in page(data, tmp_path) and "40%" in unfinished(data)
    assert unfinished(grid()) == ""


def test_an_effect_can_be_reported(tmp_path):
    text = page(fakes.effect(hostile=True), tmp_path)
    assert "<h2>Answers</h2>" not in text and len(table(text, "best-cells")) == 17
    assert dict(provenance_rows(fakes.effect()))["controls"] == "random"


def test_what_cannot_be_reported_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"xarray.Dataset, but got dict"):
        mp.report({}, tmp_path / "report.html")
    with pytest.raises(ValueError, match="neither a grid .* nor an effect"):
        mp.report(xr.Dataset({"vector": ("hidden", [1.0])}), tmp_path / "report.html")
    with pytest.raises(ValueError, match="never reported without its controls"):
        mp.report(grid().sel(control=["concept"]), tmp_path / "report.html")
    with pytest.raises(ValueError, match="not reported without its controls"):
        mp.report(fakes.effect().drop_dims("control"), tmp_path / "report.html")
    with pytest.raises(ValueError, match="no metric 'kl'"):
        mp.report(grid(), tmp_path / "report.html", metric="kl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore")
def test_the_command_line_reports_a_store(tmp_path, capsys):
    data = grid()
    data["text"], data["text_unsteered"] = data["text"].astype(str), data["text_unsteered"].astype(str)
    data.to_zarr(tmp_path / "grid.zarr")
    assert cli.main(["report", str(tmp_path / "grid.zarr"), str(tmp_path / "r.html"), "--title", "mine"]) == 0
    assert re.search(r"r\.html \(\d+\.\d MB\)", capsys.readouterr().out)
    assert "<h1>mine</h1>" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert cli.main(["report", str(tmp_path / "nowhere"), str(tmp_path / "r.html")]) == 2
    assert "there is no Zarr store" in capsys.readouterr().err


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
    assert cli.main(["report", str(tmp_path / "study.zarr"), str(tmp_path / "page.html")]) == 0
    assert "page.html" in capsys.readouterr().out
    assert "edited: block 1" in (tmp_path / "page.html").read_text(encoding="utf-8")
