"""Every scope × metric × attention either runs, with the values of plain hooks, or is refused before it starts."""

import numpy as np
import pytest
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from mllm_probe.decoding.attention import FIELD, attention_configs
from mllm_probe.decoding.depth import DepthPrefix
from mllm_probe.decoding.paths import DecodingPath
from mllm_probe.decoding.prefix import CopiedPrefix
from mllm_probe.decoding.resume import CopiedResume, Resume
from mllm_probe.metrics.metric import READS, built_in
from mllm_probe.sweeps import plan, sweep
from tests.hooks import active_hooks
from tests.sweeps.helpers import plain_batch, plain_edit, random_vectors, residual_norms, wrapped_family

NEXT = ("last_prompt", "generated")
SCOPES = (NEXT, "last_prompt", "generated", "image", "text", "all", ("image", "generated"), [4, 6])
EACH = (*built_in(), "tokens")
TOGETHER = tuple(name for name in EACH if name != "kept")
"""Processed tensors have no labels, which ``kept`` reads."""
FEEDS = {name for name, metric in built_in().items() if READS[metric.reads].decodes or READS[metric.reads].unsteered}
LAYERS = (0, 3)
WORDS = {"cat": [7, [8, 9]], "dog": [11]}
WAYS = {
    ("llava", "sdpa"): (DepthPrefix, Resume),
    ("llava", "eager"): (CopiedPrefix, CopiedResume),
    ("paligemma", "sdpa"): (Resume, Resume),
    ("paligemma", "eager"): (CopiedResume, CopiedResume),
    ("paligemma2", "eager"): (CopiedResume, CopiedResume),
    ("gemma3", "eager"): (CopiedPrefix, CopiedResume),
}
"""Ways for scopes that leave the prompt alone up to its last token, and for others."""


class Case:
    """A tiny family with one attention."""

    def __init__(self, name, attention, device):
        self.model, self.inputs = wrapped_family(name, device)
        self.model.hf.set_attn_implementation(attention)
        self.encoded = self.model.encode(None, inputs=self.inputs)
        self.vectors = random_vectors(self.model, words=WORDS, norm=residual_norms(self.model, self.encoded))

    def arguments(self, tokens, metrics):
        return {
            "inputs": self.inputs, "tokens": tokens, "metrics": metrics, "strengths": (1,), "controls": (),
            "layers": LAYERS, "max_new_tokens": 3, "progress": False,
        }  # fmt: skip

    def sweep(self, tokens, metrics, **more):
        return sweep(self.model, self.vectors, **self.arguments(tokens, metrics), **more)

    def plan(self, tokens, metrics, store):
        return plan(self.model, self.vectors, **self.arguments(tokens, metrics), store=store)

    def plain(self, tokens, layer, following):
        """Logits of one cell by plain hooks and a whole forward."""
        edits = [plain_edit(self.model, self.vectors, self.encoded, "cat", layer, 1, tokens)]
        if isinstance(tokens, list):
            [(_, _, _, change)] = plain_edit(self.model, self.vectors, self.encoded, "cat", layer, 1, "all")
            edits = [[(layer, tokens, False, change)]]
        return plain_batch(self.model, self.encoded, [following], edits)[0]


def assert_equals_plain_hooks(case, grid, tokens):
    cells = grid.sel(concept="cat", control="concept", strength=1).isel(draw=0, sample=0)
    unsteered = [int(t) for t in grid.tokens_unsteered.values.ravel() if t >= 0]
    for layer in LAYERS:
        cell = cells.sel(layer=layer)
        answer = [int(t) for t in cell.tokens.values if t >= 0]
        own = case.plain(tokens, layer, answer[:-1])
        scale = float(own.abs().max())
        assert (own.amax(-1) - own[range(len(answer)), answer]).max() < 1e-3 * scale
        first = own[0].log_softmax(-1)
        second = case.plain(tokens, layer, [8])[1].log_softmax(-1)
        logprob = np.logaddexp(float(first[7]), float(first[8] + second[9]))
        assert abs(float(cell.logprob) - logprob) < 1e-4 * scale, (tokens, layer)
        along = case.plain(tokens, layer, unsteered[:-1]).log_softmax(-1)
        base = plain_batch(case.model, case.encoded, [unsteered[:-1]], [[]])[0].log_softmax(-1)
        kl = (base.exp() * (base - along)).sum(-1).cpu().numpy()
        np.testing.assert_allclose(cell.kl_step.values[: len(kl)], kl, atol=1e-4 * scale, err_msg=f"{tokens} {layer}")


def refusal(tokens, metric):
    """Why a cell of the table is refused, None where it runs."""
    if metric == "kept":
        return "'kept' cannot be computed. None of the images has labels"
    if tokens == "generated" and metric not in FEEDS | {"tokens"}:
        return "tokens='generated' can never be edited: no generated token"
    return None


def assert_refused(case, tokens, metric, store):
    for refused in (case.sweep, case.plan):
        with pytest.raises(ValueError, match=refusal(tokens, metric)):
            refused(tokens, (metric,), store=store)
    assert not store.exists()


@pytest.mark.parametrize("name, attention", WAYS)
def test_every_scope_and_metric_runs_or_is_refused(name, attention, tmp_path, device):
    case = Case(name, attention, device)
    for tokens in SCOPES:
        whole = case.sweep(tokens, TOGETHER)
        kind = WAYS[name, attention][tokens not in (NEXT, "last_prompt", "generated")]
        assert whole.attrs["path"] == str(DecodingPath(kind)), (tokens, whole.attrs["refused_paths"])
        assert_equals_plain_hooks(case, whole, tokens)
        for metric in EACH:
            if refusal(tokens, metric) is not None:
                assert_refused(case, tokens, metric, tmp_path / metric)
                continue
            alone = case.sweep(tokens, (metric,))
            for variable in set(alone.data_vars) & set(whole.data_vars):
                if alone[variable].dtype.kind == "f":
                    np.testing.assert_allclose(
                        alone[variable], whole[variable], rtol=2e-3, atol=2e-3, err_msg=f"{tokens} {variable}"
                    )
    assert active_hooks(case.model) == 0
    assert {getattr(config, FIELD) for config in attention_configs(case.model)} == {attention}


def test_another_attention_is_tried_anew(device):
    case = Case("llava", "sdpa", device)
    assert case.sweep("image", ("kl",)).attrs["path"] == Resume.path
    case.model.hf.set_attn_implementation("eager")
    assert case.sweep("image", ("kl",)).attrs["path"] == CopiedResume.path
    case.model.hf.set_attn_implementation("sdpa")
    assert case.sweep("image", ("kl",)).attrs["path"] == Resume.path


@pytest.mark.parametrize("tokens", [NEXT, "image"])
def test_an_attention_that_somebody_registered(tokens, device):
    plain = ALL_ATTENTION_FUNCTIONS["sdpa"]
    ALL_ATTENTION_FUNCTIONS.register("somebodys", lambda *given, **named: plain(*given, **named))
    try:
        case = Case("llava", "somebodys", device)
        grid = case.sweep(tokens, TOGETHER)
        assert_equals_plain_hooks(case, grid, tokens)
    finally:
        del type(ALL_ATTENTION_FUNCTIONS)._global_mapping["somebodys"]
