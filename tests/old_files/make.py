"""Makes the files of this folder: with the version of commit 6b54f34, from any folder.

    PYTHONPATH=<checkout of 6b54f34> python tests/old_files/make.py

It takes some minutes on two cores, works in a temporary folder with relative paths, and writes

- ``samples/*.tar.xz``: what a user's folder holds, one archive for each way in (command line, Python, studies, pages);
- ``expected.json.xz``: what that version reads from them.

Names given as arguments choose some of the archives (``PARTS``). The archives are not meant to be made again: another
version makes other files. Where a later version refuses one of them on purpose, its test says with which message.

Nothing in them names this machine: its host name is replaced where stores note it, and the folder of image files, which
a store keeps as an absolute path, is written as ``@FOLDER@``. Unfinished stores have the smallest units that there are;
their process was killed (SIGKILL) between the chunks of a unit and its marker.
"""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMMIT = "6b54f34"
SAMPLES, EXPECTED = HERE / "samples", HERE / "expected.json.xz"
os.environ |= {"OMP_NUM_THREADS": "1", "MLLM_PROBE_WAYS": "off", "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
platform.node = lambda: "host"

import calls  # noqa: E402 - the environment first
import torch  # noqa: E402
import xarray as xr  # noqa: E402
from recorded import recorded  # noqa: E402

import mllm_probe as mp  # noqa: E402


def shell(*arguments: str) -> str:
    """Run a command in this folder; what it printed."""
    from mllm_probe.cli import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = main(list(arguments))
    if status != 0:
        raise SystemExit(f"mllm-probe {' '.join(arguments)} ended with {status}")
    return said.getvalue()


def small_units(rows: int) -> None:
    """Units of one batch, with so many rows and few images each."""
    from mllm_probe.activations import capturing
    from mllm_probe.sweeps import runner

    runner.DEFAULT = runner.Limits(rows=rows, packed_rows=1, unit_seconds=(0, 0))
    capturing._MOST_IMAGES = 2


def dies_at_marker(number: int, store: str) -> None:
    """Kill this process when it puts the given marker of a unit of a store in its place."""
    count = 0

    def watched(place):
        def placed(source, target, **named):
            nonlocal count
            target = Path(target)
            unit = target.parent.name == "unit_markers" and target.stem not in ("layout", "zarr")
            count += unit and store in target.as_posix()
            if count >= number:
                os.kill(os.getpid(), signal.SIGKILL)
            place(source, target, **named)

        return placed

    os.replace, os.link = watched(os.replace), watched(os.link)


def killed(name: str, units: int = calls.UNITS, store: str = "") -> None:
    """Run one of ``DYING`` in a process of its own, which dies when so many units (of a store of its) are finished."""
    done = subprocess.run([sys.executable, __file__, "--die", name, str(units + 1), store])
    if done.returncode != -signal.SIGKILL:
        raise SystemExit(f"{name} was not killed: {done.returncode}")


def loaded(name: str) -> tuple:
    """The model, and vectors from their file: made anew elsewhere, they may differ in their last bits."""
    model = calls.load_model()
    return model, mp.load_vectors(f"{name}.safetensors", model)


DYING = {
    "killed": lambda: shell(*calls.COMMANDS["killed"]),
    "files": lambda: calls.files(*loaded("mean"), "pictures", "files.zarr"),
    "patched": lambda: calls.patched(calls.load_model(), "patched-half.zarr"),
    "captured": lambda: calls.captured(calls.load_model(), "captured-half.zarr"),
    "study": lambda: calls.study(*loaded("study"), "runs-half"),
    "reverse": lambda: calls.reverse_study(*loaded("study"), "runs-reverse"),
}


def finished_copy(store: str, finish) -> dict:
    """What a half-filled store holds once this version has finished a copy of it."""
    copy = f"{store}.copy"
    shutil.copytree(store, copy)
    result = recorded(finish(copy).load())
    shutil.rmtree(copy)
    return result


def state_of(store: str) -> dict:
    """Units of a store."""
    from mllm_probe.sweeps import read_progress

    told = read_progress(store)
    return {"units": told.units, "units_done": told.units_done, "done": told.done, "total": told.total}


def command_line() -> dict:
    """What the commands leave in the folder that they are run in."""
    from mllm_probe.activations import open_zarr
    from mllm_probe.sweeps import join_sweep, open_grid

    for name in ("vectors", "capture", "sweep"):
        shell(*calls.COMMANDS[name])
    killed("killed")
    for name in ("export", "report"):
        shell(*calls.COMMANDS[name])
    os.remove("cats.html")  # pages have an archive of their own
    return {
        "vectors": recorded(mp.load_vectors("cats.safetensors")),
        "capture": recorded(open_zarr("cats-read.zarr").load()),
        "sweep": recorded(open_grid("cats.zarr").load()),
        "sweep, state": state_of("cats.zarr"),
        "sweep, best": json.loads(shell("effect", "cats.zarr", "--best", "--json")),
        "killed": finished_copy("killed.zarr", lambda store: join_sweep(store, device="cpu", progress=False)),
        "killed, state": state_of("killed.zarr"),
    }


def python() -> dict:
    """What functions write where they are told to."""
    from mllm_probe.activations import open_zarr, save_zarr
    from mllm_probe.sweeps import open_grid

    model = calls.load_model()
    calls.draw_folder("library")
    os.mkdir("pictures")
    for number, one in enumerate(calls.library()["cat"].negative[:3]):
        one.image.save(f"pictures/{number}.png")
    folder = mp.concepts.from_folder("library", groups="library/groups.csv")
    expected = {"library": {
        "fingerprint": folder.fingerprint,
        "fit": sorted(one.id for one in folder.split()[0].pictures),
        "words": {name: list(one.words) for name, one in folder.items()},
    }}  # fmt: skip

    made = {
        "mean": calls.vectors(model),
        "pca": calls.vectors(model, method="pca", tokens="last_prompt"),
        "probe": calls.vectors(model, method="probe", tokens="last_prompt"),
        "input": calls.vectors(model, tokens="image", layers=["input", 1], probe_accuracy=False),
        "given": mp.vectors_from(model, {"given": made_up(model)}, calls.library()["cat"].negative[:2],
                                 words={"given": ["cat"]}, category={"given": "entity"}),
    }  # fmt: skip
    for name, one in made.items():
        mp.save_vectors(one, f"{name}.safetensors")
        expected[f"{name}.safetensors"] = recorded(mp.load_vectors(f"{name}.safetensors", model))
    mean, at_input = (mp.load_vectors(f"{name}.safetensors", model) for name in ("mean", "input"))

    calls.inside(model, at_input, "inside.zarr")
    expected["inside"] = recorded(open_grid("inside.zarr").load())
    calls.own(model, mean, "own-half.zarr", shard="1/2")
    expected["own"] = finished_copy("own-half.zarr", lambda store: calls.own(model, mean, store))
    expected["own, state"] = state_of("own-half.zarr")
    killed("files")
    expected["files"] = finished_copy("files.zarr", lambda store: calls.files(model, mean, "pictures", store))
    expected["files, state"] = state_of("files.zarr")
    begun = Path("files.zarr/inputs/sweep.json")
    begun.write_text(begun.read_text().replace(str(Path.cwd().resolve()), "@FOLDER@"))

    calls.patched(model, "patched.zarr")
    grid = open_grid("patched.zarr").load()
    expected["patched"], expected["recovered"] = recorded(grid), recorded(mp.recovered(grid))
    killed("patched")
    expected["patched-half"] = finished_copy("patched-half.zarr", lambda store: calls.patched(model, store))
    expected["patched-half, state"] = state_of("patched-half.zarr")

    calls.captured_steered(model, mean, "captured-steered.zarr")
    expected["captured-steered"] = recorded(open_zarr("captured-steered.zarr").load())
    calls.captured(calls.load_model(dtype="bfloat16"), "captured.zarr", layers=[3])
    expected["captured"] = recorded(open_zarr("captured.zarr").load())
    killed("captured", 2)
    expected["captured-half"] = finished_copy("captured-half.zarr", lambda store: calls.captured(model, store))
    save_zarr(calls.captured(calls.load_model(dtype="bfloat16"), layers=[3]), "saved.zarr")
    expected["saved"] = recorded(open_zarr("saved.zarr").load())

    mp.save_vectors(mean.sel(concept="cat", scope="last_prompt"), "cat.gguf")
    expected["cat.gguf"] = recorded(mp.load_vectors("cat.gguf", model, calls.library()["cat"].negative[:2]))
    steering = mp.Steering(mean.sel(concept="cat"), [1], 2.0, tokens="last_prompt")
    image = calls.library()["neon"].negative[1]
    expected["answer"] = mp.generate(model, image, steering=steering, max_new_tokens=6).text

    found = calls.recommended(model, mean)
    found.save("recommended.json")
    expected["recommended"] = {"settings": json.loads(Path("recommended.json").read_text()), "table": str(found)}

    grid = mp.sweep(
        model, mean.sel(concept=["cat"]), calls.library()["cat"].negative, layers=[1], strengths=(1,),
        metrics=("logprob",), draws=4, progress=False,
    )  # fmt: skip
    save_zarr(grid, "grid-saved.zarr")
    for number in (2, 3):
        grid.to_zarr(f"grid-format-{number}.zarr", zarr_format=number)
    netcdf(grid, "grid.nc")
    for name in ("grid-saved.zarr", "grid-format-2.zarr", "grid-format-3.zarr"):
        expected[name] = recorded(open_grid(name).load())
    expected["grid.nc"] = recorded(xr.open_dataset("grid.nc", engine="scipy").load())
    expected["grid, effect"] = recorded(mp.effect(grid, "logprob"))
    return expected


def netcdf(grid: xr.Dataset, path: str) -> None:
    """Write a grid as netCDF 3, which has neither truth values nor lists of texts in attributes."""
    plain = grid.drop_attrs(deep=False).assign_attrs(
        {name: json.dumps(value) if isinstance(value, (list, bool)) else value for name, value in grid.attrs.items()}
    )
    plain.to_netcdf(path, engine="scipy")


def made_up(model):
    """Numbers for a vector that no function of the package made."""
    return torch.linspace(-1, 1, model.hidden_size).expand(len(model.layers), -1).clone()


def studies() -> dict:
    """The folder of a study's runs, and that of ``mllm-probe studies bundled``."""
    from mllm_probe.activations.store_layout import write_group

    model = calls.load_model()
    mp.save_vectors(calls.study_vectors(model), "study.safetensors")
    _, vectors = loaded("study")
    expected = {"atlas": recorded(calls.study(model, vectors, "runs"))}
    killed("study", 1)
    killed("reverse", 1, "image, own.zarr")
    shutil.rmtree("runs-reverse/image, residual.zarr")  # finished and large
    expected["reverse"] = finished_copy("runs-reverse", lambda store: calls.reverse_study(model, vectors, store))
    # All 32 concepts would be larger than everything else here: the small study is written as that command writes one.
    write_group(calls.study(model, vectors, "runs"), Path("work", calls.MODEL, "atlas.zarr"))
    shell(*calls.COMMANDS["studies"])
    os.remove("studies.html")  # pages have an archive of their own
    return expected


def pages() -> dict:
    """Saved pages of every widget and report, and a notebook with the state of its widgets."""
    import ipywidgets
    from mllm_probe.apps.report import studies_report

    model, library = calls.load_model(), calls.library()
    directions = calls.vectors(model, probe_accuracy=False)
    grid = mp.sweep(model, directions, library, strengths=(-1, 1, 2), tokens="last_prompt", draws=4, max_new_tokens=4,
                    layers=[1, 2], progress=False)  # fmt: skip
    pair = library.subset(concepts=["cat"], pairs=1)
    causal = mp.patch(model, pair, layers=[1], groups="patches", direction="insert", controls=(), progress=False)
    study = calls.study(model, calls.study_vectors(model), None)
    expected = {}

    heatmap = mp.LayerConceptHeatmap(grid, concept="cat", layer=2)
    heatmap.to_html("map.html", title="Cats by layer")
    expected["map"] = recorded(mp.effect(grid, "logprob"))
    panel = mp.SteeringPanel(model, directions, library["cat"].negative[:2], concept="cat", layer=2)
    answers = []
    for strength in (1.0, 2.0):
        panel.choose(strength=strength)
        assert panel.wait(120), panel.message
        answers.append([panel.answers[row] for row in ("baseline", "steered", "random")])
    panel.to_html("panel.html")
    expected["panel"] = answers
    image = library["cat"].positive[0]
    overlay = mp.PatchOverlay(model, directions, images=image, concept="cat", layer=2)
    strip = mp.TokenStrip(model, directions, images=image, concept="cat", layer=2)
    assert overlay.wait(120) and strip.wait(120)
    overlay.show_causal(causal, image, "cat")
    from mllm_probe.widgets.pages.export_pages import to_html

    to_html(
        ipywidgets.VBox([overlay, strip, mp.SweepMonitor(mp.sweep_iter(model, directions, library))]), "inside.html"
    )
    mp.StudyView(study).to_html("study.html")
    mp.report(grid, "report.html")
    mp.report(study, "study-report.html")
    studies_report([("Where", ["One model."], [study]), ("Again", [], [study])], "studies.html")
    lab = mp.explore(model, library, strengths=(1, 2), draws=4)
    assert lab.wait(300)
    lab.show_study(study)
    lab.to_html("lab.html", title="A lab")
    lab.close()
    for widget in (heatmap, panel, overlay, strip):
        widget.close()
    notebook(grid)
    expected["facts"] = {"model": model.name, "weights": model.fingerprint, "prompt": model.default_prompt}
    return expected


def notebook(grid: xr.Dataset) -> None:
    """Run a notebook with a map, and save it with the state of its widgets."""
    import nbformat
    from nbclient import NotebookClient

    grid.to_zarr("grid.zarr", zarr_format=2)
    cells = [
        "import mllm_probe as mp\nheatmap = mp.LayerConceptHeatmap('grid.zarr', concept='cat', layer=2)",
        "heatmap",
    ]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    NotebookClient(made, kernel_name="python3", timeout=300).execute()
    for cell in made.cells:
        assert not [one for one in cell.outputs if one.output_type == "error"], cell.outputs
    nbformat.write(made, "map.ipynb")
    shutil.rmtree("grid.zarr")


def model_folder() -> dict:
    """The folder of a trained model, without its weights, which the package holds."""
    source = Path(mp.__file__).parent / "models" / "bundled" / calls.MODEL
    shutil.copytree(source, "model", ignore=lambda folder, names: ["model.safetensors"])
    model = calls.load_model()
    return {"fingerprint": model.fingerprint, "prompt": model.default_prompt, "suggestions": list(model.suggestions)}


PARTS = {
    "command-line": command_line, "python": python, "studies": studies, "pages": pages, "model": model_folder,
}  # fmt: skip


def pack(folder: Path, archive: Path) -> None:
    """Pack a folder: names and contents alone, in order, so that equal folders give equal archives."""

    def bare(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(archive, "w:xz", preset=9 | lzma.PRESET_EXTREME) as tar:
        for file in sorted(folder.rglob("*")):
            tar.add(file, file.relative_to(folder).as_posix(), recursive=False, filter=bare)


def main(names: list[str]) -> None:
    checkout = Path(mp.__file__).resolve().parents[1]
    commit = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    if not commit.startswith(COMMIT):
        raise SystemExit(f"{checkout} is at {commit[:7] or 'no commit'}; the files are those of {COMMIT}.")
    torch.set_num_threads(1)
    SAMPLES.mkdir(exist_ok=True)
    expected = json.loads(lzma.decompress(EXPECTED.read_bytes())) if EXPECTED.exists() else {}
    for name in names or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            expected[name] = PARTS[name]()
            os.chdir(HERE)
            pack(Path(folder), SAMPLES / f"{name}.tar.xz")
        EXPECTED.write_bytes(lzma.compress(json.dumps(expected).encode(), preset=9 | lzma.PRESET_EXTREME))
        print(name, (SAMPLES / f"{name}.tar.xz").stat().st_size, EXPECTED.stat().st_size, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--die"]:
        torch.set_num_threads(1)
        small_units(64 if sys.argv[2] == "killed" else 16)
        dies_at_marker(int(sys.argv[3]), sys.argv[4])
        DYING[sys.argv[2]]()
    else:
        main(sys.argv[1:])
