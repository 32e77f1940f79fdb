"""Several images run in one batch where each has few rows; nothing changes by that."""

import numpy as np
import pytest

import mllm_probe.sweeps as sweeps
from mllm_probe.models.probe_model import ProbeModel
from mllm_probe.sweeps import runner
from mllm_probe.sweeps.runner import Limits
from tests.sweeps.helpers import forwards, random_vectors, same

WORDS = {"cat": ["cat", "red star"], "dog": ["dog"]}
SETTINGS = {
    "layers": [0, 2],
    "strengths": (-1, 0, 1),
    "draws": 4,
    "controls": "random",
    "max_new_tokens": 4,
    "progress": False,
}


@pytest.mark.parametrize("prefix", ["", "the picture shows"])
def test_images_that_run_together_give_what_they_give_alone(tiny, pictures, monkeypatch, prefix):
    vectors = random_vectors(tiny, words=WORDS, norm=20.0)
    sweeps.sweep(tiny, vectors, pictures[:1], answer_prefix=prefix, **SETTINGS)  # a model's first sweep tries paths
    with forwards(tiny) as few:
        together = sweeps.sweep(tiny, vectors, pictures[:4], answer_prefix=prefix, **SETTINGS)
    monkeypatch.setattr(runner, "DEFAULT", Limits(packed_rows=0))
    with forwards(tiny) as many:
        alone = sweeps.sweep(tiny, vectors, pictures[:4], answer_prefix=prefix, **SETTINGS)
    assert together.attrs["images_together"] == 4 and alone.attrs["images_together"] == 1
    assert len(few) < len(many) and together.attrs["chunks"] < alone.attrs["chunks"]
    assert len(np.unique(together.text.values)) > 3, "answers must differ, or nothing is shown"
    same(together, alone, rtol=1e-4)


def test_unsteered_rows_of_several_images_run_together_too(tiny, pictures, monkeypatch):
    settings = SETTINGS | {"strengths": (0,), "controls": ()}
    vectors = random_vectors(tiny, words=WORDS, norm=20.0)
    sweeps.sweep(tiny, vectors, pictures[:1], **SETTINGS)
    with forwards(tiny) as few:
        together = sweeps.sweep(tiny, vectors, pictures[:4], **settings)
    monkeypatch.setattr(runner, "DEFAULT", Limits(packed_rows=0))
    with forwards(tiny) as many:
        alone = sweeps.sweep(tiny, vectors, pictures[:4], **settings)
    assert together.attrs["images_together"] == 4 and alone.attrs["images_together"] == 1 and len(few) < len(many)
    same(together, alone, rtol=1e-4)


def test_prompts_of_other_length_run_apart(tiny, pictures):
    prompts = ["what do you see?", "describe the picture in one word, not two", "what do you see?"]
    grid = sweeps.sweep(
        tiny, random_vectors(tiny), pictures[:3], prompts, metrics=("logprob",), draws=4, progress=False
    )
    assert grid.attrs["images_together"] == 1 and grid.attrs["chunks"] == 3 and grid.attrs["progress"] == 1


def test_unsteered_answers_of_images_that_run_together_may_end_at_different_steps(tiny, pictures, monkeypatch):
    vectors, settings = random_vectors(tiny), {"layers": [0, 2], "strengths": (1,), "draws": 4, "progress": False}
    answers = sweeps.sweep(tiny, vectors, pictures[:2], metrics=("tokens",), **settings).tokens_unsteered.values
    early = next(int(t) for answer in answers for t in answer[:-1] if (answers == t).any(1).sum() == 1)
    monkeypatch.setattr(ProbeModel, "eos_token_ids", property(lambda model: frozenset({early})))
    together = sweeps.sweep(tiny, vectors, pictures[:2], metrics=("kl",), **settings)
    assert together.attrs["images_together"] == 2
    for index in range(2):
        alone = sweeps.sweep(tiny, vectors, pictures[index : index + 1], metrics=("kl",), **settings)
        np.testing.assert_allclose(together.kl.isel(sample=index), alone.kl.isel(sample=0), rtol=1e-4, atol=2e-5)
