"""Still pictures of widgets, drawn without a browser: shapes once, written as SVG or painted as PNG."""

from mllm_probe.widgets.drawing.raster import png
from mllm_probe.widgets.drawing.shapes import Drawing
from mllm_probe.widgets.drawing.svg import svg

__all__ = ["Drawing", "png", "svg"]
