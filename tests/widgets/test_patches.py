"""The overlay: values of every layer at once, painted patches that steer, and nothing left behind."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.activations import capture
from mllm_probe.generation import generate
from mllm_probe.plots.palette import diverging
from mllm_probe.vectors import concept_vectors
from mllm_probe.widgets import PatchOverlay
from mllm_probe.widgets.base.numbers import scale_limit
from mllm_probe.widgets.inside import patch_overlay as module
from mllm_probe.widgets.inside.patch_overlay import causal_map
from mllm_probe.widgets.pictures.drawing import Box
from tests.patching.test_patch import square_pairs
from tests.widgets import fakes

SOON = 60


@pytest.fixture
def overlay(tiny, vectors, library):
    made = PatchOverlay(tiny, vectors, images=library["cat"].positive[0], concept="cat")
    assert made.wait(SOON), made.message
    return made


def values_of(overlay):
    shape = (len(overlay.layers), overlay.rows, overlay.columns)
    return np.frombuffer(overlay.values, "<f4").reshape(shape)


def by_hand(model, vectors, image, concept, prompt=None):
    acts = capture(model, [image], prompt, tokens="image").activation.isel(sample=0)
    own = vectors.sel(concept=concept, scope="image")
    found = (acts.torch.project(own.vector) - own.negative_projection) / own.vector.torch.norm("hidden")
    return found.transpose("layer", "token").values.reshape(len(model.layers), 4, 4)


def test_it_sends_all_layers_in_units_of_the_mean_difference(overlay, tiny, vectors, library):
    assert (overlay.rows, overlay.columns) == (4, 4) and overlay.layers == [0, 1, 2, 3]
    expected = by_hand(tiny, vectors, library["cat"].positive[0], "cat")
    np.testing.assert_allclose(values_of(overlay), expected, rtol=1e-3, atol=1e-3)
    assert overlay.unit == "× mean difference" and "mean of images without" in overlay.meaning
    assert overlay.picture.startswith(b"\x89PNG") and overlay.mask == [[False] * 4] * 4


def test_another_concept_is_projected_without_running_the_model(overlay, tiny, vectors, library, monkeypatch):
    monkeypatch.setattr(module, "capture", None)
    fakes.select(overlay, concept="neon")
    assert overlay.wait(SOON), overlay.message
    expected = by_hand(tiny, vectors, library["cat"].positive[0], "neon")
    np.testing.assert_allclose(values_of(overlay), expected, rtol=1e-3, atol=1e-3)
    assert overlay.shown["concept"] == "neon"


def test_another_picture_or_prompt_is_read_and_keeps_what_is_painted(overlay, tiny, vectors, library):
    overlay.paint(np.eye(4, dtype=bool))
    overlay.comm.sent.clear()
    image, before = library["neon"].positive[1], overlay.picture
    overlay.show(image, prompt="what is it ?")
    assert overlay.wait(SOON), overlay.message
    expected = by_hand(tiny, vectors, image, "cat", "what is it ?")
    np.testing.assert_allclose(values_of(overlay), expected, rtol=1e-3, atol=1e-3)
    assert overlay.picture != before and overlay.mask == np.eye(4, dtype=bool).tolist()
    assert fakes.updates(overlay, "status") == ["running", "idle"]
    overlay.comm.sent.clear()
    overlay.show(prompt="what is it ?")
    assert not fakes.updates(overlay, "status")


def test_a_painted_mask_steers_just_those_patches(overlay, tiny, library):
    painted = np.zeros((4, 4), dtype=bool)
    painted[1, 2] = painted[3, 0] = True
    fakes.select(overlay, mask=painted.tolist(), layer=2)
    np.testing.assert_array_equal(overlay.scope, painted)
    steering = overlay.steering(strength=2.0)
    assert steering.layers == (2,) and steering.directions.name == "cat" and str(steering.scope) == "2 of 4×4 patches"
    receipt = generate(tiny, library["cat"].positive[0], steering=steering, max_new_tokens=2).receipt
    assert receipt[0].edited == (1 + 1 * 4 + 2, 1 + 3 * 4 + 0)
    assert overlay.steering(layers=[0, 1], operation="ablate").layers == (0, 1)


def test_painting_is_checked(overlay):
    with pytest.raises(ValueError, match="no patch is painted"):
        overlay.steering()
    with pytest.raises(ValueError, match=r"expected a bool array \[4, 4\]; got bool of shape \[2, 2\]"):
        overlay.paint(np.ones((2, 2), dtype=bool))
    with pytest.raises(ValueError, match="got int"):
        overlay.paint(np.ones((4, 4), dtype=int))


def test_without_vectors_it_shows_the_picture_and_paints(tiny, vectors, library):
    overlay = PatchOverlay(tiny, images=library["cat"].positive[0])
    assert overlay.wait(SOON) and overlay.values == b"" and overlay.rows == 4
    overlay.paint(np.ones((4, 4), dtype=bool))
    with pytest.raises(ValueError, match="there are no vectors to steer with"):
        overlay.steering()
    overlay.vectors = vectors
    assert overlay.wait(SOON) and overlay.concept == "cat" and len(overlay.values) == 4 * 16 * 4
    assert overlay.steering().scope.mask is not None


def test_vectors_of_another_model_are_refused_by_name(overlay, tiny, vectors, library):
    foreign = vectors.assign_attrs(model="another", weights="0" * 12)
    with pytest.raises(ValueError, match="another .*tiny-llava"):
        PatchOverlay(tiny, foreign, images=library["cat"].positive[0])
    with pytest.raises(ValueError, match="another .*tiny-llava"):
        overlay.vectors = foreign


def test_it_says_where_zero_and_one_were_measured(tiny, vectors, library):
    overlay = PatchOverlay(tiny, vectors.sel(scope=["last_prompt"]), images=library["cat"].positive[0])
    assert overlay.wait(SOON) and overlay.meaning.endswith("at tokens of the scope last_prompt and not at image tokens")
    overlay.vectors = vectors
    assert overlay.wait(SOON) and overlay.meaning.endswith("1 = mean of images with it")


def test_errors_end_as_one_sentence(overlay, caplog):
    fakes.select(overlay, concept="<b>unicorn</b>")
    assert not overlay.wait(SOON) and overlay.status == "error"
    assert overlay.message == "there is no vector for concept '<b>unicorn</b>'; choose one of the list."
    assert "Traceback" in caplog.text
    overlay.concept = "neon"
    assert overlay.wait(SOON) and overlay.message == ""


def test_a_model_whose_image_tokens_have_no_grid_says_so(tiny, library, monkeypatch):
    def without_grid(*arguments, **settings):
        acts = capture(*arguments, **settings)
        return acts.assign_coords(patch_row=("token", np.full(acts.sizes["token"], -1)))

    monkeypatch.setattr(module, "capture", without_grid)
    overlay = PatchOverlay(tiny, images=library["cat"].positive[0])
    assert not overlay.wait(SOON)
    assert "have no known grid of rows and columns" in overlay.message and "TokenStrip" in overlay.message
    overlay.close()
    monkeypatch.setattr(module, "why_no_image_tokens", lambda config: "the image enters by cross-attention")
    overlay = PatchOverlay(tiny, images=library["cat"].positive[0])
    assert not overlay.wait(SOON)
    assert overlay.message.endswith("could be laid over the image: the image enters by cross-attention.")


def test_the_picture_is_cut_where_the_processor_crops():
    class Processor:
        class image_processor:
            do_center_crop, do_resize = True, True
            crop_size = {"height": 224, "width": 224}
            size = {"shortest_edge": 256}

    class Model:
        processor = Processor

    assert module.seen_by(Model, Image.new("RGB", (512, 768))).size == (448, 448)
    Processor.image_processor.do_center_crop = False
    assert module.seen_by(Model, Image.new("RGB", (512, 768))).size == (512, 768)


def test_large_pictures_travel_small(overlay):
    overlay.show(Image.new("RGB", (2000, 1000)))
    assert overlay.wait(SOON) and Image.open(io.BytesIO(overlay.picture)).size == (640, 320)


def test_a_saved_page_holds_the_patches_of_every_concept(overlay, monkeypatch):
    monkeypatch.setattr(module, "capture", None)
    found = {one.when["concept"]: one.shown for one in overlay.recordings()}
    assert list(found) == [overlay.concept, *(name for name in overlay.concepts if name != overlay.concept)]
    assert found[overlay.concept]["values"] == overlay.values
    other = next(name for name in found if name != overlay.concept)
    assert found[other]["shown"]["concept"] == other and found[other]["values"] != overlay.values
    assert overlay.shown["concept"] == overlay.concept
    overlay.concept = other
    assert overlay.wait(SOON) and overlay.values == found[other]["values"]
    assert len(overlay.recordings(largest=len(overlay.values))) == 1
    overlay.publish(status="error")
    assert len(overlay.recordings()) == 0


def test_its_picture_shades_and_frames_the_patches_of_the_layer(overlay, tmp_path):
    mask = np.zeros((overlay.rows, overlay.columns), dtype=bool)
    mask[1, 2] = True
    overlay.paint(mask)
    values = np.frombuffer(overlay.values, "<f4").reshape(len(overlay.layers), -1)[overlay.layers.index(overlay.layer)]
    boxes = [shape for shape in overlay.drawing().shapes if isinstance(shape, Box)]
    shaded, framed = [box for box in boxes if box.fill], [box for box in boxes if box.stroke]
    strongest = max(shaded, key=lambda box: box.opacity)
    assert len(shaded) == values.size and shaded.index(strongest) == int(np.abs(values).argmax())
    assert strongest.fill == diverging(float(np.sign(values[np.abs(values).argmax()])), 1.0)
    assert len(framed) == 1 and (framed[0].x, framed[0].y) == (
        shaded[overlay.columns + 2].x,
        shaded[overlay.columns + 2].y,
    )
    overlay.to_png(tmp_path / "patches.png")
    with Image.open(tmp_path / "patches.png") as image:
        assert image.width == 3 * overlay.drawing().width
    overlay.values = b""
    assert "Nothing has been read yet." in overlay.to_svg(tmp_path / "none.svg").path.read_text()


def test_the_picture_has_the_scale_of_the_view(overlay):
    values = values_of(overlay).copy()
    values[0], values[1:] = 0.4, 3.1
    values[0, 0, 0], values[0, 3, 3] = np.nan, 99
    assert overlay.limit == scale_limit(values_of(overlay), overlay.unit)
    overlay.publish(values=values.tobytes(), limit=scale_limit(values, overlay.unit), layer=0)
    shapes = overlay.drawing().shapes
    assert "colours: −3.5 (blue) to +3.5 (orange) × mean difference" in [
        one.text for one in shapes if hasattr(one, "text")
    ]
    shades = [one.opacity for one in shapes if isinstance(one, Box) and one.fill]
    assert len(shades) == 15 and shades[-1] == pytest.approx(0.85) and shades[0] == pytest.approx(0.85 * 0.4 / 3.5)


@pytest.fixture(scope="module")
def squares():
    return {"cat": square_pairs(2)}


@pytest.fixture(scope="module")
def grid(tiny, squares):
    found = mp.patch(tiny, squares, layers=["input", 1, 3], groups=("image", "patches"), controls=(), progress=False)
    return found.assign_attrs(minimum_gap=1e-6)


@pytest.fixture
def over_square(tiny, squares):
    vectors = concept_vectors(tiny, squares, probe_accuracy=False)
    made = PatchOverlay(tiny, vectors, images=squares["cat"].negative[1], concept="cat")
    assert made.wait(SOON), made.message
    return made


def test_it_shows_the_share_of_every_patch(over_square, grid, squares, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "capture", None)
    over_square.show_causal(grid, squares["cat"].positive[0], "cat", direction="remove")
    assert over_square.wait(SOON) and over_square.status == "idle", over_square.message
    assert over_square.layers == [schema.INPUT, 1, 3] and over_square.unit == "of the difference"
    own = grid.sel(concept="cat", direction="remove", sample=0, control="pair")
    gap = float(own.logprob_source) - float(own.logprob_base.mean())
    for row, column in ((0, 0), (1, 2), (3, 1)):
        cell = own.sel(group=schema.patch_name(row, column))
        np.testing.assert_allclose(
            values_of(over_square)[:, row, column], (cell.logprob - cell.logprob_base) / gap, atol=1e-3
        )
    assert "this patch alone brings all of the difference (remove)" in over_square.meaning
    assert over_square.shown["concept"] == "cat" and over_square.picture.startswith(b"\x89PNG")
    over_square.layer = schema.INPUT
    over_square.to_svg(tmp_path / "map.svg")
    assert "layer input" in (tmp_path / "map.svg").read_text()


def test_another_image_brings_the_projection_back(over_square, grid, squares):
    before = values_of(over_square).copy()
    over_square.show_causal(grid, squares["cat"].positive[0])
    assert over_square.wait(SOON), over_square.message
    over_square.layer = schema.INPUT
    over_square.images = squares["cat"].negative[1]
    assert over_square.wait(SOON) and over_square.status == "idle", over_square.message
    assert over_square.layers == [0, 1, 2, 3] and over_square.layer == 0 and over_square.unit == "× mean difference"
    np.testing.assert_allclose(values_of(over_square), before, atol=1e-5)


def test_without_vectors_the_map_goes_with_its_image(tiny, grid, squares):
    overlay = PatchOverlay(tiny, images=squares["cat"].negative[0])
    overlay.show_causal(grid, squares["cat"].negative[0], "cat")
    assert overlay.wait(SOON) and overlay.concepts == ["cat"] and overlay.values, overlay.message
    overlay.images = squares["cat"].negative[1]
    assert overlay.wait(SOON) and overlay.status == "idle" and not overlay.values, overlay.message
    assert overlay.layers == [0, 1, 2, 3]


def test_what_is_no_map_is_refused(over_square, tiny_mrope, grid, squares, pictures):
    image = squares["cat"].positive[0]
    with pytest.raises(ValueError, match="holds no single patches: run mp.patch"):
        over_square.show_causal(grid.sel(group=["image"]), image)
    with pytest.raises(ValueError, match="the image is none of pair 1 of 'cat'"):
        over_square.show_causal(grid, image, "cat", 1)
    with pytest.raises(ValueError, match="sample 7 is not in the grid of mp.patch; it has 0, 1"):
        over_square.show_causal(grid, image, "cat", 7)
    with pytest.raises(ValueError, match="concept 'dog' is not in the grid of mp.patch; it has cat"):
        over_square.show_causal(grid, image, "dog")
    with pytest.raises(ValueError, match=r"differ by .*, less than 99 \('minimum_gap'\)"):
        over_square.show_causal(grid.assign_attrs(minimum_gap=99), image)
    with pytest.raises(ValueError, match="the grid of mp.patch were made with|the grid of mp.patch was|made with"):
        over_square.show_causal(grid.assign_attrs(weights="other"), image)
    with pytest.raises(ValueError, match="lacks variable 'logit'"):
        causal_map(grid, "cat", 0, "insert", "logit")
