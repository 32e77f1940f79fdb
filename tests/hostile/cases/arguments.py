"""Arguments that are of the right kind and make no sense, and odd ones that have to give the right result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr

import mllm_probe as mp
from mllm_probe.concepts import ConceptLibrary
from tests.hostile.setting import PATCHED
from tests.hostile.tries import Try

Call = Callable[[Any], Any]
SMALL = {"layers": [3], "strengths": (1,), "draws": 4, "metrics": ("logprob",), "progress": False}
NAN, LONG = float("nan"), "cat " * 25_000


def filled(vectors: xr.Dataset, value: float) -> xr.Dataset:
    """The vectors with every number of their directions replaced."""
    array = vectors["vector"]
    return vectors.assign(vector=array.copy(data=np.full(array.shape, value, np.float32)))


def _changed(change: Callable[[xr.DataArray], xr.DataArray]) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda vectors: vectors.assign(vector=change(vectors["vector"]))


def _capture(s: Any, **given: Any) -> xr.Dataset:
    return mp.capture(s.model, **({"images": s.picture} | given))


def _generate(s: Any, **given: Any) -> list[str]:
    return mp.generate(s.model, **({"images": s.picture, "max_new_tokens": 2} | given)).text


def _steer(s: Any, vectors: xr.Dataset | None = None, **given: Any) -> list[str]:
    steering = mp.Steering(s.cat if vectors is None else vectors, **{"layers": [3], "strength": 1.0, **given})
    return _generate(s, steering=steering)


def _vectors(s: Any, **given: Any) -> xr.Dataset:
    return mp.concept_vectors(
        s.model, **({"library": s.held_out, "probe_accuracy": False, "shuffled_draws": 0} | given)
    )


def _sweep(s: Any, **given: Any) -> xr.Dataset:
    settings = SMALL | {"images": [s.picture], **given}
    return mp.sweep(s.model, settings.pop("vectors", s.vectors), **settings)


def _both(s: Any, **given: Any) -> Any:
    """The plan refuses what the sweep refuses; the sweep's error is the one that counts."""
    try:
        mp.plan(s.model, s.vectors, **(SMALL | {"images": [s.picture], **given}))
    except Exception as planned:
        try:
            return _sweep(s, **given)
        except Exception as ran:
            assert (type(planned), str(planned)) == (type(ran), str(ran))
            raise
    raise AssertionError("the plan took it")


def _patch(s: Any, library: Any = None, **given: Any) -> xr.Dataset:
    return mp.patch(
        s.model, s.library if library is None else library, **(PATCHED | {"controls": (), "progress": False} | given)
    )


def _of_cat(s: Any, **changes: Any) -> ConceptLibrary:
    return ConceptLibrary([replace(s.library["cat"], **changes)])


def _ids(ids: Any) -> dict[str, Any]:
    return {"images": None, "inputs": {"input_ids": ids}}


SETTINGS: list[tuple[str, Callable[..., Any], list[tuple[dict[str, Any], str]]]] = [
    ("capture", _capture, [
        ({"tokens": ()}, "tokens: expected one or several of"),
        ({"tokens": (2, 2)}, "tokens: expected one or several of"),
        ({"tokens": (10**30,)}, "tokens: expected one or several of"),
        ({"tokens": [[True], [True, False]]}, "tokens: expected one or several of"),
        ({"tokens": np.ones((1, 1, 8, 8), bool)}, "tokens: expected one or several of"),
        ({"tokens": torch.ones(3, dtype=torch.bfloat16)}, "tokens: expected one or several of"),
        ({"tokens": np.zeros((8, 8), bool)}, "the patch mask selects no patch"),
        ({"tokens": np.ones((3, 3), bool)}, "the patch mask is 3×3, but the image"),
        ({"tokens": [True, False, True]}, "a mask of 3 positions does not fit"),
        ({"tokens": [10**12]}, "position 1000000000000 cannot be read"),
        ({"tokens": "generated"}, "give continuation="), ({"layers": -9}, "no layer -9: the model has 8 blocks"),
        ({"layers": slice(5, 2)}, "layers: expected 'all'"), ({"layers": [1, -7]}, "one or more different blocks"),
        ({"layers": ["input", "all"]}, "layers: expected 'all'"), ({"continuation": ""}, "at least one token"),
    ]),
    ("generate", _generate, [
        ({"prompt": [{"role": "user", "content": "Hi"}]}, "the chat template is applied to it"),
        ({"prompt": ["a", "b"]}, "Expected one prompt, or one per sample (1); got 2"),
        ({"prompt": "<image>"}, "prompt: holds the image token '<image>'"),
        ({"prompt": "\ud800"}, "prompt: holds '\\ud800', which is no character"),
        ({"temperature": NAN, "do_sample": True}, "temperature: expected a finite number"),
        ({"temperature": -1.0, "do_sample": True}, "temperature: expected a number above 0"),
        ({"do_sample": True, "top_k": -5}, "top_k: expected 0 or more; got -5"),
        ({"nonsense": 1}, "generate has no option 'nonsense'"),
        ({"answer_prefix": "<image>"}, "answer_prefix: holds the image token"),
        ({"answer_prefix": "\ud800"}, "answer_prefix: holds '\\ud800', which is no character"),
        ({"inputs": {}}, "inputs= expects processed tensors with 'input_ids'"),
        (_ids(torch.tensor([[10**6]])), "token ids between 0 and"),
        (_ids(torch.tensor([[-1]])), "token ids between 0 and"),
        (_ids(torch.zeros(1, 0, dtype=torch.long)), "at least one token"),
        (_ids(torch.full((1, 4), 0.5)), "whole numbers"),
        (_ids(torch.tensor([1, 2])), "[rows, tokens]"),
    ]),
    ("Steering", _steer, [
        ({"strength": 10**400}, "strength: expected a finite number"), ({"strength": -1e38}, "a dose of"),
        ({"layers": [99]}, "at layer 99"), ({"layers": "input"}, "at layer input"),
        ({"tokens": [10**9]}, "position 1000000000"), ({"operation": "replace"}, "needs to="),
    ]),
    ("concept_vectors", _vectors, [
        ({"library": {}}, "with at least one concept"), ({"library": {"cat": "folder"}}, "'cat' is a str"),
    ]),
    ("sweep, plan", _both, [
        ({"strengths": []}, "strengths: expected one or more finite numbers"),
        ({"strengths": [10**400]}, "strengths: expected one or more finite numbers"),
        ({"strengths": [0.5, 1e38]}, "a dose of"),
        ({"layers": [1, 1]}, "layers: expected one or more different blocks"),
        ({"metrics": []}, "metrics: expected at least one"), ({"metrics": ["iq"]}, "unknown metric 'iq'"),
        ({"draws": 10**18}, "1,000,000,000,000,000,000 draws"),
        ({"strengths": range(1, 10**5), "draws": 10_000}, "steered runs"),
        ({"metrics": ("tokens",), "max_new_tokens": 10**9}, "GB"),
        ({"max_new_tokens": 0, "metrics": ("named",)}, "max_new_tokens: expected 1 or more; got 0"),
        ({"record": ["residual_norm"], "read_layers": [99]}, "no layer 99"), ({"to": "cat"}, "to="),
        ({"to": "zebra", "operation": "replace"}, "to: the vectors have no concept 'zebra'"),
        ({"prompt": LONG}, "shorten the prompt"),
        ({"prompt": ["a", "b", "c"]}, "Expected one prompt, or one per sample (1); got 3"),
        ({"answer_prefix": [10**7]}, "answer_prefix: expected token ids between 0 and"),
        ({"images": None}, "images: expected images or a concept library"),
    ]),
    ("patch", _patch, [
        ({"layers": ["input", "input"]}, "layers: expected one or more different blocks"),
        ({"metrics": "kl"}, "reads more than the answer's first position"),
        ({"library": {}}, "expected a library of counterfactual pairs"),
    ]),
    ("plant", lambda s, **given: mp.studies.truth.plant(**given), [
        ({"layers": 4, "block": 4}, "block: expected 0 … 3"), ({"width": 10**12}, "width: expected 2 … 4096"),
        ({"pairs": 10**9}, "pairs: expected 2 … 10000"),
    ]),
    ("scenes", lambda s, **given: mp.concepts.scenes(**{"concepts": ["cat"], **given}), [
        ({"concepts": []}, "at least one concept"), ({"concepts": ["cat", "cat"]}, "two concepts are called 'cat'"),
        ({"pairs": 10**6}, "at most 50,000, not 1,000,000"), ({"size": 10**6}, "at most 4,096"),
    ]),
    ("split", lambda s, **given: s.library.split(**given), [
        ({"fit": 2.0}, "between 0 and 1, not 2.0"), ({"fit": NAN}, "between 0 and 1, not nan"),
        ({"groups": {"nothing.png": 1}}, "neither the path nor the id"),
    ]),
]  # fmt: skip
"""Settings that are refused, each alone."""

VECTORS: list[tuple[str, Callable[[xr.Dataset], Any], str]] = [
    ("no vector", lambda v: v.drop_vars("vector"), "lack"), ("no hidden", lambda v: v.isel(hidden=0), "lack"),
    ("NaN", lambda v: filled(v, NAN), "holds NaN or infinity"), ("3e38", lambda v: filled(v, 3e38), "is too long"),
    ("zero", lambda v: filled(v, 0.0), "has length 0"),
    ("another width", lambda v: v.isel(hidden=slice(0, 10)), "have width 10"),
    ("other weights", lambda v: v.assign_attrs(weights="x"), "were made with"),
    ("no attributes", lambda v: v.drop_attrs(), "do not say which model"),
]  # fmt: skip
"""Vectors with which neither one answer nor a sweep is steered."""
OF_SEVERAL: list[tuple[str, Callable[[xr.Dataset], Any], str]] = [
    ("no concepts", lambda v: v.isel(concept=[]), "no concept"),
    ("a concept twice", lambda v: v.sel(concept=["cat", "cat"]), "'cat' twice"),
    ("words that are no list", lambda v: v.assign(words=("concept", ["{", "cat"])), "words"),
]
GRIDS: list[tuple[str, Call, str]] = [
    ("vectors", lambda s: s.vectors, "lacks"),
    ("no controls", lambda s: s.grid.sel(control=["concept"]), "without its controls"),
    ("no images", lambda s: s.grid.isel(sample=[]), "no images"),
    ("text for numbers", lambda s: s.grid.assign(logprob=s.grid.text), "holds text"),
    ("no baseline", lambda s: s.grid.drop_vars("logprob_unsteered"), "lacks variable 'logprob_unsteered'"),
]
EFFECTS = xr.DataArray(np.ones((2, 3, 4)), {"layer": [-1, 0, 1], "concept": ["a", "b"]}, ("concept", "layer", "sample"))
BLOCKS = EFFECTS.isel(layer=slice(1, None))
READ_OUT: list[tuple[str, Call, str]] = [
    ("no images", lambda s: mp.studies.read_out_of(EFFECTS.mean("sample"), "image"), "'sample'"),
    ("a layer twice", lambda s: mp.studies.read_out_of(EFFECTS.isel(layer=[0, 1, 2, 2]), "image"), "[-1, 0, 1, 1]"),
    ("another concept's input", lambda s: mp.studies.read_out_of(
        BLOCKS, "image", at_input=xr.DataArray([1.0], {"concept": ["c"]}, "concept")), "expected the coordinates"),
    ("another dimension", lambda s: mp.studies.read_out_of(
        BLOCKS, "image", at_input=xr.DataArray([1.0], dims="draw")), "expected some of the dimensions"),
    ("off_target", lambda s: mp.studies.read_out(s.grid, "off_target"), "scores every concept"),
]  # fmt: skip


def _refused(s: Any, study: str, **given: Any) -> Any:
    return getattr(mp.studies, study)(s.model, s.held_out, **given)


STUDIES: list[tuple[str, Call, str]] = [
    (f"{study}: {name}", lambda s, study=study, make=make: _refused(s, study, **make(s)), says)
    for study in ("localization", "atlas", "reliability", "reverse_steering")
    for name, make, says in (
        ("vectors of another model", lambda s: {"vectors": s.vectors.assign_attrs(weights="deadbeef")}, "deadbeef"),
        ("vectors of no model", lambda s: {"vectors": s.vectors.drop_attrs()}, "which model"),
        ("a file as store", lambda s: {"store": __file__}, "is a file"),
    )
]
LIBRARIES: list[tuple[str, Call, str]] = [
    ("a concept", lambda s: mp.patch(s.model, s.library["cat"]), "expected a library of counterfactual pairs"),
    ("groups of one", lambda s: s.library.split(groups=lambda picture: "one"), "cannot be split"),
    ("a list for a group", lambda s: s.library.split(groups=lambda picture: []), "text, a whole number or None"),
    ("unpaired", lambda s: _patch(s, _of_cat(s, paired=False)), "are not paired"),
    ("one pair", lambda s: _patch(s, s.library.subset(["cat"], pairs=1), controls=("other_positive",)),
     "'other_positive' of 'cat' needs another pair"),
]  # fmt: skip
FIGURES: list[tuple[str, Call, str]] = [
    ("map of an array", lambda s: mp.LayerConceptHeatmap(s.grid.logprob), "got DataArray"),
    ("map of vectors", lambda s: mp.LayerConceptHeatmap(s.vectors), "no metric 'logprob'"),
    ("profile of vectors", lambda s: mp.plots.layer_profile(s.vectors), "lacks variable 'difference'"),
    ("doses of no such concept", lambda s: mp.plots.dose_response(s.grid, concepts="dog"), "'dog'"),
    ("profile at no such strength", lambda s: mp.plots.layer_profile(s.grid, strength=9), "strength 9"),
    ("doses at no such layer", lambda s: mp.plots.dose_response(s.grid, layer=77), "layer 77"),
    ("report of a grid called a study", lambda s: mp.report(s.grid.assign_attrs(study="atlas"), s.folder / "r.html"),
     "the study 'atlas' lacks variable"),
    *((f"a grid called {of}", lambda s, of=of: mp.StudyView(s.grid.assign_attrs(study=of)), f"'{of}' lacks variable")
      for of in ("localization", "scaling", "reverse_steering", "reliability", "comparison")),
]  # fmt: skip
EXCHANGED: list[tuple[str, Call, str]] = [
    ("sweep", lambda s: mp.sweep(s.vectors, s.model, [s.picture], **SMALL), "got a Dataset; the model comes first"),
    ("concept_vectors", lambda s: mp.concept_vectors(s.library, s.model), "expected a loaded model"),
    ("prompt and steering", lambda s: mp.generate(s.model, s.picture, mp.Steering(s.cat, [3])), "pass it as steering="),
    ("the Hugging Face model", lambda s: mp.generate(s.model.hf, s.picture), "expected a loaded model"),
    ("vectors as steering", lambda s: _generate(s, steering=s.cat), "steering: expected a Steering"),
    ("two concepts at once", lambda s: _steer(s, s.vectors), "expected the vectors of one concept"),
    ("text composed", lambda s: mp.compose("x"), "compose expects one or more steerings"),
    ("one model in scaling", lambda s: mp.studies.scaling(s.model), "model"),
]  # fmt: skip


def _ones(s: Any) -> torch.Tensor:
    return torch.ones(8, s.model.hidden_size)


def _other_weights(call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a call on a model whose weights were scaled in place, and put them back."""

    def run(s: Any) -> Any:
        vectors, parameters = s.vectors, list(s.model.hf.parameters())  # vectors of the weights before
        kept = [parameter.clone() for parameter in parameters]
        with torch.no_grad():
            for parameter in parameters:
                parameter.mul_(1.001)
            try:
                return call(s)
            finally:
                for parameter, before in zip(parameters, kept, strict=True):
                    parameter.copy_(before)
                assert vectors.attrs["weights"] == s.model.fingerprint

    return run


def _alike(first: Call, second: Call) -> Call:
    """Whether two calls answer alike."""
    return lambda s: first(s) == second(s)


def _scored(grid: xr.Dataset) -> bool:
    return bool(np.isfinite(grid.logprob.sel(control="concept", draw=0)).all())


def _as_cat(s: Any, vectors: xr.Dataset) -> bool:
    one, whole = _sweep(s, vectors=vectors, controls="random"), _sweep(s, controls="random")
    return dict(one.sizes) == dict(whole.sizes) | {"concept": 1} and bool(
        np.allclose(one.logprob.values[0], whole.logprob.sel(concept="cat").values, atol=1e-4, equal_nan=True)
    )


def _answers_alike(grid: xr.Dataset) -> bool:
    scores = grid.logprob.sel(control="concept", draw=0).values
    return grid.sizes["sample"] == 3 and np.ptp(scores, axis=-1).max() < 1e-4


def _sizes(s: Any, **given: Any) -> dict[Any, int]:
    return {key: size for key, size in _capture(s, **given).sizes.items() if key != "hidden" and size > 1}


def _nothing(effect: xr.Dataset) -> bool:
    return not np.isfinite(effect.difference).any() and not effect.clear_of_controls.any()


def _unread(values: xr.DataArray) -> bool:
    profile = mp.studies.read_out_of(values, "image")
    return bool(np.isnan(profile["effective_layers"]).all() and not profile["n"].any())


def _no_pair(grid: xr.Dataset) -> bool:
    same = (grid.logprob == grid.logprob_base).sel(group="changed").all()
    return bool(same) and int(grid.group_size.sel(group="changed").sum()) == 0


RIGHT: list[tuple[str, str, Call]] = [
    ("capture", "layers: a slice", lambda s: _sizes(s, layers=slice(2, 4)) == {"layer": 2}),
    ("capture", "layers: a generator", lambda s: _sizes(s, layers=(n for n in (1, 5))) == {"layer": 2}),
    ("capture", "continuation: an image token", lambda s: _sizes(s, continuation="<image>") == {"layer": 8}),
    ("generate", "an empty prompt", lambda s: len(_generate(s, prompt="")[0]) > 0),
    ("generate", "ids: a list", _alike(lambda s: _generate(s, **_ids([[1, 2]])),
                                       lambda s: _generate(s, **_ids(torch.tensor([[1, 2]]))))),
    ("generate", "10**9 new tokens", _alike(lambda s: _generate(s, max_new_tokens=10**9),
                                            lambda s: _generate(s, max_new_tokens=60))),
    ("Steering", "no layers are all of them", _alike(lambda s: _steer(s, layers=None),
                                                     lambda s: _steer(s, layers="all"))),
    ("Steering", "the last layer as -1", _alike(lambda s: _steer(s, layers=-1), lambda s: _steer(s, layers=[7]))),
    ("Steering", "a layer twice", _alike(lambda s: _steer(s, layers=[2, 2]), lambda s: _steer(s, layers=[2]))),
    *(("Steering", f"vectors: {name}", _alike(lambda s, change=change: _steer(s, _changed(change)(s.cat)), _steer))
      for name, change in {
          "float64": lambda v: v.astype("float64"), "a millionth as long": lambda v: v * np.float32(1e-6),
          "1e15 times as long": lambda v: v * np.float32(1e15),
      }.items()),
    ("vectors_from", "whole numbers", lambda s: (mp.vectors_from(s.model, {"a": _ones(s).long()}).vector == 1).all()),
    ("concept_vectors", "batch_size 10**9", lambda s: np.isfinite(_vectors(s, batch_size=10**9).vector).all()),
    ("sweep", "one concept, selected", lambda s: _as_cat(s, s.cat)),
    ("sweep", "one concept, without a name", lambda s: _scored(
        _sweep(s, vectors=s.cat.drop_vars(["concept", "category"])))),
    ("sweep", "strengths twice", lambda s: _sweep(s, strengths=[1, 1.0]).sizes["strength"] == 1),
    ("sweep", "generators", lambda s: _scored(
        _sweep(s, strengths=iter((0, 1)), layers=iter([3]), images=iter([s.picture])))),
    ("sweep", "strength -0.0", lambda s: _sweep(s, strengths=[-0.0, 1]).logprob.sel(
        strength=0, control="concept", draw=0).notnull().all()),
    ("sweep", "seed 2**70", lambda s: _scored(_sweep(s, seed=2**70))),
    ("sweep", "a metric and a control as text", lambda s: _sweep(
        s, metrics="logprob", controls="random").control.values.tolist() == ["concept", "random"]),
    ("sweep", "one picture three times", lambda s: _answers_alike(_sweep(s, images=[s.picture] * 3))),
    ("plan", "a folder as store, which it never opens",
     lambda s: mp.plan(s.model, s.vectors, [s.picture], store=s.folder, **SMALL).samples == 1),
    ("patch", "a pair of one image", lambda s: _no_pair(
        _patch(s, _of_cat(s, negative=s.library["cat"].positive), groups=("changed", "image")))),
    ("patch", "a window beyond the last block", lambda s: int(_patch(s, window=99).edited.max()) == 5 * 64),
    ("patch", "too few pairs", lambda s: np.isnan(mp.recovered(_patch(s)).recovered).all()),
    *(("effect", f"all {value}", lambda s, value=value: _nothing(
        mp.effect(s.grid.assign(logprob=s.grid.logprob * value))))
      for value in (NAN, float("inf"))),
    ("effect", "one picture", lambda s: not mp.effect(s.grid.isel(sample=[0])).clear_of_controls.any()),
    ("effect", "one draw", lambda s: not mp.effect(s.grid.isel(draw=[0])).clear_of_controls.any()),
    ("report", "all NaN", lambda s: "<html" in mp.report(
        s.grid.assign(logprob=s.grid.logprob * NAN), s.folder / "r.html").path.read_text()),
    ("read_out_of", "all NaN", lambda s: _unread(EFFECTS * NAN)),
    ("read_out_of", "all infinite", lambda s: _unread(EFFECTS * np.inf)),
    ("figures", "map of nothing", lambda s: "empty" in repr(mp.LayerConceptHeatmap(None))),
    ("figures", "a study of one's own", lambda s: not mp.StudyView(s.grid.assign_attrs(study="mine")).charts),
]  # fmt: skip
"""Odd arguments whose result has to be right."""
CHANGED: dict[str, Call] = {
    "generate": _steer, "stream": lambda s: list(mp.stream(s.model, s.picture, steering=mp.Steering(s.cat, [3]))),
    "steer": lambda s: mp.steer(s.model, mp.Steering(s.cat, [3])).__enter__(), "sweep": _sweep,
}  # fmt: skip
WARNED = {
    "a NUL": "a\0b", "markup": "<script>x</script>", "unknown words": "zqx wvy", "special tokens": "</s><s><pad>",
}  # fmt: skip


def _named(area: str, cases: list[tuple[str, Call, str]]) -> list[Try]:
    return [Try(area, name, call, "error", says) for name, call, says in cases]


TRIES = [
    *(Try(area, f"{given}"[:70], lambda s, run=run, given=given: run(s, **given), "error", says)
      for area, run, cases in SETTINGS for given, says in cases),
    *(Try("Steering", f"vectors: {name}", lambda s, make=make: _steer(s, make(s.cat)), "error", says)
      for name, make, says in VECTORS),
    *(Try("sweep", f"vectors: {name}", lambda s, make=make: _sweep(s, vectors=make(s.vectors)), "error", says)
      for name, make, says in VECTORS + OF_SEVERAL),
    *(Try("effect", name, lambda s, make=make: mp.effect(make(s), "logprob"), "error", says)
      for name, make, says in GRIDS),
    *(Try("report", name, lambda s, make=make: mp.report(make(s), s.folder / "r.html"), "error",
          "neither" if name == "vectors" else says) for name, make, says in GRIDS),
    *_named("read-out", READ_OUT), *_named("studies", STUDIES), *_named("libraries", LIBRARIES),
    *_named("figures", FIGURES), *_named("arguments exchanged", EXCHANGED),
    *(Try("weights that were changed", name, _other_weights(call), "error", "weights")
      for name, call in CHANGED.items()),
    *(Try("generate", f"prompt: {name}", lambda s, text=text: _generate(s, prompt=text), "warning", "does not know",
          lambda out: bool(out[0])) for name, text in WARNED.items()),
    *(Try(area, name, call, "result", right=bool) for area, name, call in RIGHT),
]  # fmt: skip
