"""The pictures of a steering panel: those that it was given, and those that are added while it is open."""

from __future__ import annotations

from typing import Any

from mllm_probe.widgets.choices import Choice, choices_from, drawn_choice, uploaded_choice
from mllm_probe.widgets.panel_traits import PanelTraits


class PanelPictures(PanelTraits):
    """A panel's pictures; one that is added is chosen, which starts a generation."""

    _choices: list[Choice]

    def add_picture(self, image: Any, label: str = "") -> None:
        """Offer one more picture and choose it."""
        choice = choices_from([image])[0]
        self._add(Choice(choice.source, label or f"picture {len(self._choices) + 1}", choice.code))

    def new_scene(self, seed: int | None = None) -> None:
        """Draw a random scene and choose it; without a seed the next one, ``scene_seed``."""
        seed = self.scene_seed if seed is None else seed
        choice = drawn_choice(seed)
        self.publish(scene_seed=seed + 1)
        self._add(choice)

    def upload(self, content: bytes, name: str) -> None:
        """Offer a picture file and choose it.

        Raises
        ------
        ValueError
            If the bytes are no readable picture.
        """
        self._add(uploaded_choice(content, name))

    def _add(self, choice: Choice) -> None:
        self.publish(pictures=[*self.pictures, choice.described()])
        self._choices.append(choice)
        self.picture = len(self._choices) - 1

    def _chosen(self, picture: int) -> Choice:
        if not 0 <= picture < len(self._choices):
            raise ValueError(f"there is no picture {picture}; there are {len(self._choices)}, counted from 0.")
        return self._choices[picture]
