"""`patch`: interchange interventions on the counterfactual pairs of a library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import xarray as xr
from tqdm.auto import tqdm

from mllm_probe.metrics.metric import Metric
from mllm_probe.models.probe_model import ProbeModel, require_model
from mllm_probe.patching.patch_engine import PatchEngine
from mllm_probe.patching.patch_job import PatchJob, checked_settings
from mllm_probe.typing import Layers, Library


def patch(
    model: ProbeModel,
    library: Library,
    *,
    prompt: str | None = None,
    layers: Layers = "all",
    groups: Sequence[str] | str = ("changed", "image", "text", "last_prompt"),
    direction: Sequence[str] | str = ("insert", "remove"),
    metrics: Sequence[str | Metric] | str | Metric = ("logprob",),
    controls: Sequence[str] | str = ("identity", "unrelated", "other_positive"),
    window: int = 1,
    minimum_gap: float = 0.5,
    seed: int = 0,
    answer_prefix: str | Sequence[int] | None = None,
    store: str | Path | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Put the activations of the run on one image into the run on its counterfactual, layer by layer, and score it.

    Where a concept is carried shows by where its activations bring it along: no direction is estimated and no dose is
    chosen, but every image needs an exact counterfactual whose prompt has the same token layout.

    Parameters
    ----------
    model : ProbeModel
    library : ConceptLibrary
        Of paired concepts: ``positive[i]`` and ``negative[i]`` are the same image with one thing changed.
    prompt : str, optional
        Text with the images; ``model.default_prompt`` by default.
    layers : "all", "input", int or sequence of int or "input"
        Where activations are exchanged, one layer at a time: outputs of blocks, and the input of block 0. Here
        ``"all"`` is the input (coordinate -1) and every block.
    groups : sequence of str
        Whose positions are exchanged. Disjoint groups: ``changed``, image tokens with a pixel that differs by more
        than 8 of 255 levels between the pair's images as the processor gives them, before normalisation;
        ``unchanged``, the other image tokens; ``text``, tokens of role text but the last of the prompt;
        ``last_prompt``; ``special``. Besides these ``image`` (changed and unchanged), ``all`` positions, ``patches``
        (every image token by itself) and ``all_but_patches`` (all positions but one image token's).
    direction : {"insert", "remove"} or both
        ``insert``: from the image with the concept into the run on the one without; ``remove``: the other way round.
    metrics : sequence of str or Metric
        ``logprob``, ``logit``, ``logit_difference`` (the concept's first sub-token against that of what the negative
        shows in its place, by the images' labels), or any Metric that reads ``"words"`` or ``"logits"``.
    controls : sequence of str
        Other donors. ``identity``: the run itself, which changes nothing, bit by bit; ``unrelated``: the negative image
        of the library that shares the fewest labels with the pair (``shared_labels`` says how many);
        ``other_positive``: another image with the concept. They are the same for both directions.
    window : int
        Patch this many layers at once, from the layer on.
    minimum_gap : float
        Least difference of source and base, in the metric's unit, of pairs that summaries use; kept in the attributes.
        With 0 all pairs count that differ in the right direction, also in a model that does not tell them apart.
    seed : int
        Which pairs the controls take their donors from.
    answer_prefix : str or sequence of int, optional
        Beginning of the answer that is given; ``model.default_answer_prefix`` if None.
    store : str or Path, optional
        A folder to which finished rows are written, as with :func:`mllm_probe.sweep`.
    progress : bool
        Show a progress line.

    Returns
    -------
    Dataset
        Per metric ``<metric>``, the patched score, and ``<metric>_base``, that of the row without a patch in the same
        batch, both (concept, layer, group, direction, control, sample); ``<metric>_source`` (concept, direction,
        sample), that of the run which activations are taken from. All float32 on the host, in the metric's unit.
        ``edited``, how many positions were patched; ``group_size`` (concept, group, sample). ``sample`` numbers the
        pairs of a concept; its companions name their images. :func:`mllm_probe.recovered` summarises it.

    Raises
    ------
    ValueError
        For unknown settings, unpaired concepts, pairs of unequal token layout, a group that the family does not have,
        a control without a donor, a store that was made with other settings, or a model that gives NaN.
    RuntimeError
        If a block of this family does not see the positions of the prompt, or another run is filling the store.
    MemoryError
        If the grid or one row does not fit into memory.

    Examples
    --------
    >>> grid = mp.patch(model, mp.concepts.scenes(concepts=["cat", "neon"], pairs=12))
    >>> mp.recovered(grid).recovered.sel(concept="cat", group="image", direction="insert", control="pair")

    Notes
    -----
    Rows share everything below the patched layer: they resume from the unedited run of their image, whose activations
    are read once and serve as donors too.

    References
    ----------
    Geiger et al., Causal Abstractions of Neural Networks, 2021. Meng et al., Locating and Editing Factual Associations
    in GPT, 2022. Heimersheim and Nanda, How to use and interpret activation patching, 2024.
    """
    require_model(model)
    settings = checked_settings(
        model,
        layers=layers,
        groups=groups,
        direction=direction,
        metrics=metrics,
        controls=controls,
        window=window,
        minimum_gap=minimum_gap,
        seed=seed,
        answer_prefix=answer_prefix,
    )
    engine = PatchEngine(PatchJob(model, library, prompt, settings), store)
    with tqdm(total=engine.total, disable=not progress, unit="row", desc="patch", mininterval=0.5) as bar:
        for done in engine.run():
            bar.update(done)
    return engine.dataset()
