"""Still images of widgets, drawn without a browser: shapes once, written as SVG or painted as PNG."""

from mllm_probe.widgets.pictures.drawing import Drawing
from mllm_probe.widgets.pictures.png_writer import png
from mllm_probe.widgets.pictures.svg_writer import svg

__all__ = ["Drawing", "png", "svg"]
