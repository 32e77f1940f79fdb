"""Still images of widgets, drawn without a browser: shapes once, written as SVG or painted as PNG."""

from mllm_probe.widgets.pictures.drawing import Drawing, png, svg

__all__ = ["Drawing", "png", "svg"]
