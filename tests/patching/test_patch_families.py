"""Patched cells of many families equal plain hooks; the identity donor changes no bit."""

import numpy as np
import pytest

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.schema import ROLES
from tests.patching.plain_interchange import group_of, library_of, pairs_of, patched_logprob, states_of
from tests.sweeps.helpers import verified_family
from tests.zoo import FAMILIES, build
from tests.zoo.library_faults import expect_library_fault

NAMES = (
    "llava", "llava_pixtral", "qwen2_5_vl", "qwen3_vl", "ernie4_5_vl_moe", "gemma3", "gemma3n", "paligemma", "mllama",
    "idefics3", "blip2", "kosmos2", "kimi_k25", "lfm2_vl", "florence2", "t5gemma2", "qwen3_5",
)  # fmt: skip
EMBEDDED_ONLY = {
    "llava", "llava_pixtral", "qwen2_5_vl", "gemma3", "paligemma", "idefics3", "blip2", "kosmos2", "kimi_k25",
    "lfm2_vl", "ernie4_5_vl_moe", "qwen3_5",
}  # fmt: skip
"""Families whose image enters through the embeddings alone, so that the input of block 0 holds all of it."""
TOLERANCE = 1e-4


class Case:
    def __init__(self, name, device):
        self.model, inputs = verified_family(name, device)
        self.library = library_of(inputs)
        self.encoded = {
            side: [self.model.encode(None, inputs=one) for one in getattr(self.library["cat"], side)]
            for side in ("positive", "negative")
        }
        roles = self.encoded["positive"][0].roles[0].numpy()
        there = {ROLES[role] for role in roles} - {"padding", "special"}
        self.groups = [g for g in ("image", "text") if g in there and len(group_of(self.encoded["positive"][0], g))]
        self.groups += ["last_prompt", "all"]
        last = len(self.model.layers) - 1
        self.layers = [schema.INPUT, 0, last // 2, last]
        self.grid = mp.patch(
            self.model, self.library, layers=["input", 0, last // 2, last], groups=self.groups, progress=False,
            metrics=("logprob", "logit"),
        )  # fmt: skip


@pytest.fixture(scope="module")
def case(device):
    known = {}

    def get(name):
        if name not in known:
            if name in FAMILIES:
                expect_library_fault(name, *build(FAMILIES[name]))
            known[name] = Case(name, device)
        return known[name]

    return get


@pytest.mark.parametrize("name", NAMES)
def test_cells_equal_plain_hooks(case, name):
    one = case(name)
    model, grid, errors, moved = one.model, one.grid, [], []
    states = {side: [states_of(model, encoded) for encoded in own] for side, own in one.encoded.items()}
    for direction, (to, source) in {"insert": ("negative", "positive"), "remove": ("positive", "negative")}.items():
        encoded = one.encoded[to][0]
        base, _ = patched_logprob(model, encoded, None, [], [])
        for control, donor in {"pair": states[source][0], "other_positive": states["positive"][1]}.items():
            for layer in one.layers:
                for group in one.groups:
                    cell = {"concept": "cat", "layer": layer, "group": group, "direction": direction, "sample": 0}
                    columns = group_of(encoded, group)
                    expected, scale = patched_logprob(model, encoded, donor, [layer], columns)
                    found = grid.sel(cell).sel(control=control)
                    errors += [abs(float(found.logprob) - expected) / scale]
                    errors += [abs(float(found.logprob_base) - base) / scale]
                    moved.append(abs(expected - base) / scale)
                    assert int(found.edited) == len(columns)
        expected, scale = patched_logprob(model, one.encoded[source][0], None, [], [])
        errors.append(abs(float(grid.logprob_source.sel(concept="cat", direction=direction)[0]) - expected) / scale)
    assert max(errors) < TOLERANCE, (max(errors), grid.attrs["path"])
    assert max(moved) > 10 * TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_the_identity_donor_changes_no_bit(case, name):
    grid = case(name).grid
    for metric in ("logprob", "logit"):
        own, base = (grid[variable].sel(control="identity").values for variable in (metric, f"{metric}_base"))
        assert np.isfinite(own).all()
        np.testing.assert_array_equal(own, base)


@pytest.mark.parametrize("name", NAMES)
def test_all_positions_bring_the_source(case, name):
    """Exactly where the image enters through embeddings alone; cross-attention and DeepStack read it again above."""
    grid = case(name).grid.sel(concept="cat", group="all", control="pair")
    gap = grid.logit_source - grid.logit_base
    missing = np.abs((grid.logit - grid.logit_base) - gap).transpose("layer", ...).values
    scale = max(float(np.abs(grid.logit_source).max()), 1.0)
    assert float(np.abs(gap).max()) > 10 * TOLERANCE * scale
    if case(name).model.layout.stream_index is None:  # the other streams of gemma3n go to the head too
        assert missing[-1].max() < TOLERANCE * scale, "behind the last block nothing but the head is left"
    if name in EMBEDDED_ONLY:
        assert missing.max() < TOLERANCE * scale
    else:
        assert missing[0].max() > TOLERANCE * scale, "this family belongs to EMBEDDED_ONLY"


def test_single_patches_equal_plain_hooks(device, tiny, pictures):
    grid = mp.patch(
        tiny, {"cat": pairs_of(pictures[:2], pictures[2:4])}, layers=[0], direction="insert", controls=("identity",),
        groups=("patches", "all_but_patches", "image"), progress=False,
    )  # fmt: skip
    assert grid.sizes["group"] == 33
    base, source = tiny.encode([pictures[2]]), tiny.encode([pictures[0]])
    donor = states_of(tiny, source)
    words = [[token] for token in tiny.text_ids("cat", leading_space=False)]
    for row, column in ((0, 0), (1, 3), (3, 2)):
        own = (base.patch_row[0] == row) & (base.patch_column[0] == column)
        for name, columns in {
            schema.patch_name(row, column): np.flatnonzero(own),
            schema.patch_name(row, column, all_but=True): np.flatnonzero(~own),
        }.items():
            expected, scale = patched_logprob(tiny, base, donor, [0], columns, words)
            cell = grid.sel(group=name, control="pair", concept="cat", sample=0, layer=0, direction="insert")
            assert abs(float(cell.logprob) - expected) < TOLERANCE * scale
            assert (int(cell.patch_row), int(cell.patch_column)) == (row, column)
            assert int(cell.edited) == len(columns) == int(cell.group_size)
