import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

PEERS = {"nnsight", "steering_vectors"}
TINY = (
    "--width", "32", "--layers", "3", "--vocabulary", "100", "--tokens", "24", "--swept", "2", "--strengths", "3",
    "--steps", "2", "--repeats", "1", "--sampled", "1", "--no-memory",
)  # fmt: skip


@pytest.fixture
def without_peers(monkeypatch):
    """As on a machine where the extra of the benchmarks is not installed."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in PEERS else found(name, *a))


@pytest.fixture
def run_tiny(bench, monkeypatch, tmp_path, capsys):
    """Runs a script with tiny sizes; gives its figures and what it printed."""

    def run(name, *arguments):
        file = tmp_path / f"{name}.json"
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *TINY, "--json", str(file), *arguments])
        bench(name).main()
        return json.loads(file.read_text(encoding="utf-8")), capsys.readouterr().out

    return run


def sides_of(part):
    return {side["side"]: side for side in part["sides"]}


def is_told(side):
    """A side says why it has no figures, or has the outputs of the reference and a time."""
    if side["error"]:
        return side["error"] == "not installed"
    return side["outputs_same"] and side["seconds"] > 0 and side["by_ours"] > 0


def test_sweep_runs_and_all_sides_answer_alike(run_tiny):
    result, printed = run_tiny("sweep", "--rows-by-hand", "4")
    (part,) = result["parts"]
    sides = sides_of(part)
    assert len(sides) == 8 and all(is_told(side) for side in sides.values()), sides
    assert "hooks + generate, one cell at a time" in printed and "tokens equal" in printed
    assert len(part["extras"]) == 7 and part["roofline"]["flops"] > 1e6
    assert [target["met"] is not None for target in part["targets"]] == [True] * 3
    assert result["versions"]["torch"] and result["date"] and "path of the sweep: " in part["ways"]


def test_prompt_sweep_runs_and_a_map_of_logits_decodes_nothing(run_tiny):
    result, printed = run_tiny("prompt_sweep")
    (part,) = result["parts"]
    sides = sides_of(part)
    assert len(sides) == 7 and all(is_told(side) for side in sides.values()), sides
    assert part["logits_only"]["decode_steps"] == 0 and "0 decode steps" in printed


def test_patch_runs_and_all_sides_score_alike(run_tiny):
    result, printed = run_tiny("patch", "--sampled", "2")
    (part,) = result["parts"]
    sides = sides_of(part)
    assert len(sides) == 5 and "nnsight, one cell at a time" in printed
    for name, side in sides.items():
        assert side["error"] == "not installed" or (side["outputs_same"] and side["ms_per_cell"] > 0), (name, side)
    assert [target["met"] is not None for target in part["targets"]] == [True] * 2
    assert sides["mllm_probe.patch, default groups"]["cells"] == 2 * sides["mllm_probe.sweep, image"]["cells"]


def test_profile_shows_where_the_time_goes(run_tiny):
    result, printed = run_tiny("sweep", "--profile")
    (part,) = result["parts"]
    assert {"linears", "prefix attention", "edits", "metrics", "bookkeeping"} <= set(part["profile_seconds"])
    assert part["profile_seconds"]["linears"] > 0 and "| linears" in printed


def test_capture_runs_and_reads_what_others_read(run_tiny, without_peers):
    result, printed = run_tiny("capture")
    sides = sides_of(result["parts"][0])
    assert sides["mllm_probe.capture"]["difference"] < 1e-5 and sides["mllm_probe.capture"]["by_bare"] > 0
    assert sides["nnsight"]["error"] == "not installed" and "| not installed" in printed


def test_latency_runs_and_the_session_answers_as_hooks_do(run_tiny):
    result, printed = run_tiny("latency", "--moves", "3")
    (part,) = result["parts"]
    assert [side["unequal_tokens"] for side in part["sides"]] == [0, 0, 0] and "tokens equal" in printed
    assert part["targets"][0]["measured"] > 0


def test_growth_runs_and_fits_exponents(run_tiny):
    result, printed = run_tiny("growth", "--times-cells", "1", "3", "--times-pictures", "1", "2")
    (part,) = result["parts"]
    assert part["growth"]["cells"]["counts"] == [4, 12] and part["growth"]["pictures"]["counts"] == [1, 2]
    assert isinstance(part["growth"]["cells"]["exponent"], float) and "fitted exponents: time" in printed


def test_peak_memory_of_a_side_comes_from_a_process_of_its_own(bench):
    tiny = [*TINY, "--rows-by-hand", "4", "--memory-of", "hooks + generate, rows 4 at a time"]
    script = str(Path(bench("sweep").__file__))
    assert 0 < bench("common.measuring").peak_of_child(script, tiny) < 2**30


def test_a_process_that_fails_says_why(bench, tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit('no such side')")
    with pytest.raises(RuntimeError, match=r"broken.py --memory-of x failed:\s+no such side"):
        bench("common.measuring").peak_of_child(str(script), ["--memory-of", "x"])


def test_the_first_frame_is_measured_up_to_each_of_its_events(bench):
    script = bench("first_frame")
    found = script.measured("loaded")
    assert list(found) == ["import", *script.EVENTS]
    for clock in ("cpu", "wall"):
        seconds = [found[event][clock] for event in script.EVENTS]
        assert seconds == sorted(seconds) and seconds[0] > 0
    found = script.measured("name")
    assert list(found) == [script.FRAME, script.LIVE] and found[script.FRAME]["wall"] < found[script.LIVE]["wall"]


def test_the_first_answer_is_compared_with_the_import_of_the_parser(bench):
    script = bench("first_answer")
    found = script.measured(("families llava",), 1)
    assert list(found) == [script.BASELINE, "families llava"] and min(found.values()) > 0
    with pytest.raises(RuntimeError, match="no_such_module"):
        script.cpu_seconds(["-c", "import no_such_module"], ".")


def test_a_checkout_is_compared_with_another_one(bench, monkeypatch, capsys):
    against, seconds = bench("against"), {"here": iter([1.0, 3.0, 1.2]), "other": iter([1.0, 1.0, 1.3])}
    roots = {"here": against.ROOT, "other": against.ROOT.parent}
    side_of = {root: side for side, root in roots.items()}
    monkeypatch.setattr(against, "run", lambda name, checkout: {"a figure": next(seconds[side_of[checkout]])})
    samples = against.in_turns("sweep", roots, 3)
    assert against.row("a figure", samples, 1.05)[3:] == ["1.200", "over 1.05"]
    assert against.row("a figure", samples, 1.2)[3:] == ["1.200", "met"]


def test_figures_of_a_checkout_come_from_its_own_package(bench, tmp_path):
    against = bench("against")
    common = tmp_path / "benchmarks" / "common"
    common.mkdir(parents=True)
    (common / "work.py").write_text("raise ImportError('of the other checkout')\n")
    with pytest.raises(RuntimeError, match="of the other checkout"):
        against.run("sweep", tmp_path)


@pytest.mark.parametrize("name", ["sweep", "prompt_sweep", "latency"])
def test_what_is_compared_runs(bench, monkeypatch, name):
    against = bench("against")
    tiny = {"width": 32, "layers": 3, "vocabulary": 100, "swept": 3, "strengths": 3, "steps": 2}
    monkeypatch.setattr(against, "SIZES", tiny)
    monkeypatch.setattr(against, "TOKENS", 24)
    monkeypatch.setattr(against, "MOVE_ROUNDS", 1)
    figures = against.measured(name)
    assert figures and all(value > 0 for value in figures.values())


def test_first_sweep_runs_and_tells_the_ratio_of_both(run_tiny, monkeypatch):
    monkeypatch.setenv("MLLM_PROBE_WAYS", "off")
    result, printed = run_tiny("first_sweep")
    (part,) = result["parts"]
    assert [one["disk"] for one in part["calls"]] == ["none yet", "kept"]
    assert all(one["ratio"] == pytest.approx(one["first"] / one["later"]) for one in part["calls"])
    assert [one["measured"] for one in part["targets"]] == [one["ratio"] for one in part["calls"]]
    assert "first / later, verdict kept" in printed
    assert os.environ["MLLM_PROBE_WAYS"] == "off"
