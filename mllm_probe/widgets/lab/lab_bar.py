"""LabBar: one line above the lab with the model, the computation in progress, and buttons that open its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import traitlets

from mllm_probe.widgets.base.probe_widget import Content, ProbeWidget, bundle


class LabBar(ProbeWidget):
    """Names the model, shows the progress of background work, and has a button for each part that can be opened.

    `title`: facts about the model.
    `parts` (list of [name, label]): what can be opened below the lab.
    `opened`: names of the parts that are open; ``"code"`` is the Python in ``code``.
    `code`: code that reproduces the current view.
    `resume`: label of the button that goes on with work that was stopped; empty where there is none to go on with.
    `can_undo`, `can_redo`: whether there is a step to go back to, or forward.
    `calls`: what each button that sends its name does.
    """

    _esm = bundle("lab_bar")

    title = traitlets.Unicode("").tag(sync=True)
    step = traitlets.Unicode("").tag(sync=True)
    progress = traitlets.Float(0.0).tag(sync=True)
    parts = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    opened = traitlets.List(traitlets.Unicode()).tag(sync=True)
    code = traitlets.Unicode("").tag(sync=True)
    resume = traitlets.Unicode("").tag(sync=True)
    can_undo = traitlets.Bool(False).tag(sync=True)
    can_redo = traitlets.Bool(False).tag(sync=True)

    def __init__(self, **traits: object) -> None:
        self.calls: dict[str, Callable[[], object]] = {}
        super().__init__(**traits)

    def _call(self, content: Content, _buffers: Sequence[bytes]) -> None:
        self.calls[content["kind"]]()

    _acts = dict.fromkeys(("resume", "undo", "redo", "recommended", "surprise"), _call)

    def _summary(self) -> str:
        return repr(self.title)
