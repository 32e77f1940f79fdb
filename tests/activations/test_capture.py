import copy
import types
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np
import pytest
import torch

import mllm_probe as mp
from mllm_probe.activations import attached, captured_rows, device_array, device_memory, editing, run_forward
from mllm_probe.models import ProbeModel
from tests.hooks import active_hooks
from tests.zoo import FAMILIES, build

PROMPTS = ["What do you see?", "What?", "Is the cat left of the dog?"]


def reference(model, encoded, dtype=torch.float32):
    """Hidden states of an independent copy: transformers' recording hooks must never reach the probed model."""
    hf = copy.deepcopy(model.hf).to(dtype)
    tensors = {n: t.to(dtype) if t.is_floating_point() else t for n, t in encoded.tensors.items()}
    with torch.no_grad():
        return hf(**tensors, output_hidden_states=True, use_cache=False).hidden_states


def normed(model, hidden):
    with torch.no_grad():
        return model.layout.final_norm(hidden)


def in_bfloat16(model):
    """The same model in bfloat16, on its own copy of the weights."""
    return ProbeModel(copy.deepcopy(model.hf).to(torch.bfloat16), model.processor, name="tiny in bfloat16")


@pytest.mark.parametrize("family", ["tiny", "tiny_mrope"])
def test_invariant_2_a_captured_layer_is_the_models_own_hidden_state(family, pictures, request):
    model = request.getfixturevalue(family)
    acts = mp.capture(model, pictures[:2], PROMPTS[0], tokens="all")
    encoded = model.encode(pictures[:2], PROMPTS[0])
    own = reference(model, encoded)
    assert encoded.padding.sum() == 0
    columns = acts.token.values.copy()
    assert acts.sizes == {"sample": 2, "layer": 4, "token": len(columns), "hidden": model.hidden_size}
    for layer in model.layers[:-1]:
        assert torch.equal(acts.activation.sel(layer=layer).torch.tensor, own[layer + 1][:, columns])
    last = acts.activation.sel(layer=model.layers[-1]).torch.tensor
    torch.testing.assert_close(normed(model, last), own[-1][:, columns], rtol=1e-6, atol=1e-6)
    assert not torch.allclose(last, own[-1][:, columns], atol=1e-3)


def test_invariant_2_in_bfloat16(tiny, pictures):
    model = in_bfloat16(tiny)
    acts = mp.capture(model, pictures[:2], "What?", tokens="image", layers=[0, 2])
    own = reference(model, model.encode(pictures[:2], "What?"), torch.bfloat16)
    assert acts.activation.torch.tensor.dtype == torch.bfloat16 and acts.activation.dtype == np.float32
    for layer in (0, 2):
        assert torch.equal(acts.activation.sel(layer=layer).torch.tensor, own[layer + 1][:, acts.token.values.copy()])


def test_checking_leaves_no_recorder_on_the_model(tiny, pictures):
    before = {name: len(m._forward_hooks) for name, m in tiny.hf.named_modules()}
    mp.capture(tiny, pictures[:1], tokens="all")
    after = {name: len(m._forward_hooks) for name, m in tiny.hf.named_modules()}
    assert [n for n in after if after[n] != before[n] and "vision" not in n] == []
    assert active_hooks(tiny) == 0


@pytest.mark.parametrize("batch_size", [1, 2, "auto"])
@pytest.mark.parametrize("tokens", ["text", "all", ("image", "last_prompt"), "last_prompt", [0, -2]])
def test_batches_with_padding_agree_with_samples_alone(tiny, pictures, tokens, batch_size):
    acts = mp.capture(tiny, pictures[:3], PROMPTS, tokens=tokens, batch_size=batch_size)
    for number in range(3):
        alone = mp.capture(tiny, pictures[number : number + 1], PROMPTS[number], tokens=tokens)
        row = acts.isel(sample=[number]).sel(token=alone.token.values)
        np.testing.assert_allclose(row.activation.values, alone.activation.values, atol=2e-5)
        role, text = row.role.squeeze().values, row.token_text.squeeze().values
        assert (role == alone.role.squeeze().values).all() and (text == alone.token_text.squeeze().values).all()
        rest = acts.isel(sample=[number]).drop_sel(token=alone.token.values)
        assert bool(rest.activation.isnull().all()) and set(rest.role.values.flat) <= {"padding"}


def test_a_shorter_sample_after_a_longer_one_and_the_reverse_give_the_same(tiny, pictures):
    forth = mp.capture(tiny, pictures[:3], PROMPTS, tokens="text", batch_size=1)
    back = mp.capture(tiny, pictures[2::-1], PROMPTS[::-1], tokens="text", batch_size=1)
    assert forth.token.values.tolist() == back.token.values.tolist()
    np.testing.assert_array_equal(forth.activation.values, back.activation.values[::-1])
    assert (forth.role.values == back.role.values[::-1]).all()


def test_image_tokens_carry_their_patch(tiny, pictures):
    acts = mp.capture(tiny, pictures[:2], tokens="image", layers=1)
    assert acts.sizes["token"] == 16 and (acts.role == "image").all() and acts.role.dims == ("token",)
    assert acts.patch_row.values.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert acts.patch_column.values.tolist() == [0, 1, 2, 3] * 4
    mask = np.zeros((4, 4), bool)
    mask[1, 2] = mask[3, 0] = True
    some = mp.capture(tiny, pictures[:2], tokens=mask, layers=1)
    assert some.token.values.tolist() == acts.token.values[[6, 12]].tolist()
    np.testing.assert_array_equal(some.activation.values, acts.activation.isel(token=[6, 12]).values)


def test_several_pictures_stand_in_one_prompt(tiny, pictures):
    acts = mp.capture(tiny, [[pictures[0], pictures[1]], [pictures[2], pictures[3]]], tokens="image", layers=[2])
    assert acts.sizes["sample"] == 2 and acts.sizes["token"] == 32
    assert acts.patch_row.values.tolist() == ([0] * 4 + [1] * 4 + [2] * 4 + [3] * 4) * 2
    swapped = mp.capture(tiny, [[pictures[1], pictures[0]], [pictures[2], pictures[3]]], tokens="image", layers=[2])
    difference = np.abs(acts.activation.values - swapped.activation.values).max((1, 2, 3))
    assert difference[0] > 1e-3 and difference[1] == 0
    assert acts.sample.values[0] != swapped.sample.values[0] and acts.sample.values[1] == swapped.sample.values[1]


def test_mixed_numbers_of_pictures_are_marked_as_padding(tiny, pictures):
    acts = mp.capture(tiny, [[pictures[0], pictures[1]], [pictures[2]]], tokens="image", layers=[0])
    assert (acts.role.isel(sample=0) == "image").all()
    assert (acts.role.isel(sample=1).values == "padding").sum() == 16
    assert acts.activation.isnull().any("hidden").sum() == 16


def test_a_continuation_is_read_teacher_forced(tiny, pictures):
    texts = ["a cat", "dog"]
    acts = mp.capture(tiny, pictures[:2], PROMPTS[:2], tokens=("last_prompt", "generated"), continuation=texts)
    encoded = tiny.encode(pictures[:2], PROMPTS[:2], continuation=texts)
    own = reference(tiny, encoded)
    for row, steps in enumerate((2, 1)):
        columns = np.arange(encoded.prompt_length - 1, encoded.prompt_length + steps)
        labels = columns - int(encoded.padding[row])
        part = acts.isel(sample=row).sel(token=labels)
        np.testing.assert_array_equal(part.activation.sel(layer=1).values, own[2][row, columns].cpu().numpy())
        assert part.step.values.tolist() == [-1, *range(steps)]
    assert acts.attrs["continuation"] == texts
    singly = mp.capture(
        tiny, pictures[:2], PROMPTS[:2], tokens=("last_prompt", "generated"), continuation=texts, batch_size=1
    )
    np.testing.assert_allclose(singly.activation.values, acts.activation.values, atol=2e-5)


def test_processed_tensors_take_the_place_of_pictures(tiny, pictures):
    encoded = tiny.encode(pictures[:2], PROMPTS[:2])
    expected = mp.capture(tiny, pictures[:2], PROMPTS[:2], tokens="all")
    for inputs in (encoded.tensors, [tiny.encode([p], t).tensors for p, t in zip(pictures, PROMPTS[:2], strict=False)]):
        acts = mp.capture(tiny, None, tokens="all", inputs=inputs)
        np.testing.assert_allclose(acts.activation.values, expected.activation.values, atol=2e-5)
        assert "prompt" not in acts.attrs


def test_the_dataset_says_what_it_is_and_showing_it_moves_nothing(tiny, pictures):
    before = device_array.bytes_moved
    acts = mp.capture(tiny, pictures[:2], "What?", tokens="image", layers=[-1, 0])
    assert "activation" in repr(acts) and acts._repr_html_()
    lazily = acts.activation.sel(layer=3).isel(token=slice(2)).transpose("hidden", ...)
    assert lazily.torch.tensor.shape == (tiny.hidden_size, 2, 2)
    assert device_array.bytes_moved == before
    assert acts.layer.values.tolist() == [3, 0] and acts.relative_depth.values.tolist() == [1.0, 0.25]
    attrs = acts.attrs
    assert (attrs["model"], attrs["weights"], attrs["prompt"]) == (tiny.name, tiny.fingerprint, "What?")
    assert attrs["scope"] == "image" and "steering" not in attrs and attrs["version_torch"] == version("torch")


def test_only_the_layers_and_positions_asked_for_are_held(tiny, pictures):
    acts = mp.capture(tiny, pictures[:2], layers=[1], tokens=[-1, 3])
    storage = acts.activation.torch.tensor.untyped_storage()
    assert storage.nbytes() == 2 * 1 * 2 * tiny.hidden_size * 4


def test_blocks_above_the_last_one_asked_for_and_the_head_do_not_run(tiny, pictures):
    ran = []
    parts = [*tiny.layout.blocks, tiny.layout.head]
    handles = [m.register_forward_hook(lambda *_, n=n: ran.append(n)) for n, m in enumerate(parts)]
    try:
        mp.capture(tiny, pictures[:1], layers=[1])
    finally:
        for handle in handles:
            handle.remove()
    assert ran == [0, 1]


def test_the_head_reads_one_position_when_the_pass_runs_to_its_end(tiny, pictures):
    shapes = []
    handle = tiny.layout.head.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape)))
    try:
        mp.capture(tiny, pictures[:2], layers=[0], steering=Shift(tiny, 3))
    finally:
        handle.remove()
    assert [shape[:2] for shape in shapes] == [(2, 1)]


class Shift:
    """The least a steering object must offer: edits while its context is open."""

    def __init__(self, model, layer, size=5.0):
        self.model, self.layer, self.size, self.batches = model, layer, size, []

    def __str__(self):
        return f"{self.size:g} more at layer {self.layer}"

    @contextmanager
    def opened(self, model, rows):
        self.batches.append(rows)
        with attached(model, lambda layer, h: h + self.size, layers=[self.layer]):
            yield


@editing.register
def _shifted(steering: Shift, model, encoded):
    return steering.opened(model, encoded.rows)


def test_steering_of_another_type_is_refused(tiny, pictures):
    with pytest.raises(ValueError, match="expected a Steering, a Composition of several .* got str"):
        mp.capture(tiny, pictures[:1], steering="cat")
    with pytest.raises(ValueError, match="for all samples; got list"):
        mp.capture(tiny, pictures[:2], steering=[None, None])
    with pytest.raises(ValueError, match="expected a Steering, a Composition, None, or a list .* got dict"):
        editing({}, tiny, tiny.encode(pictures[:1]))


def test_steering_is_read_after_its_edit_and_changes_nothing_below(tiny, pictures):
    plain = mp.capture(tiny, pictures[:3], tokens="all")
    shift = Shift(tiny, 1)
    steered = mp.capture(tiny, pictures[:3], tokens="all", steering=shift, batch_size=2)
    difference = (steered - plain).activation
    assert shift.batches == [2, 1] and steered.attrs["steering"] == "5 more at layer 1"
    assert bool((difference.sel(layer=0) == 0).all())
    np.testing.assert_allclose(difference.sel(layer=1), 5, atol=1e-5)
    assert float(np.abs(difference.sel(layer=3)).max()) > 1e-3


def test_auto_batches_are_planned_against_the_free_memory(tiny, pictures, monkeypatch):
    rows = []
    original = device_memory.free_bytes
    monkeypatch.setattr(tiny, "lock", types.SimpleNamespace(held=tiny.lock.held))
    handle = tiny.hf.register_forward_pre_hook(lambda m, a, k: rows.append(len(k["input_ids"])), with_kwargs=True)
    try:
        mp.capture(tiny, pictures)
        one = tiny.encode(pictures[:1])
        per_row = original(tiny.device) // device_memory.rows_that_fit(tiny, one, share=1.0, most=10**9)
        monkeypatch.setattr(device_memory, "free_bytes", lambda device: int(2.5 * 2 * per_row))
        mp.capture(tiny, pictures)
    finally:
        handle.remove()
    assert rows == [6, 2, 2, 2]


@contextmanager
def no_forward(model):
    """Fail where the model computes."""
    handle = model.hf.register_forward_pre_hook(lambda *_: pytest.fail("the model ran"))
    try:
        yield
    finally:
        handle.remove()


def test_what_does_not_fit_is_refused_before_it_is_allocated(tiny, pictures, monkeypatch):
    monkeypatch.setattr(device_memory, "free_bytes", lambda device: 100)
    with no_forward(tiny), pytest.raises(MemoryError, match="nothing of it would fit"):
        mp.capture(tiny, pictures[:1], tokens="image")
    monkeypatch.setattr(device_memory, "free_bytes", lambda device: 3 * 16 * 32 * 4)
    would = "1 of the 4 layers or 5 of the 16 tokens of each sample"
    expected = r"activations of 2 samples × 4 layers × 16 tokens × 32 in float32 take 1.64e-05 GB but only 5.5\de-06 GB"
    with no_forward(tiny), pytest.raises(MemoryError, match=f"{expected} .* {would} would fit"):
        mp.capture(tiny, pictures[:2], tokens="image")
    assert active_hooks(tiny) == 0


def test_blocks_on_several_devices_keep_one_tensor_each(tiny, pictures, monkeypatch):
    expected = mp.capture(tiny, pictures[:3], PROMPTS, tokens="text")
    original = captured_rows.CapturedRows.__init__

    def sharded(self, *args):
        original(self, *args)
        self._places, self._moved = [torch.device("cpu", number % 2) for number in range(len(self.layers))], False

    monkeypatch.setattr(captured_rows.CapturedRows, "__init__", sharded)
    acts = mp.capture(tiny, pictures[:3], PROMPTS, tokens="text", batch_size=1)
    assert device_array.split_dimension(acts.activation) == "layer"
    np.testing.assert_allclose(acts.activation.values, expected.activation.values, atol=2e-5)
    norms = acts.activation.torch.norm("hidden")
    np.testing.assert_allclose(norms.values, expected.activation.torch.norm("hidden").values, rtol=1e-4)


def test_pictures_that_know_their_split_and_pair_carry_them(tiny, pictures):
    known = [types.SimpleNamespace(image=p, split="fit", pair=n) for n, p in enumerate(pictures[:2])]
    acts = mp.capture(tiny, known)
    assert acts.split.values.tolist() == ["fit", "fit"] and acts.pair.values.tolist() == [0, 1]
    assert "split" not in mp.capture(tiny, pictures[:2]).coords


def test_errors_name_what_was_expected(tiny, pictures):
    with pytest.raises(ValueError, match="no layer 4: the model has 4 blocks"):
        mp.capture(tiny, pictures[:1], layers=[4])
    with pytest.raises(ValueError, match="tokens: expected one or several of last_prompt, .*; got 'picture'"):
        mp.capture(tiny, pictures[:1], tokens="picture")
    with pytest.raises(ValueError, match="has no token of the scope 'generated'; give continuation="):
        mp.capture(tiny, pictures[:1], tokens="generated")
    with pytest.raises(ValueError, match=r"position 500 cannot be read: the prompt of sample \w+ has \d+ positions"):
        mp.capture(tiny, pictures[:1], tokens=[500])
    with pytest.raises(ValueError, match="batch_size: expected 'auto' or a number of samples"):
        mp.capture(tiny, pictures[:1], batch_size=0)
    with pytest.raises(ValueError, match=r"one continuation, or one per sample \(2\); got 3"):
        mp.capture(tiny, pictures[:2], continuation=["a", "b", "c"])


def test_blocks_that_see_other_positions_than_the_prompt_are_refused(tiny, pictures):
    encoded = tiny.encode(pictures[:1])
    with (
        attached(tiny, lambda layer, h: h[:, :-1], layers=[0]),
        pytest.raises(RuntimeError, match="not those of the prompt"),
    ):
        run_forward(tiny, encoded, lambda layer, hidden: None, [0])


@pytest.mark.parametrize("scope", ["all", "image", "text", "last_prompt", "generated", ("text", "generated"), [0, -3]])
def test_a_scope_means_the_same_positions_for_reading_and_for_steering(tiny, pictures, scope):
    vectors = mp.vectors_from(tiny, {"any": torch.ones(tiny.hidden_size)})
    steering = mp.Steering(vectors.sel(concept="any"), layers=[1], unit="raw", tokens=scope)
    facts = {"layers": [1], "continuation": ["a cat", "dog"], "batch_size": 2}
    everything = [*range(17)] if scope == [0, -3] else "all"
    plain = mp.capture(tiny, pictures[:2], PROMPTS[:2], tokens=everything, **facts)
    steered = mp.capture(tiny, pictures[:2], PROMPTS[:2], tokens=everything, steering=steering, **facts)
    chosen = mp.capture(tiny, pictures[:2], PROMPTS[:2], tokens=scope, **facts)
    edited = (np.abs((steered - plain).activation) > 0.5).any(["layer", "hidden"])
    encoded = tiny.encode(pictures[:2], PROMPTS[:2])
    there = chosen.activation.notnull().all(["layer", "hidden"])
    for row, length in enumerate((encoded.prompt_length - encoded.padding).tolist()):
        labels = chosen.token.values[there.values[row]].tolist()
        read = {label + length if label < 0 else label for label in labels}
        assert read and set(edited.token.values[edited.values[row]].tolist()) == read & set(
            edited.token.values.tolist()
        )
    assert "any, layers 1" in steered.attrs["steering"]


def test_a_decoder_beside_an_encoder_is_read_at_its_own_positions(device):
    hf, inputs = build(FAMILIES["florence2"])
    model = ProbeModel(hf.to(device), name="florence2")
    acts = mp.capture(model, None, tokens="all", inputs=inputs)
    assert acts.sizes["token"] == 1
    np.testing.assert_array_equal(acts.activation.values, mp.capture(model, None, inputs=inputs).activation.values)


@pytest.mark.parametrize("family", ["tiny", "tiny_mrope"])
def test_an_image_token_that_the_model_wrote_is_read_as_it_is_while_decoding(family, pictures, request):
    model = request.getfixturevalue(family)
    image = model.layout.image_token_id
    answer, prompt = [5, image, image, 6], model.encode(pictures[:1], "What?")
    acts = mp.capture(model, pictures[:1], "What?", tokens="all", continuation=[answer])
    parts: dict[int, list] = {layer: [] for layer in model.layers}
    with attached(model, lambda layer, hidden: parts[layer].append(hidden)), torch.no_grad():
        cache = model.hf(**prompt.tensors, use_cache=True).past_key_values
        for token in answer:
            cache = model.hf(
                input_ids=torch.tensor([[token]], device=model.device), past_key_values=cache, use_cache=True
            ).past_key_values
    for layer in model.layers:
        stepwise = torch.cat(parts[layer], 1)[:, acts.token.values.copy()]
        torch.testing.assert_close(acts.activation.sel(layer=layer).torch.tensor, stepwise, rtol=1e-4, atol=1e-5)
    roles = acts.role.values.tolist()
    assert roles.count("image") == int((prompt.roles == 1).sum()) and roles[-3:-1] == ["special", "special"]
    assert acts.patch_row.values[acts.role == "image"].min() == 0
