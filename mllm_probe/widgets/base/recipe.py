"""Code that reproduces the contents of a widget: the answers of a panel's setting, the effect of a map's cells."""

from __future__ import annotations

from collections.abc import Sequence

from mllm_probe.typing import Traits
from mllm_probe.widgets.panel.setting import PAINTED, Setting

_FIELD = "\ue000"
"""Delimiter around a placeholder; from the private use area, so it occurs in no text."""
CONCEPT, LAYERS, SITES, STRENGTH = (f"{_FIELD}{name}{_FIELD}" for name in ("concept", "layers", "sites", "strength"))


def python(setting: Setting, unit: str, known: list[int], *, model: str, picture: str, max_new_tokens: int) -> str:
    """Code that reproduces the three answers; ``vectors`` are those of the panel."""
    parts = [
        _steering(repr(name), str(setting.layers(known)), repr(strength), unit) for name, strength in setting.concepts
    ]
    steering = parts[0] if len(parts) == 1 else f"mp.compose(\n    {parts[0]},\n    {parts[1]},\n)"
    imports = [line for line in picture.splitlines() if line.startswith(("import ", "from "))]
    rest = [line for line in picture.splitlines() if line not in imports]
    tokens = repr(setting.tokens)
    if setting.scope == PAINTED:
        imports.append("import numpy as np")
        tokens = f"np.array({[list(map(int, row)) for row in setting.patches]}, dtype=bool)"
    return "\n".join(
        [
            *sorted(set(imports), key=lambda line: (line.startswith("from"), line)),
            "import mllm_probe as mp",
            "",
            f"# model: {model}; vectors: the concept vectors that were given to the panel",
            *rest,
            f"tokens = {tokens}",
            f"steering = {steering}",
            _rows(setting.seed),
            f"out = mp.generate(model, image, {setting.prompt!r}, steering=rows, max_new_tokens={max_new_tokens})",
            "print(out)",
            "print(out.receipt)",
            "",
        ]
    )


def map_recipe(provenance: Traits, strength_unit: str) -> list[str]:
    """Python that steers with cells of a map and gives their effect, with the cells left open.

    `provenance`: provenance of the grid and the displayed metric and average: trait ``provenance`` of the heatmap.
    Returns: pieces of the code; every second one names a placeholder for the selection: ``"concept"`` and
    ``"strength"`` as literals, ``"layers"`` as coordinates with commas between them, ``"sites"`` as elements of
    ``layers=``.
    """
    name = str(provenance.get("model", "the one of the grid")).replace(_FIELD, "")
    model = f"model = mp.load({name!r})" if provenance.get("bundled") else f"# model: {' '.join(name.split())}"
    tokens = tuple(provenance["tokens"]) if provenance.get("tokens") else ...
    options = [f"operation={provenance['operation']!r}"] if provenance.get("operation", "add") != "add" else []
    options += [f"to=vectors.sel(concept={provenance['to']!r})"] if provenance.get("to") else []
    prompt = provenance.get("prompt") if isinstance(provenance.get("prompt"), str) else None
    most = provenance.get("max_new_tokens", 16)
    cell = f"effect.sel(concept={CONCEPT}, layer=[{LAYERS}], strength={STRENGTH})"
    against = provenance.get("against", "random")
    shown = '[["difference", "low", "high"]]' if against == "random" else f".sel(control={against!r})"
    steering = _steering(CONCEPT, f"[{SITES}]", STRENGTH, str(provenance.get("unit", strength_unit)), options)
    lines = [
        "import mllm_probe as mp",
        "",
        model,
        "# vectors, grid and image are those of this map",
        f"tokens = {'...' if tokens is ... else _text(tokens)}",
        f"steering = {steering}",
        _rows(provenance.get("seed", 0)),
        f"print(mp.generate(model, image, {_text(prompt)}, steering=rows, max_new_tokens={most}))",
        "",
        f"effect = {_effect(provenance)}",
        f"print({cell}{shown}.to_dataframe())",
        "",
    ]
    return "\n".join(lines).split(_FIELD)


def _effect(provenance: Traits) -> str:
    metric = _text(str(provenance.get("metric", "logprob")))
    if provenance.get("average") == "single":
        return f"mp.effect(grid.isel(sample=[{int(provenance.get('sample', 0))}]), {metric})"
    return f"mp.effect(grid, {metric}{', average=' + repr('median') if provenance.get('average') == 'median' else ''})"


def _steering(concept: str, layers: str, strength: str, unit: str, options: Sequence[str] = ()) -> str:
    vectors = f"vectors.sel(concept={concept})"
    settings = [f"layers={layers}", f"strength={strength}", f"unit={unit!r}", "tokens=tokens", *options]
    return f"mp.Steering({vectors}, {', '.join(settings)})"


def _rows(seed: int) -> str:
    return f'rows = [None, steering, steering.control("random", seed={seed})]'


def _text(value: object) -> str:
    """A literal that holds no mark of a field."""
    return repr(value).replace(_FIELD, "")
