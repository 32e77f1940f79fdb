"""The lab: a heatmap and a panel that follow each other, filled in the background."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import mllm_probe as mp
from mllm_probe.concepts import drawn as of_drawn
from mllm_probe.concepts.drawn import LibraryCall, library_call
from mllm_probe.emoji.lexicon import FIRST_CONCEPTS
from mllm_probe.scenes import draw
from mllm_probe.studies.study_runs import NOT_DISTINGUISHED, NOT_NAMED, WHY_UNFIT
from mllm_probe.widgets import Explore, LayerConceptHeatmap, SteeringPanel
from mllm_probe.widgets.base.choices import drawn_choice
from mllm_probe.widgets.inside.pair_gallery import PairGallery
from tests import zoo
from tests.widgets import fakes
from tests.widgets.test_linking import a_study
from tests.zoo import tiny_llava

SOON = 60
MODEL = fakes.FakeModel()


@pytest.fixture
def lab(streams):
    panel = SteeringPanel(MODEL, fakes.vectors(MODEL), concept="cat", layer=5)
    made = Explore(MODEL, LayerConceptHeatmap(fakes.effect(), layer=5), panel)
    assert panel.wait(SOON)
    return made


def test_an_error_of_an_earlier_move_goes_with_the_next_one_even_if_that_changes_nothing(lab, monkeypatch):
    for move in (
        lambda: fakes.set_by_hand(lab.panel, 1, strength=lab.panel.strength),
        lambda: fakes.select(lab.heatmap, strength=1.0),
    ):
        with monkeypatch.context() as broken:
            broken.setattr(lab.panel, "choose", lambda **_: 1 / 0)
            fakes.select(lab.heatmap, strength=2.0)
        assert lab.bar.message == "division by zero." and lab.panel.strength == 1.0
        move()
        assert lab.bar.message == "" and lab.panel.strength == 1.0
        fakes.select(lab.heatmap, strength=1.0)


def test_what_a_part_could_not_follow_is_still_said_when_all_traits_of_a_click_have_come(lab, monkeypatch):
    monkeypatch.setattr(lab.parts, "_follow_all", lambda: 1 / 0)
    clicked = {"concept": "neon", "layer": 2, "window": [2, 4], "strength": 2.0}
    fakes.select(lab.heatmap, **clicked)
    assert (lab.panel.concept, lab.panel.window) == ("neon", [2, 4])
    assert lab.bar.message == "division by zero."


def test_a_study_is_opened_in_the_lab_and_selects_everywhere(lab):
    assert "studies" not in [name for name, _ in lab.bar.parts]
    view = lab.show_study(a_study())
    assert (view.concept, view.layer) == ("cat", 5)
    assert ["studies", "Studies"] in lab.bar.parts and lab.bar.opened == ["studies"]
    assert lab.parts.below.children == (view,) and lab.parts.below.layout.display == "flex"
    fakes.select(view, concept="neon", layer=3)
    assert lab.panel.wait(SOON)
    for part in (lab.panel, lab.heatmap):
        assert (part.concept, part.layer) == ("neon", 3)
    fakes.select(lab.heatmap, concept="awe", layer=1)
    assert lab.panel.wait(SOON) and (view.concept, view.layer) == ("awe", 1)
    lab.bar.opened = []
    assert lab.parts.below.children == ()


def test_a_study_of_the_same_name_takes_the_place_of_the_one_before(lab):
    first = lab.show_study(a_study())
    second, other = lab.show_study(a_study()), lab.show_study(a_study().assign_attrs(study="of my own"))
    assert lab.parts.below.children == (second, other) and first.comm is None
    lab.panel.choose(concept="neon")
    assert first.concept == "cat" and second.concept == other.concept == "neon"
    with pytest.raises(ValueError, match="which says its name in the attribute 'study'"):
        lab.show_study(xr.Dataset())
    with pytest.raises(ValueError, match="this study is of scenes-4l, but the lab of fake-8l: open it alone with"):
        lab.show_study(a_study().assign_attrs(model="scenes-4l"))
    with pytest.raises(
        ValueError, match="numbers of this study were made with fake-8l .weights other. but are used with fake-8l"
    ):
        lab.show_study(a_study().assign_attrs(weights="other"))
    lab.show_study(a_study().assign_attrs(weights=["other", MODEL.fingerprint], study="a third"))
    lab.close()
    assert second.comm is None and lab.parts.studies == {}


def test_explore_opens_a_study_alone_and_no_setting_of_a_lab_with_it():
    view = mp.explore(a_study())
    assert isinstance(view, mp.StudyView) and view.study == "localization"
    view.close()
    with pytest.raises(TypeError, match="a study has been run already and takes no library, prompt; give the study"):
        mp.explore(a_study(), mp.concepts.scenes(concepts=["cat"], pairs=2), prompt="what?")
    with pytest.raises(ValueError, match="explore: expected a loaded model .*got a Dataset"):
        mp.explore(fakes.effect())


def test_the_lab_fills_itself_with_a_real_model(tiny, library):
    lab = mp.explore(tiny, library, strengths=(-1, 1), draws=4)
    assert lab.wait(SOON)
    assert lab.bar.status == "idle" and lab.heatmap.progress == 1.0
    assert lab.bar.title.endswith("fewer than 6 images of each concept: not known which the model distinguishes")
    assert list(lab.vectors["concept"].values) == lab.heatmap.concepts == ["cat", "neon", "symmetry"]
    assert mp.effect(lab.grid, "logprob").sizes["layer"] == len(tiny.layers)
    assert lab.panel.answers["steered"] and lab.panel.answers["generation"] == 2
    fakes.select(lab.heatmap, concept="neon", layer=3)
    assert lab.panel.wait(SOON) and "neon: layer 3" in lab.panel.receipt[0]


@pytest.fixture
def real(tiny, library):
    """A filled lab on a real model."""
    made = mp.explore(tiny, library, strengths=(-1, 1), draws=4)
    assert made.wait(SOON)
    return made


def open_all(lab):
    """Open every part, as its button does."""
    names = [name for name, _ in lab.bar.parts]
    fakes.select(lab.bar, opened=names)
    assert all(part.wait(SOON) for part in lab.parts.widgets.values())
    return lab.parts.widgets


def shown(lab):
    return [*lab.parts.beside.children, *lab.parts.below.children]


def test_parts_are_made_when_they_are_opened_and_follow_both_ways(real):
    assert real.parts.widgets == {} and shown(real) == []
    made = open_all(real)
    assert list(made) == ["patches", "pairs", "tokens"] and shown(real) == list(made.values())
    fakes.set_by_hand(real.panel, 1, concept="neon")
    fakes.set_by_hand(real.panel, 2, layer=3)
    assert [(part.concept, part.layer) for part in made.values()] == [("neon", 3)] * 3
    fakes.select(made["patches"], concept="symmetry")
    fakes.select(made["tokens"], layer=1)
    for widget in (real.panel, real.heatmap, *made.values()):
        assert (widget.concept, widget.layer) == ("symmetry", 1)
    real.panel.choose(picture=1)
    assert all(part.wait(SOON) for part in made.values())
    assert made["patches"].images is made["tokens"].images is real.panel.chosen(1).image
    assert [part.shown["concept"] for part in made.values()] == ["symmetry"] * 3


def test_tokens_selected_in_the_strip_are_what_the_panel_steers(real):
    strip = open_all(real)["tokens"]
    prompt = [position for _, role, position, *_ in strip.tokens if role == "text"]
    fakes.select(strip, positions=prompt[:2])
    assert real.panel.wait(SOON), real.panel.message
    assert (real.panel.scope, real.panel.positions) == ("selected", prompt[:2])
    assert "2 of" in real.panel.receipt[0] and f"tokens = {prompt[:2]}" in real.panel.code
    real.panel.choose(positions=prompt[1:3])
    assert strip.positions == prompt[1:3]
    real.panel.choose(prompt="what is it ?")
    assert strip.wait(SOON) and real.panel.wait(SOON)
    assert strip.positions == real.panel.positions == [] and "previous prompt" in real.panel.scope_note
    real.panel.choose(prompt="what else ?")
    assert real.panel.scope_note == ""


def test_painted_patches_are_what_the_panel_steers_until_the_picture_changes(real):
    overlay = open_all(real)["patches"]
    mask = np.zeros((overlay.rows, overlay.columns), bool)
    mask[0, 1] = True
    overlay.paint(mask)
    assert real.panel.scope == "painted" and real.panel.patches == mask.tolist()
    real.panel.choose(patches=(~mask).tolist())
    assert overlay.mask == (~mask).tolist()
    real.bar.opened = []
    real.panel.choose(picture=1)
    assert real.panel.wait(SOON) and real.panel.scope == "image" and "previous image" in real.panel.scope_note
    real.bar.opened = ["patches"]
    assert overlay.wait(SOON) and not np.any(overlay.mask) and real.panel.patches == []


def test_a_part_shows_what_was_chosen_while_it_was_folded_and_reads_nothing_until_then(real):
    real.panel.choose(positions=[5])
    overlay = open_all(real)["patches"]
    tokens = real.parts.widgets["tokens"]
    assert real.panel.positions == tokens.positions == [5] and real.panel.scope == "selected"
    real.bar.opened = ["tokens"]
    assert shown(real) == [tokens]
    real.panel.choose(concept="symmetry")
    assert overlay.concept == "cat" and tokens.concept == "symmetry"
    real.bar.opened = ["tokens", "patches"]
    assert overlay.wait(SOON) and overlay.shown["concept"] == "symmetry"


def test_the_gallery_separates_the_pairs_that_the_vectors_were_measured_with_by_one(tiny, library, vectors):
    gallery = PairGallery(tiny, library, vectors, concept="neon")
    assert gallery.wait(SOON), gallery.message
    assert gallery.total == len(gallery.pairs) == 4
    separation = np.frombuffer(gallery.values, "<f4").reshape(len(gallery.layers), len(gallery.pairs))
    np.testing.assert_allclose(separation.mean(axis=1), 1, rtol=1e-3)
    assert separation.std() > 1e-3
    gallery.library = library.subset(["cat"])
    gallery.run()
    assert not gallery.wait(SOON) and gallery.message == "the library has no images of 'neon'."


def test_the_code_reproduces_what_is_on_the_screen(real, tiny, library, capsys):
    real.bar.opened = ["code"]
    real.panel.choose(concept="neon", layer=3, strength=-0.75, scope="image")
    assert real.panel.wait(SOON) and real.bar.code == real.code
    assert "mp.load" not in real.code
    space = {"model": tiny, "library": library}
    exec(compile(real.code, "code", "exec"), space)
    xr.testing.assert_allclose(space["vectors"], real.vectors)
    xr.testing.assert_allclose(space["grid"]["logprob"], real.grid["logprob"])
    assert space["out"].text == [real.panel.answers[name] for name in ("baseline", "steered", "random")]
    assert "neon: layer 3" in capsys.readouterr().out


def test_the_code_names_a_bundled_model_and_the_drawn_scenes(tiny, monkeypatch):
    monkeypatch.setattr("mllm_probe.widgets.lab.exploring.load", lambda name: tiny)
    made = LibraryCall("scenes", {"pairs": 2})
    monkeypatch.setattr("mllm_probe.widgets.lab.exploring.library_call", lambda name: made)
    lab = mp.explore("scenes-8l", strengths=(1,), draws=4)
    assert 'model = mp.load("scenes-8l")' in lab.code.replace("'", '"')
    assert "library = mp.concepts.scenes(pairs=2)" in lab.code
    compile(lab.code, "code", "exec")


def test_the_map_steers_the_tokens_asked_for_and_the_panel_opens_there(tiny):
    lab = mp.explore(tiny, mp.concepts.scenes(concepts=["cat"], pairs=8), tokens="image", strengths=(1,), draws=4)
    assert lab.wait(SOON)
    assert lab.grid.attrs["scope"] == lab.panel.scope == lab.panel.grid.attrs["scope"] == "image"
    assert "'tokens': ('image',)" in repr(lab._recipe.grid) and "tokens=('image',)" in lab.code


def test_the_first_frame_has_an_answer_before_vectors_are_begun_and_then_real_progress(tiny, monkeypatch):
    library = mp.concepts.scenes(concepts=["cat", "neon", "symmetry"], pairs=8)
    begun, measured = [], mp.concept_vectors

    def counted(model, fit, *arguments, **settings):
        begun.append((dict(lab.panel.answers), lab.panel.status, lab.panel.activity, lab.bar.status))
        return measured(model, fit, *arguments, **settings, batch_size=4)

    monkeypatch.setattr("mllm_probe.widgets.lab.exploring.concept_vectors", counted)
    lab = mp.explore(tiny, library, strengths=(1,), draws=4)
    assert lab.wait(SOON)
    ((answers, status, activity, bar),) = begun
    assert answers["baseline"] and "steered" not in answers
    assert (status, activity, bar) == ("idle", "measuring concept vectors", "running")
    steps = [step for step in fakes.updates(lab.bar, "step") if "images" in step]
    images = len({picture.key for picture in library.split(seed=0)[0].pictures})
    done = [int(step.split(": ")[1].split(" of ")[0]) for step in steps]
    assert done == sorted(set(done)) and done[-1] == images and len(done) == -(-images // 4)
    progress = fakes.updates(lab.bar, "progress")[1 : len(done) + 1]
    assert progress == [each / images for each in done]
    offered = fakes.updates(lab.panel, "concepts")
    assert [len(names) for names in offered][:4] == [0, 1, 2, 3] or [len(names) for names in offered][:3] == [1, 2, 3]
    activities = fakes.updates(lab.panel, "activity")
    assert activities[-1] == "" and "measuring concept vectors: 2 of 3" in activities
    assert lab.panel.answers["steered"]


def test_nothing_but_the_panels_pictures_and_one_answer_is_computed_before_the_first_frame(monkeypatch, caplog):
    model, library = tiny_llava(), mp.concepts.scenes(concepts=["cat", "neon", "symmetry"], pairs=24)
    drawn, calls, before = [], [], []
    monkeypatch.setattr(of_drawn, "draw", lambda scene, size: drawn.append(scene) or draw(scene, size))
    handle = model.hf.register_forward_pre_hook(lambda *_: calls.append(1))

    def counted(*_arguments, **_settings):
        before.append((len(drawn), len(calls)))
        raise ValueError("no vectors are needed here\nor elsewhere")

    monkeypatch.setattr("mllm_probe.widgets.lab.exploring.concept_vectors", counted)
    lab = mp.explore(model, library)
    assert not lab.wait(SOON)
    assert (lab.bar.status, lab.bar.message) == ("error", "no vectors are needed here.") and "elsewhere" in caplog.text
    handle.remove()
    panel = lab.panel
    alone = mp.generate(model, panel.chosen(0).image, panel.prompt, max_new_tokens=panel.max_new_tokens)
    assert panel.answers["baseline"] == alone.text[0]
    assert before == [(len(panel.pictures), alone.tokens.shape[1])]


def test_arguments_in_the_wrong_order_are_named(tiny):
    vectors = fakes.vectors(MODEL)
    with pytest.raises(TypeError, match="explore: expected a concept library as the second argument; got Dataset"):
        mp.explore(tiny, vectors)
    with pytest.raises(ValueError, match="explore: expected a loaded model .*got a Dataset; the model comes first"):
        mp.explore(vectors, tiny)
    for widget in (mp.SteeringPanel, mp.TokenStrip, mp.PatchOverlay):
        with pytest.raises(ValueError, match=f"{widget.__name__}: expected a loaded model .*; the model comes first"):
            widget(vectors, tiny)
        with pytest.raises(ValueError, match="no layer 99: the model has 4 blocks"):
            widget(tiny, layer=99)
        with pytest.raises(TypeError, match="unexpected keyword argument 'lyer'"):
            widget(tiny, lyer=1)
    with pytest.raises(ValueError, match="SteeringPanel: strength: expected a float, not the str 'x'"):
        SteeringPanel(tiny, strength="x")
    with pytest.raises(ValueError, match="strength_limit: expected a positive number; got nan"):
        SteeringPanel(tiny, strength_limit=float("nan"))


@pytest.mark.parametrize("make", [zoo.tiny_llava, zoo.tiny_qwen, zoo.tiny_gemma])
def test_a_random_model_of_any_family_fills_the_lab_and_every_concept_is_greyed(make):
    model = make()
    lab = mp.explore(model, strengths=(1,), draws=4)
    assert lab.wait(400), lab.bar.message
    assert lab.heatmap.progress == 1.0 and lab.bar.message == lab.heatmap.message == lab.panel.message == ""
    assert sorted(lab.vectors["concept"].values) == sorted(lab.heatmap.concepts) == sorted(FIRST_CONCEPTS)
    assert lab.grid.attrs["scope"] == "last_prompt+generated" and lab.grid.sizes["layer"] == len(model.layers)
    assert "distinguishes and names 0 of 24 concepts" in lab.bar.title
    assert lab.heatmap.unfit == lab.panel.unfit and sorted(lab.panel.unfit) == sorted(FIRST_CONCEPTS)
    # A model that nobody trained may see a difference between images; it does not name it.
    assert lab.panel.unfit["cat"] in (WHY_UNFIT[NOT_NAMED], WHY_UNFIT[NOT_DISTINGUISHED])
    assert lab.panel.unfit["octopus"] == "no word for it can be scored in this model", "it is no word of the zoo's"
    lab.panel.choose(concept="octopus")
    assert lab.panel.wait(400) and lab.panel.answers["steered"] and "octopus" in lab.panel.receipt[0]


def test_the_code_of_such_a_lab_makes_its_library_and_new_scenes_are_of_the_same_world():
    model = zoo.tiny_llava()
    lab = mp.explore(model, strengths=(1,), draws=4)
    lab.stop()
    space: dict[str, object] = {"model": model}
    exec(lab.code.partition("vectors = ")[0], space)
    assert space["held_out"].fingerprint == lab._library.fingerprint
    assert space["library"].fingerprint == library_call(model.name)().fingerprint
    lab.panel.new_scene(3)
    assert lab.panel.chosen(lab.panel.picture).image.tobytes() == drawn_choice(3, "org/name").image.tobytes()
    assert "emoji" in lab.panel.chosen(lab.panel.picture).code


def test_concepts_that_are_told_apart_are_not_greyed():
    lab = mp.explore("scenes-4l", mp.concepts.scenes(concepts=["cat", "neon"], pairs=12), strengths=(1,), draws=4)
    assert lab.wait(400), lab.bar.message
    assert "distinguishes and names 2 of 2 concepts" in lab.bar.title and lab.heatmap.unfit == lab.panel.unfit == {}
