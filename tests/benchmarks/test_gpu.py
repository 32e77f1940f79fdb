"""The benchmarks of a GPU in their dry form, on the CPU at tiny sizes, and how their runner records what happens."""

import importlib.util
import json
import sys
import types

import pytest
import torch

PEERS = {"nnsight", "steering_vectors"}
# A pytest within pytest would pay for the imports again; the lab is in tests/browser/test_explore_benchmark.py.
ALONE = {"tests", "lab"}


@pytest.fixture
def gpu(bench):
    return bench("gpu")


@pytest.fixture
def quick(bench, monkeypatch):
    """Without the other libraries, and without measuring the machine's rates: both cost seconds."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in PEERS else found(name, *a))
    for name in ("sweep", "prompt_sweep"):
        monkeypatch.setattr(bench(name), "machine_rates", lambda *given: bench("common.bounds").Rates(1e9, 1e9))


@pytest.fixture
def started(gpu, monkeypatch, tmp_path):
    """Starts the runner with options; gives its exit status and its summary, by the name of a call."""

    def start(*options):
        monkeypatch.setattr(sys, "argv", ["gpu.py", "--results", str(tmp_path), *options])
        with pytest.raises(SystemExit) as ended:
            gpu.main()
        return ended.value.code, json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["calls"]

    return start


def script(monkeypatch, name, main):
    """Puts a script of this name in place."""
    monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(main=main))


def write_figures():
    """As a script does: its figures go to the file that is named last."""
    print("a table")
    with open(sys.argv[-1], "w", encoding="utf-8") as file:
        json.dump({"parts": [{"targets": [{"target": "speed ≥ 2", "measured": 1.0, "met": False}]}]}, file)


def test_every_part_runs_in_its_dry_form_and_writes_its_file(gpu, started, quick, tmp_path, capsys):
    parts = [name for name in gpu.PARTS if name not in ALONE]
    status, calls = started("--dry", "--only", *parts)
    assert status == 0 and [one["part"] for one in calls.values()] == parts, calls
    for name, one in calls.items():
        figures = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        assert one["result"] == "done" and one["targets"] and figures["versions"]["torch"]
        assert "random Qwen2.5-VL" in (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    for needs in ("as a CUDA graph: needs CUDA", "bytes to the host: needs CUDA", "the error is simulated"):
        assert needs in printed
    assert "a graph needs CUDA" in printed and "| memory-qwen" in (tmp_path / "summary.md").read_text("utf-8")


def test_a_part_that_raises_is_recorded_and_the_others_go_on(started, monkeypatch, tmp_path):
    def broken():
        raise ValueError("no such layer")

    script(monkeypatch, "capture", broken)
    script(monkeypatch, "sweep", write_figures)
    status, calls = started("--dry", "--only", "capture", "sweep")
    assert status == 1
    assert calls["capture-qwen"]["result"] == "failed" and calls["sweep-qwen"]["result"] == "done"
    figures = json.loads((tmp_path / "capture-qwen.json").read_text(encoding="utf-8"))
    assert figures["error"] == "ValueError: no such layer" and "in broken" in figures["traceback"]
    table = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "ValueError: no such layer" in table and "missed: speed ≥ 2 (is 1)" in table


def test_figures_of_a_part_that_fails_because_of_them_are_kept(started, monkeypatch, tmp_path):
    def failing():
        write_figures()
        raise SystemExit("1 of 2 tests failed")

    script(monkeypatch, "device_tests", failing)
    script(monkeypatch, "capture", lambda: None)
    status, calls = started("--dry", "--only", "tests", "capture")
    assert status == 1 and calls["tests-float32"]["error"] == "SystemExit: 1 of 2 tests failed"
    assert calls["tests-float32"]["targets"][0]["measured"] == 1.0
    assert json.loads((tmp_path / "tests-float32.json").read_text(encoding="utf-8"))["parts"]
    assert calls["capture-qwen"]["error"] == "capture ended without writing capture-qwen.json"


def test_only_picks_parts_and_keeps_the_records_of_the_others(started, monkeypatch, tmp_path):
    for name in ("capture", "sweep"):
        script(monkeypatch, name, write_figures)
    assert list(started("--dry", "--only", "capture")[1]) == ["capture-qwen"]
    assert list(started("--dry", "--only", "sweep")[1]) == ["capture-qwen", "sweep-qwen"]
    assert (tmp_path / "sweep-qwen.md").read_text(encoding="utf-8") == "a table\n"


def test_what_no_time_is_left_for_is_recorded(started, monkeypatch):
    script(monkeypatch, "capture", write_figures)
    status, calls = started("--dry", "--only", "capture", "--minutes", "0")
    assert status == 1 and calls["capture-qwen"]["result"] == "not run"
    assert calls["capture-qwen"]["error"] == "the 0 minutes were used up"


def test_without_cuda_the_real_form_says_so_at_once(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit, match=r'Expected a machine with CUDA.*make gpu ARGS="--dry"'):
        gpu.main()


def test_the_real_form_names_options_that_its_scripts_take(gpu, bench, monkeypatch):
    for call in gpu.calls(dry=False):
        monkeypatch.setattr(sys, "argv", [call.script, *call.options])
        options = bench(call.script).arguments()
        assert options.dtype if call.part == "tests" else set(options.model) <= {"llava_7b", "qwen_7b"}


def test_models_of_full_size_have_the_prompt_that_is_asked_for(bench, monkeypatch):
    models = bench("common.models")
    monkeypatch.setattr(models, "FULL_SIZE", models.Place("meta", torch.bfloat16))
    for make, layers, width in ((models.llava_7b, 32, 4096), (models.qwen_7b, 28, 3584)):
        subject = make(600)
        assert subject.tokens == 600 and subject.model.dtype == torch.bfloat16
        assert (len(subject.model.layers), subject.model.hidden_size) == (layers, width)


@pytest.fixture
def scripts_of_the_folder(gpu, monkeypatch, tmp_path):
    """Runs a script of some text in a process of its own, as on a GPU."""
    monkeypatch.setattr(gpu, "HERE", tmp_path)

    def run(text, seconds=60.0):
        (tmp_path / "own.py").write_text(text)
        gpu.in_a_process(gpu.Call("own", "own", "own", ("--fast",), seconds), tmp_path)

    return run


def test_a_script_in_a_process_of_its_own_writes_its_table_and_its_figures(scripts_of_the_folder, tmp_path):
    scripts_of_the_folder("import sys; print('a table'); open(sys.argv[-1], 'w').write(' '.join(sys.argv[1:-1]))")
    assert (tmp_path / "own.md").read_text() == "a table\n"
    assert (tmp_path / "own.json").read_text() == "--fast --json"


def test_a_process_that_fails_or_takes_too_long_is_an_error(scripts_of_the_folder):
    with pytest.raises(RuntimeError, match=r"ended with status 1:\s+no such side"):
        scripts_of_the_folder("raise SystemExit('no such side')")
    with pytest.raises(RuntimeError, match="stopped after 0 seconds"):
        scripts_of_the_folder("import time; time.sleep(600)", seconds=0.2)


def test_bytes_to_the_host_are_those_of_the_copies_from_the_device(bench):
    profiling = bench("common.profiling")
    names = {"Memcpy DtoH (Device -> Pageable)": 300, "Memcpy HtoD (Pageable -> Device)": 50}
    copies = [{"cat": "gpu_memcpy", "name": name, "args": {"bytes": size}} for name, size in names.items()]
    assert profiling.copied_to_host([*copies, *copies, {"cat": "kernel", "name": "gemm"}, {"name": "DtoH"}]) == 600
    assert profiling.bytes_to_host(lambda: torch.ones(3).numpy()) == 0


def test_failed_device_tests_are_counted_and_named(bench, monkeypatch, tmp_path):
    script = bench("device_tests")
    report = (
        '<testsuites><testsuite tests="3" failures="1" errors="0" skipped="1">'
        '<testcase classname="tests.device.test_calls" name="test_one"><failure/></testcase>'
        '<testcase classname="tests.device.test_calls" name="test_two"/></testsuite></testsuites>'
    )

    def pytest_run(command, **given):
        assert command[-5:-1] == ["--device", "cpu", "--dtype", "bfloat16"] and "device_tests" in command
        with open(command[-1].partition("=")[2], "w", encoding="utf-8") as file:
            file.write(report)
        return types.SimpleNamespace(returncode=1, stdout="", stderr="")

    monkeypatch.setattr(script.subprocess, "run", pytest_run)
    monkeypatch.setattr(
        sys, "argv", ["x", "--device", "cpu", "--dtype", "bfloat16", "--json", str(tmp_path / "t.json")]
    )
    with pytest.raises(SystemExit, match=r"1 of 2 tests failed: tests.device.test_calls::test_one"):
        script.main()
    figures = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert figures["failed"] == ["tests.device.test_calls::test_one"] and figures["skipped"] == 1
    assert [target["met"] for target in figures["targets"]] == [False, True]


@pytest.mark.parametrize(("dtype", "kept"), [(None, ["a", "b"]), (["float32"], ["a", "b"]), (["bfloat16"], ["b"])])
def test_tests_without_a_device_or_dtype_are_left_out(bench, dtype, kept):
    items = [
        types.SimpleNamespace(name="a", fixturenames=["device"]),
        types.SimpleNamespace(name="b", fixturenames=["tiny", "device", "dtype"]),
        types.SimpleNamespace(name="c", fixturenames=["tmp_path"]),
        types.SimpleNamespace(name="a file"),
    ]
    left_out = []
    hook = types.SimpleNamespace(pytest_deselected=lambda items: left_out.extend(item.name for item in items))
    config = types.SimpleNamespace(getoption=lambda name: dtype, hook=hook)
    bench("device_tests").pytest_collection_modifyitems(config, items)
    assert [item.name for item in items] == kept and set(left_out) == {"a", "b", "c", "a file"} - set(kept)


@pytest.fixture
def cuda(monkeypatch):
    """A GPU of 80 GiB with 16 GiB in use, as far as its functions go; gives the shares that the process was allowed."""
    shares = []
    fakes = {
        "get_device_name": lambda: "a card", "synchronize": lambda: None, "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda: None, "max_memory_allocated": lambda: 20 * 2**30,
        "memory_allocated": lambda: 16 * 2**30, "set_per_process_memory_fraction": shares.append,
        "get_device_properties": lambda index: types.SimpleNamespace(total_memory=80 * 2**30),
    }  # fmt: skip
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return shares


def test_memory_of_the_process_is_limited_above_the_model_and_set_free_again(bench, cuda):
    with pytest.raises(KeyError), bench("out_of_memory").little_memory(8):
        assert cuda == [24 / 80]
        raise KeyError
    assert cuda == [24 / 80, 1.0]


def test_rows_that_fill_the_gpu_are_told_with_their_peak(bench, work, cuda):
    filled = bench("out_of_memory").filled(work)
    assert filled["rows"] == 12 and filled["halved"] == 0 and filled["peak_memory_bytes"] == 4 * 2**30


def test_facts_of_a_gpu_are_its_name_its_driver_and_the_versions(bench, cuda, monkeypatch):
    report = bench("common.report")
    done = types.SimpleNamespace(stdout="570.1\n570.1\n")
    monkeypatch.setattr(report.subprocess, "run", lambda command, **given: done)
    facts = report.facts(1, "cuda")
    assert facts["machine"].startswith("a card; ") and facts["versions"]["driver"] == "570.1"
    assert facts["versions"]["torch"] and "CUDA" in facts["versions"] and "wall" in facts["unit"]


def test_compilers_on_cuda_are_told_from_those_on_the_cpu(bench):
    decoding = bench("decoding")
    on_cuda = decoding.compilers("cuda")
    assert list(on_cuda) == [
        "fixed shapes, not compiled", "compiled", "compiled, CUDA graph", "CUDA graph, not compiled",
    ]  # fmt: skip
    made = [type(compiler(lambda *inputs: inputs[0])).__name__ for compiler in on_cuda.values()]
    assert made[2:] == ["Recorded", "Recorded"] and not any("CUDA" in name for name in decoding.compilers("cpu"))
