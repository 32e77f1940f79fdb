"""LabBar: one line above the lab with the model, the computation in progress, and buttons that open its parts."""

from __future__ import annotations

import traitlets

from mllm_probe.widgets.base.probe_widget import ProbeWidget, bundle


class LabBar(ProbeWidget):
    """Names the model, shows the progress of background work, and has a button for each part that can be opened.

    Parameters
    ----------
    title : str
        Facts about the model.

    Attributes
    ----------
    parts : list of [name, label]
        What can be opened below the lab.
    opened : list of str
        Names of the parts that are open; ``"code"`` is the Python in ``code``.
    code : str
        Code that reproduces the current view.
    """

    _esm = bundle("lab_bar")

    title = traitlets.Unicode("").tag(sync=True)
    step = traitlets.Unicode("").tag(sync=True)
    progress = traitlets.Float(0.0).tag(sync=True)
    parts = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    opened = traitlets.List(traitlets.Unicode()).tag(sync=True)
    code = traitlets.Unicode("").tag(sync=True)

    def _summary(self) -> str:
        return repr(self.title)
