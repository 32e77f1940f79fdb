"""Which images a dose can show something on: those that lack a concept it should bring, or have one it takes away."""

from __future__ import annotations

from collections.abc import Sequence

from mllm_probe.typing import Traits
from mllm_probe.widgets.base.choices import Choice
from mllm_probe.widgets.panel.setting import Setting


def is_eligible(labels: frozenset[str] | None, setting: Setting) -> bool:
    """Whether an image with these labels suits the doses of a setting; one without labels passes."""
    return labels is None or all(
        (name in labels) == (strength < 0) for name, strength in setting.concepts if strength != 0
    )


def other_image(choices: Sequence[Choice], setting: Setting) -> int | None:
    """Number of the first image that is known to suit a setting, other than its own; None if there is none."""
    suits = (
        i
        for i, choice in enumerate(choices)
        if i != setting.picture and choice.labels is not None and is_eligible(choice.labels, setting)
    )
    return next(suits, None)


def image_for(choices: Sequence[Choice], setting: Setting) -> int:
    """The image of a setting if its labels suit the doses, else another that does, if there is one."""
    if is_eligible(choices[setting.picture].labels, setting):
        return setting.picture
    other = other_image(choices, setting)
    return setting.picture if other is None else other


def eligibility(choices: Sequence[Choice], setting: Setting, named: Sequence[str]) -> Traits:
    """Note about an image on which the doses can show little, and the number of another to offer, or −1.

    ``named`` are the concepts that the unsteered answer names.
    """
    labels = choices[setting.picture].labels
    note = ""
    for name, strength in setting.concepts:
        if strength > 0 and labels is not None and name in labels:
            note = f"The image shows {name} already: an answer that names it is no effect."
        elif strength > 0 and name in named:
            note = f"The unsteered answer names {name} already: the steered one shows no effect by naming it."
        elif strength < 0 and labels is not None and name not in labels:
            note = f"The image does not show {name}: a dose against it has nothing to take away."
        if note:
            break
    other = other_image(choices, setting) if note else None
    return {"image_note": note, "other_image": -1 if other is None else other}
