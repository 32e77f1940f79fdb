"""The input of block 0 as a site: captured, measured, steered and swept as plain pre-hooks on that block do it."""

import numpy as np
import pytest
import torch

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.activations.hooks import attached, resolve_blocks, resolve_layers
from mllm_probe.decoding.paths import known_path
from mllm_probe.schema import ROLES
from mllm_probe.steering.operations import random_direction
from tests.conftest import noise_picture
from tests.hooks import active_hooks
from tests.patching.plain_interchange import pairs_of, stream_of
from tests.sweeps.helpers import random_vectors, verified_family, wrapped_family

FAMILIES = (
    "llava", "qwen2_5_vl", "qwen3_vl", "gemma3", "gemma3n", "paligemma", "mllama", "idefics3", "kosmos2", "blip2",
    "kimi_k25", "ernie4_5_vl_moe", "aya_vision", "lfm2_vl",
)  # fmt: skip
WITH_IMAGE_TOKENS = tuple(name for name in FAMILIES if name != "mllama")
WORDS = {"cat": [7, [8, 9]], "dog": [11, 12]}
TOLERANCE = 1e-4


def plain(model, tensors, change=None):
    """What enters block 0 in the unedited run, and the logits of a run in which ``change`` edits it in place."""
    seen = []

    def hook(module, arguments, named):
        whole = (arguments[0] if arguments else named["hidden_states"]).clone()
        seen.append(stream_of(model, whole).clone())
        if change is not None:
            change(stream_of(model, whole))
        return ((whole, *arguments[1:]), named) if arguments else (arguments, {**named, "hidden_states": whole})

    handle = model.layout.blocks[0].register_forward_pre_hook(hook, with_kwargs=True)
    try:
        with torch.no_grad():
            logits = model.hf(**tensors, use_cache=False).logits
    finally:
        handle.remove()
    return seen[0], logits


@pytest.fixture(scope="module")
def case(device):
    known = {}

    def get(name):
        if name not in known:
            known[name] = verified_family(name, device)
        return known[name]

    return get


@pytest.mark.parametrize("name", FAMILIES)
def test_a_capture_equals_a_plain_pre_hook(case, name):
    model, inputs = case(name)
    acts = mp.capture(model, None, inputs=inputs, layers=["input", 1], tokens="all")
    assert acts.layer.values.tolist() == [schema.INPUT, 1] and acts.relative_depth.values.tolist()[0] == 0
    encoded = model.encode(None, inputs=inputs)
    entered, _ = plain(model, encoded.tensors)
    found = acts.activation.sel(layer=schema.INPUT).values[0]
    np.testing.assert_array_equal(found, entered[0].cpu().float().numpy()[acts.token.values])
    alone = mp.capture(model, None, inputs=inputs, layers="input", tokens="all").activation.values[0, 0]
    np.testing.assert_array_equal(alone, found)
    assert active_hooks(model) == 0


@pytest.mark.parametrize("name", WITH_IMAGE_TOKENS)
def test_a_sweep_cell_equals_a_plain_pre_hook(case, name):
    model, inputs = case(name)
    encoded = model.encode(None, inputs=inputs)
    vectors = with_input(model)
    grid = mp.sweep(
        model, vectors, inputs=inputs, layers=["input", 1], strengths=(0, 2), tokens="image", metrics=("logprob",),
        controls=("random",), draws=4, progress=False,
    )  # fmt: skip
    assert grid.layer.values.tolist() == [schema.INPUT, 1]
    assert known_path(model, encoded, prompt_edited=True, input_edited=True) is not None
    columns = (encoded.roles[0] == ROLES.index("image")).nonzero().flatten().to(model.device)
    own = vectors.sel(concept="dog", scope="image", layer=schema.INPUT)
    direction = torch.from_numpy(np.array(own.vector.values)).to(model.device)
    step = 2 * float(vectors.residual_norm.sel(scope="image", layer=schema.INPUT)) * direction / direction.norm()

    def change(hidden):
        hidden[:, columns] += step

    _, logits = plain(model, encoded.tensors, change)
    _, unedited = plain(model, encoded.tensors)
    expected, base = (float(one[0, -1].log_softmax(-1)[[11, 12]].logsumexp(0)) for one in (logits, unedited))
    scale = float(logits[0, -1].abs().max())
    cell = grid.logprob.sel(concept="dog", layer=schema.INPUT, control="concept", draw=0).isel(sample=0)
    assert abs(float(cell.sel(strength=2)) - expected) < TOLERANCE * scale, grid.attrs["path"]
    assert abs(float(cell.sel(strength=0)) - base) < TOLERANCE * scale
    assert abs(expected - base) > 10 * TOLERANCE * scale
    step = step.norm() * random_direction(0, 1, model.hidden_size).to(model.device)
    _, logits = plain(model, encoded.tensors, change)
    expected = float(logits[0, -1].log_softmax(-1)[[11, 12]].logsumexp(0))
    drawn = grid.logprob.sel(concept="dog", layer=schema.INPUT, control="random", draw=1, strength=2).isel(sample=0)
    assert abs(float(drawn) - expected) < TOLERANCE * scale
    edited = grid.edited.sel(concept="dog", layer=schema.INPUT, control="concept", draw=0, strength=2)
    assert edited.item() == len(columns)


def with_input(model):
    """Vectors at the input of block 0 and at every block, as ``concept_vectors`` gives them."""
    vectors = random_vectors(model, words=WORDS, scopes=("image",), draws=2)
    first = vectors.isel(layer=[0]).assign_coords(layer=[schema.INPUT], relative_depth=("layer", [0.0]))
    parts = {}
    for name, variable in vectors.items():
        if "layer" in variable.dims:
            axis = variable.dims.index("layer")
            both = np.concatenate([first[name].values, variable.values], axis)
            parts[name] = (variable.dims, both)
    depths = np.concatenate([[0.0], vectors.relative_depth.values])
    kept = vectors.drop_dims("layer").assign_coords(
        layer=[schema.INPUT, *vectors.layer.values], relative_depth=("layer", depths)
    )
    return kept.assign(parts)


@pytest.mark.parametrize("name", ["llava", "gemma3n", "qwen3_vl"])
def test_layers_above_are_moved_and_generation_takes_the_edit(case, name):
    model, inputs = case(name)
    steering = mp.Steering(with_input(model).sel(concept="cat"), "input", 2.0, tokens="image")
    plain_acts, steered = (
        mp.capture(model, None, inputs=inputs, layers=["input", 0], tokens="image", steering=edit).activation
        for edit in (None, steering)
    )
    moved = np.abs(steered.values - plain_acts.values).max(-1)
    assert moved.min() > 1e-4
    out = mp.generate(model, None, steering=steering, inputs=inputs, max_new_tokens=2)
    assert out.receipt.rows[0].edited and "layer input" in str(out.receipt) and "layers input" in str(steering)


def test_vectors_of_the_image_are_measured_there(tiny, pictures):
    library = {"cat": pairs_of(pictures[:3], pictures[3:])}
    vectors = mp.concept_vectors(tiny, library, tokens="image", layers=["input", 0, -1], shuffled_draws=2)
    assert vectors.layer.values.tolist() == [schema.INPUT, 0, len(tiny.layers) - 1]
    entered = [plain(tiny, tiny.encode([picture]).tensors)[0][0] for picture in pictures]
    image = tiny.encode([pictures[0]]).roles[0] == ROLES.index("image")
    means = torch.stack([one[image.to(one.device)].mean(0) for one in entered])
    expected = (means[:3].mean(0) - means[3:].mean(0)).cpu().numpy()
    found = vectors.vector.sel(concept="cat", scope="image", layer=schema.INPUT).values
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert float(vectors.residual_norm.sel(scope="image", layer=schema.INPUT)) > 0
    every = mp.concept_vectors(tiny, library, tokens="image", shuffled_draws=2)
    assert every.layer.values.tolist() == list(tiny.layers)
    assert mp.Steering(vectors.sel(concept="cat"), "all", tokens="image").blocks == (0, len(tiny.layers) - 1)
    assert mp.Steering(vectors.sel(concept="cat"), -1, tokens="image").blocks == (len(tiny.layers) - 1,)


def test_vectors_go_to_a_file_and_back(tiny, tmp_path):
    given = np.eye(2, tiny.hidden_size)
    vectors = mp.vectors_from(tiny, {"mine": given}, scope="image", layers=["input", 2])
    loaded = mp.load_vectors(mp.save_vectors(vectors, tmp_path / "v.safetensors"), tiny)
    assert loaded.layer.values.tolist() == [schema.INPUT, 2]
    with pytest.warns(UserWarning, match="no place for block 0"):
        mp.save_vectors(vectors, tmp_path / "v.gguf")
    assert mp.load_vectors(tmp_path / "v.gguf", tiny).layer.values.tolist() == [2]


TEXT = "a text position holds its token's own embedding"


def test_text_scopes_are_refused_with_the_reason(tiny, pictures):
    library = {"cat": pairs_of(pictures[:3], pictures[3:])}
    with pytest.raises(ValueError, match=TEXT + ".*'last_prompt' has no direction there. Give the scope 'image'"):
        mp.concept_vectors(tiny, library, layers=["input", 0])
    with pytest.raises(ValueError, match=TEXT):
        mp.vectors_from(tiny, {"mine": np.ones(tiny.hidden_size)}, layers="input")
    vectors = mp.vectors_from(tiny, {"mine": np.ones(tiny.hidden_size)}, scope="image", layers=["input", 0])
    with pytest.raises(ValueError, match=TEXT):
        mp.Steering(vectors.sel(concept="mine"), "input")
    with pytest.raises(ValueError, match=TEXT):
        mp.sweep(tiny, vectors, pictures[:1], layers="input", metrics=("tokens",), unit="raw", progress=False)
    by_number = mp.Steering(vectors.sel(concept="mine"), "input", tokens=[0, 1], unit="raw")
    with pytest.raises(ValueError, match=TEXT):
        mp.generate(tiny, pictures[0], steering=by_number, max_new_tokens=1)


def test_what_lacks_the_input_says_so(tiny, pictures):
    vectors = mp.vectors_from(tiny, {"mine": np.ones(tiny.hidden_size)}, scope="image")
    one = vectors.sel(concept="mine")
    with pytest.raises(ValueError, match="no vector of 'mine' at layer input; there are vectors at 0, 1, 2, 3"):
        mp.Steering(one, "input", tokens="image")
    with pytest.raises(ValueError, match=r"no layer input; they have \[0, 1, 2, 3\]"):
        mp.sweep(tiny, vectors, pictures[:1], layers="input", tokens="image", metrics=("tokens",), progress=False)
    only = mp.vectors_from(tiny, {"mine": np.ones(tiny.hidden_size)}, scope="image", layers="input")
    with pytest.raises(ValueError, match="no vector of 'mine' at layer -1; there are vectors at input"):
        mp.Steering(only.sel(concept="mine"), -1, tokens="image")
    with pytest.raises(ValueError, match="the vectors have no block, only the input of block 0: give layers='input'"):
        mp.sweep(tiny, only, pictures[:1], tokens="image", metrics=("tokens",), progress=False)
    with pytest.raises(ValueError, match="'input', the input of block 0: what is recorded are outputs"):
        mp.sweep(tiny, vectors, pictures[:1], tokens="image", record="residual_norm", read_layers="input",
                 metrics=("tokens",), progress=False)  # fmt: skip


def test_names_of_layers_are_read():
    assert resolve_layers("input", 3) == [schema.INPUT] and resolve_layers(["input", 0, -1], 3) == [-1, 0, 2]
    assert schema.layer_names([schema.INPUT, 2]) == ["input", 2]
    assert resolve_blocks([0, -1], 3, "") == [0, 2]
    with pytest.raises(ValueError, match="one or more different blocks"):
        resolve_layers(["input", "input"], 3)
    with pytest.raises(ValueError, match="or 'input' for what enters block 0"):
        resolve_layers(["output"], 3)
    assert schema.layer_coordinates([schema.INPUT, 1], 4)["relative_depth"] == ("layer", [0, 0.5])


def test_an_input_of_another_shape_is_refused_by_name(device):
    model, inputs = wrapped_family("llava", device)
    vectors = with_input(model)

    def cut(module, arguments, named):
        if arguments:
            return (arguments[0][:, 1:], *arguments[1:]), named
        return arguments, {**named, "hidden_states": named["hidden_states"][:, 1:]}

    first = model.layout.blocks[0].register_forward_pre_hook(cut, with_kwargs=True)
    try:
        with pytest.raises(RuntimeError, match=r"the input of block 0 of .*llava.* has \(1, .*positions"):
            mp.capture(model, None, inputs=inputs, layers="input")
        steering = mp.Steering(vectors.sel(concept="cat"), "input", tokens="image")
        with pytest.raises(RuntimeError, match=r"the input of block 0 of .*\(llava\) has"):
            mp.capture(model, None, inputs=inputs, layers=[0], steering=steering)
    finally:
        first.remove()


def test_hooks_at_the_input_follow_the_others(tiny):
    seen = []
    tensors = tiny.encode([noise_picture(0)]).tensors
    first = attached(tiny, lambda layer, hidden: hidden + 1, layers="input")
    second = attached(tiny, lambda layer, hidden: seen.append((layer, hidden.clone())), layers=["input", 0])
    with first, second, torch.no_grad():
        tiny.hf(**tensors)
    entered, _ = plain(tiny, tensors)
    assert [layer for layer, _ in seen] == [schema.INPUT, 0]
    torch.testing.assert_close(seen[0][1], entered + 1)
