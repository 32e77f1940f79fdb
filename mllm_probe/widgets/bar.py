"""LabBar: one line above the lab that says which model this is and what is being computed."""

from __future__ import annotations

from typing import Any

import traitlets

from mllm_probe.widgets.base import ProbeWidget, bundle


class LabBar(ProbeWidget):
    """Names the model and shows the progress of background work.

    Parameters
    ----------
    title : str
        Facts about the model.
    """

    _esm = bundle("bar")

    title = traitlets.Unicode("").tag(sync=True)
    step = traitlets.Unicode("").tag(sync=True)
    progress = traitlets.Float(0.0).tag(sync=True)

    def __init__(self, title: str = "", **traits: Any) -> None:
        super().__init__(title=title, **traits)

    def _summary(self) -> str:
        return repr(self.title)
