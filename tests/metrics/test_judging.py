"""Judges of what an answer says, and their agreement with the rule of naming."""

import json

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image
from sklearn.metrics import cohen_kappa_score

import mllm_probe as mp
from mllm_probe.apps.zoo import tiny_llava
from mllm_probe.metrics import ModelJudge, judge_agreement
from mllm_probe.metrics.text import named
from tests.metrics import answers

QUESTION = "is there a {words} in this picture : {text} ?"


def grid_of(texts, unsteered=(), words=("cat", "dog")):
    """A grid with these answers [concept, sample]."""
    data = {"text": (("concept", "sample"), np.array(texts, dtype=object))}
    if unsteered:
        data["text_unsteered"] = ("unsteered", np.array(unsteered, dtype=object))
    coordinates = {"concept": list(words), "words": ("concept", [json.dumps([word]) for word in words])}
    return xr.Dataset(data, coordinates)


def careful(text, words):
    """The judgements of a reader, for answers of the table."""
    return next(row.named for row in answers.read() if (row.answer, row.words) == (text, tuple(words)))


def test_kappa_counts_different_answers_once_and_lists_what_differs():
    grid = grid_of(
        [["a cat", "a cat", "no cat", "", "a feline"], ["a dog", "no dog", "no dog", "a cat", "a feline"]],
        ["a dog", " "],
    )
    judge = {"a cat": True, "no cat": True, "a feline": True, "a dog": True, "no dog": False}
    found = judge_agreement(grid, lambda text, words: judge[text] and (words[0] in text or "feline" in text))
    # cat: "a cat", "no cat", "a feline", "a dog"; dog: "a dog", "no dog", "a cat", "a feline"
    rule, other = [1, 0, 0, 0, 1, 0, 0, 0], [1, 1, 1, 0, 1, 0, 0, 1]
    assert found.n == 8 and found.kappa == pytest.approx(cohen_kappa_score(rule, other))
    assert (found.rule, found.judge) == (2 / 8, 5 / 8)
    assert -1 <= found.low < found.kappa < found.high <= 1
    listed = [tuple(row) for row in found.disagreements.itertuples(index=False)]
    assert listed == [
        ("cat", "a feline", False, True, 1), ("cat", "no cat", False, True, 1), ("dog", "a feline", False, True, 1),
    ]  # fmt: skip


def test_rows_are_counted_and_the_most_frequent_disagreement_comes_first():
    grid = grid_of([["a cat", "no cat", "no cat", "no cat"], ["a cat", "a cat", "no dog", "a dog"]])
    found = judge_agreement(grid, lambda text, words: text in ("no cat", "no dog", "a cat"))
    assert found.disagreements["rows"].tolist() == [3, 2, 1, 1]
    assert found.disagreements.loc[0, "answer"] == "no cat" and not found.disagreements.loc[0, "rule"]


def test_the_rule_agrees_with_a_reader_and_a_judge_that_finds_words_does_not():
    rows = [row for row in answers.read() if row.words == ("cat",)]
    grid = grid_of([[row.answer for row in rows]], words=("cat",))
    reader, finder = (
        judge_agreement(grid, judge, resamples=200) for judge in (careful, lambda text, words: words[0] in text)
    )
    assert reader.n == len(rows) and reader.kappa > 0.9 > 0.6 > finder.kappa
    assert reader.low <= reader.kappa <= reader.high and finder.high < reader.kappa


def test_fewer_pairs_are_drawn_by_the_seed():
    grid = grid_of([[f"a cat {i}" for i in range(30)], [f"no dog {i}" for i in range(30)]])
    judged = []
    for seed in (0, 0, 1):
        asked = []
        judge = lambda text, words, asked=asked: asked.append(text) or True  # noqa: E731
        found = judge_agreement(grid, judge, most=20, seed=seed, resamples=20)
        assert found.n == len(asked) == 20
        judged.append(asked)
    assert judged[0] == judged[1] != judged[2]


def test_full_agreement_on_one_answer_has_no_kappa():
    found = judge_agreement(grid_of([["a cat", "cats"], ["a dog", "dogs"]]), lambda text, words: True)
    assert np.isnan([found.kappa, found.low, found.high]).all() and found.n == 4 and found.disagreements.empty


def test_a_model_judges_by_the_answer_it_would_begin(tiny):
    judge = ModelJudge(tiny, QUESTION)
    encoded = tiny.encode(None, "is there a cat or dog in this picture : no dog ?")
    with torch.no_grad():
        logits = tiny.hf(**encoded.tensors).logits[0, -1].float()
    yes, no = (tiny.tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    assert judge.log_odds("no dog", ["cat", "dog"]) == pytest.approx(float(logits[yes] - logits[no]), abs=1e-4)
    assert judge("no dog", ["cat", "dog"]) is (bool(logits[yes] > logits[no]))
    swapped = ModelJudge(tiny, QUESTION, yes=["no"], no=["yes"])
    assert swapped.log_odds("no dog", ["cat"]) == pytest.approx(-judge.log_odds("no dog", ["cat"]), abs=1e-6)


def test_a_model_is_a_judge_of_the_answers_of_a_sweep(tiny):
    vectors = mp.vectors_from(
        tiny, {"cat": np.ones((len(tiny.layers), tiny.hidden_size), np.float32)}, words={"cat": ["cat"]}
    )
    images = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    grid = mp.sweep(
        tiny, vectors, images, "what is this ?", layers=[0], strengths=(0, 4), unit="raw", metrics=("named",),
        draws=4, max_new_tokens=4, progress=False,
    )  # fmt: skip
    judge = ModelJudge(tiny, QUESTION)
    found = judge_agreement(grid, judge)
    different = {str(text) for text in grid["text"].values.ravel()} | set(grid["text_unsteered"].values.ravel())
    assert found.n == len({text for text in different if text.strip()}) > 1
    assert found.judge == pytest.approx(np.mean([judge(text, ["cat"]) for text in different if text.strip()]))
    assert found.rule == pytest.approx(np.mean([named(text, ["cat"]) for text in different if text.strip()]))


def test_what_cannot_judge_is_refused(tiny):
    grid = grid_of([["a cat"], ["a dog"]])
    with pytest.raises(TypeError, match="gives True or False, but for 'a cat' it gave .*yes"):
        judge_agreement(grid, lambda text, words: "yes")
    with pytest.raises(ValueError, match=r"has no 'text' by concept\. Run mp\.sweep with a metric that reads answers"):
        judge_agreement(grid.drop_vars("text"), lambda text, words: True)
    with pytest.raises(ValueError, match="no answer to a concept with words as text"):
        judge_agreement(grid.assign_coords(words=("concept", ["[5]", "[]"])), lambda text, words: True)
    with pytest.raises(ValueError, match="expected a loaded model"):
        judge_agreement(grid, "a judge")
    with pytest.raises(
        ValueError, match=r"question: expected the places .*; 'is \{text\} true \?' lacks \['\{words\}'\]"
    ):
        ModelJudge(tiny, "is {text} true ?")
    with pytest.raises(ValueError, match=r"no: .* knows none of \['nope'\] as an answer; give others"):
        ModelJudge(tiny, QUESTION, no=["nope"])
    with pytest.raises(ValueError, match="wrapped without a processor, so it cannot be asked about a text"):
        ModelJudge(mp.wrap(tiny_llava().hf))


def test_a_model_that_needs_an_image_says_so(tiny):
    def needs_pixels(module, arguments, named):
        if named.get("pixel_values") is None:
            raise ValueError("You must specify pixel_values")

    hook = tiny.hf.register_forward_pre_hook(needs_pixels, with_kwargs=True)
    try:
        with pytest.raises(ValueError, match=r"does not read a prompt without an image \(ValueError: You must specify"):
            ModelJudge(tiny, QUESTION)("a cat", ["cat"])
    finally:
        hook.remove()
