"""Pages and pictures of widgets: everything inside one file, data as text, the last state in both."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import mllm_probe as mp
from mllm_probe.plots.effects import grid_caption
from mllm_probe.plots.palette import diverging
from mllm_probe.widgets import Explore, LayerConceptHeatmap, SteeringPanel
from mllm_probe.widgets.base.numbers import MapNumbers
from mllm_probe.widgets.heatmap.map_cells import map_recordings
from mllm_probe.widgets.pages import saved_page
from mllm_probe.widgets.pages.export_pages import MOST, Recording, Recordings
from tests.widgets import fakes
from tests.widgets.test_linking import a_study

STATIC = Path(__file__).parents[2] / "mllm_probe" / "widgets" / "static"
SOON = 30.0
VIEW = "application/vnd.jupyter.widget-view+json"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def heatmap():
    made = LayerConceptHeatmap(fakes.effect(hostile=True), concept="cat", layer=5)
    return made


@pytest.fixture
def panel(streams):
    model = fakes.FakeModel()
    made = SteeringPanel(model, fakes.vectors(model, hostile=True), concept="cat", layer=5)
    assert made.wait(SOON)
    return made


def saved(path) -> dict:
    """What the page opens."""
    text = Path(path).read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="mp-page">(.*?)</script>', text, re.DOTALL)[1])


def values(state: dict, name: str) -> bytes:
    return base64.b64decode(next(data for path, data in state["buffers"] if path == [name]))


def test_a_page_holds_the_state_and_says_its_size(heatmap, tmp_path):
    written = heatmap.to_html(tmp_path / "page.html")
    assert written.size == written.path.stat().st_size < 150_000
    assert str(written).endswith(f"page.html, {round(written.size / 1000)} kB")
    assert f"One file, {round(written.size / 1000)} kB" in written.path.read_text()
    with pytest.raises(FileNotFoundError, match=r"no folder '.*nowhere' to write 'page.html'"):
        heatmap.to_html(tmp_path / "nowhere" / "page.html")
    (model,) = saved(written)["models"]
    assert model["state"]["concept"] == "cat" and model["state"]["layer"] == 5
    assert values(model, "values") == heatmap.values


def test_only_the_pages_own_scripts_may_run_and_nothing_is_fetched(heatmap, tmp_path):
    text = heatmap.to_html(tmp_path / "page.html").path.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    scripts = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    assert len(scripts) == 2
    assert [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts] == allowed
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "connect-src" not in policy
    assert not re.search(r"\b(?:src|href|action)\s*=\s*[\"']?(?:https?:)?//", text)
    assert not re.search(r"<(?:link|iframe|object|embed|form)\b", text)


def test_names_from_data_cannot_leave_their_place(heatmap, tmp_path):
    title = "</title><script>window.__owned=1</script>"
    text = heatmap.to_html(tmp_path / "page.html", title).path.read_text(encoding="utf-8")
    assert "<img src=x" not in text and "<script>" not in text
    assert "<title>&lt;/title&gt;&lt;script&gt;" in text
    assert fakes.HOSTILE[1] in saved(tmp_path / "page.html")["models"][0]["state"]["concepts"]
    assert text.count("</script>") == 3


@pytest.mark.parametrize("name", [path.stem for path in STATIC.glob("*.js")])
def test_every_bundle_can_stand_in_a_page(name):
    module = (STATIC / f"{name}.js").read_text(encoding="utf-8")
    assert re.search(r"\(globalThis\.mpModules\?\?=\{\}\)\[3\]=[\w$]+;$", saved_page.registered(module, 3))


def test_a_bundle_that_cannot_stand_in_a_page_is_refused():
    with pytest.raises(ValueError, match="default export"):
        saved_page.registered("const a = 1;", 0)
    with pytest.raises(ValueError, match="cannot stand in a page"):
        saved_page.registered("const a='</script>';export{a as default};", 0)


def test_the_panels_page_holds_every_setting_that_was_answered(panel, tmp_path):
    panel.choose(concept="dog", strength=2.0)
    assert panel.wait(SOON)
    panel.to_html(tmp_path / "page.html")
    recorded = saved(tmp_path / "page.html")["models"][0]["recorded"]
    labels = [one["label"] for one in recorded["recordings"]]
    assert labels[0].startswith("cat 1 × residual norm · layer 5 · last_prompt + generated · image 1")
    assert labels[1].startswith("dog 2 × residual norm")
    steered = [one["shown"]["answers"]["steered"] for one in recorded["recordings"]]
    assert steered == [f"a plain picture of a {name} and a tree" for name in ("cat (1)", "dog (2)")]
    assert {"concept", "window", "strength", "picture", "prompt"} <= set(recorded["keys"])
    assert all(one["shown"]["receipt"] for one in recorded["recordings"])
    panel.rate = float("nan")
    panel.to_html(tmp_path / "page.html")
    assert saved(tmp_path / "page.html")["models"][0]["state"]["rate"] is None


def test_each_recorded_setting_has_the_fluency_of_its_own_cell(panel, tmp_path):
    panel.choose(concept="dog", strength=2.0)
    assert panel.wait(SOON)
    ratio = np.full((1, 1, 2, 1, 1, 2), 1.5)
    ratio[:, :, 1] = 4.0
    dims = ("concept", "layer", "strength", "control", "draw", "sample")
    places = {"concept": ["cat"], "layer": [5], "strength": [1.0, 2.0], "control": ["concept"]}
    attrs = {"unit": "residual", "scope": "last_prompt+generated", "weights": panel.model.fingerprint}
    panel.grid = xr.Dataset({"perplexity": (dims, ratio)}, places, attrs)
    panel.to_html(tmp_path / "page.html")
    cat, dog = (one["shown"] for one in saved(tmp_path / "page.html")["models"][0]["recorded"]["recordings"])
    assert cat["doses"] == [[1.0, pytest.approx(1.5)], [2.0, pytest.approx(4.0)]] and cat["safe_high"] == 1.0
    assert (dog["doses"], dog["safe_low"], dog["safe_high"]) == ([], 0.0, 0.0)


def test_a_setting_is_recorded_once_and_old_ones_are_let_go():
    kept = Recordings(["strength"])
    for number in (*range(MOST + 10), MOST):
        kept.add(Recording({"strength": number}, {"answers": number}))
    assert len(kept) == MOST
    assert [one.when["strength"] for one in kept][0] == 10 and [one.when["strength"] for one in kept][-1] == MOST


def test_the_labs_page_lays_out_and_links_its_widgets(heatmap, panel, tmp_path):
    lab = Explore(panel.model, heatmap, panel)
    lab.to_html(tmp_path / "page.html")
    found = saved(tmp_path / "page.html")
    tree = found["mounts"][0]["tree"]
    assert tree["classes"] == ["mp-lab"] and tree["style"]["flex-direction"] == "column"
    first, beside = tree["children"][2]["children"]
    map_, steer = first["model"], beside["children"][0]["model"]
    assert "concepts" in found["models"][map_]["state"] and "answers" in found["models"][steer]["state"]
    assert {"from": map_, "to": steer, "names": ["concept", "layer", "strength"]} in found["links"]
    assert {"from": steer, "to": map_, "names": ["concept", "layer"]} in found["links"]


def test_a_study_in_a_saved_lab_shares_its_concept_and_its_layer_apart(heatmap, panel, tmp_path):
    lab = Explore(panel.model, heatmap, panel)
    study = a_study().assign_attrs(model=panel.model.name)
    lab.show_study(study)
    lab.to_html(tmp_path / "page.html")
    found = saved(tmp_path / "page.html")
    (view,) = [number for number, model in enumerate(found["models"]) if "multiverse" in model["state"]]
    steer = next(number for number, model in enumerate(found["models"]) if "answers" in model["state"])
    between = [link["names"] for link in found["links"] if (link["from"], link["to"]) == (view, steer)]
    assert between == [["concept"], ["layer"]]


def test_a_page_of_a_grid_holds_every_metric_that_fits(tiny, pictures):
    words = {"cat": ["cat"], "dog": ["dog"]}
    vectors = mp.vectors_from(tiny, {"cat": np.ones(32), "dog": np.arange(32.0)}, images=pictures[:2], words=words)
    asked = {"strengths": (1,), "draws": 4, "metrics": ("logprob", "kl"), "max_new_tokens": 4, "progress": False}
    grid = mp.sweep(tiny, vectors, pictures[:2], **asked)
    shown = LayerConceptHeatmap(grid, metric="kl")
    recorded = list(map_recordings(shown))
    metrics = [(one.when["metric"], one.when["average"]) for one in recorded]
    assert metrics == [("kl", "mean"), ("logprob", "mean"), ("kl", "median"), ("logprob", "median")]
    assert recorded[0].shown["values"] == shown.values != recorded[1].shown["values"]
    made = [one.shown["provenance"] for one in recorded]
    assert made[:2] == [shown.provenance, shown.provenance | recorded[1].when]
    captions = [one.shown["caption"] for one in recorded]
    assert captions[:2] == [shown.caption, grid_caption(mp.effect(grid, "logprob"))] and "2 of 6 images" in captions[0]
    assert captions[2] == "medians have no test against controls" and "unfinished" in recorded[0].shown
    largest = sum(len(value) for value in recorded[0].shown.values() if isinstance(value, bytes))
    assert len(map_recordings(shown, largest)) == 1


def test_the_output_holds_a_picture_if_it_can_and_a_text_beside_the_view(heatmap, panel, monkeypatch):
    for widget in (heatmap, panel, Explore(panel.model, heatmap, panel)):
        data, metadata = widget._repr_mimebundle_()
        assert data[VIEW]["model_id"] == widget.model_id
        assert data["text/plain"] == repr(widget)
        with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as image:
            assert image.width == pytest.approx(2 * metadata["image/png"]["width"], abs=2)
    monkeypatch.setattr(type(heatmap), "drawing", lambda self: 1 / 0)
    data, _ = heatmap._repr_mimebundle_()
    assert VIEW in data and "image/png" not in data


def test_the_map_is_drawn_with_axes_units_fading_and_selection(heatmap, tmp_path):
    root = ElementTree.parse(heatmap.to_svg(tmp_path / "map.svg").path).getroot()
    texts = ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]
    assert {"edited layer (decoder block)", "cat", "7", "entity", "+10 nats", "0"} <= set(texts)
    assert "strength 1 × residual norm · n = 24 images" in texts
    assert any(text.startswith("beyond random directions · faded: does not pass in the grid") for text in texts)
    assert any(text.startswith("<img src=x") for text in texts)
    numbers = MapNumbers.of(heatmap)
    rects = [one.attrib for one in root.iter(f"{SVG}rect")]
    faded = [one for one in rects if one.get("opacity") == "0.35"]
    assert len(faded) == int((numbers.clear[:, :, numbers.strength_index(1.0)] == 0).sum()) > 0
    assert [one for one in rects if one.get("stroke") == "#1f6feb"]
    strongest = diverging(float(numbers.values[0, 5, numbers.strength_index(1.0)]), numbers.limit)
    assert sum(one["fill"] == strongest for one in rects) >= 1


def test_cells_that_were_not_run_are_drawn_empty(tmp_path):
    partial = LayerConceptHeatmap(fakes.effect(done=0.1))
    root = ElementTree.fromstring(partial.to_svg(tmp_path / "map.svg").path.read_text())
    empty = [one for one in root.iter(f"{SVG}rect") if one.attrib["fill"] == "none"]
    numbers = MapNumbers.of(partial)
    missing = int(np.isnan(numbers.values[:, :, numbers.strength_index(partial.strength)]).sum())
    assert len(empty) == missing + 1 > 1


def test_png_and_svg_show_the_same(heatmap, tmp_path):
    heatmap.to_png(tmp_path / "map.png", scale=1)
    root = ElementTree.parse(heatmap.to_svg(tmp_path / "map.svg").path).getroot()
    with Image.open(tmp_path / "map.png") as image:
        assert image.size == pytest.approx((float(root.attrib["width"]), float(root.attrib["height"])), abs=1)
        for rect in root.iter(f"{SVG}rect"):
            place = rect.attrib
            if place["fill"].startswith("#") and float(place.get("width", 0)) > 20 and "x" in place:
                x, y = float(place["x"]) + 10, float(place["y"]) + 8
                seen_through = float(place.get("opacity", 1))
                parts = (int(place["fill"][i : i + 2], 16) for i in (1, 3, 5))
                wanted = tuple(255 + seen_through * (part - 255) for part in parts)
                break
        seen = image.convert("RGB").getpixel((round(x), round(y)))
    assert seen == pytest.approx(wanted, abs=1.5)


def test_a_dose_response_is_drawn_over_its_controls_or_refused(heatmap, tmp_path):
    root = ElementTree.parse(heatmap.to_svg(tmp_path / "dose.svg", what="dose_response").path).getroot()
    texts = ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]
    assert {"cat, layer 5", "effect [nats]", "strength [× residual norm]", "random directions", "−2", "½"} <= set(texts)
    assert "n = 24 images · 95 % intervals over images and draws" in texts
    assert len(list(root.iter(f"{SVG}polygon"))) == 1
    assert len(list(root.iter(f"{SVG}circle"))) == 5 + 1
    bare = LayerConceptHeatmap(fakes.effect().drop_dims("control"))
    with pytest.raises(ValueError, match="not drawn without its controls"):
        bare.to_svg(tmp_path / "dose.svg", what="dose_response")
    with pytest.raises(ValueError, match="no drawing 'pie'; it has map, dose_response"):
        bare.to_png(tmp_path / "pie.png", what="pie")


def test_an_empty_map_and_a_panel_without_answers_have_a_picture(tmp_path):
    empty = LayerConceptHeatmap()
    assert "Nothing has been measured yet." in empty.to_svg(tmp_path / "map.svg").path.read_text()
    waiting = SteeringPanel(fakes.FakeModel())
    assert waiting.to_svg(tmp_path / "panel.svg").path.read_text().count("not answered yet") == 3


def test_the_panels_picture_holds_the_setting_and_the_answers(panel, tmp_path):
    text = panel.to_svg(tmp_path / "panel.svg").path.read_text()
    assert "cat · layer 5 · strength 1 × residual norm" in text
    assert "a plain picture of a cat (1) and a tree" in text and "random direction, same size" in text
    assert "data:image/png;base64," in text
    panel.to_png(tmp_path / "panel.png")
