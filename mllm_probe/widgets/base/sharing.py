"""Saved pages, images, and the static image of a notebook's output, for every widget."""

from __future__ import annotations

import base64
import logging
import os

from mllm_probe.typing import Traits
from mllm_probe.widgets.pages.export_pages import to_html
from mllm_probe.widgets.pages.recording import Recordings
from mllm_probe.widgets.pages.saved_page import Written, write
from mllm_probe.widgets.pictures import Drawing, png, svg
from mllm_probe.widgets.pictures.static_picture import card

logger = logging.getLogger(__name__)


class Shared:
    """Mixed into widgets: `to_html`, `to_svg`, `to_png`, and the image in the output's mime bundle."""

    def to_html(self, path: str | os.PathLike[str], title: str | None = None) -> Written:
        """Write one page that opens in any browser without kernel and network, interactive as far as its state goes.

        Parameters
        ----------
        path : path of the file
        title : str, optional
            Heading of the page.

        Returns
        -------
        Written
            With ``path`` and ``size`` in bytes.
        """
        self._settle()
        return to_html(self, path, title)

    def to_svg(self, path: str | os.PathLike[str], **what: object) -> Written:
        """Write the present image as SVG; options as for `drawing`."""
        self._settle()
        return write(path, svg(self.drawing(**what)))

    def to_png(self, path: str | os.PathLike[str], *, scale: float = 3.0, **what: object) -> Written:
        """Write the present image as PNG, ``scale`` pixels for each pixel of the screen; options as for `drawing`."""
        self._settle()
        return write(path, png(self.drawing(**what), scale=scale))

    def _settle(self) -> None:
        """Wait for computations that take seconds; a sweep is not waited for."""

    def drawing(self) -> Drawing:
        """Draw the present state of the widget."""
        return card(type(self).__name__, [repr(self)])

    def recordings(self) -> Recordings:
        """Settings that a saved page can answer."""
        return Recordings()

    def _repr_mimebundle_(self, **options: Traits) -> tuple[Traits, Traits] | None:
        """Add an image of the present state to the widget's output, for viewers that run no widgets."""
        mimebundle = super()._repr_mimebundle_(**options)  # type: ignore[misc]
        data, metadata = mimebundle if isinstance(mimebundle, tuple) else (mimebundle, {})
        if data is None:
            return None
        try:
            drawing = self.drawing()
            image = base64.b64encode(png(drawing)).decode()
        except Exception:
            logger.exception("a %s could not be drawn as an image", type(self).__name__)
            return data, metadata
        size = {"width": round(drawing.width), "height": round(drawing.height)}
        return {**data, "image/png": image}, {**metadata, "image/png": size}
