"""Makes the lab: vectors and a sweep are made in the background or taken from a record, and everything is linked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import xarray as xr

from mllm_probe.concepts import ConceptLibrary, neutral_images
from mllm_probe.concepts.drawn import library_call, map_settings
from mllm_probe.loading import load
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.bundled import bundled_folder
from mllm_probe.plots.charts import study_name
from mllm_probe.studies.recommendation import stored_settings
from mllm_probe.sweeps import sweep_iter
from mllm_probe.vectors import concept_vectors
from mllm_probe.vectors.running_sums import distinct_images
from mllm_probe.widgets.base.choices import Offer, images_from
from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap, first_strength
from mllm_probe.widgets.lab.explore_widget import Explore, Report
from mllm_probe.widgets.lab.lab_parts import LabRecipe, library_line
from mllm_probe.widgets.lab.record_file import LabRecord
from mllm_probe.widgets.panel.fluency import FluentDoses
from mllm_probe.widgets.panel.steering_panel import SteeringPanel
from mllm_probe.widgets.study.study_view import StudyView


def open_lab(
    model: ProbeModel | str | xr.Dataset,
    library: ConceptLibrary | None = None,
    *,
    images: Offer = None,
    prompt: str | None = None,
    tokens: str | Sequence[str] | None = None,
    strengths: Sequence[float] | None = None,
    draws: int | Literal["auto"] = "auto",
    seed: int = 0,
    record: LabRecord | None = None,
    begin: bool = True,
) -> Explore | StudyView:
    """Make the lab of `explore`, with a model that is loaded here.

    `record`: results that the lab shows instead of measuring them; a RecordError is raised if they are of other
    weights. `begin`: False leaves it without vectors.
    """
    if isinstance(model, xr.Dataset):
        return _study(model, library=library, images=images, prompt=prompt, tokens=tokens, strengths=strengths)
    if not isinstance(model, str):
        require_model(model, "explore")
    if library is not None and not hasattr(library, "split"):
        raise TypeError(
            f"explore: expected a concept library as the second argument; got {type(library).__name__}. The lab "
            "measures its own vectors: give library=mp.concepts.from_folder(…), from_hub(…) or scenes(), or use "
            "mp.SteeringPanel(model, vectors) for vectors that are there."
        )
    named, call = model if isinstance(model, str) else None, None
    model = load(model) if isinstance(model, str) else model
    if record is not None:
        record.require_weights(model.fingerprint)
    if library is None:
        call = library_call(model.name)
        library = call()
    fit, held_out = library.split(seed=seed)
    pictures = images_from(held_out)
    of_vectors: dict[str, Any] = {"tokens": ("last_prompt", "image"), "seed": seed, "probe_accuracy": False}
    usual = map_settings(model.name)
    first = usual.first if strengths is None else first_strength(tuple(strengths))
    strengths = usual.strengths if strengths is None else tuple(strengths)
    scopes = usual.tokens if tokens is None else (tokens,) if isinstance(tokens, str) else tuple(tokens)
    of_grid: dict[str, Any] = {"strengths": strengths, "tokens": scopes, "metrics": ("logprob",), "draws": draws}
    of_grid |= {"seed": seed, "progress": False}
    recipe = LabRecipe(
        _model_line(model, named),
        f"# library: {library!r}, as given" if call is None else library_line(call),
        len(pictures) if images is None else 0,
        of_vectors,
        of_grid,
        prompt,
        seed,
        usual.neutral,
    )
    panel = SteeringPanel(
        model,
        None if record is None else record.dataset("vectors"),
        images=pictures if images is None else images,
        prompt=prompt,
        scope="+".join(scopes),
        seed=seed,
        recommended=stored_settings(model) if call is not None and prompt is None else None,
        library=held_out,
    )
    swept = neutral_images(held_out, usual.neutral)
    fluent = FluentDoses(panel, swept, prompt, strengths, scopes)
    lab = Explore(
        model,
        LayerConceptHeatmap(concept=panel.concept, layer=panel.layer, strength=first),
        panel,
        held_out,
        recipe,
        fluent,
    )

    def make(report: Report) -> tuple[xr.Dataset, Iterator[xr.Dataset]]:
        ends = _ends(fit)

        def progress(done: int, total: int) -> None:
            names = [name for name, end in ends.items() if end <= done]
            report(done, total, names, [str(fit[name].category) for name in names], len(fit))

        vectors = concept_vectors(model, fit, prompt, **of_vectors, progress=progress)
        return vectors, sweep_iter(model, vectors, swept, prompt, **of_grid)

    if record is not None:
        lab.take_recorded(record, make)
    elif begin:
        lab.fill(make)
    return lab


def _study(study: xr.Dataset, **settings: object) -> StudyView:
    """Open a study; it has been run, so that no setting of a lab means anything."""
    if not study_name(study):
        require_model(study, "explore")  # refuses it by what it is
    given = [name for name, value in settings.items() if value is not None]
    if given:
        raise TypeError(f"explore: a study has been run already and takes no {', '.join(given)}; give the study alone.")
    return StudyView(study)


def _ends(library: ConceptLibrary) -> dict[str, int]:
    """For each concept, how many distinct images have to be read until all of its own are."""
    _, members = distinct_images(library)
    return {name: 1 + max(int(side.max()) for side in sides) for name, sides in members.items()}


def _model_line(model: ProbeModel, named: str | None) -> str:
    """Line that loads the model again; for one that was loaded elsewhere, which one is meant."""
    if named is not None:
        return f"model = mp.load({named!r})"
    if bundled_folder(model.name) is not None:
        return f"model = mp.load({model.name!r})"
    return f"# model: {' '.join(str(model.name).split())}, as given"
