"""Small studies made by hand, as the functions of mp.studies and mp.compare give them."""

import numpy as np
import xarray as xr

CATEGORIES = ["entity"] * 3 + ["abstract"] * 3
NAMES = [f"c{i}" for i in range(6)]
FACTS = {"model": "scenes-8l", "prompt": "What do you see?", "n_concepts": 6, "seed": 0, "version_xarray": "1"}
DETAILS = "entity (3)\tread out by 2.0 blocks\nabstract (3)\tnot <b>known</b>"
SUMMARY = "6 concepts that the model tells apart.\nNothing is <b>concluded</b>."


def dataset(data, coords, **attrs):
    with_categories = {"concept": NAMES, "category": ("concept", CATEGORIES), **coords}
    return xr.Dataset(data, with_categories, {**FACTS, "summary": SUMMARY, "details": DETAILS, **attrs})


def localization():
    values = np.random.default_rng(0).uniform(0, 1, (2, 6, 4))
    values[0, 5] = np.nan
    coords = {"measure": ["interchange, insert", "steering, vector"], "layer": np.arange(4)}
    return dataset({"read_out": (("measure", "concept", "layer"), values)}, coords, study="localization")


def unknown():
    """A localization study of which interchange gives no profile."""
    made = localization()
    made["read_out"].values[0] = np.nan
    known = np.array([[np.nan] * 6, [3.0] * 6])
    return made.assign(
        effective_layers=(("measure", "concept"), known), n=(("measure", "concept"), [[0, 0, 0, 0, 0, 8], [8] * 6])
    )


def reverse():
    g = np.random.default_rng(1)
    dims = ("scope", "edit_kind", "concept", "layer", "control", "read_layer")
    ratio = g.uniform(-0.5, 1.5, (2, 1, 6, 2, 2, 4))
    coords = {
        "scope": ["image", "last_prompt+generated"], "edit_kind": ["-1 residual norm"], "layer": [1, 2],
        "control": ["random", "orthogonal"], "read_layer": np.arange(4),
    }  # fmt: skip
    return dataset({"ratio": (dims, ratio)}, coords, study="reverse_steering")


def reliability():
    share = np.linspace(0, 0.5, 12).reshape(6, 2)
    data = dict.fromkeys(("steerability", "anti_steerable", "anti_low", "anti_high"), (("concept", "layer"), share))
    data["anti_random"] = (("concept", "layer"), np.full((6, 2), 0.48))
    return dataset(data, {"layer": [0, 1]}, study="reliability", headline_layer=1)


def scaling():
    values = np.arange(12.0).reshape(2, 6)
    data = dict.fromkeys(("matched", "effective_layers", "best_random"), (("rung", "concept"), values))
    data["blocks"] = ("rung", [4, 8])
    coords = {"rung": ["a", "b"], "statistic": ["matched", "effective_layers"]}
    return dataset(data, coords, study="scaling")


def atlas():
    """Concepts of two categories that take turns, so that their order by category is another."""
    g = np.random.default_rng(2)
    cosine = g.uniform(-1, 1, (2, 6, 6))
    data = {
        "cosine": (("layer", "concept", "scored_concept"), cosine),
        "within": ("layer", [0.3, 0.4]),
        "across": ("layer", [0.1, -0.1]),
        "p": ("layer", [0.2, 0.0123]),
        "besides": (("steered_category", "scored_category"), [[0.5, -2.1], [np.nan, 1.0]]),
        "caused": ("concept", np.full(6, 4.0)),
    }
    order = ["entity", "abstract"]
    coords = {"scored_concept": NAMES, "layer": [3, 7], "steered_category": order, "scored_category": order}
    found = dataset(data, coords, study="atlas", headline_layer=7)
    return found.assign_coords(category=("concept", order * 3))


def comparison():
    values = np.arange(24.0).reshape(2, 6, 2) - 8
    values[1, 0, 1] = np.nan
    data = {
        "difference": (("rung", "concept", "depth"), values, {"units": "nats"}),
        "layer": (("rung", "depth"), [[1, 3], [3, 7]]),
    }
    coords = {"rung": ["scenes-4l", "scenes-8l"], "depth": [0.5, 1.0]}
    return dataset(data, coords, study="comparison", strength=2.0, model=["scenes-4l", "scenes-8l"])


def recognition():
    g = np.random.default_rng(3)
    dims = ("scope", "edit_kind", "asked", "concept", "layer")
    implied = g.uniform(0, 1, (2, 2, 3, 6, 4))
    data = {
        "implied": (dims, implied),
        "implied_random": (dims, implied / 4),
        "accuracy": ("asked", [0.9, 0.8, 0.7]),
        "accuracy_low": ("asked", [0.8, 0.7, 0.6]),
        "accuracy_high": ("asked", [1.0, 0.9, 0.8]),
    }
    coords = {
        "scope": ["last_prompt", "image"], "edit_kind": ["1 residual norm", "2 residual norms"],
        "asked": ["recognition", "reading", "problem"], "layer": np.arange(4),
    }  # fmt: skip
    return dataset(data, coords, study="recognition_vs_reasoning")


def with_multiverse(study):
    """Four ways of two doses and two scopes: verdicts 2, -1, not known, 1; the headline is the last."""
    about = {"long_name": "Abstract concepts are read out later", "units": "blocks"}
    settings = [["0.5", "image"], ["0.5", "last_prompt"], ["1.0", "image"], ["1.0", "last_prompt"]]
    return study.assign(
        verdict=("specification", [2.0, -1.0, np.nan, 1.0], about),
        setting=(("specification", "aspect"), settings),
    ).assign_coords(aspect=["dose", "token_scope"]).assign_attrs(
        headline=3, headline_p=0.2, curve_p=0.3, n_units=6, compares="concepts", fewest=8, lacking="",
    )  # fmt: skip


STUDIES = {
    "localization": localization, "reverse_steering": reverse, "reliability": reliability, "scaling": scaling,
    "atlas": atlas, "comparison": comparison, "recognition_vs_reasoning": recognition,
}  # fmt: skip
