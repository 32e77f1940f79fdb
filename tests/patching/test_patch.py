"""What `patch` computes on libraries of pairs: groups, controls, windows, metrics, stores, and what it refuses."""

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.concepts import Picture
from mllm_probe.models import Request
from mllm_probe.patching import counterfactuals, patch_engine
from mllm_probe.patching.counterfactuals import changed_tokens
from mllm_probe.patching.patch_engine import PatchEngine
from mllm_probe.patching.patch_job import PatchJob, checked_settings
from mllm_probe.sweeps import read_progress
from mllm_probe.sweeps.runner import Limits
from tests.conftest import noise_picture
from tests.hooks import active_hooks
from tests.patching.plain_interchange import group_of, library_of, pairs_of, patched_logprob, states_of
from tests.sweeps.helpers import wrapped_family

TOLERANCE = 1e-4


def with_square(image, top, left, side, level):
    """The same image with the pixels of a square changed by some levels."""
    pixels = np.asarray(image).astype(int)
    square = pixels[top : top + side, left : left + side]
    pixels[top : top + side, left : left + side] = np.where(square > 127, square - level, square + level)
    return Image.fromarray(pixels.astype(np.uint8))


def square_pairs(count=3, size=(32, 32)):
    """Pairs that differ in one square of 8 pixels, which is the patch in row 1, column 2."""
    negative = [noise_picture(seed, size) for seed in range(count)]
    return pairs_of([with_square(image, 8, 16, 8, 60) for image in negative], negative)


def patched(model, library, **settings):
    return mp.patch(model, library, progress=False, **settings)


def test_default_settings_give_every_cell(tiny):
    grid = patched(tiny, {"cat": square_pairs()})
    assert dict(grid.sizes) == {"concept": 1, "layer": 5, "group": 4, "direction": 2, "control": 4, "sample": 3}
    assert grid.layer.values.tolist() == [schema.INPUT, 0, 1, 2, 3] and grid.relative_depth.values[0] == 0
    assert grid.group.values.tolist() == ["changed", "image", "text", "last_prompt"]
    assert grid.control.values.tolist() == list(schema.DONORS)
    assert np.isfinite(grid.logprob).all() and np.isfinite(grid.logprob_base).all()
    assert grid.attrs["progress"] == 1 and grid.attrs["minimum_gap"] == 0.5 and grid.attrs["window"] == 1
    assert grid.attrs["path"] == "resumed at the edited layer"
    assert grid.group_size.sel(group="changed").values.tolist() == [[1, 1, 1]]
    for dim in grid.dims:
        assert dim in schema.DIMENSIONS
        schema.require_values(grid, dim) if dim in grid.coords else None
    assert active_hooks(tiny) == 0


def test_the_source_of_one_direction_is_the_base_of_the_other(tiny):
    grid = patched(tiny, {"cat": square_pairs()}, groups="image", controls=())
    for one, other in (schema.DIRECTIONS, schema.DIRECTIONS[::-1]):
        source, base = grid.logprob_source.sel(direction=one), grid.logprob_base.sel(direction=other)
        np.testing.assert_allclose(
            base.values, np.broadcast_to(source.values[:, None, None, None], base.shape), atol=1e-4
        )


@pytest.mark.parametrize("side", ["positive", "negative"])
def test_changed_patches_are_those_whose_pixels_differ(tiny, side):
    low, high = (pairs_of([with_square(noise_picture(0, (32, 32)), 8, 16, 8, level)], [noise_picture(0, (32, 32))])
                 for level in (8, 9))  # fmt: skip
    found = []
    for concept in (low, high):
        requests = tuple(Request((image,), "what") for image in (concept.positive[0], concept.negative[0]))
        requests = requests if side == "positive" else requests[::-1]
        encoded = [tiny.encode_samples([request]) for request in requests]
        tokens = changed_tokens(tiny, *encoded, requests)
        found.append([(encoded[0].patch_row[0, t], encoded[0].patch_column[0, t]) for t in np.flatnonzero(tokens)])
    assert found == [[], [(1, 2)]]


def test_changed_patches_of_a_family_that_is_given_patches(tiny_mrope):
    negative = noise_picture(0, (84, 84))
    positive = with_square(negative, 28, 56, 28, 60)  # a token covers 28 × 28 pixels
    requests = (Request((positive,), "what"), Request((negative,), "what"))
    encoded = [tiny_mrope.encode_samples([request]) for request in requests]
    assert (encoded[0].patch_row.max() + 1, encoded[0].patch_column.max() + 1) == (3, 3)
    tokens = changed_tokens(tiny_mrope, *encoded, requests)
    places = [(encoded[0].patch_row[0, t], encoded[0].patch_column[0, t]) for t in np.flatnonzero(tokens)]
    assert places == [(1, 2)]


def test_changed_patches_do_not_depend_on_the_models_type(tiny, device):
    from tests.conftest import put
    from tests.zoo import tiny_llava

    half = put(tiny_llava(), device)
    half.hf.to(torch.bfloat16)
    negative = noise_picture(3, (32, 32))
    requests = tuple(Request((image,), "what") for image in (with_square(negative, 0, 0, 8, 9), negative))
    for model in (tiny, half):
        encoded = [model.encode_samples([request]) for request in requests]
        assert changed_tokens(model, *encoded, requests).sum() == 1


def test_an_image_of_a_grid_that_does_not_divide_it_counts_border_pixels_twice():
    pixels = np.zeros((10, 10), bool)
    pixels[3, 0] = True  # rows of 3⅓ pixels
    assert counterfactuals._tiles(pixels, 3, 3).tolist() == [[True, False, False], [True, False, False], [False] * 3]


def test_groups_are_disjoint_and_complete(tiny):
    names = ("changed", "unchanged", "text", "last_prompt", "special", "image", "all")
    grid = patched(tiny, {"cat": square_pairs()}, groups=names, layers=[0], controls=())
    size = grid.group_size.sel(concept="cat", sample=0)
    parts = size.sel(group=["changed", "unchanged", "text", "last_prompt", "special"])
    assert int(parts.sum()) == int(size.sel(group="all")) == tiny.encode([noise_picture(0)]).length
    assert int(size.sel(group=["changed", "unchanged"]).sum()) == int(size.sel(group="image")) == 16


def test_a_window_patches_several_layers(tiny, pictures):
    grid = patched(
        tiny, {"cat": pairs_of(pictures[:1], pictures[1:2])}, layers=["input", 0, 2, 3], window=2, groups=("image",),
        controls=("identity",), direction="insert",
    )  # fmt: skip
    base, source = tiny.encode([pictures[1]]), tiny.encode([pictures[0]])
    words = [[token] for token in tiny.text_ids("cat", leading_space=False)]
    donor, columns = states_of(tiny, source), group_of(base, "image")
    for layer, window in ((schema.INPUT, [schema.INPUT, 0]), (0, [0, 1]), (2, [2, 3]), (3, [3])):
        expected, scale = patched_logprob(tiny, base, donor, window, columns, words)
        cell = grid.sel(layer=layer, control="pair").squeeze()
        assert abs(float(cell.logprob) - expected) < TOLERANCE * scale
        assert int(cell.edited) == len(window) * len(columns)
    identity = grid.sel(control="identity")
    np.testing.assert_array_equal(identity.logprob.values, identity.logprob_base.values)


def test_controls_take_other_runs(tiny):
    concept = square_pairs(4)
    grid = patched(tiny, {"cat": concept}, layers=[1], groups=("image",), seed=1)
    base, words = tiny.encode([concept.negative[0]]), [[token] for token in tiny.text_ids("cat", leading_space=False)]
    columns = group_of(base, "image")
    for control, image in {"other_positive": concept.positive[2], "unrelated": concept.negative[2]}.items():
        donor = states_of(tiny, tiny.encode([image]))
        expected, scale = patched_logprob(tiny, base, donor, [1], columns, words)
        found = float(grid.logprob.sel(control=control, direction="insert", concept="cat", sample=0).squeeze())
        assert abs(found - expected) < TOLERANCE * scale, control


def test_an_unrelated_image_shares_the_fewest_labels():
    library = mp.concepts.scenes(concepts=["cat", "neon", "fear"], pairs=8)
    model = mp.load("scenes-4l")
    job = engine_of(model, library, layers=[0], groups=("image",), controls=("unrelated",)).job
    for name, own in job.counterfactuals.pairs.items():
        for pair in own:
            donor, mine = pair.donors["unrelated"], pair.positive.labels | pair.negative.labels
            assert name not in donor.labels and donor.id not in (pair.positive.id, pair.negative.id)
            assert pair.shared == len(donor.labels & mine) == 0
            [counterpart] = [c for c in pair.negative.labels - pair.positive.labels if c == pair.counterpart]
            assert counterpart not in pair.positive.labels


def test_the_logit_difference_is_that_of_the_pairs_counterpart():
    model = mp.load("scenes-4l")
    library = mp.concepts.scenes(concepts=["cat"], pairs=2)
    grid = patched(model, library, layers=[1], groups=("image",), controls=(), metrics=("logit_difference", "logit"))
    other = str(grid.counterpart.sel(concept="cat", sample=0).values)
    table = [mp.concepts.scenes(concepts=[name], pairs=1)[name].words for name in ("cat",)] + [(other,)]
    from mllm_probe.metrics.words import first_token_logit, word_table

    encoded = model.encode([library["cat"].positive[0].image])
    with torch.no_grad():
        logits = model.hf(**encoded.tensors).logits[0, -1:]
    cat, counterpart = first_token_logit(logits, word_table(model, table))[0].tolist()
    source = grid.sel(concept="cat", direction="insert", sample=0)
    assert float(source.logit_difference_source) == pytest.approx(cat - counterpart, abs=1e-3)
    assert float(source.logit_source) == pytest.approx(cat, abs=1e-3)


def test_a_users_metric_is_scored(tiny):
    doubled = mp.Metric("doubled", "words", lambda logprob: 2 * logprob, "doubled")
    entropy = mp.Metric("entropy", "logits", lambda logits, table: logits.softmax(-1).logsumexp(-1), "entropy")
    grid = patched(tiny, {"cat": square_pairs(2)}, layers=[0], metrics=("logprob", doubled, entropy), controls=())
    np.testing.assert_allclose(grid.doubled.values, 2 * grid.logprob.values)
    np.testing.assert_allclose(grid.doubled_source.values, 2 * grid.logprob_source.values)
    assert np.isfinite(grid.entropy).all() and grid.doubled.attrs["label"] == "doubled"


def test_an_answer_prefix_is_fed(tiny, pictures):
    library = {"cat": pairs_of(pictures[:1], pictures[1:2])}
    given = {"layers": [1], "groups": ("image",), "controls": (), "direction": "insert"}
    with_prefix = patched(tiny, library, answer_prefix="there is a", **given)
    assert with_prefix.attrs["answer_prefix"] == "there is a"
    ids = tiny.text_ids("there is a", leading_space=False)
    encoded = tiny.encode([pictures[1]], continuation=[ids])
    with torch.no_grad():
        logits = tiny.hf(**encoded.tensors).logits[0, -1].log_softmax(-1)
    [word] = tiny.text_ids("cat", leading_space=False)
    assert float(with_prefix.logprob_base.squeeze()) == pytest.approx(float(logits[word]), abs=1e-4)


def test_batches_of_any_size_give_the_same(tiny):
    library = {"cat": square_pairs(2)}
    whole, small = (engine_of(tiny, library, limits=Limits(rows=rows)) for rows in (256, 3))
    for engine in (whole, small):
        assert sum(engine.run()) == engine.total
    assert small.batches == 2 * whole.batches
    np.testing.assert_allclose(whole.dataset().logprob, small.dataset().logprob, atol=1e-4)


def test_batches_are_halved_where_the_gpu_runs_out_of_memory(tiny, monkeypatch):
    engine, start = engine_of(tiny, {"cat": square_pairs(2)}), patch_engine.Interchange
    failed = []

    def scarce(model, rows, *rest):
        if rows.count > 6:
            failed.append(rows.count)
            raise torch.OutOfMemoryError("out of memory")
        return start(model, rows, *rest)

    monkeypatch.setattr(patch_engine, "Interchange", scarce)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert sum(engine.run()) == engine.total and failed and engine.size.halved
    monkeypatch.setattr(patch_engine, "Interchange", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError()))
    with pytest.raises(MemoryError, match="one row of this patch does not fit on"):
        list(engine_of(tiny, {"cat": square_pairs(2)}).run())


def engine_of(model, library, store=None, limits=None, **settings):
    given = {
        "layers": "all", "groups": ("changed", "image", "text", "last_prompt"), "direction": schema.DIRECTIONS,
        "metrics": ("logprob",), "controls": ("identity", "other_positive"), "window": 1, "minimum_gap": 0.5,
        "seed": 0, "answer_prefix": None,
    }  # fmt: skip
    checked = checked_settings(model, **(given | settings))
    return PatchEngine(PatchJob(model, library, None, checked), store, limits)


def test_a_stopped_patch_goes_on_from_its_store(tiny, tmp_path, monkeypatch):
    library, store = {"cat": square_pairs(3), "dog": square_pairs(2)}, tmp_path / "store"
    whole = patched(tiny, library, controls=("identity", "other_positive"))
    running = engine_of(tiny, library, store).run()
    for _ in range(3):
        next(running)
    running.close()
    stored = xr.open_zarr(store)
    assert int(stored.done.sum()) == read_progress(store).done == 3 * 5 * 4 * 3 and not read_progress(store).finished
    opened = []
    monkeypatch.setattr(
        PatchJob, "open", lambda self, encoded, open=PatchJob.open: opened.append(1) or open(self, encoded)
    )
    resumed = patched(tiny, library, controls=("identity", "other_positive"), store=store)
    assert 0 < len(opened) < 10
    xr.testing.assert_allclose(resumed.drop_attrs(), whole.drop_attrs(), atol=1e-5)
    assert read_progress(store).finished
    opened.clear()
    again = patched(tiny, library, controls=("identity", "other_positive"), store=store)
    assert not opened
    xr.testing.assert_identical(again.drop_attrs(), resumed.drop_attrs())
    assert again.attrs["path"] == resumed.attrs["path"]
    with pytest.raises(ValueError, match=r"holds a patch with other settings \(window: stored 1, asked for 2\)"):
        patched(tiny, library, controls=("identity", "other_positive"), window=2, store=store)


def test_pairs_of_unequal_number_leave_nan(tiny):
    grid = patched(tiny, {"cat": square_pairs(3), "dog": square_pairs(2)}, layers=[0], controls=(), groups="image")
    assert np.isfinite(grid.logprob.sel(concept="cat")).all()
    assert np.isnan(grid.logprob.sel(concept="dog", sample=2)).all() and grid.attrs["progress"] == 1
    assert grid.pair.sel(concept="dog").values.tolist() == [0, 1, -1]


def test_a_folder_of_paired_images_is_patched(tiny, tmp_path):
    concept = square_pairs(2)
    for side in ("positive", "negative"):
        folder = tmp_path / "entity" / "cat" / side
        folder.mkdir(parents=True)
        for number, image in enumerate(getattr(concept, side)):
            image.save(folder / f"{number}.png")
    library = mp.concepts.from_folder(tmp_path)
    assert library["cat"].paired, "files of one name are a pair"
    grid = patched(tiny, library, layers=[1], controls=("other_positive", "unrelated"))
    same = patched(tiny, {"cat": concept}, layers=[1], controls=("other_positive", "unrelated"))
    np.testing.assert_allclose(grid.logprob.values, same.logprob.values, atol=1e-5)
    assert (grid.counterpart == "").all() and (grid.shared_labels == -1).all()


def test_near_duplicates_are_no_donors(tiny):
    concept, images = square_pairs(4), {}
    for side in ("positive", "negative"):
        own = zip(getattr(concept, side), ("a", "a", "b", None), strict=True)
        images[side] = [Picture(image, group=group) for image, group in own]
    controls = ("other_positive", "unrelated")
    job = engine_of(tiny, {"cat": pairs_of(images["positive"], images["negative"])}, controls=controls).job
    [own] = job.pairs
    assert [pair.donors["other_positive"].group for pair in own] == ["b", "b", None, "a"]
    assert [pair.donors["unrelated"].group for pair in own] == ["b", "b", None, "a"]


def test_a_patch_holds_the_lock_of_the_model_batch_by_batch(tiny, monkeypatch):
    held, start = [], patch_engine.Interchange
    monkeypatch.setattr(
        patch_engine, "Interchange", lambda *rest: held.append(tiny.lock._depth) or start(*rest)
    )  # fmt: skip
    patched(tiny, {"cat": square_pairs(2)}, layers=[0], controls=())
    assert held and not any(held) and tiny.lock._depth == 0
    with pytest.raises(RuntimeError, match="expected a model that is not edited"), mp.steer(tiny, None):
        patched(tiny, {"cat": square_pairs(2)}, layers=[0], controls=())


REFUSED = {
    "a group": ({"groups": "images"}, "groups: expected one or more of changed, unchanged, image, .*; got 'images'"),
    "no group": ({"groups": ()}, r"groups: expected one or more of .*; got \(\)"),
    "a direction": ({"direction": "in"}, "direction: expected one or more of insert, remove; got 'in'"),
    "a control": ({"controls": ("random",)}, "controls: expected one or more of identity, unrelated, other_positive"),
    "a metric": ({"metrics": "perplexity"}, "'perplexity' reads more than the answer's first position"),
    "off target": ({"metrics": "off_target"}, "'off_target' reads more than the answer's first position"),
    "no metric": ({"metrics": ()}, "metrics: expected one or more names"),
    "a window": ({"window": 0}, "window: expected 1 or more; got 0"),
    "a gap": ({"minimum_gap": -0.1}, "minimum_gap: expected 0 or more; got -0.1"),
    "a layer": ({"layers": [9]}, "no layer 9: the model has 4 blocks"),
    "no counterpart": ({"metrics": "logit_difference"}, "needs to know what the negative shows in the concept's place"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_impossible_settings_are_refused(tiny, what):
    settings, text = REFUSED[what]
    with pytest.raises(ValueError, match=text):
        patched(tiny, {"cat": square_pairs(2)}, **settings)


def test_libraries_without_counterfactuals_are_refused(tiny, pictures):
    unpaired = pairs_of(pictures[:2], pictures[2:5], paired=False)
    with pytest.raises(ValueError, match="the images of 'cat' are not paired.*mp.sweep"):
        patched(tiny, {"cat": unpaired})
    with pytest.raises(ValueError, match="expected a library of counterfactual pairs.*got 3"):
        patched(tiny, 3)
    with pytest.raises(ValueError, match="'cat' is a str without 'positive'"):
        patched(tiny, {"cat": "cat"})
    one = {"cat": pairs_of(pictures[:1], pictures[1:2])}
    with pytest.raises(ValueError, match="'other_positive' of 'cat' needs another pair .* leave 'other_positive' out"):
        patched(tiny, one, controls=("other_positive",))
    with pytest.raises(ValueError, match="'unrelated' of 'cat' needs another pair"):
        patched(tiny, one, controls=("unrelated",))
    unknown = {"cat": pairs_of(pictures[:2], pictures[2:4], words=("zzz",))}
    with pytest.raises(ValueError, match="logprob cannot be computed: concepts without a word that"):
        patched(tiny, unknown)
    with pytest.warns(UserWarning, match="For them logprob are NaN"):
        both = {"cat": square_pairs(2), "odd": unknown["cat"]}
        grid = patched(tiny, both, layers=[0], controls=(), groups="image")
    assert np.isnan(grid.logprob.sel(concept="odd")).all() and np.isfinite(grid.logprob.sel(concept="cat")).all()


def test_pairs_of_unequal_token_layout_are_refused(tiny_mrope):
    wide, narrow = noise_picture(0, (84, 56)), noise_picture(1, (56, 56))
    with pytest.raises(ValueError, match=r"pair 0 of 'cat' give prompts of unequal token layout: .*one size, or steer"):
        patched(tiny_mrope, {"cat": pairs_of([wide], [narrow])}, controls=())
    mixed = pairs_of([wide, narrow], [noise_picture(2, (84, 56)), noise_picture(3, (56, 56))])
    with pytest.raises(ValueError, match="'other_positive' of 'cat' needs another pair whose prompt has the token lay"):
        patched(tiny_mrope, {"cat": mixed}, controls=("other_positive",))
    with pytest.raises(ValueError, match="'patches' needs images with one grid of patches; the pairs have 2×2, 2×3"):
        patched(tiny_mrope, {"cat": mixed}, controls=(), groups="patches")
    grid = patched(tiny_mrope, {"cat": mixed}, controls=("identity",), layers=[0])
    assert np.isfinite(grid.logprob).all()


@pytest.mark.parametrize(
    ("name", "group", "text"),
    [
        ("blip2", "changed", "of blip-2 reads, and that is not known: each of its image tokens reads the whole image"),
        ("blip2", "patches", "of blip-2 reads, and that is not known"),
        ("llava", "changed", "of llava reads, and that is not known: it was wrapped without a processor"),
        ("mllama", "image", "'image' does not exist in mllama: the image enters by cross-attention"),
        ("florence2", "text", "the prompt has no text tokens"),
    ],
)
def test_groups_that_a_family_lacks_are_refused_by_name(device, name, group, text):
    model, inputs = wrapped_family(name, device)
    with pytest.raises(ValueError, match=text):
        patched(model, library_of(inputs), groups=group)


def test_a_broken_model_is_named(device):
    from tests.conftest import put
    from tests.zoo import tiny_llava

    model = put(tiny_llava(), device)
    engine = engine_of(model, {"cat": square_pairs(2)}, layers=[1])
    running = engine.run()
    next(running)
    model.layout.blocks[2].mlp.down_proj.weight.data.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"tiny-llava .* gives NaN or infinity on image .*first in block 2.*down_proj"):
        list(running)


def test_a_block_that_never_runs_is_noticed(tiny, monkeypatch):
    engine = engine_of(tiny, {"cat": square_pairs(2)})
    monkeypatch.setattr(patch_engine.Interchange, "_edit", lambda self, layer, hidden: None)
    with pytest.raises(RuntimeError, match="nothing was patched at layer -1 of tiny-llava"):
        list(engine.run())
