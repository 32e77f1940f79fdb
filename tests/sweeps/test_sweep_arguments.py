"""An argument of a sweep is declared once: checks, identity, stored inputs, options and attributes follow from it."""

import inspect
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import mllm_probe as mp
from mllm_probe.activations.device_array import lazy
from mllm_probe.activations.store_places import place_of
from mllm_probe.activations.unit_store import UnitStore
from mllm_probe.cli import sweep_commands
from mllm_probe.concepts import Picture
from mllm_probe.sweeps import api
from mllm_probe.sweeps.settings import identity
from mllm_probe.sweeps.stored import store_inputs
from mllm_probe.sweeps.sweep_arguments import Arguments, declare
from tests.sweeps.helpers import random_vectors

RECORDED = json.loads((Path(__file__).parent / "recorded_settings.json").read_text(encoding="utf-8"))
"""Identity and ``inputs/sweep.json``, as text, that commit 6b54f34 gave for the settings of `CASES`."""
CASES = {
    "defaults": {},
    "axes": {
        "layers": [1, -1], "strengths": (0, 1, -0.5), "metrics": ("logprob", "tokens", "off_target"),
        "controls": ("shuffled", "concepts", "random"), "draws": 6, "seed": 3, "max_new_tokens": 5,
        "answer_prefix": "a", "tokens": "last_prompt",
    },
    "replace": {
        "operation": "replace", "to": "dog", "strengths": (0, 0.5, 1), "answer_prefix": [5, 6], "tokens": [-1, 3],
        "metrics": "logprob", "prompt": ["What?", "Where?"],
    },
    "recorded": {
        "record": "projection", "read_layers": [2], "read_tokens": ("image", "last_prompt"), "controls": (),
        "metrics": (), "unit": "raw", "tokens": np.eye(8, dtype=bool), "strengths": 1,
    },
    "ablate": {
        "operation": "ablate", "strengths": (0, 1), "unit": "vector", "controls": ("orthogonal", "shuffled"),
        "draws": 4, "record": ("residual_norm", "activation"), "read_layers": -1, "read_tokens": [0, -2],
    },
    "shuffled alone": {"controls": "shuffled", "answer_prefix": ""},
}  # fmt: skip
SHORT = {"layers": [1], "strengths": (0, 1), "metrics": ("logprob",), "draws": 4, "progress": False}
IMAGES = [np.full((56, 56, 3), value, np.uint8) for value in (40, 200)]
NO_SETTING = {"model", "vectors", "images", "prompt", "inputs", "store", "client", "progress", "shard", "mixed"}


@pytest.fixture(scope="module")
def vectors(model):
    """Vectors whose numbers are the same on every machine."""
    made = random_vectors(model)
    for name in ("vector", "shuffled", "manifold"):
        one = made[name]
        values = np.linspace(-1, 1, one.size).astype(np.float32) ** 3
        made[name] = lazy(one.dims, torch.from_numpy(values.reshape(one.shape)))
    return made


def job_of(model, vectors, prompt=None, **changed):
    return api._job(model, vectors, IMAGES, prompt, None, Arguments(**changed))


@pytest.mark.parametrize("name", CASES)
def test_stores_of_earlier_versions_are_the_same_to_the_byte(model, vectors, name):
    job = job_of(model, vectors, **CASES[name])
    assert json.dumps(identity(job)) == RECORDED[name]["identity"]
    files = store_inputs.inputs_of(job, place_of("none.zarr")).files
    assert files["inputs/sweep.json"].decode() == RECORDED[name]["sweep.json"]


@pytest.mark.parametrize("name", CASES)
def test_what_is_stored_gives_the_same_settings_again(model, vectors, name):
    settings = job_of(model, vectors, **CASES[name]).settings
    stored = json.loads(json.dumps(settings.stored())) | {"to": settings.to}
    again = type(settings)(Arguments(**stored), model, vectors)
    assert again.identity() == settings.identity() and again.attributes() == settings.attributes()
    assert again.stored() == settings.stored()


@pytest.mark.parametrize("function", [mp.sweep, mp.sweep_iter, mp.plan])
def test_every_argument_is_in_the_signatures_with_its_default(function):
    asked = inspect.signature(function).parameters
    assert {one.name: one.default for one in fields(Arguments)} == {
        name: one.default for name, one in asked.items() if name not in NO_SETTING
    }
    assert [name for name, one in asked.items() if one.kind is not one.KEYWORD_ONLY] == [
        "model", "vectors", "images", "prompt",
    ]  # fmt: skip
    given = inspect.getsource(function)
    assert all(f"{one.name}={one.name}," in given for one in fields(Arguments))


def test_every_argument_is_stored_compared_and_offered(model, vectors):
    settings, names = job_of(model, vectors).settings, [one.name for one in fields(Arguments)]
    assert sorted(settings.stored()) == sorted(names)
    assert list(settings.identity()) == [one.name for one in fields(Arguments) if one.metadata["decides"]] == names
    shown = {"tokens", "unit", "operation", "to", "metrics", "controls", "seed", "max_new_tokens", "answer_prefix"}
    assert {one.name for one in fields(Arguments) if one.metadata["attribute"]} == shown
    assert list(asdict(sweep_commands.PLAIN)) == names and all(one.metadata["help"] for one in fields(Arguments))


def test_options_that_are_left_out_are_the_defaults_of_the_package(model, vectors):
    given = Arguments(**sweep_commands.arguments_of(sweep_commands.PLAIN))
    same = type(job_of(model, vectors).settings)(given, model, vectors)
    assert same.identity() == job_of(model, vectors).settings.identity()
    typed = replace(sweep_commands.PLAIN, layers=["input"], read_layers=["all"], metrics=["logprob"])
    asked = sweep_commands.arguments_of(typed)
    assert asked["layers"] == "input" and asked["read_layers"] == "all" and asked["metrics"] == ["logprob"]


@dataclass(frozen=True, kw_only=True)
class WithTemperature(Arguments):
    """A made-up setting: one field, and nothing else is touched."""

    temperature: int = declare(
        1, int, "Of the answers.", checked=lambda s: s.whole_number("temperature", 1), attribute="temperature"
    )
    comment: str = declare("", None, "", decides=False)


def test_a_new_argument_is_checked_stored_compared_and_offered(model, vectors, monkeypatch, tmp_path):
    monkeypatch.setattr(store_inputs, "Arguments", WithTemperature)
    more = {name: SHORT[name] for name in ("layers", "strengths", "metrics", "draws")}
    runs = {"coarse": False, "client": None, "progress": False, "mixed": False}

    def grids(**changed):
        given = WithTemperature(**more | {"temperature": np.int64(3), "comment": "first"} | changed)
        shard = None if changed else "1/2"
        store = tmp_path / "grid.zarr"
        return api._grids(model, vectors, IMAGES, None, None, given, store=store, shard=shard, **runs)

    grids().finish()
    joined = mp.sweeps.join_sweep(tmp_path / "grid.zarr", model=model, progress=False)
    assert joined.attrs["progress"] == 1 and joined.attrs["temperature"] == 3
    stored = json.loads(UnitStore.open(tmp_path / "grid.zarr").get_file("inputs/sweep.json"))["settings"]
    assert stored["temperature"] == 3 and stored["comment"] == "first"
    assert grids(comment="second").finish().attrs["progress"] == 1
    with pytest.raises(ValueError, match="temperature: stored 3, asked for 4"):
        grids(temperature=4)
    with pytest.raises(ValueError, match="temperature: expected 1 or more; got 0"):
        grids(temperature=0)
    options = {one.name: one.default for one in fields(sweep_commands.options_of(WithTemperature))}
    assert options["temperature"] == 1 and "comment" not in options


@pytest.mark.parametrize(
    "given",
    [
        {"answer_prefix": [np.int64(5)]},
        {"answer_prefix": np.array([5])},
        {"layers": [np.int64(1)], "draws": np.int64(4), "seed": np.int64(2), "max_new_tokens": np.int64(2)},
        {"strengths": (np.int64(0), np.float32(0.5)), "tokens": [np.int64(3)]},
        {"record": "activation", "read_layers": np.int64(1), "read_tokens": [np.int64(0)]},
        {"metrics": np.array(["logprob"]), "unit": np.str_("residual"), "operation": np.str_("add")},
        {"images": [Picture(Path(__file__).parents[2] / "docs" / "emoji.png", labels={"cat"}, pair=np.int64(0))]},
    ],
    ids=lambda given: ", ".join(given),
)
def test_numbers_of_numpy_go_into_a_store_as_without_one(model, vectors, given, tmp_path):
    settings = {"images": IMAGES} | SHORT | given
    mp.sweep(model, vectors, **settings)
    mp.sweep(model, vectors, **settings, store=tmp_path / "grid.zarr", shard="1/2")
    assert mp.sweeps.join_sweep(tmp_path / "grid.zarr", model=model, progress=False).attrs["progress"] == 1
