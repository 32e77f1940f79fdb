"""Opens the whole lab in one line: vectors and a sweep are made in the background, and everything is linked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, overload

import xarray as xr

from mllm_probe.concepts import ConceptLibrary, neutral_images
from mllm_probe.concepts.drawn import library_call, map_settings
from mllm_probe.loading import load
from mllm_probe.models import ProbeModel, require_model
from mllm_probe.models.bundled import bundled_folder
from mllm_probe.plots.charts import study_name
from mllm_probe.studies.cell_scores import KEPT, NAMED, PERPLEXITY
from mllm_probe.studies.recommendation import stored_settings
from mllm_probe.sweeps import sweep_iter
from mllm_probe.vectors import concept_vectors
from mllm_probe.vectors.running_sums import distinct_images
from mllm_probe.widgets.base.choices import Offer, images_from
from mllm_probe.widgets.heatmap.layer_concept_heatmap import LayerConceptHeatmap, first_strength
from mllm_probe.widgets.lab.explore_widget import Explore, Report
from mllm_probe.widgets.lab.lab_parts import LabRecipe, library_line
from mllm_probe.widgets.lab.map_sweep import ANSWER_DRAWS, MapSweep
from mllm_probe.widgets.panel.fluency import FluentDoses
from mllm_probe.widgets.panel.steering_panel import SteeringPanel
from mllm_probe.widgets.study.study_view import StudyView


@overload
def explore(model: xr.Dataset) -> StudyView: ...


@overload
def explore(
    model: ProbeModel | str,
    library: ConceptLibrary | None = None,
    *,
    images: Offer = None,
    prompt: str | None = None,
    tokens: str | Sequence[str] | None = None,
    strengths: Sequence[float] | None = None,
    draws: int | Literal["auto"] = "auto",
    seed: int = 0,
) -> Explore: ...


def explore(
    model: ProbeModel | str | xr.Dataset,
    library: ConceptLibrary | None = None,
    *,
    images: Offer = None,
    prompt: str | None = None,
    tokens: str | Sequence[str] | None = None,
    strengths: Sequence[float] | None = None,
    draws: int | Literal["auto"] = "auto",
    seed: int = 0,
) -> Explore | StudyView:
    """Open the lab: concept vectors and a sweep are made in the background, and everything is linked.

    Parameters
    ----------
    model : ProbeModel, str or Dataset
        A loaded model, or what `mllm_probe.load` takes. A study of `mllm_probe.studies` is opened as a `StudyView`,
        and takes no further arguments; ``lab.show_study(study)`` opens it within a lab.
    library : ConceptLibrary, optional
        Concepts to look at; half of the pairs make the vectors, images of the other half are steered.
        By default the drawn scenes for a bundled model, and for any other two dozen concepts of emoji, 12 pairs of
        each; those that it does not distinguish and name are greyed once the map is filled.
    images : optional
        Images for the panel; held-out ones of the library by default.
    prompt : str, optional
        The question; the model's default one without it.
    tokens : str or sequence of str, optional
        Scopes that the map steers, as for `Steering`: the last prompt token for the drawn scenes, for other models the
        generated ones too.
    strengths : sequence of float, optional
        Strengths of the heatmap, × residual norm: 0.5, 1 and 2, or what suits a bundled model. The map steers neutral
        images, which lack the concepts: doses that take a concept away have no images there.
    draws : int or "auto"
        Directions of each control per layer and strength, with which the effect is compared; as for `sweep`.
    seed : int
        Of the split and the controls.

    Returns
    -------
    Explore
        With ``.heatmap``, ``.panel``, ``.monitor``, ``.vectors``, ``.grid``, ``.wait(timeout)``, ``.stop()`` and
        ``.close()``; a StudyView for a study.

    Raises
    ------
    TypeError
        If a study is given with a library or images.
    ValueError
        If a dataset is no study.
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
    swept = neutral_images(held_out, usual.neutral)
    labelled = all(image.labels is not None for image in swept)
    answered = (NAMED, *[KEPT] * labelled, PERPLEXITY)
    recipe = LabRecipe(
        _model_line(model, named),
        f"# library: {library!r}, as given" if call is None else library_line(call),
        len(pictures) if images is None else 0,
        of_vectors,
        of_grid | {"metrics": ("logprob", *answered)},
        prompt,
        seed,
        usual.neutral,
    )
    panel = SteeringPanel(
        model,
        images=pictures if images is None else images,
        prompt=prompt,
        scope="+".join(scopes),
        seed=seed,
        recommended=stored_settings(model) if call is not None and prompt is None else None,
        library=held_out,
    )
    fluent = FluentDoses(panel, swept, prompt, strengths, scopes)
    lab = Explore(
        model,
        LayerConceptHeatmap(layer=panel.layer, strength=first),
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
        of_answers = of_grid | {"metrics": answered, "draws": ANSWER_DRAWS if draws == "auto" else draws}
        screen = sweep_iter(model, vectors, swept, prompt, **of_grid)
        return vectors, MapSweep(screen, sweep_iter(model, vectors, swept, prompt, **of_answers), lab.heatmap)

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
