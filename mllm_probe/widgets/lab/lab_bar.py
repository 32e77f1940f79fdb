"""LabBar: title, tools and tabs of the lab, with the computation in progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import traitlets

from mllm_probe.widgets.base.probe_widget import Content, ProbeWidget, bundle


class LabBar(ProbeWidget):
    """Names the model, shows the progress of background work, and has a tab for each part of the lab.

    `title`: facts about the model.
    `parts` (list of [name, label]): the tabs.
    `tab`: name of the part that is shown; ``"code"`` is the Python in ``code``.
    `left`: time that the work still takes, in words.
    `code`: code that reproduces the current view.
    `shared`: what a command of the *Share* menu wrote.
    `resume`: label of the button that goes on with work that was stopped; empty where there is none to go on with.
    `can_undo`, `can_redo`: whether there is a step to go back to, or forward.
    `selection_code`: line of Python that restores the selection.
    `calls`: what each button that sends its name does.
    """

    _esm = bundle("lab_bar")

    title = traitlets.Unicode("").tag(sync=True)
    step = traitlets.Unicode("").tag(sync=True)
    progress = traitlets.Float(0.0).tag(sync=True)
    left = traitlets.Unicode("").tag(sync=True)
    parts = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    tab = traitlets.Unicode("map").tag(sync=True)
    code = traitlets.Unicode("").tag(sync=True)
    shared = traitlets.Unicode("").tag(sync=True)
    resume = traitlets.Unicode("").tag(sync=True)
    can_undo = traitlets.Bool(False).tag(sync=True)
    can_redo = traitlets.Bool(False).tag(sync=True)
    selection_code = traitlets.Unicode("").tag(sync=True)

    def __init__(self, **traits: object) -> None:
        self.calls: dict[str, Callable[[], object]] = {}
        super().__init__(**traits)

    @traitlets.validate("tab")
    def _offered(self, proposal: traitlets.Bunch) -> str:
        names = [name for name, _ in self.parts]
        if names and proposal.value not in names:
            raise traitlets.TraitError(f"tab: expected one of {', '.join(names)}; got {proposal.value!r}.")
        return str(proposal.value)

    def _call(self, content: Content, _buffers: Sequence[bytes]) -> None:
        self.publish_changed({"message": ""})
        self.calls[content["kind"]]()

    _acts = dict.fromkeys(("resume", "undo", "redo", "recommended", "surprise", "page", "csv"), _call)

    def _summary(self) -> str:
        return repr(self.title)
