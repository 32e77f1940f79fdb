"""The lab before its model is there: recorded results in its own widgets, which the live lab then takes over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
from ipywidgets.widgets.widget import _instances, _remove_buffers

from mllm_probe.widgets.lab.record_file import Key, LabRecord, RecordError, State, key_of, plain, references, renamed

if TYPE_CHECKING:
    from mllm_probe.widgets.lab.explore_widget import Explore

logger = logging.getLogger(__name__)

BUNDLE = "_esm"
"""Trait of a widget that holds its module of the front-end."""
STATIC = Path(__file__).parents[1] / "static"
LOADING = "recorded results; live once the model is loaded"
WAITS = "not recorded: answered once the model is loaded"
_SELECTION = frozenset(("concept", "layer", "window", "strength", "scope"))
_FREE = _SELECTION | {"picture"}
_CONTROLS: tuple[str, ...] = (
    *("picture", "prompt", "concept", "second", "second_strength", "window"),
    *("strength", "scope", "patches", "positions", "seed"),
)


class Still(ipywidgets.Widget):
    """One widget of a recorded lab: has a recorded state, and hands on what the front-end says.

    `say`: takes this widget, a state that the front-end set or a message of it, and the buffers of a message.
    """

    def __init__(self, state: State, say: Callable[[Still, State, Sequence[bytes] | None], object]) -> None:
        self.state, self._say = state, say
        super().__init__()
        self.on_msg(lambda still, content, buffers: say(still, content, buffers))

    def open(self) -> None:
        """Open the comm as a widget of the recorded class; see `ProbeWidget.open` for its replies."""
        for name in ("_model_name", "_model_module", "_model_module_version"):
            self.set_trait(name, self.state[name])
        super().open()
        comm: Any = self.comm
        if hasattr(comm, "_reply_subshell_for"):
            comm._reply_subshell_for = lambda data, default: default

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> State:
        """The state, or the parts of it that are named."""
        return dict(self.state) if key is None else {name: self.state[name] for name in key}

    def set_state(self, sync_data: State) -> None:
        """Take what the front-end set, and confirm it as ipywidgets does."""
        state, buffer_paths, buffers = _remove_buffers(dict(sync_data))
        self._send({"method": "echo_update", "state": state, "buffer_paths": buffer_paths}, buffers=buffers)
        self.state |= sync_data
        self._say(self, sync_data, None)

    def show(self, state: State) -> None:
        """Change the state, and send what has changed."""
        changed = {name: value for name, value in state.items() if self.state.get(name) != value}
        self.state |= changed
        if changed:
            self.send_state(list(changed))

    def hand_to(self, live: ipywidgets.Widget) -> None:
        """Let a live widget go on in the views of this one."""
        comm: Any = self.comm
        own: Any = live.comm
        self.comm: Any = None  # so that closing this widget leaves the comm open
        _instances.pop(live.model_id, None)
        live.comm = comm
        if own is not None:
            own.close()


def tree_of(root: ipywidgets.Widget) -> list[ipywidgets.Widget]:
    """A widget and all that it refers to, each once, in an order that its structure alone decides."""
    found = [root]
    for widget in found:
        inner = (_instances[name] for name in references(dict(sorted(widget.get_state().items()))))
        found += [each for each in dict.fromkeys(inner) if each not in found]
    return found


class RecordedLab:
    """Stands for an `Explore` until its model is loaded; what is asked of it in Python waits for that.

    Clicks choose among recorded answers. Whatever else the front-end says is kept, and done by the live lab.

    `name`: of a bundled model. `record`: what its lab shows.
    """

    def __init__(self, name: str, record: LabRecord) -> None:
        self._name, self._record, self._open = name, record, True
        self._changing = threading.RLock()
        self._later: list[tuple[int, State, Sequence[bytes] | None]] = []
        self._live: Explore | None = None
        self._error, self._refused = "it was closed", ""
        self._stills = self._frame()
        panel, heatmap, bar = (record.facts["widgets"][name] for name in ("panel", "heatmap", "bar"))
        self._panel, self._heatmap, self._bar = (self._stills[place] for place in (panel, heatmap, bar))
        self._opening: State = record.frame[panel]
        self._best = {key[0]: key for key in reversed(record.answers)}
        self._picture_chosen = False
        self._bar.show({"step": LOADING})
        self._thread = threading.Thread(target=self._load, name="RecordedLab")
        self._thread.start()

    def _frame(self) -> list[Still]:
        """Widgets of the frame, by place; those that others refer to are opened first."""
        frame, made = self._record.frame, dict[str, Still]()

        def make(place: str) -> None:
            state = frame[int(place)]
            for inner in references(state):
                if inner not in made:
                    make(inner)
            state = renamed(state, {other: still.model_id for other, still in made.items()})
            if state.get(BUNDLE):
                state[BUNDLE] = (STATIC / state[BUNDLE]).read_text(encoding="utf-8")
            made[place] = Still(state, self._on_front_end)

        make("0")
        return [made[str(place)] for place in range(len(frame))]

    def _repr_mimebundle_(self, **_options: object) -> State:
        view = {"version_major": 2, "version_minor": 0, "model_id": self._root.model_id}
        return {"text/plain": repr(self), "application/vnd.jupyter.widget-view+json": view}

    @property
    def _root(self) -> ipywidgets.Widget:
        return self._stills[0] if self._live is None else self._live

    def __repr__(self) -> str:
        return f"Explore({self._name!r}, recorded)" if self._live is None else repr(self._live)

    @property
    def live(self) -> Explore:
        """The lab with its model; waits until that is loaded.

        Raises RuntimeError if there is none.
        """
        self._thread.join()
        if self._live is None:
            raise RuntimeError(f"the lab of {self._name} has no model: {self._error}; open another with mp.explore.")
        return self._live

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return getattr(self.live, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            setattr(self.live, name, value)

    def close(self) -> None:
        """Stop everything and remove the widgets; a model that is being loaded is dropped when it is there."""
        with self._changing:
            self._open = False
            for widget in self._stills if self._live is None else [self._live]:
                widget.close()

    def _on_front_end(self, still: Still, content: State, buffers: Sequence[bytes] | None) -> None:
        """Choose among the recorded settings, or keep what the front-end said for the live lab."""
        with self._changing:
            chosen = {name: value for name, value in content.items() if name in _SELECTION}
            if buffers is not None:
                chosen = content.get("state", {}) if content.get("kind") == "set" else {}
                still.state |= {"serial": content["serial"]} if chosen else {}
            if not chosen:
                self._later.append((self._stills.index(still), content, buffers))
            elif still is self._heatmap:
                self._choose({name: still.state[name] for name in _SELECTION if name in still.state})
            else:
                self._choose(chosen)

    def _choose(self, chosen: State) -> None:
        """Show the recorded answers of a selection; without any, say that it waits for the model."""
        if "layer" in chosen and "window" not in chosen:
            chosen = chosen | {"window": [chosen["layer"]] * 2}
        now = self._panel.state
        wanted, key = now | chosen, key_of(now | chosen)
        if chosen.keys() == {"concept"} and key_of(now) == self._best.get(now["concept"]):
            key = self._best.get(chosen["concept"], key)
        self._picture_chosen |= "picture" in chosen
        shown = self._shown(key) if key in self._record.answers else None
        own = [name for name in _CONTROLS if name not in _FREE or (name == "picture" and self._picture_chosen)]
        at_key = {} if shown is None else self._opening | shown[self._stills.index(self._panel)]
        if shown is not None and all(wanted[name] == at_key[name] for name in own):
            for place, state in shown.items():
                self._stills[place].show(state)
            self._panel.show({"activity": ""})
        else:
            self._panel.show(chosen | {"activity": WAITS})

    @cached_property
    def _varying(self) -> dict[int, State]:
        """What any setting changes, as it is in the first frame."""
        varying: dict[int, State] = {}
        for changes in self._record.answers.values():
            for place, state in changes.items():
                frame = self._record.frame[place]
                varying.setdefault(place, {}).update({name: frame[name] for name in state})
        return varying

    def _shown(self, key: Key) -> dict[int, State]:
        """State of every widget at a setting, as far as any setting changes it."""
        changes = self._record.answers[key]
        shown = {place: state | changes.get(place, {}) for place, state in self._varying.items()}
        panel = shown[self._stills.index(self._panel)]
        panel["answers"] = panel["answers"] | self._numbers()
        return shown

    def _numbers(self) -> State:
        """Numbers with which answers are the newest."""
        newest = self._panel.state["answers"].get("generation", 0)
        return {"generation": newest + 1, "serial": self._panel.state["serial"]}

    def _load(self) -> None:
        """Load the model, make the live lab beside the recorded one, and let it take over."""
        try:
            live = self._made()
        except Exception as error:
            logger.exception("the lab of %s could not be loaded", self._name)
            self._error = str(error)
            self._bar.show({"step": "", "status": "error", "message": f"The model could not be loaded: {error}"})
            return
        with self._changing:
            if self._open:
                self._take_over(live)
            else:
                live.close()

    def _made(self) -> Explore:
        """The live lab, with the present setting answered, in widgets that nobody sees yet."""
        from mllm_probe.loading import load
        from mllm_probe.widgets.lab.explore_widget import Explore
        from mllm_probe.widgets.lab.exploring import open_lab

        model = load(self._name)
        try:
            live = open_lab(model, record=self._record)
        except RecordError as error:
            logger.warning("%s", error)
            live, self._refused = open_lab(model), str(error)
        assert isinstance(live, Explore)
        self._set(live)
        live.panel.wait_until_free()
        return live

    def _set(self, live: Explore) -> None:
        """Bring the live panel to the setting that is shown, whose answers become the newest."""
        numbers = self._numbers()
        live.panel.generation = max(live.panel.generation, numbers["generation"])
        live.panel.take(serial=numbers["serial"])
        chosen = {name: self._panel.state[name] for name in _CONTROLS}
        if live.panel.vectors is None:
            chosen = {name: chosen[name] for name in ("picture", "prompt")}
        live.panel.choose(**chosen)
        live.panel.run()

    def _take_over(self, live: Explore) -> None:
        """Give the views of the recorded widgets to the live ones; only what differs is sent, so nothing flickers."""
        moved = any(self._panel.state[name] != plain(getattr(live.panel, name)) for name in _CONTROLS)
        if moved or self._panel.state["serial"] != live.panel.serial:
            self._set(live)
        widgets = tree_of(live)
        alike = [widget.get_state(["_model_name"]) for widget in widgets]
        if alike != [{"_model_name": still.state["_model_name"]} for still in self._stills]:
            logger.warning("the live lab has other parts than the recorded one, and takes its place as a whole")
            self._stills[0].show({"children": [f"IPY_MODEL_{live.model_id}"]})
        else:
            for still, widget in zip(self._stills, widgets, strict=True):
                still.hand_to(widget)
            for still, widget in zip(self._stills, widgets, strict=True):
                state = plain(widget.get_state())
                widget.send_state([name for name, value in state.items() if still.state.get(name) != value])
        self._live = live
        for place, content, buffers in self._later:
            if buffers is None:
                widgets[place].set_state(content)
            else:
                widgets[place]._handle_custom_msg(content, buffers)
        self._later.clear()
        if self._refused:
            live.bar.publish(message=self._refused)
