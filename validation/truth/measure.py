"""Planted constructions drawn from seeds, and what the package's own methods say of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr

import mllm_probe as mp
from mllm_probe.studies.effect import value_by_image
from mllm_probe.studies.readout import FEWEST, causal_verdict, read_out, read_out_of, read_out_of_patches
from mllm_probe.studies.truth import PlantedTruth, plant

PAIRS = 64
"""Of each concept: a probe that is trained on half of them tells eight contents at small angles apart."""
IMAGES, DRAWS = 8, 8
FEW_DRAWS = 4
"""Where controls decide nothing, but are run because no effect is reported without."""
STRENGTH = 1.0
SCOPES = ("image", "last_prompt")


@dataclass(frozen=True)
class Construction:
    """Arguments of ``plant``."""

    layers: int
    block: int
    gain: float
    width: int
    superposition: float
    distractors: int
    pixel_noise: float
    seed: int


@dataclass(frozen=True)
class Measured:
    """What steering and probes say of one construction.

    Attributes
    ----------
    error : float
        Largest distance of an effect on one image from its closed form, at any layer and both scopes, over the gain.
    image, last_prompt : Dataset (concept, …)
        Read-out profiles of both scopes.
    verdicts : dict of str to str
        By concept, from the images' profile and the controls.
    probes : DataArray (concept, scope, layer)
        Held-out accuracy.
    """

    truth: PlantedTruth
    error: float
    image: xr.Dataset
    last_prompt: xr.Dataset
    verdicts: dict[str, str]
    probes: xr.DataArray

    def worst_probe(self, concept: str, scope: str) -> float:
        """Lowest accuracy over the layers at which the concept is there; of ``image``, the input of block 0 too."""
        there = self.truth.truth["present"].sel(concept=concept, scope=scope)
        return float(self.probes.sel(concept=concept, scope=scope).where(there).min())


def construction(seed: int) -> Construction:
    """Draw a construction: 4 to 16 blocks, any of them, gain 2 to 10, width 32 to 512, with pixel noise."""
    rng = np.random.default_rng(seed)
    layers = int(rng.integers(4, 17))
    return Construction(
        layers=layers,
        block=int(rng.integers(layers)),
        gain=float(rng.uniform(2, 10)),
        width=2 * round(np.exp(rng.uniform(np.log(16), np.log(256)))),
        superposition=float(rng.choice([0.0, 0.3, 0.6])),
        distractors=int(rng.integers(1, 5)),
        pixel_noise=float(rng.uniform(1, 8)),
        seed=seed,
    )


def measured(truth: PlantedTruth) -> Measured:
    """Steer a planted model along its true directions and fit probes; the methods do not see the truth otherwise."""
    effects, errors, profiles, verdicts = truth.truth["effect"], [], {scope: [] for scope in SCOPES}, {}
    vectors = {scope: truth.vectors(scope) for scope in SCOPES}
    for name in truth.library:
        grid = swept(truth, vectors["image"], name, "image", every_site(truth))
        at_images = value_by_image(grid, "logit").sel(strength=STRENGTH)
        at_last = last_prompt_values(truth, vectors["last_prompt"], name)
        for scope, values in zip(SCOPES, (at_images, at_last), strict=True):
            errors.append(float(abs(values - effects.sel(scope=scope, drop=True)).max()))
        profile = read_out(grid, "logit").sel(strength=STRENGTH)
        profiles["image"].append(profile)
        profiles["last_prompt"].append(read_out_of(at_last, "last_prompt"))
        verdicts[name] = str(causal_verdict(profile, mp.effect(grid, "logit").sel(strength=STRENGTH)).item())
    at = {"image": every_site(truth), "last_prompt": "all"}
    probes = [
        mp.concept_vectors(truth.model, truth.library, tokens=scope, layers=layers, shuffled_draws=0)["probe_accuracy"]
        for scope, layers in at.items()
    ]
    return Measured(
        truth=truth,
        error=max(errors) / truth.truth.attrs["gain"],
        **{scope: xr.concat(parts, "concept") for scope, parts in profiles.items()},
        verdicts=verdicts,
        probes=xr.concat(probes, "scope", join="outer", coords="minimal", compat="override"),
    )


@dataclass(frozen=True)
class Interchanged:
    """What interchange interventions say of one construction.

    Attributes
    ----------
    error : float
        Largest distance of a pair's recovered share from its closed form, at any layer and both groups.
    image, last_prompt : Dataset (concept, …)
        Read-out profiles of both groups of tokens.
    identity : float
        Largest change of a score by a run's own activations.
    """

    error: float
    image: xr.Dataset
    last_prompt: xr.Dataset
    identity: float


def interchanged(truth: PlantedTruth) -> Interchanged:
    """Put the activations of the image with a concept into the run on its counterfactual."""
    grid = mp.patch(
        truth.model, truth.library.subset(pairs=FEWEST), groups=SCOPES, direction="insert", metrics=("logit",),
        controls=("identity",), progress=False,
    ).isel(direction=0)  # fmt: skip
    moved, base = grid["logit"] - grid["logit_base"], grid["logit_base"].sel(control="pair", group="image", layer=-1)
    shares = moved.sel(control="pair") / (grid["logit_source"] - base)
    planted = truth.truth["effect"].rename(scope="group") / truth.truth.attrs["gain"]
    with_effect = planted.any(["group", "layer"])
    profiles = {
        name: read_out_of_patches(grid.expand_dims("direction"), "logit", group=name).isel(direction=0)
        for name in SCOPES
    }
    return Interchanged(
        error=float(abs(shares - planted).where(with_effect).max()),
        **profiles,
        identity=float(abs(moved.sel(control="identity")).max()),
    )


def every_site(truth: PlantedTruth) -> list[str | int]:
    """The input of block 0, and every block's output."""
    return ["input", *range(len(truth.model.layers))]


def swept(
    truth: PlantedTruth, vectors: xr.Dataset, name: str, tokens: str, layers: object, draws: int = DRAWS
) -> xr.Dataset:
    """Grid of steering towards a concept, on images without it, with a dose of 1 in unit raw, beside random ones."""
    return mp.sweep(
        truth.model, vectors.sel(concept=[name]), truth.library[name].negative[:IMAGES], layers=layers,
        strengths=(STRENGTH,), tokens=tokens, unit="raw", metrics=("logit",), controls=("random",), draws=draws,
        progress=False,
    )  # fmt: skip


def last_prompt_values(truth: PlantedTruth, vectors: xr.Dataset, name: str) -> xr.DataArray:
    """Effect (concept, layer, sample) of adding to the last prompt token what the image brings there at that layer."""
    present = truth.truth["present"].sel(scope="last_prompt", concept=name, drop=True)
    # A direction of length 0, where nothing has arrived yet, cannot be steered with.
    layers = [int(layer) for layer in present["layer"].values[present.values]]
    values = value_by_image(swept(truth, vectors, name, "last_prompt", layers, FEW_DRAWS), "logit").sel(
        strength=STRENGTH
    )
    whole = values.drop_vars("relative_depth").reindex(layer=truth.truth["layer"].values, fill_value=0.0)
    return whole.assign_coords(relative_depth=truth.truth["relative_depth"])


def plant_of(seed: int) -> PlantedTruth:
    """The model of a drawn construction."""
    return plant(**asdict(construction(seed)), pairs=PAIRS)
