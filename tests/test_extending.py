"""A user's own operation and metric, defined in the user's file, go through all that a built-in one goes through."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mllm_probe as mp
from mllm_probe.activations.hooks import attached
from mllm_probe.steering import editing
from mllm_probe.steering.operations import Affine
from tests.steering.reference import PROMPT, made_vectors


def halve(h, v, dose):
    """Δh that scales the projection on v by 1 − dose / 2."""
    return -(dose / 2 * (h * v).sum(-1))[..., None] * v


def clip(h, v, dose):
    """Δh that lowers the projection on v to the dose: not affine in h."""
    projection = (h * v).sum(-1)
    return (projection.clamp(max=dose) - projection)[..., None] * v


OWN = {
    "with affine form": mp.Operation(
        "halve",
        halve,
        affine=lambda v, dose: Affine(v, along=v, gain=-dose / 2),
        doses=(0, 2),
        in_unit=False,
        removes=True,
    ),
    "without": mp.Operation("clip", clip, doses=(-10, 10), in_unit=False, removes=True),
}


@pytest.fixture(scope="module")
def vectors(tiny):
    return made_vectors(tiny)


def sweep(tiny, vectors, pictures, operation, **settings):
    settings = {"metrics": ("logprob", "named", "kl"), "strengths": (0, 1), "layers": [1, 2], "draws": 4} | settings
    return mp.sweep(
        tiny, vectors, pictures[:3], PROMPT, operation=operation, progress=False, max_new_tokens=3, **settings
    )


@pytest.mark.parametrize("operation", OWN.values(), ids=list(OWN))
@pytest.mark.parametrize("tokens", [("last_prompt", "generated"), "image"], ids=str)
def test_an_operation_of_a_user_goes_through_sweep_effect_map_and_report(
    tiny, vectors, pictures, operation, tokens, tmp_path
):
    grid = sweep(tiny, vectors, pictures, operation, tokens=tokens)
    assert grid.attrs["operation"] == operation.name
    assert np.isfinite(grid["logprob"].sel(control="concept", draw=0)).all()
    effect = mp.effect(grid, "logprob")
    assert float(abs(effect["value"].sel(strength=1)).max()) > 1e-4
    mp.LayerConceptHeatmap(grid).to_svg(tmp_path / "map.svg")
    assert (tmp_path / "map.svg").read_text(encoding="utf-8").startswith("<svg")
    mp.report(grid, tmp_path / "page.html")
    assert operation.name in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("operation", OWN.values(), ids=list(OWN))
def test_cells_of_an_own_operation_equal_plain_hooks(tiny, vectors, pictures, operation):
    grid = sweep(tiny, vectors, pictures, operation, metrics=("logit",), controls=("random",))
    cat = vectors.sel(concept="cat", scope="last_prompt")
    encoded = tiny.encode(pictures[:1], PROMPT)
    token = tiny.tokenizer.convert_tokens_to_ids(tiny.tokenizer.tokenize(" cat"))[0]
    for layer in (1, 2):
        v = torch.tensor(cat["vector"].sel(layer=layer).values)
        v = v / v.norm()

        def edit(_, hidden, v=v):
            out = hidden.clone()
            h = out[:, -1]
            out[:, -1] = h + operation.change(h, v.expand_as(h), torch.ones(len(h)))
            return out

        with attached(tiny, edit, layers=[layer]), torch.no_grad():
            expected = tiny.hf(**encoded.tensors).logits[0, -1, token]
        got = grid["logit"].sel(concept="cat", layer=layer, strength=1, control="concept", draw=0)[0]
        assert abs(float(got) - float(expected)) < 1e-4


def test_receipts_say_that_the_general_editor_ran(tiny, vectors, pictures):
    rows = [mp.Steering(vectors.sel(concept="cat"), [1], 1.0, operation=operation) for operation in OWN.values()]
    out = mp.generate(tiny, pictures[0], PROMPT, steering=rows, max_new_tokens=3)
    assert out.receipt[0].general == ()
    assert out.receipt[1].general == ("clip",)
    assert "clip run by the general editor" in str(out.receipt[1])
    assert [row for row, _, _ in mp.stream(tiny, pictures[0], PROMPT, steering=rows, max_new_tokens=2)]


def test_a_function_is_an_operation(tiny, vectors, pictures):
    cat = vectors.sel(concept="cat")
    given = mp.Steering(cat, [1], 1.0, unit="raw", operation=lambda h, v, dose: dose[..., None] * v)
    added = mp.Steering(cat, [1], 1.0, unit="raw")
    texts = [mp.generate(tiny, pictures[0], PROMPT, steering=s, max_new_tokens=3) for s in (given, added)]
    assert torch.allclose(texts[0].logits, texts[1].logits, atol=1e-5)


@pytest.mark.parametrize("kind", ["random", "shuffled"])
def test_controls_of_an_operation_without_affine_form(tiny, vectors, pictures, kind):
    """A random control changes each position by as much as the concept does; a shuffled one clips another direction."""
    encoded = tiny.encode(pictures[:1], PROMPT)
    own = mp.Steering(vectors.sel(concept="cat"), [1], -3.0, tokens="all", operation=OWN["without"])
    seen = []
    for row in (None, own, own.control(kind, seed=1)):
        with editing(row, tiny, encoded), attached(tiny, lambda _, h: seen.append(h[0].clone()), layers=[1]):
            tiny.hf(**encoded.tensors)
    mine, control = seen[1] - seen[0], seen[2] - seen[0]
    assert mine.norm() > 0.1
    if kind == "random":
        assert torch.allclose(control.norm(dim=-1), mine.norm(dim=-1), rtol=1e-3, atol=1e-5)
        cosine = torch.nn.functional.cosine_similarity(control.sum(0), mine.sum(0), dim=0)
        assert abs(cosine) < 0.9
    else:
        assert control.norm() > 0.1 and not torch.allclose(control, mine)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: mp.Operation("x"), "needs change="),
        (lambda: mp.Operation("", halve), "expected a name"),
        (lambda: mp.Operation("x", "no"), "change must be a function"),
        (lambda: mp.Operation("x", halve, uses=("other",)), "uses: expected one of negative, to; got 'other'"),
        (lambda: mp.Operation("x", halve, doses=(1, 0)), "least, largest"),
        (lambda: mp.Operation("x", halve, affine=lambda v, dose: Affine(v, constant=dose)), "gives another change"),
    ],
)
def test_wrong_declarations_say_what_was_expected(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_a_change_of_the_wrong_shape_is_refused(tiny, vectors, pictures):
    row = mp.Steering(vectors.sel(concept="cat"), [1], 1.0, operation=lambda h, v, dose: dose)
    with pytest.raises(ValueError, match="must return the change, a Tensor of the activations' shape"):
        mp.generate(tiny, pictures[0], PROMPT, steering=row, max_new_tokens=2)


def test_a_store_tells_operations_of_one_name_apart(tiny, vectors, pictures, tmp_path):
    sweep(tiny, vectors, pictures, OWN["without"], store=tmp_path / "grid.zarr", metrics=("logprob",))
    other = mp.Operation("clip", lambda h, v, dose: -h, doses=(-10, 10), in_unit=False)
    with pytest.raises(ValueError, match="operation: stored 'clip"):
        sweep(tiny, vectors, pictures, other, store=tmp_path / "grid.zarr", metrics=("logprob",))


def words_of(answer, concept):
    """Number of words of the answer."""
    return len(answer.text.split())


def entropy(logits, table):
    """Entropy of the next token, the same for every concept [rows]."""
    logprob = torch.log_softmax(logits.float(), -1)
    return -(logprob.exp() * logprob).sum(-1)


METRICS = {
    "answer": mp.Metric("answer_words", "answer", words_of, "number of words in the answer", unit="words"),
    "logits": mp.Metric("entropy", "logits", entropy, "entropy of the first token", unit="nats"),
    "words": mp.Metric("odds", "words", lambda p: p - torch.log1p(-p.exp()), "log odds", unit="nats", direction=1),
    "forced": mp.Metric(
        "agreement", "forced", lambda a, b: (a.argmax(-1) == b.argmax(-1)).float(), "share of tokens kept", direction=-1
    ),
    "reference": mp.Metric(
        "surprise", "reference", lambda p, there: -torch.where(there, p, 0).sum(-1), "surprise", unit="nats"
    ),
}


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_a_metric_of_a_user_goes_through_sweep_effect_map_and_report(tiny, vectors, pictures, metric, tmp_path):
    grid = sweep(tiny, vectors, pictures, "add", metrics=(metric,), strengths=(0, 1))
    assert list(grid.attrs["metrics"]) == [metric.name]
    assert grid[metric.name].attrs["units"] == metric.unit
    assert np.isfinite(grid[metric.name].sel(control="concept", draw=0)).all()
    effect = mp.effect(grid, metric.name)
    assert np.isfinite(effect["value"]).all() and effect.attrs["metric"] == metric.name
    heatmap = mp.LayerConceptHeatmap(grid, metric=metric.name)
    assert heatmap.metrics == [metric.name] and metric.label in heatmap.metric_labels[metric.name]
    mp.report(grid, tmp_path / "page.html", metric=metric.name)
    assert metric.label in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_own_metrics_are_scored_as_they_say(tiny, vectors, pictures):
    metrics = ("logprob", "kl", "perplexity", *METRICS.values())
    grid = sweep(tiny, vectors, pictures, "add", metrics=metrics)
    texts = grid["text"].values
    wanted = np.vectorize(lambda text: len(text.split()))(texts)
    there = np.isfinite(grid["answer_words"].values)
    assert (grid["answer_words"].values[there] == wanted[there]).all()
    odds = grid["logprob"] - np.log1p(-np.exp(grid["logprob"]))
    np.testing.assert_allclose(grid["odds"], odds, rtol=1e-4)
    unsteered = grid["agreement"].sel(strength=0, control="concept", draw=0)
    assert (unsteered == 1).all() and "agreement_step" in grid
    encoded = tiny.encode(pictures[:1], PROMPT)
    logits = tiny.hf(**encoded.tensors).logits[:, -1]
    assert abs(float(grid["entropy_unsteered"][0, 0]) - float(entropy(logits, None)[0])) < 1e-4


def test_answers_are_generated_only_for_metrics_that_read_them(tiny, vectors, pictures):
    assert "text" not in sweep(tiny, vectors, pictures, "add", metrics=(METRICS["logits"], METRICS["words"]))
    assert "text" in sweep(tiny, vectors, pictures, "add", metrics=(METRICS["answer"],))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: mp.Metric("two words", "answer", len, "x"), "expected a name"),
        (lambda: mp.Metric("x", "thoughts", len, "x"), "reads: expected one of words, logits"),
        (lambda: mp.Metric("x", "answer", "no", "x"), "score must be a function"),
        (lambda: mp.Metric("x", "answer", len, "x", direction=2), "direction: expected one of 1, 0, -1; got 2"),
        (lambda: mp.Metric("x", "answer", len, "x", every_concept=True), "every_concept goes with"),
    ],
)
def test_wrong_metrics_say_what_was_expected(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_two_metrics_of_one_name_and_an_answer_score_that_is_no_number_are_refused(tiny, vectors, pictures):
    other = mp.Metric("logprob", "answer", words_of, "another")
    with pytest.raises(ValueError, match="two different metrics have the name 'logprob'"):
        sweep(tiny, vectors, pictures, "add", metrics=("logprob", other))
    wrong = mp.Metric("wrong", "answer", lambda answer, concept: answer.text, "text")
    with pytest.raises(ValueError, match="'wrong' must give a number"):
        sweep(tiny, vectors, pictures, "add", metrics=(wrong,))


def test_a_store_tells_metrics_of_one_name_apart(tiny, vectors, pictures, tmp_path):
    own = METRICS["answer"]
    sweep(tiny, vectors, pictures, "add", store=tmp_path / "grid.zarr", metrics=(own,))
    other = mp.Metric(own.name, "answer", lambda answer, concept: 0.0, own.label, unit=own.unit)
    with pytest.raises(ValueError, match=f"stored .*{own.name}"):
        sweep(tiny, vectors, pictures, "add", store=tmp_path / "grid.zarr", metrics=(other,))


def test_a_grid_from_a_file_knows_a_users_metric(tiny, vectors, pictures, tmp_path):
    import xarray as xr

    sweep(tiny, vectors, pictures, "add", metrics=(METRICS["answer"],), store=tmp_path / "grid.zarr")
    grid = xr.open_zarr(tmp_path / "grid.zarr").load()
    assert mp.effect(grid, "answer_words")["value"].notnull().all()
    assert mp.LayerConceptHeatmap(grid, metric="answer_words").metric_labels == {
        "answer_words": "Δ number of words in the answer"
    }
