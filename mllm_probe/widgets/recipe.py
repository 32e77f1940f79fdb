"""The Python that gives the three answers of a panel's setting."""

from __future__ import annotations

from mllm_probe.widgets.setting import PAINTED, Setting


def python(setting: Setting, unit: str, known: list[int], *, model: str, picture: str, max_new_tokens: int) -> str:
    """Python that gives the same three answers; ``vectors`` are those of the panel."""
    parts = [
        f"mp.Steering(vectors.sel(concept={name!r}), layers={setting.layers(known)}, strength={strength!r}, "
        f"unit={unit!r}, tokens=tokens)"
        for name, strength in setting.concepts
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
            f'rows = [None, steering, steering.control("random", seed={setting.seed})]',
            f"out = mp.generate(model, image, {setting.prompt!r}, steering=rows, max_new_tokens={max_new_tokens})",
            "print(out)",
            "print(out.receipt)",
            "",
        ]
    )
