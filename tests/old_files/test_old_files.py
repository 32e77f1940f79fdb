"""Files that commit 6b54f34 wrote open as before, go on as before, or are refused with a way on.

The archives are not made again. Their maker needs that commit and stands in the history: ``git show
98a89b1:tests/old_files/make.py``. Unfinished stores have the smallest units that there are; their process was killed
between the chunks of a unit and its marker. ``@FOLDER@`` stands for the folder of image files, the host is ``host``.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import lzma
import re
import shutil
import tarfile
import warnings
from collections.abc import Callable
from functools import cache
from itertools import permutations
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from PIL import Image

import mllm_probe as mp
from mllm_probe import schema
from mllm_probe.activations import open_zarr, save_zarr
from mllm_probe.cli import main
from mllm_probe.sweeps import join_sweep, open_grid, store_status
from tests.old_files import calls
from tests.old_files.recorded import differences, recorded

HERE = Path(__file__).parent
SAMPLES = sorted((HERE / "samples").glob("*.tar.xz"))
AGAIN = 1e-5
"""Tolerance of numbers that are computed again."""


@cache
def expected() -> dict:
    return json.loads(lzma.decompress((HERE / "expected.json.xz").read_bytes()))


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory):
    """Gives the folder of an archive, which nobody writes to."""

    @cache
    def folder(name: str) -> Path:
        place = tmp_path_factory.mktemp(name)
        with tarfile.open(HERE / "samples" / f"{name}.tar.xz") as tar:
            tar.extractall(place, filter="data")
        return place

    return folder


@pytest.fixture
def inside(unpacked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Copies some of an archive into the current folder."""

    def copied(name: str, *parts: str) -> Path:
        for part in parts:
            source = unpacked(name) / part
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, tmp_path / part)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return copied


@pytest.fixture(scope="module")
def model():
    return calls.load_model()


@pytest.fixture(scope="module")
def mean(model, unpacked):
    return mp.load_vectors(unpacked("python") / "mean.safetensors", model)


def shell(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    """What a command prints to standard output, or, where it fails, to standard error."""
    capsys.readouterr()
    assert main(list(arguments)) == status, capsys.readouterr().err
    said = capsys.readouterr()
    return said.err if status == 2 else said.out


def markers(store: str | Path) -> dict[str, bytes]:
    """Markers of finished units: one that is there again, or with other content, was computed again."""
    found = (file for file in (Path(store) / "unit_markers").glob("*.json"))
    return {file.name: file.read_bytes() for file in found if file.stem[0].isdigit()}


def state_of(store: str | Path) -> dict:
    told = store_status(store).progress
    return {"units": told.units, "units_done": told.units_done, "done": told.done, "total": told.total}


def goes_on(store: str | Path, then: dict, finish: Callable[[], xr.Dataset]) -> None:
    """Check that a half-filled store is completed to the recorded grid, and that no finished unit runs again."""
    before = markers(store)
    assert before
    assert not differences(finish().load(), then, AGAIN)
    after = markers(store)
    assert len(after) > len(before) and {name: after[name] for name in before} == before


def without(then: dict, *names: str) -> dict:
    """A recorded dataset without some variables, and without its attributes if "attrs" is among the names."""
    return {
        "variables": {name: one for name, one in then["variables"].items() if name not in names},
        "coords": [name for name in then["coords"] if name not in names],
        "attrs": {} if "attrs" in names else then["attrs"],
    }


VERDICTS = ("p", "q", "clear", "clear_of_controls", "clear_in_grid")


def without_verdicts(then: dict) -> dict:
    """A recorded effect without what four draws say no more."""
    return without(then, "attrs", *VERDICTS)


def assert_no_verdict_of_four_draws(effect: xr.Dataset) -> None:
    """Check that cells with enough images are told to need eight draws, and that no cell has a verdict."""
    assert effect["q"].isnull().all() and not effect["clear_of_controls"].any() and not effect["clear_in_grid"].any()
    enough = (effect["n"] >= effect.attrs["least_images"]) & (effect["strength"] != 0)
    assert enough.any() and (effect["reason"].where(enough, "needs 8 draws") == "needs 8 draws").all()


FINISHED = {
    "command-line": {"cats.zarr": "sweep", "cats.safetensors": "vectors", "cats-read.zarr": "capture"},
    "python": {f"{name}.zarr": name for name in ("inside", "patched", "captured", "captured-steered", "saved")}
    | {f"{name}.safetensors": f"{name}.safetensors" for name in ("mean", "pca", "probe", "input", "given")},
}
"""Files by their archive, and the names under which their contents were recorded."""
CAPTURES = {"cats-read.zarr", "captured.zarr", "captured-steered.zarr", "saved.zarr"}


@pytest.mark.parametrize(("archive", "file"), [(one, file) for one in FINISHED for file in FINISHED[one]])
def test_a_finished_file_opens_with_its_values(unpacked, model, archive: str, file: str) -> None:
    path, then = unpacked(archive) / file, expected()[archive][FINISHED[archive][file]]
    if path.suffix == ".safetensors":
        now = mp.load_vectors(path, model)
    else:
        now = (open_zarr(path, model) if file in CAPTURES else open_grid(path)).load()
    assert not differences(now, then)


class TestCommandLine:
    """What the commands left in a folder."""

    def test_its_settings_repeat_it_without_a_run(self, inside, capsys) -> None:
        inside("command-line", "cats.zarr", "cats.zarr.toml", "cats.safetensors")
        before = markers("cats.zarr")
        shell(capsys, "sweep", "cats.zarr.toml")
        assert markers("cats.zarr") == before
        assert not differences(open_grid("cats.zarr").load(), expected()["command-line"]["sweep"])

    def test_status_reads_every_checksum(self, inside, capsys) -> None:
        inside("command-line", "cats.zarr", "killed.zarr")
        assert state_of("cats.zarr") == expected()["command-line"]["sweep, state"]
        told = json.loads(shell(capsys, "status", "cats.zarr", "--check", "--json"))
        assert told["damaged"] == {} and told["progress"]["finished"] and told["workers"][0]["host"] == "host"
        told = json.loads(shell(capsys, "status", "killed.zarr", "--check", "--json", status=3))
        assert told["damaged"] == {} and told["progress"]["units_done"] == calls.UNITS

    @pytest.mark.parametrize("how", ["work", "sweep"])
    def test_a_killed_sweep_is_completed(self, inside, capsys, how: str) -> None:
        inside("command-line", "killed.zarr", "killed.zarr.toml", "cats.safetensors")
        assert state_of("killed.zarr") == expected()["command-line"]["killed, state"]
        lines = {
            "work": [["work", "killed.zarr", "--device", "cpu", "--shard", share] for share in ("1/2", "2/2")],
            "sweep": [["sweep", "killed.zarr.toml"]],
        }

        def finish() -> xr.Dataset:
            for line in lines[how]:
                shell(capsys, *line)
            return open_grid("killed.zarr")

        goes_on("killed.zarr", expected()["command-line"]["killed"], finish)
        shell(capsys, "status", "killed.zarr", "--check")

    def test_effects_and_best_cells_are_those_of_then(self, inside, capsys) -> None:
        folder = inside("command-line", "cats.zarr", "cats.csv", "cats.csv.toml")
        then = pd.read_csv("cats.csv")
        shell(capsys, "export", "--config", "cats.csv.toml")
        now = pd.read_csv(folder / "cats.csv")
        assert len(now) == len(then) and set(then) <= set(now)
        kept = [name for name in then if not name.startswith(("p_", "clear_", *VERDICTS))]
        graded = ~then["metric"].isin(("score", "named", "kept"))
        pd.testing.assert_frame_equal(now.loc[graded, kept], then.loc[graded, kept], rtol=1e-6, atol=1e-9)
        shares = [name for name in kept if not any(end in name for end in ("low", "high"))]
        pd.testing.assert_frame_equal(now[shares], then[shares], rtol=1e-6, atol=1e-9)
        assert_no_verdict_of_four_draws(mp.effect(open_grid("cats.zarr"), "logprob"))
        best = json.loads(shell(capsys, "effect", "cats.zarr", "--best", "--json"))
        before = expected()["command-line"]["sweep, best"]
        assert best["caption"].split(" · without q: ")[0] == before["caption"].split(" · without q: ")[0]
        cells, were = pd.DataFrame(best["cells"]), pd.DataFrame(before["cells"])
        same = [name for name in were if not name.startswith(("control_low", "control_high"))]
        pd.testing.assert_frame_equal(cells[same], were[same], rtol=1e-6)

    def test_settings_of_every_other_command_repeat_it(self, inside, capsys) -> None:
        names = ("cats.safetensors", "cats-read.zarr", "cats.html")
        folder = inside("command-line", *(f"{name}.toml" for name in names), "cats.zarr")
        shell(capsys, "vectors", "--config", "cats.safetensors.toml")
        then = expected()["command-line"]
        assert not differences(mp.load_vectors("cats.safetensors"), then["vectors"], AGAIN)
        shell(capsys, "capture", "--config", "cats-read.zarr.toml")
        assert not differences(open_zarr("cats-read.zarr").load(), then["capture"], AGAIN)
        shell(capsys, "report", "--config", "cats.html.toml")
        assert "<h1>Cats by layer</h1>" in (folder / "cats.html").read_text(encoding="utf-8")

    def test_a_capture_is_replaced_where_its_settings_are_run_again(self, inside, capsys) -> None:
        inside("command-line", "cats-read.zarr", "cats-read.zarr.toml")
        said = shell(capsys, "capture", "--config", "cats-read.zarr.toml", status=2)
        assert "cats-read.zarr exists: give a new path, or overwrite=True" in said
        shell(capsys, "capture", "--config", "cats-read.zarr.toml", "--overwrite")

    def test_settings_of_another_command_are_refused_by_name(self, inside, capsys) -> None:
        inside("command-line", "cats.zarr.toml")
        said = shell(capsys, "vectors", "--config", "cats.zarr.toml", status=2)
        assert "holds settings of `mllm-probe sweep`, not of `mllm-probe vectors`" in said

    def test_a_store_of_other_settings_is_refused_by_name(self, inside, capsys) -> None:
        inside("command-line", "killed.zarr", "killed.zarr.toml", "cats.safetensors")
        said = shell(capsys, "sweep", "killed.zarr.toml", "--strengths", "0.5", "--seed", "3", status=2)
        assert "seed: stored 0, asked for 3" in said and "strengths: stored [1.0], asked for [0.5]" in said
        assert "Give these settings to go on with it, or another path" in said


class TestSweeps:
    """Sweeps with a store, begun in Python."""

    def test_the_same_line_reads_recordings_back(self, inside, model) -> None:
        folder = inside("python", "inside.zarr", "input.safetensors")
        before = markers("inside.zarr")
        grid = calls.inside(model, mp.load_vectors(folder / "input.safetensors", model), "inside.zarr")
        assert markers("inside.zarr") == before
        xr.testing.assert_equal(grid.load().drop_vars(schema.SHOWN), open_grid("inside.zarr").load().drop_vars("done"))

    def test_a_metric_and_an_operation_of_the_user_are_known_again(self, inside, model, mean) -> None:
        inside("python", "own-half.zarr")
        assert state_of("own-half.zarr") == expected()["python"]["own, state"]
        with pytest.raises(ValueError, match="only be joined by the Python line that began it.*metric 'length'"):
            join_sweep("own-half.zarr", model=model, progress=False)
        goes_on("own-half.zarr", expected()["python"]["own"], lambda: calls.own(model, mean, "own-half.zarr"))

    def test_a_killed_sweep_of_image_files_is_joined(self, inside, model) -> None:
        folder = inside("python", "files.zarr", "pictures")
        begun = folder / "files.zarr" / "inputs" / "sweep.json"
        begun.write_text(begun.read_text().replace("@FOLDER@", folder.as_posix()))
        (folder / "pictures" / "1.png").rename(folder / "1.png")
        with pytest.raises(ValueError, match=r"1\.png, which is not there: give this machine the same folder"):
            join_sweep("files.zarr", model=model, progress=False)
        (folder / "1.png").rename(folder / "pictures" / "1.png")
        then = expected()["python"]["files"]
        goes_on("files.zarr", then, lambda: join_sweep("files.zarr", model=model, progress=False))

    def test_a_killed_sweep_of_image_files_goes_on_where_they_lie_elsewhere(self, inside, model, mean) -> None:
        inside("python", "files.zarr", "pictures")
        goes_on("files.zarr", expected()["python"]["files"], lambda: calls.files(model, mean, "pictures", "files.zarr"))


class TestInterchange:
    """Stores of ``patch``."""

    def test_the_same_line_reads_it_back(self, inside, model) -> None:
        inside("python", "patched.zarr")
        before = markers("patched.zarr")
        grid = calls.patched(model, "patched.zarr")
        assert markers("patched.zarr") == before
        assert not differences(mp.recovered(grid), expected()["python"]["recovered"], 1e-9)

    def test_a_killed_one_is_completed(self, inside, model) -> None:
        inside("python", "patched-half.zarr")
        assert state_of("patched-half.zarr") == expected()["python"]["patched-half, state"]
        then = expected()["python"]["patched-half"]
        goes_on("patched-half.zarr", then, lambda: calls.patched(model, "patched-half.zarr"))


class TestCaptures:
    """Activations on disk."""

    @pytest.mark.parametrize("name", ["captured", "saved"])
    def test_they_come_to_a_device_in_their_own_type(self, unpacked, name: str) -> None:
        acts = open_zarr(unpacked("python") / f"{name}.zarr", device="cpu")
        assert acts["activation"].torch.tensor.dtype == torch.bfloat16
        on_disk = open_zarr(unpacked("python") / f"{name}.zarr").load()["activation"]
        assert np.array_equal(acts["activation"].torch.tensor.float().numpy(), on_disk.values)

    def test_a_killed_one_is_completed(self, inside, model) -> None:
        inside("python", "captured-half.zarr")
        with pytest.warns(UserWarning, match="are not finished and hold no values: run what made it once more"):
            open_zarr("captured-half.zarr")
        then = expected()["python"]["captured-half"]
        goes_on("captured-half.zarr", then, lambda: calls.captured(model, "captured-half.zarr"))

    def test_steering_is_known_again_and_other_steering_is_refused(self, inside, model, mean) -> None:
        inside("python", "captured-steered.zarr")
        before = markers("captured-steered.zarr")
        acts = calls.captured_steered(model, mean, "captured-steered.zarr")
        assert markers("captured-steered.zarr") == before
        assert not differences(acts.load(), expected()["python"]["captured-steered"])
        with pytest.raises(
            ValueError, match="steering: stored .*Give these settings to go on with it, or another path"
        ):
            calls.captured_steered(model, mean.isel(concept=[1, 0]).assign_coords(concept=calls.CONCEPTS),
                                   "captured-steered.zarr")  # fmt: skip

    def test_what_save_zarr_wrote_is_replaced_when_asked(self, inside, model) -> None:
        inside("python", "saved.zarr")
        acts = open_zarr("saved.zarr").load()
        with pytest.raises(ValueError, match="exists: give a new path, or overwrite=True"):
            save_zarr(acts, "saved.zarr")
        save_zarr(acts, "saved.zarr", overwrite=True)


class TestVectors:
    """Files of vectors."""

    def test_a_control_vector_opens_with_its_values(self, unpacked, model) -> None:
        pytest.importorskip("gguf")
        pictures = calls.library()["cat"].negative[:2]
        vectors = mp.load_vectors(unpacked("python") / "cat.gguf", model, pictures)
        then = expected()["python"]["cat.gguf"]
        assert not differences(vectors, then, AGAIN)
        others = [name for name in then["variables"] if name != "vector"]
        assert not differences(vectors, without(then, *others))

    def test_steering_with_them_says_what_it_said(self, model, mean) -> None:
        steering = mp.Steering(mean.sel(concept="cat"), [1], 2.0, tokens="last_prompt")
        out = mp.generate(model, calls.library()["neon"].negative[1], steering=steering, max_new_tokens=6)
        assert out.text == expected()["python"]["answer"]

    def test_another_model_is_refused_by_name(self, unpacked) -> None:
        other = calls.load_model(calls.OTHER_MODEL)
        for name in ("mean.safetensors", "cat.gguf"):
            with pytest.raises(ValueError, match=f"{name} were made with {calls.MODEL} .*{calls.OTHER_MODEL}"):
                mp.load_vectors(unpacked("python") / name, other)
        with pytest.raises(ValueError, match=f"made with {calls.MODEL} .*{calls.OTHER_MODEL}"):
            open_zarr(unpacked("python") / "saved.zarr", other)


class TestGrids:
    """Grids that were written by themselves."""

    @pytest.mark.parametrize("name", ["grid-saved.zarr", "grid-format-2.zarr", "grid-format-3.zarr"])
    def test_they_open_with_their_values_and_effects(self, unpacked, tmp_path, name: str) -> None:
        grid, then = open_grid(unpacked("python") / name).load(), expected()["python"]
        assert not differences(grid, then[name])
        effect = mp.effect(grid, "logprob")
        assert not differences(effect, without_verdicts(then["grid, effect"]), 1e-9)
        assert_no_verdict_of_four_draws(effect)
        assert mp.report(grid, tmp_path / "page.html").size > 50_000

    def test_netcdf_opens_with_its_values(self, unpacked) -> None:
        grid = xr.open_dataset(unpacked("python") / "grid.nc", engine="scipy").load()
        assert not differences(grid, expected()["python"]["grid.nc"])


class TestStudies:
    """Runs and results of studies, and recommended settings."""

    @pytest.mark.parametrize("store", ["runs", "runs-half"])
    def test_runs_of_four_draws_are_refused_and_left_as_they_are(self, inside, model, store) -> None:
        """Studies take eight draws: intervals of four cover too little."""
        folder = inside("studies", store, "study.safetensors")
        vectors, before = mp.load_vectors(folder / "study.safetensors", model), markers(f"{store}/off_target.zarr")
        with pytest.raises(
            ValueError, match=r"draws: stored \[4\], asked for \[8\]\)\. Give these settings .* or another"
        ):
            calls.study(model, vectors, store)
        assert markers(f"{store}/off_target.zarr") == before

    def test_runs_with_an_operation_of_the_package_differ_in_their_draws_alone(self, inside, model) -> None:
        """The store knows `_push_or_ablate` of the package by its source: rewritten, it would be named too."""
        folder = inside("studies", "runs-reverse", "study.safetensors")
        vectors, store = mp.load_vectors(folder / "study.safetensors", model), "runs-reverse"
        before = markers(f"{store}/image, own.zarr/0.zarr")
        with pytest.raises(ValueError, match=r"other settings \(draws: stored \[4, 4\], asked for \[8, 8\]\)\. Give"):
            calls.reverse_study(model, vectors, store)
        assert markers(f"{store}/image, own.zarr/0.zarr") == before

    def test_results_of_bundled_models_are_not_run_again(self, inside, capsys) -> None:
        folder = inside("studies", "work", "studies.html.toml")
        shell(capsys, "studies", "bundled", "--config", "studies.html.toml")
        study = open_grid("work/scenes-4l/atlas.zarr").load()
        assert not differences(study, expected()["studies"]["atlas"])
        assert study.attrs["summary"].splitlines()[1] in (folder / "studies.html").read_text(encoding="utf-8")
        assert sorted(one.name for one in (folder / "work" / "scenes-4l").iterdir()) == ["atlas.zarr"]

    def test_a_result_is_drawn_opened_and_written_as_a_page(self, inside, capsys) -> None:
        inside("studies", "work")
        shell(capsys, "report", "work/scenes-4l/atlas.zarr", "page.html")
        study = open_grid("work/scenes-4l/atlas.zarr").load()
        mp.plots.study(study)
        view = mp.explore(study)
        assert view.concept in calls.CONCEPTS
        view.close()

    def test_recommended_settings_are_read(self, unpacked, model, mean) -> None:
        then = expected()["python"]["recommended"]["settings"]
        kept = json.loads((unpacked("python") / "recommended.json").read_text())
        assert kept == then and kept["weights"] == model.fingerprint and kept["prompt"] == model.default_prompt
        for name, one in kept["settings"].items():
            steering = mp.Steering(mean.sel(concept=name), [one["layer"]], one["strength"], tokens=one["scope"])
            assert steering.layers and one["n"] >= 10


class TestFolders:
    """Folders of images, of stores and of models."""

    def test_a_library_has_the_same_images_words_and_halves(self, unpacked) -> None:
        folder, then = unpacked("python") / "library", expected()["python"]["library"]
        library = mp.concepts.from_folder(folder, groups=folder / "groups.csv")
        assert library.fingerprint == then["fingerprint"]
        assert {name: list(one.words) for name, one in library.items()} == then["words"]
        assert sorted(one.id for one in library.split()[0].pictures) == then["fit"]

    def test_stores_are_listed_and_checked(self, inside) -> None:
        stores = {
            "inside": ("sweep", 1), "own-half": ("sweep", 0.5), "patched": ("patch", 1), "captured": ("capture", 1),
            "captured-half": ("capture", 0.5), "saved": ("capture", 1), "grid-saved": ("capture", 1),
        }  # fmt: skip
        folder = inside("python", *(f"{name}.zarr" for name in stores))
        table = mp.cache.list(folder).set_index("path")
        assert len(table) == len(stores)
        for name, (kind, share) in stores.items():
            row = table.loc[str(folder / f"{name}.zarr")]
            assert (row["kind"], row["model"]) == (kind, calls.MODEL)
            assert row["finished"] == 1 if share == 1 else 0 < row["finished"] < 1
            if name not in ("saved", "grid-saved"):
                assert mp.cache.check(folder / f"{name}.zarr") == {}
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a store that is left
            assert len(mp.cache.prune(folder, unfinished=True)) == 2
            assert len(mp.cache.prune(folder, older_than=0)) == len(stores) - 2

    def test_a_trained_model_loads_with_its_prompts(self, inside) -> None:
        folder = inside("model", "model") / "model"
        then = expected()["model"]
        from mllm_probe.models import bundled_folder

        (folder / "model.safetensors").symlink_to(bundled_folder(calls.MODEL) / "model.safetensors")
        model = mp.load(folder, device="cpu")
        assert (model.fingerprint, model.default_prompt) == (then["fingerprint"], then["prompt"])
        assert list(model.suggestions) == then["suggestions"]


PAGES = ("map", "panel", "inside", "study", "report", "study-report", "studies", "lab")


def page_of(folder: Path, name: str) -> tuple[str, dict]:
    """A page and the data in it."""
    text = (folder / f"{name}.html").read_text(encoding="utf-8")
    return text, json.loads(re.search(r'<script type="application/json" id="mp-page">(.*?)</script>', text, re.S)[1])


def recording(model: dict, **when: str) -> dict[str, np.ndarray]:
    """Numbers that a saved map shows with some settings."""
    (one,) = (one for one in model["recorded"]["recordings"] if when.items() <= one["when"].items())
    return {path[0]: np.frombuffer(base64.b64decode(content), np.float32) for path, content in one["buffers"]
            if path[0] in ("values", "low", "high")}  # fmt: skip


class TestPages:
    """Saved pages and notebooks, which need nothing but themselves."""

    @pytest.mark.parametrize("name", PAGES)
    def test_a_page_runs_its_own_scripts_alone_and_asks_for_nothing(self, unpacked, name: str) -> None:
        text, _ = page_of(unpacked("pages"), name)
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        scripts = re.findall(r'<script type="module">(.*?)</script>', text, re.S)
        hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
        assert len(scripts) >= 2 and re.findall(r"'sha256-([^']*)'", policy) == hashes
        outside = re.sub(r"<script.*?</script>", "", text, flags=re.S)
        assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//|<link|url\(""", outside)

    def test_a_map_holds_the_effects(self, unpacked) -> None:
        _, data = page_of(unpacked("pages"), "map")
        (one,) = data["models"]
        assert (one["state"]["concept"], one["state"]["layer"]) == ("cat", 2)
        assert one["state"]["concepts"] == calls.CONCEPTS and one["state"]["strengths"] == [-1, 1, 2]
        then = expected()["pages"]["map"]["variables"]
        assert then["control"]["values"] == ["random", "on_manifold"]
        for number, control in enumerate(then["control"]["values"]):
            shown = recording(one, metric="logprob", against=control, average="mean")
            for name, variable in {"values": "from", "low": "low", "high": "high"}.items():
                effect = then[f"difference_{variable}"]
                assert effect["dims"] == ["concept", "layer", "strength", "control"]
                numbers = np.array(effect["values"], np.float32).reshape(effect["shape"])[..., number]
                assert np.array_equal(shown[name], numbers.ravel(), equal_nan=True)

    def test_a_panel_holds_the_answers(self, unpacked) -> None:
        _, data = page_of(unpacked("pages"), "panel")
        said = [one["shown"]["answers"] for one in data["models"][0]["recorded"]["recordings"] if one["label"]]
        rows = ("baseline", "steered", "random")
        assert [[answers[row] for row in rows] for answers in said] == expected()["pages"]["panel"]

    def test_a_lab_links_its_widgets(self, unpacked) -> None:
        _, data = page_of(unpacked("pages"), "lab")
        known = [set(one["state"]) for one in data["models"]]
        links = {(one["from"], one["to"]) for one in data["links"] if {"concept", "layer"} & set(one["names"])}
        choosing = [number for number, names in enumerate(known) if {"concept", "layer"} <= names]
        assert len(known) == 5 and links == set(permutations(choosing, 2)) and len(choosing) == 3

    def test_overlays_strips_and_studies_hold_their_numbers(self, unpacked) -> None:
        _, data = page_of(unpacked("pages"), "inside")
        overlay, strip, monitor = data["models"]
        assert overlay["state"]["rows"] == overlay["state"]["columns"] == 8 and monitor["state"]["status"] == "idle"
        sizes = {path[0]: len(base64.b64decode(content)) for path, content in overlay["buffers"]}
        assert sizes["values"] == 4 * 64 and sizes["picture"] > 0
        sizes = {path[0]: len(base64.b64decode(content)) for path, content in strip["buffers"]}
        assert sizes["values"] == 4 * 2 * len(strip["state"]["tokens"])
        summary = expected()["studies"]["atlas"]["attrs"]["summary"].splitlines()
        for name in ("study", "study-report", "studies", "lab"):
            text, data = page_of(unpacked("pages"), name)
            assert data["models"][-1]["state"]["study"] == "atlas" and data["models"][-1]["state"]["summary"] == summary

    def test_a_report_holds_its_tables_and_answers(self, unpacked) -> None:
        text, data = page_of(unpacked("pages"), "report")
        assert set(re.findall(r'data-testid="([\w-]+)"', text)) >= {"best-cells", "all-facts"}
        assert data["answers"]["sweep"] and expected()["pages"]["facts"]["weights"] in text

    def test_a_notebook_holds_the_state_and_a_picture(self, unpacked) -> None:
        notebook = nbformat.read(unpacked("pages") / "map.ipynb", as_version=4)
        nbformat.validate(notebook)
        state = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
        (one,) = (model for model in state.values() if model["model_module"] == "anywidget")
        assert one["state"]["concept"] == "cat" and re.search(r"export\s*\{", one["state"]["_esm"])
        _, data = page_of(unpacked("pages"), "map")
        there = {tuple(part["path"]): part["data"] for part in one["buffers"]}
        assert {tuple(path): content for path, content in data["models"][0]["buffers"]} == there
        (output,) = notebook.cells[1].outputs
        picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        assert picture.width > 300 and output.data["application/vnd.jupyter.widget-view+json"]


def test_the_samples_are_small_and_name_no_machine() -> None:
    assert sum(file.stat().st_size for file in (*SAMPLES, HERE / "expected.json.xz")) < 600_000
    machine = re.compile(rb"(?<![\w./~:-])/(work|root|home|Users|mnt|opt|tmp|srv|var)/[\w.]")
    for archive in SAMPLES:
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                assert (member.uname, member.uid, member.mtime) == ("", 0, 0)
                content = tar.extractfile(member).read() if member.isfile() else b""
                assert not machine.search(content), (archive.name, member.name)


def test_a_difference_is_found() -> None:
    dataset = xr.Dataset({"a": ("x", np.arange(300.0))}, {"x": np.arange(300)}, {"model": "m", "version_x": "1"})
    then = json.loads(json.dumps(recorded(dataset)))
    assert not differences(dataset.assign_attrs(version_x="2", more=1).assign(b=1), then)
    changed = dataset.copy(deep=True)
    changed["a"][7] += 1e-9
    assert differences(changed, then) == ["a: other values"]
    assert differences(dataset + 1, then, AGAIN) == ["a: values differ by up to 1"]
    assert differences(dataset.drop_attrs(), then) == ["attribute model is None, it was 'm'"]
    assert differences(dataset.drop_vars("x"), then) == ["there is no x", "x is no coordinate"]
