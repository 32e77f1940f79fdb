"""`explore`, the way into the lab: without PyTorch, where a bundled model has recorded results to show first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast, overload

from mllm_probe.widgets.lab.record_file import RecordError, record_for
from mllm_probe.widgets.lab.recorded_lab import RecordedLab

if TYPE_CHECKING:
    import xarray as xr

    from mllm_probe.concepts import ConceptLibrary
    from mllm_probe.models import ProbeModel
    from mllm_probe.widgets.base.choices import Offer
    from mllm_probe.widgets.lab.explore_widget import Explore
    from mllm_probe.widgets.study.study_view import StudyView

logger = logging.getLogger(__name__)


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

    With the name of a drawn-scenes model and nothing else, recorded results are shown at once, while the model loads.

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
    given = (library, images, prompt, tokens, strengths)
    if isinstance(model, str) and all(value is None for value in given) and draws == "auto" and seed == 0:
        try:
            record = record_for(model)
        except RecordError as error:
            logger.warning("%s", error)
            record = None
        if record is not None:
            return cast("Explore", RecordedLab(model, record))
    from mllm_probe.widgets.lab.exploring import open_lab

    return open_lab(
        model,
        library,
        images=images,
        prompt=prompt,
        tokens=tokens,
        strengths=strengths,
        draws=draws,
        seed=seed,
    )
