"""Edits against plain hooks, in every scope, operation and way of feeding the sequence."""

import dataclasses

import numpy as np
import pytest
import torch
from transformers import DynamicCache

from mllm_probe.activations.hooks import attached
from mllm_probe.generation import generate, steer
from mllm_probe.models import ProbeModel
from mllm_probe.steering import Editor, Steering, compose, editing
from tests.hooks import active_hooks
from tests.steering.reference import PROMPT, close, made_vectors, teacher_forced

MASK = np.zeros((4, 4), bool)
MASK[1:3, 2] = True
SCOPES = ["all", "image", "text", "last_prompt", "generated", ("last_prompt", "generated"), [0, -1, 5], MASK]
STEPS = 4


@pytest.fixture(scope="module")
def vectors(tiny):
    return made_vectors(tiny)


def answer(model, image, steering, prompt=PROMPT, **options):
    return generate(model, image, prompt, steering=steering, max_new_tokens=STEPS, min_new_tokens=STEPS, **options)


@pytest.mark.parametrize("tokens", SCOPES, ids=str)
@pytest.mark.parametrize("operation", ["add", "ablate", "replace"])
def test_every_scope_and_operation_equals_plain_hooks(tiny, pictures, vectors, tokens, operation):
    cat, dog = vectors.sel(concept="cat"), vectors.sel(concept="dog")
    to = dog if operation == "replace" else None
    edit = {"vectors": cat, "layers": [1, 3], "tokens": tokens, "operation": operation, "strength": 0.7, "to": to}
    got = answer(tiny, pictures[0], Steering(**edit))
    expected, _ = teacher_forced(tiny, pictures[0], got.tokens[0].tolist(), [edit])
    assert close(got.logits[0], expected)
    base = answer(tiny, pictures[0], None).logits[0]
    assert not close(got.logits[0, 1], base[1], 1e-3)


@pytest.mark.parametrize("unit", ["residual", "vector", "raw"])
@pytest.mark.parametrize("strength", [-1.5, 2.0])
def test_units_equal_plain_hooks(tiny, pictures, vectors, unit, strength):
    edit = {"vectors": vectors.sel(concept="dog"), "layers": [0], "tokens": "all", "strength": strength, "unit": unit}
    got = answer(tiny, pictures[1], Steering(**edit))
    expected, _ = teacher_forced(tiny, pictures[1], got.tokens[0].tolist(), [edit])
    assert close(got.logits[0], expected)


def test_rotary_axes_equal_plain_hooks(tiny_mrope, pictures):
    vectors = made_vectors(tiny_mrope).sel(concept="cat")
    edit = {"vectors": vectors, "layers": [1], "tokens": ("image", "last_prompt", "generated"), "strength": 1.0}
    got = answer(tiny_mrope, pictures[0], Steering(**edit))
    expected, _ = teacher_forced(tiny_mrope, pictures[0], got.tokens[0].tolist(), [edit])
    assert close(got.logits[0], expected)


def test_composition_applies_its_parts_in_order(tiny, pictures, vectors):
    first = {"vectors": vectors.sel(concept="cat"), "layers": [1], "tokens": "all", "strength": 1.0}
    second = {
        "vectors": vectors.sel(concept="dog"),
        "layers": [1, 2],
        "tokens": "image",
        "strength": 0.8,
        "operation": "ablate",
    }
    got = answer(tiny, pictures[0], compose(Steering(**first), Steering(**second)))
    expected, _ = teacher_forced(tiny, pictures[0], got.tokens[0].tolist(), [first, second])
    other, _ = teacher_forced(tiny, pictures[0], got.tokens[0].tolist(), [second, first])
    assert close(got.logits[0], expected)
    assert not close(expected, other)


def test_strength_zero_is_the_baseline(tiny, pictures, vectors):
    cat = vectors.sel(concept="cat")
    base = answer(tiny, pictures[0], None)
    for operation in ("add", "ablate"):
        zero = answer(tiny, pictures[0], Steering(cat, "all", 0.0, tokens="all", operation=operation))
        assert torch.equal(zero.tokens, base.tokens)
        assert (zero.logits - base.logits).abs().max() <= 1e-5
        assert zero.receipt[0].baseline and not zero.receipt[0].fired
    steered = Steering(cat, [1], 3.0)
    mixed = answer(tiny, pictures[0], [None, steered, Steering(cat, [1], 0.0)])
    for row in (0, 2):
        assert torch.equal(mixed.tokens[row], base.tokens[0])
        assert (mixed.logits[row] - base.logits[0]).abs().max() <= 1e-5
    assert not torch.equal(mixed.tokens[1], base.tokens[0])


def test_layers_below_are_untouched(tiny, pictures, vectors):
    encoded = tiny.encode(pictures[:2], PROMPT)
    seen = {}

    def read(steering):
        seen.clear()
        with editing(steering, tiny, encoded), attached(tiny, lambda layer, h: seen.__setitem__(layer, h.clone())):
            tiny.hf(**encoded.tensors)
        return dict(seen)

    base = read(None)
    steered = read(Steering(vectors.sel(concept="cat"), [2], 1.0, tokens="all"))
    for layer in (0, 1):
        assert torch.equal(base[layer], steered[layer])
    real = encoded.roles != 3
    norm = float(vectors.residual_norm.sel(layer=2, scope="image"))
    image = encoded.roles == 1
    moved = (steered[2] - base[2]).norm(dim=-1)
    assert torch.allclose(moved[image], torch.full_like(moved[image], norm), rtol=1e-4)
    assert (moved[~real] == 0).all()
    assert not torch.equal(base[3], steered[3])


@pytest.mark.parametrize("tokens", ["all", "image", "generated", ("last_prompt", "generated"), [2, -2]], ids=str)
def test_without_a_cache_the_same_positions_are_edited(tiny, pictures, vectors, tokens):
    row = Steering(vectors.sel(concept="cat"), [0, 2], 1.5, tokens=tokens)
    cached = answer(tiny, pictures[0], row)
    again = answer(tiny, pictures[0], row, use_cache=False)
    assert torch.equal(cached.tokens, again.tokens)
    assert close(again.logits, cached.logits)
    assert str(cached.receipt) == str(again.receipt)
    with steer(tiny, row) as receipt:
        plain = tiny.hf.generate(
            **tiny.encode([pictures[0]], PROMPT).tensors,
            use_cache=False, do_sample=False, max_new_tokens=STEPS, min_new_tokens=STEPS,
        )  # fmt: skip
    assert torch.equal(plain[:, -STEPS:].cpu(), cached.tokens)
    assert str(receipt) == str(cached.receipt)


@pytest.mark.parametrize("tokens", ["all", "text", "image", "last_prompt", [1, -3], MASK], ids=str)
def test_a_padded_batch_equals_single_rows(tiny, pictures, vectors, tokens):
    prompts = [PROMPT, "is there a cat in the image ? yes or no", "describe"]
    row = Steering(vectors.sel(concept="cat"), [1], 1.0, tokens=tokens)
    batch = answer(tiny, pictures[:3], row, prompts)
    for i, prompt in enumerate(prompts):
        one = answer(tiny, pictures[i], row, prompt)
        assert torch.equal(batch.tokens[i], one.tokens[0])
        assert close(batch.logits[i], one.logits[0])
        assert batch.receipt[i].selected == one.receipt[0].selected
        assert batch.receipt[i].edited == one.receipt[0].edited


@pytest.mark.parametrize("tokens", ["image", np.stack([MASK, MASK.T])], ids=["image", "mask"])
def test_several_pictures_in_one_prompt(tiny, pictures, vectors, tokens):
    edit = {"vectors": vectors.sel(concept="cat"), "layers": [1], "tokens": tokens, "strength": 1.0}
    got = answer(tiny, [[pictures[0], pictures[1]]], Steering(**edit))
    expected, _ = teacher_forced(tiny, [pictures[0], pictures[1]], got.tokens[0].tolist(), [edit])
    assert close(got.logits[0], expected)
    assert len(got.receipt[0].edited) == (32 if isinstance(tokens, str) else tokens.sum())


def test_rows_of_one_batch_do_not_touch_each_other(tiny, pictures, vectors):
    cat, dog = vectors.sel(concept="cat"), vectors.sel(concept="dog")
    rows = [
        Steering(cat, [1], 1.0, tokens="image"),
        None,
        Steering(dog, [0, 3], -1.0, unit="vector"),
        compose(Steering(cat, [2], 1.0, operation="ablate"), Steering(dog, [2], 0.5, tokens="all")),
        Steering(cat, [1], 0.5, tokens=[3, 4], operation="replace", to=dog),
        Steering(cat, [1], 1.0).control("random", seed=3),
    ]
    batch = answer(tiny, pictures[2], rows)
    for i, row in enumerate(rows):
        one = answer(tiny, pictures[2], row)
        assert torch.equal(batch.tokens[i], one.tokens[0])
        assert close(batch.logits[i], one.logits[0])
        assert str(batch.receipt[i]) == str(one.receipt[0])


def test_a_prompt_in_pieces_equals_one_call(tiny, pictures, vectors):
    row = Steering(vectors.sel(concept="cat"), [1, 2], 1.0, tokens=("text", "last_prompt", "generated"))
    encoded = tiny.encode([pictures[0]], PROMPT)
    whole = answer(tiny, pictures[0], row)
    cut, cache = encoded.length - 3, DynamicCache(config=tiny.hf.config.get_text_config())
    ids, rest = encoded.tensors["input_ids"], dict(encoded.tensors)
    rest.pop("input_ids"), rest.pop("attention_mask")
    editor = Editor(tiny, [row], encoded)
    with torch.no_grad(), editor.attached():
        tiny.hf(input_ids=ids[:, :cut], past_key_values=cache, use_cache=True, **rest)
        logits = [tiny.hf(input_ids=ids[:, cut:], past_key_values=cache, use_cache=True).logits[:, -1]]
        for step in range(STEPS - 1):
            fed = whole.tokens[:, step : step + 1].to(tiny.device)
            logits.append(tiny.hf(input_ids=fed, past_key_values=cache, use_cache=True).logits[:, -1])
    assert close(torch.stack(logits, 1), whole.logits)
    assert str(editor.receipt()) == str(whole.receipt)


def test_many_rows_share_one_prompt_and_leave_when_they_end(tiny, pictures, vectors):
    cat = vectors.sel(concept="cat")
    rows = [Steering(cat, [1], strength) for strength in (-2.0, 0.0, 1.0, 2.0)]
    encoded = tiny.encode([pictures[0]], PROMPT)
    many = tiny.encode([pictures[0]] * 4, PROMPT)
    editor = Editor(tiny, rows, encoded)
    with torch.no_grad(), editor.attached():
        cache = DynamicCache(config=tiny.hf.config.get_text_config())
        fed = [tiny.hf(**many.tensors, past_key_values=cache, use_cache=True).logits[:, -1].argmax(-1)]
        fed.append(tiny.hf(input_ids=fed[0][:, None], past_key_values=cache, use_cache=True).logits[:, -1].argmax(-1))
        kept = torch.tensor([3, 1])
        editor.keep(kept)
        cache.reorder_cache(kept)
        third = tiny.hf(input_ids=fed[1][kept, None], past_key_values=cache, use_cache=True).logits[:, -1]
    for place, row in enumerate(kept.tolist()):
        one = answer(tiny, pictures[0], rows[row])
        assert [int(token[row]) for token in fed] == one.tokens[0, :2].tolist()
        assert close(third[place], one.logits[0, 2])
    assert [r.steps for r in editor.receipt()] == [1, 0, 1, 2]
    with pytest.raises(ValueError, match=r"keep: expected rows 0 … 1 .* got \[5\]"):
        editor.keep([5])


def test_beams_of_a_row_are_all_edited(tiny, pictures, vectors):
    cat = vectors.sel(concept="cat")
    rows = [Steering(cat, [1], 2.0), None, Steering(cat, [1], -2.0, tokens="all")]
    together = generate(tiny, pictures[0], PROMPT, steering=rows, max_new_tokens=4, num_beams=3)
    for i, row in enumerate(rows):
        alone = generate(tiny, pictures[0], PROMPT, steering=row, max_new_tokens=4, num_beams=3)
        assert together.text[i] == alone.text[0]
    assert len({together.text[i] for i in range(3)}) == 3


def test_half_precision_rounds_only_the_result(tiny, pictures):
    half = ProbeModel(
        tiny.hf.__class__(tiny.hf.config).to(tiny.device, torch.bfloat16), tiny.processor, name="tiny-bf16"
    )
    vectors = made_vectors(half).sel(concept="cat")
    encoded = half.encode([pictures[0]], PROMPT)
    seen = {}
    for name, row in (("base", None), ("edited", Steering(vectors, [1], 1e-3, tokens="image"))):
        with (
            editing(row, half, encoded),
            attached(half, lambda n, h, name=name: seen.__setitem__(name, h.cpu().clone()), layers=[1]),
        ):
            half.hf(**encoded.tensors)
    v = torch.from_numpy(vectors.vector.sel(layer=1, scope="image").values)
    dose = 1e-3 * float(vectors.residual_norm.sel(layer=1, scope="image")) * v / v.norm()
    image = encoded.roles == 1
    assert torch.equal(seen["edited"][image], (seen["base"][image].float() + dose).to(torch.bfloat16))


def test_no_hook_survives_whatever_is_raised(tiny, pictures, vectors):
    row = Steering(vectors.sel(concept="cat"), [1], 1.0)
    with pytest.raises(KeyError, match="on purpose"), steer(tiny, row):
        assert active_hooks(tiny) > 0
        raise KeyError("on purpose")
    assert active_hooks(tiny) == 0
    with pytest.raises(ValueError, match="can never be edited"), steer(tiny, dataclasses.replace(row, tokens=[99])):
        tiny.hf(**tiny.encode([pictures[0]], PROMPT).tensors)
    assert active_hooks(tiny) == 0
    with pytest.raises(ValueError, match="no_such_option"):
        answer(tiny, pictures[0], row, no_such_option=[1])
    assert active_hooks(tiny) == 0


def test_calls_of_another_thread_are_left_alone(tiny, pictures, vectors):
    import threading

    encoded = tiny.encode([pictures[0]], PROMPT)
    base = tiny.hf(**encoded.tensors).logits
    found = []
    with steer(tiny, Steering(vectors.sel(concept="cat"), "all", 3.0, tokens="all")):
        thread = threading.Thread(target=lambda: found.append(tiny.hf(**encoded.tensors).logits))
        thread.start()
        thread.join()
        mine = tiny.hf(**encoded.tensors).logits
    assert torch.equal(found[0], base)
    assert not torch.equal(mine, base)


def test_wrong_use_says_what_to_do(tiny, tiny_mrope, pictures, vectors):
    cat = vectors.sel(concept="cat")
    encoded = tiny.encode([pictures[0]], PROMPT)
    with pytest.raises(ValueError, match=r"made with tiny-llava .* used with .*Make them again"):
        Editor(tiny_mrope, [Steering(cat, [1])])
    with pytest.raises(ValueError, match="called with 1 lines, but the editor was made for 2 rows"):
        editor = Editor(tiny, [Steering(cat, [1]), None], encoded)
        with editor.attached():
            tiny.hf(**encoded.tensors)
    with (
        pytest.raises(ValueError, match="2 steerings do not fit a batch of 1 lines"),
        steer(tiny, [None, Steering(cat, [1])]),
    ):
        tiny.hf(**encoded.tensors)
    with pytest.raises(ValueError, match="2 steerings do not fit 3 samples"):
        generate(tiny, pictures[:3], PROMPT, steering=[None, Steering(cat, [1])])
    with pytest.raises(RuntimeError, match="outside a call of the whole model"), steer(tiny, Steering(cat, [1])):
        tiny.layout.backbone(input_ids=encoded.tensors["input_ids"])
    with pytest.raises(RuntimeError, match="no prompt is known yet"):
        Editor(tiny, [Steering(cat, [1])]).keep([0])


def test_embeddings_leave_roles_unknown_but_other_scopes_work(tiny, pictures, vectors):
    cat, encoded = vectors.sel(concept="cat"), tiny.encode([pictures[0]], PROMPT)
    embedded = tiny.hf.get_input_embeddings()(encoded.tensors["input_ids"])
    base = tiny.hf(inputs_embeds=embedded).logits
    with steer(tiny, Steering(cat, [1], 1.0, tokens="last_prompt")) as receipt:
        assert not torch.equal(tiny.hf(inputs_embeds=embedded).logits[:, -1], base[:, -1])
    assert receipt[0].edited == (encoded.length - 1,)
    with (
        pytest.raises(ValueError, match="embeddings, which do not say what is image"),
        steer(tiny, Steering(cat, [1], tokens="image")),
    ):
        tiny.hf(inputs_embeds=embedded)
