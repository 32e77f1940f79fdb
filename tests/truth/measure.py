"""Planted constructions drawn from seeds, and what the package's own methods say of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
import xarray as xr

import mllm_probe as mp
from mllm_probe.activations.hooks import before_block
from mllm_probe.models.roles import IMAGE
from mllm_probe.studies.effect import value_by_image
from mllm_probe.studies.readout import causal_verdict, read_out, read_out_of
from mllm_probe.studies.truth import PlantedTruth, plant

IMAGES, DRAWS = 8, 4
STRENGTH = 1.0
ONE_BLOCK = ("local", "decoy")


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
        """Lowest accuracy over the layers at which the concept is there."""
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
    grid = image_grid(truth)
    at_images, at_last = value_by_image(grid, "logit").sel(strength=STRENGTH), last_prompt_values(truth)
    effects = truth.truth["effect"]
    errors = [
        abs(values - effects.sel(scope=scope, drop=True)).max()
        for scope, values in (("image", at_images), ("last_prompt", at_last))
    ]
    profile = read_out(grid, "logit").sel(strength=STRENGTH)
    verdicts = causal_verdict(profile, mp.effect(grid, "logit").sel(strength=STRENGTH))
    vectors = mp.concept_vectors(truth.model, truth.library, shuffled_draws=0)
    return Measured(
        truth=truth,
        error=float(max(errors)) / truth.truth.attrs["gain"],
        image=profile,
        last_prompt=read_out_of(at_last, "last_prompt"),
        verdicts={str(name): str(verdicts.sel(concept=name).item()) for name in verdicts["concept"].values},
        probes=vectors["probe_accuracy"],
    )


# Interchange (mp.patch) is the second method: its "patched minus base" by pair goes to read_out_of(…, "image") as
# value_by_image of a sweep does here, and its recovered share is truth["effect"] / gain at every layer.


def some_images(truth: PlantedTruth) -> list:
    """Images with and without every concept."""
    pictures = truth.library.pictures
    return pictures[:: len(pictures) // IMAGES][:IMAGES]


def swept(truth: PlantedTruth, vectors: xr.Dataset, tokens: str, layers: object = "all") -> xr.Dataset:
    """Grid of steering with a dose of 1 in unit raw, beside random directions."""
    return mp.sweep(
        truth.model, vectors, some_images(truth), layers=layers, strengths=(STRENGTH,), tokens=tokens, unit="raw",
        metrics=("logit",), controls=("random",), draws=DRAWS, progress=False,
    )  # fmt: skip


def image_grid(truth: PlantedTruth) -> xr.Dataset:
    """Grid of steering the image tokens at every block, and by plain hooks at the input of block 0."""
    grid = swept(truth, truth.vectors(), "image")
    layers = truth.truth["layer"].values
    whole = grid.reindex(layer=layers, fill_value={"edited": 1}).assign_coords(
        relative_depth=truth.truth["relative_depth"]
    )
    directions = truth.truth["direction"].sel(scope="image", layer=-1)
    for name in truth.library:
        own = torch.from_numpy(directions.sel(concept=name).values)
        random = torch.from_numpy(np.random.default_rng(0).standard_normal((DRAWS, len(own)))).float()
        random *= own.norm() / random.norm(dim=-1, keepdim=True)
        place = {"concept": name, "layer": -1, "strength": STRENGTH}
        whole["logit"].loc[{**place, "control": "concept", "draw": 0}] = at_input(truth, name, own)
        for draw, direction in enumerate(random):
            whole["logit"].loc[{**place, "control": "random", "draw": draw}] = at_input(truth, name, direction)
    return whole


def at_input(truth: PlantedTruth, name: str, direction: torch.Tensor) -> np.ndarray:
    """Logits of a concept's word, by image, with a direction added to the image tokens before block 0."""
    model = truth.model
    encoded = model.encode(some_images(truth), None)
    where = (encoded.roles == IMAGE).unsqueeze(-1).to(model.device)
    direction = direction.to(model.device)
    (word,) = model.text_ids(name, leading_space=False)
    with torch.no_grad(), before_block(model, lambda _, hidden: hidden + where * direction, layers=[0]):
        return model.hf(**encoded.tensors).logits[:, -1, word].cpu().numpy()


def last_prompt_values(truth: PlantedTruth) -> xr.DataArray:
    """Effect (concept, layer, sample) of adding to the last prompt token what the image brings there at that layer."""
    vectors, present = truth.vectors("last_prompt"), truth.truth["present"].sel(scope="last_prompt", drop=True)
    parts = []
    for name in truth.library:  # a direction of length 0, where nothing has arrived yet, cannot be steered with
        layers = [int(layer) for layer in present["layer"].values if present.sel(concept=name, layer=layer)]
        grid = swept(truth, vectors.sel(concept=[name]), "last_prompt", layers)
        parts.append(value_by_image(grid, "logit").sel(strength=STRENGTH).drop_vars("relative_depth"))
    values = xr.concat([part.reindex(layer=truth.truth["layer"].values, fill_value=0.0) for part in parts], "concept")
    return values.assign_coords(relative_depth=truth.truth["relative_depth"])


def plant_of(seed: int) -> PlantedTruth:
    """The model of a drawn construction."""
    return plant(**asdict(construction(seed)))
