"""Rows that go on from the edited layer equal whole forwards with plain hooks, and compute no more than they need."""

from contextlib import nullcontext
from functools import cache

import pytest
import torch

from mllm_probe.activations.hooks import attached
from mllm_probe.decoding.paths import Trial, choose_path
from mllm_probe.decoding.resume import CopiedResume, Resume
from mllm_probe.decoding.rows import with_images_encoded
from mllm_probe.decoding.shared_prompt import UNEDITED_NONE, SharedPrefixSpan, difference
from mllm_probe.schema import ROLES
from mllm_probe.steering import Steering
from mllm_probe.steering.editor import Editor
from tests.hooks import active_hooks
from tests.sweeps.helpers import plain_edit, plain_logits, random_vectors, wrapped_family
from tests.zoo import FAMILIES
from tests.zoo.library_faults import expect_library_fault

COPIED = {"mllama", "kimi_k25", "paligemma2"}
NEXT_BEST = {"gemma3n": "replayed text model", "florence2": "whole forwards"}
EXACT = sorted(FAMILIES.keys() - NEXT_BEST.keys())
FROM_THE_PICTURE_ON = ("llava", "qwen2_5_vl", "qwen3_vl", "glm4v", "blip2", "aria")
STRENGTHS = (None, 1.0, -2.0)
FED = torch.tensor([[7, 8, 9], [9, 9, 7], [8, 7, 7]])


class Case:
    """A tiny family with vectors, and what plain hooks give for it."""

    def __init__(self, name, device):
        self.model, inputs = wrapped_family(name, device)
        expect_library_fault(name, self.model.hf, inputs)
        self.vectors = random_vectors(self.model, norm=1.5)
        self.encoded = self.model.encode(None, inputs=inputs)
        self.last = len(self.model.layers) - 1

    def scopes(self):
        image = (self.encoded.roles[0] == ROLES.index("image")).any()
        return ("image", "text", "all") if image else ("text", "all")

    def first(self, scope):
        if isinstance(scope, list):
            return scope[0]
        roles = self.encoded.roles[0] == ROLES.index(scope if scope != "all" else "text")
        return int(roles.int().argmax())

    def edits(self, layer, scope):
        own = self.vectors.sel(concept="cat")
        rows = [None if s is None else Steering(own, [layer], s, tokens=scope) for s in STRENGTHS]
        return Editor(self.model, rows, prompt=self.encoded).attached()

    def expected(self, layer, scope):
        found = []
        for strength, fed in zip(STRENGTHS, FED.tolist(), strict=True):
            found.append(plain_logits(self.model, self.encoded, fed, self.plain(layer, scope, strength)))
        return torch.cat(found)

    def plain(self, layer, scope, strength):
        if strength is None:
            return []
        [edit] = plain_edit(self.model, self.vectors, self.encoded, "cat", layer, strength, "all")
        if not isinstance(scope, list):
            [edit] = plain_edit(self.model, self.vectors, self.encoded, "cat", layer, strength, scope)
            return [edit]
        return [(layer, scope, False, edit[3])]

    @torch.no_grad()
    def followed(self, shared, layer, scope, unedited_part):
        with self.edits(layer, scope):
            rows = shared.start(3, unedited_part)
            first = rows.logits[:, None]
            return torch.cat([first, rows.feed(FED[:, :1]), rows.feed(FED[:, 1:])], 1)

    @torch.no_grad()
    def open(self, kind=Resume):
        return kind(self.model, with_images_encoded(self.model, self.encoded))


@pytest.fixture(scope="module")
def case(device):
    """Families are built once."""
    return cache(lambda name: Case(name, device))


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "qwen3_vl", "gemma3"])
def test_the_last_block_runs_for_the_last_position_and_keeps_all_keys(case, name):
    one = case(name)
    shared = one.open()
    assert shared.run.ends_early
    with torch.no_grad(), one.edits(0, "image"):
        alone = shared.start(3, SharedPrefixSpan(0, one.first("image")))
        with attached(one.model, lambda *_: None, layers=[-1]):
            read = shared.start(3, SharedPrefixSpan(0, one.first("image")))
    assert difference(alone.logits, read.logits) < 1e-5
    torch.testing.assert_close(alone.cache.layers[-1].keys, read.cache.layers[-1].keys, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(alone.cache.layers[-1].values, read.cache.layers[-1].values, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", EXACT)
def test_equals_plain_hooks(case, name):
    one = case(name)
    shared = one.open(CopiedResume if name in COPIED else Resume)
    for scope in one.scopes():
        for layer in (0, one.last // 2, one.last):
            found = one.followed(shared, layer, scope, SharedPrefixSpan(layer, one.first(scope)))
            assert difference(found, one.expected(layer, scope)) < 1e-4, (scope, layer)


@pytest.mark.parametrize("name", FROM_THE_PICTURE_ON)
def test_columns_before_the_first_edited_one_are_not_computed(case, name):
    one = case(name)
    shared = one.open()
    image = (one.encoded.roles[0] == ROLES.index("image")).nonzero().flatten().tolist()
    scope, width = image[len(image) // 2 :], shared.run.length - image[len(image) // 2]
    for layer in (0, 1, one.last):
        widths = []
        with attached(one.model, lambda number, hidden, widths=widths: widths.append(hidden.shape[1])):
            found = one.followed(shared, layer, scope, SharedPrefixSpan(layer, scope[0]))
        blocks = one.last + 1
        assert widths == [width] * blocks + [1] * blocks + [2] * blocks
        assert difference(found, one.expected(layer, scope)) < 1e-4


@pytest.mark.parametrize("reads", [False, True])
def test_blocks_below_the_picture_and_the_head_are_not_computed_again(case, reads):
    one, ran = case("llava"), []
    layout = one.model.layout

    def counting(module, name):
        return module.register_forward_hook(lambda m, a, out: ran.append((name, *getattr(out, "shape", ())[:2])))

    handles = [counting(block.mlp, layer) for layer, block in enumerate(layout.blocks)]
    handles += [
        counting(layout.vision_tower, "tower"),
        counting(layout.head, "head"),
        counting(layout.final_norm, "norm"),
    ]
    try:
        shared = one.open()
        assert [name for name, *_ in ran].count("tower") == 1
        ran.clear()
        first = one.first("image")
        reading = attached(one.model, lambda *_: None, layers=[-1]) if reads else nullcontext()
        with torch.no_grad(), one.edits(1, "image"), reading:
            shared.start(3, SharedPrefixSpan(1, first))
    finally:
        for handle in handles:
            handle.remove()
    width = shared.run.length - first
    assert ran == [(2, 3, width), (3, 3, width if reads else 1), ("norm", 3, 1), ("head", 3, 1)]


def test_the_unsteered_prompt_exists_once(case):
    one = case("llava")
    shared, first = one.open(), one.first("image")
    with torch.no_grad():
        rows = shared.start(3, SharedPrefixSpan(1, first))
        rows.feed(FED[:, :2])
        fork = rows.fork([2, 0])
    for number, kept in enumerate(shared.run.cache.layers):
        for count, layer in ((3, rows.cache.layers[number]), (2, fork.cache.layers[number])):
            [(keys, values)] = layer.prefixes
            assert (keys.data_ptr(), values.data_ptr()) == (kept.keys.data_ptr(), kept.values.data_ptr())
            shares = shared.run.length if number <= 1 else first
            assert keys.shape[:1] + keys.shape[2:3] == (1, shares)
            assert layer.keys.shape[:1] + layer.keys.shape[2:3] == (count, shared.run.length - shares + 2)


def test_forks_go_on_apart(case):
    one = case("qwen2_5_vl")
    expected = one.expected(1, "image")
    shared = one.open()
    with torch.no_grad(), one.edits(1, "image"):
        rows = shared.start(3, SharedPrefixSpan(1, one.first("image")))
        start, other = rows.fork(), rows.fork([2, 2, 0])
        other.feed(FED[[1, 1, 1]])
        assert difference(rows.feed(FED), expected[:, 1:]) < 1e-4
        assert difference(start.logits, expected[:, 0]) < 1e-4
        late = start.fork()
        assert difference(start.feed(FED[:, :2]), expected[:, 1:3]) < 1e-4
    with torch.no_grad():
        assert difference(late.feed(FED), expected[:, 1:]) < 1e-4


def test_without_knowing_what_is_untouched_and_without_edits(case):
    one = case("llava")
    shared = one.open()
    assert difference(one.followed(shared, 0, "all", UNEDITED_NONE), one.expected(0, "all")) < 1e-4
    with torch.no_grad():
        rows = shared.start(2, SharedPrefixSpan(one.last + 1, shared.run.length))
    plain = plain_logits(one.model, one.encoded, [], [])[0, 0]
    assert difference(rows.logits, plain.expand(2, -1)) < 1e-5


def test_blocks_that_are_not_computed_can_be_read(case):
    one, seen = case("llava"), {}
    with torch.no_grad(), attached(one.model, seen.__setitem__):
        shared = one.open()
        plain = {layer: hidden.clone() for layer, hidden in seen.items()}
        shared.start(2, SharedPrefixSpan(2, 0))
    for layer in one.model.layers:
        torch.testing.assert_close(seen[layer], plain[layer].expand(2, -1, -1), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(shared.unedited[layer], plain[layer])


@pytest.mark.parametrize("layer", [0, 2, 3])
def test_nothing_is_left_on_the_model_whatever_is_raised(case, layer):
    one = case("llava")
    shared = one.open()
    chosen = one.model.layout.backbone.config._attn_implementation

    def fail(number, hidden):
        raise KeyError("in a hook")

    with torch.no_grad(), pytest.raises(KeyError), attached(one.model, fail, layers=[layer]):
        shared.start(2, SharedPrefixSpan(1, 4))
    assert active_hooks(one.model) == 0
    assert not any("forward" in block.__dict__ for block in one.model.layout.blocks)
    assert one.model.layout.backbone.config._attn_implementation == chosen


def test_a_model_that_is_not_causal_computes_every_column(device):
    one = Case("llava", device)
    for block in one.model.layout.blocks:
        block.self_attn.is_causal = False
    shared = one.open()
    found = one.followed(shared, 1, "image", SharedPrefixSpan(1, one.first("image")))
    with torch.no_grad(), one.edits(1, "image"):
        rows = shared.start(3, SharedPrefixSpan(1, one.first("image")))
    assert all(layer.get_seq_length() == shared.run.length for layer in rows.cache.layers)
    assert rows.cache.layers[2].keys.shape[2] == shared.run.length
    expected = [plain_logits(one.model, one.encoded, [], one.plain(1, "image", s)) for s in STRENGTHS]
    assert difference(found[:, 0], torch.cat(expected)[:, 0]) < 1e-4


def test_a_window_shorter_than_the_prompt(device):
    one = Case("llava_pixtral", device)
    one.model.layout.backbone.config.sliding_window = 6
    shared = one.open()
    for scope in ("image", "text"):
        found = one.followed(shared, 1, scope, SharedPrefixSpan(1, one.first(scope)))
        assert difference(found, one.expected(1, scope)) < 1e-4


@pytest.mark.parametrize("name", sorted(NEXT_BEST))
def test_the_next_best_way_is_taken_where_it_cannot_be_exact(case, name):
    one = case(name)
    scope = one.scopes()[-1]
    trial = Trial(3, lambda rows: one.edits(1, scope), [(range(3), SharedPrefixSpan(1, one.first(scope)))])
    with torch.no_grad():
        path = choose_path(one.model, one.encoded, trial, prompt_edited=True)
    assert str(path).startswith(NEXT_BEST[name])
    assert any(way.startswith(Resume.path) for way in path.tried)


def test_shared_keys_are_refused_with_the_reason(case):
    with pytest.raises(NotImplementedError, match="layers share keys and values"):
        case("gemma3n").open()


def test_memory_is_counted(case):
    one = case("llava")
    shared = one.open()
    layer, first = shared.run.cache.layers[0], one.first("image")
    of_layer = 2 * layer.keys.numel() * layer.keys.element_size()
    residual = sum(hidden.numel() * hidden.element_size() for hidden in shared.unedited.values())
    assert shared.nbytes >= len(one.model.layers) * of_layer + residual
    planned = [Resume.planned_row_bytes(one.model, one.encoded, 4, SharedPrefixSpan(n)) for n in one.model.layers]
    assert {below - above for below, above in zip(planned, planned[1:], strict=False)} == {3 * of_layer}
    from_picture = Resume.planned_row_bytes(one.model, one.encoded, 4, SharedPrefixSpan(0, first))
    assert planned[1] - 3 * of_layer < from_picture < planned[0]
    assert CopiedResume.planned_row_bytes(one.model, one.encoded, 4, SharedPrefixSpan(0)) > planned[0]
