"""Every verified family goes through a sweep: cells equal plain hooks, by the way that the family is known to take."""

import numpy as np
import pytest
import torch

import mllm_probe.sweeps as sweeps
from mllm_probe.decoding.depth import DepthPrefix
from mllm_probe.decoding.paths import known_path
from mllm_probe.decoding.prefix import SharedPrefix
from mllm_probe.decoding.resume import CopiedResume, Resume
from mllm_probe.decoding.shared_prompt import Replay, WholeForwards
from mllm_probe.models.layout import text_config
from mllm_probe.schema import ROLES
from mllm_probe.steering.operations import random_direction
from tests.families.test_families import SHRUNK_VERIFIED
from tests.sweeps.helpers import (
    longer,
    other_picture,
    plain_batch,
    plain_edit,
    random_vectors,
    residual_norms,
    rounded,
    verified_family,
)
from tests.zoo import FAMILIES, build
from tests.zoo.family_survey import family_names
from tests.zoo.library_faults import FAULTS, expect_library_fault

NEXT = ("last_prompt", "generated")
SCOPES = (NEXT, ("last_prompt",), ("generated",), "image", "text", "all")
WORDS = {"cat": [7, [8, 9]], "dog": [11, 12]}
STEPS, SEED = 4, 5
VERIFIED = sorted(FAMILIES) + sorted(SHRUNK_VERIFIED)

NEXT_WAY, PROMPT_WAY = DepthPrefix.path, Resume.path
OTHER_WAYS = {
    "gemma3n": (SharedPrefix.path, Replay.path),
    "paligemma": (Resume.path, Resume.path),
    "paligemma2": (CopiedResume.path, CopiedResume.path),
    "florence2": (WholeForwards.path, WholeForwards.path),
    "t5gemma2": (WholeForwards.path, WholeForwards.path),
}
"""Of families that cannot share all: ways for scopes from the last prompt token on, and for those that edit it."""
NO_IMAGE_TOKENS = {"mllama", "idefics", "florence2", "t5gemma2"}
OF_EACH_KIND = (
    "llava", "llava_pixtral", "qwen2_5_vl", "qwen3_vl", "ernie4_5_vl_moe", "gemma3", "gemma3n", "gemma4", "paligemma",
    "mllama", "idefics", "kimi_k25", "qwen3_5", "lfm2_vl", "blip2", "kosmos2", "florence2",
)  # fmt: skip
TOLERANCE = 1e-4


class Case:
    """A tiny family with vectors as long as its residual stream."""

    def __init__(self, name, device):
        self.name = name
        self.model, self.inputs = verified_family(name, device)
        self.encoded = self.model.encode(None, inputs=self.inputs)
        norms = residual_norms(self.model, self.encoded)
        self.vectors = random_vectors(self.model, words=WORDS, norm=norms)
        self.layers = [0, len(norms) // 2, len(norms) - 1]
        self.has_image_tokens = bool((self.encoded.roles[0] == ROLES.index("image")).any())

    def way(self, tokens):
        ways = OTHER_WAYS.get(self.name, (NEXT_WAY, PROMPT_WAY))
        return ways[isinstance(tokens, str)]

    def scopes(self):
        absent = set() if self.has_image_tokens else {"image"}
        if self.model.hf.config.is_encoder_decoder:
            absent |= {"text", "all"}
        elif self.name not in OF_EACH_KIND:
            absent |= {("last_prompt",), ("generated",), "text", "all"}
        return [scope for scope in SCOPES if scope not in absent]

    def sweep(self, tokens, samples=None, vectors=None, **settings):
        defaults = {"layers": self.layers, "strengths": (-1, 0, 2), "controls": ("random",), "draws": 4, "seed": SEED}
        settings = defaults | {"metrics": ("logprob", "kl", "tokens"), "max_new_tokens": STEPS} | settings
        vectors = self.vectors if vectors is None else vectors
        return sweeps.sweep(
            self.model, vectors, inputs=samples or self.inputs, tokens=tokens, progress=False, **settings
        )


_CASES = {}


@pytest.fixture
def case(device):
    """Families are built once; those that the library itself cannot run are told from ours that fail."""

    def get(name):
        if (name, device) not in _CASES:
            if name in FAMILIES:
                expect_library_fault(name, *build(FAMILIES[name]))
            _CASES[name, device] = Case(name, device)
        return _CASES[name, device]

    return get


def cells_of(grid):
    """Every cell of a grid, flat, each one that was run once."""
    dims = ("concept", "layer", "strength", "control", "draw", "sample")
    own, draws = list(grid.control.values).index("concept"), dims.index("draw")
    places = np.ndindex(*(grid.sizes[dim] for dim in dims))
    # One pair of opposite draws, of the two that a control needs: each cell is run once more by plain hooks.
    run = (place for place in places if place[draws] < (1 if place[dims.index("control")] == own else 2))
    return [grid.isel(dict(zip(dims, place, strict=True))) for place in run]


def edit_of(one, encoded, cell, tokens, operation="add"):
    """What plain hooks do in the place of a cell."""
    if cell.strength.item() == 0:
        return []
    layer, direction = cell.layer.item(), None
    if cell.control.item() == "random":
        direction = random_direction(SEED, int(cell.draw), one.model.hidden_size)
    name, strength = cell.concept.item(), cell.strength.item()
    return plain_edit(one.model, one.vectors, encoded, name, layer, strength, tokens, operation, "dog", direction)


def assert_cells(one, encoded, grid, tokens, operation="add", prefix=(), tolerance=TOLERANCE):
    """Every cell of one sample against plain hooks; the error is in units of the largest logit."""
    cells, prefix = cells_of(grid), list(prefix)
    edits = [edit_of(one, encoded, cell, tokens, operation) for cell in cells]
    answers = [answer_of(one, cell.tokens) for cell in cells]
    unsteered = answer_of(one, grid.tokens_unsteered)
    count, begun = len(cells), len(prefix)
    fed = [*(answer[:-1] for answer in answers), *[unsteered[:-1]] * count, *[[8]] * count, unsteered[:-1]]
    rows = plain_batch(one.model, encoded, [prefix + tokens for tokens in fed], [*edits * 3, []])[:, begun:]
    steered, along, second, plain = (rows[at : at + count] for at in range(0, 3 * count + 1, count))
    scale = said(steered).abs().max().item()
    for cell_logits, answer in zip(steered, answers, strict=True):
        chosen = cell_logits[range(len(answer)), answer]
        assert (cell_logits[: len(answer)].amax(-1) - chosen).max() < 10 * tolerance * scale
    along, plain = (logits[:, : len(unsteered)].log_softmax(-1) for logits in (along, plain))
    kl = (plain.exp() * (plain - along).where(plain.exp() > 0, torch.tensor(0.0))).sum(-1)
    scores = word_scores(cells, steered[:, 0].log_softmax(-1), second[:, 1].log_softmax(-1))
    found = np.array([[float(cell.logprob), *cell.kl_step.values[: kl.shape[1]]] for cell in cells])
    error = np.abs(found - np.column_stack([scores, kl.cpu().numpy()])).max() / max(scale, 1.0)
    assert error < tolerance, error


def word_scores(cells, first, second):
    """Log-probability of every cell's words, of logits after the prompt and after token 8."""
    cat = torch.logaddexp(first[:, 7], first[:, 8] + second[:, 9])
    dog = torch.logaddexp(first[:, 11], first[:, 12])
    return [float((cat if cell.concept.item() == "cat" else dog)[i]) for i, cell in enumerate(cells)]


def answer_of(one, tokens):
    """A row's tokens up to one that whole forwards cannot read as text: padding, or the place of a picture."""
    tokens = [int(t) for t in tokens.values.ravel() if t >= 0]
    unreadable = {one.model.layout.image_token_id, one.model.pad_token_id}
    unreadable |= set(getattr(one.model.hf.config, "visual_indicator_token_ids", ()))
    return tokens[: 1 + next((i for i, token in enumerate(tokens) if token in unreadable), len(tokens))]


def said(logits):
    """Logits without those of tokens that a family never says."""
    return logits[logits.abs() < 1e30]


@pytest.mark.parametrize("name", VERIFIED)
def test_cells_equal_plain_hooks(case, name):
    one, others = case(name), 0
    cat = one.vectors.sel(concept=["cat"])
    for tokens in one.scopes():
        grid = one.sweep(tokens, vectors=cat)
        assert grid.attrs["path"] == one.way(tokens), (tokens, grid.attrs["refused_paths"])
        assert_cells(one, one.encoded, grid, tokens)
        assert float(grid.kl_step.max()) > 5 * TOLERANCE
        others += int((grid.tokens != grid.tokens_unsteered).any("step").sum())
    assert others > 0


@pytest.mark.parametrize("name", sorted(NO_IMAGE_TOKENS))
def test_a_scope_without_positions_is_refused(case, name):
    one = case(name)
    with pytest.raises(ValueError, match="tokens='image' can never be edited: the prompt of row . has no image tokens"):
        one.sweep("image")
    if one.model.hf.config.is_encoder_decoder:
        with pytest.raises(ValueError, match="tokens='text' can never be edited"):
            one.sweep("text")


def test_only_families_that_read_pictures_by_cross_attention_have_no_image_tokens(case):
    here = set(VERIFIED) & set(family_names()) - FAULTS.keys()
    found = {name for name in here if not case(name).has_image_tokens}
    assert found == NO_IMAGE_TOKENS


@pytest.mark.parametrize("operation", ["ablate", "replace"])
@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_other_operations(case, name, operation):
    one = case(name)
    for tokens in (NEXT, one.scopes()[-1]):
        grid = one.sweep(
            tokens, vectors=one.vectors, operation=operation, to="dog" if operation == "replace" else None,
            strengths=(0.5, 1), controls=(),
        ).sel(concept=["cat"])  # fmt: skip
        assert_cells(one, one.encoded, grid, tokens, operation)


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_behind_the_beginning_of_an_answer(case, name):
    one = case(name)
    for tokens in (NEXT, one.scopes()[-1]):
        grid = one.sweep(tokens, answer_prefix=[17, 23], strengths=(0, 1))
        assert_cells(one, one.encoded, grid, tokens, prefix=[17, 23])


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_samples_of_one_length_and_of_another(case, name):
    one = case(name)
    samples = [one.inputs, other_picture(one.inputs), longer(one.inputs, [31, 41, 59])]
    for tokens in (NEXT, one.scopes()[-1]):
        grid = one.sweep(tokens, samples, strengths=(0, 1), layers=one.layers[::2], controls=())
        assert grid.attrs["path"] == one.way(tokens)
        for number, inputs in enumerate(samples):
            encoded = one.model.encode(None, inputs=inputs)
            assert_cells(one, encoded, grid.isel(sample=[number]), tokens)
    assert not np.allclose(grid.logprob.isel(sample=0), grid.logprob.isel(sample=1), atol=1e-4)


@pytest.mark.parametrize("tokens", [NEXT, "image"])
@pytest.mark.parametrize("name", ["llava_pixtral", "gemma3", "gemma4"])
@pytest.mark.parametrize("window", ["shorter", "passed while answering"])
def test_sliding_windows(name, tokens, window, device):
    one = Case(name, device)
    samples = [one.inputs, longer(one.inputs, [31, 41, 59, 26, 53, 58])]
    size = 6 if window == "shorter" else one.encoded.length + 1
    following = [[7, 8, 9]]
    open_to_all = plain_batch(one.model, one.encoded, following, [[]])
    for config in {id(c): c for c in (text_config(one.model.hf), one.model.layout.backbone.config)}.values():
        config.sliding_window = size
    assert not torch.allclose(plain_batch(one.model, one.encoded, following, [[]]), open_to_all, atol=1e-3)
    grid = one.sweep(tokens, samples, strengths=(0, 1), controls=())
    assert grid.attrs["path"] == one.way(tokens), grid.attrs["refused_paths"]
    for number, inputs in enumerate(samples):
        assert_cells(one, one.model.encode(None, inputs=inputs), grid.isel(sample=[number]), tokens)


def test_ways_are_tried_anew_for_a_sample_that_passes_the_window(device):
    one = Case("llava_pixtral", device)
    text_config(one.model.hf).sliding_window = one.encoded.length + 1
    samples = [one.inputs, longer(one.inputs, [31]), longer(one.inputs, [31, 41, 59])]
    same, other = (one.model.encode(None, inputs=inputs) for inputs in samples[1:])
    settings = {"strengths": (0, 1), "controls": (), "metrics": "logprob"}
    one.sweep(NEXT, samples[:1], **settings)
    assert known_path(one.model, same, prompt_edited=False) is not None
    assert known_path(one.model, other, prompt_edited=False) is None
    assert known_path(one.model, same, prompt_edited=True) is None
    one.sweep(NEXT, samples, **settings)
    assert known_path(one.model, other, prompt_edited=False) is not None


@pytest.mark.parametrize("tokens", [NEXT, "image"])
@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "gemma3"])
def test_several_pictures_and_padding(case, name, tokens):
    one = case(name)
    samples = [one.inputs, padded(twice(one.inputs))]
    grid = one.sweep(tokens, samples, strengths=(0, 1), controls=())
    assert grid.attrs["path"] == one.way(tokens)
    for number, inputs in enumerate(samples):
        assert_cells(one, one.model.encode(None, inputs=inputs), grid.isel(sample=[number]), tokens)


def twice(inputs):
    """A prompt with two pictures: its tensors one behind the other."""
    along = {"input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"}
    second = other_picture(inputs)
    return {name: torch.cat([value, second[name]], int(name in along)) for name, value in inputs.items()}


def padded(inputs):
    """The same with padding on the left."""
    found = dict(inputs)
    for name in ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"):
        if name in inputs:
            found[name] = torch.nn.functional.pad(inputs[name], (3, 0))
    return found


@pytest.mark.parametrize("name", ["llava", "qwen3_vl", "gemma3", "mllama", "kimi_k25"])
def test_bf16_is_as_near_as_plain_bf16(name, device):
    one = Case(name, device)
    tokens, exact = NEXT, {}
    for dtype in (torch.float32, torch.bfloat16):
        one.model.hf.to(dtype)
        encoded = one.model.encode(None, inputs=one.inputs)
        grid = one.sweep(tokens, vectors=one.vectors.sel(concept=["cat"]), metrics=("logprob",))
        cells = cells_of(grid)
        edits = [rounded(edit_of(one, encoded, cell, tokens)) for cell in cells]
        first, second = plain_batch(one.model, encoded, [[8]] * len(cells), edits)[:, :2].log_softmax(-1).unbind(1)
        plain = np.array(word_scores(cells, first, second))
        exact[dtype] = plain, np.array([float(cell.logprob) for cell in cells])
        assert grid.attrs["path"] == one.way(tokens)
    truth, (plain, found) = exact[torch.float32][0], exact[torch.bfloat16]
    apart, nearness = np.square(plain - truth).mean() ** 0.5, np.square(found - truth).mean() ** 0.5
    assert apart > 1e-3 and nearness < 3 * apart, (apart, nearness)


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_layers_below_the_edit_are_untouched(case, name):
    one = case(name)
    for tokens in ("last_prompt", one.scopes()[-1])[: 1 if one.model.hf.config.is_encoder_decoder else 2]:
        grid = one.sweep(tokens, strengths=(0, 1), controls=(), metrics=("logprob",), record="activation")
        activation = grid.activation.sel(concept="cat", control="concept").isel(draw=0, sample=0, token=0)
        for layer in one.layers:
            plain, steered = (activation.sel(layer=layer, strength=s).values for s in (0, 1))
            changed = np.abs(plain - steered).max(-1) / np.abs(plain).max()
            assert changed[:layer].max(initial=0) < 1e-6
            assert changed[layer:].min() > 1e-4, (tokens, layer, changed)
