"""Settings come from options and TOML, are written beside every result, and repeat it; endings tell what happened."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.activations import open_zarr, save_zarr
from mllm_probe.cli import app, main
from mllm_probe.sweeps import read_progress, runner
from mllm_probe.sweeps.api import Grids
from mllm_probe.sweeps.runner import Limits

CPU = ["--model", "scenes-4l", "--device", "cpu"]
DRAWN = ["--library", "scenes", "--concepts", "cat", "house", "--negative", "remove", "--library-seed", "1"]
LIBRARY = [*CPU, *DRAWN, "--split-seed", "2", "--pairs", "12"]
SWEEP = [*LIBRARY, "--layers", "1", "2", "--strengths", "1", "--metrics", "logprob", "--draws", "8", "--seed", "3"]
SWEEP += ["--tokens", "last_prompt", "--unit", "vector", "--method", "pca", "--prompt", "Describe the picture."]
VECTORS = [*LIBRARY, "--shuffled-draws", "2", "--seed", "3", "--tokens", "last_prompt", "--no-probe-accuracy"]
"""Other values than the defaults, so that a setting that is not written down changes the repeated run."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the commands wrote, each with its settings; tests only read it."""
    folder = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["capture", *LIBRARY[:-1], "2", "--tokens", "image", "--out", "acts.zarr"]) == 0
        assert main(["vectors", *VECTORS, "--out", "both.safetensors"]) == 0
        assert main(["sweep", *SWEEP, "--halves", "both", "--store", "grid.zarr"]) == 0
        assert main(["export", "grid.zarr", "cells.csv"]) == 0
    return folder


@pytest.fixture
def here(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to work in, with the settings of what was done, and nothing else."""
    monkeypatch.chdir(tmp_path)
    for file in done.glob("*.toml"):
        shutil.copy(file, tmp_path)
    return tmp_path


def read(file: Path) -> dict:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def numbers(store: Path) -> xr.Dataset:
    """What a store holds, without how it was computed."""
    grid = xr.open_zarr(store, chunks=None).load()
    grid.attrs = {name: value for name, value in grid.attrs.items() if "store" not in name}
    return grid


def test_settings_hold_defaults_and_versions(done: Path) -> None:
    settings = read(done / "grid.zarr.toml")
    assert settings["concepts"] == ["cat", "house"] and settings["strengths"] == [1.0]
    assert settings["unit"] == "vector" and settings["max_new_tokens"] == 8 and settings["size"] == 224
    assert (
        read(done / "acts.zarr.toml")["prompt"] == "What do you see?"
        and settings["device"]
        and settings["dtype"] == "float32"
    )
    assert settings["made_with"] == {"command": "sweep", **schema.provenance()}
    comment = (done / "grid.zarr.toml").read_text(encoding="utf-8").splitlines()[1]
    assert comment.startswith("# Not given") and "controls" in comment and "vectors" in comment


NOT_OF_THE_RESULT = {"--config", "--json", "--overwrite", "--shard", "--mixed", "--workers", "--scheduler"}
"""Options that say where the settings are, how the result is told, and who does the work."""


@pytest.mark.parametrize(
    ("command", "result"), [("capture", "acts.zarr"), ("vectors", "both.safetensors"), ("sweep", "grid.zarr"),
                            ("export", "cells.csv")]
)  # fmt: skip
def test_every_option_is_written_or_named(command: str, result: str, done: Path) -> None:
    text = (done / f"{result}.toml").read_text(encoding="utf-8")
    left = re.search(r"^# Not given, .*: (.*)$", text, re.MULTILINE)
    written = set(tomllib.loads(text)) | set(left[1].split(", "))
    options = {argument.name for argument in app[command].assemble_argument_collection() if argument.name != "*"}
    names = {name.removeprefix("--").replace("-", "_") for name in options - NOT_OF_THE_RESULT}
    assert written == names | {"made_with"}


def test_settings_alone_repeat_vectors_to_the_byte(done: Path, here: Path) -> None:
    assert main(["vectors", "--config", "both.safetensors.toml"]) == 0
    assert (here / "both.safetensors").read_bytes() == (done / "both.safetensors").read_bytes()
    assert read(here / "both.safetensors.toml") == read(done / "both.safetensors.toml")


def test_settings_alone_repeat_a_sweep(done: Path, here: Path) -> None:
    assert main(["sweep", "grid.zarr.toml"]) == 0
    xr.testing.assert_identical(numbers(here / "grid.zarr"), numbers(done / "grid.zarr"))
    assert read(here / "grid.zarr.toml") == read(done / "grid.zarr.toml")


def test_settings_alone_repeat_a_capture(done: Path, here: Path) -> None:
    assert main(["capture", "--config", "acts.zarr.toml"]) == 0
    xr.testing.assert_identical(open_zarr(here / "acts.zarr").load(), open_zarr(done / "acts.zarr").load())


def test_settings_repeat_an_export(done: Path, here: Path) -> None:
    shutil.copytree(done / "grid.zarr", here / "grid.zarr")
    assert main(["export", "--config", "cells.csv.toml"]) == 0
    assert (here / "cells.csv").read_bytes() == (done / "cells.csv").read_bytes()


def test_options_win_over_the_file(here: Path) -> None:
    options = ["--strengths", "-1", "2", "--store", "other.zarr", "--concepts", "cat"]
    assert main(["sweep", "grid.zarr.toml", *options]) == 0
    grid = xr.open_zarr(here / "other.zarr", chunks=None)
    assert grid.strength.values.tolist() == [-1, 2] and grid.concept.values.tolist() == ["cat"]
    assert read(here / "other.zarr.toml")["strengths"] == [-1, 2] and not (here / "grid.zarr").exists()


def test_vectors_of_a_file_are_used_as_the_settings_say(done: Path, here: Path) -> None:
    shutil.copy(done / "both.safetensors", here)
    assert main(["sweep", "grid.zarr.toml", "--halves", "held_out", "--vectors", "both.safetensors"]) == 0
    (here / "both.safetensors").rename(here / "moved.safetensors")
    assert read(here / "grid.zarr.toml")["vectors"] == "both.safetensors"
    assert main(["sweep", "grid.zarr.toml"]) == 2


def test_a_sweep_on_held_out_images_refuses_vectors_made_with_them(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["vectors", *LIBRARY, "--fit", "1", "--out", "all.safetensors"]) == 0
    assert main(["sweep", *SWEEP, "--vectors", "all.safetensors", "--store", "new.zarr"]) == 2
    assert "of the 24 held-out images are among those that the vectors were made with" in capsys.readouterr().err


def test_a_folder_of_images_is_a_library(here: Path) -> None:
    for side, colour in (("positive", 200), ("negative", 20)):
        (here / "mine/entity/red" / side).mkdir(parents=True)
        for number in range(4):
            image = Image.new("RGB", (32, 32), (colour, number * 9, 0))
            image.save(here / "mine/entity/red" / side / f"{number}.png")
    assert main(["vectors", "--model", "scenes-4l", "--library", "./mine", "--out", "red.safetensors"]) == 0
    assert mp.load_vectors("red.safetensors").attrs["pictures"] == 4
    images = ["--images", "mine/entity/red/positive", "mine/entity/red/negative/0.png"]
    assert main(["capture", *CPU, *images, "--layers", "-1", "--out", "red.zarr"]) == 0
    assert dict(open_zarr("red.zarr").activation.sizes) == {"sample": 5, "layer": 1, "token": 1, "hidden": 128}


class Interrupted:
    """A progress line at which Ctrl-C is typed after the first chunk."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Interrupted:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, done: int) -> None:
        if done:  # the unsteered runs come first
            raise KeyboardInterrupt


def test_an_interrupted_sweep_is_incomplete_and_goes_on_to_the_same_grid(
    done: Path, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("mllm_probe.sweeps.api.tqdm", Interrupted)
        patch.setattr(runner, "DEFAULT", Limits(unit_seconds=(0, 0)))
        assert main(["sweep", "grid.zarr.toml", "--json"]) == 3
    shown = capsys.readouterr()
    progress, kept = json.loads(shown.out), read_progress("grid.zarr")
    assert not progress["finished"] and 0 < progress["done"] == kept.done < progress["total"]
    counted = f"{kept.units_done} of {kept.units} units, with {kept.done} of {kept.total} steered runs"
    assert f"mllm-probe: interrupted: {counted}, are kept in grid.zarr" in shown.err

    assert main(["effect", "grid.zarr", "--csv"]) == 3
    shown = capsys.readouterr()
    half = mp.effect(xr.open_zarr("grid.zarr", chunks=None)).difference.values
    assert len(shown.out.splitlines()) == 1 + np.isfinite(half).sum()
    assert "This sweep is not finished" in shown.err
    assert main(["export", "grid.zarr", "half.csv"]) == 3
    assert main(["report", "grid.zarr", "half.html"]) == 3

    assert main(["sweep", "grid.zarr.toml"]) == 0
    xr.testing.assert_identical(numbers(here / "grid.zarr"), numbers(done / "grid.zarr"))
    capsys.readouterr()
    assert main(["export", "grid.zarr", "whole.csv"]) == 0
    assert Path("whole.csv").read_bytes() == (done / "cells.csv").read_bytes()


def test_a_sweep_interrupted_before_its_first_chunk_keeps_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Grids, "finish", stopped)
    assert main(["sweep", *SWEEP, "--store", "new.zarr"]) == 3
    assert "nothing is kept" in capsys.readouterr().err and not (here / "new.zarr").exists()
    assert (here / "new.zarr.toml").exists(), "with which the same run can be begun again"


def test_two_shards_and_one_that_joins_fill_the_store_of_one_process(
    done: Path, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "DEFAULT", Limits(unit_seconds=(0, 0)))
    assert main(["sweep", "grid.zarr.toml", "--shard", "1/3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["shard"] == "1/3" and not told["finished"]
    assert main(["status", "grid.zarr", "--json"]) == 3
    status = json.loads(capsys.readouterr().out)
    assert 0 < status["progress"]["done"] < status["progress"]["total"] and status["workers"][0]["device"] == "cpu"
    assert main(["work", "grid.zarr", "--shard", "2/3"]) == 0 and main(["status", "grid.zarr"]) == 3
    assert main(["work", "grid.zarr"]) == 0
    xr.testing.assert_identical(numbers(here / "grid.zarr"), numbers(done / "grid.zarr"))
    assert main(["status", "grid.zarr", "--check"]) == 0 and "(100%)" in capsys.readouterr().out
    next((here / "grid.zarr" / "logprob").glob("c.*")).unlink()
    assert main(["status", "grid.zarr", "--check"]) == 1 and "given back" in capsys.readouterr().out
    assert main(["status", "grid.zarr"]) == 3 and main(["work", "grid.zarr"]) == 0
    xr.testing.assert_identical(numbers(here / "grid.zarr"), numbers(done / "grid.zarr"))
    assert main(["status", "none.zarr"]) == 2 and main(["work", "none.zarr"]) == 2
    assert main(["sweep", "grid.zarr.toml", "--shard", "4/3"]) == 2


def never(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        (["describe", "scenes-4l"], {"model", "layers", "default_prompt", "parts"}),
        (["verify", "scenes-4l"], {"model", "verified", "checks"}),
        (["models"], {"models"}),
        (["models", "get", "scenes-4l"], {"model", "message"}),
        (["families", "llava"], {"families"}),
        (["capture", "--config", "acts.zarr.toml"], {"out", "settings", "sizes"}),
        (["vectors", "--config", "both.safetensors.toml"], {"out", "settings", "concepts"}),
        (["sweep", "grid.zarr.toml"], {"store", "settings", "finished", "sizes"}),
        (["effect", "done/grid.zarr"], {"metric", "cells", "caption", "attributes"}),
        (["effect", "done/grid.zarr", "--best"], {"metric", "cells", "caption", "attributes"}),
        (["export", "done/grid.zarr", "cells.csv"], {"path", "bytes", "settings"}),
        (["report", "done/grid.zarr", "cells.html"], {"path", "bytes", "settings"}),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_json_is_one_document(
    command: list[str], keys: set[str], done: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(done / "grid.zarr", here / "done" / "grid.zarr")
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out, parse_constant=never)
    assert keys <= set(document)


@pytest.mark.parametrize(
    ("command", "function", "result"),
    [
        ("studies bundled --out page.html", "bundled_studies.run_bundled_studies", ["a verdict"]),
    ],
)
def test_what_is_printed_on_the_way_is_no_part_of_the_json(
    command: str,
    function: str,
    result: object,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(*_: object, **__: object) -> object:
        print("on the way")
        return result

    monkeypatch.setattr(f"mllm_probe.reports.{function}", run)
    assert main([*command.split(), "--json"]) == 0
    shown = capsys.readouterr()
    assert result in json.loads(shown.out).values() and "on the way" in shown.err


def test_numbers_of_json_csv_and_the_package_are_the_same(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    effect = mp.effect(xr.open_zarr(done / "grid.zarr", chunks=None), "logprob")
    assert main(["effect", str(done / "grid.zarr"), "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert main(["effect", str(done / "grid.zarr"), "--csv"]) == 0
    names, *rows = (line.split(",") for line in capsys.readouterr().out.splitlines())
    assert len(cells) == len(rows) == effect.difference.size
    for cell, row in zip(cells, rows, strict=True):
        same = effect.sel(concept=cell["concept"], layer=cell["layer"], strength=cell["strength"])
        assert cell["difference"] == float(same.difference) == float(row[names.index("difference")])
        assert cell["p_random"] == float(same.p.sel(control="random"))


def test_the_table_shows_controls_and_says_how_many_cells_pass(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["effect", str(done / "grid.zarr"), "--metric", "logprob"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "control_mean_random" in lines[0] and "p_on_manifold" in lines[0] and len(lines) == 1 + 4 + 2
    assert lines[-1].startswith("logprob [nats] · whole grid: ")
    assert main(["effect", str(done / "grid.zarr"), "--passing", "--csv"]) == 0
    passing = np.count_nonzero(mp.effect(xr.open_zarr(done / "grid.zarr", chunks=None)).clear_in_grid)
    assert len(capsys.readouterr().out.splitlines()) == 1 + passing


def test_best_is_one_cell_for_each_concept(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["effect", str(done / "grid.zarr"), "--best", "--csv"]) == 0
    shown = capsys.readouterr()
    assert [line.split(",")[0] for line in shown.out.splitlines()] == ["concept", "cat", "house"]
    assert "Selected by the largest effect" in shown.err


def test_cells_that_were_not_tested_are_no_cells_that_do_not_pass(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Medians are not tested."""
    grid = [str(done / "grid.zarr"), "--average", "median"]
    assert main(["effect", *grid, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert all(cell["clear_in_grid"] is None and cell["q"] is None for cell in told["cells"])
    assert "without q: no verdict, and the reason says why" in told["caption"]
    assert main(["effect", *grid, "--passing"]) == 0
    shown = capsys.readouterr().out
    assert "no cell passes" in shown and "Empty DataFrame" not in shown


def test_a_scheduler_that_does_not_answer_leaves_the_command_to_be_run_again(
    done: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise OSError("Timed out trying to connect")

    monkeypatch.setattr("distributed.Client", nobody)
    assert main(["work", str(done / "grid.zarr"), "--scheduler", "tcp://127.0.0.1:1"]) == 3
    assert "no Dask scheduler answers at tcp://127.0.0.1:1 (Timed out" in capsys.readouterr().err


FILES = {
    "broken.toml": "model = ",
    "unknown.toml": "model = 'scenes-4l'\nspeed = 3\n",
    "typo.toml": "model = 'scenes-4l'\nstrenghts = [1]\n",
    "table.toml": "[sweep]\nmodel = 'scenes-4l'\n",
    "other.toml": "[made_with]\ncommand = 'vectors'\n",
    "record.toml": "made_with = 1\n",
    "types.toml": "model = 'scenes-4l'\nstore = 'a.zarr'\ndraws = 'many'\n",
}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("sweep nowhere.toml", "there is no settings file at nowhere.toml"),
        ("sweep broken.toml", "broken.toml is no TOML (Invalid value"),
        ("sweep unknown.toml", "unknown.toml: there is no setting 'speed' (did you mean 'seed'?); there are model,"),
        ("sweep table.toml", "table.toml: there is no setting 'sweep'"),
        ("sweep typo.toml", "typo.toml: there is no setting 'strenghts' (did you mean 'strengths'?); there are model,"),
        ("sweep other.toml", "other.toml holds settings of `mllm-probe vectors`, not of `mllm-probe sweep`"),
        ("sweep record.toml", "made_with is the table that a command writes"),
        ("sweep types.toml", 'unable to convert "many" into int'),
        ("sweep --model scenes-4l", "--store"),
        ("sweep --model scenes-4l --store a.zarr", "library: expected scenes, emoji or a folder of concepts; got none"),
        ("vectors --model nonesuch --library scenes --out a.safetensors", "There is no bundled model 'nonesuch'"),
        ("vectors --model scenes-4l --library ./nowhere --out a.safetensors", "there is no folder 'nowhere'"),
        ("vectors --model scenes-4l --library scenes --out a.pt", "vectors are saved as *.safetensors"),
        (
            "vectors --model scenes-4l --library scenes --concepts catt --out a.safetensors",
            "unknown concept 'catt' (did you mean 'cat'?)",
        ),
        ("vectors --model scenes-4l --library scenes --fit 2 --out a.safetensors", "between 0 and 1, not 2.0"),
        ("vectors --model scenes-4l --library scenes --groups a.csv --out a.safetensors", "groups: a setting of fold"),
        ("vectors --model scenes-4l --library ./done --size 64 --out a.safetensors", "size: a setting of the drawn"),
        ("capture --model scenes-4l --out done/acts.zarr --library scenes", "exists: give a new path"),
        ("capture --model scenes-4l --out a.zarr --images done", "holds no images"),
        ("capture --model scenes-4l --out a.zarr --images x.png --library scenes", "images or a library, not both"),
        ("sweep grid.zarr.toml --strengths strong", 'unable to convert "strong" into float'),
        ("sweep grid.zarr.toml --layers 9", "9"),
        ("sweep grid.zarr.toml --halves some", "--halves"),
        ("sweep grid.zarr.toml --vectors done/grid.zarr.toml", "cannot be read as safetensors"),
        ("sweep grid.zarr.toml --model scenes-8l --vectors done/both.safetensors", "were made with scenes-4l"),
        ("sweep grid.zarr.toml --store done/acts.zarr", "holds no sweep"),
        ("sweep grid.zarr.toml --store done/grid.zarr --seed 5", "seed"),
        ("effect nowhere.zarr", "there is no Zarr store at nowhere.zarr"),
        ("effect done/acts.zarr", "the grid of a sweep lacks dimension 'concept'"),
        ("effect done/grid.zarr --metric speed", "speed"),
        ("effect done/grid.zarr --csv --json", "expected --csv or --json, not both"),
        ("export done/grid.zarr cells.nc", "cells.nc: sweeps are exported as *.csv or *.html."),
        ("export done/grid.zarr nowhere/cells.csv", "there is no folder 'nowhere'"),
        ("describe scenes-4l --device quantum", "device"),
    ],
)
def test_wrong_input_is_one_line(
    command: str, message: str, done: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "done").symlink_to(done)
    for name, text in FILES.items():
        (here / name).write_text(text)
    assert main(command.split()) == 2
    shown = capsys.readouterr()
    lines = [line for line in shown.err.split("\n") if line.startswith("mllm-probe: ")]
    assert shown.out == "" and len(lines) == 1 and message in lines[0]
    assert sorted(here.glob("a.*")) == []


def test_other_versions_are_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = here / "both.safetensors.toml"
    file.write_text(file.read_text(encoding="utf-8").replace(mp.__version__, "0.0.1"), encoding="utf-8")
    assert main(["vectors", "--config", file.name]) == 0
    assert "both.safetensors.toml was written with mllm_probe 0.0.1; numbers may differ" in capsys.readouterr().err


def test_a_store_of_activations_is_not_replaced_unless_asked(done: Path, here: Path) -> None:
    save_zarr(open_zarr(done / "acts.zarr").load(), here / "acts.zarr")
    assert main(["capture", "--config", "acts.zarr.toml"]) == 2
    assert main(["capture", "--config", "acts.zarr.toml", "--layers", "0", "--overwrite"]) == 0
    assert open_zarr(here / "acts.zarr").layer.values.tolist() == [0]
