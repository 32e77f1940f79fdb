from dataclasses import replace

import pytest
import torch


@pytest.fixture
def peers(bench):
    return bench("common.peers")


def tampered(peers, change):
    """A side that answers as plain hooks do, but for ``change``."""

    def run(work, prepared, cells):
        return change(peers.with_hooks(work, prepared, cells))

    return peers.Side("tampered", run, chunk=4)


def other_tokens(answers):
    tokens = answers.tokens.clone()
    tokens[0, -1] += 1
    return replace(answers, tokens=tokens)


def other_logits(answers):
    return replace(answers, logits=answers.logits + 0.01)


def other_scores(answers):
    return replace(answers, logprob=answers.logprob + 0.01, logits=None)


@pytest.mark.parametrize("change", [other_tokens, other_logits, other_scores])
def test_a_side_with_other_outputs_gets_no_ratio(work, bench, peers, change):
    comparison = bench("common.comparison")
    honest = peers.Side("honest", peers.with_hooks, chunk=4)
    rows = comparison.measure(work, [honest, tampered(peers, change)], rounds=1, sampled=2, memory=None)
    assert rows[0].comparable and not rows[1].comparable
    told = comparison.record(rows[1], rows[0], rows[0])
    assert told["seconds"] > 0 and told["by_ours"] is None and not told["outputs_same"]
    assert comparison.record(rows[0], rows[0], rows[0])["by_ours"] == 1
    assert comparison.fastest(rows, lambda side: True) is rows[0]


def test_a_side_that_raises_is_named_with_its_error(work, bench, peers):
    def broken(work, prepared, cells):
        raise TypeError("unexpected keyword")

    comparison = bench("common.comparison")
    honest = peers.Side("honest", peers.with_hooks, chunk=4)
    rows = comparison.measure(work, [honest, peers.Side("broken", broken, chunk=1)], rounds=1, sampled=2, memory=None)
    assert rows[1].error == "cannot run: TypeError: unexpected keyword"
    assert "cannot run: TypeError" in str(comparison.lines(rows, rows[0], rows[0])[1])


def test_tokens_may_differ_where_the_reference_ties(work, bench, peers):
    kind = bench("common.work")
    answers = peers.with_hooks(work, None, work.cells[:1])
    best = answers.logits[0, -1].topk(2)
    near = answers.logits.clone()
    near[0, -1, best.indices[1]] = best.values[0] - 1e-6
    chosen = answers.tokens.clone()
    chosen[0, -1] = best.indices[1]
    other = replace(answers, tokens=chosen, logits=None)
    assert kind.compare(replace(answers, logits=near), other, torch.float32).same
    assert not kind.compare(answers, other, torch.float32).same


def test_doses_are_those_of_the_sweep(work, bench):
    unit = work.doses / work.doses.norm(dim=-1, keepdim=True)
    vector = torch.from_numpy(work.vectors.vector.values)[0, 0]
    assert torch.allclose((unit * vector).sum(-1), vector.norm(dim=-1), rtol=1e-5)
    assert work.doses.norm(dim=-1).min() > 0.1 and len(set(work.cells)) == len(work.cells) == 12
    strengths = bench("common.work").strengths(9)
    assert len(strengths) == 9 and 0 not in strengths and min(strengths) == -2 and max(strengths) == 2


def test_answers_vary_with_the_edits(work, peers):
    answers = peers.with_hooks(work, None, work.cells)
    assert len({tuple(row) for row in answers.tokens.tolist()}) > 3


def test_timing_and_exponents(bench):
    measuring = bench("common.measuring")
    assert measuring.Timing((3.0, 1.0, 2.0)).median == 2 and measuring.Timing((3.0, 1.0, 2.0)).quartiles == (1.5, 2.5)
    assert measuring.Timing((1.0,)).quartiles == (1.0, 1.0)
    assert measuring.exponent([1, 4, 16], [2, 8, 32]) == pytest.approx(1)
    assert measuring.exponent([1, 4, 16], [3, 6, 12]) == pytest.approx(0.5)


def test_sides_take_turns(bench):
    order = []
    jobs = {name: lambda number, name=name: order.append(name) or 1.0 for name in "ab"}
    assert bench("common.measuring").in_turns(jobs, 2) == {"a": [1.0, 1.0], "b": [1.0, 1.0]}
    assert order == ["a", "b", "b", "a"]


def test_targets_are_met_missed_or_not_measured(bench):
    report = bench("common.report")
    found = [report.target("speed", value, 50, at_least=True) for value in (60, 40, None)]
    lines = report.targets_text(found).splitlines()
    assert [line.split("speed")[0].strip() for line in lines] == ["met", "missed", "not measured"]
    assert "(is 40)" in lines[1]


def test_rates_are_measured_with_a_clock_that_goes_in_steps(bench, monkeypatch):
    bounds = bench("common.bounds")
    exact = bounds.seconds
    monkeypatch.setattr(bounds, "seconds", lambda job, device: exact(job, device) // 0.01 * 0.01)
    rates = bounds.machine_rates("cpu", torch.float32, 32)
    assert 0 < rates.flops < float("inf") and 0 < rates.bytes < float("inf")
