"""What a trained vision tower sees, on new images: `python -m training.emoji.evaluate_vision`, with its options.

Without the decoder: by the linear readouts of its training, and by cosine to the words (in the last column).
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from mllm_probe.emoji.emoji_scene import EmojiScene, sample
from mllm_probe.emoji.lexicon import ART_STYLES, COLOURED, EMOTIONS, STYLES
from training import training_state
from training.emoji.build_art import UNSEEN, sprites_of
from training.emoji.vision import Eyes
from training.emoji.vision_readouts import Readings, Readouts, read
from training.emoji.vision_training import word_vectors
from training.emoji.word_vectors import WordVectors
from training.evaluation.accuracy import Score, score
from training.parallel import Team

_SEED = 30_000
_AT_ONCE = 256
_SIDE = 224


class Sight:
    """A trained tower, its readouts and the words that its tokens point to."""

    def __init__(self, checkpoint: Path, words: WordVectors) -> None:
        groups, progress = training_state.load(checkpoint)
        if not groups:
            raise FileNotFoundError(f"no trained vision tower at {checkpoint}: train it first")
        self.steps, self.words = progress["step"], words
        self.eyes = Eyes(words.centre.shape[0])
        self.eyes.load_weights(groups)
        self.readouts = Readouts(self.eyes.width)
        self.readouts.load_state_dict(groups["readouts"])

    def readings(self, scenes: list[EmojiScene], artwork: Mapping[str, np.ndarray] | None = None) -> Readings:
        """Return what is right about scenes, drawn as libraries draw them."""
        team = Team(0, 1, torch.device("cpu"))
        parts = [
            read(self.eyes, self.readouts, self.words, scenes[start : start + _AT_ONCE], team, artwork, _SIDE)
            for start in range(0, len(scenes), _AT_ONCE)
        ]
        most = max(part.named.shape[1] for part in parts)
        named, by_word = (
            torch.cat([F.pad(table, (0, most - table.shape[1])) for table in tables])
            for tables in ([part.named for part in parts], [part.named_by_word for part in parts])
        )
        return Readings(
            named,
            by_word,
            {slot: torch.cat([part.slots[slot] for part in parts]) for slot in parts[0].slots},
            torch.cat([part.styles_by_word for part in parts]),
        )


def scenes_of(count: int, combinations: str, kind: str, emotion: bool | None = None) -> list[EmojiScene]:
    """Return scenes of seeds that training does not use.

    `combinations`, `kind`: as in `sample`. `emotion`: scenes whose first item is a face with an emotion, or one that is
    none; by default any.
    """
    g = np.random.default_rng([_SEED, *kind.encode(), *combinations.encode()])
    found: list[EmojiScene] = []
    while len(found) < count:
        scene = sample(g, combinations, kind)
        first = scene.items[0]
        if emotion is None or (first.name in EMOTIONS if emotion else not first.is_face):
            found.append(scene)
    return found


def scores(sight: Sight, count: int, unseen_artist: Mapping[str, np.ndarray] | None) -> Iterator[tuple[Score, Score]]:
    """Yield the rows of the table: by readout, and by cosine to the words where that is another question.

    `count`: images of each row. `unseen_artist`: sprites of an artist that the tower never saw.
    """
    for what, emotion in (("entity", False), ("emotion", True)):
        for which in ("seen", "unseen"):
            found = sight.readings(scenes_of(count, which, "one", emotion))
            name = f"{what}, {'trained' if which == 'seen' else 'never-trained'} combinations"
            yield score(name, found.named[:, 0]), score(name, found.named_by_word[:, 0])
        if unseen_artist is not None:
            # Art in a style of its own: nothing of the four processed styles, and no black on dark grounds.
            plain = [replace(scene, style=COLOURED[0]) for scene in scenes_of(count, "any", "one", emotion)]
            found = sight.readings(plain, unseen_artist)
            yield score(f"{what}, {UNSEEN.title}", found.named[:, 0]), score("", found.named_by_word[:, 0])
    for which in ("seen", "unseen"):
        found = sight.readings(scenes_of(count, which, "one"))
        name = f"style, {'trained' if which == 'seen' else 'never-trained'} combinations"
        yield score(name, found.slots["styles"]), score(name, found.styles_by_word)
    yield from _by_style(sight, count)
    found = sight.readings(scenes_of(count, "seen", "two"))
    yield score("both of two", found.named.all(1)), score("", found.named_by_word.all(1))
    for kind in ("relation", "arrangement"):
        right = sight.readings(scenes_of(count, "seen", kind)).slots[f"{kind}s"]
        yield score(kind, right), score("", [])


def _by_style(sight: Sight, count: int) -> Iterator[tuple[Score, Score]]:
    scenes = scenes_of(count, "seen", "one", emotion=False)
    found = sight.readings(scenes)
    for style in STYLES:
        chosen = torch.tensor([scene.style == style for scene in scenes])
        note = "art" if style in ART_STYLES else "processed"
        by_word = score("", found.named_by_word[chosen, 0])
        yield score(f"entity in {style} ({note})", found.named[chosen, 0]), by_word
        yield score(f"style of {style}", found.slots["styles"][chosen]), score("", found.styles_by_word[chosen])


def _line(by_readout: Score, by_word: Score) -> str:
    low, high = by_readout.interval
    word = f"{by_word.share:.3f}" if by_word.n else ""
    return f"{by_readout.name:42}{by_readout.n:6}{by_readout.share:8.3f}  {low:.3f} - {high:.3f}  {word}"


def main(argv: list[str] | None = None) -> None:
    """Print the table.

    `argv`: the command line by default.
    """
    parser = argparse.ArgumentParser(prog="python -m training.emoji.evaluate_vision", description=__doc__)
    parser.add_argument("--decoder", type=Path, required=True, help="safetensors file with the decoder's embeddings")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of the decoder's tokenizer")
    parser.add_argument("--checkpoint", type=Path, required=True, help="vision.safetensors of a training")
    parser.add_argument("--images", type=int, default=600, help="of each row")
    parser.add_argument(
        "--packages", type=Path, help=f"folder of npm archives, to evaluate with {UNSEEN.title} too (extra art)"
    )
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    sight = Sight(options.checkpoint, word_vectors(options.decoder, options.tokenizer))
    artwork = sprites_of(UNSEEN, options.packages) if options.packages else None
    print(f"{options.checkpoint.name}, {sight.steps} steps\n{'':42}{'n':>6}{'share':>8}  {'95 %':13}  by word")
    for row in scores(sight, options.images, artwork):
        print(_line(*row), flush=True)


if __name__ == "__main__":
    main()
