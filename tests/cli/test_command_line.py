"""The command line prints the same results and tells failure by its exit status."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from cyclopts import App, CycloptsError
from PIL import Image

from mllm_probe import loading
from mllm_probe.cli import app, main
from mllm_probe.loading.verification import Check, Outcome, VerificationError, VerificationReport
from mllm_probe.models import ProbeModel
from mllm_probe.sweeps import sweep
from tests.sweeps.helpers import random_vectors
from tests.widgets.test_heatmap import raw_grid

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("families", "verify", "describe", "models", "models get", "capture",
            "vectors", "sweep", "work", "status", "effect", "export", "report", "studies",
            "studies bundled")  # fmt: skip
"""In the order in which their examples follow one another."""
HEAVY = ("torch", "transformers", "xarray", "pandas", "numpy", "zarr")


def test_families_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "llava", "mllama", "mistral4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["llava", "verified"]
    assert "no check of image tokens: the image enters by cross-attention" in lines[1]
    assert lines[2].split()[:2] == ["mistral4", "skipped"]
    assert "LayoutError: Mistral4ForCausalLM" in lines[2]
    assert lines[-1].startswith("2 of 3 families verified, 1 skipped (transformers ")


def test_verify_a_folder(tiny: ProbeModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.hf.save_pretrained(tmp_path / "little")
    tiny.processor.save_pretrained(tmp_path / "little")
    assert main(["verify", str(tmp_path / "little"), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "model.language_model.layers  (4 × LlamaDecoderLayer" in out
    assert "little (family llava): verified" in out


def test_wrong_input_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "nonesuch"]) == 2
    assert "mllm-probe: There is no bundled model 'nonesuch'" in capsys.readouterr().err
    assert main(["families", "nonesuch"]) == 2


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("command", [[], *(name.split() for name in COMMANDS)], ids=lambda command: " ".join(command))
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    script = f"""
import sys
import warnings
from mllm_probe.cli import main
assert main({[*command, "--help"]}) == 0
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = run("-c", script)
    assert done.returncode == 0, done.stderr
    assert "Usage: mllm-probe" in done.stdout and done.stdout.splitlines()[-1] == "[]"


NAMELESS = "There is no bundled model 'nope'"
STORELESS = "no store at nope.zarr"
GRIDLESS = "there is no Zarr store at nope.zarr"


@pytest.mark.parametrize(
    ("command", "status", "answer"),
    [
        ("models", 0, "scenes-4l"),
        ("models get nope", 2, "There is nothing called 'nope' to fetch"),
        ("families", 0, "families verified"),
        ("families nope", 2, "There is no family 'nope'"),
        ("describe nope", 2, NAMELESS),
        ("verify nope", 2, NAMELESS),
        ("verify ./nope", 2, "Expected a folder with a model"),
        ("capture --model nope --out x.zarr --library scenes", 2, NAMELESS),
        ("vectors --model nope --out x.safetensors --library scenes", 2, NAMELESS),
        ("sweep --model nope --store x.zarr --library scenes", 2, NAMELESS),
        ("sweep --model scenes-4l --store x.zarr --library nope", 2, "nope"),
        (
            "sweep --model scenes-4l --store x.zarr --library scenes --vectors nope.safetensors",
            2,
            "There is no file of vectors at nope.safetensors.",
        ),
        ("work nope.zarr", 2, STORELESS),
        ("status nope.zarr", 2, STORELESS),
        ("status swept.zarr", 0, "2 of 2 units"),
        ("status swept.zarr --check", 0, "every checksum is right"),
        ("effect nope.zarr", 2, GRIDLESS),
        ("export nope.zarr x.csv", 2, GRIDLESS),
        ("report nope.zarr x.html", 2, GRIDLESS),
    ],
)
def test_names_files_and_stores_are_looked_up_without_pytorch(
    command: str, status: int, answer: str, swept: Path
) -> None:
    script = f"""
import sys
from mllm_probe.cli import main
assert main({command.split()}) == {status}
print([name for name in ("torch", "transformers") if name in sys.modules])
"""
    done = run("-c", script, cwd=swept)
    assert done.returncode == 0, done.stderr
    assert answer in done.stdout + done.stderr and done.stdout.splitlines()[-1] == "[]"


@pytest.fixture(scope="module")
def swept(tiny: ProbeModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store of a finished sweep."""
    folder = tmp_path_factory.mktemp("swept")
    pictures = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    settings = {"layers": [1], "strengths": (1,), "draws": 4, "metrics": ("logprob",), "progress": False}
    sweep(tiny, random_vectors(tiny), pictures, store=folder / "swept.zarr", **settings)
    return folder


def test_every_command_and_option_is_explained() -> None:
    assert set(commands(app)) == set(COMMANDS)
    for name, command in commands(app).items():
        assert command.help, name
        if command.default_command is not None:
            arguments = command.assemble_argument_collection(parse_docstring=True)
            assert all(argument.parameter.help for argument in arguments if argument.name != "*"), name


def commands(group: App, above: str = "") -> dict[str, App]:
    """Commands of a group and of the groups in it, by what is typed."""
    names = [name for name in group if not name.startswith("-")]
    found = {f"{above}{name}": group[name] for name in names}
    return found | {inner: one for name in names for inner, one in commands(group[name], f"{above}{name} ").items()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonesuch"], 'Unknown command "nonesuch"'),
        (["verify"], "requires an argument. See: mllm-probe verify --help"),
        (["verify", "a", "b"], "mllm-probe verify --help"),
        (["report", "a.zarr", "a.html", "--speed", "9"], 'Unknown option: "--speed"'),
        (["report", "nowhere.zarr", "a.html"], "there is no Zarr store at nowhere.zarr"),
        (["report", "no\x1b[31m\nwhere", "a.html"], r"no Zarr store at no\x1b[31m where"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("mllm-probe: ") and shown.err.count("\n") == 1
    assert message.replace('"', "") in shown.err.replace('"', "") and "\x1b" not in shown.err


def test_a_check_that_fails_ends_with_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    checks = (Check("edits", Outcome.FAILED, "edits do not reach the logits"),)
    failed = VerificationReport("tiny", "llava", "model.layers", checks)

    def load(*arguments: object, **options: object) -> None:
        raise VerificationError(failed)

    monkeypatch.setattr(loading, "load", load)
    assert main(["verify", "scenes-8l"]) == 1
    assert "edits do not reach the logits" in capsys.readouterr().out


def test_report_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw_grid().to_zarr(tmp_path / "grid.zarr", zarr_format=2)
    assert main(["report", str(tmp_path / "grid.zarr"), str(tmp_path / "page.html"), "--title", "Cats"]) == 0
    assert "Cats" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert str(tmp_path / "page.html") in capsys.readouterr().out


def test_the_script_gives_the_status_to_the_shell() -> None:
    done = run("-m", "mllm_probe.cli", "verify")
    assert done.returncode == 2 and done.stderr.startswith("mllm-probe: ")


NOT_RUN = {
    "studies bundled --out": "runs a study on three models, for minutes",
}
"""Examples that the test below leaves out, by their beginnings, and why."""


def examples(command: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is typed after ``mllm-probe`` in the examples of a command's help."""
    assert main([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples: " in text, command
    return [line.replace("\\\n", " ") for line in re.findall(r"^  \$ mllm-probe ((?:.*\\\n)*.*?) *$", text, re.M)]


def test_examples_of_the_help_run_one_after_the_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran, left_out = set(), set()
    for command in COMMANDS:
        lines = examples(command, capsys)
        assert any(line.startswith(command) for line in lines), f"the help of {command} has no example"
        for line in lines:
            reasons = {start for start in NOT_RUN if line.startswith(start)}
            left_out |= reasons
            assert reasons or line in ran or main(shlex.split(line)) == 0, (line, capsys.readouterr().err)
            ran.add(line)
    assert left_out == set(NOT_RUN)
    assert {"cats.zarr", "cats.safetensors", "cats-sweep.zarr", "cats.csv", "cats.html"} <= set(os.listdir(tmp_path))


def test_examples_of_a_command_that_reads_a_file_run_in_an_empty_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after: dict[tuple[str, ...], Path] = {(): tmp_path / "empty"}
    after[()].mkdir()
    several = {name: examples(name, capsys) for name in COMMANDS}
    several = {name: lines for name, lines in several.items() if not lines[0].startswith(name)}
    assert set(several) == {"sweep", "work", "status", "effect", "export", "report"}
    for name, lines in several.items():
        for number, line in enumerate(lines):
            before, now = tuple(lines[:number]), tuple(lines[: number + 1])
            if now in after:  # ran for another command: what it left is copied
                continue
            after[now] = shutil.copytree(after[before], tmp_path / str(len(after)))
            monkeypatch.chdir(after[now])
            assert main(shlex.split(line)) == 0, (name, line, capsys.readouterr().err)


def test_an_example_of_several_lines_is_read_whole(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = examples("vectors", capsys)
    assert shlex.split(line)[-2:] == ["--out", "cats.safetensors"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_for_a_shell(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["--install-completion", "--shell", shell]) == 0
    written = "".join(file.read_text() for file in tmp_path.rglob("*") if file.is_file())
    assert all(name.split()[-1] in written for name in COMMANDS) and "--strengths" in written


def test_interrupted_is_incomplete(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "load", load)
    assert main(["describe", "scenes-4l"]) == 3
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("mllm-probe: interrupted")


def test_a_model_that_fails_its_checks_is_not_used(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = VerificationReport("tiny", "llava", "model.layers", (Check("edits", Outcome.FAILED, "no edit arrives"),))

    def load(*arguments: object, **options: object) -> None:
        raise VerificationError(failed)

    monkeypatch.setattr(loading, "load", load)
    assert main(["describe", "scenes-4l"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "" and "no edit arrives" in shown.err and shown.err.count("\n") == 1


def test_warnings_are_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*arguments: object, **options: object) -> None:
        warnings.warn("two\nlines", stacklevel=1)
        raise ValueError("no model")

    monkeypatch.setattr(loading, "load", load)
    assert main(["describe", "scenes-4l"]) == 2
    assert capsys.readouterr().err == "mllm-probe: warning: two lines\nmllm-probe: no model\n"


ROOT_PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands_of(text: str) -> list[list[str]]:
    """Command lines of ``mllm-probe`` in the shell blocks of a page, up to a comment or a redirection."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    words = [shlex.split(line.split(" > ")[0], comments=True) for line in lines if line.startswith("mllm-probe ")]
    return [one[1:] for one in words]


def test_commands_in_documents_have_the_options_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = [words for page in ROOT_PAGES for words in commands_of(page.read_text(encoding="utf-8"))]
    for words in found:
        for file in (word for word in words if word.endswith(".toml")):
            (tmp_path / file).write_text("model = 'scenes-4l'\n" + "store = 'a.zarr'\n" * (words[0] == "sweep"))
        app.parse_args(words, exit_on_error=False, print_error=False)
    assert {"vectors", "sweep", "effect", "report", "models", "studies"} <= {words[0] for words in found}


def test_a_wrong_option_in_a_document_is_seen() -> None:
    (words,) = commands_of("```bash\nmllm-probe sweep \\\n  --sped 3 # no\n```\n")
    assert words == ["sweep", "--sped", "3"]
    with pytest.raises(CycloptsError, match="--sped"):
        app.parse_args(words, exit_on_error=False, print_error=False)


def test_the_page_on_the_command_line_names_every_command() -> None:
    page = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z ]+[a-z])(?: [A-Z ]+)?`", page.split("\n## ")[0]))
    assert named >= set(COMMANDS) - {"studies"}
