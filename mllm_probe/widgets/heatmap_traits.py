"""The traits of the heatmap: what its front-end draws, what is chosen in it, and what is selected."""

from __future__ import annotations

import traitlets

from mllm_probe.studies.one_picture import AVERAGE_LABELS, AVERAGES
from mllm_probe.widgets.base import ProbeWidget, bundle
from mllm_probe.widgets.cells import RANDOM

COLUMNS = ("layer", "relative_depth")
DETAILS = ("dose_response", "off_target")


def _numbers() -> traitlets.Bytes:
    return traitlets.Bytes(b"").tag(sync=True)


class HeatmapTraits(ProbeWidget):
    """Coordinates and numbers of the cells, the choices, and the selection."""

    _esm = bundle("heatmap")

    concepts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    categories = traitlets.List(traitlets.Unicode()).tag(sync=True)
    layers = traitlets.List(traitlets.Int()).tag(sync=True)
    relative_depths = traitlets.List(traitlets.Float()).tag(sync=True)
    strengths = traitlets.List(traitlets.Float()).tag(sync=True)
    values = _numbers()
    low = _numbers()
    high = _numbers()
    n = _numbers()
    clear = _numbers()
    control = _numbers()
    control_low = _numbers()
    control_high = _numbers()
    unit = traitlets.Unicode("").tag(sync=True)
    strength_unit = traitlets.Unicode("residual").tag(sync=True)
    limit = traitlets.Float(1.0).tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    told = traitlets.Dict().tag(sync=True)
    recipe = traitlets.List(traitlets.Unicode()).tag(sync=True)
    progress = traitlets.Float(0.0).tag(sync=True)

    metric = traitlets.Unicode("logprob").tag(sync=True)
    metrics = traitlets.List(traitlets.Unicode()).tag(sync=True)
    metric_labels = traitlets.Dict().tag(sync=True)
    against = traitlets.Unicode(RANDOM).tag(sync=True)
    controls = traitlets.List(traitlets.Unicode()).tag(sync=True)
    average = traitlets.Enum(AVERAGES, "mean").tag(sync=True)
    average_labels = traitlets.Dict(AVERAGE_LABELS).tag(sync=True)
    sample = traitlets.Int(0).tag(sync=True)
    samples = traitlets.List(traitlets.Unicode()).tag(sync=True)
    columns = traitlets.Enum(COLUMNS, "layer").tag(sync=True)

    concept = traitlets.Unicode("").tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    window = traitlets.List(traitlets.Int(), [0, 0], minlen=2, maxlen=2).tag(sync=True)
    strength = traitlets.Float(1.0).tag(sync=True)

    detail = traitlets.Enum(DETAILS, "dose_response").tag(sync=True)
    has_off_target = traitlets.Bool(False).tag(sync=True)
    off_target = _numbers()
    off_target_at = traitlets.List(traitlets.Float()).tag(sync=True)
    off_target_limit = traitlets.Float(1.0).tag(sync=True)
    answered = traitlets.List(traitlets.List()).tag(sync=True)
    copied = traitlets.Unicode("").tag(sync=True)
