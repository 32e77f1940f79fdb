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
from mllm_probe.sweeps import plan
from tests.hooks import active_hooks
from tests.sweeps.test_families import Case, assert_cells

NEXT = ("last_prompt", "generated")
SCOPES = (NEXT, "last_prompt", "generated", "image", "text", "all", ("image", "generated"), [4, 6])
EACH = (*built_in(), "tokens")
TOGETHER = tuple(name for name in EACH if name != "kept")
"""Processed tensors have no labels, which ``kept`` reads."""
FEEDS = {name for name, metric in built_in().items() if READS[metric.reads].decodes or READS[metric.reads].unsteered}
SETTINGS = {"strengths": (1,), "controls": (), "layers": (0, 3), "max_new_tokens": 3}
WAYS = {
    ("llava", "sdpa"): (DepthPrefix, Resume),
    ("llava", "eager"): (CopiedPrefix, CopiedResume),
    ("paligemma", "sdpa"): (Resume, Resume),
    ("paligemma", "eager"): (CopiedResume, CopiedResume),
    ("paligemma2", "eager"): (CopiedResume, CopiedResume),
    ("gemma3", "eager"): (CopiedPrefix, CopiedResume),
}
"""Ways for scopes that leave the prompt alone up to its last token, and for others."""


def case_of(name, attention, device):
    """A tiny family with one attention."""
    case = Case(name, device)
    case.model.hf.set_attn_implementation(attention)
    return case


def run(case, tokens, metrics, **more):
    return case.sweep(tokens, metrics=metrics, **SETTINGS, **more)


def planned(case, tokens, metrics, store):
    return plan(case.model, case.vectors, inputs=case.inputs, tokens=tokens, metrics=metrics, store=store, **SETTINGS)


def refusal(tokens, metric):
    """Why a cell of the table is refused, None where it runs."""
    if metric == "kept":
        return "'kept' cannot be computed. None of the images has labels"
    if tokens == "generated" and metric not in FEEDS | {"tokens"}:
        return "tokens='generated' can never be edited: no generated token"
    return None


def assert_refused(case, tokens, metric, store):
    for refused in (run, planned):
        with pytest.raises(ValueError, match=refusal(tokens, metric)):
            refused(case, tokens, (metric,), store=store)
    assert not store.exists()


@pytest.mark.parametrize("name, attention", WAYS)
def test_every_scope_and_metric_runs_or_is_refused(name, attention, tmp_path, device):
    case = case_of(name, attention, device)
    for tokens in SCOPES:
        whole = run(case, tokens, TOGETHER)
        kind = WAYS[name, attention][tokens not in (NEXT, "last_prompt", "generated")]
        assert whole.attrs["path"] == str(DecodingPath(kind)), (tokens, whole.attrs["refused_paths"])
        assert_cells(case, case.encoded, whole, tokens)
        for metric in EACH:
            if refusal(tokens, metric) is not None:
                assert_refused(case, tokens, metric, tmp_path / metric)
                continue
            alone = run(case, tokens, (metric,))
            for variable in set(alone.data_vars) & set(whole.data_vars):
                if alone[variable].dtype.kind == "f":
                    np.testing.assert_allclose(
                        alone[variable], whole[variable], rtol=2e-3, atol=2e-3, err_msg=f"{tokens} {variable}"
                    )
    assert active_hooks(case.model) == 0
    assert {getattr(config, FIELD) for config in attention_configs(case.model)} == {attention}


def test_another_attention_is_tried_anew(device):
    case = case_of("llava", "sdpa", device)
    assert run(case, "image", ("kl",)).attrs["path"] == Resume.path
    case.model.hf.set_attn_implementation("eager")
    assert run(case, "image", ("kl",)).attrs["path"] == CopiedResume.path
    case.model.hf.set_attn_implementation("sdpa")
    assert run(case, "image", ("kl",)).attrs["path"] == Resume.path


@pytest.mark.parametrize("tokens", [NEXT, "image"])
def test_an_attention_that_somebody_registered(tokens, device):
    plain = ALL_ATTENTION_FUNCTIONS["sdpa"]
    ALL_ATTENTION_FUNCTIONS.register("somebodys", lambda *given, **named: plain(*given, **named))
    try:
        case = case_of("llava", "somebodys", device)
        grid = run(case, tokens, TOGETHER)
        assert_cells(case, case.encoded, grid, tokens)
    finally:
        del type(ALL_ATTENTION_FUNCTIONS)._global_mapping["somebodys"]
