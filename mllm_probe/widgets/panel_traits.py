"""What a steering panel and its front-end say to each other: the traits, which are the panel's contract."""

from __future__ import annotations

import traitlets

from mllm_probe.metrics import NEGATIONS
from mllm_probe.schema import UNITS
from mllm_probe.widgets.base import ProbeWidget, bundle


class PanelTraits(ProbeWidget):
    """Traits of `SteeringPanel`.

    Attributes
    ----------
    picture, prompt, concept, second, second_strength, layer, window, strength, scope, patches, seed
        The setting; each may be set from Python and starts a new generation. ``second`` is another concept that is
        steered too, empty for none; ``window`` the first and last layer (``layer`` is the first; setting it alone makes
        a window of one); ``patches`` a mask over the picture's patches, rows of booleans, for scope ``"painted"``.
    words : dict of str to list of str
        What counts as naming each concept, and ``negations``, which negate a mention a few words after them (list of
        str). Setting either marks the answers shown, the pins and the recorded answers anew.
    answers : dict
        ``"baseline"``, ``"steered"`` and ``"random"`` of the newest setting that was finished, and ``"spans"``: for
        each of them ``[start, stop, negated]`` of every mention of the steered concepts, in UTF-16 code units.
    receipt : list of str
        What was edited: first the steered row, then every row.
    code : str
        Python that gives those answers.
    doses : list of [strength, ratio]
        Strengths that the grid has run for this setting, with their perplexity ratio; in ``safe_low`` … ``safe_high``
        it stays under 2.
    pins : list of dict
        Pinned settings with their answers and the spans of these.
    projector, revealed : bool
        For teaching: large type, the steered answer hidden until it is revealed.
    status : str
        ``"idle"``, ``"running"``, ``"cancelled"`` or ``"error"``; ``message`` says what was wrong.
    """

    _esm = bundle("panel")

    concepts = traitlets.List(traitlets.Unicode()).tag(sync=True)
    categories = traitlets.List(traitlets.Unicode()).tag(sync=True)
    words = traitlets.Dict(traitlets.List(traitlets.Unicode()), traitlets.Unicode()).tag(sync=True)
    negations = traitlets.List(traitlets.Unicode(), list(NEGATIONS)).tag(sync=True)
    layers = traitlets.List(traitlets.Int()).tag(sync=True)
    pictures = traitlets.List(traitlets.Dict()).tag(sync=True)
    scene_seed = traitlets.Int(0).tag(sync=True)
    suggestions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    scopes = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    strength_limit = traitlets.Float(3.0).tag(sync=True)
    strength_step = traitlets.Float(0.25).tag(sync=True)
    strength_unit = traitlets.Enum(UNITS, "residual").tag(sync=True)
    picture = traitlets.Int(0).tag(sync=True)
    prompt = traitlets.Unicode("").tag(sync=True)
    concept = traitlets.Unicode("").tag(sync=True)
    second = traitlets.Unicode("").tag(sync=True)
    second_strength = traitlets.Float(1.0).tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    window = traitlets.List(traitlets.Int(), [0, 0], minlen=2, maxlen=2).tag(sync=True)
    strength = traitlets.Float(1.0).tag(sync=True)
    scope = traitlets.Unicode("last_prompt+generated").tag(sync=True)
    patches = traitlets.List(traitlets.List(traitlets.Bool())).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    answers = traitlets.Dict().tag(sync=True)
    receipt = traitlets.List(traitlets.Unicode()).tag(sync=True)
    code = traitlets.Unicode("").tag(sync=True)
    rate = traitlets.Float(0.0).tag(sync=True)
    doses = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)
    safe_low = traitlets.Float(0.0).tag(sync=True)
    safe_high = traitlets.Float(0.0).tag(sync=True)
    pins = traitlets.List(traitlets.Dict()).tag(sync=True)
    projector = traitlets.Bool(False).tag(sync=True)
    revealed = traitlets.Bool(False).tag(sync=True)
    serial = traitlets.Int(0).tag(sync=True)
